//! What has happened, as plain data, and whether it is all that should have.

use std::collections::BTreeMap;

use drain_lab::journal::{Entry, Kind, System};
use drain_lab::lab::Worker;
use drain_lab::nomad::DrainStatus;
use jiff::Timestamp;
use serde::Serialize;

use super::scenario::{SERVICES, Scenario};

/// The demonstration's result: the document of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether everything happened.
    pub(super) succeeded: bool,
    /// The instances that were ended.
    pub(super) instances: Vec<Drained>,
    /// How often the function called each operation.
    pub(super) calls: BTreeMap<String, usize>,
    /// How many processes had to be started for the two events.
    pub(super) cold_starts: usize,
    /// What happened, in order.
    pub(super) timeline: Vec<Line>,
    /// What did not happen.
    pub(super) problems: Vec<String>,
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
    /// From the hook's message to the drain.
    pub(super) event_to_drain_ms: Option<i128>,
    /// From the hook's message until nothing ran on the node any more.
    pub(super) event_to_empty_ms: Option<i128>,
    /// The function's word for what it did.
    pub(super) outcome: Option<String>,
    /// The function's word for why.
    pub(super) reason: Option<String>,
}

/// One line of the timeline.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// Milliseconds since the first instance was held.
    pub(super) at_ms: i128,
    /// Where.
    pub(super) system: System,
    /// A call of the function, or a change.
    pub(super) kind: Kind,
    /// The operation, or what changed.
    pub(super) what: String,
    /// What it was about: a node by its name, an instance, a parameter.
    pub(super) subject: String,
    /// More about it.
    pub(super) detail: String,
}

/// The result of a scenario that has been played.
pub(super) fn of(scenario: &Scenario) -> Report {
    let timeline = timeline(scenario, Timestamp::MAX);
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for line in timeline.iter().filter(|line| line.kind == Kind::Call) {
        *calls.entry(line.what.clone()).or_default() += 1;
    }
    let runs = scenario.leaving.iter().flat_map(|worker| scenario.runs_about(worker));
    let cold_starts = runs.filter(drain_lab::lambda::InvocationRecord::is_cold_start).count();
    let instances: Vec<Drained> = scenario.leaving.iter().map(|worker| drained(scenario, worker)).collect();
    let problems = problems(scenario, &instances);
    Report { succeeded: problems.is_empty(), instances, calls, cold_starts, timeline, problems }
}

/// What has happened since the first instance was held, up to a moment.
pub(super) fn timeline(scenario: &Scenario, until: Timestamp) -> Vec<Line> {
    let start = scenario.leaving.iter().filter_map(|worker| scenario.held_since(worker)).min();
    let Some(start) = start else { return Vec::new() };
    let entries = scenario.lab.journal.entries().into_iter();
    let told = entries.filter(|entry| (start..=until).contains(&entry.at) && is_told(scenario, entry));
    let names = names(scenario);
    told.map(|entry| Line {
        at_ms: entry.at.duration_since(start).as_millis(),
        system: entry.system,
        kind: entry.kind,
        subject: names.get(&entry.subject).unwrap_or(&entry.subject).clone(),
        detail: without_ids(&entry),
        what: entry.what,
    })
    .collect()
}

/// Everything but what a reader can infer from the line before or after, and batch work that ends where it may.
fn is_told(scenario: &Scenario, entry: &Entry) -> bool {
    match entry.what.as_str() {
        "allocation stopping" | "invoked" => false,
        "allocation stopped" => scenario.leaving.iter().any(|worker| worker.node_id == entry.subject),
        _ => true,
    }
}

/// What ids stand for: nodes by their names, events by the node that they are about.
fn names(scenario: &Scenario) -> BTreeMap<String, String> {
    let workers = scenario.leaving.iter().chain(&scenario.staying);
    let mut names: BTreeMap<String, String> =
        workers.map(|worker| (worker.node_id.clone(), worker.name.clone())).collect();
    for worker in &scenario.leaving {
        for run in scenario.runs_about(worker) {
            names.insert(run.request_id, format!("event of {}", worker.name));
        }
    }
    names
}

