//! What requests do to a node: drains, cancellations, and whether it takes work.

use super::*;

#[test]
fn an_operator_can_purge_a_dead_node_and_bring_another_drain() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::batch("etl", 1)]);
    let ours = DrainRequest::with_deadline(HOUR).meta("managed-by", "nomad-drain");
    lab.nomad.drain(&nodes[0], ours).unwrap();
    lab.drain(&nodes[0], SignedDuration::from_secs(60));
    let last = lab.node(&nodes[0]).last_drain.unwrap();
    assert_eq!(
        (last.accessor_id.as_str(), last.meta["managed-by"].as_str()),
        ("token:operator", "nomad-drain")
    );
    lab.nomad.kill_client(&nodes[0]).unwrap();
    lab.pass(20.0);
    lab.nomad.purge(&nodes[0]).unwrap();
    lab.pass(600.0);
    assert_eq!(lab.nomad.node(&nodes[0]), None);
    assert!(lab.nomad.nodes_of_instance("i-0abc").is_empty());
}

#[test]
fn a_second_request_moves_the_deadline_and_keeps_the_start() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::batch("etl", 1)]);
    let request = DrainRequest::with_deadline(HOUR);
    lab.nomad.drain(&nodes[0], request.clone().meta("a", "1").meta("b", "2")).unwrap();
    let first = lab.node(&nodes[0]);
    lab.pass(600.0);
    lab.nomad.drain(&nodes[0], request.clone()).unwrap();
    let second = lab.node(&nodes[0]);
    let (before, after) = (first.drain.unwrap(), second.drain.unwrap());
    assert_eq!(after.started_at, before.started_at);
    let moved = after.force_deadline.unwrap().duration_since(before.force_deadline.unwrap());
    assert_eq!(moved, SignedDuration::from_secs(600));
    let last = second.last_drain.unwrap();
    assert_eq!(last.meta, first.last_drain.as_ref().unwrap().meta, "an update without metadata keeps it");
    assert!(last.updated_at > last.started_at);
    assert_eq!(second.events.last().unwrap().message, "Node drain strategy updated");

    lab.nomad.drain(&nodes[0], request.meta("c", "3")).unwrap();
    let meta = lab.node(&nodes[0]).last_drain.unwrap().meta;
    assert_eq!(
        meta.into_iter().collect::<Vec<_>>(),
        [("c".to_owned(), "3".to_owned())],
        "replaced as a whole"
    );
}

#[test]
fn a_cancelled_drain_leaves_the_node_ineligible_unless_it_is_said() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::batch("etl", 1)]);
    for (mark_eligible, eligible) in [(false, false), (true, true)] {
        lab.drain(&nodes[0], HOUR);
        lab.nomad.drain(&nodes[0], DrainRequest::cancel(mark_eligible)).unwrap();
        let node = lab.node(&nodes[0]);
        assert_eq!((node.drain, node.eligible), (None, eligible));
        assert_eq!(node.last_drain.unwrap().status, DrainStatus::Canceled);
        assert_eq!(node.events.last().unwrap().message, "Node drain disabled");
    }
    assert_eq!(lab.told_on(&nodes[0]), 0);
}

#[test]
fn cancelling_where_nothing_drains_leaves_no_trace_but_an_index() {
    let (lab, nodes) = Lab::with_jobs(1, &[]);
    let before = lab.node(&nodes[0]);
    lab.nomad.drain(&nodes[0], DrainRequest::cancel(false)).unwrap();
    let after = lab.node(&nodes[0]);
    let NodeView { modify_index, status_updated_at, .. } = after;
    assert_eq!(after, NodeView { status_updated_at, modify_index, ..before.clone() });
    assert!(after.modify_index > before.modify_index);
}

#[test]
fn every_write_of_a_drain_moves_the_time_of_the_status_but_not_that_of_the_missed_heartbeat() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::batch("etl", 1)]);
    lab.nomad.kill_client(&nodes[0]).unwrap();
    assert_eq!(lab.node(&nodes[0]).heartbeat_missed_at(), None, "nobody has noticed yet");
    lab.pass(100.0);
    let missed = lab.node(&nodes[0]).heartbeat_missed_at().unwrap();
    assert_eq!(missed.to_string(), "2026-01-01T00:01:20.5Z");
    let touches: [&dyn Fn(); 3] = [
        &|| lab.drain(&nodes[0], HOUR),
        &|| lab.nomad.drain(&nodes[0], DrainRequest::cancel(true)).unwrap(),
        &|| lab.nomad.set_eligibility(&nodes[0], false).unwrap(),
    ];
    for touch in touches {
        lab.pass(60.0);
        touch();
        let node = lab.node(&nodes[0]);
        assert_eq!(node.status_updated_at, drainer::whole_second(lab.clock.now()));
        assert_eq!((node.status, node.heartbeat_missed_at()), (NodeStatus::Down, Some(missed)));
    }
}

#[test]
fn a_draining_node_cannot_be_made_eligible() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::batch("etl", 1)]);
    lab.drain(&nodes[0], HOUR);
    assert_eq!(lab.nomad.set_eligibility(&nodes[0], true), Err(EligibilityError::Draining));
}

#[test]
fn a_cancel_where_nothing_drains_makes_eligible_and_leaves_the_last_drain_alone() {
    let (lab, nodes) = Lab::with_jobs(1, &[]);
    lab.drain(&nodes[0], HOUR);
    let before = lab.node(&nodes[0]);
    assert_eq!(before.last_drain.as_ref().unwrap().status, DrainStatus::Complete);
    lab.pass(60.0);
    lab.nomad.drain(&nodes[0], DrainRequest::cancel(true)).unwrap();
    let after = lab.node(&nodes[0]);
    assert!(after.eligible && after.modify_index > before.modify_index);
    assert_eq!((after.last_drain, after.events), (before.last_drain, before.events));
}
