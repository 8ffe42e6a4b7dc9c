//! The same story in every envelope, and what a queue is told.

use std::collections::BTreeSet;
use std::time::Duration;

use drain_lab::lab::{Lab, Route, Worker};
use drain_lab::lambda::{EventSourceMapping, InvocationRecord};
use drain_lab::sqs::QueueSettings;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{
    GROUP, POST, assert_released_when_empty, became, completions, deploy, deploy_with_sweep, ending,
    invoke_with, is_held, lab, lab_since, message, message_of, posts, response, slow_service, terminate,
    warnings,
};

/// What was posted for a worker, without what differs from run to run.
fn posted(lab: &Lab) -> Value {
    let entries = lab.journal.entries().into_iter();
    let posts: Vec<_> = entries.filter(|entry| entry.what == POST).collect();
    assert_eq!(posts.len(), 1);
    let mut body: Value = serde_json::from_str(&posts[0].detail).unwrap();
    let meta = body["Meta"].as_object_mut().unwrap();
    meta.remove("deadline");
    meta.remove("hook-started-at");
    body
}

#[tokio::test]
async fn one_termination_has_the_same_effect_in_every_envelope() {
    let mut bodies = BTreeSet::new();
    for route in Route::ALL {
        let lab = lab().await;
        lab.nomad.add_job(slow_service(Duration::from_millis(300)));
        let worker = lab.add_worker(GROUP, 1).unwrap();
        lab.lose_events(false);
        lab.deliver_by(route);
        let lambda = deploy(&lab, &[]);
        terminate(&lab, &worker);
        lab.quiet().await;
        assert_released_when_empty(&lab, &worker);
        assert_eq!(completions(&lab, &worker), ["CONTINUE of nomad-drain-hook by token"], "{route:?}");
        // Besides, there may be Auto Scaling's test message, and on EventBridge the end of the instance.
        let runs = lambda.invocations();
        if route.has_queue() {
            let nothing_failed = json!({"batchItemFailures": []});
            assert!(runs.iter().all(|run| *response(run) == nothing_failed), "{route:?}: {runs:?}");
            let queue = lab.queue().unwrap();
            let left = (queue.visible(), queue.in_flight(), queue.dead_letters().len());
            assert_eq!(left, (0, 0, 0), "{route:?}");
        } else {
            let drained = |run: &InvocationRecord| response(run)["results"][0]["reason"] == "drained";
            assert_eq!(runs.iter().filter(|run| drained(run)).count(), 1, "{route:?}: {runs:?}");
        }
        bodies.insert(posted(&lab).to_string().replace(&worker.instance_id, "i-WORKER"));
    }
    assert_eq!(bodies.len(), 1, "{bodies:#?}");
}

