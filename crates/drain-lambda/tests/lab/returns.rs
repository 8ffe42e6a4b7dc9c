//! Instances that come, and those that come back.

use std::time::Duration;

use drain_lab::aws::{GroupSettings, LifecycleState};
use drain_lab::lab::{Lab, Worker};
use drain_lab::models::Models;
use drain_lab::nomad::{DrainRequest, NodeSpec, NodeStatus};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::harness::{
    GROUP, became, complete_by_hand, completions, count, deploy_with_sweep, effects, invoke_with, lab,
    lab_since, message_of, nomad_calls, posts, response, slow_service, sweep, terminate,
};

const ELIGIBILITY: &str = "POST /v1/node/:id/eligibility";

/// A lab that begins so long ago, with a warm pool; the function's clock is always the real one.
async fn with_pool(ago: Duration) -> Lab {
    let lab = lab_since(ago).await;
    lab.add_group_with(GroupSettings::named("pool").with_warm_pool(), [Models::hook(3600)]).unwrap();
    lab
}

const POOL: (&str, &str) = ("AUTO_SCALING_GROUPS", "pool");

fn state(lab: &Lab, worker: &Worker) -> LifecycleState {
    lab.aws.instance(&worker.instance_id).unwrap().lifecycle_state
}

/// The machine runs again, and its agent has told the servers.
fn is_up(lab: &Lab, worker: &Worker) -> bool {
    lab.node(worker).is_some_and(|node| node.status == NodeStatus::Ready)
}

#[tokio::test]
async fn a_node_that_goes_through_the_warm_pool_ten_times_takes_work_each_time() {
    let lab = with_pool(Duration::from_mins(80)).await;
    let worker = lab.add_worker("pool", 1).unwrap();
    let lambda = deploy_with_sweep(&lab, &[POOL]);
    for cycle in 1..=10 {
        lab.aws.return_to_warm_pool(&worker.instance_id).unwrap();
        let run = invoke_with(lambda, &{
            let mut message = message_of(&lab, &worker);
            message["Destination"] = "WarmPool".into();
            message
        })
        .await;
        assert_eq!(became(&run), ("completed", "drained"), "{cycle}");
        assert_eq!(state(&lab, &worker), LifecycleState::WarmedStopped);
        lab.quiet().await;
        lab.advance(Duration::from_mins(4));
        sweep(lambda).await;
        assert!(!lab.node(&worker).unwrap().eligible, "not while it is in the pool");
        lab.aws.launch_from_warm_pool(&worker.instance_id).unwrap();
        lab.quiet().await;
        lab.advance(Duration::from_mins(1));
        assert!(is_up(&lab, &worker), "{cycle}: {:?}", lab.node(&worker));
        let run = sweep(lambda).await;
        assert_eq!(became(&run), ("restored", "given_back"), "{cycle}");
        let node = lab.node(&worker).unwrap();
        assert!(node.eligible);
        assert_eq!(posts(&lab), cycle);
    }
    assert_eq!(count(&lab, ELIGIBILITY), 10);
}

#[tokio::test]
async fn what_an_operator_has_disabled_stays_so() {
    let lab = with_pool(Duration::from_mins(80)).await;
    let before = lab.add_worker("pool", 1).unwrap();
    let after = lab.add_worker("pool", 2).unwrap();
    lab.nomad.set_eligibility(&before.node_id, false).unwrap();
    lab.advance(Duration::from_mins(1));
    let lambda = deploy_with_sweep(&lab, &[POOL]);
    for worker in [&before, &after] {
        lab.aws.return_to_warm_pool(&worker.instance_id).unwrap();
    }
    sweep(lambda).await;
    lab.advance(Duration::from_mins(4));
    for worker in [&before, &after] {
        lab.aws.launch_from_warm_pool(&worker.instance_id).unwrap();
    }
    lab.advance(Duration::from_mins(1));
    sweep(lambda).await;
    assert!(!lab.node(&before).unwrap().eligible, "disabled before our drain");
    assert!(lab.node(&after).unwrap().eligible);
    lab.advance(Duration::from_mins(1));
    lab.nomad.set_eligibility(&after.node_id, false).unwrap();
    sweep(lambda).await;
    assert!(!lab.node(&after).unwrap().eligible, "disabled after it was given back");
    assert_eq!(count(&lab, ELIGIBILITY), 1);
}

