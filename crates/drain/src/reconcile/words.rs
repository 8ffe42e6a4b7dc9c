//! What the log and the result say, in words.

use std::collections::BTreeMap;

use drain_core::decide::{Action, Decision, DrainRequest};
use drain_core::observation::{Errand, Nodes, Observation};
use drain_core::policy::Policy;
use drain_core::reason::{Outcome, Reason};
use jiff::{SignedDuration, Timestamp, Unit};

use crate::error::{Causes, Error};

/// The statement that a token's policy lacks if it does not see every allocation.
pub(crate) const READ_JOB: &str = r#"namespace "*" { capabilities = ["read-job"] }"#;

/// Jobs that are named before the rest of the allocations is only counted.
const NAMED: usize = 5;

/// A drain of ours that Nomad has accepted.
pub(super) fn drain_posted(
    seen: &Observation,
    request: &DrainRequest,
    policy: &Policy,
    now: Timestamp,
) -> String {
    let instance = &seen.target.instance;
    let name = node_named(seen, request);
    let left = rounded(request.spec.deadline.max(SignedDuration::ZERO));
    #[expect(clippy::wildcard_enum_match_arm, reason = "drains are posted for three reasons")]
    match request.reason {
        Reason::StuckDrainEnded => {
            format!(
                "nothing runs on node {name} of {instance} any more, and its drain went on: it was told to end"
            )
        }
        Reason::DeadlineBroughtNearer => {
            format!("the drain that ran on node {name} of {instance} now ends within {left}")
        }
        _ if request.spec.deadline < policy.drain_deadline => {
            let wanted = rounded(policy.drain_deadline);
            format!(
                "node {name} of {instance} drains; its allocations have {left} to leave, not DRAIN_DEADLINE's {wanted}: {}",
                if seen.target.ends_at(seen.first_look).is_some() {
                    "EC2 ends the instance"
                } else if global_timeout_is_near(seen, policy, now) {
                    "the hook cannot be held for longer"
                } else {
                    "an earlier drain for this lifecycle action allowed no more"
                }
            )
        }
        _ => format!("node {name} of {instance} drains; its allocations have {left} to leave"),
    }
}

fn global_timeout_is_near(seen: &Observation, policy: &Policy, now: Timestamp) -> bool {
    let settings = seen.hold.as_ref().and_then(|hold| hold.settings);
    let started = seen.target.hook_started_at.unwrap_or(now);
    settings.is_some_and(|hook| {
        let ends = super::later(started, hook.global_timeout);
        ends.duration_since(now) < policy.drain_deadline.saturating_add(policy.kill_grace)
    })
}

