//! Walks: thousands of random stories over the lab's model, and what must hold in every one of them.
//!
//! A walk is a list of random [`steps`](steps::Step) over a random [`setup`](setup::Setup). The invocations of the
//! function are futures that stand still at a [`gate`] before and after every effect; the walk decides which goes on,
//! and which dies there. After every step the [`ledger`] compares what was done with what the models know.
//!
//! `WALKS` says how many; `WALKS_SEED` begins elsewhere; `WALKS_SHRINK=0` is quick to say that there is one. A walk that breaks a promise is shrunk, and its story printed.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod crash_points;
mod fates;
mod faults;
mod gate;
mod ground;
mod ledger;
mod long_drains;
mod setup;
mod steps;
mod tally;
mod translate;
mod walk;
mod world;

use std::cell::RefCell;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use jiff::SignedDuration;
use ledger::later;
use setup::{Setup, setups};
use steps::{Step, steps};
use tally::Tally;
use walk::Walk;

/// How many walks there are if nobody says otherwise.
const WALKS: u32 = 10_000;

const THREADS: u32 = 2;

/// How many attempts are made to tell a story that breaks a promise more shortly, if nobody says otherwise.
const SHRINKS: u32 = 5_000;

#[test]
fn walks() {
    let walks = variable("WALKS").unwrap_or(WALKS);
    let seed = variable("WALKS_SEED").unwrap_or(0);
    let threads: Vec<_> =
        (0..THREADS).map(|thread| std::thread::spawn(move || run(walks / THREADS, seed, thread))).collect();
    let mut tally = Tally::default();
    for thread in threads {
        match thread.join().unwrap() {
            Ok(counts) => tally.add(&counts),
            Err(story) => panic!("{story}"),
        }
    }
    println!("{tally}");
    assert!(walks < 1000 || (25..=35).contains(&tally.median()), "median {}", tally.median());
}

fn variable(name: &str) -> Option<u32> {
    Some(std::env::var(name).ok()?.parse().unwrap())
}

fn run(walks: u32, seed: u32, thread: u32) -> Result<Tally, String> {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    bytes[4..8].copy_from_slice(&thread.to_le_bytes());
    let config = Config {
        cases: walks,
        max_shrink_iters: variable("WALKS_SHRINK").unwrap_or(SHRINKS),
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let tally = RefCell::new(Tally::default());
    let stories = (setups(), prop::collection::vec(steps(), 1..=60));
    let outcome = TestRunner::new_with_rng(config, rng).run(&stories, |(setup, steps)| {
        let walk = take(&setup, &steps, false);
        tally.borrow_mut().add(&walk.ground.tally.borrow());
        let broken = walk.ground.ledger.borrow().broken.clone();
        broken.map_or(Ok(()), |promise| Err(TestCaseError::fail(promise)))
    });
    match outcome {
        Ok(()) => Ok(tally.into_inner()),
        Err(TestError::Fail(reason, (setup, steps))) => {
            let walk = take(&setup, &steps, true);
            let taken = tally.borrow().to_string();
            Err(format!("{reason}\n{taken}\n{setup:#?}\n{}", walk.ground.story()))
        }
        Err(error @ TestError::Abort(_)) => Err(error.to_string()),
    }
}

/// Takes a walk, and then leaves everything in peace until it has come to its end.
fn take(setup: &Setup, steps: &[Step], telling: bool) -> Walk {
    let mut walk = Walk::new(setup, telling);
    walk.ground.tally.borrow_mut().walk(steps.len());
    for step in steps {
        step.take(&mut walk);
        if walk.is_broken() {
            return walk;
        }
    }
    come_to_an_end(&mut walk);
    walk
}

/// No more faults, and a sweep every minute: every instance reaches its end.
fn come_to_an_end(walk: &mut Walk) {
    let ground = std::rc::Rc::clone(&walk.ground);
    ground.say(|| "from here on everything works".to_owned());
    ground.faults.borrow_mut().clear();
    ground.leaderless_until.set(ground.now());
    ground.nomad.elect_leader();
    ground.held_by_tag.set(false);
    walk.scheduled = setup_sweeps(walk);
    let max_hold = ground.config.cluster().unwrap().policy.max_hold;
    let timeout = SignedDuration::from_secs(i64::from(ground.setup.heartbeat_timeout));
    let until = later(ground.now(), max_hold + timeout + SignedDuration::from_mins(5));
    // The other hooks have their time too.
    let until = later(until, SignedDuration::from_mins(35));
    while is_held(walk) && !walk.is_broken() {
        if ground.now() >= until {
            // Nobody says since when: the hook's own limit ends it, up to two days later.
            if ground.setup.policy.pause || !ground.ledger.borrow().start_is_known() {
                ground.tally.borrow_mut().end("left to the hook's own limit");
                return;
            }
            let mut ledger = ground.ledger.borrow_mut();
            ledger.broken.get_or_insert("an instance has not reached its end".to_owned());
            return;
        }
        walk.pass(Duration::from_mins(1));
    }
}

fn setup_sweeps(walk: &Walk) -> bool {
    walk.ground.setup.policy.sweep
}

/// Whether a hook holds an instance.
fn is_held(walk: &Walk) -> bool {
    !walk.ground.ledger.borrow().actions.is_empty()
}
