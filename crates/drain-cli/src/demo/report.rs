//! What has happened, as plain data.

use std::collections::BTreeMap;

use drain_lab::journal::Kind;
use drain_lab::lambda::Lambda;
use jiff::Timestamp;
use serde::Serialize;

use super::check;
use super::course::{self, Course};
use super::history::{History, Trigger, is_nomad};
use super::stage::{HOOK_TIMEOUT_S, SERVICES, SWEEP_EVERY, Stage};
use super::story::{Part, Story};
use super::timeline::{self, Line};

/// The demonstration's result: the document of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether everything happened.
    pub(super) succeeded: bool,
    /// The version of the real Nomad on which it was played; none if it was the lab's.
    pub(super) real_nomad: Option<String>,
    /// When the hook held the first instance: the moment from which everything is counted.
    pub(super) began_at: Option<Timestamp>,
    /// Where it was played.
    pub(super) scene: Scene,
    /// While Nomad's servers could not be reached.
    pub(super) outage: Option<Span>,
    /// The instances that were ended.
    pub(super) instances: Vec<Drained>,
    /// How often the function called each operation.
    pub(super) calls: BTreeMap<String, usize>,
    /// How many of these calls went to Nomad.
    pub(super) calls_to_nomad: usize,
    /// How many of these calls went to AWS.
    pub(super) calls_to_aws: usize,
    /// How often the function ran.
    pub(super) runs: usize,
    /// How often it did so to sweep.
    pub(super) sweeps: usize,
    /// How many processes had to be started for events and sweeps.
    pub(super) cold_starts: usize,
    /// What happened, in order.
    pub(super) timeline: Vec<Line>,
    /// What did not happen.
    pub(super) problems: Vec<String>,
}

/// Where the demonstration is played.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Scene {
    /// How many nodes the cluster has.
    pub(super) nodes: usize,
    /// How many of them stay.
    pub(super) staying: usize,
    /// The services that run on it.
    pub(super) services: Vec<String>,
    /// The hook's time-out.
    pub(super) hook_timeout_s: u32,
    /// How often the schedule wakes the function.
    pub(super) sweep_every_s: u64,
}

impl Scene {
    /// That of a stage.
    pub(super) fn of(stage: &Stage) -> Self {
        Self {
            nodes: stage.parts.len() + stage.staying.len(),
            staying: stage.staying.len(),
            services: SERVICES.map(|(name, _)| name.to_owned()).into(),
            hook_timeout_s: HOOK_TIMEOUT_S,
            sweep_every_s: SWEEP_EVERY.as_secs(),
        }
    }

    /// In words: three lines for a terminal. Whoever prints them ends the last sentence.
    pub(super) fn told(&self, real_nomad: Option<&str>) -> [String; 3] {
        let Self { nodes, staying, services, hook_timeout_s, sweep_every_s } = self;
        let nomad = real_nomad.map_or_else(
            || "A Nomad cluster".to_owned(),
            |version| format!("A real Nomad {version} cluster"),
        );
        let services = services.join(", ");
        [
            format!("{nomad} of {nodes} nodes runs services ({services}), batch and system jobs."),
            format!(
                "Auto Scaling ends {} of its instances; {staying} stay. The hook (time-out {hook_timeout_s} s)",
                nodes - staying
            ),
            format!("wakes the real function, and so does a schedule, every {sweep_every_s} s"),
        ]
    }
}

/// Some time, in milliseconds since the hook held the first instance.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Span {
    /// Its beginning.
    pub(super) from_ms: i128,
    /// Its end, if it has one.
    pub(super) to_ms: Option<i128>,
}

