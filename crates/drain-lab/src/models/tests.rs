//! Models in concert, on a clock that stands still.

use super::*;
use crate::aws::{ActionRef, LifecycleState};
use crate::nomad::{ClientStatus, DrainRequest, JobSpec, NodeStatus};

const GROUP: &str = "workers";

fn models() -> Models {
    let models = Models::new(Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap()));
    models.add_group(GROUP, 300).unwrap();
    models
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn status(models: &Models, worker: &Worker) -> NodeStatus {
    models.node(worker).unwrap().status
}

#[test]
fn an_instance_that_ends_takes_its_node_with_it_whether_or_not_the_node_knows_its_instance() {
    let models = models();
    let known = models.add_worker(GROUP, 1).unwrap();
    let unknown = models.add_worker_as(GROUP, 2, |_, node| node).unwrap();
    let other = models.add_worker_as(GROUP, 3, |_, node| node).unwrap();
    models.aws.terminate_without_hooks(&known.instance_id).unwrap();
    models.aws.terminate_without_hooks(&unknown.instance_id).unwrap();
    models.advance(seconds(19));
    assert_eq!(status(&models, &known), NodeStatus::Ready, "nobody has noticed yet");
    models.advance(seconds(1));
    assert_eq!([&known, &unknown].map(|worker| status(&models, worker)), [NodeStatus::Down; 2]);
    assert_eq!(status(&models, &other), NodeStatus::Ready);
}

#[test]
fn a_node_does_not_register_after_its_instance_has_ended() {
    let models = models();
    let moment = models.clock.now() + SignedDuration::from_secs(60);
    let late = models.add_late_worker(GROUP, 1, moment).unwrap();
    models.aws.terminate_without_hooks(&late.instance_id).unwrap();
    models.advance(seconds(600));
    assert_eq!(models.node(&late), None);
}

#[test]
fn an_hour_in_one_step_is_an_hour_in_which_everything_happens_in_order() {
    let models = models();
    let (first, second) = (models.add_worker(GROUP, 1).unwrap(), models.add_worker(GROUP, 2).unwrap());
    models.nomad.add_job(JobSpec::batch("etl", 2));
    models.aws.terminate_instance(&first.instance_id).unwrap();
    models.advance(Duration::from_hours(1));
    assert_eq!(models.aws.instance(&first.instance_id).unwrap().lifecycle_state, LifecycleState::Terminated);
    let missed = models.node(&first).unwrap().heartbeat_missed_at().unwrap();
    assert_eq!(missed.to_string(), "2026-01-01T00:05:20Z", "300 s of the hook, 20 s of silence");
    let lost = models.nomad.allocations_on(&first.node_id).remove(0);
    assert_eq!((lost.client, lost.ended_at), (ClientStatus::Lost, Some(missed)));
    assert_eq!(models.nomad.allocations_on(&second.node_id).len(), 2);
    assert_eq!(models.clock.now().to_string(), "2026-01-01T01:00:00Z");
}

