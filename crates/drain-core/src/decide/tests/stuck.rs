//! The drain that does not end although nothing runs.

use super::scene::*;

/// The last allocation has stopped a minute after noon, and the drain goes on.
fn stuck() -> Scene {
    held().drains(DrainDeadline::At(at(HOUR))).runs([stopped(mins(1))]).after(mins(1) + STUCK_AFTER)
}

#[test]
fn a_drain_that_goes_on_for_15_seconds_with_nothing_left_is_forced_without_touching_its_meta() {
    let request = stuck().posts_because(Reason::StuckDrainEnded);
    let spec = DrainSpec { deadline: secs(-1), ignore_system_jobs: false };
    assert_eq!((request.spec, request.meta), (spec, None));
    stuck().after(mins(1) + secs(14)).waits(Reason::DrainEnding);
}

#[test]
fn it_is_forced_whoever_began_it_and_whatever_its_deadline() {
    for deadline in [DrainDeadline::At(at(HOUR)), DrainDeadline::Untold] {
        held().adopts(deadline).after(secs(15)).posts_because(Reason::StuckDrainEnded);
    }
}

#[test]
fn it_is_forced_once() {
    stuck().drains(DrainDeadline::Forced).waits(Reason::DrainEnding);
}

#[test]
fn the_15_seconds_count_from_the_newest_of_drain_and_allocations() {
    let scene = stuck().node(|node| node.drain.as_mut().unwrap().started_at = Some(at(mins(1) + SECOND)));
    scene.waits(Reason::DrainEnding);
    let scene = stuck().last_drain(|last| last.updated_at = Some(at(mins(1) + SECOND)));
    scene.waits(Reason::DrainEnding);
    let scene = stuck().runs([stopped(mins(1)), stopped(mins(1) + SECOND)]);
    scene.waits(Reason::DrainEnding);
    // Nobody says anything: from the first look.
    let scene = stuck().runs([]).last_drain(|last| last.updated_at = None);
    let scene = scene.node(|node| node.drain.as_mut().unwrap().started_at = None);
    scene.clone().after(secs(14)).waits(Reason::DrainEnding);
    scene.after(secs(15)).posts_because(Reason::StuckDrainEnded);
}

#[test]
fn system_jobs_wait_for_the_drains_end_and_do_not_keep_it_from_being_forced() {
    stuck().runs([system()]).posts_because(Reason::StuckDrainEnded);
    stuck().runs([system()]).drains(DrainDeadline::Forced).waits(Reason::AllocationsRunning);
}

#[test]
fn a_drain_that_leaves_system_jobs_alone_goes_on_doing_so() {
    let scene = stuck().node(|node| node.drain.as_mut().unwrap().ignore_system_jobs = true);
    assert!(scene.posts_because(Reason::StuckDrainEnded).spec.ignore_system_jobs);
}

#[test]
fn nothing_is_forced_while_anything_else_lives() {
    for allocation in [running(), stopping(), unknown()] {
        stuck().runs([allocation]).waits(Reason::AllocationsRunning);
    }
}

#[test]
fn a_token_that_does_not_see_everything_forces_nothing() {
    stuck().sight(Sight::NotEverything).waits(Reason::CannotSeeAllocations);
    stuck().sight(Sight::Unknown).waits(Reason::NomadUnreachable);
}

#[test]
fn nothing_is_forced_on_what_was_not_read() {
    stuck().allocations(Allocations::NotRead).waits(Reason::AllocationsRunning);
    stuck().allocations(Allocations::Unknown(Obstacle::NoLeader)).waits(Reason::NoClusterLeader);
}

#[test]
fn nothing_is_forced_on_a_node_that_is_out_of_reach() {
    // Its client may run them still, and may come back in a moment.
    let scene = stuck().status(NodeStatus::Disconnected(at(mins(1))));
    scene.clone().runs([unknown()]).waits(Reason::NodeSilent);
    scene.waits(Reason::NodeSilent);
}