/// Why an instance is where it is.
pub(super) fn describe(seen: &Observation, why: Reason, failure: Option<&Error>, policy: &Policy) -> String {
    let instance = &seen.target.instance;
    let whose = match names(seen) {
        Some(names) => format!("{names} of {instance}"),
        None => instance.to_string(),
    };
    let failed = || failure.map_or_else(String::new, |error| format!(": {}", error.explanation()));
    match why {
        Reason::DrainPosted | Reason::MadeIneligible => format!("{whose} takes no more work, and drains"),
        Reason::DeadlineBroughtNearer => format!("the drain of {whose} ends sooner now"),
        Reason::StuckDrainEnded => format!("the drain of {whose} was told to end"),
        Reason::AlreadyDraining => format!("{whose} drains already"),
        Reason::AlreadyDrained => format!("{whose} has been drained for this lifecycle action"),
        Reason::Drained => format!("every allocation on {whose} has stopped"),
        Reason::DrainTimeout => format!(
            "the deadline of the drain of {whose} and {} of grace have passed, and {}",
            rounded(policy.kill_grace),
            running(seen, policy).unwrap_or_else(|| "what runs on it cannot be seen".to_owned()),
        ),
        Reason::NodeDown => format!("{whose} has been down for {}", rounded(policy.down_grace)),
        Reason::NodeDisconnected => {
            format!("{whose} has been disconnected for {}", rounded(policy.disconnected_grace))
        }
        Reason::NodeGone => format!("the node of {instance} is gone from the cluster"),
        Reason::NodeNotFound => format!(
            "no node joined the cluster for {instance} within {}{}",
            rounded(policy.node_join_grace),
            failure.map_or_else(String::new, |error| format!(": {}", Causes(error))),
        ),
        Reason::NodeReady => format!("{whose} is ready and takes work"),
        Reason::NodePurged => format!("the node of {instance}, which was down, was removed from the cluster"),
        Reason::GivenBack => format!("{whose} takes work again: the instance is in use"),
        Reason::NotGivenBack => format!("{whose} is left as it is"),
        Reason::NodeNotEligible => format!("{whose} takes no work: somebody has made it ineligible"),
        Reason::NodeNotDown => format!("{whose} is not down yet, and a live node is not purged"),
        Reason::WaitingForTurn => format!(
            "{whose} takes no more work, and drains when fewer nodes of its group do: MAX_DRAINS_PER_GROUP is {}",
            policy.max_drains_per_group.unwrap_or_default()
        ),
        Reason::NotOurInstance => format!("no node carries the id {instance}: it is not ours"),
        Reason::InstanceEnded => format!("{instance} has ended, and its node is left to Nomad"),
        Reason::TooLate => format!("{instance} was to be interrupted more than two minutes ago"),
        Reason::WaitingForNode if seen.target.errand == Errand::Admit => {
            format!("no node of {instance} is ready yet")
        }
        Reason::NoActiveAction => format!(
            "Auto Scaling has no active lifecycle action for {instance}: it was completed, has ended, or another hook holds the \
             instance"
        ),
        Reason::AllocationsRunning => running(seen, policy)
            .map_or_else(|| format!("{whose} drains"), |running| format!("{running} on {whose}")),
        Reason::DrainEnding => {
            format!("nothing runs on {whose} any more; Nomad has not ended the drain yet")
        }
        Reason::Settling => format!(
            "every allocation on {whose} has stopped; SETTLE_DELAY is {}",
            rounded(policy.settle_delay)
        ),
        Reason::CannotSeeAllocations => format!(
            "the Nomad token may not read jobs in every namespace, so that nobody can tell whether {whose} is empty. Add to its \
             policy: {READ_JOB}"
        ),
        Reason::NodeSilent => format!("{whose} has missed its heartbeats"),
        Reason::DrainCancelled => format!(
            "somebody cancelled the drain of {whose}. The instance is going away all the same: it is drained again five \
             minutes after that"
        ),
        Reason::WaitingForNode => format!(
            "no node has joined the cluster for {instance} yet; NODE_JOIN_GRACE is {}",
            rounded(policy.node_join_grace)
        ),
        Reason::HeldWithoutNode => {
            format!("no node is known for {instance}, and ON_NODE_NOT_FOUND is hold")
        }
        Reason::Paused => format!(
            "{instance} is kept alive and nothing else is done: PAUSE is on, or its group has the tag nomad-drain-hold"
        ),
        Reason::NomadUnreachable | Reason::NoClusterLeader | Reason::NomadUnreadable => {
            format!("nobody can tell what runs on {whose}{}", failed())
        }
        Reason::NomadTokenRefused => format!("Nomad does not let us look at {whose}{}", failed()),
        Reason::AutoScalingUnavailable => {
            format!("Auto Scaling did not take the completion for {instance}; the next look tries again")
        }
        Reason::MaxHoldReached => format!(
            "{whose} has been held for as long as MAX_HOLD ({}) and the hook allow; {}",
            rounded(policy.max_hold),
            running(seen, policy).unwrap_or_else(|| "what runs on it is not known".to_owned()),
        ),
        Reason::HookStartUnknown => {
            format!("no node is known for {instance}, and nobody says since when the hook has held it")
        }
        Reason::CompletionDenied => {
            format!("{whose} may end, and the function may not complete its lifecycle action")
        }
        Reason::HookTimeoutTakesOver => format!("{whose} is drained no further by this invocation"),
        Reason::DryRun => format!("DRY_RUN: {}", planned(seen, policy)),
        Reason::GroupNotWatched
        | Reason::OutOfTime
        | Reason::NoCluster
        | Reason::NoLongerHeld
        | Reason::InstanceRunning
        | Reason::RebalanceIgnored
        | Reason::ScheduledChangeIgnored
        | Reason::TestNotification
        | Reason::LaunchTransition
        | Reason::GroupNotification
        | Reason::ForeignMessage
        | Reason::OtherHook => why.as_str().to_owned(),
    }
}

/// The same, and who decides from here on.
pub(super) fn with_hook(told: &str, outcome: Outcome) -> String {
    match outcome {
        Outcome::LeftToHook => {
            format!("{told}. From here on the hook's time-out and its default result take over")
        }
        Outcome::DrainStarted
        | Outcome::Draining
        | Outcome::Completed
        | Outcome::Abandoned
        | Outcome::Held
        | Outcome::Restored
        | Outcome::Ignored => told.to_owned(),
    }
}

/// What a decision means, for somebody who asks later.
pub fn explain(seen: &Observation, policy: &Policy, now: Timestamp, decision: &Decision) -> String {
    match decision {
        Decision::Act(Action::Drain(request)) => drain_posted(seen, request, policy, now),
        Decision::Act(_) | Decision::Wait { .. } | Decision::Finish(_) => {
            decided(seen, decision, None, policy, Tense::Would)
        }
    }
}

