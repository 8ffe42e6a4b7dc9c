//! Instances that a launch hook holds.

use super::scene::*;
use crate::policy::ActionResult;

fn coming() -> Scene {
    held().errand(Errand::Admit).state("Pending:Wait").unheard()
}

#[test]
fn the_hook_is_done_with_when_the_node_is_ready_and_takes_work() {
    coming().completes_with(ActionResult::Continue, Reason::NodeReady);
    coming().policy(|policy| policy.sweep = false).completes(Reason::NodeReady);
    coming().status(NodeStatus::Initializing).waits(Reason::WaitingForNode);
    coming().status(NodeStatus::Down(at(mins(-5)))).waits(Reason::WaitingForNode);
    coming().ineligible().waits(Reason::NodeNotEligible);
    coming().nodes(Nodes::Absent).waits(Reason::WaitingForNode);
    coming().nodes(Nodes::Unknown(Obstacle::NoLeader)).waits(Reason::NoClusterLeader);
}

#[test]
fn an_older_node_of_the_same_instance_does_not_matter() {
    coming().and_older(|older| older.node.status = NodeStatus::Down(at(-HOUR))).completes(Reason::NodeReady);
}

#[test]
fn a_launch_gets_no_heartbeats_however_long_it_takes() {
    for minutes in 0..180 {
        coming().ineligible().after(mins(minutes)).waits(Reason::NodeNotEligible);
        coming().nodes(Nodes::Absent).after(mins(minutes)).waits(Reason::WaitingForNode);
    }
}

#[test]
fn a_pause_keeps_it_alive() {
    let scene = coming().hold(|hold| hold.settings = None).policy(|policy| policy.pause = true);
    scene.clone().heartbeats();
    assert_eq!(
        scene.hold(|hold| hold.last_heartbeat = Some(at(SECOND))).waits(Reason::Paused),
        Timestamp::MAX
    );
}

#[test]
fn a_node_that_comes_back_from_the_warm_pool_is_given_back_before_it_is_judged() {
    let back = held().because(Cause::WarmPool).drained(mins(1)).errand(Errand::Admit).state("Pending:Wait");
    assert_eq!(back.clone().after(mins(2) - SECOND).waits(Reason::NodeNotEligible), at(mins(2)));
    back.clone().after(mins(2)).gives_back(false);
    back.clone().node(|node| node.eligible = true).after(mins(2)).completes(Reason::NodeReady);
    back.touched(mins(3)).after(mins(4)).waits(Reason::NodeNotEligible);
}

#[test]
fn an_action_that_is_over_or_may_not_be_completed_is_an_end() {
    coming().hold(|hold| hold.ended = true).finishes(Reason::NoActiveAction);
    coming().hold(|hold| hold.completion_denied = true).finishes(Reason::CompletionDenied);
    coming().without_hook().finishes(Reason::LaunchTransition);
}