#[tokio::test]
async fn a_drain_that_still_runs_when_the_instance_is_back_is_ended_with_one_post() {
    let lab = with_pool(Duration::from_mins(80)).await;
    lab.nomad.add_job(slow_service(Duration::from_hours(10)));
    let worker = lab.add_worker("pool", 1).unwrap();
    let lambda = deploy_with_sweep(&lab, &[POOL, ("DRAIN_DEADLINE", "12h")]);
    lab.aws.return_to_warm_pool(&worker.instance_id).unwrap();
    assert_eq!(became(&sweep(lambda).await), ("drain_started", "drain_posted"));
    // The servers' clock here is not the function's, by which it stamps: as if it were.
    let stamped: Timestamp = lab.node(&worker).unwrap().last_drain.unwrap().meta["deadline"].parse().unwrap();
    let left = stamped.duration_since(lab.clock.now());
    lab.nomad.drain(&worker.node_id, DrainRequest::with_deadline(left)).unwrap();
    // Somebody lets it go all the same, and it comes straight back: the client never stopped.
    complete_by_hand(&lab, &worker);
    lab.aws.launch_from_warm_pool(&worker.instance_id).unwrap();
    lab.advance(Duration::from_mins(3));
    let node = lab.node(&worker).unwrap();
    assert!(node.drain.is_some(), "{node:?}");
    assert_eq!(became(&sweep(lambda).await), ("restored", "given_back"));
    let node = lab.node(&worker).unwrap();
    assert!(node.eligible && node.drain.is_none());
    assert_eq!((posts(&lab), count(&lab, ELIGIBILITY)), (2, 0));
    let last = lab.journal.entries().into_iter().rfind(|entry| entry.what == crate::harness::POST);
    let body: serde_json::Value = serde_json::from_str(&last.unwrap().detail).unwrap();
    assert_eq!(body, json!({"DrainSpec": null, "MarkEligible": true}));
    assert_eq!(response(&sweep(lambda).await)["results"], json!([]), "once");
}

#[tokio::test]
async fn the_scan_asks_for_ineligible_nodes_only_and_for_none_twice() {
    let lab = lab().await;
    for number in 1..=20 {
        lab.nomad.add_node(NodeSpec::new(format!("busy-{number}")));
    }
    let disabled = lab.nomad.add_node(NodeSpec::new("disabled").instance_id("i-00000000000000abc"));
    lab.nomad.set_eligibility(&disabled, false).unwrap();
    let lambda = deploy_with_sweep(&lab, &[]);
    sweep(lambda).await;
    assert_eq!(nomad_calls(&lab), ["GET /v1/nodes"], "none of them shows a drain of ours");
    let query = lab.journal.entries().into_iter().find(|entry| entry.what == "GET /v1/nodes").unwrap();
    assert!(query.detail.contains("SchedulingEligibility"), "{}", query.detail);
    assert_eq!(count(&lab, "DescribeAutoScalingInstances"), 0);
}

#[tokio::test]
async fn an_instance_that_survives_a_recommendation_gets_its_node_back() {
    let lab = lab_since(Duration::from_hours(2)).await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let variables = [("ON_REBALANCE", "drain"), ("RESTORE_AFTER", "2h")];
    let lambda = deploy_with_sweep(&lab, &variables);
    let event = json!({
        "version": "0", "id": "1", "detail-type": "EC2 Instance Rebalance Recommendation",
        "source": "aws.ec2", "time": Timestamp::now().to_string(),
        "detail": {"instance-id": worker.instance_id},
    });
    assert_eq!(became(&invoke_with(lambda, &event).await), ("drain_started", "drain_posted"));
    lab.advance(Duration::from_mins(5));
    assert!(!lab.node(&worker).unwrap().eligible);
    // By the function's clock the drain began two hours ago.
    assert_eq!(became(&sweep(lambda).await), ("restored", "given_back"));
    assert!(lab.node(&worker).unwrap().eligible);
}

#[tokio::test]
async fn an_instance_whose_time_to_survive_has_not_passed_stays_drained() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let lambda = deploy_with_sweep(&lab, &[("ON_REBALANCE", "drain")]);
    let event = json!({
        "version": "0", "id": "1", "detail-type": "EC2 Instance Rebalance Recommendation",
        "source": "aws.ec2", "time": Timestamp::now().to_string(),
        "detail": {"instance-id": worker.instance_id},
    });
    invoke_with(lambda, &event).await;
    assert_eq!(response(&sweep(lambda).await)["results"], json!([]));
    assert!(!lab.node(&worker).unwrap().eligible);
}

