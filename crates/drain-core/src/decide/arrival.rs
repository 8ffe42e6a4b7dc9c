//! Instances that come, or come back: when their nodes may take work, and when the launch hook is done with.

use jiff::{SignedDuration, Timestamp};

use super::{Action, Decision, Held, later};
use crate::observation::{
    Cause, DrainDeadline, LastDrain, LastDrainStatus, Member, Node, NodeStatus, Nodes, Observation,
    RunningDrain, SeenNode,
};
use crate::policy::{ActionResult, Policy};
use crate::reason::Reason;

/// A drain that began so recently may have been seen before Auto Scaling's answer caught up with its cause.
pub const GIVE_BACK_AFTER: SignedDuration = SignedDuration::from_mins(2);

/// Nomad reckons a drain's end from the moment when the POST arrives, after all its repetitions.
const POST_LASTS: SignedDuration = SignedDuration::from_secs(30);

/// Whether a node that we drained may take work again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum GiveBack {
    Now,
    /// Not before.
    At(Timestamp),
    /// Not because of the drain that it shows.
    Never,
}

/// An instance that a launch hook holds: the hook is done with when a node of it is ready and takes work. A node that
/// we drained before it left for the warm pool takes none until it is given back.
pub(super) fn admit(seen: &Observation, policy: &Policy, now: Timestamp) -> Decision {
    let Some(hold) = &seen.hold else { return Decision::Finish(Reason::LaunchTransition) };
    if hold.ended {
        return Decision::Finish(Reason::NoActiveAction);
    }
    let held = Held { seen, hold, policy, now };
    if policy.pause || hold.paused {
        return held.wait(Timestamp::MAX, Reason::Paused);
    }
    // The hook's own time-out bounds how long an instance may take to come up: it gets no heartbeats.
    let wait = |until, why| Decision::Wait { until, why };
    let nodes = match &seen.nodes {
        Nodes::Unknown(obstacle) => return wait(Timestamp::MAX, obstacle.reason()),
        Nodes::Absent | Nodes::Gone => return wait(Timestamp::MAX, Reason::WaitingForNode),
        Nodes::Known(nodes) => nodes,
    };
    let ready = |node: &Node| node.status == NodeStatus::Ready;
    if nodes.iter().any(|seen| ready(&seen.node) && seen.node.eligible) {
        return held.release(ActionResult::Continue, Reason::NodeReady);
    }
    match return_of(seen, nodes, policy, now) {
        (Some(action), _) => Decision::Act(action),
        (None, until) if nodes.iter().any(|seen| ready(&seen.node)) => wait(until, Reason::NodeNotEligible),
        (None, until) => wait(until, Reason::WaitingForNode),
    }
}

/// An instance of which a node takes no work because of a drain of ours.
pub(super) fn give_back(seen: &Observation, policy: &Policy, now: Timestamp) -> Decision {
    match &seen.nodes {
        Nodes::Unknown(obstacle) => Decision::Wait { until: Timestamp::MAX, why: obstacle.reason() },
        Nodes::Absent | Nodes::Gone => Decision::Finish(Reason::NotGivenBack),
        Nodes::Known(_) if policy.pause => Decision::Finish(Reason::Paused),
        Nodes::Known(nodes) => match return_of(seen, nodes, policy, now).0 {
            Some(action) => Decision::Act(action),
            None => Decision::Finish(Reason::NotGivenBack),
        },
    }
}

/// The first node that may be given back, or else when the first one may be.
fn return_of(
    seen: &Observation,
    nodes: &[SeenNode],
    policy: &Policy,
    now: Timestamp,
) -> (Option<Action>, Timestamp) {
    let Member::InState(state) = &seen.member else { return (None, Timestamp::MAX) };
    let mut first = Timestamp::MAX;
    for SeenNode { node, .. } in nodes {
        match may_be_given_back(seen, node, state, policy, now) {
            GiveBack::Now => {
                let ends_drain = node.drain.is_some();
                return (Some(Action::GiveBack { node: node.id.clone(), ends_drain }), now);
            }
            GiveBack::At(moment) => first = first.min(moment),
            GiveBack::Never => {}
        }
    }
    (None, first)
}

/// A node is given back only if the drain is ours and was not cancelled, the node was eligible before, nobody has had a
/// hand in it since, and the instance has come back from where the drain sent it, or was never taken. "In service" alone
/// proves nothing: a spot instance is in service until it is dead.
fn may_be_given_back(
    seen: &Observation,
    node: &Node,
    state: &str,
    policy: &Policy,
    now: Timestamp,
) -> GiveBack {
    let Some(last) = &node.last_drain else { return GiveBack::Never };
    let is_ours = last.stamp().is_some_and(|stamp| stamp.instance == seen.target.instance.as_str());
    let over_since = last.updated_at.filter(|_| last.status == LastDrainStatus::Complete);
    let touched = over_since.is_some_and(|over| node.by_hand.since(over));
    let takes_work = node.eligible && node.drain.is_none();
    if !is_ours || touched || takes_work || !node.status.reports() {
        return GiveBack::Never;
    }
    if node.drain.as_ref().is_some_and(|running| !is_as_stamped(running, last)) {
        // Somebody else's drain: on one of ours Nomad keeps our stamp if theirs has none.
        return GiveBack::Never;
    }
    let Some((way, at)) = came_back_by(last, policy) else { return GiveBack::Never };
    let in_use = match way {
        Way::Returned => state == "InService" || state.starts_with("Pending"),
        Way::Survived => state == "InService",
    };
    match in_use {
        false => GiveBack::Never,
        true if now >= at => GiveBack::Now,
        true => GiveBack::At(at),
    }
}

/// Whether this drain goes on until the moment that our stamp on it says.
fn is_as_stamped(running: &RunningDrain, last: &LastDrain) -> bool {
    let (DrainDeadline::At(ends), Some(stamped)) =
        (running.deadline, last.stamp().and_then(|stamp| stamp.deadline))
    else {
        return false;
    };
    ends.duration_since(stamped).abs() <= POST_LASTS
}

/// How an instance may come to need its node again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// It went, and is coming back.
    Returned,
    /// It was said to go, and did not.
    Survived,
}

/// Whether the node of such a drain may be given back at all, how, and from when on.
fn came_back_by(last: &LastDrain, policy: &Policy) -> Option<(Way, Timestamp)> {
    let stamp = last.stamp()?;
    if last.status == LastDrainStatus::Canceled || stamp.was_eligible != Some(true) {
        return None;
    }
    let began = last.started_at?;
    match stamp.cause? {
        Cause::WarmPool | Cause::RootVolume => Some((Way::Returned, later(began, GIVE_BACK_AFTER))),
        Cause::Rebalance | Cause::ScheduledChange => {
            Some((Way::Survived, later(began, policy.restore_after.max(GIVE_BACK_AFTER))))
        }
        Cause::Terminate | Cause::Spot | Cause::StateChange | Cause::Manual => None,
    }
}

/// Whether it is worth asking about a node that takes no work and shows this drain: whether it may be given back now if
/// everything else is right.
pub fn may_come_back(last: &LastDrain, policy: &Policy, now: Timestamp) -> bool {
    came_back_by(last, policy).is_some_and(|(_, at)| now >= at)
}