#[test]
fn the_hooks_message_can_be_taken_once() {
    let models = models();
    let worker = models.add_worker(GROUP, 1).unwrap();
    models.take_events();
    models.aws.terminate_instance(&worker.instance_id).unwrap();
    let events = models.take_events();
    let [Event::Hook(notification)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(notification.message()["EC2InstanceId"], *worker.instance_id);
    assert!(notification.lambda_payload().is_some());
    assert!(models.take_events().is_empty());
}

#[test]
fn an_instance_in_the_warm_pool_is_silent_and_comes_back_as_it_was() {
    let models = models();
    let worker = models.add_worker(GROUP, 1).unwrap();
    models.aws.delete_lifecycle_hook(GROUP, HOOK).unwrap();
    models.aws.return_to_warm_pool(&worker.instance_id).unwrap();
    models.nomad.drain(&worker.node_id, DrainRequest::with_deadline(SignedDuration::from_secs(60))).unwrap();
    models.advance(seconds(30));
    assert_eq!(status(&models, &worker), NodeStatus::Down);
    models.aws.launch_from_warm_pool(&worker.instance_id).unwrap();
    models.settle();
    let node = models.node(&worker).unwrap();
    assert_eq!((node.status, node.eligible), (NodeStatus::Ready, false));
}

#[test]
fn an_instance_with_a_new_root_volume_has_a_new_node() {
    let models = models();
    let worker = models.add_worker(GROUP, 1).unwrap();
    models.aws.delete_lifecycle_hook(GROUP, HOOK).unwrap();
    models.aws.replace_root_volume(&worker.instance_id).unwrap();
    models.advance(seconds(30));
    let nodes = models.nomad.nodes_of_instance(&worker.instance_id);
    let seen: Vec<_> = nodes.iter().map(|node| (node.status, node.id == worker.node_id)).collect();
    assert_eq!(seen, [(NodeStatus::Ready, false), (NodeStatus::Down, true)], "the newest first");
}

#[test]
fn the_same_calls_tell_the_same_story() {
    let story = || {
        let models = models();
        let worker = models.add_worker(GROUP, 1).unwrap();
        models.nomad.add_job(JobSpec::service("web", 3));
        models.aws.terminate_instance(&worker.instance_id).unwrap();
        models.advance(seconds(1000));
        let entries = models.journal.entries().into_iter();
        let told: Vec<_> = entries.map(|entry| (entry.at, entry.what, entry.subject, entry.detail)).collect();
        (told, models.take_events(), models.nomad.nodes(), models.aws.groups())
    };
    assert_eq!(story(), story());
}

/// The messages of hooks since the last time: the hook, and whence and whither the instance goes.
fn hook_messages(models: &Models) -> Vec<[Option<String>; 4]> {
    let events = models.take_events().into_iter();
    let messages = events.filter_map(|event| match event {
        Event::Hook(notification) => Some(notification.message()),
        Event::Ec2(_) | Event::Published(_) => None,
    });
    let word = |message: &serde_json::Value, key: &str| message[key].as_str().map(str::to_owned);
    messages
        .map(|message| {
            ["LifecycleHookName", "Origin", "Destination", "Action"].map(|key| word(&message, key))
        })
        .collect()
}

fn words(words: [&str; 4]) -> [Option<String>; 4] {
    words.map(|word| Some(word.to_owned()).filter(|word| !word.is_empty()))
}

fn state(models: &Models, worker: &Worker) -> LifecycleState {
    models.aws.instance(&worker.instance_id).unwrap().lifecycle_state
}

fn go_on(models: &Models, worker: &Worker, hook: &str) {
    let meant = ActionRef { group: GROUP, hook, token: None, instance_id: Some(&worker.instance_id) };
    models.aws.complete_lifecycle_action(&meant, ActionResult::Continue).unwrap();
    models.settle();
}

fn event_messages(models: &Models, worker: &Worker) -> Vec<String> {
    models.node(worker).unwrap().events.into_iter().map(|event| event.message).collect()
}

#[test]
fn a_warm_pool_takes_an_instance_through_both_hooks_and_its_node_comes_back_as_it_was() {
    let models = models();
    models.add_launch_hook(GROUP, 300).unwrap();
    let worker = models.add_worker(GROUP, 1).unwrap();
    models.take_events();

    models.aws.return_to_warm_pool(&worker.instance_id).unwrap();
    assert_eq!(state(&models, &worker), LifecycleState::WarmedPendingWait);
    assert_eq!(hook_messages(&models), [words([HOOK, "AutoScalingGroup", "WarmPool", ""])]);
    models.nomad.drain(&worker.node_id, DrainRequest::with_deadline(SignedDuration::from_secs(60))).unwrap();
    go_on(&models, &worker, HOOK);
    assert_eq!(state(&models, &worker), LifecycleState::WarmedStopped);
    assert_eq!(status(&models, &worker), NodeStatus::Ready, "nobody has noticed yet");
    models.advance(seconds(20));
    let before = models.node(&worker).unwrap();
    assert_eq!(before.status, NodeStatus::Down);

    models.aws.launch_from_warm_pool(&worker.instance_id).unwrap();
    models.settle();
    assert_eq!(state(&models, &worker), LifecycleState::PendingWait);
    assert_eq!(hook_messages(&models), [words([LAUNCH_HOOK, "WarmPool", "AutoScalingGroup", ""])]);
    let after = models.node(&worker).unwrap();
    assert_eq!((after.status, after.eligible), (NodeStatus::Ready, false));
    assert_eq!((&after.last_drain, after.create_index), (&before.last_drain, before.create_index));
    assert!(after.last_drain.is_some());
    assert_eq!(
        event_messages(&models, &worker),
        [
            "Node registered",
            "Node drain strategy set",
            "Node drain complete",
            "Node heartbeat missed",
            "Node re-registered",
        ]
    );
    go_on(&models, &worker, LAUNCH_HOOK);
    assert_eq!(state(&models, &worker), LifecycleState::InService);
}

#[test]
fn a_node_that_was_purged_while_its_instance_was_in_the_warm_pool_comes_back_fresh_under_its_id() {
    let models = models();
    let worker = models.add_worker(GROUP, 1).unwrap();
    models.aws.return_to_warm_pool(&worker.instance_id).unwrap();
    models.nomad.set_eligibility(&worker.node_id, false).unwrap();
    go_on(&models, &worker, HOOK);
    models.advance(seconds(20));
    models.nomad.purge(&worker.node_id).unwrap();
    models.advance(seconds(600));
    assert_eq!(models.node(&worker), None);
    models.aws.launch_from_warm_pool(&worker.instance_id).unwrap();
    models.settle();
    let node = models.node(&worker).unwrap();
    assert_eq!((node.status, node.eligible, node.last_drain), (NodeStatus::Ready, true, None));
    assert_eq!(event_messages(&models, &worker), ["Node registered"]);
}

#[test]
fn a_new_root_volume_takes_an_instance_through_both_hooks_and_gives_it_a_new_node() {
    let models = models();
    models.add_launch_hook(GROUP, 300).unwrap();
    let worker = models.add_worker(GROUP, 1).unwrap();
    models.take_events();
    models.aws.replace_root_volume(&worker.instance_id).unwrap();
    assert_eq!(state(&models, &worker), LifecycleState::ReplacingRootVolumeWait);
    let group = "AutoScalingGroup";
    assert_eq!(hook_messages(&models), [words([HOOK, group, group, "ReplaceRootVolume"])]);
    models.nomad.set_eligibility(&worker.node_id, false).unwrap();
    go_on(&models, &worker, HOOK);
    assert_eq!(state(&models, &worker), LifecycleState::PendingWait);
    assert_eq!(hook_messages(&models), [words([LAUNCH_HOOK, group, group, "ReplaceRootVolume"])]);
    models.advance(seconds(30));
    let nodes = models.nomad.nodes_of_instance(&worker.instance_id);
    let seen: Vec<_> =
        nodes.iter().map(|node| (node.id == worker.node_id, node.status, node.eligible)).collect();
    assert_eq!(seen, [(false, NodeStatus::Ready, true), (true, NodeStatus::Down, false)]);
    go_on(&models, &worker, LAUNCH_HOOK);
    assert_eq!(state(&models, &worker), LifecycleState::InService);

    // The disk of the old node is gone: it does not come back with the machine.
    models.aws.stop_instance(&worker.instance_id).unwrap();
    models.advance(seconds(60));
    models.aws.start_instance(&worker.instance_id).unwrap();
    models.settle();
    let nodes = models.nomad.nodes_of_instance(&worker.instance_id).into_iter();
    let ready: Vec<_> = nodes.map(|node| (node.id == worker.node_id, node.status)).collect();
    assert_eq!(ready, [(false, NodeStatus::Ready), (true, NodeStatus::Down)]);
}

#[test]
fn an_instance_that_somebody_stops_and_starts_has_the_same_node_and_asks_no_hook() {
    let models = models();
    let worker = models.add_worker(GROUP, 1).unwrap();
    models.take_events();
    models.aws.stop_instance(&worker.instance_id).unwrap();
    models.advance(seconds(20));
    assert_eq!(status(&models, &worker), NodeStatus::Down);
    models.aws.start_instance(&worker.instance_id).unwrap();
    models.settle();
    let node = models.node(&worker).unwrap();
    assert_eq!((node.status, node.eligible), (NodeStatus::Ready, true));
    assert!(hook_messages(&models).is_empty());
    assert_eq!(state(&models, &worker), LifecycleState::InService);
}

#[test]
fn a_quick_reboot_goes_unnoticed() {
    let models = models();
    let worker = models.add_worker(GROUP, 1).unwrap();
    models.aws.stop_instance(&worker.instance_id).unwrap();
    models.advance(seconds(19));
    models.aws.start_instance(&worker.instance_id).unwrap();
    models.advance(seconds(60));
    assert_eq!(status(&models, &worker), NodeStatus::Ready);
    assert_eq!(event_messages(&models, &worker), ["Node registered"]);
}

#[test]
fn a_machine_that_is_stopped_before_its_client_has_registered_registers_when_it_starts() {
    let models = models();
    models.aws.delete_lifecycle_hook(GROUP, HOOK).unwrap();
    let worker = models.add_worker(GROUP, 1).unwrap();
    models.aws.replace_root_volume(&worker.instance_id).unwrap();
    models.advance(seconds(10));
    models.aws.stop_instance(&worker.instance_id).unwrap();
    models.advance(seconds(600));
    assert_eq!(models.nomad.nodes_of_instance(&worker.instance_id).len(), 1);
    models.aws.start_instance(&worker.instance_id).unwrap();
    models.settle();
    let nodes = models.nomad.nodes_of_instance(&worker.instance_id);
    let seen: Vec<_> = nodes.iter().map(|node| node.status).collect();
    assert_eq!(seen, [NodeStatus::Ready, NodeStatus::Down]);
}

#[test]
fn a_new_root_volume_brings_a_new_node_even_if_the_old_one_was_purged_before() {
    let models = models();
    let worker = models.add_worker(GROUP, 1).unwrap();
    models.aws.replace_root_volume(&worker.instance_id).unwrap();
    models.nomad.purge(&worker.node_id).unwrap();
    go_on(&models, &worker, HOOK);
    models.advance(seconds(30));
    let nodes = models.nomad.nodes_of_instance(&worker.instance_id);
    let seen: Vec<_> = nodes.iter().map(|node| (node.status, node.id == worker.node_id)).collect();
    assert_eq!(seen, [(NodeStatus::Ready, false)]);
}
