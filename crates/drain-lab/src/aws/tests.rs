//! The rules of lifecycle hooks, on a clock that stands still.

use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::journal::Kind;

const HOOK: &str = "nomad-drain-hook";

struct Scene {
    clock: Clock,
    journal: Journal,
    aws: Aws,
    id: String,
}

impl Scene {
    /// A group with these hooks and one instance in service.
    fn new(hooks: Vec<LifecycleHook>) -> Self {
        Self::with_settings(GroupSettings::named("workers"), hooks)
    }

    fn with_settings(settings: GroupSettings, hooks: Vec<LifecycleHook>) -> Self {
        let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
        let journal = Journal::new(clock.clone());
        let aws = Aws::new(clock.clone(), journal.clone(), Faults::default());
        let group = settings.name.clone();
        aws.create_group(settings);
        for hook in hooks {
            aws.put_lifecycle_hook(&group, hook).unwrap();
        }
        let id = aws.add_instance(&group, Some("10.0.0.7".parse().unwrap())).unwrap();
        Self { clock, journal, aws, id }
    }

    fn action(&self) -> LifecycleAction {
        self.aws.lifecycle_action(&self.id).expect("the instance is held")
    }

    fn state(&self) -> LifecycleState {
        self.aws.instance(&self.id).unwrap().lifecycle_state
    }

    fn by_instance<'a>(&'a self, hook: &'a str) -> ActionRef<'a> {
        ActionRef { group: "workers", hook, token: None, instance_id: Some(&self.id) }
    }

