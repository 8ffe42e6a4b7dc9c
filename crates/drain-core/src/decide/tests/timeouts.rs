//! When allocations outlive their drain.

use super::scene::*;
use crate::policy::ActionResult;

#[test]
fn the_policy_completes_when_deadline_and_grace_have_passed() {
    for result in [ActionResult::Continue, ActionResult::Abandon] {
        let scene = held().drains(DrainDeadline::At(at(HOUR))).runs([running()]);
        let scene = scene.policy(|policy| policy.on_drain_timeout = result);
        scene.clone().after(mins(62) - SECOND).waits(Reason::AllocationsRunning);
        scene.after(mins(62)).completes_with(result, Reason::DrainTimeout);
    }
}

#[test]
fn abandon_is_only_for_the_timeout() {
    let abandon = |scene: Scene| scene.policy(|policy| policy.on_drain_timeout = ActionResult::Abandon);
    abandon(held().drained(mins(1)).after(mins(2))).completes(Reason::Drained);
    abandon(held().nodes(Nodes::Gone)).completes(Reason::NodeGone);
    abandon(held().status(NodeStatus::Down(at(-HOUR))).ineligible()).completes(Reason::NodeDown);
}

#[test]
fn after_the_drains_end_tasks_have_until_the_stamped_deadline_and_the_grace_after_it() {
    let scene = held().drained(mins(10)).runs([stopping()]);
    assert_eq!(scene.clone().after(mins(11)).waits(Reason::AllocationsRunning), at(mins(62)));
    scene.after(mins(62)).completes(Reason::DrainTimeout);
}

#[test]
fn what_somebody_let_onto_the_node_after_its_drain_gets_one_of_its_own() {
    // Eligible for a moment, by hand.
    let early = held().drained(mins(10)).touched(mins(20)).after(mins(30)).runs([running()]);
    assert_eq!(early.posts().spec.deadline, mins(30), "the first drain allowed no more");
    let scene = held().drained(mins(10)).touched(mins(70)).after(mins(80));
    assert_eq!(scene.clone().runs([running()]).posts().spec.deadline, DrainSpec::FORCE);
    scene.clone().node(|node| node.eligible = true).posts();
    scene.clone().runs([stopping()]).completes(Reason::DrainTimeout);
    scene.clone().completes(Reason::Drained);
    // Nomad tells the drain's end in whole seconds, cut off.
    scene.clone().touched(mins(10)).runs([running()]).posts();
    scene.clone().sight(Sight::NotEverything).posts();
    // Nobody has touched it: what runs there has had its time.
    let untouched = scene.touched(mins(9));
    untouched.clone().runs([running()]).completes(Reason::DrainTimeout);
    untouched.sight(Sight::NotEverything).completes(Reason::DrainTimeout);
    // We ourselves make an empty node ineligible in the second in which its drain ends.
    let ours = held().drained(mins(10)).touched(mins(10)).sight(Sight::NotEverything);
    ours.after(mins(11)).waits(Reason::CannotSeeAllocations);
}

#[test]
fn a_drain_that_ended_after_its_stamped_deadline_gives_the_grace_after_its_end() {
    let scene = held().drained(mins(61)).runs([stopping()]);
    assert_eq!(scene.clone().after(mins(61)).waits(Reason::AllocationsRunning), at(mins(63)));
    scene.after(mins(63)).completes(Reason::DrainTimeout);
}

#[test]
fn a_forced_drain_ends_when_it_was_forced() {
    let scene = held().adopts(DrainDeadline::Forced).runs([running()]);
    let scene = scene.last_drain(|last| last.updated_at = Some(at(mins(10))));
    assert_eq!(scene.clone().after(mins(10)).waits(Reason::AllocationsRunning), at(mins(12)));
    scene.clone().after(mins(12)).completes(Reason::DrainTimeout);
    let scene = scene.node(|node| node.last_drain = None);
    assert_eq!(scene.after(mins(1)).waits(Reason::AllocationsRunning), at(mins(2)));
}

#[test]
fn a_drain_whose_end_nobody_tells_does_not_time_out() {
    let scene = held().adopts(DrainDeadline::Untold).runs([running()]);
    scene.after(mins(119)).waits(Reason::AllocationsRunning);
    let untold = held().drained(SECOND).runs([stopping()]).last_drain(|last| {
        last.updated_at = None;
        last.meta.remove("deadline");
    });
    assert_eq!(untold.after(mins(119)).waits(Reason::AllocationsRunning), Timestamp::MAX);
}

#[test]
fn a_node_that_timed_out_says_why_even_if_others_are_drained() {
    let scene = held().drains(DrainDeadline::At(at(HOUR))).runs([running()]).after(mins(62));
    let scene = scene.and_older(|older| older.node.eligible = false);
    let scene = scene.policy(|policy| policy.on_drain_timeout = ActionResult::Abandon);
    scene.completes_with(ActionResult::Abandon, Reason::DrainTimeout);
}

#[test]
fn the_timeout_comes_in_spite_of_a_settle_delay() {
    let settle = |scene: Scene| scene.policy(|policy| policy.settle_delay = secs(30)).runs([stopping()]);
    for scene in [settle(held().drains(DrainDeadline::At(at(HOUR)))), settle(held().drained(mins(10)))] {
        scene.clone().after(mins(62)).waits(Reason::Settling);
        scene.after(mins(62) + secs(30)).completes(Reason::DrainTimeout);
    }
}

#[test]
fn of_several_nodes_the_one_that_went_least_well_says_why() {
    let old = |status| {
        move |older: &mut SeenNode| {
            older.node.status = status;
            older.node.eligible = false;
        }
    };
    let (down, disconnected) = (NodeStatus::Down(at(-HOUR)), NodeStatus::Disconnected(at(-HOUR)));
    let timed_out = held().drains(DrainDeadline::At(at(HOUR))).runs([running()]).after(mins(62));
    timed_out.clone().and_older(old(down)).completes(Reason::DrainTimeout);
    let silent = timed_out.status(disconnected).after(mins(10));
    silent.clone().completes(Reason::NodeDisconnected);
    silent.and_older(old(down)).completes(Reason::NodeDisconnected);
}
