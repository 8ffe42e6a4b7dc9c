//! The course of one instance's end, in figures from which a picture can be drawn.

use drain_lab::journal::Entry;
use jiff::Timestamp;
use serde::Serialize;

use super::history::History;
use super::story::Part;
use super::timeline::Actor;

/// What happened to one instance, in milliseconds since the hook held the first one.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Course {
    /// When the hook began to hold it.
    pub(super) held_at_ms: Option<i128>,
    /// When the hook let it go.
    pub(super) released_at_ms: Option<i128>,
    /// How many allocations ran on its node: from when it was held, and whenever that changed.
    pub(super) running: Vec<Running>,
    /// The drains of its node, oldest first.
    pub(super) drains: Vec<Drain>,
    /// When the heartbeats came.
    pub(super) heartbeats_at_ms: Vec<i128>,
}

/// How many allocations ran from a moment on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Running {
    /// The moment.
    pub(super) at_ms: i128,
    /// How many.
    pub(super) allocations: usize,
}

/// One drain of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Drain {
    /// Who began it.
    pub(super) by: Actor,
    /// When.
    pub(super) from_ms: i128,
    /// When it was over, if it was.
    pub(super) to_ms: Option<i128>,
    /// How.
    pub(super) end: Option<DrainEnd>,
}

/// How a drain came to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DrainEnd {
    /// Nomad called it complete.
    Complete,
    /// Nomad called it complete because its deadline had come.
    Deadline,
    /// Somebody cancelled it.
    Cancelled,
}

/// What happened to an instance.
pub(super) fn of(history: &History<'_>, part: &Part) -> Course {
    let Some(begins) = history.begins() else { return Course::default() };
    let since = |at: Timestamp| at.duration_since(begins).as_millis();
    Course {
        held_at_ms: history.held_at(part).map(since),
        released_at_ms: history.released_at(part).map(since),
        running: running(history, part, since),
        drains: drains(history, part, since),
        heartbeats_at_ms: history.heartbeats(part).map(|beat| since(beat.at)).collect(),
    }
}

fn running(history: &History<'_>, part: &Part, since: impl Fn(Timestamp) -> i128) -> Vec<Running> {
    let Some(held) = history.held_at(part) else { return Vec::new() };
    let until = history.released_at(part).unwrap_or(Timestamp::MAX);
    let allocations = history.allocations(part);
    let changes = allocations.iter().flat_map(|alloc| [Some(alloc.created_at), alloc.ended_at]).flatten();
    let mut changes: Vec<Timestamp> =
        changes.filter(|at| (held..=until).contains(at)).chain([held]).collect();
    changes.sort();
    let counts = changes
        .into_iter()
        .map(|at| Running { at_ms: since(at), allocations: history.running_at(part, at).len() });
    let mut counts: Vec<Running> = counts.collect();
    counts.dedup_by_key(|count| count.allocations);
    counts
}

fn drains(history: &History<'_>, part: &Part, since: impl Fn(Timestamp) -> i128) -> Vec<Drain> {
    let node = &part.worker.node_id;
    let begun = history.effects("drain started", node);
    let ended: Vec<&Entry> = ["drain complete", "drain cancelled"]
        .into_iter()
        .flat_map(|what| history.effects(what, node))
        .collect();
    let drains = begun.map(|begin| {
        let end = ended.iter().filter(|end| end.at >= begin.at).min_by_key(|end| end.at);
        Drain {
            by: history.drains(part, begin.at),
            from_ms: since(begin.at),
            to_ms: end.map(|end| since(end.at)),
            end: end.map(|end| how(end)),
        }
    });
    drains.collect()
}

fn how(end: &Entry) -> DrainEnd {
    match (end.what.as_str(), end.detail.is_empty()) {
        ("drain cancelled", _) => DrainEnd::Cancelled,
        (_, true) => DrainEnd::Complete,
        (_, false) => DrainEnd::Deadline,
    }
}

impl Course {
    /// When the last allocation had ended, and none came after it.
    pub(super) fn empty_at_ms(&self) -> Option<i128> {
        self.running.last().filter(|last| last.allocations == 0).map(|last| last.at_ms)
    }

    /// The last moment of which anything is known.
    pub(super) fn ends_at_ms(&self) -> Option<i128> {
        let drains = self.drains.iter().flat_map(|drain| [Some(drain.from_ms), drain.to_ms]);
        let known = [self.held_at_ms, self.running.last().map(|last| last.at_ms)].into_iter().chain(drains);
        self.released_at_ms.or_else(|| known.flatten().chain(self.heartbeats_at_ms.iter().copied()).max())
    }
}