/// Allocations are told by name; their ids say nothing to a reader.
fn without_ids(entry: &Entry) -> String {
    if entry.what.starts_with("allocation ") {
        return entry.detail.split(' ').next().unwrap_or_default().to_owned();
    }
    entry.detail.clone()
}

fn drained(scenario: &Scenario, worker: &Worker) -> Drained {
    let since_held =
        |moment: Option<Timestamp>| Some(moment?.duration_since(scenario.held_since(worker)?).as_millis());
    let run = scenario.runs_about(worker).into_iter().next();
    let result = run.as_ref().and_then(|run| run.outcome.response()).map(|response| &response["results"][0]);
    let word = |field: &str| result.and_then(|result| result[field].as_str()).map(str::to_owned);
    Drained {
        instance_id: worker.instance_id.clone(),
        node_id: worker.node_id.clone(),
        node_name: worker.name.clone(),
        event_to_drain_ms: since_held(effect(scenario, worker, "drain started")),
        event_to_empty_ms: since_held(emptied_at(scenario, worker)),
        outcome: word("outcome"),
        reason: word("reason"),
    }
}

fn effect(scenario: &Scenario, worker: &Worker, what: &str) -> Option<Timestamp> {
    let entries = scenario.lab.journal.entries();
    let found = entries
        .iter()
        .find(|entry| entry.kind == Kind::Effect && entry.what == what && entry.subject == worker.node_id);
    found.map(|entry| entry.at)
}

/// The drain is over and the last allocation, system jobs included, has ended.
fn emptied_at(scenario: &Scenario, worker: &Worker) -> Option<Timestamp> {
    if !scenario.is_empty(worker) {
        return None;
    }
    let ends =
        scenario.lab.nomad.allocations_on(&worker.node_id).into_iter().filter_map(|alloc| alloc.ended_at);
    ends.chain(effect(scenario, worker, "drain complete")).max()
}

fn problems(scenario: &Scenario, instances: &[Drained]) -> Vec<String> {
    let mut problems = Vec::new();
    for (worker, drained) in scenario.leaving.iter().zip(instances) {
        let name = &worker.name;
        if drained.outcome.as_deref() != Some("drain_started") {
            problems.push(format!("the function did not say that it started to drain {name}"));
        }
        let posts = posts_to(scenario, worker);
        if posts != 1 {
            problems.push(format!("{name} got {posts} drain requests instead of one"));
        }
        let Some(node) = scenario.lab.node(worker) else {
            problems.push(format!("{name} is gone"));
            continue;
        };
        if node.eligible {
            problems.push(format!("{name} still takes work"));
        }
        match node.last_drain {
            Some(drain) if drain.status == DrainStatus::Complete => {
                if drain.meta.get("instance-id") != Some(&worker.instance_id) {
                    problems.push(format!("the drain of {name} does not carry the function's stamp"));
                }
            }
            _ => problems.push(format!("the drain of {name} has not come to its end")),
        }
        let running = scenario.running_on(worker).len();
        if running > 0 {
            problems.push(format!("{running} allocations still run on {name}"));
        }
    }
    for worker in &scenario.staying {
        if scenario.lab.node(worker).is_none_or(|node| !node.eligible || node.last_drain.is_some()) {
            problems.push(format!("{} should have been left alone", worker.name));
        }
    }
    for (job, count) in SERVICES {
        let running = scenario.running(job);
        if running != count {
            problems.push(format!("service {job} runs {running} times instead of {count}"));
        }
    }
    problems
}

fn posts_to(scenario: &Scenario, worker: &Worker) -> usize {
    let entries = scenario.lab.journal.entries();
    let posts = entries.iter().filter(|entry| {
        entry.kind == Kind::Call && entry.what == "POST /v1/node/:id/drain" && entry.subject == worker.node_id
    });
    posts.count()
}
