//! The fault matrix: every call to the outside × every way in which it can fail, once while a sweep looks and once while
//! an event does. Whatever fails, nothing is released while work runs on it, and when the fault has passed the instance
//! is finished. The tables below say what is reported meanwhile; docs/BEHAVIOR.md shows them to operators.
//!
//! The hook has held every instance for longer than `NODE_JOIN_GRACE`: to take "not known" for "not there" would release
//! it at once. All cells of a table run side by side, and those that fail are named.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use drain_lab::aws::GroupSettings;
use drain_lab::faults::Fault;
use drain_lab::lab::{Lab, TOKEN, Worker};
use drain_lab::lambda::{InvocationRecord, Outcome};
use drain_lab::models::Models;
use drain_lab::nomad::{Access, NodeSpec, Policy, Token};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::harness::{
    GROUP, completions, count, effects, function, heartbeats, lab_before, message_of, present, slow_service,
    terminate,
};

/// Cells that are tried at a time: nearly all of their time they wait.
const AT_ONCE: usize = 70;

/// Processes that start at a time: that is what costs something, and those that wait for it lose their time.
static STARTS: Semaphore = Semaphore::const_new(3);

/// Every call to the outside.
const CALLS: [&str; 17] = [
    "GetParameter",
    "DescribeAutoScalingGroups",
    "DescribeLifecycleHooks",
    "DescribeWarmPool",
    "DescribeScalingActivities",
    "RecordLifecycleActionHeartbeat",
    "CompleteLifecycleAction",
    "DescribeInstances",
    "GET /v1/nodes",
    "GET /v1/node/:id",
    "GET /v1/node/:id/allocations",
    "POST /v1/node/:id/drain",
    "POST /v1/node/:id/eligibility",
    "GET /v1/acl/token/self",
    "GET /v1/acl/policy/:name",
    "GET /v1/acl/role/:id",
    "GET /v1/agent/self",
];

/// Every way to fail, in the order of the tables' columns.
const FAULTS: [&str; 9] =
    ["hang", "reset", "answer lost", "throttled", "500", "403", "truncated", "not JSON/XML", "slow"];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    Sweep,
    Event,
}

/// A call, and how it fails.
#[derive(Clone, Copy, Debug)]
struct Cell {
    by: By,
    call: &'static str,
    fault: &'static str,
}