    fn complete(&self, result: ActionResult) -> Result<(), ApiError> {
        self.aws.complete_lifecycle_action(&self.by_instance(HOOK), result)
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The effects so far: seconds since the start, what, detail.
    fn history(&self) -> Vec<(i64, String, String)> {
        self.aws.next_due();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        self.journal
            .entries()
            .into_iter()
            .filter(|entry| entry.kind == Kind::Effect)
            .map(|entry| (entry.at.duration_since(start).as_secs(), entry.what, entry.detail))
            .collect()
    }
}

fn hook(heartbeat_timeout: u32) -> LifecycleHook {
    LifecycleHook { heartbeat_timeout, ..LifecycleHook::terminating(HOOK) }
}

#[test]
fn a_terminate_hook_holds_the_instance_until_it_is_completed() {
    let scene = Scene::new(vec![hook(3600)]);
    let mut events = scene.aws.events();
    scene.aws.terminate_instance(&scene.id).unwrap();
    assert_eq!(scene.state(), LifecycleState::TerminatingWait);
    let Ok(Event::Hook(notification)) = events.try_recv() else { panic!("no notification") };
    assert_eq!(notification.message()["LifecycleActionToken"], *scene.action().token);

    scene.advance(60);
    scene.complete(ActionResult::Continue).unwrap();
    assert_eq!(scene.state(), LifecycleState::TerminatingProceed);
    assert_eq!(scene.aws.instance(&scene.id).unwrap().ec2_state, Ec2State::ShuttingDown);

    scene.advance(10);
    let gone = scene.aws.instance(&scene.id).unwrap();
    assert_eq!((gone.lifecycle_state, gone.ec2_state), (LifecycleState::Terminated, Ec2State::Terminated));
    assert_eq!(gone.private_ip, None);
    assert!(scene.aws.instances("workers").is_empty());
    let states: Vec<_> = std::iter::from_fn(|| events.try_recv().ok())
        .filter_map(|event| match &event {
            Event::Ec2(Ec2Event { at, news: Ec2News::StateChanged(state), .. }) => {
                Some((at.to_string(), *state))
            }
            Event::Ec2(Ec2Event { news: Ec2News::ActivityEnded(_), .. }) => None,
            Event::Ec2(_) | Event::Hook(_) | Event::Published(_) => panic!("{event:?}"),
        })
        .collect();
    assert_eq!(
        states,
        [
            ("2026-01-01T00:01:00Z".to_owned(), Ec2State::ShuttingDown),
            ("2026-01-01T00:01:10Z".to_owned(), Ec2State::Terminated),
        ]
    );
}

#[test]
fn without_a_hook_an_instance_ends_at_once() {
    let scene = Scene::new(vec![LifecycleHook::launching("launch")]);
    scene.aws.terminate_instance(&scene.id).unwrap();
    assert_eq!(scene.state(), LifecycleState::TerminatingProceed);
}

#[test]
fn an_action_without_heartbeats_ends_with_the_hooks_default_result() {
    let scene = Scene::new(vec![hook(300)]);
    scene.aws.terminate_instance(&scene.id).unwrap();
    scene.advance(299);
    assert_eq!(scene.state(), LifecycleState::TerminatingWait);
    scene.advance(1);
    assert_eq!(scene.state(), LifecycleState::TerminatingProceed);
    let detail = format!("heartbeat time-out of {HOOK}: ABANDON");
    assert!(scene.history().contains(&(300, "lifecycle action timed out".to_owned(), detail)));
}

#[test]
fn a_heartbeat_starts_the_timer_again() {
    let scene = Scene::new(vec![hook(300)]);
    scene.aws.terminate_instance(&scene.id).unwrap();
    scene.advance(200);
    scene.aws.record_lifecycle_action_heartbeat(&scene.by_instance(HOOK)).unwrap();
    scene.advance(299);
    assert_eq!(scene.action().heartbeats, 1);
    scene.advance(1);
    assert_eq!(scene.state(), LifecycleState::TerminatingProceed);
}

#[test]
fn heartbeats_hold_an_instance_no_longer_than_the_global_time_out() {
    let scene = Scene::new(vec![hook(60)]);
    assert_eq!(hook(60).global_timeout(), SignedDuration::from_secs(6000));
    assert_eq!(hook(3600).global_timeout(), SignedDuration::from_hours(48));
    scene.aws.terminate_instance(&scene.id).unwrap();
    for _ in 0..119 {
        scene.advance(50);
        scene.aws.record_lifecycle_action_heartbeat(&scene.by_instance(HOOK)).unwrap();
    }
    scene.advance(49);
    assert_eq!(scene.state(), LifecycleState::TerminatingWait);
    scene.advance(1);
    assert_eq!(scene.state(), LifecycleState::TerminatingProceed);
    let detail = format!("global time-out of {HOOK}: ABANDON");
    assert!(scene.history().contains(&(6000, "lifecycle action timed out".to_owned(), detail)));
}

#[test]
fn a_clock_turned_in_one_go_gives_the_history_of_one_that_ticks() {
    let history = |step: u64| {
        let defaults = LifecycleHook { default_result: ActionResult::Continue, ..hook(300) };
        let second = LifecycleHook { name: "second".to_owned(), ..hook(7200) };
        let scene = Scene::new(vec![defaults, second]);
        let other = scene.aws.add_instance("workers", None).unwrap();
        scene.aws.terminate_instance(&scene.id).unwrap();
        scene.advance(10);
        scene.aws.terminate_instance(&other).unwrap();
        for _ in 0..(10_000 / step) {
            scene.advance(step);
            scene.aws.next_due();
        }
        scene.history()
    };
    let at_once = history(10_000);
    assert_eq!(at_once, history(10));
    let ends: Vec<i64> =
        at_once.iter().filter(|(_, what, _)| what == "instance terminated").map(|(at, ..)| *at).collect();
    assert_eq!(ends, [7510, 7520]);
}

#[test]
fn hooks_hold_an_instance_one_after_the_other() {
    let second = LifecycleHook::terminating("second");
    let scene = Scene::new(vec![hook(300), second]);
    scene.aws.terminate_instance(&scene.id).unwrap();
    let first = scene.action();
    scene.complete(ActionResult::Continue).unwrap();
    let next = scene.action();
    assert_eq!((next.hook.as_str(), scene.state()), ("second", LifecycleState::TerminatingWait));
    assert_ne!(first.token, next.token);
    scene.aws.complete_lifecycle_action(&scene.by_instance("second"), ActionResult::Continue).unwrap();
    assert_eq!(scene.state(), LifecycleState::TerminatingProceed);
}

#[test]
fn abandon_skips_the_hooks_that_come_after() {
    let scene = Scene::new(vec![hook(300), LifecycleHook::terminating("second")]);
    scene.aws.terminate_instance(&scene.id).unwrap();
    scene.complete(ActionResult::Abandon).unwrap();
    assert_eq!(scene.state(), LifecycleState::TerminatingProceed);
}

#[test]
fn a_group_that_retains_keeps_an_abandoned_instance() {
    let settings = GroupSettings { retain_on_abandon: true, ..GroupSettings::named("workers") };
    let scene = Scene::with_settings(settings, vec![hook(300)]);
    scene.aws.terminate_instance(&scene.id).unwrap();
    scene.advance(100_000);
    assert_eq!(scene.state(), LifecycleState::TerminatingRetained);
    assert_eq!(scene.aws.instance(&scene.id).unwrap().ec2_state, Ec2State::Running);
    scene.aws.terminate_instance(&scene.id).unwrap();
    assert_eq!(scene.state(), LifecycleState::TerminatingProceed);
}

#[test]
fn an_action_that_has_ended_is_no_longer_found() {
    let scene = Scene::new(vec![hook(300)]);
    scene.aws.terminate_instance(&scene.id).unwrap();
    let token = scene.action().token;
    scene.complete(ActionResult::Continue).unwrap();

    let error = scene.complete(ActionResult::Continue).unwrap_err();
    assert_eq!((error.status, error.code), (400, "ValidationError"));
    assert_eq!(error.message, format!("No active Lifecycle Action found with instance ID {}", scene.id));

    let by_token = ActionRef { token: Some(&token), ..scene.by_instance(HOOK) };
    let error = scene.aws.record_lifecycle_action_heartbeat(&by_token).unwrap_err();
    assert_eq!(error.message, format!("No active Lifecycle Action found with token {token}"));
}

#[test]
fn an_action_of_another_hook_is_not_found() {
    let scene = Scene::new(vec![LifecycleHook::terminating("another")]);
    scene.aws.terminate_instance(&scene.id).unwrap();
    assert!(scene.complete(ActionResult::Continue).is_err());
    assert_eq!(scene.state(), LifecycleState::TerminatingWait);
}

#[test]
fn a_launch_hook_holds_a_new_instance() {
    let scene = Scene::new(vec![LifecycleHook::launching(HOOK)]);
    let id = scene.aws.launch_instance("workers", None).unwrap();
    assert_eq!(scene.aws.instance(&id).unwrap().lifecycle_state, LifecycleState::PendingWait);
    let meant = ActionRef { instance_id: Some(&id), ..scene.by_instance(HOOK) };
    scene.aws.complete_lifecycle_action(&meant, ActionResult::Continue).unwrap();
    assert_eq!(scene.aws.instance(&id).unwrap().lifecycle_state, LifecycleState::InService);
}

#[test]
fn the_terminate_hook_holds_an_instance_on_its_way_into_the_warm_pool() {
    let scene = Scene::new(vec![hook(300)]);
    let mut events = scene.aws.events();
    scene.aws.return_to_warm_pool(&scene.id).unwrap();
    assert_eq!(scene.state(), LifecycleState::WarmedPendingWait);
    let Ok(Event::Hook(notification)) = events.try_recv() else { panic!("no notification") };
    assert_eq!(notification.message()["Destination"], "WarmPool");
    scene.complete(ActionResult::Continue).unwrap();
    assert_eq!(scene.state(), LifecycleState::WarmedStopped);
    scene.aws.launch_from_warm_pool(&scene.id).unwrap();
    assert_eq!(scene.state(), LifecycleState::InService);
}

#[test]
fn a_root_volume_replacement_asks_the_terminate_and_then_the_launch_hook() {
    let scene = Scene::new(vec![hook(300), LifecycleHook::launching("launch")]);
    scene.aws.replace_root_volume(&scene.id).unwrap();
    assert_eq!(scene.state(), LifecycleState::ReplacingRootVolumeWait);
    scene.complete(ActionResult::Continue).unwrap();
    assert_eq!(scene.state(), LifecycleState::PendingWait);
    scene.aws.complete_lifecycle_action(&scene.by_instance("launch"), ActionResult::Continue).unwrap();
    assert_eq!(scene.state(), LifecycleState::InService);
}

#[test]
fn a_spot_instance_is_gone_two_minutes_after_its_warning_hook_or_not() {
    let scene = Scene::new(vec![hook(3600)]);
    scene.aws.interrupt_spot(&scene.id).unwrap();
    scene.aws.terminate_instance(&scene.id).unwrap();
    scene.advance(119);
    assert_eq!(scene.state(), LifecycleState::TerminatingWait);
    scene.advance(1);
    assert_eq!(scene.state(), LifecycleState::TerminatingProceed);
}

#[test]
fn a_hook_with_a_target_sends_a_test_message_when_it_is_put() {
    let scene = Scene::new(vec![]);
    let mut events = scene.aws.events();
    let target = NotificationTarget::Lambda { function_arn: "arn:f".to_owned() };
    scene.aws.put_lifecycle_hook("workers", LifecycleHook { target, ..hook(300) }).unwrap();
    scene.aws.put_lifecycle_hook("workers", LifecycleHook::terminating("no target")).unwrap();
    let Ok(Event::Hook(notification)) = events.try_recv() else { panic!("no notification") };
    assert_eq!(notification.content, Content::Test);
    assert!(events.try_recv().is_err());
}

#[test]
fn groups_show_their_tags_their_members_and_whether_there_is_a_warm_pool() {
    let settings = GroupSettings::named("workers").tag("nomad-drain", "on");
    let scene = Scene::with_settings(settings, vec![hook(300), LifecycleHook::launching("launch")]);
    scene.aws.create_group(GroupSettings::named("pooled").with_warm_pool().retaining());
    let warmed = scene.aws.add_warmed_instance("workers", None).unwrap();
    let groups = scene.aws.groups();
    assert_eq!(groups[0].tags["nomad-drain"], "on");
    assert_eq!(groups[0].members.iter().map(|member| &member.id).collect::<Vec<_>>(), [&scene.id]);
    assert!(groups[0].has_warm_pool && groups[1].has_warm_pool && groups[1].retain_on_abandon);
    assert_eq!(scene.aws.warm_pool("workers")[0].id, warmed);
    assert!(scene.aws.warm_pool("pooled").is_empty());
    let hooks: Vec<_> = scene.aws.lifecycle_hooks("workers").into_iter().map(|hook| hook.name).collect();
    assert_eq!(hooks, [HOOK, "launch"]);

    scene.aws.set_tag("workers", "nomad-drain", None).unwrap();
    scene.aws.set_tag("workers", "nomad-drain-hold", Some("")).unwrap();
    assert_eq!(
        scene.aws.group("workers").unwrap().tags.into_keys().collect::<Vec<_>>(),
        ["nomad-drain-hold"]
    );
    assert_eq!(scene.aws.group("nobody"), None);
    assert!(scene.aws.set_tag("nobody", "a", None).is_err());
}

#[test]
fn the_activity_of_a_termination_can_start_before_its_hook_holds_the_instance() {
    let scene = Scene::new(vec![hook(300)]);
    scene.aws.set_activity_lead(Duration::from_secs(90));
    scene.advance(100);
    scene.aws.terminate_instance(&scene.id).unwrap();
    let activity = scene.aws.activities("workers").remove(0);
    assert_eq!(activity.instance_id, scene.id);
    assert_eq!(scene.action().started_at.duration_since(activity.started_at), SignedDuration::from_secs(90));
    assert_eq!(scene.aws.held(), [scene.action()]);
}

#[test]
fn whoever_calls_too_often_is_throttled_until_the_clock_moves_on() {
    let scene = Scene::new(vec![hook(300)]);
    let call = || scene.aws.admit("autoscaling:DescribeAutoScalingGroups", None).map_err(|error| error.code);
    scene.aws.set_rate_limit(Some(2));
    assert_eq!([call(), call(), call()], [Ok(()), Ok(()), Err("Throttling")]);
    assert_eq!(scene.aws.admit("ec2:DescribeInstances", None), Ok(()), "EC2 counts by itself");
    scene.advance(1);
    assert_eq!(call(), Ok(()));
    scene.aws.set_rate_limit(None);
    assert_eq!([call(), call(), call()], [Ok(()); 3]);
}

#[test]
fn what_is_not_permitted_names_the_group() {
    let scene = Scene::new(vec![]);
    scene.aws.deny("autoscaling:CompleteLifecycleAction");
    let error = scene.aws.admit("autoscaling:CompleteLifecycleAction", Some("workers")).unwrap_err();
    assert_eq!((error.status, error.code), (403, "AccessDenied"));
    assert!(error.message.contains(&scene.aws.group("workers").unwrap().arn), "{error}");
}

#[test]
fn a_deleted_hook_lets_go_what_it_holds() {
    let scene = Scene::new(vec![hook(300), LifecycleHook::terminating("second")]);
    let other = scene.aws.add_instance("workers", None).unwrap();
    scene.aws.terminate_instance(&scene.id).unwrap();
    scene.aws.terminate_instance(&other).unwrap();
    let meant = ActionRef { instance_id: Some(&other), ..scene.by_instance(HOOK) };
    scene.aws.complete_lifecycle_action(&meant, ActionResult::Continue).unwrap();

    scene.aws.delete_lifecycle_hook("workers", "second").unwrap();
    assert_eq!(scene.aws.instance(&other).unwrap().lifecycle_state, LifecycleState::TerminatingProceed);
    assert_eq!(scene.state(), LifecycleState::TerminatingWait);
    scene.complete(ActionResult::Continue).unwrap();
    assert_eq!(scene.state(), LifecycleState::TerminatingProceed, "the second hook is not asked any more");
    assert!(scene.aws.delete_lifecycle_hook("workers", "second").is_err());
}

#[test]
fn an_instance_ends_only_once() {
    let scene = Scene::new(vec![]);
    scene.aws.terminate_instance(&scene.id).unwrap();
    scene.aws.interrupt_spot(&scene.id).unwrap();
    scene.advance(5);
    scene.aws.terminate_without_hooks(&scene.id).unwrap();
    scene.advance(5);
    assert_eq!(scene.state(), LifecycleState::Terminated);
    scene.advance(600);
    assert_eq!(scene.state(), LifecycleState::Terminated);
}

#[tokio::test]
async fn things_happen_on_time_when_nobody_looks() {
    let scene = Scene::new(vec![hook(300)]);
    let mut events = scene.aws.events();
    let running = tokio::spawn(scene.aws.clone().run());
    scene.aws.terminate_instance(&scene.id).unwrap();
    scene.advance(400);
    loop {
        let event = events.recv().await.unwrap();
        if matches!(event, Event::Ec2(Ec2Event { news: Ec2News::StateChanged(Ec2State::Terminated), .. })) {
            break;
        }
    }
    running.abort();
}

/// The states that EC2 has told of, and the other things that were said about instances, since the last time.
fn said(events: &mut UnboundedReceiver<Event>) -> Vec<String> {
    std::iter::from_fn(|| events.try_recv().ok())
        .filter_map(|event| {
            let Event::Ec2(event) = event else { return None };
            let json = event.event_bridge_event()?;
            let state = json["detail"]["state"].as_str();
            Some(state.or(json["detail-type"].as_str()).unwrap().to_owned())
        })
        .collect()
}

#[test]
fn ec2_tells_every_state_through_which_an_instance_goes() {
    let scene = Scene::new(vec![]);
    let mut events = scene.aws.events();
    let id = scene.aws.launch_instance("workers", None).unwrap();
    assert_eq!(said(&mut events), ["pending", "running", "EC2 Instance Launch Successful"]);
    scene.aws.return_to_warm_pool(&id).unwrap();
    assert_eq!(said(&mut events), ["stopping", "stopped"]);
    scene.aws.launch_from_warm_pool(&id).unwrap();
    assert_eq!(said(&mut events), ["pending", "running", "EC2 Instance Launch Successful"]);
    scene.aws.terminate_instance(&id).unwrap();
    scene.advance(10);
    scene.aws.next_due();
    assert_eq!(said(&mut events), ["shutting-down", "terminated", "EC2 Instance Terminate Successful"]);
}

#[test]
fn somebody_can_stop_and_start_an_instance_and_its_group_keeps_it() {
    let scene = Scene::new(vec![hook(3600)]);
    let mut events = scene.aws.events();
    scene.aws.stop_instance(&scene.id).unwrap();
    assert_eq!(scene.aws.stop_instance(&scene.id).unwrap_err().code, "IncorrectInstanceState");
    let instance = scene.aws.instance(&scene.id).unwrap();
    assert_eq!(
        (instance.lifecycle_state, instance.ec2_state),
        (LifecycleState::InService, Ec2State::Stopped)
    );
    assert!(instance.private_ip.is_some());
    scene.aws.start_instance(&scene.id).unwrap();
    assert_eq!(scene.aws.start_instance(&scene.id).unwrap_err().code, "IncorrectInstanceState");
    assert_eq!(said(&mut events), ["stopping", "stopped", "pending", "running"]);
}

#[test]
fn a_capacity_reservation_takes_its_instance_away_after_two_minutes_and_asks_no_hook() {
    let scene = Scene::new(vec![hook(3600)]);
    let mut events = scene.aws.events();
    scene.aws.interrupt_capacity_reservation(&scene.id).unwrap();
    scene.advance(119);
    assert_eq!(scene.state(), LifecycleState::InService);
    scene.advance(1);
    assert_eq!(scene.state(), LifecycleState::TerminatingProceed);
    assert_eq!(
        said(&mut events),
        ["EC2 Capacity Reservation Instance Interruption Warning", "shutting-down"]
    );
    assert_eq!(scene.history().last().unwrap().2, "capacity reservation interruption");
}

#[test]
fn a_scheduled_change_changes_nothing_yet() {
    let scene = Scene::new(vec![hook(3600)]);
    let mut events = scene.aws.events();
    scene.aws.schedule_change(&scene.id, HealthEntity::Arn).unwrap();
    scene.advance(3600);
    assert_eq!(
        (scene.state(), said(&mut events)),
        (LifecycleState::InService, vec!["AWS Health Event".to_owned()])
    );
}

#[test]
fn an_instance_that_ends_before_it_was_launched_is_told_as_no_success() {
    let scene = Scene::new(vec![LifecycleHook::launching("launch")]);
    let id = scene.aws.launch_instance("workers", None).unwrap();
    let mut events = scene.aws.events();
    scene.aws.terminate_without_hooks(&id).unwrap();
    scene.advance(10);
    scene.aws.next_due();
    assert_eq!(said(&mut events), ["shutting-down", "terminated"]);
}
