//! From the event to the drain: which calls, in which order, with which content.

use std::collections::BTreeSet;

use drain_lab::journal::Kind;
use drain_lab::nomad::{DrainRequest, JobSpec};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{
    GROUP, POST, became, calls, deploy, ending, eventually, function, invoke, invoke_with, is_held, lab,
    message, message_of, nomad_calls, posts, response, result, terminate,
};

/// What an operator's tools see while the batch job of a test goes on: the invocation stays for a moment only.
const MOMENT: (&str, &str) = ("EVENT_LINGER", "200ms");

#[tokio::test]
async fn an_event_is_four_calls_from_the_token_to_the_drain() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[MOMENT]), &worker).await;
    assert_eq!(calls(&lab)[..4], ["GetParameter", "GET /v1/nodes", "GET /v1/node/:id", POST]);
    assert_eq!(became(&run), ("left_to_hook", "hook_timeout_takes_over"));
    assert!(is_held(&lab, &worker));
}

#[tokio::test]
async fn an_empty_node_is_nine_calls_from_the_token_to_the_completion() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(
        calls(&lab),
        [
            "GetParameter",
            "GET /v1/nodes",
            "GET /v1/node/:id",
            POST,
            "GET /v1/node/:id",
            "GET /v1/node/:id/allocations",
            "GET /v1/acl/token/self",
            "GET /v1/acl/policy/:name",
            "CompleteLifecycleAction",
        ]
    );
    assert_eq!(
        *result(&run),
        json!({
            "instance_id": worker.instance_id, "node_id": worker.node_id, "auto_scaling_group": GROUP,
            "lifecycle_hook": "nomad-drain-hook", "outcome": "completed", "reason": "drained",
            "message": format!("every allocation on node worker-1 of {} has stopped", worker.instance_id),
        })
    );
}

#[tokio::test]
async fn the_drain_has_the_deadline_the_scope_and_the_stamp_of_the_contract() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let before = Timestamp::now();
    invoke(&lab, deploy(&lab, &[MOMENT]), &worker).await;

    let node = lab.node(&worker).unwrap();
    let drain = node.drain.unwrap();
    assert_eq!(drain.deadline, SignedDuration::from_hours(1));
    assert!(!drain.ignore_system_jobs);
    assert!(!node.eligible);
    let mut meta = node.last_drain.unwrap().meta;
    let deadline: Timestamp = meta.remove("deadline").unwrap().parse().unwrap();
    let hour_from_then = before + SignedDuration::from_hours(1);
    assert!((0..60).contains(&deadline.duration_since(hour_from_then).as_secs()), "{deadline}");
    assert_eq!(meta.remove("instance-id").unwrap(), worker.instance_id);
    assert_eq!(
        meta.remove("message").unwrap(),
        format!("Auto Scaling is terminating {} (group workers)", worker.instance_id)
    );
    assert_eq!(meta.remove("version").unwrap(), env!("CARGO_PKG_VERSION"));
    let started = message_of(&lab, &worker)["Time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(meta.remove("hook-started-at").unwrap().parse::<Timestamp>().unwrap(), started);
    let rest: Vec<String> = meta.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        rest,
        [
            "auto-scaling-group=workers",
            "cause=terminate",
            "lifecycle-hook=nomad-drain-hook",
            "managed-by=nomad-drain",
            "was-eligible=true",
        ]
    );
}

#[tokio::test]
async fn deadline_and_system_jobs_follow_the_configuration() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let variables = [("DRAIN_DEADLINE", "1h30m"), ("DRAIN_IGNORE_SYSTEM_JOBS", "on"), MOMENT];
    invoke(&lab, deploy(&lab, &variables), &worker).await;
    let drain = lab.node(&worker).unwrap().drain.unwrap();
    assert_eq!((drain.deadline, drain.ignore_system_jobs), (SignedDuration::from_mins(90), true));
}

#[tokio::test]
async fn a_termination_in_the_group_reaches_the_node_through_hook_and_topic() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.lose_events(false);
    lab.nomad.add_job(JobSpec::batch("report", 1));
    deploy(&lab, &[]);
    terminate(&lab, &worker);
    eventually("the node is drained", || lab.node(&worker).unwrap().last_drain.is_some()).await;
    let meta = lab.node(&worker).unwrap().last_drain.unwrap().meta;
    let action = lab.aws.lifecycle_action(&worker.instance_id).unwrap();
    let started: Timestamp = meta["hook-started-at"].parse().unwrap();
    assert_eq!(started.as_millisecond(), action.started_at.as_millisecond());
}

