//! Metrics: what an invocation has to tell, as `CloudWatch` metrics. docs/operations.md explains each.

mod emf;
mod sample;

use std::collections::BTreeMap;

use drain_core::policy::ActionResult;
use drain_core::reason::{Outcome, Reason};
use jiff::{SignedDuration, Timestamp};

use crate::chronicle::{Happened, What};
use crate::event::{Event, Message};
use crate::live::Calls;
use crate::report::Report;
use emf::{Line, Unit};
pub(crate) use sample::Sample;

/// Every metric, and its unit. docs/operations.md explains each, and alarms are made of them.
pub const NAMES: &[(&str, &str)] = &[
    ("AllocationsForced", "Count"),
    ("AwsCalls", "Count"),
    ("AwsCallTime", "Milliseconds"),
    ("ColdStarts", "Count"),
    ("DrainsAbandoned", "Count"),
    ("DrainsAdopted", "Count"),
    ("DrainsCompleted", "Count"),
    ("DrainsStarted", "Count"),
    ("DrainsTimedOut", "Count"),
    ("EventToDrain", "Milliseconds"),
    ("GroupsMostlyDown", "Count"),
    ("HeartbeatsFailed", "Count"),
    ("HeartbeatsSent", "Count"),
    ("HeldAfterEmpty", "Seconds"),
    ("HeldInstances", "Count"),
    ("HeldPastDeadline", "Count"),
    ("Ignored", "Count"),
    ("Invocations", "Count"),
    ("LeftToHook", "Count"),
    ("MissingGroups", "Count"),
    ("NomadCalls", "Count"),
    ("NomadCallTime", "Milliseconds"),
    ("NotificationsFailed", "Count"),
    ("OldestHeld", "Seconds"),
    ("Retries", "Count"),
    ("TimeToEmpty", "Seconds"),
    ("TokenRefused", "Count"),
    ("WatchedGroups", "Count"),
];

/// What an invocation has to tell.
#[derive(Debug)]
pub(crate) struct Told {
    /// What sort of event it was; see [`kind`].
    pub(crate) event: &'static str,
    /// Whether it failed: `succeeded`, `failed`, or, of messages from a queue, `partly_failed`.
    pub(crate) result: &'static str,
    /// Whether it was the first one of its process.
    pub(crate) cold: bool,
    /// What it answers; `None` if it failed before it began.
    pub(crate) report: Option<Report>,
    /// Calls to AWS.
    pub(crate) aws: Calls,
    /// The clusters.
    pub(crate) clusters: Vec<OfCluster>,
    /// Notifications that could not be sent.
    pub(crate) notifications_failed: usize,
}

/// What is known of one cluster's part.
#[derive(Clone, Debug)]
pub(crate) struct OfCluster {
    /// Its name, if it is one of many.
    pub(crate) name: Option<String>,
    /// Calls to Nomad.
    pub(crate) calls: Calls,
    /// How often Nomad has refused our token for good.
    pub(crate) refusals: usize,
}

/// What sort of event it is, as one of few words: `sweep`, a drain's cause, `launch`, `ended`, `mixed`, or `other` if nothing
/// is to be done.
pub(crate) fn kind(event: &Event) -> &'static str {
    use drain_core::observation::Errand;

    let Event::Messages(deliveries) = event else { return "sweep" };
    let mut kinds =
        deliveries.iter().flat_map(|delivery| &delivery.messages).flatten().filter_map(|message| {
            let Message::Target(target, _) = message else { return None };
            Some(match target.errand {
                Errand::Drain(cause) => cause.as_str(),
                Errand::Admit => "launch",
                Errand::GiveBack => "give-back",
                Errand::Purge(_) => "ended",
            })
        });
    let Some(first) = kinds.next() else { return "other" };
    if kinds.all(|other| other == first) { first } else { "mixed" }
}

