//! A lab with a group of workers, and the questions that tests ask of it.
//!
//! What the account announces is lost unless a test says otherwise: most tests deliver a message themselves, or let a
//! sweep find what no message told.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use drain_lab::aws::{ActionRef, ActionResult};
use drain_lab::clock::Clock;
use drain_lab::journal::{Entry, Kind, System};
use drain_lab::lab::{HOOK, Lab, TOKEN, Worker};
use drain_lab::lambda::{Function, InvocationRecord, Lambda, Outcome};
use drain_lab::models::Models;
use drain_lab::nomad::JobSpec;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

/// The group of every test.
pub(crate) const GROUP: &str = "workers";

/// The drain of a node.
pub(crate) const POST: &str = "POST /v1/node/:id/drain";

/// What keeps a hook's instance.
pub(crate) const HEARTBEAT: &str = "RecordLifecycleActionHeartbeat";

/// What every look at a node reads.
pub(crate) const ALLOCATIONS: &str = "GET /v1/node/:id/allocations";

/// The time between two looks in every test that does not say otherwise.
const POLL_INTERVAL: &str = "100ms";

/// Gives the hook of a lab's group other timers.
pub(crate) fn heartbeat_timeout(lab: &Lab, seconds: u32) {
    lab.aws.put_lifecycle_hook(GROUP, Models::hook(seconds)).unwrap();
}

/// A lab in which time runs.
pub(crate) async fn lab() -> Lab {
    with_group(Clock::running()).await
}

/// A lab in which it is earlier, by `ago`, and time stands still until [`present`] comes.
pub(crate) async fn lab_before(ago: Duration) -> Lab {
    with_group(Clock::stopped_at(Timestamp::now() - SignedDuration::try_from(ago).unwrap())).await
}

/// A lab in which it is earlier, by `ago`, and time runs. The function's clock is always the real one.
pub(crate) async fn lab_since(ago: Duration) -> Lab {
    with_group(Clock::running_from(Timestamp::now() - SignedDuration::try_from(ago).unwrap())).await
}

async fn with_group(clock: Clock) -> Lab {
    let lab = Lab::start(clock).await.unwrap();
    lab.add_group(GROUP, 3600).unwrap();
    lab.nomad.set_batch_interval(SignedDuration::from_millis(50));
    lab.lose_events(true);
    lab
}

/// Lets the time pass up to now; from here on the lab's clock goes as every other does, until the answer is dropped.
#[must_use]
pub(crate) fn present(lab: &Lab) -> JoinSet<()> {
    lab.advance_to(Timestamp::now());
    let clock = lab.clock.clone();
    let mut running = JoinSet::new();
    running.spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let behind = Timestamp::now().duration_since(clock.now());
            clock.advance(behind.max(SignedDuration::ZERO).unsigned_abs());
        }
    });
    running
}

/// The function under test, with these variables besides what the lab needs. It logs all that it can.
pub(crate) fn function(lab: &Lab, variables: &[(&str, &str)]) -> Function {
    let function = lab.function(Path::new(env!("CARGO_BIN_EXE_bootstrap")));
    let ours = [("AWS_LAMBDA_LOG_LEVEL", "TRACE"), ("RUST_LOG", "trace"), ("POLL_INTERVAL", POLL_INTERVAL)];
    function.with_variables(&ours).with_variables(variables)
}

/// Deploys it.
pub(crate) fn deploy<'lab>(lab: &'lab Lab, variables: &[(&str, &str)]) -> &'lab Lambda {
    lab.deploy(function(lab, variables))
}

/// Deploys it with a sweep that looks after the group and stays for a moment only, and with these variables.
pub(crate) fn deploy_with_sweep<'lab>(lab: &'lab Lab, variables: &[(&str, &str)]) -> &'lab Lambda {
    let mut all = vec![
        ("SWEEP", "on"),
        ("AUTO_SCALING_GROUPS", GROUP),
        ("SWEEP_LINGER", "300ms"),
        ("EVENT_LINGER", "300ms"),
    ];
    all.extend(variables);
    deploy(lab, &all)
}

/// A worker whose instance is being terminated, held by the hook. Nobody was told.
pub(crate) fn ending(lab: &Lab, number: u8) -> Worker {
    let worker = lab.add_worker(GROUP, number).unwrap();
    terminate(lab, &worker);
    worker
}

/// Ends a worker's instance: the hook holds it.
pub(crate) fn terminate(lab: &Lab, worker: &Worker) {
    lab.aws.terminate_instance(&worker.instance_id).unwrap();
}

