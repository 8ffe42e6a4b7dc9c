//! Crash points: one full drain, an event and then sweeps, killed between every two outside calls, one run each. The
//! sweeps that follow finish every one.

use std::time::Duration;

use drain_lab::aws::Ec2State;
use jiff::SignedDuration;

use crate::gate::Granted;
use crate::ledger::later;
use crate::setup::{Job, JobKind, Joins, Policies, Setup};
use crate::walk::{Invocation, Walk};

/// A set-up as most are: defaults, two instances, a service and a batch job that outlives its deadline.
pub(crate) fn usual() -> Setup {
    let job = |kind, stops_in| Job { kind, count: 2, stops_in, runs_for: None, hidden: false };
    Setup {
        nodes: vec![Joins::Now, Joins::Now],
        jobs: vec![job(JobKind::Service, 20), job(JobKind::Batch, 5), job(JobKind::System, 1)],
        policy: Policies {
            sweep: true,
            pause: false,
            deadline: 600,
            max_hold: None,
            kill_grace: 120,
            join_grace: 300,
            disconnected_grace: 120,
            down_grace: 60,
            settle: 0,
            ignore_system_jobs: false,
            on_drain_timeout: "continue",
            on_node_not_found: "continue",
            sweep_linger: 50,
            event_linger: None,
            poll: 5,
            may_survive: false,
            restore_after: 1800,
            most_drains: None,
        },
        heartbeat_timeout: 300,
        other_hook: None,
        strangers: false,
        hook_named: false,
        abandons_by_default: true,
        retains: false,
        sees_everything: true,
        lambda_timeout: 60,
    }
}

/// Terminates both instances, and delivers their events. Only one process dies: the one that takes the await with this
/// number, counted over the invocations of the story. Whether one died.
fn killed_at(crash: u64) -> bool {
    let mut walk = Walk::new(&usual(), true);
    let ground = std::rc::Rc::clone(&walk.ground);
    for instance in &ground.instances {
        ground.aws.terminate_instance(instance).unwrap();
    }
    ground.settle();
    for mail in ground.inbox.take() {
        walk.deliver(mail);
    }
    let crashed = walk.pass_until_crash(Duration::from_mins(20), crash);
    if crashed {
        // Lambda may try the event again; the sweep has to do without.
        ground.inbox.borrow_mut().clear();
        walk.pass(Duration::from_mins(20));
    }
    let over = |id: &String| ground.instance(id).ec2_state == Ec2State::Terminated;
    let broken = ground.ledger.borrow().broken.clone();
    assert_eq!(broken, None, "crash point {crash}\n{}", ground.story());
    assert!(ground.instances.iter().all(over), "crash point {crash}: not finished\n{}", ground.story());
    crashed
}

#[test]
fn whatever_call_a_process_dies_at_the_sweep_finishes_the_drain() {
    let mut points = 0;
    while killed_at(points) {
        points += 1;
    }
    println!("{points} crash points");
    assert!(points > 100, "{points}");
}

impl Walk {
    /// As [`Walk::pass`], until so many awaits are behind the invocations together: then the one that took the last of
    /// them is killed.
    fn pass_until_crash(&mut self, time: Duration, crash: u64) -> bool {
        let until = later(self.ground.now(), SignedDuration::try_from(time).unwrap());
        let mut awaits = 0;
        while self.ground.now() < until {
            while let Some(place) = self.running.iter().position(Invocation::is_busy) {
                if awaits == crash {
                    self.kill(place);
                    return true;
                }
                awaits += 1;
                self.poll(place, Granted::One(0));
            }
            self.pass_to_next(until);
        }
        false
    }
}
