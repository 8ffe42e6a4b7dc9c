//! How a drain ends: at its deadline, by force, too early, or not at all.

use super::*;

#[test]
fn at_the_deadline_the_drain_is_complete_while_tasks_still_end() {
    let job = JobSpec::batch("etl", 1).kill_timeout(seconds(20)).stop_takes(seconds(90));
    let (lab, nodes) = Lab::with_jobs(1, &[job]);
    lab.drain(&nodes[0], SignedDuration::from_secs(30));
    lab.pass(30.9);
    assert!(lab.is_draining(&nodes[0]));
    lab.pass(0.1);
    let node = lab.node(&nodes[0]);
    assert_eq!(node.drain, None);
    assert_eq!(node.events.last().unwrap().details["deadline_reached"], "true");
    lab.pass(19.9);
    assert_eq!(lab.live_on(&nodes[0]), 1);
    lab.pass(0.1);
    assert_eq!(lab.live_on(&nodes[0]), 0, "killed after its kill_timeout");
    assert_eq!((lab.nomad.allocations_of("etl").len(), lab.nomad.queued()), (1, 0), "not placed again");
}

#[test]
fn a_forced_drain_takes_a_second() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::service("web", 3), JobSpec::system("logs")]);
    lab.drain(&nodes[0], SignedDuration::from_secs(-1));
    assert_eq!(lab.node(&nodes[0]).drain.unwrap().force_deadline, None);
    lab.pass(1.0);
    assert_eq!((lab.told_on(&nodes[0]), lab.live_on(&nodes[0])), (4, 4));
    assert!(!lab.is_draining(&nodes[0]));
}

#[test]
fn a_drain_without_a_deadline_waits_for_ever() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::batch("etl", 1)]);
    lab.drain(&nodes[0], SignedDuration::ZERO);
    lab.pass(1_000_000.0);
    assert!(lab.is_draining(&nodes[0]));
}

#[test]
fn the_end_of_sysbatch_work_makes_nobody_look_until_the_deadline() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::sysbatch("patch").runs_for(seconds(90))]);
    lab.drain(&nodes[0], HOUR);
    lab.pass(3599.0);
    assert_eq!(lab.live_on(&nodes[0]), 0);
    assert!(lab.is_draining(&nodes[0]), "stuck although nothing runs");
    lab.pass(2.0);
    assert!(!lab.is_draining(&nodes[0]));
}

#[test]
fn allocations_that_were_stopping_already_hold_a_drain_until_it_is_posted_again() {
    let job = JobSpec::service("web", 1).stop_takes(seconds(5));
    let (lab, nodes) = Lab::with_jobs(1, &[job]);
    lab.nomad.stop_job("default", "web");
    lab.drain(&nodes[0], HOUR);
    lab.pass(600.0);
    assert_eq!(lab.live_on(&nodes[0]), 0);
    assert!(lab.is_draining(&nodes[0]), "stuck although nothing runs");
    lab.drain(&nodes[0], HOUR);
    assert!(!lab.is_draining(&nodes[0]), "a changed strategy makes the drainer look again");
}

#[test]
fn both_known_hangs_end_at_once_when_the_drain_is_forced_and_the_work_of_others_is_not_touched() {
    let stuck =
        [JobSpec::sysbatch("patch").runs_for(seconds(90)), JobSpec::service("web", 1).stop_takes(seconds(5))];
    for job in stuck {
        let (lab, nodes) = Lab::with_jobs(1, &[job, JobSpec::system("logs")]);
        lab.nomad.stop_job("default", "web");
        lab.drain(&nodes[0], HOUR);
        lab.pass(600.0);
        assert_eq!(lab.live_on(&nodes[0]), 1, "only the system job");
        assert!(lab.is_draining(&nodes[0]));
        lab.drain(&nodes[0], SignedDuration::from_secs(-1));
        lab.pass(1.0);
        assert!(!lab.is_draining(&nodes[0]));
        lab.pass(1.0);
        assert_eq!(lab.live_on(&nodes[0]), 0);
    }
}

#[test]
fn a_task_that_ignores_its_signal_outlives_the_drain_by_its_kill_timeout() {
    let job =
        JobSpec::service("web", 2).kill_timeout(seconds(600)).shutdown_delay(seconds(30)).ignores_signals();
    let (lab, nodes) = Lab::with_jobs(1, &[job]);
    lab.drain(&nodes[0], SignedDuration::from_secs(60));
    lab.pass(61.0);
    assert!(!lab.is_draining(&nodes[0]));
    assert_eq!(lab.live_on(&nodes[0]), 2);
    lab.pass(569.0);
    assert_eq!(lab.live_on(&nodes[0]), 2, "the first was told 60 s before the second, but both live");
    lab.pass(1.0);
    assert_eq!(lab.live_on(&nodes[0]), 1);
    lab.pass(60.0);
    assert_eq!(lab.live_on(&nodes[0]), 0);
}

#[test]
fn old_releases_complete_as_soon_as_the_last_allocation_was_told() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::service("web", 1)]);
    lab.nomad.set_quirks(Quirks { completes_when_told: true, ..Quirks::default() });
    lab.drain(&nodes[0], HOUR);
    lab.pass(1.0);
    assert!(!lab.is_draining(&nodes[0]));
    assert_eq!(lab.live_on(&nodes[0]), 1);
}

#[test]
fn unknown_allocations_of_a_disconnected_node_hold_its_drain_until_the_deadline() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::service("web", 1)]);
    lab.nomad.set_status(&nodes[0], NodeStatus::Disconnected).unwrap();
    lab.drain(&nodes[0], HOUR);
    lab.pass(3600.0);
    assert_eq!(lab.nomad.allocations_on(&nodes[0])[0].client, ClientStatus::Unknown);
    assert!(lab.is_draining(&nodes[0]));
    lab.pass(1.0);
    assert!(!lab.is_draining(&nodes[0]));
    lab.nomad.set_status(&nodes[0], NodeStatus::Ready).unwrap();
    assert_eq!(lab.live_on(&nodes[0]), 0, "it hears that it was to stop, long ago");
}
