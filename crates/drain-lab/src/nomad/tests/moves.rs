//! How work leaves a node: in what order, and what waits for what.

use super::*;

#[test]
fn an_empty_node_is_drained_before_anybody_can_look() {
    let (lab, nodes) = Lab::with_jobs(1, &[]);
    lab.drain(&nodes[0], HOUR);
    let node = lab.node(&nodes[0]);
    assert_eq!(node.drain, None);
    assert!(!node.eligible);
    let last = node.last_drain.unwrap();
    assert_eq!((last.status, last.accessor_id.as_str()), (DrainStatus::Complete, "token:operator"));
    assert_eq!(last.started_at.to_string(), "2026-01-01T00:01:00Z", "whole seconds");
    let messages: Vec<_> = node.events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(messages, ["Node registered", "Node drain strategy set", "Node drain complete"]);
    assert!(node.events[2].details.is_empty());
}

#[test]
fn a_service_with_one_allocation_moves_at_once_and_is_started_when_the_old_one_has_ended() {
    let job = JobSpec::service("web", 1).stop_takes(seconds(4)).shutdown_delay(seconds(2));
    let (lab, nodes) = Lab::with_jobs(2, &[job]);
    let from = nodes.iter().find(|node| lab.live_on(node) == 1).unwrap();
    lab.drain(from, HOUR);
    assert_eq!(lab.told_on(from), 0, "migrations are batched");
    lab.pass(1.0);
    assert_eq!(lab.told_on(from), 1);
    let allocs = lab.nomad.allocations_of("web");
    assert_eq!(allocs[1].client, ClientStatus::Pending);
    lab.pass(5.9);
    assert!(lab.is_draining(from));
    lab.pass(0.1);
    assert!(!lab.is_draining(from));
    let allocs = lab.nomad.allocations_of("web");
    assert_eq!((allocs[0].client, allocs[1].client), (ClientStatus::Complete, ClientStatus::Running));
}

#[test]
fn a_service_moves_max_parallel_at_a_time_and_waits_for_the_replacements_health() {
    let job = JobSpec::service("web", 4).max_parallel(2).stop_takes(seconds(1)).min_healthy_time(seconds(10));
    let (lab, nodes) = Lab::with_jobs(1, &[job]);
    lab.nomad.add_node(NodeSpec::new("other"));
    lab.drain(&nodes[0], HOUR);
    lab.pass(1.0);
    assert_eq!(lab.told_on(&nodes[0]), 2);
    lab.pass(10.9);
    assert_eq!(lab.told_on(&nodes[0]), 2, "replacements run, but are not healthy yet");
    lab.pass(1.1);
    assert_eq!(lab.told_on(&nodes[0]), 4);
    lab.pass(1.0);
    assert!(!lab.is_draining(&nodes[0]));
}

#[test]
fn without_a_place_for_the_replacement_the_rest_stays_until_the_deadline() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::service("web", 3)]);
    lab.drain(&nodes[0], SignedDuration::from_mins(10));
    lab.pass(599.0);
    assert_eq!((lab.told_on(&nodes[0]), lab.nomad.queued()), (1, 1));
    lab.pass(2.0);
    assert_eq!((lab.told_on(&nodes[0]), lab.nomad.queued()), (3, 3));
    assert!(!lab.is_draining(&nodes[0]));
    let later = lab.nomad.add_node(NodeSpec::new("later"));
    assert_eq!(lab.live_on(&later), 3);
}

#[test]
fn an_allocation_without_a_verdict_on_its_health_does_not_move() {
    let lab = Lab::new();
    let node = lab.nomad.add_node(NodeSpec::new("n"));
    lab.nomad.add_job(JobSpec::service("web", 1).min_healthy_time(seconds(30)));
    lab.drain(&node, HOUR);
    lab.pass(29.0);
    assert_eq!(lab.told_on(&node), 0);
    lab.pass(2.0);
    assert_eq!(lab.told_on(&node), 1);
}

#[test]
fn batch_work_runs_to_its_end() {
    let (lab, nodes) = Lab::with_jobs(2, &[JobSpec::batch("etl", 1).runs_for(seconds(600))]);
    let from = nodes.iter().find(|node| lab.live_on(node) == 1).unwrap();
    lab.drain(from, HOUR);
    lab.pass(539.0);
    assert!(lab.is_draining(from));
    lab.pass(1.0);
    assert!(!lab.is_draining(from));
    assert_eq!(lab.nomad.allocations_of("etl")[0].desired, DesiredStatus::Run);
}

#[test]
fn old_releases_place_batch_work_again() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::batch("etl", 1)]);
    lab.nomad.set_quirks(Quirks { replaces_batch: true, ..Quirks::default() });
    lab.drain(&nodes[0], SignedDuration::from_secs(-1));
    lab.pass(1.0);
    assert_eq!(lab.nomad.queued(), 1);
}

#[test]
fn system_jobs_go_last_and_nobody_waits_for_them() {
    let system = JobSpec::system("logs").stop_takes(seconds(3));
    let (lab, nodes) = Lab::with_jobs(2, &[JobSpec::batch("etl", 1).runs_for(seconds(100)), system]);
    let from = nodes.iter().find(|node| lab.live_on(node) == 2).unwrap();
    lab.drain(from, HOUR);
    lab.pass(40.0);
    assert_eq!((lab.live_on(from), lab.told_on(from)), (1, 0));
    lab.pass(1.0);
    assert!(!lab.is_draining(from));
    assert_eq!((lab.live_on(from), lab.told_on(from)), (1, 1));
    lab.pass(3.0);
    assert_eq!(lab.live_on(from), 0);
}

#[test]
fn system_jobs_stay_if_they_are_ignored() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::system("logs")]);
    lab.nomad.drain(&nodes[0], DrainRequest::with_deadline(HOUR).ignoring_system_jobs()).unwrap();
    assert!(!lab.is_draining(&nodes[0]));
    lab.pass(7200.0);
    assert_eq!(lab.live_on(&nodes[0]), 1);
}