#[tokio::test]
async fn a_node_that_was_drained_for_its_end_is_never_given_back() {
    let lab = lab_since(Duration::from_hours(2)).await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let lambda = deploy_with_sweep(&lab, &[]);
    terminate(&lab, &worker);
    let mut message = message_of(&lab, &worker);
    message["Time"] = Timestamp::now().to_string().into();
    invoke_with(lambda, &message).await;
    lab.advance(Duration::from_mins(10));
    sweep(lambda).await;
    assert!(lab.node(&worker).is_none_or(|node| !node.eligible));
    assert_eq!(count(&lab, ELIGIBILITY), 0);
}

const WAIT: (&str, &str) = ("ON_LAUNCH", "wait");

#[tokio::test]
async fn a_launch_is_completed_when_its_node_is_ready_and_never_drains() {
    let lab = lab().await;
    lab.add_launch_hook(GROUP, 600).unwrap();
    let instance_id = lab.aws.launch_instance(GROUP, Some(std::net::Ipv4Addr::new(127, 0, 1, 50))).unwrap();
    let worker = Worker {
        instance_id: instance_id.clone(),
        node_id: String::new(),
        name: "late".to_owned(),
        private_ip: std::net::Ipv4Addr::new(127, 0, 1, 50),
    };
    let lambda = deploy_with_sweep(&lab, &[WAIT, ("NODE_LOOKUP", "server")]);
    let mut launch = message_of(&lab, &worker);
    launch["LifecycleTransition"] = "autoscaling:EC2_INSTANCE_LAUNCHING".into();
    launch["Origin"] = "EC2".into();
    launch["Destination"] = "AutoScalingGroup".into();
    assert_eq!(became(&invoke_with(lambda, &launch).await), ("held", "waiting_for_node"));
    assert_eq!(became(&sweep(lambda).await), ("held", "waiting_for_node"));
    assert_eq!(state(&lab, &worker), LifecycleState::PendingWait);
    let node = lab.nomad.add_node(NodeSpec::new("late").instance_id(&instance_id));
    lab.nomad.set_eligibility(&node, false).unwrap();
    assert_eq!(became(&invoke_with(lambda, &launch).await), ("held", "node_not_eligible"));
    lab.nomad.set_eligibility(&node, true).unwrap();
    assert_eq!(became(&sweep(lambda).await), ("completed", "node_ready"));
    assert_eq!(state(&lab, &worker), LifecycleState::InService);
    assert_eq!(completions(&lab, &worker), ["CONTINUE of nomad-launch-hook by instance id"]);
    assert_eq!((posts(&lab), effects(&lab, "lifecycle action heartbeat", &instance_id).len()), (0, 0));
}

#[tokio::test]
async fn a_launch_is_ignored_unless_it_was_asked_for() {
    let lab = lab().await;
    lab.add_launch_hook(GROUP, 600).unwrap();
    let instance_id = lab.aws.launch_instance(GROUP, None).unwrap();
    lab.nomad.add_node(NodeSpec::new("new").instance_id(&instance_id));
    let lambda = deploy_with_sweep(&lab, &[]);
    assert_eq!(response(&sweep(lambda).await)["held"], 0);
    assert!(lab.aws.lifecycle_action(&instance_id).is_some());
}

#[tokio::test]
async fn a_node_that_comes_back_from_the_pool_is_given_back_before_the_launch_hook_judges_it() {
    let lab = with_pool(Duration::from_mins(80)).await;
    lab.add_launch_hook("pool", 7200).unwrap();
    let worker = lab.add_worker("pool", 1).unwrap();
    let lambda = deploy_with_sweep(&lab, &[POOL, WAIT]);
    lab.aws.return_to_warm_pool(&worker.instance_id).unwrap();
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
    lab.advance(Duration::from_mins(4));
    lab.aws.launch_from_warm_pool(&worker.instance_id).unwrap();
    lab.advance(Duration::from_mins(1));
    assert_eq!(state(&lab, &worker), LifecycleState::PendingWait);
    assert_eq!(became(&sweep(lambda).await), ("completed", "node_ready"));
    assert!(lab.node(&worker).unwrap().eligible);
    assert_eq!(state(&lab, &worker), LifecycleState::InService);
    assert_eq!((posts(&lab), count(&lab, ELIGIBILITY)), (1, 1));
}

