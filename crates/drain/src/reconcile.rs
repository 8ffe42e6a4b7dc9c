//! The loop: *observe → decide → apply*, and again until nothing is left to do. Start reading here.

use drain_core::decide::{Action, Decision, DrainRequest, decide};
use drain_core::observation::{Observation, Target};
use drain_core::policy::Policy;
use drain_core::reason::Reason;
use jiff::Timestamp;

use crate::error::{Causes, Error};
use crate::report::ReportEntry;

/// The world as the loop sees it: the real one, or a test's.
pub trait World {
    /// Reads the node again, after whatever has been applied.
    fn observe(&self, seen: &Observation) -> impl Future<Output = Result<Observation, Error>>;

    /// Carries out an action, once. If it fails, the action may have taken effect all the same.
    fn apply(&self, action: &Action) -> impl Future<Output = Result<(), Error>>;

    /// Waits a moment before the next attempt; `false` if no time is left for one. `attempts` failed so far.
    fn pause(&self, attempts: u32) -> impl Future<Output = bool>;

    /// The time.
    fn now(&self) -> Timestamp;
}

/// Brings one node to where it should be, from what has just been seen of it.
///
/// A drain is never posted twice blindly: a second POST would move its deadline. When the answer to a POST does not
/// come, the node is read, and what it shows decides.
pub async fn reconcile(
    world: &impl World,
    policy: &Policy,
    mut seen: Observation,
) -> Result<ReportEntry, Error> {
    let mut unanswered: Option<DrainRequest> = None;
    let mut attempts = 0;
    loop {
        if let Some(request) = unanswered.take()
            && took_effect(&request, &seen)
        {
            return Ok(entry(&seen, policy, request.reason));
        }
        let action = match decide(&seen, policy, world.now()) {
            Decision::Finish(reason) => return Ok(entry(&seen, policy, reason)),
            Decision::Act(action) => action,
        };
        match world.apply(&action).await {
            Ok(()) => {
                let Action::Drain(request) = action;
                return Ok(entry(&seen, policy, request.reason));
            }
            Err(error) if error.is_transient() => {
                attempts += 1;
                tracing::warn!(error = %Causes(&error), attempts, "the drain may or may not have been posted: reading the node");
                if !world.pause(attempts).await {
                    return Err(error);
                }
                seen = world.observe(&seen).await?;
                let Action::Drain(request) = action;
                unanswered = Some(request);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether the node shows the very drain that `request` asked for. The stamp tells: it holds the deadline to the
/// nanosecond. A request without one changed somebody else's drain, and the decision judges by its deadline.
fn took_effect(request: &DrainRequest, seen: &Observation) -> bool {
    let Some(meta) = &request.meta else { return false };
    seen.node.last_drain.as_ref().is_some_and(|last| last.meta == *meta)
}

fn entry(seen: &Observation, policy: &Policy, reason: Reason) -> ReportEntry {
    let Observation { target, node } = seen;
    let message = message(target, &node.name, policy, reason);
    match reason {
        Reason::DrainPosted | Reason::DeadlineBroughtNearer => {
            tracing::info!(node_id = %node.id, reason = reason.as_str(), "{message}");
        }
        Reason::AlreadyDraining
        | Reason::AlreadyDrained
        | Reason::DryRun
        | Reason::TestNotification
        | Reason::LaunchTransition
        | Reason::GroupNotification
        | Reason::ForeignMessage
        | Reason::OtherHook => {
            tracing::info!(node_id = %node.id, reason = reason.as_str(), "nothing posted: {message}");
        }
    }
    ReportEntry::of_node(target, &node.id, reason, message)
}

fn message(target: &Target, node: &str, policy: &Policy, reason: Reason) -> String {
    let instance = &target.instance;
    let deadline = format!("{:#}", policy.drain_deadline);
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other reasons belong to messages, not to nodes")]
    match reason {
        Reason::DrainPosted => {
            format!("node {node} of {instance} drains; its allocations have {deadline} to leave")
        }
        Reason::DeadlineBroughtNearer => {
            format!("the drain that ran on node {node} of {instance} now ends within {deadline}")
        }
        Reason::AlreadyDraining => format!("node {node} of {instance} drains already"),
        Reason::AlreadyDrained => {
            format!("node {node} of {instance} has been drained for this lifecycle action")
        }
        Reason::DryRun => {
            format!(
                "DRY_RUN: node {node} of {instance} would be drained, and its allocations would have {deadline} to leave"
            )
        }
        other => other.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests;