/// One instance that was ended.
#[derive(Debug, Serialize)]
pub(super) struct Drained {
    /// The instance.
    pub(super) instance_id: String,
    /// Its node.
    pub(super) node_id: String,
    /// The node's name.
    pub(super) node_name: String,
    /// What it shows.
    pub(super) story: Story,
    /// What told the function of it.
    pub(super) found_by: Option<Trigger>,
    /// From the hook's message, lost or not, until the function could know: 0 if the message arrived.
    pub(super) found_after_ms: Option<i128>,
    /// From the moment at which the function could know until the drain.
    pub(super) event_to_drain_ms: Option<i128>,
    /// From the moment at which the function could know until the last allocation had ended.
    pub(super) event_to_empty_ms: Option<i128>,
    /// From the end of the last allocation until the hook let the instance go.
    pub(super) empty_to_released_ms: Option<i128>,
    /// From the moment at which the hook began to hold the instance until it let it go.
    pub(super) held_ms: Option<i128>,
    /// How many heartbeats kept the instance meanwhile.
    pub(super) heartbeats: usize,
    /// The calls to Nomad that were about it, or about it and others.
    pub(super) calls_to_nomad: usize,
    /// The calls to AWS that were about it.
    pub(super) calls_to_aws: usize,
    /// What made the function run that completed the lifecycle action.
    pub(super) released_by: Option<Trigger>,
    /// The function's word for what it did in the end.
    pub(super) outcome: Option<String>,
    /// The function's word for why.
    pub(super) reason: Option<String>,
    /// Every reason that the function gave, in order, without repetitions.
    pub(super) reasons: Vec<String>,
    /// Everything that has a time.
    pub(super) course: Course,
}

/// The result of a play that is over.
pub(super) fn of(history: &History<'_>) -> Report {
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    let mut to_nomad = 0;
    let begins = history.begins().unwrap_or(Timestamp::MAX);
    let all = history.entries.iter().filter(|entry| entry.kind == Kind::Call && entry.at >= begins);
    for call in all {
        *calls.entry(call.what.clone()).or_default() += 1;
        to_nomad += usize::from(is_nomad(call.system));
    }
    let lab = &history.stage.lab;
    let runs: Vec<_> = lab.lambda().into_iter().chain(lab.sweeper()).flat_map(Lambda::invocations).collect();
    let problems = check::problems(history);
    Report {
        succeeded: problems.is_empty(),
        real_nomad: history.stage.ground.version().map(str::to_owned),
        began_at: history.begins(),
        scene: Scene::of(history.stage),
        outage: history.stage.outage.zip(history.begins()).map(|((from, to), begins)| Span {
            from_ms: from.duration_since(begins).as_millis(),
            to_ms: to.map(|to| to.duration_since(begins).as_millis()),
        }),
        instances: history.stage.parts.iter().map(|part| drained(history, part)).collect(),
        calls_to_nomad: to_nomad,
        calls_to_aws: calls.values().sum::<usize>() - to_nomad,
        calls,
        runs: runs.len(),
        sweeps: lab.sweeper().map_or(0, |sweeper| sweeper.invocations().len()),
        cold_starts: runs.iter().filter(|run| run.is_cold_start()).count(),
        timeline: timeline::of(history, Timestamp::MAX),
        problems,
    }
}

fn drained(history: &History<'_>, part: &Part) -> Drained {
    let (held, found) = (history.held_at(part), history.found_at(part));
    let (empty, released) = (history.last_end(part), history.released_at(part));
    let completion = history.completion(part);
    let mut reasons: Vec<String> = history.answers_about(part).map(|answer| answer.reason.clone()).collect();
    reasons.dedup();
    Drained {
        instance_id: part.worker.instance_id.clone(),
        node_id: part.worker.node_id.clone(),
        node_name: part.worker.name.clone(),
        story: part.story,
        found_by: history.found_by(part),
        found_after_ms: between(held, found),
        event_to_drain_ms: between(found, history.drained_at(part.story)),
        event_to_empty_ms: between(found, empty),
        empty_to_released_ms: between(empty, released),
        held_ms: between(held, released),
        heartbeats: history.heartbeats(part).count(),
        calls_to_nomad: history.calls_about(part, is_nomad),
        calls_to_aws: history.calls_about(part, |system| !is_nomad(system)),
        released_by: completion.map(|answer| answer.by),
        outcome: completion.map(|answer| answer.outcome.clone()),
        reason: completion.map(|answer| answer.reason.clone()),
        reasons,
        course: course::of(history, part),
    }
}

fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<i128> {
    Some(to?.duration_since(from?).as_millis())
}
