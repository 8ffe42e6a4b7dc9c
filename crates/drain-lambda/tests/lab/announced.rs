//! What EC2, AWS Health and Auto Scaling announce on `EventBridge`, beside the messages of hooks.

use std::time::Duration;

use drain_lab::aws::HealthEntity;
use drain_lab::faults::Fault;
use drain_lab::lab::{Lab, Route, Worker};
use drain_lab::lambda::{InvocationRecord, Lambda};
use drain_lab::nomad::{DrainRequest, NodeStatus};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{
    GROUP, POST, assert_released_when_empty, became, count, deadlines, deploy, deploy_with_sweep, effects,
    eventually, invoke_with, lab, nomad_calls, posts, result, slow_service, sweep, terminate,
};

/// A lab whose account announces everything to the function.
async fn listening() -> Lab {
    let lab = lab().await;
    lab.lose_events(false);
    lab.deliver_by(Route::RuleToFunction);
    lab
}

/// What the newest invocation became.
async fn newest(lab: &Lab, lambda: &Lambda) -> InvocationRecord {
    lab.quiet().await;
    lambda.invocations().pop().unwrap()
}

fn seconds(nanoseconds: i64) -> i64 {
    nanoseconds / 1_000_000_000
}

fn event(detail_type: &str, source: &str, at: Timestamp, detail: &Value) -> Value {
    json!({
        "version": "0", "id": "782d5b4c-0f6f-1fd6-9d62-ecf6aed0a470", "detail-type": detail_type,
        "source": source, "account": "123456789012", "time": format!("{at:.0}"), "region": "us-east-1",
        "resources": [], "detail": detail,
    })
}

fn spot_warning(worker: &Worker, age: Duration) -> Value {
    let at = Timestamp::now() - SignedDuration::try_from(age).unwrap();
    let detail = json!({"instance-id": worker.instance_id, "instance-action": "terminate"});
    event("EC2 Spot Instance Interruption Warning", "aws.ec2", at, &detail)
}

#[tokio::test]
async fn an_interruption_is_drained_within_its_two_minutes_without_hook_and_sweep() {
    for of_reservation in [false, true] {
        let lab = listening().await;
        lab.nomad.add_job(slow_service(Duration::from_millis(200)));
        let worker = lab.add_worker(GROUP, 1).unwrap();
        let lambda = deploy(&lab, &[]);
        if of_reservation {
            lab.aws.interrupt_capacity_reservation(&worker.instance_id).unwrap();
        } else {
            lab.aws.interrupt_spot(&worker.instance_id).unwrap();
        }
        let run = newest(&lab, lambda).await;
        assert_eq!(became(&run), ("drain_started", "drain_posted"));
        let left = seconds(deadlines(&lab)[0]);
        assert!((105..=110).contains(&left), "{left}");
        let meta = lab.node(&worker).unwrap().last_drain.unwrap().meta;
        assert_eq!((meta["cause"].as_str(), meta.get("lifecycle-hook")), ("spot", None));
        assert_eq!(count(&lab, "DescribeInstances"), 0, "the hot path asks EC2 nothing");
        assert_eq!(nomad_calls(&lab), ["GET /v1/nodes", "GET /v1/node/:id", POST]);
    }
}

#[tokio::test]
async fn the_older_a_warning_the_less_time_there_is() {
    let lab = lab().await;
    let workers: Vec<Worker> = (1..=3).map(|number| lab.add_worker(GROUP, number).unwrap()).collect();
    let lambda = deploy(&lab, &[]);
    invoke_with(lambda, &spot_warning(&workers[0], Duration::from_mins(1))).await;
    invoke_with(lambda, &spot_warning(&workers[1], Duration::from_secs(115))).await;
    let late = invoke_with(lambda, &spot_warning(&workers[2], Duration::from_secs(125))).await;
    let given = deadlines(&lab);
    assert!((45..=50).contains(&seconds(given[0])), "{given:?}");
    assert_eq!(given[1..], [-1_000_000_000], "forced");
    assert_eq!(became(&late), ("ignored", "too_late"));
    assert_eq!(lab.node(&workers[2]).unwrap().last_drain, None);
}

