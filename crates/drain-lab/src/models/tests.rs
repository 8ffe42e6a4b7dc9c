//! Models in concert, on a clock that stands still.

use super::*;
use crate::aws::LifecycleState;
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