impl Cell {
    /// A worker on which a service runs that takes a second to stop, in a lab in which the call is made.
    fn prepare(self, lab: &Lab) -> (Worker, Vec<(&'static str, String)>) {
        lab.aws.create_group(GroupSettings::named(GROUP).with_warm_pool());
        lab.aws.put_lifecycle_hook(GROUP, Models::hook(900)).unwrap();
        lab.nomad.add_policy("agent", Policy::default().agent(Access::Read));
        let role = lab.nomad.add_role("watcher", &["nomad-drain"]);
        lab.nomad.add_token(Token::client(TOKEN, &["agent"]).role(&role));
        let knows_itself = |id: &str, node: NodeSpec| match self.call {
            "DescribeInstances" => node,
            _ => node.instance_id(id),
        };
        let worker = lab.add_worker_as(GROUP, 1, knows_itself).unwrap();
        lab.nomad.add_job(slow_service(Duration::from_secs(1)));
        match self.call {
            "DescribeWarmPool" => lab.aws.return_to_warm_pool(&worker.instance_id).unwrap(),
            _ => terminate(lab, &worker),
        }
        if self.call == "POST /v1/node/:id/eligibility" {
            lab.nomad.kill_client(&worker.node_id).unwrap();
        }
        let lookup = if self.call == "GET /v1/agent/self" { "agent" } else { "auto" };
        (worker, vec![("NODE_LOOKUP", lookup.to_owned())])
    }

    fn begin(self, lab: &Lab) {
        let fault = match self.fault {
            "hang" => Fault::Hang,
            "reset" => Fault::Reset,
            "answer lost" => Fault::ResetAfterEffect,
            "throttled" => Fault::Throttled,
            "500" => Fault::Status(500, "Internal Server Error".to_owned()),
            "403" => match self.iam_action() {
                Some(action) => return lab.aws.deny(&action),
                None => Fault::Status(403, "Permission denied".to_owned()),
            },
            "truncated" => Fault::Truncate,
            "slow" => Fault::Delay(Duration::from_millis(400)),
            _ => Fault::Garbage,
        };
        lab.faults.always(self.call, &fault);
    }

    fn end(self, lab: &Lab) {
        lab.faults.clear();
        if let Some(action) = self.iam_action() {
            lab.aws.allow(&action);
        }
    }

    fn iam_action(self) -> Option<String> {
        match self.call {
            "GetParameter" => Some("ssm:GetParameter".to_owned()),
            "DescribeInstances" => Some("ec2:DescribeInstances".to_owned()),
            call if call.contains('/') => None,
            call => Some(format!("autoscaling:{call}")),
        }
    }

    /// Whether this kind of invocation makes the call at all.
    fn exists(self) -> bool {
        const OF_SWEEPS: [&str; 3] =
            ["DescribeAutoScalingGroups", "DescribeWarmPool", "DescribeScalingActivities"];
        self.by == By::Sweep || !OF_SWEEPS.contains(&self.call)
    }

    /// Whether the instance has to be kept alive meanwhile.
    fn is_kept_alive(self, meanwhile: &str) -> bool {
        self.by == By::Sweep && meanwhile.starts_with("held") && self.call != "RecordLifecycleActionHeartbeat"
    }

    /// Tries it. The answer is what is reported while the fault lasts, and that invocation's log, or what is wrong.
    async fn try_it(self) -> Result<Became, String> {
        let lab = lab_before(Duration::from_mins(6)).await;
        let (worker, mut variables) = self.prepare(&lab);
        let agent = lab.serve_agent(&worker).await.map_err(|error| error.to_string())?;
        variables.push(("NOMAD_AGENT_URL", format!("http://{{ip}}:{}", agent.address().port())));
        let _time = present(&lab);
        // A heartbeat is due in every minute from here on.
        lab.aws.put_lifecycle_hook(GROUP, Models::hook(300)).unwrap();
        let common = [
            ("AUTO_SCALING_GROUPS", GROUP),
            ("SWEEP_LINGER", "8s"),
            ("EVENT_LINGER", "8s"),
            ("POLL_INTERVAL", "1s"),
        ];
        let mut variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).chain(common).collect();
        if self.by == By::Sweep {
            variables.push(("SWEEP", "on"));
        }
        let mut settings = function(&lab, &variables);
        settings.timeout = Duration::from_secs(16);
        let lambda = lab.deploy(settings);
        {
            let _permit = STARTS.acquire().await;
            lambda.invoke(&json!({"Event": "autoscaling:TEST_NOTIFICATION"})).await;
        }
        let event = match self.by {
            By::Sweep => json!({"action": "sweep"}),
            By::Event => message_of(&lab, &worker),
        };

        self.begin(&lab);
        let run = lambda.invoke(&event).await;
        if count(&lab, self.call) == 0 {
            return Err("the call is not made".to_owned());
        }
        not_too_early(&lab, &worker)?;
        let meanwhile = reported(&run, !completions(&lab, &worker).is_empty())?;
        if self.is_kept_alive(&meanwhile) && heartbeats(&lab, &worker) == 0 {
            return Err(format!("{meanwhile}, and it was not kept alive"));
        }

        self.end(&lab);
        for _ in 0..3 {
            if completions(&lab, &worker).is_empty() {
                lambda.invoke(&json!({"action": "sweep"})).await;
            }
        }
        not_too_early(&lab, &worker)?;
        match completions(&lab, &worker).len() {
            1 => Ok(Became { told: meanwhile, log: last_words(Some(&run)).join("\n") }),
            times => Err(format!(
                "{meanwhile}; completed {times} times: {:#?}",
                last_words(lambda.invocations().last())
            )),
        }
    }
}

/// What became of a cell.
struct Became {
    told: String,
    log: String,
}

impl Became {
    /// The call is not made.
    fn none() -> Self {
        Self { told: "—".to_owned(), log: String::new() }
    }
}

fn last_words(run: Option<&InvocationRecord>) -> Vec<&str> {
    run.map(|run| run.log.iter().map(|line| line.text.as_str()).collect()).unwrap_or_default()
}

/// Nothing was completed while an allocation ran.
fn not_too_early(lab: &Lab, worker: &Worker) -> Result<(), String> {
    let completed = effects(lab, "lifecycle action completed", &worker.instance_id);
    for allocation in lab.nomad.allocations_on(&worker.node_id) {
        for completion in &completed {
            if allocation.ended_at.is_none_or(|ended| ended > completion.at) {
                return Err(format!("completed while {} ran: {}", allocation.name, completion.detail));
            }
        }
    }
    Ok(())
}