#[tokio::test]
async fn an_instance_with_a_new_root_volume_comes_back_as_a_new_node_and_the_old_one_is_left_alone() {
    let lab = lab_since(Duration::from_hours(2)).await;
    lab.add_launch_hook(GROUP, 7200).unwrap();
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let lambda = deploy_with_sweep(&lab, &[WAIT]);
    lab.aws.replace_root_volume(&worker.instance_id).unwrap();
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
    lab.advance(Duration::from_mins(5));
    assert_eq!(state(&lab, &worker), LifecycleState::PendingWait);
    let run = sweep(lambda).await;
    assert_eq!(response(&run)["results"][0]["reason"], "node_ready");
    assert_eq!(state(&lab, &worker), LifecycleState::InService);
    let nodes = lab.nomad.nodes_of_instance(&worker.instance_id);
    assert!(nodes.iter().any(|node| node.eligible && node.status == NodeStatus::Ready), "{nodes:?}");
    assert_eq!(count(&lab, ELIGIBILITY), 0);
}

#[tokio::test]
async fn a_node_that_waited_for_its_turn_is_given_back_like_any_other() {
    let lab = with_pool(Duration::from_mins(80)).await;
    lab.nomad.add_job(slow_service(Duration::from_millis(100)));
    let worker = lab.add_worker("pool", 1).unwrap();
    let lambda = deploy_with_sweep(&lab, &[POOL, ("MAX_DRAINS_PER_GROUP", "1")]);
    lab.aws.return_to_warm_pool(&worker.instance_id).unwrap();
    lab.advance(Duration::from_secs(1));
    let mut message = message_of(&lab, &worker);
    message["Destination"] = "WarmPool".into();
    message["Time"] = Timestamp::now().to_string().into();
    assert_eq!(became(&invoke_with(lambda, &message).await), ("held", "waiting_for_turn"));
    assert!(lab.node(&worker).unwrap().eligible, "else nobody could tell that it took work");
    sweep(lambda).await;
    assert_eq!(lab.node(&worker).unwrap().last_drain.unwrap().meta["was-eligible"], "true");
}

#[tokio::test]
async fn an_instance_that_is_stopped_for_its_warm_pool_without_a_hook_is_given_back_too() {
    let lab = lab_since(Duration::from_mins(80)).await;
    lab.add_group_with(GroupSettings::named("pool").with_warm_pool(), []).unwrap();
    let worker = lab.add_worker("pool", 1).unwrap();
    let lambda = deploy_with_sweep(&lab, &[POOL]);
    lab.aws.return_to_warm_pool(&worker.instance_id).unwrap();
    let event = json!({
        "version": "0", "id": "1", "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2", "time": Timestamp::now().to_string(),
        "detail": {"instance-id": worker.instance_id, "state": "stopping"},
    });
    assert_eq!(became(&invoke_with(lambda, &event).await), ("drain_started", "drain_posted"));
    assert_eq!(lab.node(&worker).unwrap().last_drain.unwrap().meta["cause"], "warm-pool");
    lab.quiet().await;
    lab.advance(Duration::from_mins(4));
    lab.aws.launch_from_warm_pool(&worker.instance_id).unwrap();
    lab.quiet().await;
    lab.advance(Duration::from_mins(1));
    assert_eq!(became(&sweep(lambda).await), ("restored", "given_back"));
    assert!(lab.node(&worker).unwrap().eligible);
}

#[tokio::test]
async fn a_dry_run_says_what_it_would_give_back() {
    let lab = lab_since(Duration::from_mins(80)).await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let stamp = [
        ("managed-by", "nomad-drain"),
        ("instance-id", worker.instance_id.as_str()),
        ("cause", "warm-pool"),
        ("was-eligible", "true"),
    ];
    let meta = stamp.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let ours = DrainRequest { meta, ..DrainRequest::with_deadline(SignedDuration::from_mins(1)) };
    lab.nomad.drain(&worker.node_id, ours).unwrap();
    lab.advance(Duration::from_mins(5));
    let run = sweep(deploy_with_sweep(&lab, &[("DRY_RUN", "on")])).await;
    assert_eq!(became(&run), ("ignored", "dry_run"));
    let message = response(&run)["results"][0]["message"].as_str().unwrap();
    assert!(message.contains(&worker.node_id) && message.contains("take work again"), "{message}");
    assert!(!lab.node(&worker).unwrap().eligible);
}