/// Completes the action that holds a worker, whosever it is, as somebody may do by hand.
pub(crate) fn complete_by_hand(lab: &Lab, worker: &Worker) {
    let action = lab.aws.lifecycle_action(&worker.instance_id).unwrap();
    let meant =
        ActionRef { group: &action.group, hook: &action.hook, token: Some(&action.token), instance_id: None };
    lab.aws.complete_lifecycle_action(&meant, ActionResult::Continue).unwrap();
}

/// A service with one allocation, which takes so long to stop.
pub(crate) fn slow_service(stops_in: Duration) -> JobSpec {
    JobSpec::service("web", 1)
        .min_healthy_time(Duration::ZERO)
        .kill_timeout(stops_in.saturating_mul(2))
        .stop_takes(stops_in)
}

/// The hook's message for an instance, whose lifecycle action has just begun.
pub(crate) fn message(instance_id: &str) -> Value {
    json!({
        "Origin": "AutoScalingGroup", "Destination": "EC2", "LifecycleHookName": HOOK,
        "AccountId": "123456789012", "RequestId": "f02639a5-62b9-0772-d50e-09647ae07b49",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "AutoScalingGroupName": GROUP,
        "Service": "AWS Auto Scaling", "Time": format!("{:.3}", Timestamp::now()), "EC2InstanceId": instance_id,
        "LifecycleActionToken": "465e0162-e6af-4786-b4e8-bb544ae58790",
    })
}

/// The message of the lifecycle action that holds a worker, as Auto Scaling has it.
pub(crate) fn message_of(lab: &Lab, worker: &Worker) -> Value {
    let action = lab.aws.lifecycle_action(&worker.instance_id).unwrap();
    let mut message = message(&worker.instance_id);
    message["AutoScalingGroupName"] = action.group.into();
    message["LifecycleHookName"] = action.hook.into();
    message["LifecycleActionToken"] = action.token.into();
    message["Time"] = format!("{:.3}", action.started_at).into();
    message
}

/// Invokes the function with the message of the lifecycle action that holds a worker.
pub(crate) async fn invoke(lab: &Lab, lambda: &Lambda, worker: &Worker) -> InvocationRecord {
    invoke_with(lambda, &message_of(lab, worker)).await
}

/// Sweeps.
pub(crate) async fn sweep(lambda: &Lambda) -> InvocationRecord {
    invoke_with(lambda, &json!({"action": "sweep"})).await
}

/// Invokes the function with any payload, and checks what holds for every invocation: it ends by itself, and the token
/// is nowhere in what it says.
pub(crate) async fn invoke_with(lambda: &Lambda, payload: &Value) -> InvocationRecord {
    let run = lambda.invoke(payload).await;
    let said = format!("{:?}", (&run.outcome, &run.log));
    assert!(!said.contains(TOKEN), "the token was printed: {said}");
    let ended = match &run.outcome {
        Outcome::Failed { error_type, .. } => {
            !error_type.starts_with("Sandbox.") && !error_type.starts_with("Runtime.")
        }
        Outcome::Succeeded(_) => true,
        Outcome::Throttled => false,
    };
    assert!(ended, "the function did not end by itself: {said}");
    run
}

/// The response of an invocation that succeeded.
#[track_caller]
pub(crate) fn response(run: &InvocationRecord) -> &Value {
    run.outcome.response().unwrap_or_else(|| panic!("failed: {:?}", run.outcome))
}

