//! The sweep finds every held instance of the watched groups, and finishes what nothing else does.

mod groups;
mod holding;
mod hooks;
mod without_node;

use std::time::Duration;

use drain_lab::aws::{GroupSettings, LifecycleState};
use drain_lab::journal::System;
use drain_lab::lab::Worker;
use drain_lab::lambda::{InvocationRecord, Lambda};
use drain_lab::nomad::JobSpec;
use serde_json::json;

use crate::harness::{
    GROUP, HEARTBEAT, POST, assert_released_when_empty, became, calls, complete_by_hand, completions, count,
    deploy, deploy_with_sweep, ending, invoke, invoke_with, is_held, lab, message_of, nomad_calls, posts,
    response, slow_service, sweep, warnings,
};

/// Watched groups and held instances, as a sweep reports them.
#[track_caller]
fn counted(run: &InvocationRecord) -> (u64, u64) {
    let response = response(run);
    (response["groups"].as_u64().unwrap(), response["held"].as_u64().unwrap())
}

#[tokio::test]
async fn a_lost_event_is_found_and_the_instance_released() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let run = sweep(deploy_with_sweep(&lab, &[])).await;
    assert_eq!((counted(&run), became(&run)), ((1, 1), ("completed", "drained")));
    assert_released_when_empty(&lab, &worker);
    assert_eq!(completions(&lab, &worker), ["CONTINUE of nomad-drain-hook by instance id"]);
    let calls = calls(&lab);
    let place = |what| calls.iter().position(|call| call == what).unwrap();
    assert!(
        place(HEARTBEAT) < place(POST),
        "a probe comes before a drain that no event asked for: {calls:?}"
    );
}

#[tokio::test]
async fn every_schedule_is_a_sweep() {
    let lab = lab().await;
    let lambda = deploy_with_sweep(&lab, &[]);
    for event in [
        json!({"action": "sweep"}),
        json!({"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}),
        json!({"version": "0", "source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}"}),
    ] {
        assert_eq!(counted(&invoke_with(lambda, &event).await), (1, 0));
    }
    assert_eq!(counted(&lab.sweep().await.unwrap()), (1, 0));
}

#[tokio::test]
async fn a_sweep_that_finds_nothing_is_one_question_to_each_side() {
    let lab = lab().await;
    lab.add_worker(GROUP, 1).unwrap();
    let lambda = deploy_with_sweep(&lab, &[]);
    sweep(lambda).await;
    assert_eq!(calls(&lab), ["DescribeAutoScalingGroups", "GetParameter", "GET /v1/nodes"]);
    sweep(lambda).await;
    assert_eq!(calls(&lab)[3..], ["DescribeAutoScalingGroups", "GET /v1/nodes"], "the token is kept");
}

#[tokio::test]
async fn many_held_instances_are_looked_up_together_and_all_released() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::system("logs").stop_takes(Duration::from_secs(1)));
    let workers: Vec<Worker> = (1..=40).map(|number| ending(&lab, number)).collect();
    let run = sweep(deploy_with_sweep(&lab, &[("SWEEP_LINGER", "8s")])).await;
    assert_eq!(counted(&run), (1, 40));
    assert_eq!(count(&lab, "GET /v1/nodes"), 2, "one for all of them, one for nodes that may be given back");
    for worker in &workers {
        assert_released_when_empty(&lab, worker);
    }
}

#[tokio::test]
async fn an_instance_on_its_way_back_to_the_warm_pool_is_drained_and_let_through() {
    let lab = lab().await;
    lab.aws.create_group(GroupSettings::named(GROUP).with_warm_pool());
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.aws.return_to_warm_pool(&worker.instance_id).unwrap();
    let run = sweep(deploy_with_sweep(&lab, &[])).await;
    assert_eq!((counted(&run), became(&run)), ((1, 1), ("completed", "drained")));
    assert_eq!(lab.node(&worker).unwrap().last_drain.unwrap().meta["cause"], "warm-pool");
    let state = lab.aws.instance(&worker.instance_id).unwrap().lifecycle_state;
    assert_eq!(state, LifecycleState::WarmedStopped);
    assert_eq!(count(&lab, "DescribeWarmPool"), 1);
}

#[tokio::test]
async fn an_instance_that_gets_a_new_root_volume_is_drained() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.aws.replace_root_volume(&worker.instance_id).unwrap();
    assert_eq!(became(&sweep(deploy_with_sweep(&lab, &[])).await), ("completed", "drained"));
    assert_eq!(lab.node(&worker).unwrap().last_drain.unwrap().meta["cause"], "root-volume");
    assert_eq!(completions(&lab, &worker), ["CONTINUE of nomad-drain-hook by instance id"]);
}

