//! The rules of draining, told with a clock that stands still until it is turned.

use std::time::Duration;

use super::*;
use crate::journal::{Kind, System};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

struct Lab {
    clock: Clock,
    journal: Journal,
    nomad: Nomad,
}

impl Lab {
    fn new() -> Self {
        let clock = Clock::stopped_at("2026-01-01T00:00:00.5Z".parse().unwrap());
        let journal = Journal::new(clock.clone());
        let nomad = Nomad::new(clock.clone(), journal.clone(), Faults::default());
        Self { clock, journal, nomad }
    }

    /// Nodes on which jobs have been running for a minute.
    fn with_jobs(nodes: usize, jobs: &[JobSpec]) -> (Self, Vec<String>) {
        let lab = Self::new();
        let nodes: Vec<String> =
            (0..nodes).map(|number| lab.nomad.add_node(NodeSpec::new(format!("n{number}")))).collect();
        for job in jobs {
            lab.nomad.add_job(job.clone());
        }
        lab.pass(60.0);
        (lab, nodes)
    }

    fn pass(&self, seconds: f64) {
        self.clock.advance(Duration::from_secs_f64(seconds));
        self.nomad.next_due();
    }

    fn drain(&self, node: &str, deadline: SignedDuration) {
        self.nomad.drain(node, DrainRequest::with_deadline(deadline)).unwrap();
    }

    fn node(&self, id: &str) -> NodeView {
        self.nomad.node(id).unwrap()
    }

    fn is_draining(&self, id: &str) -> bool {
        self.node(id).drain.is_some()
    }

    /// What still runs on a node, as seen by its client.
    fn live_on(&self, node: &str) -> usize {
        let allocs = self.nomad.allocations_on(node);
        allocs.iter().filter(|alloc| !alloc.client.is_terminal()).count()
    }

    /// What on a node has been told to stop.
    fn told_on(&self, node: &str) -> usize {
        let allocs = self.nomad.allocations_on(node);
        allocs.iter().filter(|alloc| alloc.desired == DesiredStatus::Stop).count()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

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
fn an_allocation_says_when_it_last_changed() {
    let job = JobSpec::batch("etl", 1).stop_takes(seconds(4));
    let (lab, nodes) = Lab::with_jobs(1, &[job]);
    let changed = || {
        let allocation = lab.nomad.allocations_on(&nodes[0]).remove(0);
        assert!(allocation.modify_index <= lab.nomad.index());
        allocation.modified_at.to_string()
    };
    assert_eq!(changed(), "2026-01-01T00:00:00.5Z", "its client started it");
    lab.drain(&nodes[0], SignedDuration::from_secs(-1));
    lab.pass(2.0);
    assert_eq!(changed(), "2026-01-01T00:01:01.5Z", "the servers told it to stop");
    lab.pass(60.0);
    assert_eq!(changed(), "2026-01-01T00:01:05.5Z", "its client said that it had");
}

#[test]
fn a_draining_node_cannot_be_made_eligible() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::batch("etl", 1)]);
    lab.drain(&nodes[0], HOUR);
    assert_eq!(lab.nomad.set_eligibility(&nodes[0], true), Err(EligibilityError::Draining));
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
fn without_a_leader_nothing_moves_and_a_new_one_catches_up() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::batch("etl", 1)]);
    lab.drain(&nodes[0], SignedDuration::from_secs(30));
    lab.nomad.lose_leader(Some(lab.clock.now() + SignedDuration::from_secs(100)));
    lab.pass(99.0);
    assert!(lab.is_draining(&nodes[0]));
    lab.pass(2.0);
    assert!(!lab.is_draining(&nodes[0]));
    lab.nomad.lose_leader(None);
    lab.pass(3600.0);
    assert_eq!(lab.live_on(&nodes[0]), 1);
    lab.nomad.elect_leader();
    assert_eq!(lab.live_on(&nodes[0]), 0);
}

#[test]
fn the_servers_remember_ten_events_of_a_node() {
    let (lab, nodes) = Lab::with_jobs(1, &[]);
    for _ in 0..12 {
        lab.drain(&nodes[0], HOUR);
    }
    assert_eq!(lab.node(&nodes[0]).events.len(), 10);
}

