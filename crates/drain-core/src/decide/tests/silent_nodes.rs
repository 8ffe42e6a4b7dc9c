//! Nodes that miss heartbeats.

use super::scene::*;

const DOWN: NodeStatus = NodeStatus::Down(Timestamp::UNIX_EPOCH);

fn down(since: SignedDuration) -> Scene {
    held().status(NodeStatus::Down(at(since)))
}

fn disconnected(since: SignedDuration) -> Scene {
    held().drains(DrainDeadline::At(at(HOUR))).status(NodeStatus::Disconnected(at(since)))
}

#[test]
fn a_node_that_is_down_is_made_ineligible_first_so_that_a_comeback_gets_nothing() {
    down(secs(-30)).makes_ineligible(0);
    down(-HOUR).makes_ineligible(0);
    plain().status(DOWN).makes_ineligible(0);
}

#[test]
fn a_node_that_is_down_and_whose_instance_comes_back_stays_as_it_is() {
    // Nobody could tell afterwards that it was not an operator who made it ineligible.
    for cause in [Cause::WarmPool, Cause::RootVolume] {
        assert_eq!(down(secs(-30)).because(cause).waits(Reason::NodeSilent), at(secs(30)));
        down(secs(-30)).because(cause).after(secs(30)).completes(Reason::NodeDown);
    }
}

#[test]
fn a_node_that_is_down_is_done_after_its_grace_whatever_it_was_running() {
    for scene in [
        down(secs(-30)).ineligible(),
        down(secs(-30)).ineligible().runs([running(), unknown()]),
        down(secs(-30)).ineligible().allocations(Allocations::Unknown(Obstacle::Unreachable)),
        down(secs(-30)).adopts(DrainDeadline::Never),
        down(secs(-30)).ineligible().sight(Sight::NotEverything),
    ] {
        assert_eq!(scene.clone().after(secs(29)).waits(Reason::NodeSilent), at(secs(30)));
        scene.after(secs(30)).completes(Reason::NodeDown);
    }
}

#[test]
fn a_node_that_comes_back_is_drained_like_any_other() {
    held().ineligible().runs([running()]).posts_because(Reason::DrainPosted);
}

#[test]
fn a_node_that_is_disconnected_is_drained() {
    held().status(NodeStatus::Disconnected(at(-HOUR))).posts_because(Reason::DrainPosted);
    let scene = held().status(NodeStatus::Disconnected(at(-HOUR))).ineligible().runs([running()]);
    scene.posts_because(Reason::DrainPosted);
}

#[test]
fn a_node_that_is_disconnected_is_done_after_its_grace() {
    for allocations in [vec![unknown()], vec![running()], vec![stopping(), system()]] {
        let scene = disconnected(secs(10)).runs(allocations);
        let before = secs(10) + mins(2) - SECOND;
        assert_eq!(scene.clone().after(before).waits(Reason::NodeSilent), at(before + SECOND));
        scene.after(before + SECOND).completes(Reason::NodeDisconnected);
    }
}

#[test]
fn what_runs_out_of_reach_keeps_a_disconnected_node_for_its_grace_even_if_the_drain_is_over() {
    let scene = held().drained(mins(1)).status(NodeStatus::Disconnected(at(mins(1)))).runs([unknown()]);
    scene.clone().after(mins(3) - SECOND).waits(Reason::NodeSilent);
    scene.after(mins(3)).completes(Reason::NodeDisconnected);
}

#[test]
fn a_disconnected_node_on_which_everything_has_stopped_is_drained_at_once() {
    let scene = held().drained(mins(1)).status(NodeStatus::Disconnected(at(mins(1))));
    scene.runs([stopped(secs(50))]).after(mins(2)).completes(Reason::Drained);
}

#[test]
fn a_disconnected_node_that_outlives_its_drain_has_timed_out() {
    let scene = held().drains(DrainDeadline::At(at(HOUR))).status(NodeStatus::Disconnected(at(mins(61))));
    scene.runs([unknown()]).after(mins(62)).completes(Reason::DrainTimeout);
}

#[test]
fn an_old_node_that_is_down_does_not_hasten_the_new_one() {
    let old = |older: &mut SeenNode| {
        older.node.status = DOWN;
        older.node.eligible = false;
    };
    let scene = held().drains(DrainDeadline::At(at(HOUR))).runs([running()]).and_older(old);
    scene.waits(Reason::AllocationsRunning);
    held().drained(mins(1)).after(mins(2)).and_older(old).completes(Reason::Drained);
}

#[test]
fn of_several_silent_nodes_the_first_end_is_looked_at() {
    let scene = down(secs(-30)).ineligible().and_older(|older| {
        older.node.status = NodeStatus::Down(at(secs(-40)));
        older.node.eligible = false;
    });
    assert_eq!(scene.waits(Reason::NodeSilent), at(secs(20)));
    assert_eq!(scene.after(secs(25)).waits(Reason::NodeSilent), at(secs(30)));
}

#[test]
fn a_silence_that_began_nobody_knows_when_does_not_end() {
    let scene = held().ineligible().status(NodeStatus::Down(Timestamp::MAX));
    assert_eq!(scene.waits(Reason::NodeSilent), Timestamp::MAX);
}

#[test]
fn a_system_job_that_is_to_stay_does_not_keep_a_disconnected_node() {
    let scene = held().drained(mins(1)).status(NodeStatus::Disconnected(at(mins(1)))).after(mins(2));
    let scene = scene.runs([Allocation { system: true, ..unknown() }]);
    scene.clone().waits(Reason::NodeSilent);
    scene.policy(|policy| policy.ignore_system_jobs = true).completes(Reason::Drained);
}