#[tokio::test]
async fn a_late_event_of_an_instance_that_is_not_held_any_more_drains_nothing() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let mut message = message_of(&lab, &worker);
    message["Time"] = "2026-01-01T00:00:00Z".into();
    complete_by_hand(&lab, &worker);
    let run = invoke_with(deploy(&lab, &[]), &message).await;
    assert_eq!(became(&run), ("ignored", "no_longer_held"));
    assert_eq!(nomad_calls(&lab), Vec::<String>::new());
}

#[tokio::test]
async fn a_late_event_is_taken_as_it_comes_if_nobody_may_ask() {
    let lab = lab().await;
    lab.aws.deny("autoscaling:DescribeAutoScalingInstances");
    let worker = ending(&lab, 1);
    let mut message = message_of(&lab, &worker);
    message["Time"] = "2026-01-01T00:00:00Z".into();
    let run = invoke_with(deploy(&lab, &[]), &message).await;
    assert_eq!(became(&run), ("completed", "drained"));
    let warned = warnings(&run);
    assert!(
        warned.iter().any(|line| line.contains("autoscaling:DescribeAutoScalingInstances")),
        "{warned:?}"
    );
}

#[tokio::test]
async fn an_event_begins_and_the_sweep_finishes() {
    let lab = lab().await;
    lab.nomad.add_job(slow_service(Duration::from_secs(2)));
    let worker = ending(&lab, 1);
    let lambda = deploy_with_sweep(&lab, &[("SWEEP_LINGER", "6s")]);
    assert_eq!(became(&invoke(&lab, lambda, &worker).await), ("drain_started", "drain_posted"));
    assert!(is_held(&lab, &worker));
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
    assert_released_when_empty(&lab, &worker);
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn an_event_stays_long_enough_to_release_an_empty_node() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy_with_sweep(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert_eq!(completions(&lab, &worker), ["CONTINUE of nomad-drain-hook by token"]);
}

#[tokio::test]
async fn invocations_that_race_complete_once_and_never_push_the_deadline_out() {
    let lab = lab().await;
    lab.nomad.add_job(slow_service(Duration::from_secs(1)));
    let worker = ending(&lab, 1);
    let lambda = deploy_with_sweep(&lab, &[("SWEEP_LINGER", "6s"), ("EVENT_LINGER", "6s")]);
    let event = message_of(&lab, &worker);
    tokio::join!(sweep(lambda), invoke_with(lambda, &event), sweep(lambda), invoke_with(lambda, &event));
    assert_released_when_empty(&lab, &worker);
    let runs = lambda.invocations();
    assert!(runs.iter().all(|run| run.outcome.response().is_some()), "a race is no error");
    let outcomes: Vec<_> = runs.iter().map(became).collect();
    assert_eq!(outcomes.iter().filter(|(outcome, _)| *outcome == "completed").count(), 1, "{outcomes:?}");
}

#[tokio::test]
async fn an_abandoned_instance_is_kept_by_a_group_that_says_so() {
    let lab = lab().await;
    lab.aws.create_group(GroupSettings::named(GROUP).retaining());
    lab.nomad.add_job(slow_service(Duration::from_mins(5)));
    let worker = ending(&lab, 1);
    let variables = [
        ("DRAIN_DEADLINE", "1s"),
        ("KILL_GRACE", "1s"),
        ("ON_DRAIN_TIMEOUT", "abandon"),
        ("SWEEP_LINGER", "6s"),
    ];
    assert_eq!(became(&sweep(deploy_with_sweep(&lab, &variables)).await), ("abandoned", "drain_timeout"));
    let state = lab.aws.instance(&worker.instance_id).unwrap().lifecycle_state;
    assert_eq!(state, LifecycleState::TerminatingRetained);
}

#[tokio::test]
async fn a_sweep_while_sweep_is_off_works_and_warns() {
    let lab = lab().await;
    ending(&lab, 1);
    let run = sweep(deploy(&lab, &[("AUTO_SCALING_GROUPS", GROUP), ("SWEEP_LINGER", "300ms")])).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert!(warnings(&run).iter().any(|warning| warning.contains("SWEEP is off")));
}

#[tokio::test]
async fn a_process_that_is_killed_is_made_up_for_by_the_next_sweep() {
    let lab = lab().await;
    lab.nomad.add_job(slow_service(Duration::from_secs(1)));
    let worker = ending(&lab, 1);
    let lambda: &Lambda = deploy_with_sweep(&lab, &[("SWEEP_LINGER", "6s")]);
    let killed = async {
        crate::harness::eventually("the drain begins", || posts(&lab) == 1).await;
    };
    tokio::select! {
        _ = sweep(lambda) => panic!("it should have been killed"),
        () = killed => {}
    }
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
    assert_released_when_empty(&lab, &worker);
    assert_eq!(posts(&lab), 1);
    assert!(lab.journal.calls(System::AutoScaling).len() < 12);
}