/// Whether a step is told by somebody who takes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tense {
    /// It is being taken.
    Now,
    /// It is not: it would be.
    Would,
}

/// A decision, for somebody who looks on.
pub(super) fn decided(
    seen: &Observation,
    decision: &Decision,
    failure: Option<&Error>,
    policy: &Policy,
    tense: Tense,
) -> String {
    match decision {
        Decision::Act(action) => step(seen, action, tense),
        Decision::Wait { why, .. } | Decision::Finish(why) => describe(seen, *why, failure, policy),
    }
}

/// What would be done if it were not for `DRY_RUN`.
fn planned(seen: &Observation, policy: &Policy) -> String {
    match super::first_step(seen, policy, seen.first_look) {
        Decision::Act(action) => step(seen, &action, Tense::Would),
        Decision::Wait { why, .. } | Decision::Finish(why) => format!(
            "nothing but a heartbeat would come of this look at {}: {}",
            seen.target.instance,
            describe(seen, why, None, policy)
        ),
    }
}

/// A step.
fn step(seen: &Observation, action: &Action, tense: Tense) -> String {
    let instance = &seen.target.instance;
    let is = match tense {
        Tense::Now => "is",
        Tense::Would => "would be",
    };
    match action {
        Action::Drain(request) => {
            let (name, left) =
                (node_named(seen, request), rounded(request.spec.deadline.max(SignedDuration::ZERO)));
            match tense {
                Tense::Now => {
                    format!("node {name} of {instance} drains; its allocations have {left} to leave")
                }
                Tense::Would => format!(
                    "node {name} of {instance} would be drained, and its allocations would have {left} to leave"
                ),
            }
        }
        Action::MakeIneligible(node) => format!("node {node} of {instance} {is} made ineligible"),
        Action::GiveBack { node, .. } => match tense {
            Tense::Now => format!("node {node} of {instance} takes work again"),
            Tense::Would => format!("node {node} of {instance} would take work again"),
        },
        Action::Purge(node) => format!("node {node} of {instance} {is} purged"),
        Action::Heartbeat => format!("a heartbeat {is} sent for {instance}"),
        Action::Complete { result, reason } => format!(
            "the lifecycle action of {instance} {is} completed with {} ({})",
            result.as_str(),
            reason.as_str()
        ),
    }
}

/// The warning about a permission that whoever calls lacks, with the statement that grants it.
pub(super) fn missing_permission(error: &Error) -> Option<String> {
    let (missing, caller) = (error.missing_permission()?, error.caller()?);
    Some(format!(
        "{caller} lacks {}: what needs it is left out. Add to its policies: {}",
        missing.action,
        missing.statement()
    ))
}

/// What still runs, named as far as that helps.
fn running(seen: &Observation, policy: &Policy) -> Option<String> {
    let Nodes::Known(nodes) = &seen.nodes else { return None };
    let counted = nodes.iter().filter_map(|node| node.counted(policy.ignore_system_jobs));
    // In an order of ours: that of Nomad's answers changes from look to look, and what is said again is no news.
    let mut jobs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for allocation in counted.flatten() {
        *jobs.entry((&allocation.job, &allocation.namespace)).or_default() += 1;
    }
    let all: usize = jobs.values().sum();
    let more: usize = jobs.values().skip(NAMED).sum();
    let name = |((job, namespace), count): (&(&str, &str), &usize)| match count {
        1 => format!("{job} ({namespace})"),
        count => format!("{count} × {job} ({namespace})"),
    };
    let named = jobs.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
    let named = if more > 0 { format!("{named} and {more} more") } else { named };
    match all {
        0 => None,
        1 => Some(format!("1 allocation still runs: {named}")),
        all => Some(format!("{all} allocations still run: {named}")),
    }
}

fn names(seen: &Observation) -> Option<String> {
    let Nodes::Known(nodes) = &seen.nodes else { return None };
    let names: Vec<&str> = nodes.iter().map(|node| node.node.name.as_str()).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("node {one}")),
        several => Some(format!("nodes {}", several.join(" and "))),
    }
}

fn node_named(seen: &Observation, request: &DrainRequest) -> String {
    let Nodes::Known(nodes) = &seen.nodes else { return request.node.to_string() };
    let node = nodes.iter().find(|node| node.node.id == request.node);
    node.map_or_else(|| request.node.to_string(), |node| node.node.name.clone())
}

/// A duration as people say it: no fractions of a second above ten seconds.
fn rounded(duration: SignedDuration) -> String {
    let unit = if duration > SignedDuration::from_secs(10) { Unit::Second } else { Unit::Millisecond };
    let rounded = duration.round(unit).unwrap_or(duration);
    format!("{rounded:#}")
}
