//! Whether everything has happened, and nothing else: what the exit status stands for.

use drain_lab::journal::{Entry, Kind};
use drain_lab::nomad::{DrainStatus, JobKind};
use jiff::{SignedDuration, Timestamp};

use super::history::{History, Trigger};
use super::stage::SERVICES;
use super::story::{Part, Story};

/// So long, at least, a task outlives the drain that it ignores.
const OUTLIVES: SignedDuration = SignedDuration::from_secs(2);

/// What should have happened and did not, or the other way round.
pub(super) fn problems(history: &History<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for part in &history.stage.parts {
        let found = released(history, part).into_iter().chain(drained(history, part));
        let found = found.chain(story(history, part));
        problems.extend(found.map(|problem| format!("{}: {problem}", part.worker.name)));
    }
    for worker in &history.stage.staying {
        let node = history.stage.node(worker);
        if node.is_none_or(|node| !node.eligible || node.last_drain.is_some()) {
            problems.push(format!("{}: it should have been left alone", worker.name));
        }
    }
    for (job, count) in SERVICES {
        let running = history.stage.running(job);
        if running != count {
            problems.push(format!("service {job} runs {running} times instead of {count}"));
        }
    }
    problems
}

/// The one rule that must never be broken: an instance is let go once, by the function, and after its last allocation.
fn released(history: &History<'_>, part: &Part) -> Vec<String> {
    let mut problems = Vec::new();
    let completed: Vec<&Entry> =
        history.effects("lifecycle action completed", &part.worker.instance_id).collect();
    if completed.len() != 1 || completed.iter().any(|entry| !entry.detail.starts_with("CONTINUE")) {
        problems.push("its lifecycle action was not completed once, with CONTINUE".to_owned());
    }
    if history.effects("lifecycle action timed out", &part.worker.instance_id).next().is_some() {
        problems.push("its hook has timed out".to_owned());
    }
    if history.completion(part).is_none_or(|answer| answer.reason != "drained") {
        problems
            .push("the function did not say that it completed the action because all is drained".to_owned());
    }
    if let Some(released) = history.released_at(part) {
        let ended_late = |ended: Option<Timestamp>| ended.is_none_or(|ended| ended > released);
        for alloc in history.allocations(part).iter().filter(|alloc| ended_late(alloc.ended_at)) {
            problems.push(format!("it was released while {} still ran", alloc.name));
        }
    }
    problems
}

/// The function's drain: posted once, stamped, and after it the node takes nothing.
fn drained(history: &History<'_>, part: &Part) -> Vec<String> {
    let mut problems = Vec::new();
    let posts = history.entries.iter().filter(|entry| {
        let to_it = entry.what == "POST /v1/node/:id/drain" && entry.subject == part.worker.node_id;
        entry.kind == Kind::Call && to_it
    });
    let posts = posts.count();
    if posts != 1 {
        problems.push(format!("the function posted {posts} drains instead of one"));
    }
    let Some(node) = history.stage.node(&part.worker) else {
        problems.push("its node is gone".to_owned());
        return problems;
    };
    if node.eligible {
        problems.push("its node still takes work".to_owned());
    }
    let Some(drain) = node.last_drain.filter(|drain| drain.status == DrainStatus::Complete) else {
        problems.push("its drain has not come to its end".to_owned());
        return problems;
    };
    let stamped = drain.meta.get("instance-id") == Some(&part.worker.instance_id);
    if stamped == (part.story == Story::OperatorCancels) {
        problems.push("its last drain is not that of whoever should have begun it".to_owned());
    }
    problems
}

/// What is special about it.
fn story(history: &History<'_>, part: &Part) -> Vec<String> {
    let by_event = history.found_by(part) == Some(Trigger::Event);
    let facts: Vec<(bool, &str)> = match part.story {
        Story::Ordinary => {
            let kinds: Vec<JobKind> = history.allocations(part).into_iter().map(|alloc| alloc.kind).collect();
            let all = [JobKind::Service, JobKind::Batch, JobKind::System];
            vec![
                (by_event, "its event was not answered"),
                (all.iter().all(|kind| kinds.contains(kind)), "not every type of job ran on it"),
            ]
        }
        Story::SlowKill => {
            let complete = history.effects("drain complete", &part.worker.node_id).next();
            let outlived = complete.zip(history.last_end(part));
            vec![
                (by_event, "its event was not answered"),
                (
                    outlived.is_some_and(|(drain, end)| end.duration_since(drain.at) >= OUTLIVES),
                    "no task has outlived its drain",
                ),
            ]
        }
        Story::LostEvent => {
            let first = history.heartbeats(part).next();
            let proven = first.zip(history.drained_at(part.story));
            vec![
                (!by_event, "its event should have been lost"),
                (proven.is_some_and(|(beat, drain)| beat.at < drain), "no heartbeat came before the drain"),
            ]
        }
        Story::OperatorCancels => {
            let cancelled = history.effects("drain cancelled", &part.worker.node_id).count();
            let held = history.has_answered(part.story, "drain_cancelled");
            vec![
                (by_event, "its event was not answered"),
                (cancelled == 1, "nobody has cancelled its drain"),
                (held, "the function did not say that its drain was cancelled"),
            ]
        }
        Story::NomadOutage => {
            let Some((from, Some(to))) = history.stage.outage else {
                return vec!["there was no outage".to_owned()];
            };
            let patient = history.released_at(part).is_some_and(|released| released >= to);
            let posted = history.drained_at(part.story).is_some_and(|drained| drained <= from);
            vec![
                (by_event, "its event was not answered"),
                (posted, "it was not drained before the outage"),
                (patient, "it was released during the outage"),
                (history.has_held_through_outage(part.story), "it was not held through the outage"),
            ]
        }
    };
    facts.into_iter().filter(|(holds, _)| !holds).map(|(_, problem)| problem.to_owned()).collect()
}
