//! The decision: what to do next about one node. Pure, and the only place that decides.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::ids::NodeId;
use crate::observation::{DrainSpec, LastDrainStatus, Observation, RunningDrain};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::stamp::{self, Stamp};

/// A deadline that is later than ours by no more than this is left alone. A second POST moves a drain's deadline
/// (Nomad: `ForceDeadline = now + Deadline`), so two deliveries of one event, seconds apart, must not cause one.
pub const DEADLINE_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Do this, then look again.
    Act(Action),
    /// Nothing is left to do.
    Finish(Reason),
}

/// An effect on the world, as a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Post this drain.
    Drain(DrainRequest),
}

/// A drain to post.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DrainRequest {
    /// The node.
    pub node: NodeId,
    /// Deadline and scope.
    pub spec: DrainSpec,
    /// The stamp. `None` on a drain that somebody else began: Nomad then keeps what they wrote.
    pub meta: Option<BTreeMap<String, String>>,
    /// The reason to report once it is posted.
    pub reason: Reason,
}

/// Decides about one node.
///
/// - A node that is not draining gets our drain.
/// - A drain that runs is left alone, whoever began it, unless our deadline is nearer by more than
///   [`DEADLINE_TOLERANCE`]. It is never moved further away.
/// - A drain of ours for the same lifecycle action that has ended is not posted again, unless it was cancelled or the
///   node is eligible again.
pub fn decide(seen: &Observation, policy: &Policy, now: Timestamp) -> Decision {
    let deadline = now.saturating_add(policy.drain_deadline).unwrap_or(Timestamp::MAX);
    match seen.node.drain {
        Some(RunningDrain::Forced) => Decision::Finish(Reason::AlreadyDraining),
        Some(RunningDrain::Until(theirs)) if theirs.duration_since(deadline) <= DEADLINE_TOLERANCE => {
            Decision::Finish(Reason::AlreadyDraining)
        }
        Some(RunningDrain::Until(_) | RunningDrain::NoDeadline) => {
            act(seen, policy, deadline, Reason::DeadlineBroughtNearer)
        }
        None if ended_for_this_action(seen) => Decision::Finish(Reason::AlreadyDrained),
        None => act(seen, policy, deadline, Reason::DrainPosted),
    }
}

fn act(seen: &Observation, policy: &Policy, deadline: Timestamp, reason: Reason) -> Decision {
    if policy.dry_run {
        return Decision::Finish(Reason::DryRun);
    }
    let earlier = earlier_stamp(seen);
    let foreign = seen.node.drain.is_some() && earlier.is_none();
    Decision::Act(Action::Drain(DrainRequest {
        node: seen.node.id.clone(),
        spec: DrainSpec::within(policy.drain_deadline, policy.ignore_system_jobs),
        meta: (!foreign).then(|| stamp::write(&seen.target, earlier.as_ref(), seen.node.eligible, deadline)),
        reason,
    }))
}

/// The stamp that we left on this node for this instance, if nothing has put an end to that story since: the drain
/// runs, or has ended, and the node is still ineligible because of it.
fn earlier_stamp(seen: &Observation) -> Option<Stamp> {
    let last = seen.node.last_drain.as_ref()?;
    let goes_on = match last.status {
        LastDrainStatus::Draining => seen.node.drain.is_some(),
        LastDrainStatus::Complete => seen.node.drain.is_none() && !seen.node.eligible,
        LastDrainStatus::Canceled => false,
    };
    last.stamp().filter(|stamp| goes_on && stamp.instance == seen.target.instance.as_str())
}

/// Whether our drain for this lifecycle action has ended. The hook's start identifies the action: every delivery of
/// its event carries the same `Time`. An old drain, somebody else's, or one on a node that takes work again proves
/// nothing.
fn ended_for_this_action(seen: &Observation) -> bool {
    let Some(last) = &seen.node.last_drain else { return false };
    !seen.node.eligible
        && last.status == LastDrainStatus::Complete
        && seen.target.hook_started_at.is_some()
        && last.stamp().is_some_and(|stamp| {
            stamp.instance == seen.target.instance.as_str()
                && stamp.hook_started_at == seen.target.hook_started_at
        })
}

#[cfg(test)]
mod tests;
