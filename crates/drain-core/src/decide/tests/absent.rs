//! An instance for which no node is found.

use super::scene::*;
use crate::policy::{ActionResult, OnNodeNotFound};

fn absent() -> Scene {
    held().nodes(Nodes::Absent)
}

#[test]
fn a_node_may_take_its_time_to_join_counted_from_the_hooks_start() {
    assert_eq!(absent().after(mins(5) - SECOND).waits(Reason::WaitingForNode), at(mins(5)));
    absent().after(mins(5)).completes(Reason::NodeNotFound);
    plain().nodes(Nodes::Absent).after(mins(5)).completes(Reason::NodeNotFound);
}

#[test]
fn then_the_policy_decides() {
    let policy = |on| absent().policy(|policy| policy.on_node_not_found = on).after(mins(5));
    policy(OnNodeNotFound::Complete(ActionResult::Abandon))
        .completes_with(ActionResult::Abandon, Reason::NodeNotFound);
    assert_eq!(policy(OnNodeNotFound::Hold).waits(Reason::HeldWithoutNode), Timestamp::MAX);
    policy(OnNodeNotFound::Hold).unheard().after(mins(119)).hold(|hold| hold.settings = None).heartbeats();
}

#[test]
fn the_policy_does_not_shorten_the_grace() {
    for on in [OnNodeNotFound::Complete(ActionResult::Abandon), OnNodeNotFound::Hold] {
        let scene = absent().policy(|policy| policy.on_node_not_found = on);
        scene.after(mins(4)).waits(Reason::WaitingForNode);
    }
}

#[test]
fn without_a_start_no_grace_can_be_counted_and_nothing_is_kept_alive() {
    let scene = absent().target(|target| target.hook_started_at = None).unheard();
    for minutes in 0..30 {
        assert_eq!(scene.clone().after(mins(minutes)).waits(Reason::HookStartUnknown), Timestamp::MAX);
    }
}

#[test]
fn while_a_node_may_join_the_hook_is_kept_alive() {
    let scene = absent().hold(|hold| hold.settings = None).unheard();
    scene.after(mins(1)).heartbeats();
}

#[test]
fn a_list_of_no_nodes_is_the_same_as_none() {
    let scene = held().nodes(Nodes::Known(Vec::new()));
    scene.clone().after(mins(4)).waits(Reason::WaitingForNode);
    scene.clone().after(mins(5)).completes(Reason::NodeNotFound);
    scene.without_hook().waits(Reason::WaitingForNode);
}