#[tokio::test]
async fn twenty_instances_that_end_together_start_draining_together() {
    let lab = lab().await;
    let workers: Vec<_> = (1..=20).map(|number| lab.add_worker(GROUP, number).unwrap()).collect();
    let mut settings = function(&lab, &[]);
    settings.max_concurrency = 20;
    lab.lose_events(false);
    lab.deploy(settings);
    for worker in &workers {
        terminate(&lab, worker);
    }
    eventually("twenty drains", || posts(&lab) == 20).await;
    let drained: BTreeSet<String> = lab
        .journal
        .entries()
        .into_iter()
        .filter(|entry| entry.kind == Kind::Effect && entry.what == "drain started")
        .map(|entry| entry.subject)
        .collect();
    assert_eq!(drained, workers.into_iter().map(|worker| worker.node_id).collect());
}

#[tokio::test]
async fn a_second_delivery_of_an_event_posts_nothing() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let lambda = deploy(&lab, &[MOMENT]);
    invoke(&lab, lambda, &worker).await;
    let running = lab.node(&worker).unwrap().drain;
    let again = invoke(&lab, lambda, &worker).await;
    assert_eq!(became(&again), ("left_to_hook", "hook_timeout_takes_over"));
    assert_eq!(posts(&lab), 1);
    assert_eq!(lab.node(&worker).unwrap().drain, running, "the deadline must not move");
}

#[tokio::test]
async fn a_second_delivery_after_the_end_posts_nothing_and_completes_nothing() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let lambda = deploy(&lab, &[]);
    let event = message_of(&lab, &worker);
    assert_eq!(became(&invoke_with(lambda, &event).await), ("completed", "drained"));
    assert_eq!(became(&invoke_with(lambda, &event).await), ("ignored", "no_active_action"));
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn an_operators_drain_is_adopted_if_it_ends_in_time_and_keeps_its_meta_if_not() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let lambda = deploy(&lab, &[MOMENT]);
    let drain = |deadline| DrainRequest::with_deadline(deadline).meta("who", "operator");

    lab.nomad.drain(&worker.node_id, drain(SignedDuration::from_mins(5))).unwrap();
    assert_eq!(became(&invoke(&lab, lambda, &worker).await).0, "left_to_hook");
    assert_eq!(posts(&lab), 0);

    lab.nomad.drain(&worker.node_id, drain(SignedDuration::ZERO)).unwrap();
    invoke(&lab, lambda, &worker).await;
    let node = lab.node(&worker).unwrap();
    assert!(node.drain.unwrap().deadline > SignedDuration::from_mins(59));
    assert_eq!(node.last_drain.unwrap().meta["who"], "operator");
}

#[tokio::test]
async fn a_dry_run_finds_the_node_and_posts_nothing() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[("DRY_RUN", "on")]), &worker).await;
    assert_eq!((&result(&run)["outcome"], &result(&run)["reason"]), (&json!("ignored"), &json!("dry_run")));
    assert_eq!(calls(&lab), ["GetParameter", "GET /v1/nodes", "GET /v1/node/:id"]);
}

#[tokio::test]
async fn without_acls_no_token_is_read() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[("NOMAD_ACL", "off")]), &worker).await;
    // The lab's cluster has ACLs: a request without a token shows that none was sent.
    assert_eq!(crate::harness::failure(&run).0, "NomadTokenRefused");
    assert_eq!(calls(&lab), ["GET /v1/nodes"]);
}

#[tokio::test]
async fn messages_that_are_not_ours_are_answered_with_success_and_the_reason() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let lambda = deploy(&lab, &[("LIFECYCLE_HOOK_NAME", "another-hook")]);
    let test = json!({"Event": "autoscaling:TEST_NOTIFICATION", "AutoScalingGroupName": GROUP});
    let mut launch = message(&worker.instance_id);
    launch["LifecycleTransition"] = json!("autoscaling:EC2_INSTANCE_LAUNCHING");
    for (payload, reason) in [
        (test, "test_notification"),
        (launch, "launch_transition"),
        (message(&worker.instance_id), "other_hook"),
    ] {
        let run = invoke_with(lambda, &payload).await;
        assert_eq!((&result(&run)["outcome"], &result(&run)["reason"]), (&json!("ignored"), &json!(reason)));
    }
    assert_eq!(calls(&lab), Vec::<String>::new());
}

#[tokio::test]
async fn several_records_are_looked_up_together_and_each_is_drained_once() {
    let lab = lab().await;
    let workers: Vec<_> = (1..=3).map(|number| ending(&lab, number)).collect();
    let mut records: Vec<Value> = Vec::new();
    for worker in workers.iter().chain(&workers[..1]) {
        let message = message_of(&lab, worker).to_string();
        records.push(json!({"EventSource": "aws:sns", "Sns": {"Message": message}}));
    }
    let run = invoke_with(deploy(&lab, &[]), &json!({ "Records": records })).await;
    let results = response(&run)["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    assert!(results.iter().all(|result| result["outcome"] == "completed"), "{results:?}");
    assert_eq!(nomad_calls(&lab).iter().filter(|what| *what == "GET /v1/nodes").count(), 1);
    assert_eq!(posts(&lab), 3);
}