/// The lines for the log: one for the invocation, one for each cluster if there are several, and one for each reason for
/// which messages were ignored.
pub(crate) fn lines(told: &Told, all: &[Happened], namespace: &str, now: Timestamp) -> Vec<String> {
    let mut whole = Line::without_dimensions();
    whole.count("Invocations", 1);
    whole.count_if_any("ColdStarts", usize::from(told.cold));
    whole.count_if_any("NotificationsFailed", told.notifications_failed);
    calls(&mut whole, "Aws", [&told.aws]);
    calls(&mut whole, "Nomad", told.clusters.iter().map(|cluster| &cluster.calls));
    let retries = told.clusters.iter().map(|cluster| cluster.calls.retries).sum::<usize>();
    whole.count_if_any("Retries", told.aws.retries + retries);
    whole.count_if_any("TokenRefused", told.clusters.iter().map(|cluster| cluster.refusals).sum());
    happened(&mut whole, all.iter());
    if let Some(report) = &told.report {
        swept(&mut whole, report, all);
    }
    whole.also_by([("Event", told.event), ("Result", told.result)], ["Invocations", "EventToDrain"]);
    let mut lines = whole.written(namespace, now);

    for cluster in &told.clusters {
        let Some(name) = &cluster.name else { continue };
        let mut its = Line::with_dimension("Cluster", name);
        calls(&mut its, "Nomad", [&cluster.calls]);
        its.count_if_any("Retries", cluster.calls.retries);
        its.count_if_any("TokenRefused", cluster.refusals);
        happened(&mut its, all.iter().filter(|one| one.cluster.as_ref() == Some(name)));
        lines.extend(its.written(namespace, now));
    }

    let ignored = told.report.iter().flat_map(|report| &report.results);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in ignored.filter(|entry| entry.outcome == Outcome::Ignored.as_str()) {
        *reasons.entry(entry.reason).or_default() += 1;
    }
    for (reason, count) in reasons {
        let mut line = Line::with_dimension("Reason", reason);
        line.count("Ignored", count);
        lines.extend(line.written(namespace, now));
    }
    lines
}

fn calls<'a>(line: &mut Line, system: &str, calls: impl IntoIterator<Item = &'a Calls>) {
    let mut times = Sample::default();
    for one in calls {
        times.join(&one.times);
    }
    line.count_if_any(&format!("{system}Calls"), times.count());
    line.values(&format!("{system}CallTime"), Unit::Milliseconds, times.values());
}

/// What a sweep found. These are told even if they are zero: alarms look at them.
fn swept(line: &mut Line, report: &Report, happened: &[Happened]) {
    let (Some(groups), Some(held)) = (report.groups, report.held) else { return };
    line.count("WatchedGroups", groups);
    line.count("HeldInstances", held);
    line.count("MissingGroups", report.missing_groups);
    line.count("GroupsMostlyDown", report.groups_mostly_down);
    let (mut oldest, mut late) = (SignedDuration::ZERO, 0);
    for one in happened {
        if let What::Held { held_for, past_deadline } = one.what {
            oldest = oldest.max(held_for.unwrap_or_default());
            late += usize::from(past_deadline);
        }
    }
    line.count("HeldPastDeadline", late);
    line.values("OldestHeld", Unit::Seconds, [oldest.as_secs_f64()]);
}

fn happened<'a>(line: &mut Line, all: impl Iterator<Item = &'a Happened>) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut count = |name: &'static str, by: usize| *counts.entry(name).or_default() += by;
    let mut durations: [(&str, Unit, Vec<f64>); 3] = [
        ("EventToDrain", Unit::Milliseconds, Vec::new()),
        ("TimeToEmpty", Unit::Seconds, Vec::new()),
        ("HeldAfterEmpty", Unit::Seconds, Vec::new()),
    ];
    let [to_drain, to_empty, after_empty] = &mut durations;
    for Happened { what, .. } in all {
        match what {
            What::DrainStarted { after } => {
                count("DrainsStarted", 1);
                to_drain.2.extend(after.map(|after| after.as_secs_f64() * 1000.0));
            }
            What::Released { result, reason, drain } => {
                count(
                    match (result, reason) {
                        (_, Reason::DrainTimeout) => "DrainsTimedOut",
                        _ => "DrainsCompleted",
                    },
                    1,
                );
                count("DrainsAbandoned", usize::from(*result == ActionResult::Abandon));
                count("DrainsAdopted", usize::from(drain.adopted));
                count("AllocationsForced", drain.forced);
                to_empty.2.extend(drain.time_to_empty.map(|time| time.as_secs_f64()));
                after_empty.2.extend(drain.held_after_empty.map(|time| time.as_secs_f64()));
            }
            What::HeartbeatSent => count("HeartbeatsSent", 1),
            What::HeartbeatFailed => count("HeartbeatsFailed", 1),
            What::LeftToHook { .. } => count("LeftToHook", 1),
            What::Held { .. } | What::Failed { .. } => {}
        }
    }
    for (name, count) in counts {
        line.count_if_any(name, count);
    }
    for (name, unit, values) in durations {
        line.values(name, unit, values);
    }
}

#[cfg(test)]
mod tests;
