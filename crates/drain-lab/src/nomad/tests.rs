//! The rules of draining, told with a clock that stands still until it is turned.

mod clients;
mod ends;
mod moves;
mod requests;

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
