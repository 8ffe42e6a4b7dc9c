//! Clients that come late, die, and come back.

use super::*;

#[test]
fn a_client_killed_while_its_tasks_end_never_says_that_they_have() {
    let job = JobSpec::service("web", 1).kill_timeout(seconds(600)).ignores_signals();
    let (lab, nodes) = Lab::with_jobs(1, &[job]);
    lab.drain(&nodes[0], HOUR);
    lab.pass(100.0);
    lab.nomad.kill_client(&nodes[0]).unwrap();
    lab.pass(19.0);
    assert_eq!((lab.told_on(&nodes[0]), lab.live_on(&nodes[0])), (1, 1));
    lab.pass(1.0);
    let lost = lab.nomad.allocations_on(&nodes[0]).remove(0);
    assert_eq!((lost.client, lost.ended_at), (ClientStatus::Lost, Some(lab.clock.now())));
    assert!(!lab.is_draining(&nodes[0]));
}

#[test]
fn a_node_that_goes_down_loses_its_allocations_and_is_drained() {
    let (lab, nodes) = Lab::with_jobs(2, &[JobSpec::batch("etl", 1)]);
    let (from, to) =
        if lab.live_on(&nodes[0]) == 1 { (&nodes[0], &nodes[1]) } else { (&nodes[1], &nodes[0]) };
    lab.drain(from, HOUR);
    lab.nomad.kill_client(from).unwrap();
    lab.pass(19.0);
    assert_eq!(lab.node(from).status, NodeStatus::Ready);
    lab.pass(1.0);
    let node = lab.node(from);
    assert_eq!((node.status, node.drain), (NodeStatus::Down, None));
    assert!(node.events.iter().any(|event| event.message == "Node heartbeat missed"));
    assert_eq!(lab.nomad.allocations_on(from)[0].client, ClientStatus::Lost);
    assert_eq!(lab.live_on(to), 1);
}

#[test]
fn a_purged_node_whose_client_lives_comes_back_fresh_and_eligible() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::service("web", 1)]);
    lab.drain(&nodes[0], HOUR);
    lab.nomad.purge(&nodes[0]).unwrap();
    assert_eq!(lab.nomad.node(&nodes[0]), None);
    lab.pass(10.0);
    let node = lab.node(&nodes[0]);
    assert!(node.eligible && node.drain.is_none() && node.last_drain.is_none());
    assert_eq!(lab.live_on(&nodes[0]), 1);
    lab.nomad.kill_client(&nodes[0]).unwrap();
    lab.nomad.purge(&nodes[0]).unwrap();
    lab.pass(3600.0);
    assert_eq!(lab.nomad.node(&nodes[0]), None);
}

#[test]
fn a_node_can_register_late() {
    let lab = Lab::new();
    let moment = lab.clock.now() + SignedDuration::from_secs(30);
    let id = lab.nomad.add_node_at(moment, NodeSpec::new("late").instance_id("i-0abc"));
    lab.pass(29.0);
    assert_eq!(lab.nomad.node(&id), None);
    lab.pass(1.0);
    assert_eq!(lab.node(&id).instance_id.as_deref(), Some("i-0abc"));
}

#[test]
fn a_node_that_was_only_disconnected_comes_back_without_a_word() {
    let (lab, nodes) = Lab::with_jobs(1, &[]);
    lab.nomad.set_status(&nodes[0], NodeStatus::Disconnected).unwrap();
    lab.nomad.set_status(&nodes[0], NodeStatus::Ready).unwrap();
    assert_eq!(lab.node(&nodes[0]).events.last().unwrap().message, "Node heartbeat missed");
}
