//! Instances that have ended: their nodes' records may be removed. A live node is never purged, because its client would
//! register again, as a fresh node that takes work.

use jiff::Timestamp;

use super::{Action, Decision};
use crate::observation::{
    Cause, Ending, LastDrain, Member, Node, NodeStatus, Nodes, Observation, Origin, SeenNode,
};
use crate::policy::Policy;
use crate::reason::Reason;

/// What becomes of the nodes of an instance that has ended.
pub(super) fn purge(seen: &Observation, ending: Ending, policy: &Policy) -> Decision {
    if !policy.purge_nodes || policy.pause {
        return Decision::Finish(Reason::InstanceEnded);
    }
    // Only Auto Scaling's word tells a sweep that an instance has ended; and one of a warm pool that was stopped is started
    // again, with the same node.
    let must_be_gone = ending == Ending::Stopped || seen.target.origin == Origin::Sweep;
    if must_be_gone && seen.member != Member::OfNoGroup {
        return Decision::Finish(Reason::InstanceEnded);
    }
    let nodes = match &seen.nodes {
        Nodes::Unknown(obstacle) => {
            return Decision::Wait { until: Timestamp::MAX, why: obstacle.reason() };
        }
        Nodes::Absent | Nodes::Gone => return Decision::Finish(Reason::InstanceEnded),
        Nodes::Known(nodes) => nodes,
    };
    let may = |node: &&SeenNode| {
        is_down(&node.node)
            && (seen.target.origin != Origin::Sweep || is_left_over(&node.node))
            && !(must_be_gone && is_elsewhere(&node.node, policy))
    };
    if let Some(node) = nodes.iter().find(may) {
        return Decision::Act(Action::Purge(node.node.id.clone()));
    }
    // What is down is left alone for a reason that time does not change.
    if nodes.iter().all(|node| is_down(&node.node)) || nodes.is_empty() {
        return Decision::Finish(Reason::InstanceEnded);
    }
    Decision::Wait { until: Timestamp::MAX, why: Reason::NodeNotDown }
}

fn is_down(node: &Node) -> bool {
    matches!(node.status, NodeStatus::Down(_))
}

/// Whether a node's instance is of another AWS region: a cluster may have groups in several, even of one name, and Auto
/// Scaling knows only its own.
fn is_elsewhere(node: &Node, policy: &Policy) -> bool {
    let (Some(zone), Some(region)) = (&node.availability_zone, &policy.aws_region) else { return false };
    // Zones are called `us-east-1a`, or `us-east-1-bos-1a`.
    let rest = zone.strip_prefix(region.as_str());
    rest.is_none_or(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Whether a node shows that we drained it because its instance was to be terminated.
fn is_left_over(node: &Node) -> bool {
    node.last_drain.as_ref().is_some_and(is_of_a_termination)
}

/// Whether a drain was ours, because its instance was to be terminated.
pub fn is_of_a_termination(last: &LastDrain) -> bool {
    last.stamp().is_some_and(|stamp| stamp.cause == Some(Cause::Terminate))
}
