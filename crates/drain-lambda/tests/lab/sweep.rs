//! The sweep finds every held instance of the watched groups, and finishes what nothing else does.

use std::time::Duration;

use drain_lab::aws::{ActionRef, ActionResult, GroupSettings, LifecycleHook, LifecycleState};
use drain_lab::journal::System;
use drain_lab::lab::{HOOK, Lab, Worker};
use drain_lab::lambda::{InvocationRecord, Lambda};
use drain_lab::models::Models;
use drain_lab::nomad::JobSpec;
use jiff::SignedDuration;
use serde_json::json;

use crate::harness::{
    GROUP, HEARTBEAT, POST, assert_released_when_empty, became, calls, completions, count, deadlines, deploy,
    deploy_with_sweep, ending, function, heartbeat_timeout, heartbeats, invoke, invoke_with, is_held, lab,
    lab_before, message_of, nomad_calls, posts, present, response, slow_service, sweep, terminate, warnings,
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
async fn tagged_groups_are_swept_if_no_names_are_given() {
    let lab = lab().await;
    lab.aws.set_tag(GROUP, "nomad-drain", Some("on")).unwrap();
    lab.add_group("others", 3600).unwrap();
    lab.add_group_with(GroupSettings::named("off").tag("nomad-drain", "off"), [Models::hook(3600)]).unwrap();
    let worker = ending(&lab, 1);
    let strangers =
        ["others", "off"].map(|group| lab.add_worker(group, group.len().try_into().unwrap()).unwrap());
    for stranger in &strangers {
        terminate(&lab, stranger);
    }
    let run = sweep(deploy(&lab, &[("SWEEP", "on"), ("SWEEP_LINGER", "300ms")])).await;
    assert_eq!(counted(&run), (1, 1));
    assert!(!is_held(&lab, &worker));
    assert!(strangers.iter().all(|stranger| is_held(&lab, stranger)));
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn groups_can_be_named_in_full_and_by_glob() {
    for names in ["workers", "nobody, work*", "wor?ers"] {
        let lab = lab().await;
        lab.add_group("others", 3600).unwrap();
        let (worker, stranger) = (ending(&lab, 1), lab.add_worker("others", 2).unwrap());
        terminate(&lab, &stranger);
        let run = sweep(deploy_with_sweep(&lab, &[("AUTO_SCALING_GROUPS", names)])).await;
        assert_eq!(counted(&run), (1, 1), "{names}");
        assert!(!is_held(&lab, &worker) && is_held(&lab, &stranger), "{names}");
        let missing = warnings(&run).iter().any(|warning| warning.contains("nobody"));
        assert_eq!(missing, names.contains("nobody"), "{names}");
    }
}

#[tokio::test]
async fn a_sweep_that_watches_nothing_warns() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let run = sweep(deploy(&lab, &[("SWEEP", "on")])).await;
    assert_eq!(counted(&run), (0, 0));
    assert!(warnings(&run).iter().any(|warning| warning.contains("AUTO_SCALING_GROUPS")));
    assert!(is_held(&lab, &worker));
}

#[tokio::test]
async fn more_than_a_hundred_groups_come_page_by_page() {
    let lab = lab().await;
    for number in 0..130 {
        lab.add_group(&format!("group-{number}"), 3600).unwrap();
    }
    let worker = lab.add_worker("group-129", 1).unwrap();
    terminate(&lab, &worker);
    let run = sweep(deploy_with_sweep(&lab, &[("AUTO_SCALING_GROUPS", "group-*")])).await;
    assert_eq!(counted(&run), (130, 1));
    assert!(!is_held(&lab, &worker));
    assert_eq!((count(&lab, "DescribeAutoScalingGroups"), count(&lab, "DescribeLifecycleHooks")), (2, 1));
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

/// A group with these hooks, and a worker of it that ends.
fn hooked(lab: &Lab, hooks: [&str; 2]) -> Worker {
    let hooks = hooks.map(|name| LifecycleHook { name: name.to_owned(), ..Models::hook(3600) });
    lab.add_group_with(GroupSettings::named("hooked"), hooks).unwrap();
    let worker = lab.add_worker("hooked", 9).unwrap();
    terminate(lab, &worker);
    worker
}

const HOOKED: (&str, &str) = ("AUTO_SCALING_GROUPS", "hooked");

#[tokio::test]
async fn an_instance_that_another_hook_holds_is_not_drained_before_ours_does() {
    let lab = lab().await;
    let worker = hooked(&lab, ["backup", HOOK]);
    let lambda = deploy_with_sweep(&lab, &[HOOKED]);
    let run = sweep(lambda).await;
    assert_eq!(became(&run), ("ignored", "no_active_action"));
    assert_eq!((posts(&lab), count(&lab, HEARTBEAT)), (0, 1));
    assert!(lab.node(&worker).unwrap().eligible);
    assert!(warnings(&run).is_empty(), "{:?}", warnings(&run));

    let action = lab.aws.lifecycle_action(&worker.instance_id).unwrap();
    let meant = drain_lab::aws::ActionRef {
        group: &action.group,
        hook: &action.hook,
        token: Some(&action.token),
        instance_id: None,
    };
    lab.aws.complete_lifecycle_action(&meant, drain_lab::aws::ActionResult::Continue).unwrap();
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
}

#[tokio::test]
async fn an_instance_that_another_hook_holds_after_ours_is_left_alone() {
    let lab = lab().await;
    let worker = hooked(&lab, [HOOK, "backup"]);
    let lambda = deploy_with_sweep(&lab, &[HOOKED]);
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
    assert_eq!(became(&sweep(lambda).await), ("ignored", "no_active_action"));
    assert_eq!(completions(&lab, &worker), ["CONTINUE of nomad-drain-hook by instance id"]);
    assert_eq!(lab.aws.lifecycle_action(&worker.instance_id).unwrap().hook, "backup");
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn a_group_without_our_hook_is_not_looked_up_in_nomad() {
    let lab = lab().await;
    let worker = hooked(&lab, ["backup", "archive"]);
    let run = sweep(deploy_with_sweep(&lab, &[HOOKED])).await;
    assert_eq!(response(&run)["results"], json!([]));
    assert!(is_held(&lab, &worker));
    assert_eq!(nomad_calls(&lab), ["GET /v1/nodes"], "for nodes that may be given back");
}

#[tokio::test]
async fn two_hooks_of_ours_are_completed_one_after_the_other() {
    let lab = lab().await;
    let worker = hooked(&lab, [HOOK, "second"]);
    let lambda = deploy_with_sweep(&lab, &[HOOKED, ("LIFECYCLE_HOOK_NAME", "nomad-drain-hook,second")]);
    assert_eq!(counted(&sweep(lambda).await), (1, 1), "one instance is held, whatever it waits for");
    sweep(lambda).await;
    let done = completions(&lab, &worker);
    assert_eq!(done, ["CONTINUE of nomad-drain-hook by instance id", "CONTINUE of second by instance id"]);
    assert_eq!(posts(&lab), 1);
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
async fn pause_is_heartbeats_and_nothing_else() {
    for tag in [false, true] {
        let lab = lab().await;
        heartbeat_timeout(&lab, 300);
        let worker = ending(&lab, 1);
        let variables: &[_] = if tag { &[] } else { &[("PAUSE", "on")] };
        if tag {
            lab.aws.set_tag(GROUP, "nomad-drain-hold", Some("on")).unwrap();
        }
        let lambda = deploy_with_sweep(&lab, variables);
        assert_eq!(became(&sweep(lambda).await), ("held", "paused"));
        assert_eq!(became(&invoke(&lab, lambda, &worker).await), ("held", "paused"));
        assert!(heartbeats(&lab, &worker) >= 1);
        assert_eq!(nomad_calls(&lab), Vec::<String>::new());
        assert!(is_held(&lab, &worker));
    }
}

#[tokio::test]
async fn when_the_pause_is_over_the_instance_is_finished() {
    let lab = lab().await;
    lab.aws.set_tag(GROUP, "nomad-drain-hold", Some("on")).unwrap();
    let worker = ending(&lab, 1);
    let lambda = deploy_with_sweep(&lab, &[]);
    sweep(lambda).await;
    lab.aws.set_tag(GROUP, "nomad-drain-hold", None).unwrap();
    sweep(lambda).await;
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn a_late_event_of_an_instance_that_is_not_held_any_more_drains_nothing() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let mut message = message_of(&lab, &worker);
    message["Time"] = "2026-01-01T00:00:00Z".into();
    let action = ActionRef { group: GROUP, hook: HOOK, token: None, instance_id: Some(&worker.instance_id) };
    lab.aws.complete_lifecycle_action(&action, ActionResult::Continue).unwrap();
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
async fn an_event_of_a_hook_on_which_no_sweep_acts_is_drained_with_a_warning() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let mut message = message_of(&lab, &worker);
    message["LifecycleHookName"] = "another-hook".into();
    let run = invoke_with(deploy_with_sweep(&lab, &[]), &message).await;
    let warned = warnings(&run);
    assert!(
        warned.iter().any(|line| line.contains("another-hook") && line.contains("LIFECYCLE_HOOK_NAME")),
        "{warned:?}"
    );
}

#[tokio::test]
async fn an_event_of_a_group_that_is_not_watched_is_ignored_loudly() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy_with_sweep(&lab, &[("AUTO_SCALING_GROUPS", "others")]), &worker).await;
    assert_eq!(became(&run), ("ignored", "group_not_watched"));
    assert!(
        warnings(&run)
            .iter()
            .any(|warning| warning.contains(GROUP) && warning.contains("AUTO_SCALING_GROUPS"))
    );
    assert_eq!(nomad_calls(&lab), Vec::<String>::new());
    assert!(is_held(&lab, &worker));
}

#[tokio::test]
async fn the_deadline_is_cut_to_what_the_hook_can_still_be_held() {
    let lab = lab_before(Duration::from_mins(4)).await;
    heartbeat_timeout(&lab, 300);
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let _time = present(&lab);
    // 100 × 300 s, of which four minutes are over, less KILL_GRACE.
    let run = invoke(&lab, deploy_with_sweep(&lab, &[("DRAIN_DEADLINE", "10h")]), &worker).await;
    assert_eq!(became(&run), ("drain_started", "drain_posted"));
    let minutes = deadlines(&lab)[0] / 60_000_000_000;
    assert!((493..=494).contains(&minutes), "{minutes}");
    let said = |line: &str| line.contains("not DRAIN_DEADLINE's 10h") && line.contains("cannot be held");
    assert!(run.log.iter().any(|line| said(&line.text)), "{:#?}", run.log);
}

#[tokio::test]
async fn without_a_sweep_the_deadline_is_what_was_asked_for() {
    let lab = lab().await;
    heartbeat_timeout(&lab, 300);
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    invoke(&lab, deploy(&lab, &[("DRAIN_DEADLINE", "10h"), ("EVENT_LINGER", "200ms")]), &worker).await;
    assert_eq!(deadlines(&lab), [36_000_000_000_000]);
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
async fn heartbeats_are_spread_over_the_minutes_and_sent_once_in_each() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 30));
    let workers: Vec<Worker> = (1..=30).map(|number| ending(&lab, number)).collect();
    let lambda = deploy_with_sweep(&lab, &[]);
    sweep(lambda).await;
    let probes: usize = workers.iter().map(|worker| heartbeats(&lab, worker)).sum();
    assert_eq!(probes, 30, "each is probed once");
    sweep(lambda).await;
    let scheduled = workers.iter().map(|worker| heartbeats(&lab, worker)).sum::<usize>() - probes;
    // A time-out of an hour is a heartbeat every 20 minutes.
    assert!(scheduled <= 10, "{scheduled} of 30");
}