#[tokio::test]
async fn an_interruption_during_the_drain_of_a_rebalance_brings_it_forward() {
    let lab = listening().await;
    lab.nomad.add_job(slow_service(Duration::from_mins(5)));
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let lambda = deploy_with_sweep(&lab, &[("ON_REBALANCE", "drain")]);
    lab.aws.recommend_rebalance(&worker.instance_id).unwrap();
    assert_eq!(became(&newest(&lab, lambda).await), ("drain_started", "drain_posted"));
    assert_eq!(lab.node(&worker).unwrap().last_drain.unwrap().meta["cause"], "rebalance");
    lab.aws.interrupt_spot(&worker.instance_id).unwrap();
    assert_eq!(became(&newest(&lab, lambda).await), ("draining", "deadline_brought_nearer"));
    let given = deadlines(&lab);
    assert_eq!((given.len(), seconds(given[0])), (2, 3600));
    assert!((100..=110).contains(&seconds(given[1])), "{given:?}");
    let meta = lab.node(&worker).unwrap().last_drain.unwrap().meta;
    assert_eq!((meta["cause"].as_str(), meta["was-eligible"].as_str()), ("spot", "true"));
}

#[tokio::test]
async fn an_interruption_of_an_instance_that_a_hook_holds_keeps_what_the_hook_needs() {
    let lab = lab().await;
    lab.nomad.add_job(slow_service(Duration::from_millis(1500)));
    let worker = lab.add_worker(GROUP, 1).unwrap();
    terminate(&lab, &worker);
    let lambda = deploy_with_sweep(&lab, &[]);
    crate::harness::invoke(&lab, lambda, &worker).await;
    invoke_with(lambda, &spot_warning(&worker, Duration::ZERO)).await;
    let meta = lab.node(&worker).unwrap().last_drain.unwrap().meta;
    assert_eq!((meta["cause"].as_str(), meta["lifecycle-hook"].as_str()), ("spot", "nomad-drain-hook"));
    eventually("the service has stopped", || {
        lab.nomad.allocations_on(&worker.node_id).iter().all(|one| one.ended_at.is_some())
    })
    .await;
    sweep(lambda).await;
    sweep(lambda).await;
    assert_eq!(posts(&lab), 2);
    assert!(!crate::harness::is_held(&lab, &worker));
}

#[tokio::test]
async fn a_hook_and_an_interruption_in_one_batch_are_one_drain_and_one_completion() {
    let lab = lab().await;
    lab.nomad.add_job(slow_service(Duration::from_millis(300)));
    let worker = lab.add_worker(GROUP, 1).unwrap();
    terminate(&lab, &worker);
    let bodies = [
        spot_warning(&worker, Duration::ZERO).to_string(),
        crate::harness::message_of(&lab, &worker).to_string(),
    ];
    let records: Vec<Value> = bodies
        .iter()
        .map(|body| json!({"messageId": body.len().to_string(), "body": body, "eventSource": "aws:sqs"}))
        .collect();
    invoke_with(deploy(&lab, &[]), &json!({"Records": records})).await;
    let given = deadlines(&lab);
    assert!(given.len() == 1 && seconds(given[0]) <= 110, "{given:?}");
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn an_old_interruption_beside_an_old_message_of_the_hook_drains_nothing_that_is_in_service() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let mut message = crate::harness::message(&worker.instance_id);
    message["Time"] = "2026-01-01T00:00:00Z".into();
    let bodies = [spot_warning(&worker, Duration::from_hours(24)).to_string(), message.to_string()];
    for bodies in [bodies.clone(), [bodies[1].clone(), bodies[0].clone()]] {
        let records: Vec<Value> = bodies
            .iter()
            .map(|body| json!({"messageId": body.len().to_string(), "body": body, "eventSource": "aws:sqs"}))
            .collect();
        let run =
            invoke_with(lab.lambda().unwrap_or_else(|| deploy(&lab, &[])), &json!({ "Records": records }))
                .await;
        assert_eq!(run.outcome.response().unwrap(), &json!({"batchItemFailures": []}));
    }
    assert_eq!(posts(&lab), 0);
}

