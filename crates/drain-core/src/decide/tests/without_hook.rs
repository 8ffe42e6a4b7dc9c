//! An event that names no hook: the drain is begun, and nothing can be completed.

use super::scene::*;

fn hookless() -> Scene {
    plain().without_hook()
}

#[test]
fn the_drain_is_begun() {
    let request = hookless().posts_because(Reason::DrainPosted);
    assert_eq!(request.spec.deadline, HOUR);
    hookless().ineligible().posts_because(Reason::DrainPosted);
    hookless().target(|target| target.origin = Origin::Sweep).posts_because(Reason::DrainPosted);
}

#[test]
fn a_drain_that_runs_will_do() {
    for deadline in [DrainDeadline::At(at(HOUR)), DrainDeadline::Forced, DrainDeadline::Untold] {
        hookless().adopts(deadline).runs([running()]).finishes(Reason::AlreadyDraining);
        hookless().drains(deadline).finishes(Reason::AlreadyDraining);
    }
    hookless().adopts(DrainDeadline::Never).posts_because(Reason::DeadlineBroughtNearer);
    let long = DrainDeadline::At(at(HOUR + secs(6)));
    hookless().adopts(long).posts_because(Reason::DeadlineBroughtNearer);
}

#[test]
fn a_duplicate_after_our_drain_has_ended_posts_nothing() {
    hookless().drained(mins(1)).after(mins(2)).finishes(Reason::AlreadyDrained);
    hookless().drained(mins(1)).node(|node| node.eligible = true).after(mins(2)).posts();
}

#[test]
fn an_earlier_drain_proves_nothing() {
    let later = |scene: Scene| scene.target(|target| target.hook_started_at = Some(at(HOUR))).after(HOUR);
    later(hookless().drained(mins(1))).posts();
    hookless().drained(mins(1)).last_drain(|last| last.meta.clear()).posts();
}

#[test]
fn a_drain_that_somebody_cancelled_is_left_at_that() {
    let scene = hookless().cancelled(mins(1));
    assert_eq!(scene.clone().after(mins(2)).waits(Reason::DrainCancelled), at(mins(6)));
    scene.clone().ineligible().after(mins(2)).waits(Reason::DrainCancelled);
    scene.after(mins(6)).posts();
}

#[test]
fn a_node_that_is_down_is_made_ineligible_and_no_more() {
    hookless().status(NodeStatus::Down(at(-HOUR))).makes_ineligible(0);
    hookless().status(NodeStatus::Down(at(-HOUR))).ineligible().finishes(Reason::AlreadyDrained);
}

#[test]
fn what_is_not_known_is_waited_for() {
    hookless().nodes(Nodes::Unknown(Obstacle::NoLeader)).waits(Reason::NoClusterLeader);
    hookless().nodes(Nodes::Absent).after(HOUR).waits(Reason::WaitingForNode);
    hookless().nodes(Nodes::Gone).finishes(Reason::NodeGone);
}

#[test]
fn every_node_is_drained() {
    hookless().drains(DrainDeadline::At(at(HOUR))).and_older(|_| {}).posts();
}

#[test]
fn a_dry_run_posts_nothing() {
    hookless().policy(|policy| policy.dry_run = true).finishes(Reason::DryRun);
}
