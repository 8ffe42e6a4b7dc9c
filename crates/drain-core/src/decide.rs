//! The decision: what to do next about one instance. Pure, and the only place that decides.
//!
//! [`decide`] looks at the lifecycle action and at the instance's nodes together; [`node`] judges one node, [`post`] makes
//! the drains that it asks for, [`story`] tells what earlier ones mean, and [`heartbeat`] when the next heartbeat is due.
//! [`arrival`] decides about instances that come or come back, and [`ended`] about what is left of those that have ended.

mod arrival;
mod ended;
mod heartbeat;
mod node;
mod post;
mod story;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::observation::{
    DrainSpec, Errand, Hold, Node, Nodes, Observation, Obstacle, Origin, SeenNode, Sight,
};
use crate::policy::{ActionResult, OnNodeNotFound, Policy};
use crate::reason::Reason;

pub use arrival::{GIVE_BACK_AFTER, may_come_back};
pub use ended::is_of_a_termination;
pub use heartbeat::{Urgency, next_due, urgency};
pub use node::{DEADLINE_TOLERANCE, STUCK_AFTER};
pub use story::{CANCEL_RESPITE, is_drained_for};

/// For so long a heartbeat that was accepted proves that our hook holds the instance.
const PROOF_LASTS: SignedDuration = SignedDuration::from_secs(15);

/// What to do next.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Do this, then look again.
    Act(Action),
    /// Look again when something may have changed, and at `until` in any case: then the decision changes by itself.
    Wait {
        /// [`Timestamp::MAX`] if only the world can change it.
        until: Timestamp,
        /// What we are waiting for.
        why: Reason,
    },
    /// Nothing is left to do.
    Finish(Reason),
}

/// An effect on the world, as a value. Each may be repeated.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Post this drain.
    Drain(DrainRequest),
    /// Let no work be placed on this node.
    MakeIneligible(NodeId),
    /// Let work be placed on this node again.
    GiveBack {
        /// The node.
        node: NodeId,
        /// Whether a drain runs on it, which ends with it.
        ends_drain: bool,
    },
    /// Remove the record of this node, whose client is down.
    Purge(NodeId),
    /// Restart the timer of the lifecycle action.
    Heartbeat,
    /// Complete the lifecycle action.
    Complete {
        /// How.
        result: ActionResult,
        /// Why.
        reason: Reason,
    },
}

/// A drain to post.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
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

/// Decides about one instance. With `DRY_RUN` nothing is done: [`plan`] says what would be.
pub fn decide(seen: &Observation, policy: &Policy, now: Timestamp) -> Decision {
    match plan(seen, policy, now) {
        Decision::Act(_) if policy.dry_run => Decision::Finish(Reason::DryRun),
        decision @ (Decision::Act(_) | Decision::Wait { .. } | Decision::Finish(_)) => decision,
    }
}

/// What is to be done about one instance, by its errand.
pub fn plan(seen: &Observation, policy: &Policy, now: Timestamp) -> Decision {
    match seen.target.errand {
        Errand::Drain(_) => depart(seen, policy, now),
        Errand::Admit => arrival::admit(seen, policy, now),
        Errand::GiveBack => arrival::give_back(seen, policy, now),
        Errand::Purge(ending) => ended::purge(seen, ending, policy),
    }
}

/// What is to be done about an instance that goes:
///
/// 1. Every node that needs a drain, or has to be made ineligible, gets it first.
/// 2. When every node has stopped, and has settled, the lifecycle action is completed.
/// 3. Until then it is kept alive by heartbeats, up to `MAX_HOLD`.
///
/// What could not be read leads to a heartbeat or a wait, never to a completion.
fn depart(seen: &Observation, policy: &Policy, now: Timestamp) -> Decision {
    let Some(hold) = &seen.hold else { return without_hook(seen, policy, now) };
    if hold.ended {
        return Decision::Finish(Reason::NoActiveAction);
    }
    let held = Held { seen, hold, policy, now };
    if policy.pause || hold.paused {
        return held.wait(Timestamp::MAX, Reason::Paused);
    }
    match &seen.nodes {
        Nodes::Unknown(obstacle) => held.wait(Timestamp::MAX, obstacle.reason()),
        Nodes::Known(nodes) if nodes.is_empty() => held.absent(),
        Nodes::Absent => held.absent(),
        Nodes::Gone => held.release(ActionResult::Continue, Reason::NodeGone),
        Nodes::Known(nodes) => held.known(nodes),
    }
}

