//! What the newest drain of a node means for the lifecycle action that we are seeing through. `LastDrain` outlives the
//! event that caused it: a drain that ended last week proves nothing about today.

use jiff::{SignedDuration, Timestamp};

use super::later;
use crate::ids::InstanceId;
use crate::observation::{Cause, LastDrain, LastDrainStatus, Node, Nodes, Observation};
use crate::policy::Policy;
use crate::stamp::Stamp;

/// After somebody has cancelled a drain, it is left at that for so long. Then it is begun again: the instance is going
/// away, whether it is drained or not.
pub const CANCEL_RESPITE: SignedDuration = SignedDuration::from_mins(5);

/// No lifecycle action lasts longer, whatever its hook says (Auto Scaling's limit is 48 hours).
const LONGEST_HOLD: SignedDuration = SignedDuration::from_hours(48);

/// `LastDrain` holds whole seconds, and the clocks of Nomad's servers and of AWS are not one.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// When the hook began to hold the instance: what the event or a scaling activity says, else our stamp of this action,
/// else the beginning of our own drain.
pub(super) fn hook_start(seen: &Observation, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    let Nodes::Known(nodes) = &seen.nodes else { return seen.target.hook_started_at };
    seen.target.hook_started_at.or_else(|| {
        let stamped = nodes.iter().filter_map(|node| {
            let stamp = of_this_action(seen, &node.node, policy, now)?;
            stamp.hook_started_at.or(node.node.last_drain.as_ref()?.started_at)
        });
        stamped.max()
    })
}

/// The stamp that we left on this node for this instance, if nothing has put an end to that story since: the drain
/// runs, or has ended, and the node is still ineligible because of it.
pub(super) fn unbroken(seen: &Observation, node: &Node) -> Option<Stamp> {
    unbroken_for(&seen.target.instance, node)
}

/// Whether a drain of ours for this instance has come to its end on this node, and nobody has touched the node since.
pub fn is_drained_for(instance: &InstanceId, node: &Node) -> bool {
    node.drain.is_none() && unbroken_for(instance, node).is_some()
}

fn unbroken_for(instance: &InstanceId, node: &Node) -> Option<Stamp> {
    let last = node.last_drain.as_ref()?;
    let goes_on = match last.status {
        LastDrainStatus::Draining => node.drain.is_some(),
        LastDrainStatus::Complete => {
            let touched = last.updated_at.is_some_and(|ended| node.by_hand.since(ended));
            node.drain.is_none() && !node.eligible && !touched
        }
        LastDrainStatus::Canceled => false,
    };
    last.stamp().filter(|stamp| goes_on && stamp.instance == instance.as_str())
}

/// Our stamp of this very lifecycle action, whatever has become of its drain.
pub(super) fn of_this_action(
    seen: &Observation,
    node: &Node,
    policy: &Policy,
    now: Timestamp,
) -> Option<Stamp> {
    let (stamp, last) = ours(seen, node.last_drain.as_ref()?)?;
    if seen.hold.is_some() && stamp.cause.is_some_and(Cause::may_survive) {
        // What was only recommended was no hook's.
        return None;
    }
    let began_since = |moment: Timestamp| last.started_at.is_some_and(|began| began >= moment);
    let same = if let Some(started) = seen.target.hook_started_at {
        // Every delivery of an action's event carries the same `Time`.
        stamp.hook_started_at == Some(started) || began_since(later(started, -CLOCK_TOLERANCE))
    } else {
        // A drain that runs is of this action, and so is one since whose end the node has taken no work, as long as a
        // hook can hold. A node that takes work again has come back from where its drain sent it (a warm pool), so that
        // its work has a right to a whole deadline.
        let came_back = last.status == LastDrainStatus::Complete && node.eligible;
        let longest = if unbroken(seen, node).is_some() { LONGEST_HOLD } else { longest_story(policy) };
        node.drain.is_some() || began_since(later(now, -longest)) && !came_back
    };
    same.then_some(stamp)
}

/// When a drain came to its end since the hook began, whoever began it.
pub(super) fn was_drained(
    seen: &Observation,
    node: &Node,
    policy: &Policy,
    now: Timestamp,
) -> Option<Timestamp> {
    let ended =
        node.last_drain.as_ref().filter(|last| last.status == LastDrainStatus::Complete)?.updated_at?;
    let since = match hook_start(seen, policy, now) {
        Some(started) => later(started, -CLOCK_TOLERANCE),
        None => later(now, -longest_story(policy)),
    };
    (ended >= since).then_some(ended)
}

/// Whether a drain of ours for this lifecycle action stands on one of its nodes.
pub(super) fn is_ours(seen: &Observation, policy: &Policy, now: Timestamp) -> bool {
    let Nodes::Known(nodes) = &seen.nodes else { return false };
    nodes.iter().any(|node| of_this_action(seen, &node.node, policy, now).is_some())
}

/// Until when we leave a node alone whose drain somebody has cancelled since the hook began.
pub(super) fn respite(seen: &Observation, node: &Node, now: Timestamp) -> Option<Timestamp> {
    if seen.target.ends_at(seen.first_look).is_some() {
        // Five minutes from now the instance is gone.
        return None;
    }
    let last = node.last_drain.as_ref().filter(|last| last.status == LastDrainStatus::Canceled)?;
    let cancelled_at = last.updated_at?;
    let since_the_hook_began = match seen.target.hook_started_at {
        Some(started) => cancelled_at >= later(started, -CLOCK_TOLERANCE),
        None => ours(seen, last).is_some(),
    };
    let until = later(cancelled_at, CANCEL_RESPITE);
    (node.drain.is_none() && since_the_hook_began && now < until).then_some(until)
}

/// For how long an instance may be seen through at most, if nobody says since when.
pub(super) fn longest_story(policy: &Policy) -> SignedDuration {
    let after = [policy.drain_deadline, policy.kill_grace, policy.settle_delay];
    after.into_iter().fold(policy.max_hold, SignedDuration::saturating_add)
}

fn ours<'a>(seen: &Observation, last: &'a LastDrain) -> Option<(Stamp, &'a LastDrain)> {
    let stamp = last.stamp()?;
    (stamp.instance == seen.target.instance.as_str()).then_some((stamp, last))
}
