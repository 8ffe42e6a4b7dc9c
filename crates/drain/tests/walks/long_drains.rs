//! Long drains under the turned clock: no heartbeat is missed, and the instance is let go at the first look after the
//! end of its last allocation.

use std::time::Duration;

use drain_lab::aws::Ec2State;
use jiff::{SignedDuration, Timestamp};

use crate::crash_points::usual;
use crate::ledger::later;
use crate::setup::{Job, JobKind, Setup};
use crate::walk::Walk;

const HOUR: u32 = 3600;

/// Drains an instance on which a batch job runs for so long, and says when the job ended and when the hook was
/// completed.
fn drain(setup: &Setup, runs_for: u32) -> (Timestamp, Timestamp) {
    let job = Job { kind: JobKind::Batch, count: 3, stops_in: 1, runs_for: Some(runs_for), hidden: false };
    let setup = Setup { jobs: vec![job], ..setup.clone() };
    let mut walk = Walk::new(&setup, false);
    let ground = std::rc::Rc::clone(&walk.ground);
    let ends = later(ground.now(), SignedDuration::from_secs(i64::from(runs_for) - 60));
    let instance = &ground.instances[0];
    ground.aws.terminate_instance(instance).unwrap();
    ground.settle();
    for mail in ground.inbox.take() {
        walk.deliver(mail);
    }
    let give_up = later(ends, SignedDuration::from_hours(1));
    while ground.instance(instance).ec2_state == Ec2State::Running {
        assert!(ground.now() < give_up, "held for an hour too long");
        walk.pass(Duration::from_secs(1));
        assert_eq!(ground.ledger.borrow().broken, None);
    }
    (ends, ground.now())
}

fn long(deadline: u32, heartbeat_timeout: u32) -> Setup {
    let mut setup = usual();
    setup.policy.deadline = deadline;
    setup.heartbeat_timeout = heartbeat_timeout;
    setup
}

/// The first look after the end: an interval between two looks, or the pause between two sweeps.
fn assert_prompt((ends, released): (Timestamp, Timestamp)) {
    let late = released.duration_since(ends);
    assert!(late >= SignedDuration::ZERO, "released {late:#} after the end");
    assert!(late <= SignedDuration::from_secs(15), "released {late:#} after the end");
}

#[test]
fn a_drain_of_three_hours_and_a_quarter_misses_no_heartbeat() {
    for heartbeat_timeout in [300, 900, 3600, 7200] {
        assert_prompt(drain(&long(4 * HOUR, heartbeat_timeout), 3 * HOUR + HOUR / 4));
    }
}

#[test]
fn a_drain_of_47_hours_misses_no_heartbeat() {
    // The hook holds for 100 time-outs and at most 48 hours: 1,728 s and more reach that.
    for heartbeat_timeout in [1728, 7200] {
        assert_prompt(drain(&long(48 * HOUR, heartbeat_timeout), 47 * HOUR));
    }
}

#[test]
fn a_drain_that_outlives_the_hook_is_cut_to_what_the_hook_can_hold() {
    // 100 time-outs of 300 s are 8 h 20 min; the allocations have that long less KILL_GRACE.
    let (_, released) = drain(&long(10 * HOUR, 300), 12 * HOUR);
    let began: Timestamp = "2026-03-01T12:01:00.25Z".parse().unwrap();
    let held = released.duration_since(began);
    let limit = SignedDuration::from_secs(30_000);
    assert!(held < limit && held > limit - SignedDuration::from_secs(130), "{held:#}");
}
