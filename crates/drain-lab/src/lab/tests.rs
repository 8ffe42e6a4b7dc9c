//! A whole lab, with a process that answers whatever it is sent: `examples/echo_runtime.rs`.

use std::collections::BTreeSet;

use super::*;
use crate::aws::{LifecycleHook, NotificationTarget};
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

#[tokio::test]
async fn whoever_asks_the_account_finds_what_the_lab_hosts() {
    let lab = lab().await;
    lab.create_queue(QueueSettings::named("q"), EventSourceMapping::default());
    lab.deploy(function(&lab));
    lab.deploy_sweep(lab.sweep_function(&echo_runtime()));
    let hosted = |lab: &Lab| {
        let deployed = lab.aws.deployed();
        let functions = deployed.functions.into_values().filter(|function| function.hosted.is_some());
        let queues = deployed.queues.into_values().filter(|queue| queue.hosted.is_some());
        let names = functions.map(|function| function.name).chain(queues.map(|queue| queue.name));
        names.collect::<Vec<_>>()
    };
    assert_eq!(hosted(&lab), ["nomad-drain", "nomad-drain-sweep", "q"]);
    assert!(lab.aws.deployed().topics.contains_key(TOPIC));
    // A description, whole or broken, changes nothing of it, and takes away no topic of somebody else.
    lab.aws.create_topic("arn:aws:sns:us-east-1:123456789012:ops");
    lab.deployed_by(Route::HookToQueue).remove_permission();
    assert_eq!(hosted(&lab), ["nomad-drain", "nomad-drain-sweep", "q"]);
    assert!(lab.aws.deployed().topics.contains_key("arn:aws:sns:us-east-1:123456789012:ops"));
}

/// What the function was told of an instance on this route: the innermost message of everything that it got.
async fn told(route: Route) -> Vec<Value> {
    let lab = lab().await;
    lab.deliver_by(route);
    lab.deploy(function(&lab));
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.aws.terminate_instance(&worker.instance_id).unwrap();
    lab.quiet().await;
    let read = |text: &Value| serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap();
    let mut told: Vec<Value> =
        lab.lambda().unwrap().invocations().into_iter().map(|run| run.payload).collect();
    for message in &mut told {
        if message["Records"][0]["eventSource"] == "aws:sqs" {
            assert_eq!(message["Records"].as_array().unwrap().len(), 1);
            *message = read(&message["Records"][0]["body"]);
        }
        if message["Records"][0]["EventSource"] == "aws:sns" {
            *message = message["Records"][0]["Sns"].clone();
        }
        if message["Type"] == "Notification" {
            *message = read(&message["Message"]);
        }
        if message["detail-type"] == "EC2 Instance-terminate Lifecycle Action" {
            *message = message["detail"].clone();
        }
    }
    told
}

#[tokio::test]
async fn one_story_can_be_told_in_every_envelope() {
    for route in Route::ALL {
        let told = told(route).await;
        let [message] = &told[..] else { panic!("{route:?}: {told:?}") };
        assert_eq!(message["LifecycleHookName"], HOOK, "{route:?}");
        assert_eq!(message["LifecycleTransition"], "autoscaling:EC2_INSTANCE_TERMINATING", "{route:?}");
        assert_eq!(message["LifecycleActionToken"].as_str().unwrap().len(), 36, "{route:?}");
    }
}

#[tokio::test]
async fn what_reaches_the_queue_before_the_function_is_deployed_waits_for_it() {
    let lab = lab().await;
    lab.deliver_by(Route::HookToQueue);
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.aws.terminate_instance(&worker.instance_id).unwrap();
    lab.quiet().await;
    assert_eq!(lab.queue().unwrap().visible(), 1);
    let lambda = lab.deploy(function(&lab));
    lab.quiet().await;
    assert_eq!((lab.queue().unwrap().visible(), lambda.invocations().len()), (0, 1));
}

#[tokio::test]
async fn a_queue_has_the_settings_that_it_was_created_with_and_lost_events_do_not_reach_it() {
    let lab = lab().await;
    let settings = QueueSettings { visibility_timeout: Duration::from_mins(7), ..QueueSettings::named("q") };
    lab.create_queue(settings, EventSourceMapping { batch_size: 1, ..EventSourceMapping::default() });
    lab.deliver_by(Route::RuleToQueue);
    let workers = [1, 2, 3].map(|number| lab.add_worker(GROUP, number).unwrap());
    lab.lose_events(true);
    lab.aws.terminate_instance(&workers[0].instance_id).unwrap();
    lab.quiet().await;
    lab.lose_events(false);
    lab.aws.terminate_instance(&workers[1].instance_id).unwrap();
    lab.aws.recommend_rebalance(&workers[2].instance_id).unwrap();
    lab.quiet().await;
    let queue = lab.queue().unwrap();
    assert_eq!((queue.visible(), queue.arn().as_str()), (2, "arn:aws:sqs:us-east-1:123456789012:q"));
    lab.deploy(lab.function(Path::new("/does/not/exist")));
    lab.quiet().await;
    assert_eq!((queue.visible(), queue.in_flight()), (0, 2));
    assert_eq!(queue.next_due().unwrap().to_string(), "2026-01-01T00:07:00Z");
}

#[tokio::test]
async fn a_route_takes_the_place_of_a_hooks_target_and_a_rule_comes_on_top() {
    let lab = lab().await;
    lab.deliver_by(Route::HookToFunction);
    lab.add_event_bridge_rule();
    let lambda = lab.deploy(function(&lab));
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.aws.terminate_instance(&worker.instance_id).unwrap();
    lab.quiet().await;
    let mut sources: Vec<_> = runs(lambda).iter().map(|(event, _)| event["source"].to_string()).collect();
    sources.sort();
    assert_eq!(sources, ["\"aws.autoscaling\"", "null"]);
}

#[tokio::test]
async fn a_hook_whose_target_is_the_queue_writes_to_it() {
    let lab = lab().await;
    let queue_arn = lab.create_queue(QueueSettings::named("q"), EventSourceMapping::default()).arn();
    let target = NotificationTarget::Sqs { queue_arn };
    lab.aws.put_lifecycle_hook(GROUP, LifecycleHook { target, ..LifecycleHook::terminating("q") }).unwrap();
    lab.quiet().await;
    assert_eq!(lab.queue().unwrap().visible(), 1, "the test message");
}

#[tokio::test]
async fn a_thousand_instances_are_told_of_through_a_queue_without_loss() {
    let lab = lab().await;
    lab.deliver_by(Route::RuleToQueue);
    lab.deploy(function(&lab));
    let workers = lab.add_workers(GROUP, 1000).unwrap();
    for worker in &workers {
        lab.aws.terminate_instance(&worker.instance_id).unwrap();
    }
    lab.quiet().await;
    let runs = lab.lambda().unwrap().invocations();
    let records = runs.iter().flat_map(|run| run.payload["Records"].as_array().unwrap());
    let told: BTreeSet<String> = records
        .map(|record| serde_json::from_str::<Value>(record["body"].as_str().unwrap()).unwrap())
        .map(|event| event["detail"]["EC2InstanceId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, workers.into_iter().map(|worker| worker.instance_id).collect());
    assert!(runs.len() < 200, "{} runs", runs.len());
}
