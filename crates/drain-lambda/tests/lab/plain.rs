//! Without a sweep: the hook's message comes, the drain begins with the calls that it has always had, and what can be
//! done within the invocation's own time is done.

use std::time::Duration;

use drain_lab::aws::{LifecycleHook, ParameterType};
use drain_lab::journal::System;
use drain_lab::lab::{TOKEN, TOKEN_PARAMETER, Worker};
use drain_lab::nomad::JobSpec;
use serde_json::{Value, json};

use crate::harness::{
    GROUP, HEARTBEAT, POST, assert_released_when_empty, became, calls, completions, count, deploy, effects,
    ending, eventually, function, heartbeat_timeout, heartbeats, invoke, invoke_with, is_held, lab,
    message_of, posts, result, slow_service, terminate, warnings,
};

#[tokio::test]
async fn no_call_to_auto_scaling_comes_before_the_drain() {
    let lab = lab().await;
    heartbeat_timeout(&lab, 30);
    lab.nomad.add_job(slow_service(Duration::from_secs(1)));
    let worker = ending(&lab, 1);
    invoke(&lab, deploy(&lab, &[]), &worker).await;
    let calls = calls(&lab);
    let drain = calls.iter().position(|what| what == POST).unwrap();
    let hook = calls.iter().position(|what| what.ends_with("LifecycleHooks")).unwrap();
    assert!(drain < hook, "{calls:?}");
    assert_eq!(calls[..drain], ["GetParameter", "GET /v1/nodes", "GET /v1/node/:id"]);
}

#[tokio::test]
async fn a_drain_that_ends_in_time_is_completed() {
    let lab = lab().await;
    lab.lose_events(false);
    lab.nomad.add_job(slow_service(Duration::from_secs(2)));
    let worker = lab.add_worker(GROUP, 1).unwrap();
    deploy(&lab, &[]);
    terminate(&lab, &worker);
    eventually("it is released", || !completions(&lab, &worker).is_empty()).await;
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn a_drain_that_takes_longer_is_left_to_the_hook_and_said_to_be() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let mut settings = function(&lab, &[]);
    settings.timeout = Duration::from_secs(12);
    let run = invoke(&lab, lab.deploy(settings), &worker).await;
    assert_eq!(became(&run), ("left_to_hook", "hook_timeout_takes_over"));
    let message = result(&run)["message"].as_str().unwrap();
    assert!(message.contains("report") && message.contains("hook's time-out"), "{message}");
    assert!(is_held(&lab, &worker));
    // It ends after seven: the last three of the five are for a machine that is busy.
    assert!(run.duration < Duration::from_secs(10), "five seconds are kept back: {:?}", run.duration);
}

#[tokio::test]
async fn a_role_that_may_not_complete_is_one_warning_with_the_statement() {
    let lab = lab().await;
    lab.aws.deny("autoscaling:CompleteLifecycleAction");
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("left_to_hook", "completion_denied"));
    let warnings = warnings(&run);
    let [warning] = warnings[..] else { panic!("{warnings:?}") };
    let statement = r#"{"Action":"autoscaling:CompleteLifecycleAction","Effect":"Allow","Resource":"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/workers"}"#;
    assert!(warning.contains(statement), "{warning}");
    assert_eq!(count(&lab, "CompleteLifecycleAction"), 1);
}

#[tokio::test]
async fn the_old_role_drains_and_warns_of_each_permission_once() {
    let lab = lab().await;
    heartbeat_timeout(&lab, 30);
    let actions = ["DescribeLifecycleHooks", HEARTBEAT, "CompleteLifecycleAction"];
    for action in actions {
        lab.aws.deny(&format!("autoscaling:{action}"));
    }
    lab.nomad.add_job(slow_service(Duration::from_secs(1)));
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("left_to_hook", "completion_denied"));
    let warnings = warnings(&run);
    for action in actions {
        let of_it =
            warnings.iter().filter(|warning| warning.contains(&format!("autoscaling:{action}\""))).count();
        assert!(of_it <= 1, "{of_it} of {action}: {warnings:?}");
        assert!(count(&lab, action) <= 1, "{action} is asked again");
    }
    assert!(warnings.iter().any(|warning| warning.contains("autoscaling:DescribeLifecycleHooks")));
}