/// An instance that a known hook holds.
struct Held<'a> {
    seen: &'a Observation,
    hold: &'a Hold,
    policy: &'a Policy,
    now: Timestamp,
}

impl Held<'_> {
    fn known(&self, nodes: &[SeenNode]) -> Decision {
        let Self { seen, policy, now, .. } = *self;
        let verdicts: Vec<Verdict> =
            nodes.iter().map(|node| self.in_turn(&node.node, node::judge(seen, node, policy, now))).collect();
        let mut waits = Vec::new();
        let mut stopped = Vec::new();
        for verdict in verdicts {
            match verdict {
                Verdict::Act(action) => return self.begin(action),
                Verdict::Wait { until, why } => waits.push((until, why)),
                Verdict::Stopped { since, how } => stopped.push((since, how)),
            }
        }
        if let (Some((_, why)), Some(until)) = (waits.first(), waits.iter().map(|(until, _)| *until).min()) {
            return self.wait(until, *why);
        }
        let since = stopped.iter().map(|(since, _)| *since).max().unwrap_or(now).min(now);
        let settled = later(since, policy.settle_delay);
        if now < settled {
            return self.wait(settled, Reason::Settling);
        }
        // Of several nodes the one that went least well says why. An old one that is down says nothing of the instance.
        let how = [Reason::DrainTimeout, Reason::NodeDisconnected, Reason::Drained, Reason::NodeDown];
        let how = how.into_iter().find(|reason| stopped.iter().any(|(_, how)| how == reason));
        match how {
            Some(Reason::DrainTimeout) => self.release(policy.on_drain_timeout, Reason::DrainTimeout),
            how => self.release(ActionResult::Continue, how.unwrap_or(Reason::Drained)),
        }
    }

    /// While others of its group drain first, a node takes no work, and waits. One of an instance that comes back goes on
    /// taking work: later nobody could tell that it did.
    fn in_turn(&self, node: &Node, verdict: Verdict) -> Verdict {
        let Self { seen, hold, now, .. } = *self;
        let last_call = self.last_call();
        match verdict {
            Verdict::Act(Action::Drain(request))
                if hold.queued && now < last_call && request.reason == Reason::DrainPosted =>
            {
                if node.eligible && !seen.comes_back() {
                    Verdict::Act(Action::MakeIneligible(request.node))
                } else {
                    Verdict::Wait { until: last_call, why: Reason::WaitingForTurn }
                }
            }
            verdict @ (Verdict::Act(_) | Verdict::Wait { .. } | Verdict::Stopped { .. }) => verdict,
        }
    }

    /// When a drain has to begin so that it can end while the hook is held: it is everybody's turn then. Where that leaves
    /// no time, a third of it is for waiting.
    fn last_call(&self) -> Timestamp {
        let Self { seen, hold, policy, now } = *self;
        let Some(started) = story::hook_start(seen, policy, now) else { return Timestamp::MAX };
        let limit = hold.settings.map(|settings| settings.global_timeout);
        let held = limit.into_iter().fold(policy.max_hold, SignedDuration::min);
        let drains = policy.drain_deadline.saturating_add(policy.kill_grace);
        later(started, held.saturating_sub(drains).max(held / 3))
    }

    /// Before a sweep begins something that no event asked for, a heartbeat proves that our hook holds the instance:
    /// another one may. So it does for an instance that comes back: a late event of its last way out must not drain it.
    /// Past `MAX_HOLD` no heartbeat is sent, so that nothing is begun either.
    fn begin(&self, action: Action) -> Decision {
        let Self { seen, hold, policy, now } = *self;
        let comes_back = seen.comes_back();
        let asked_for = match seen.target.origin {
            // Without a sweep no call about the hook comes before the drain.
            Origin::Event | Origin::Bus | Origin::Broadcast => !(comes_back && policy.sweep),
            Origin::Sweep => !comes_back && story::is_ours(seen, policy, now),
        };
        let proven = hold.last_heartbeat.is_some_and(|last| now.duration_since(last) < PROOF_LASTS);
        if asked_for || proven || hold.heartbeats_denied || hold.by_hand {
            return Decision::Act(action);
        }
        if heartbeat::past_max_hold(seen, hold, policy, now) {
            return Decision::Wait { until: Timestamp::MAX, why: Reason::MaxHoldReached };
        }
        if hold.heartbeats_failed {
            return Decision::Wait { until: Timestamp::MAX, why: Reason::AutoScalingUnavailable };
        }
        Decision::Act(Action::Heartbeat)
    }

    /// Nobody knows a node for it: it may be about to join, or never have joined.
    fn absent(&self) -> Decision {
        let Self { seen, policy, now, .. } = *self;
        if self.hold.by_hand {
            return Decision::Finish(Reason::NodeNotFound);
        }
        let Some(started) = seen.target.hook_started_at else {
            return Decision::Wait { until: Timestamp::MAX, why: Reason::HookStartUnknown };
        };
        let until = later(started, policy.node_join_grace);
        if now < until {
            return self.wait(until, Reason::WaitingForNode);
        }
        match policy.on_node_not_found {
            OnNodeNotFound::Complete(result) => self.release(result, Reason::NodeNotFound),
            OnNodeNotFound::Hold => self.wait(Timestamp::MAX, Reason::HeldWithoutNode),
        }
    }

    fn release(&self, result: ActionResult, reason: Reason) -> Decision {
        if self.hold.by_hand {
            return Decision::Finish(reason);
        }
        if self.hold.completion_denied {
            return Decision::Finish(Reason::CompletionDenied);
        }
        Decision::Act(Action::Complete { result, reason })
    }

    /// Waits, and keeps the hook alive meanwhile.
    fn wait(&self, until: Timestamp, why: Reason) -> Decision {
        let Self { seen, hold, policy, now } = *self;
        if hold.by_hand {
            return Decision::Wait { until, why };
        }
        if heartbeat::past_max_hold(seen, hold, policy, now) {
            // Without a sweep nobody has kept the hook alive in any case.
            let why = if policy.sweep { Reason::MaxHoldReached } else { why };
            return Decision::Wait { until, why };
        }
        // Without a sweep the hook is not touched before the drain has begun: such a set-up may lack the permissions.
        let asked_to_hold = policy.pause || hold.paused;
        let may = (policy.sweep || hold.drain_begun || asked_to_hold)
            && !hold.heartbeats_denied
            && !hold.heartbeats_failed;
        if may && heartbeat::is_due(seen, hold, now) {
            return Decision::Act(Action::Heartbeat);
        }
        Decision::Wait { until, why }
    }
}

