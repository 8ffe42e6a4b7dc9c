//! What has happened, line by line.

use std::collections::BTreeMap;

use drain_lab::journal::{Entry, Kind};
use drain_lab::nomad::AllocView;
use jiff::Timestamp;
use serde::Serialize;

use super::history::{Answer, History, Trigger};
use super::story::{Part, Story};
use super::text;

/// Who did something.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Actor {
    /// Auto Scaling.
    AutoScaling,
    /// What is between the systems.
    Network,
    /// Somebody with a terminal.
    Operator,
    /// The function.
    Function,
    /// The function, as its schedule woke it.
    Sweep,
    /// Nomad.
    Nomad,
}

impl Actor {
    /// The name in a column.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AutoScaling => "AWS",
            Self::Network => "network",
            Self::Operator => "operator",
            Self::Function => "function",
            Self::Sweep => "sweep",
            Self::Nomad => "Nomad",
        }
    }
}

/// One line of the timeline.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(super) struct Line {
    /// Milliseconds since the first instance was held.
    pub(super) at_ms: i128,
    /// The node that it concerned.
    pub(super) node: Option<String>,
    /// Who did it.
    pub(super) who: Actor,
    /// What, in words.
    pub(super) what: String,
}

/// What has happened since the first instance was held, up to a moment.
pub(super) fn of(history: &History<'_>, until: Timestamp) -> Vec<Line> {
    let Some(start) = history.begins() else { return Vec::new() };
    let mut told: Vec<(Timestamp, Line)> = Vec::new();
    let mut tell = |at: Timestamp, node: Option<&str>, who: Actor, what: String| {
        if (start..=until).contains(&at) {
            let at_ms = at.duration_since(start).as_millis();
            told.push((at, Line { at_ms, node: node.map(str::to_owned), who, what }));
        }
    };
    for note in &history.stage.notes {
        tell(note.at, note.node.as_deref(), note.who, note.what.to_owned());
    }
    for part in &history.stage.parts {
        let ids = [&part.worker.instance_id, &part.worker.node_id];
        let about = history.entries.iter().filter(|entry| ids.contains(&&entry.subject));
        let about: Vec<&Entry> = about.filter(|entry| entry.kind == Kind::Effect).collect();
        // What ends at the same moment is one line.
        for same in about.chunk_by(|one, next| (one.at, &one.what) == (next.at, &next.what)) {
            if let Some((at, who, what)) = effect(history, part, same) {
                tell(at, Some(&part.worker.name), who, what);
            }
        }
        for answer in news(history.answers_about(part)) {
            let what = format!("answers: {} ({})", answer.outcome, answer.reason);
            tell(answer.at, Some(&part.worker.name), actor(answer.by), what);
        }
    }
    told.sort_by_key(|(at, _)| *at);
    told.into_iter().map(|(_, line)| line).collect()
}

fn actor(trigger: Trigger) -> Actor {
    match trigger {
        Trigger::Event => Actor::Function,
        Trigger::Sweep => Actor::Sweep,
    }
}

/// The answers that say something new: not what the one before said, nor what the timeline says anyhow.
fn news<'a>(answers: impl Iterator<Item = &'a Answer>) -> impl Iterator<Item = &'a Answer> {
    const TOLD: [&str; 5] =
        ["drain_posted", "allocations_running", "drain_ending", "drained", "no_active_action"];
    let mut said = "";
    answers.filter(move |answer| {
        let is_new = std::mem::replace(&mut said, &answer.reason) != answer.reason;
        is_new && !TOLD.contains(&answer.reason.as_str())
    })
}

/// Changes of one kind at one moment in words, unless a reader can infer them from the line before or after.
fn effect(history: &History<'_>, part: &Part, same: &[&Entry]) -> Option<(Timestamp, Actor, String)> {
    let entry = same.first()?;
    let at = entry.at;
    let (held, released) = (history.held_at(part)?, history.released_at(part).unwrap_or(Timestamp::MAX));
    let function = if part.story == Story::LostEvent { Actor::Sweep } else { Actor::Function };
    let by_operator = history.drains(part, at) == Actor::Operator;
    let left = history.running_at(part, at);
    let (who, what) = match entry.what.as_str() {
        "lifecycle action started" => (Actor::AutoScaling, "ends it, and the hook holds it".to_owned()),
        "lifecycle action heartbeat" => {
            let proves = history.drained_at(part.story).is_none_or(|drained| at < drained);
            let what = if proves { "heartbeat: proves that the hook holds it" } else { "heartbeat" };
            (function, what.to_owned())
        }
        "drain started" if !by_operator => (function, format!("drains the node, {}", entry.detail)),
        "drain complete" => {
            let forced = if entry.detail.is_empty() { "" } else { " by deadline" };
            (Actor::Nomad, format!("drain complete{forced}{}", still(&left)))
        }
        "allocation stopped" if (held..=released).contains(&at) => {
            let names: Vec<String> =
                same.iter().filter_map(|entry| entry.detail.split(' ').next()).map(short).collect();
            let verb = if names.len() == 1 { "has" } else { "have" };
            let left = if left.is_empty() { "nothing".to_owned() } else { left.len().to_string() };
            (Actor::Nomad, format!("{} {verb} ended, {left} left", names.join(", ")))
        }
        "lifecycle action completed" => {
            let after = history.last_end(part).map(|end| text::seconds(at.duration_since(end).as_millis()));
            let after = after.map_or_else(|| "before".to_owned(), |after| format!("{after} after"));
            (function, format!("releases it {after} its last allocation"))
        }
        "lifecycle action timed out" => (Actor::AutoScaling, "the hook has timed out".to_owned()),
        _ => return None,
    };
    Some((at, who, what))
}

fn still(left: &[AllocView]) -> String {
    let jobs: Vec<&str> = left.iter().map(|alloc| alloc.job_id.as_str()).collect();
    match jobs.as_slice() {
        [] => String::new(),
        [one] => format!("; {one} runs on"),
        several => format!("; {} run on", several.join(", ")),
    }
}

/// Allocations by job, with their number.
pub(super) fn by_job(allocations: &[AllocView]) -> String {
    let mut by_job: BTreeMap<&str, usize> = BTreeMap::new();
    for allocation in allocations {
        *by_job.entry(&allocation.job_id).or_default() += 1;
    }
    let jobs: Vec<String> = by_job.into_iter().map(|(job, count)| format!("{job} {count}")).collect();
    jobs.join(", ")
}

/// Every job has one task group, whose name says nothing to a reader.
fn short(name: &str) -> String {
    name.replace(".app[", "[")
}
