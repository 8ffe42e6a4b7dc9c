//! A whole lab, with a process that answers whatever it is sent: `examples/echo_runtime.rs`.

use super::*;
use crate::aws::LifecycleHook;
use crate::lambda::tests::echo_runtime;

const GROUP: &str = "workers";

async fn lab() -> Lab {
    let lab = Lab::start(Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap())).await.unwrap();
    lab.add_group(GROUP, 3600).unwrap();
    // The hook's test message: nobody is there to hear it.
    tokio::task::yield_now().await;
    lab
}

fn function(lab: &Lab) -> Function {
    lab.function(&echo_runtime())
}

/// The event and the process of every run, in the order of their ends.
fn runs(lambda: &Lambda) -> Vec<(Value, Value)> {
    let runs = lambda.invocations().into_iter().map(|run| run.outcome.response().unwrap().clone());
    runs.map(|answer| (answer["event"].clone(), answer["process"].clone())).collect()
}

/// Waits until a function has run so often.
async fn has_run(lambda: &Lambda, times: usize) {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(30);
    while lambda.invocations().len() < times {
        assert!(tokio::time::Instant::now() < give_up, "ran only {} times", lambda.invocations().len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn events_and_sweeps_run_in_processes_of_their_own() {
    let lab = lab().await;
    assert!(lab.sweep().await.is_none());
    let events = lab.deploy(function(&lab));
    let sweeps = lab.deploy_sweep(lab.sweep_function(&echo_runtime()));
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.aws.terminate_instance(&worker.instance_id).unwrap();
    has_run(events, 1).await;
    let run = lab.sweep().await.unwrap();
    assert_eq!(
        run.payload,
        json!({
            "version": "0", "id": run.payload["id"], "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
            "resources": ["arn:aws:events:us-east-1:123456789012:rule/nomad-drain-sweep"], "detail": {},
        })
    );
    let answer = run.outcome.response().unwrap();
    assert_eq!((&answer["event"], &answer["environment"]["SWEEP"]), (&run.payload, &json!("on")));
    assert_eq!((events.invocations().len(), sweeps.invocations().len()), (1, 1));
    assert_ne!(runs(events)[0].1, runs(sweeps)[0].1);
    assert_ne!(events.invocations()[0].request_id, run.request_id);
}

#[tokio::test]
async fn a_scheduled_sweep_comes_once_for_every_moment() {
    let lab = lab().await;
    let lambda = lab.deploy(function(&lab));
    lab.schedule_sweep(Duration::from_mins(1));
    lab.clock.advance(Duration::from_secs(185));
    has_run(lambda, 3).await;
    let mut times: Vec<_> = runs(lambda).into_iter().map(|(event, _)| event["time"].clone()).collect();
    times.sort_by_key(ToString::to_string);
    assert_eq!(times, ["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z", "2026-01-01T00:03:00Z"]);
}

#[tokio::test]
async fn two_invocations_can_race() {
    let lab = lab().await;
    lab.deploy(function(&lab));
    lab.deploy_sweep(lab.sweep_function(&echo_runtime()));
    let payload = json!({});
    let (sweep, event) = tokio::join!(lab.sweep(), lab.lambda().unwrap().invoke(&payload));
    let process = |run: &InvocationRecord| run.outcome.response().unwrap()["process"].clone();
    assert_ne!(process(&sweep.unwrap()), process(&event));
}

#[tokio::test]
async fn a_rule_brings_every_hook_and_what_ec2_says_and_lost_events_bring_nothing() {
    let lab = lab().await;
    lab.aws.put_lifecycle_hook(GROUP, LifecycleHook::terminating("second")).unwrap();
    let lambda = lab.deploy(function(&lab));
    let (first, second) = (lab.add_worker(GROUP, 1).unwrap(), lab.add_worker(GROUP, 2).unwrap());
    let mut news = lab.aws.events();
    lab.lose_events(true);
    lab.aws.terminate_instance(&first.instance_id).unwrap();
    // What this listener has heard, the one before it has been sent.
    news.recv().await.unwrap();
    tokio::task::yield_now().await;
    lab.lose_events(false);
    lab.add_event_bridge_rule();
    lab.aws.recommend_rebalance(&second.instance_id).unwrap();
    lab.aws.terminate_instance(&second.instance_id).unwrap();
    has_run(lambda, 3).await;
    lambda.quiet().await;
    let mut kinds: Vec<String> = runs(lambda)
        .iter()
        .map(|(event, _)| event["detail-type"].as_str().unwrap_or("from the topic").to_owned())
        .collect();
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "EC2 Instance Rebalance Recommendation",
            "EC2 Instance-terminate Lifecycle Action",
            "from the topic"
        ]
    );
}

#[tokio::test]
#[should_panic(expected = "cannot deploy nomad-drain: this lab runs")]
async fn a_second_function_is_refused() {
    let lab = lab().await;
    lab.deploy(function(&lab));
    lab.deploy(function(&lab));
}