#[tokio::test]
async fn what_is_announced_of_strangers_costs_one_question() {
    let lab = listening().await;
    lab.add_worker(GROUP, 1).unwrap();
    let stranger = lab.aws.add_instance(GROUP, Some(std::net::Ipv4Addr::new(127, 0, 1, 99))).unwrap();
    let lambda = deploy(&lab, &[]);
    lab.aws.interrupt_spot(&stranger).unwrap();
    assert_eq!(became(&newest(&lab, lambda).await), ("ignored", "not_our_instance"));
    assert_eq!(nomad_calls(&lab), ["GET /v1/nodes"]);
    assert_eq!(count(&lab, "DescribeInstances"), 0);
}

#[tokio::test]
async fn what_may_survive_is_ignored_unless_it_was_asked_for() {
    let lab = listening().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let lambda = deploy(&lab, &[]);
    lab.aws.recommend_rebalance(&worker.instance_id).unwrap();
    assert_eq!(became(&newest(&lab, lambda).await), ("ignored", "rebalance_ignored"));
    lab.aws.schedule_change(&worker.instance_id, HealthEntity::Arn).unwrap();
    assert_eq!(became(&newest(&lab, lambda).await), ("ignored", "scheduled_change_ignored"));
    assert_eq!(nomad_calls(&lab), Vec::<String>::new());
}

#[tokio::test]
async fn a_scheduled_change_drains_the_instance_that_it_names_either_way() {
    for entity in [HealthEntity::Arn, HealthEntity::InstanceId] {
        let lab = listening().await;
        let worker = lab.add_worker(GROUP, 1).unwrap();
        let lambda = deploy_with_sweep(&lab, &[("ON_SCHEDULED_CHANGE", "drain")]);
        lab.aws.schedule_change(&worker.instance_id, entity).unwrap();
        assert_eq!(became(&newest(&lab, lambda).await), ("drain_started", "drain_posted"));
        assert_eq!(lab.node(&worker).unwrap().last_drain.unwrap().meta["cause"], "scheduled-change");
        assert_eq!(seconds(deadlines(&lab)[0]), 3600);
    }
}

#[tokio::test]
async fn an_instance_that_is_ended_without_its_hook_is_drained_with_force() {
    let lab = listening().await;
    lab.nomad.add_job(slow_service(Duration::from_secs(2)));
    lab.aws.set_shutdown_time(Duration::from_secs(30));
    let worker = lab.add_worker(GROUP, 1).unwrap();
    // The machine is said to end, and still answers.
    let detail = json!({"instance-id": worker.instance_id, "state": "shutting-down"});
    let told = event("EC2 Instance State-change Notification", "aws.ec2", Timestamp::now(), &detail);
    let run = invoke_with(deploy(&lab, &[]), &told).await;
    assert_eq!(became(&run), ("drain_started", "drain_posted"));
    assert_eq!(deadlines(&lab), [-1_000_000_000]);
    assert_eq!(lab.node(&worker).unwrap().last_drain.unwrap().meta["cause"], "state-change");
    let detail = json!({"instance-id": worker.instance_id, "state": "running"});
    let told = event("EC2 Instance State-change Notification", "aws.ec2", Timestamp::now(), &detail);
    assert_eq!(became(&invoke_with(lab.lambda().unwrap(), &told).await), ("ignored", "instance_running"));
}

#[tokio::test]
async fn ordinary_events_of_a_group_are_named_as_what_they_are() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let lambda = deploy(&lab, &[]);
    let detail = json!({"EC2InstanceId": worker.instance_id, "AutoScalingGroupName": GROUP});
    for (detail_type, source, reason) in [
        ("EC2 Instance Launch Successful", "aws.autoscaling", "group_notification"),
        ("EC2 Auto Scaling Instance Refresh Started", "aws.autoscaling", "group_notification"),
        ("EC2 Instance Terminate Successful", "aws.autoscaling", "instance_ended"),
        ("Object Created", "aws.s3", "foreign_message"),
    ] {
        let run = invoke_with(lambda, &event(detail_type, source, Timestamp::now(), &detail)).await;
        assert_eq!(became(&run), ("ignored", reason), "{detail_type}");
        let counted = run.log.iter().any(|line| {
            line.text.contains("\"Ignored\":1") && line.text.contains(&format!("\"Reason\":\"{reason}\""))
        });
        assert!(counted, "{:?}", run.log);
    }
    assert_eq!(nomad_calls(&lab), Vec::<String>::new());
}

