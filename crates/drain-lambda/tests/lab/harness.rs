//! A lab with a group of workers, and the questions that tests ask of it.

use std::path::Path;
use std::time::Duration;

use drain_lab::clock::Clock;
use drain_lab::journal::{Kind, System};
use drain_lab::lab::{Lab, TOKEN, Worker};
use drain_lab::lambda::{Function, InvocationRecord, Lambda, Outcome};
use serde_json::{Value, json};

/// The group of every test.
pub(crate) const GROUP: &str = "workers";

/// When the lifecycle action of every message begins.
const STARTED: &str = "2026-03-01T12:00:00.500Z";

/// A lab in which time runs.
pub(crate) async fn lab() -> Lab {
    let lab = Lab::start(Clock::running()).await.unwrap();
    lab.add_group(GROUP, 3600).unwrap();
    lab
}

/// The function under test, with these variables besides what the lab needs. It logs all that it can.
pub(crate) fn function(lab: &Lab, variables: &[(&str, &str)]) -> Function {
    let mut function = lab.function(Path::new(env!("CARGO_BIN_EXE_bootstrap")));
    let trace = [("AWS_LAMBDA_LOG_LEVEL", "TRACE"), ("RUST_LOG", "trace")];
    for (name, value) in trace.iter().chain(variables) {
        function.env.insert((*name).to_owned(), (*value).to_owned());
    }
    function
}

/// Deploys it.
pub(crate) fn deploy<'lab>(lab: &'lab Lab, variables: &[(&str, &str)]) -> &'lab Lambda {
    lab.deploy(function(lab, variables))
}

/// The hook's message for an instance.
pub(crate) fn message(instance_id: &str) -> Value {
    json!({
        "Origin": "AutoScalingGroup", "Destination": "EC2", "LifecycleHookName": "nomad-drain-hook",
        "AccountId": "123456789012", "RequestId": "f02639a5-62b9-0772-d50e-09647ae07b49",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "AutoScalingGroupName": GROUP,
        "Service": "AWS Auto Scaling", "Time": STARTED, "EC2InstanceId": instance_id,
        "LifecycleActionToken": "465e0162-e6af-4786-b4e8-bb544ae58790",
    })
}

/// Invokes the function with the hook's message for a worker, and checks what holds for every invocation.
pub(crate) async fn invoke(lambda: &Lambda, worker: &Worker) -> InvocationRecord {
    invoke_with(lambda, &message(&worker.instance_id)).await
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

/// The one result of an invocation that succeeded.
#[track_caller]
pub(crate) fn result(run: &InvocationRecord) -> &Value {
    let results = run.outcome.response().unwrap_or_else(|| panic!("failed: {:?}", run.outcome));
    let results = results["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "{results:?}");
    &results[0]
}

/// The type and the message of an invocation that failed.
#[track_caller]
pub(crate) fn failure(run: &InvocationRecord) -> (&str, &str) {
    let Outcome::Failed { error_type, payload } = &run.outcome else {
        panic!("not failed: {:?}", run.outcome)
    };
    (error_type, payload["errorMessage"].as_str().unwrap())
}

/// Every call that has reached the lab, in order.
pub(crate) fn calls(lab: &Lab) -> Vec<String> {
    let calls = lab.journal.entries().into_iter().filter(|entry| entry.kind == Kind::Call);
    calls.map(|entry| entry.what).collect()
}

/// How many drains were posted.
pub(crate) fn posts(lab: &Lab) -> usize {
    lab.journal.calls(System::Nomad).iter().filter(|what| *what == "POST /v1/node/:id/drain").count()
}

/// Waits until `condition` holds; fails with `what` after half a minute.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(tokio::time::Instant::now() < give_up, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