/// The one result of an invocation that succeeded.
#[track_caller]
pub(crate) fn result(run: &InvocationRecord) -> &Value {
    let results = response(run)["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "{results:?}");
    &results[0]
}

/// Outcome and reason of the one result.
#[track_caller]
pub(crate) fn became(run: &InvocationRecord) -> (&str, &str) {
    let result = result(run);
    (result["outcome"].as_str().unwrap(), result["reason"].as_str().unwrap())
}

/// The type and the message of an invocation that failed.
#[track_caller]
pub(crate) fn failure(run: &InvocationRecord) -> (&str, &str) {
    let Outcome::Failed { error_type, payload } = &run.outcome else {
        panic!("not failed: {:?}", run.outcome)
    };
    (error_type, payload["errorMessage"].as_str().unwrap())
}

/// What an invocation warned of.
pub(crate) fn warnings(run: &InvocationRecord) -> Vec<&str> {
    let lines = run.log.iter().map(|line| line.text.trim_start());
    lines.filter(|line| line.starts_with("WARN")).collect()
}

/// Every call that has reached the lab, in order.
pub(crate) fn calls(lab: &Lab) -> Vec<String> {
    let calls = lab.journal.entries().into_iter().filter(|entry| entry.kind == Kind::Call);
    calls.map(|entry| entry.what).collect()
}

/// How many calls of this operation have reached the lab.
pub(crate) fn count(lab: &Lab, operation: &str) -> usize {
    calls(lab).iter().filter(|what| *what == operation).count()
}

/// How many drains were posted.
pub(crate) fn posts(lab: &Lab) -> usize {
    count(lab, POST)
}

/// The deadlines of the drains that were posted, as nanoseconds, in order.
pub(crate) fn deadlines(lab: &Lab) -> Vec<i64> {
    let entries = lab.journal.entries().into_iter();
    let posts = entries.filter(|entry| entry.kind == Kind::Call && entry.what == POST);
    let bodies = posts.map(|entry| serde_json::from_str::<Value>(&entry.detail).unwrap());
    bodies.map(|body| body["DrainSpec"]["Deadline"].as_i64().unwrap()).collect()
}

/// Everything of one kind that has happened to an instance or a node.
pub(crate) fn effects(lab: &Lab, what: &str, subject: &str) -> Vec<Entry> {
    let entries = lab.journal.entries().into_iter();
    entries
        .filter(|entry| entry.kind == Kind::Effect && entry.what == what && entry.subject == subject)
        .collect()
}

/// How the lifecycle actions of a worker were completed: `CONTINUE of nomad-drain-hook by token`.
pub(crate) fn completions(lab: &Lab, worker: &Worker) -> Vec<String> {
    effects(lab, "lifecycle action completed", &worker.instance_id)
        .into_iter()
        .map(|entry| entry.detail)
        .collect()
}

/// How many heartbeats have kept a worker alive.
pub(crate) fn heartbeats(lab: &Lab, worker: &Worker) -> usize {
    effects(lab, "lifecycle action heartbeat", &worker.instance_id).len()
}

/// Whether a hook holds a worker.
pub(crate) fn is_held(lab: &Lab, worker: &Worker) -> bool {
    lab.aws.lifecycle_action(&worker.instance_id).is_some()
}

/// When the newest allocation on a worker ended, as its client says; fails if one has not.
#[track_caller]
pub(crate) fn last_end(lab: &Lab, worker: &Worker) -> Option<Timestamp> {
    let allocations = lab.nomad.allocations_on(&worker.node_id);
    allocations.iter().map(|one| one.ended_at.unwrap_or_else(|| panic!("{} still runs", one.name))).max()
}

/// How often a worker's node was looked at between two moments: its allocations are read in every look.
pub(crate) fn looks(lab: &Lab, worker: &Worker, from: Timestamp, until: Timestamp) -> usize {
    let entries = lab.journal.entries().into_iter();
    let looks = entries.filter(|entry| entry.kind == Kind::Call && entry.what == ALLOCATIONS);
    looks.filter(|look| look.subject == worker.node_id && (from..until).contains(&look.at)).count()
}

/// Fails unless the worker was released exactly once, after the last of its allocations had ended, and without delay: by
/// the first looks that could see it. Four invocations look at the same worker in some tests, and each may have begun a
/// look just before.
#[track_caller]
pub(crate) fn assert_released_when_empty(lab: &Lab, worker: &Worker) {
    let completed = effects(lab, "lifecycle action completed", &worker.instance_id);
    let [completed] = &completed[..] else { panic!("completed {} times", completed.len()) };
    let drained = effects(lab, "drain complete", &worker.node_id).last().map(|entry| entry.at);
    let stopped = last_end(lab, worker).into_iter().chain(drained).max().unwrap();
    assert!(completed.at >= stopped, "completed at {}, and all had stopped only at {stopped}", completed.at);
    let looks = looks(lab, worker, stopped, completed.at);
    assert!(looks <= 8, "released {looks} looks after the end");
}

/// The calls to Nomad's servers so far.
pub(crate) fn nomad_calls(lab: &Lab) -> Vec<String> {
    lab.journal.calls(System::Nomad)
}

/// Waits until `condition` holds; fails with `what` after half a minute.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(tokio::time::Instant::now() < give_up, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A port at which connections are refused. It is held, so that no server of another test comes to listen there.
pub(crate) struct ClosedPort(TcpSocket);

impl ClosedPort {
    pub(crate) fn at(ip: Ipv4Addr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((ip, 0))).unwrap();
        Self(socket)
    }

    pub(crate) fn number(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}