#[tokio::test]
async fn event_bridge_tells_of_every_hook_and_only_ours_is_acted_on() {
    let lab = listening().await;
    let hooks = ["backup", "nomad-drain-hook"];
    let hooks = hooks.map(|name| drain_lab::aws::LifecycleHook {
        name: name.to_owned(),
        ..drain_lab::models::Models::hook(3600)
    });
    lab.add_group_with(drain_lab::aws::GroupSettings::named("two"), hooks).unwrap();
    let worker = lab.add_worker("two", 1).unwrap();
    let lambda = deploy(&lab, &[]);
    terminate(&lab, &worker);
    assert_eq!(became(&newest(&lab, lambda).await), ("ignored", "other_hook"));
    assert_eq!(nomad_calls(&lab), Vec::<String>::new());
}

#[tokio::test]
async fn the_node_of_a_terminated_instance_is_purged_when_it_is_down() {
    let lab = listening().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let lambda = deploy(&lab, &[("PURGE_NODES", "on"), ("EVENT_LINGER", "200ms")]);
    let detail = json!({"EC2InstanceId": worker.instance_id, "AutoScalingGroupName": GROUP});
    let told = event("EC2 Instance Terminate Successful", "aws.autoscaling", Timestamp::now(), &detail);
    let run = invoke_with(lambda, &told).await;
    assert_eq!(became(&run), ("held", "node_not_down"), "a live node is never purged");
    lab.nomad.set_status(&worker.node_id, NodeStatus::Down).unwrap();
    let run = invoke_with(lambda, &told).await;
    assert_eq!(became(&run), ("completed", "node_purged"));
    assert_eq!(lab.node(&worker), None);
    assert_eq!(became(&invoke_with(lambda, &told).await), ("ignored", "instance_ended"));
}

#[tokio::test]
async fn a_sweep_purges_what_terminations_have_left_behind_and_nothing_else() {
    let lab = lab().await;
    let ended = lab.add_worker(GROUP, 1).unwrap();
    let lives = lab.add_worker(GROUP, 2).unwrap();
    let by_hand = lab.add_worker(GROUP, 3).unwrap();
    let lambda = deploy_with_sweep(&lab, &[("PURGE_NODES", "on")]);
    terminate(&lab, &ended);
    sweep(lambda).await;
    lab.nomad.drain(&by_hand.node_id, DrainRequest::with_deadline(SignedDuration::from_secs(60))).unwrap();
    lab.aws.terminate_without_hooks(&by_hand.instance_id).unwrap();
    // Down, in service, and drained by us once: Auto Scaling knows it.
    lab.nomad.set_status(&lives.node_id, NodeStatus::Down).unwrap();
    let down = |worker: &Worker| lab.node(worker).is_none_or(|node| node.status == NodeStatus::Down);
    for worker in [&ended, &by_hand] {
        lab.nomad.set_status(&worker.node_id, NodeStatus::Down).unwrap();
    }
    eventually("both are gone", || {
        lab.settle();
        let gone = |worker: &Worker| {
            !effects(&lab, "instance terminated", &worker.instance_id).is_empty() && down(worker)
        };
        gone(&ended) && gone(&by_hand)
    })
    .await;
    let run = sweep(lambda).await;
    assert_eq!(
        (result(&run)["instance_id"].as_str(), became(&run)),
        (Some(ended.instance_id.as_str()), ("completed", "node_purged"))
    );
    assert_eq!(lab.node(&ended), None);
    assert!(lab.node(&lives).is_some() && lab.node(&by_hand).is_some());
}