#[tokio::test]
async fn a_completion_that_was_denied_is_made_up_by_the_next_delivery() {
    let lab = lab().await;
    lab.aws.deny("autoscaling:CompleteLifecycleAction");
    let worker = ending(&lab, 1);
    let lambda = deploy(&lab, &[]);
    invoke(&lab, lambda, &worker).await;
    lab.aws.allow("autoscaling:CompleteLifecycleAction");
    assert_eq!(became(&invoke(&lab, lambda, &worker).await), ("completed", "drained"));
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn a_hook_with_a_short_time_out_is_kept_alive_while_the_drain_goes_on() {
    let lab = lab().await;
    heartbeat_timeout(&lab, 3);
    lab.nomad.add_job(slow_service(Duration::from_secs(5)));
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert!(heartbeats(&lab, &worker) >= 3, "{}", heartbeats(&lab, &worker));
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn a_hook_that_has_run_out_is_an_end_and_no_error() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let event = message_of(&lab, &worker);
    lab.aws.delete_lifecycle_hook(GROUP, "nomad-drain-hook").unwrap();
    lab.nomad.stop_job("default", "report");
    let run = invoke_with(deploy(&lab, &[]), &event).await;
    assert_eq!(became(&run), ("ignored", "no_active_action"));
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn an_event_that_names_no_hook_begins_the_drain_and_completes_nothing() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let mut event = message_of(&lab, &worker);
    event.as_object_mut().unwrap().remove("LifecycleHookName");
    let run = invoke_with(deploy(&lab, &[]), &event).await;
    assert_eq!(became(&run), ("drain_started", "drain_posted"));
    assert_eq!(lab.journal.calls(System::AutoScaling), Vec::<String>::new());
}

#[tokio::test]
async fn a_failure_to_begin_is_an_error_and_lambdas_retry_finishes() {
    let lab = lab().await;
    lab.lose_events(false);
    lab.aws.delete_parameter(TOKEN_PARAMETER);
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let lambda = deploy(&lab, &[]);
    terminate(&lab, &worker);
    eventually("the first attempt fails", || lambda.next_due().is_some()).await;
    lab.aws.put_parameter(TOKEN_PARAMETER, ParameterType::SecureString, TOKEN);
    lab.clock.advance(Duration::from_mins(1));
    eventually("it is released", || !completions(&lab, &worker).is_empty()).await;
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn several_instances_of_one_event_are_seen_through_side_by_side() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::system("logs").stop_takes(Duration::from_secs(2)));
    let workers: Vec<Worker> = (1..=5).map(|number| ending(&lab, number)).collect();
    let records: Vec<Value> = workers
        .iter()
        .map(|worker| json!({"EventSource": "aws:sns", "Sns": {"Message": message_of(&lab, worker).to_string()}}))
        .collect();
    invoke_with(deploy(&lab, &[]), &json!({ "Records": records })).await;
    for worker in &workers {
        assert_released_when_empty(&lab, worker);
    }
    let at = |what, subject: &str| effects(&lab, what, subject)[0].at;
    let begun = workers.iter().map(|worker| at("drain started", &worker.node_id)).max();
    let released = workers.iter().map(|worker| at("lifecycle action completed", &worker.instance_id)).min();
    assert!(begun < released, "one after the other: {begun:?} and {released:?}");
}

#[tokio::test]
async fn the_action_of_a_hook_that_is_not_ours_is_left_alone() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.aws.delete_lifecycle_hook(GROUP, "nomad-drain-hook").unwrap();
    lab.aws.put_lifecycle_hook(GROUP, LifecycleHook::terminating("backup")).unwrap();
    terminate(&lab, &worker);
    let lambda = deploy(&lab, &[("LIFECYCLE_HOOK_NAME", "nomad-drain-hook")]);
    assert_eq!(became(&invoke(&lab, lambda, &worker).await), ("ignored", "other_hook"));
    assert!(is_held(&lab, &worker));
    assert_eq!(calls(&lab), Vec::<String>::new());
}