#[tokio::test]
async fn a_hook_of_five_minutes_gets_a_heartbeat_in_every_minute() {
    let lab = lab().await;
    heartbeat_timeout(&lab, 300);
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let lambda = deploy_with_sweep(&lab, &[]);
    invoke(&lab, lambda, &worker).await;
    let before = heartbeats(&lab, &worker);
    sweep(lambda).await;
    let sent = heartbeats(&lab, &worker) - before;
    // Two if the minute changes meanwhile.
    assert!((1..=2).contains(&sent), "{sent} in one sweep of several looks");
}

#[tokio::test]
async fn a_hook_that_is_too_short_for_a_sweep_is_a_warning() {
    let lab = lab().await;
    heartbeat_timeout(&lab, 120);
    ending(&lab, 1);
    let run = sweep(deploy_with_sweep(&lab, &[])).await;
    let of_it = warnings(&run).into_iter().filter(|warning| warning.contains("HeartbeatTimeout")).count();
    assert_eq!(of_it, 1);
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
async fn past_max_hold_no_heartbeat_is_sent_and_the_hook_decides() {
    let lab = lab_before(Duration::from_mins(90)).await;
    heartbeat_timeout(&lab, 7200);
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let _time = present(&lab);
    let lambda = deploy_with_sweep(&lab, &[("MAX_HOLD", "1h")]);
    sweep(lambda).await;
    let before = heartbeats(&lab, &worker);
    assert_eq!(became(&sweep(lambda).await), ("left_to_hook", "max_hold_reached"));
    assert_eq!(heartbeats(&lab, &worker), before);
    assert!(is_held(&lab, &worker));
}

/// Sweeps over an instance that has no node, and that the hook has held for so long.
async fn sweep_without_node(
    since: Duration,
    variables: &[(&str, &str)],
    prepare: impl Fn(&Lab),
) -> (Lab, InvocationRecord) {
    let lab = lab_before(since).await;
    let never = lab.clock.now() + SignedDuration::from_hours(9);
    let worker = lab.add_late_worker(GROUP, 1, never).unwrap();
    terminate(&lab, &worker);
    prepare(&lab);
    let _time = present(&lab);
    let mut all = vec![("NODE_LOOKUP", "server")];
    all.extend(variables);
    let run = sweep(deploy_with_sweep(&lab, &all)).await;
    (lab, run)
}

#[tokio::test]
async fn the_scaling_activity_says_since_when_an_instance_without_a_node_is_held() {
    let minutes = Duration::from_mins;
    let (lab, run) = sweep_without_node(minutes(6), &[], |_| {}).await;
    assert_eq!(became(&run), ("completed", "node_not_found"));
    assert_eq!(count(&lab, "DescribeScalingActivities"), 1);
    let (_, run) = sweep_without_node(minutes(4), &[], |_| {}).await;
    assert_eq!(became(&run), ("held", "waiting_for_node"));
    let (_, run) = sweep_without_node(minutes(6), &[("ON_NODE_NOT_FOUND", "hold")], |_| {}).await;
    assert_eq!(became(&run), ("held", "held_without_node"));
    let (_, run) = sweep_without_node(minutes(6), &[("ON_NODE_NOT_FOUND", "abandon")], |_| {}).await;
    assert_eq!(became(&run), ("abandoned", "node_not_found"));
}

#[tokio::test]
async fn an_instance_without_a_node_whose_start_nobody_tells_is_left_to_the_hook() {
    let deny = |lab: &Lab| lab.aws.deny("autoscaling:DescribeScalingActivities");
    let (lab, run) = sweep_without_node(Duration::from_mins(6), &[], deny).await;
    assert_eq!(became(&run), ("left_to_hook", "hook_start_unknown"));
    assert!(warnings(&run).iter().any(|warning| warning.contains("autoscaling:DescribeScalingActivities")));
    assert_eq!(count(&lab, "CompleteLifecycleAction"), 0);
}

#[tokio::test]
async fn an_event_for_an_instance_whose_node_has_not_joined_is_left_to_the_sweep() {
    let lab = lab().await;
    let soon = lab.clock.now() + SignedDuration::from_secs(3);
    let worker = lab.add_late_worker(GROUP, 1, soon).unwrap();
    terminate(&lab, &worker);
    let mut settings =
        function(&lab, &[("SWEEP", "on"), ("AUTO_SCALING_GROUPS", GROUP), ("NODE_LOOKUP", "server")]);
    settings.timeout = Duration::from_secs(2);
    settings.env.insert("EVENT_LINGER".to_owned(), "300ms".to_owned());
    let lambda = lab.deploy(settings);
    assert_eq!(became(&invoke(&lab, lambda, &worker).await), ("held", "waiting_for_node"));
    crate::harness::eventually("the node joins", || lab.node(&worker).is_some()).await;
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
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