#[tokio::test]
async fn what_may_survive_is_drained_only_where_the_sweep_can_give_it_back() {
    let lab = listening().await;
    let named = drain_lab::aws::GroupSettings::named;
    let paused = named("paused").tag("nomad-drain", "on").tag("nomad-drain-hold", "on");
    for settings in [named("off").tag("nomad-drain", "off"), named("untagged"), paused] {
        lab.add_group_with(settings, []).unwrap();
    }
    let asked_for = [("ON_REBALANCE", "drain"), ("ON_SCHEDULED_CHANGE", "drain"), ("SWEEP", "on")];
    let lambda = deploy(&lab, &asked_for);
    for (number, group, reason) in
        [(1, "off", "group_not_watched"), (2, "untagged", "group_not_watched"), (3, "paused", "paused")]
    {
        let worker = lab.add_worker(group, number).unwrap();
        lab.aws.recommend_rebalance(&worker.instance_id).unwrap();
        let run = newest(&lab, lambda).await;
        assert_eq!(became(&run).1, reason);
        assert_eq!(crate::harness::warnings(&run), Vec::<&str>::new(), "an account tells of every group");
        lab.aws.schedule_change(&worker.instance_id, HealthEntity::Arn).unwrap();
        assert_eq!(became(&newest(&lab, lambda).await).1, reason);
        lab.aws.interrupt_spot(&worker.instance_id).unwrap();
        assert_eq!(
            became(&newest(&lab, lambda).await),
            ("drain_started", "drain_posted"),
            "that does not wait"
        );
    }
    assert_eq!(posts(&lab), 3);
}

#[tokio::test]
async fn an_interruption_waits_for_no_answer_about_others() {
    let lab = lab().await;
    let workers: Vec<Worker> = (1..=2).map(|number| lab.add_worker(GROUP, number).unwrap()).collect();
    terminate(&lab, &workers[0]);
    let lambda = deploy_with_sweep(&lab, &[]);
    let groups = "DescribeAutoScalingGroups";
    lab.faults.inject(groups, &Fault::Reset, 3);
    let bodies = [crate::harness::message_of(&lab, &workers[0]), spot_warning(&workers[1], Duration::ZERO)]
        .map(|body| body.to_string());
    let records: Vec<Value> = bodies
        .iter()
        .map(|body| json!({"messageId": body.len().to_string(), "body": body, "eventSource": "aws:sqs"}))
        .collect();
    invoke_with(lambda, &json!({ "Records": records })).await;
    let calls = crate::harness::calls(&lab);
    let (drained, answered) =
        (calls.iter().position(|call| call == POST), calls.iter().rposition(|call| call == groups));
    assert!(drained.unwrap() < answered.unwrap(), "{calls:?}");
    assert_eq!(posts(&lab), 2);
}

#[tokio::test]
async fn one_that_leaves_its_group_for_the_warm_pool_has_not_ended() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.nomad.set_status(&worker.node_id, NodeStatus::Down).unwrap();
    let lambda = deploy(&lab, &[("PURGE_NODES", "on")]);
    let detail = |destination: &str| {
        json!({
            "EC2InstanceId": worker.instance_id, "AutoScalingGroupName": GROUP,
            "Origin": "AutoScalingGroup", "Destination": destination,
        })
    };
    let kind = "EC2 Instance Terminate Successful";
    let told = |detail: &Value| event(kind, "aws.autoscaling", Timestamp::now(), detail);
    let run = invoke_with(lambda, &told(&detail("WarmPool"))).await;
    assert_eq!(became(&run), ("ignored", "group_notification"));
    assert!(lab.node(&worker).is_some());
    let run = invoke_with(lambda, &told(&detail("EC2"))).await;
    assert_eq!(became(&run), ("completed", "node_purged"));
}

#[tokio::test]
async fn the_end_of_an_instance_of_a_group_that_is_not_watched_is_no_warning() {
    let lab = lab().await;
    lab.add_group_with(drain_lab::aws::GroupSettings::named("strangers"), []).unwrap();
    let worker = lab.add_worker("strangers", 1).unwrap();
    let lambda = deploy_with_sweep(&lab, &[("PURGE_NODES", "on")]);
    let detail = json!({"EC2InstanceId": worker.instance_id, "AutoScalingGroupName": "strangers"});
    let told = event("EC2 Instance Terminate Successful", "aws.autoscaling", Timestamp::now(), &detail);
    let run = invoke_with(lambda, &told).await;
    assert_eq!(became(&run), ("ignored", "group_not_watched"));
    assert_eq!(crate::harness::warnings(&run), Vec::<&str>::new());
    assert_eq!(count(&lab, "DescribeLifecycleHooks"), 0);
}