#[test]
fn an_hour_in_one_step_ends_like_an_hour_in_many() {
    let story = |steps: u32| {
        let jobs = [
            JobSpec::service("web", 6).max_parallel(2),
            JobSpec::batch("etl", 2).runs_for(seconds(1234)),
            JobSpec::sysbatch("patch").runs_for(seconds(700)),
            JobSpec::system("logs"),
        ];
        let (lab, nodes) = Lab::with_jobs(3, &jobs);
        lab.drain(&nodes[0], SignedDuration::from_mins(30));
        lab.drain(&nodes[1], SignedDuration::from_mins(40));
        for _ in 0..steps {
            lab.pass(3600.0 / f64::from(steps));
        }
        let effects: Vec<String> = (lab.journal.entries().into_iter())
            .map(|entry| format!("{} {} {} {}", entry.at, entry.what, entry.subject, entry.detail))
            .collect();
        (effects, lab.nomad.nodes(), lab.nomad.index())
    };
    let (many, one) = (story(7200), story(1));
    assert_eq!(many, one);
}

#[test]
fn every_effect_is_in_the_journal_at_its_own_moment() {
    let (lab, nodes) = Lab::with_jobs(1, &[JobSpec::service("web", 1)]);
    lab.drain(&nodes[0], HOUR);
    lab.pass(3600.0);
    let entries = lab.journal.entries();
    assert!(entries.iter().all(|entry| entry.kind == Kind::Effect && entry.system == System::Nomad));
    let story: Vec<_> = entries.iter().map(|entry| (entry.at.to_string(), entry.what.as_str())).collect();
    assert_eq!(
        story.iter().map(|(at, what)| (at.as_str(), *what)).collect::<Vec<_>>(),
        [
            ("2026-01-01T00:00:00.5Z", "node registered"),
            ("2026-01-01T00:00:00.5Z", "allocation placed"),
            ("2026-01-01T00:01:00.5Z", "drain started"),
            ("2026-01-01T00:01:01.5Z", "allocation stopping"),
            ("2026-01-01T00:01:02.5Z", "allocation stopped"),
            ("2026-01-01T00:01:02.5Z", "drain complete"),
        ]
    );
    assert!(entries.iter().all(|entry| entry.subject == nodes[0]));
}

#[tokio::test]
async fn a_model_that_runs_wakes_for_what_is_due() {
    let (lab, nodes) = Lab::with_jobs(1, &[]);
    let nomad = lab.nomad.clone();
    let running = tokio::spawn(async move { nomad.run().await });
    let mut changed = lab.nomad.changed.subscribe();
    lab.nomad.add_node_at(lab.clock.now() + SignedDuration::from_secs(5), NodeSpec::new("late"));
    changed.mark_unchanged();
    tokio::task::yield_now().await;
    lab.clock.advance(seconds(5));
    while lab.journal.entries().len() < nodes.len() + 1 {
        changed.changed().await.unwrap();
    }
    running.abort();
}

#[test]
fn a_nodes_history_is_told_in_nomads_words() {
    let lab = Lab::new();
    let node = lab.nomad.add_node(NodeSpec::new("n1"));
    lab.nomad.add_job(JobSpec::service("web", 1).max_parallel(0));
    lab.pass(60.0);
    lab.nomad.set_eligibility(&node, false).unwrap();
    lab.nomad.set_eligibility(&node, true).unwrap();
    lab.drain(&node, HOUR);
    lab.drain(&node, HOUR * 2);
    lab.nomad.drain(&node, DrainRequest::cancel(false)).unwrap();
    lab.nomad.set_status(&node, NodeStatus::Down).unwrap();
    lab.drain(&node, HOUR);
    lab.nomad.set_status(&node, NodeStatus::Ready).unwrap();
    let events = lab.node(&node).events.into_iter();
    let told: Vec<_> = events.map(|event| (event.subsystem, event.message)).collect();
    let expected = [
        ("Cluster", "Node registered"),
        ("Cluster", "Node marked as ineligible for scheduling"),
        ("Cluster", "Node marked as eligible for scheduling"),
        ("Drain", "Node drain strategy set"),
        ("Drain", "Node drain strategy updated"),
        ("Drain", "Node drain disabled"),
        ("Cluster", "Node heartbeat missed"),
        ("Drain", "Node drain strategy set"),
        ("Drain", "Node drain complete"),
        ("Cluster", "Node reregistered by heartbeat"),
    ];
    assert_eq!(told, expected.map(|(subsystem, message)| (subsystem, message.to_owned())));
}

#[test]
fn a_node_that_was_only_disconnected_comes_back_without_a_word() {
    let (lab, nodes) = Lab::with_jobs(1, &[]);
    lab.nomad.set_status(&nodes[0], NodeStatus::Disconnected).unwrap();
    lab.nomad.set_status(&nodes[0], NodeStatus::Ready).unwrap();
    assert_eq!(lab.node(&nodes[0]).events.last().unwrap().message, "Node heartbeat missed");
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