/// An SQS event of these bodies; the messages are named m0, m1 and so on.
fn batch(bodies: &[String]) -> Value {
    let record = |(number, body): (usize, &String)| {
        json!({
            "messageId": format!("m{number}"), "receiptHandle": "bGFi", "body": body, "attributes": {},
            "messageAttributes": {}, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:nomad-drain", "awsRegion": "us-east-1",
        })
    };
    json!({"Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>()})
}

fn failed(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().unwrap();
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_bad_message_fails_alone_and_its_neighbours_are_drained() {
    let lab = lab().await;
    let workers: Vec<Worker> = (1..=3).map(|number| lab.add_worker(GROUP, number).unwrap()).collect();
    for worker in &workers {
        terminate(&lab, worker);
    }
    let mut bodies: Vec<String> = workers.iter().map(|worker| message_of(&lab, worker).to_string()).collect();
    bodies.insert(1, "this is no JSON".to_owned());
    bodies.push(message("i-0123\"] or true").to_string());
    bodies.push(json!({"an alarm": "of somebody else"}).to_string());
    let run = invoke_with(deploy(&lab, &[]), &batch(&bodies)).await;
    assert_eq!(failed(response(&run)), ["m1", "m4"]);
    assert_eq!(posts(&lab), 3);
    assert!(workers.iter().all(|worker| !is_held(&lab, worker)));
}

#[tokio::test]
async fn a_queue_is_told_which_instances_could_not_be_begun() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    terminate(&lab, &worker);
    // Without a sweep, an instance whose node is not known yet is looked for again.
    let bodies = [message_of(&lab, &worker).to_string(), message("i-0123456789abcdef0").to_string()];
    let mut function = crate::harness::function(&lab, &[("NODE_LOOKUP", "server")]);
    function.timeout = Duration::from_secs(3);
    let run = invoke_with(lab.deploy(function), &batch(&bodies)).await;
    assert_eq!(failed(response(&run)), ["m1"]);
    assert!(!is_held(&lab, &worker));
}

#[tokio::test]
async fn one_token_serves_a_batch_and_a_warm_process() {
    let lab = lab().await;
    let workers: Vec<Worker> = (1..=10).map(|number| lab.add_worker(GROUP, number).unwrap()).collect();
    for worker in &workers {
        terminate(&lab, worker);
    }
    let bodies: Vec<String> = workers.iter().map(|worker| message_of(&lab, worker).to_string()).collect();
    let lambda = deploy(&lab, &[]);
    for half in bodies.chunks(5) {
        invoke_with(lambda, &batch(half)).await;
    }
    assert_eq!(posts(&lab), 10);
    let reads = lab.journal.entries().into_iter().filter(|entry| entry.what == "GetParameter").count();
    assert_eq!(reads, 1);
}

#[tokio::test]
async fn a_token_that_was_replaced_is_read_again_once() {
    let lab = lab().await;
    let first = lab.add_worker(GROUP, 1).unwrap();
    let second = lab.add_worker(GROUP, 2).unwrap();
    let lambda = deploy(&lab, &[]);
    terminate(&lab, &first);
    crate::harness::invoke(&lab, lambda, &first).await;
    let new = "0d6a4bb0-9b1f-4c56-8a51-2f6f0a3c9e11";
    lab.nomad.delete_token(drain_lab::lab::TOKEN);
    lab.nomad.add_token(drain_lab::nomad::Token::client(new, &["nomad-drain"]));
    lab.aws.put_parameter(drain_lab::lab::TOKEN_PARAMETER, drain_lab::aws::ParameterType::SecureString, new);
    terminate(&lab, &second);
    let run = crate::harness::invoke(&lab, lambda, &second).await;
    assert_eq!(became(&run), ("completed", "drained"));
    let reads = lab.journal.entries().into_iter().filter(|entry| entry.what == "GetParameter").count();
    assert_eq!(reads, 2);
    assert!(!format!("{:?}", run.log).contains(new));
}

#[tokio::test]
async fn a_dead_letter_queue_that_is_redriven_a_day_later_drains_nothing_that_is_in_service() {
    let lab = lab_since(Duration::from_hours(24)).await;
    lab.add_group_with(
        drain_lab::aws::GroupSettings::named("pool").with_warm_pool(),
        [drain_lab::models::Models::hook(3600)],
    )
    .unwrap();
    let cycled = lab.add_worker("pool", 1).unwrap();
    let ended = lab.add_worker(GROUP, 2).unwrap();
    let spot = lab.add_worker(GROUP, 3).unwrap();
    lab.create_queue(
        QueueSettings { max_receive_count: 1, ..QueueSettings::named("nomad-drain") },
        EventSourceMapping::default(),
    );
    lab.deliver_by(Route::RuleToQueue);
    lab.lose_events(false);
    // A function that is broken, for a day.
    let lambda = deploy_with_sweep(
        &lab,
        &[("AUTO_SCALING_GROUPS", "*"), ("ON_REBALANCE", "drain"), ("NODE_LOOKUP", "server")],
    );
    lab.nomad.set_unreachable(true);
    lab.aws.return_to_warm_pool(&cycled.instance_id).unwrap();
    terminate(&lab, &ended);
    lab.aws.interrupt_spot(&spot.instance_id).unwrap();
    lab.aws.recommend_rebalance(&spot.instance_id).unwrap();
    lab.quiet().await;
    lab.advance(Duration::from_mins(3));
    lab.quiet().await;
    let queue = lab.queue().unwrap();
    let dead = queue.dead_letters().len();
    assert!(dead > 0, "{:?}", lambda.invocations());
    // Meanwhile the world goes on without us: hooks time out, instances end and come back.
    lab.lose_events(true);
    lab.advance(Duration::from_hours(4));
    lab.aws.launch_from_warm_pool(&cycled.instance_id).unwrap();
    lab.advance_to(Timestamp::now());
    lab.nomad.set_unreachable(false);
    assert_eq!(queue.redrive(), dead);
    lab.quiet().await;
    assert_eq!((posts(&lab), queue.dead_letters().len()), (0, 0));
    let node = lab.node(&cycled).unwrap();
    assert!(node.eligible && node.last_drain.is_none());
}

#[tokio::test]
async fn each_hook_of_an_instance_has_an_action_of_its_own_in_a_batch() {
    let lab = lab().await;
    let other =
        drain_lab::aws::LifecycleHook { name: "other".to_owned(), ..drain_lab::models::Models::hook(3600) };
    lab.aws.put_lifecycle_hook(GROUP, other).unwrap();
    let worker = lab.add_worker(GROUP, 1).unwrap();
    crate::harness::terminate(&lab, &worker);
    let ours = message_of(&lab, &worker);
    let mut theirs = ours.clone();
    theirs["LifecycleHookName"] = "other".into();
    theirs.as_object_mut().unwrap().remove("LifecycleActionToken");
    let records: Vec<Value> = [ours, theirs]
        .iter()
        .enumerate()
        .map(|(place, body)| json!({"messageId": place.to_string(), "body": body.to_string(), "eventSource": "aws:sqs"}))
        .collect();
    let lambda = deploy(&lab, &[]);
    for _ in 0..2 {
        invoke_with(lambda, &json!({ "Records": records })).await;
    }
    let completed: std::collections::BTreeSet<String> = completions(&lab, &worker).into_iter().collect();
    assert_eq!(completed.len(), 2, "{completed:?}");
    assert!(!is_held(&lab, &worker));
}

#[tokio::test]
async fn eventbridge_without_a_sweep_is_a_warning() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let mut detail = message_of(&lab, &worker);
    detail.as_object_mut().unwrap().remove("Time");
    let event = json!({
        "version": "0", "id": "12345678-1234-1234-1234-123456789012", "source": "aws.autoscaling", "account": "123456789012",
        "detail-type": "EC2 Instance-terminate Lifecycle Action", "time": format!("{:.0}", Timestamp::now()),
        "region": "us-east-1", "resources": [], "detail": detail,
    });
    let run = invoke_with(deploy(&lab, &[]), &event).await;
    assert_eq!(became(&run), ("completed", "drained"));
    let said = warnings(&run);
    assert!(
        said.iter().any(|line| line.contains("EventBridge tells of hooks, and SWEEP is off")),
        "{said:?}"
    );
}