/// For an event that names no hook: the drain is begun, and nothing can be completed.
fn without_hook(seen: &Observation, policy: &Policy, now: Timestamp) -> Decision {
    if seen.target.is_too_late(now) {
        return Decision::Finish(Reason::TooLate);
    }
    let is_announced_to_all = seen.target.origin == Origin::Broadcast;
    let nodes = match &seen.nodes {
        _ if policy.pause => return Decision::Finish(Reason::Paused),
        Nodes::Unknown(obstacle) => {
            return Decision::Wait { until: Timestamp::MAX, why: obstacle.reason() };
        }
        Nodes::Gone => return Decision::Finish(Reason::NodeGone),
        Nodes::Known(nodes) if !nodes.is_empty() => nodes,
        Nodes::Absent | Nodes::Known(_) if is_announced_to_all => {
            return Decision::Finish(Reason::NotOurInstance);
        }
        Nodes::Absent | Nodes::Known(_) => {
            return Decision::Wait { until: Timestamp::MAX, why: Reason::WaitingForNode };
        }
    };
    let mut cancelled = None;
    for node in nodes {
        match node::begin(seen, node, policy, now) {
            Verdict::Act(action) => return Decision::Act(action),
            Verdict::Wait { until, why: why @ Reason::DrainCancelled } => {
                cancelled = Some(Decision::Wait { until, why });
            }
            Verdict::Wait { .. } | Verdict::Stopped { .. } => {}
        }
    }
    if let Some(wait) = cancelled {
        return wait;
    }
    let drains = nodes.iter().any(|node| node.node.drain.is_some());
    Decision::Finish(if drains { Reason::AlreadyDraining } else { Reason::AlreadyDrained })
}

/// What one node asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Verdict {
    Act(Action),
    Wait {
        until: Timestamp,
        why: Reason,
    },
    /// Nothing on it has to be waited for.
    Stopped {
        since: Timestamp,
        how: Reason,
    },
}

impl Obstacle {
    /// The reason to wait.
    pub fn reason(self) -> Reason {
        match self {
            Self::Unreachable => Reason::NomadUnreachable,
            Self::NoLeader => Reason::NoClusterLeader,
            Self::TokenRefused => Reason::NomadTokenRefused,
            Self::Stale | Self::Unreadable => Reason::NomadUnreadable,
        }
    }
}

impl Sight {
    /// Whether an empty list of allocations means that there are none.
    fn is_full(&self) -> bool {
        matches!(self, Self::Everything)
    }
}

fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
