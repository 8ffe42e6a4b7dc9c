//! A completion needs a reason for every node. The oracle is written anew, from what the product promises.

use drain_core::decide::{Action, Decision, decide};
use drain_core::observation::{
    Allocation, Allocations, ClientStatus, DrainDeadline, LastDrainStatus, NodeStatus, Nodes, Observation,
    SeenNode, Sight,
};
use drain_core::policy::{ActionResult, OnNodeNotFound, Policy};
use drain_core::reason::Reason;
use jiff::Timestamp;
use proptest::prelude::*;

use crate::plus;
use crate::strategies::{moments, observations, policies};

/// Everything that counts has stopped on the client, as a token that sees everything says.
fn has_stopped(seen: &Observation, node: &SeenNode, policy: &Policy) -> bool {
    let Allocations::Listed(all) = &node.allocations else { return false };
    let counts = |allocation: &&Allocation| !(policy.ignore_system_jobs && allocation.system);
    let ended = all.iter().filter(counts).all(|allocation| allocation.client == ClientStatus::Terminal);
    seen.sight == Sight::Everything && !node.node.eligible && node.node.drain.is_none() && ended
}

fn silence_is_over(node: &SeenNode, policy: &Policy, now: Timestamp) -> bool {
    match node.node.status {
        NodeStatus::Initializing | NodeStatus::Ready => false,
        NodeStatus::Down(since) => plus(since, policy.down_grace) <= now,
        NodeStatus::Disconnected(since) => plus(since, policy.disconnected_grace) <= now,
    }
}

/// The drain's deadline and the grace after it have passed.
fn has_timed_out(node: &SeenNode, policy: &Policy, now: Timestamp) -> bool {
    let last = node.node.last_drain.as_ref();
    let deadline = match &node.node.drain {
        Some(running) => match running.deadline {
            DrainDeadline::At(moment) => Some(moment),
            DrainDeadline::Forced => last.and_then(|last| last.updated_at).or(running.started_at),
            DrainDeadline::Never | DrainDeadline::Untold => None,
        },
        None => last.and_then(|last| {
            let ended = last.updated_at;
            let ours = last.stamp().and_then(|stamp| stamp.deadline.max(ended));
            // What a drain that was not ours for this action has told to stop has as long as with one of ours.
            let theirs = ended.filter(|_| last.status == LastDrainStatus::Complete);
            ours.into_iter().chain(theirs.map(|ended| plus(ended, policy.drain_deadline))).min()
        }),
    };
    deadline.is_some_and(|deadline| plus(deadline, policy.kill_grace) <= now)
}

fn is_justified(seen: &Observation, policy: &Policy, now: Timestamp) -> bool {
    match &seen.nodes {
        Nodes::Unknown(_) => false,
        Nodes::Gone => true,
        Nodes::Known(nodes) if !nodes.is_empty() => nodes.iter().all(|node| {
            has_stopped(seen, node, policy)
                || silence_is_over(node, policy, now)
                || has_timed_out(node, policy, now)
        }),
        Nodes::Absent | Nodes::Known(_) => {
            let over = seen.target.hook_started_at.map(|started| plus(started, policy.node_join_grace));
            over.is_some_and(|over| over <= now)
        }
    }
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn a_completion_is_justified_for_every_node(seen in observations(), policy in policies(), now in moments()) {
        if let Decision::Act(Action::Complete { result, reason }) = decide(&seen, &policy, now) {
            prop_assert!(is_justified(&seen, &policy, now));
            prop_assert!(seen.hold.is_some_and(|hold| !hold.completion_denied));
            let expected = match (reason, policy.on_node_not_found) {
                (Reason::DrainTimeout, _) => policy.on_drain_timeout,
                (Reason::NodeNotFound, OnNodeNotFound::Complete(result)) => result,
                _ => ActionResult::Continue,
            };
            prop_assert_eq!(result, expected);
        }
    }

    #[test]
    fn a_node_that_is_drained_by_its_own_client_says_so(
        seen in observations(), policy in policies(), now in moments(),
    ) {
        if let Decision::Act(Action::Complete { reason: Reason::Drained, .. }) = decide(&seen, &policy, now) {
            let Nodes::Known(nodes) = &seen.nodes else { panic!("no node") };
            // Beside it there may be older ones that are down.
            let is_down = |node: &SeenNode| matches!(node.node.status, NodeStatus::Down(_));
            prop_assert!(nodes.iter().any(|node| has_stopped(&seen, node, &policy)));
            prop_assert!(nodes.iter().all(|node| is_down(node) || has_stopped(&seen, node, &policy)));
        }
    }
}