/// What operators see while the fault lasts, in short.
fn reported(run: &InvocationRecord, released: bool) -> Result<String, String> {
    let mut told = match &run.outcome {
        Outcome::Failed { error_type, .. } if error_type.contains('.') => {
            return Err(format!("the function did not end by itself: {error_type}"));
        }
        Outcome::Throttled => return Err("it did not run".to_owned()),
        Outcome::Failed { error_type, .. } => format!("error `{error_type}`"),
        Outcome::Succeeded(response) => match response["results"].as_array().map(Vec::as_slice) {
            Some([result]) => in_words(result),
            Some([]) => "nothing found".to_owned(),
            other => return Err(format!("{other:?}")),
        },
    };
    if released && !told.contains("released") {
        told.push_str(", released");
    }
    let noted = run
        .log
        .iter()
        .any(|line| ["WARN", "ERROR"].iter().any(|level| line.text.trim_start().starts_with(level)));
    if told.starts_with("error") || !noted {
        return Ok(told);
    }
    Ok(format!("{told}, warned"))
}

fn in_words(result: &Value) -> String {
    let word = |field: &str| result[field].as_str().unwrap_or_default().to_owned();
    match (word("outcome").as_str(), word("reason").as_str()) {
        ("completed", "drained") => "released".to_owned(),
        (outcome, reason) => format!("{outcome} `{reason}`"),
    }
}

/// Tries every cell, and fails with those that break a promise, or whose report is not as the table says.
async fn matrix(by: By, expected: &str) {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut cells = JoinSet::new();
    for (row, call) in CALLS.into_iter().enumerate() {
        for (column, fault) in FAULTS.into_iter().enumerate() {
            let (cell, at_once) = (Cell { by, call, fault }, Arc::clone(&at_once));
            cells.spawn(async move {
                let _permit = at_once.acquire().await;
                let became = if cell.exists() { cell.try_it().await } else { Ok(Became::none()) };
                (row, column, cell, became)
            });
        }
    }
    let mut done = cells.join_all().await;
    done.sort_by_key(|(row, column, ..)| (*row, *column));
    let mut table = format!("| call | {} |\n|---|{}\n", FAULTS.join(" | "), "---|".repeat(FAULTS.len()));
    for row in done.chunks(FAULTS.len()) {
        let told = row.iter().map(|(.., became)| became.as_ref().map_or("BROKEN", |became| &became.told));
        let _ = writeln!(table, "| `{}` | {} |", row[0].2.call, told.collect::<Vec<_>>().join(" | "));
    }
    if let Some(folder) = std::env::var_os("FAULT_MATRIX") {
        std::fs::write(std::path::Path::new(&folder).join(format!("{by:?}.md")), &table).unwrap();
    }
    let rows = expected.lines().skip(2).map(|line| line.trim_matches(['|', ' ']).split(" | ").skip(1));
    let expected: Vec<&str> = rows.flatten().collect();
    assert_eq!(expected.len(), done.len(), "{table}");
    let wrong: Vec<String> = done
        .iter()
        .zip(expected)
        .filter_map(|((_, _, cell, became), should)| match became {
            Ok(became) if is_as_told(&became.told, should) => None,
            Ok(Became { told, log }) => {
                Some(format!("{} × {}: {told}, and should be {should}\n{log}", cell.call, cell.fault))
            }
            Err(broken) => Some(format!("{} × {}: {broken}", cell.call, cell.fault)),
        })
        .collect();
    assert!(wrong.is_empty(), "{}\n{table}", wrong.join("\n"));
}

/// Whether a cell is of the kind that it should be. The exact reason can depend on how far the invocation got: a machine
/// that is busy may leave to the next one what a fast machine finishes. Where chance decides in any case, the table says
/// `this or that`.
fn is_as_told(is: &str, should: &str) -> bool {
    let is = kind(is);
    should.split(" or ").map(kind).any(|should| is == should || (is, should) == ("begun", "released"))
}

fn kind(told: &str) -> &str {
    match told.split([' ', ',']).next() {
        Some("drain_started" | "left_to_hook") => "begun",
        _ if told.contains("released") => "released",
        Some(word @ ("error" | "held" | "nothing" | "completed")) => word,
        _ => told,
    }
}

#[tokio::test]
async fn every_fault_of_every_call_while_a_sweep_looks() {
    matrix(By::Sweep, include_str!("faults/sweep.md")).await;
}

#[tokio::test]
async fn every_fault_of_every_call_while_an_event_is_handled() {
    matrix(By::Event, include_str!("faults/event.md")).await;
}
