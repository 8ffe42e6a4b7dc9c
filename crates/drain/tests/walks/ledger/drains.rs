//! The drains of every node: how many there were for one lifecycle action, and when each had to end.

use drain_lab::aws::LifecycleState;
use drain_lab::nomad::{DrainStatus, NodeView};
use jiff::{SignedDuration, Timestamp};

use super::{LOOK_LASTS, Ledger, TOLERANCE, later};
use crate::ground::Ground;
use crate::setup::OURS;

/// How late the end of a drain may move after our first POST of a lifecycle action.
const DEADLINE_SLACK: SignedDuration = SignedDuration::from_secs(30);

/// POSTs of ours for one lifecycle action on one node, besides those that operators and lost answers cause.
const MOST_POSTS: u32 = 5;

/// The drains of a node.
#[derive(Debug, Default)]
pub(super) struct Drains {
    /// When the newest drain stops what is left; `None` if nothing does.
    deadline: Option<Timestamp>,
    /// The same of the drain after which somebody let new work onto the node.
    told: Option<Timestamp>,
    /// The lifecycle action for which we posted, and when the first of these drains had to end.
    ours: Option<(String, Timestamp)>,
    /// The newest lifecycle action for which we posted.
    posted_for: Option<String>,
    posts: u32,
    /// Whether somebody else began the drain that runs.
    adopted: bool,
    /// When somebody else's newest drain began.
    others_at: Option<Timestamp>,
    /// What others did that may cause another POST.
    meddling: u32,
}

impl Ledger {
    /// A drain of ours takes effect on a node. `deadline` is as Nomad takes it.
    pub(crate) fn drains(&mut self, ground: &Ground, node: &NodeView, deadline: SignedDuration) {
        let name = node.name.clone();
        if self.policy.pause {
            self.breaks(ground, format!("{name}: drained while PAUSE is on"));
        }
        if deadline.is_zero() {
            self.breaks(ground, format!("{name}: drained without a deadline"));
        }
        if let Some(instance) = &node.instance_id
            && ground.instance(instance).lifecycle_state == LifecycleState::InService
            && self.free_since.get(instance).is_some_and(|since| ground.now() > later(*since, LOOK_LASTS))
            && self.policy.sweep
            && !self.was_announced(ground, node)
        {
            self.breaks(ground, format!("{name}: drained although its instance is in service"));
        }
        let ends = later(ground.now(), deadline.max(SignedDuration::ZERO));
        let announced = self.was_announced(ground, node);
        let held = node.instance_id.as_ref().and_then(|instance| self.actions.get(instance));
        let held = held.filter(|held| held.held_by.hook == OURS);
        let token = held.map(|held| held.held_by.token.clone());
        // The hook's limit as we reckon it: from the moment when the instance set out.
        let timeout = SignedDuration::from_secs(i64::from(ground.setup.heartbeat_timeout));
        let held_until =
            held.map(|held| later(held.begun_at, (timeout * 100).min(SignedDuration::from_hours(48))));
        let drains = self.drains.entry(key(node)).or_default();
        drains.deadline = Some(ends);
        if announced {
            // Perhaps for another reason than the hook's, and for less time.
            drains.posted_for = token.or(drains.posted_for.take());
            drains.ours = None;
            drains.meddling += 1;
            return;
        }
        // A node that an operator makes eligible after its drain looks like one that has come back, whose work has a right
        // to a whole deadline, if nobody says when the hook began; else the first deadline holds. Both are right.
        let was_over = node.last_drain.as_ref().is_some_and(|last| last.status == DrainStatus::Complete);
        let either = drains.meddling > 0 && node.eligible && was_over;
        if either {
            drains.ours = None;
        }
        // What a drain of somebody else's left out, or may have left out, gets a drain of its own.
        if drains.adopted && node.drain.is_none() {
            drains.ours = None;
        }
        drains.adopted &= node.drain.is_some();
        // Nomad has no check-and-set. Of two invocations one may have looked before an operator's drain, and one after it.
        if drains.others_at.is_some_and(|at| ground.now() <= later(at, LOOK_LASTS)) {
            drains.ours = None;
        }
        let Some(token) = token else { return };
        let mut is_first = false;
        let first = match &drains.ours {
            Some((of, first)) if *of == token => *first,
            _ => {
                is_first = node.drain.is_none() && drains.posted_for.as_ref() != Some(&token) && !either;
                if is_first {
                    drains.posts = 0;
                }
                drains.posted_for = Some(token.clone());
                drains.ours = Some((token, ends));
                ends
            }
        };
        drains.posts += 1;
        let (posts, most) = (drains.posts, MOST_POSTS + 2 * drains.meddling);
        // A drain that is forced has no deadline that could move.
        if ends > later(first, DEADLINE_SLACK) && deadline.is_positive() {
            self.breaks(ground, format!("{name}: the deadline moved from {first} to {ends}"));
        }
        let patience = self.policy.drain_deadline - TOLERANCE;
        let global = held_until.map(|ends| later(ends, -self.policy.kill_grace - TOLERANCE));
        if is_first
            && self.policy.sweep
            && global.is_none_or(|global| ends < global)
            && ends < later(ground.now(), patience)
        {
            self.breaks(
                ground,
                format!("{name}: the first drain of a lifecycle action gives no more than {deadline:#}"),
            );
        }
        if posts > most {
            self.breaks(ground, format!("{name}: drained {posts} times for one lifecycle action"));
        }
    }

    /// Somebody else drains a node, or cancels its drain.
    pub(crate) fn others_drain(&mut self, now: Timestamp, node: &NodeView, deadline: Option<SignedDuration>) {
        let held = node.instance_id.as_ref().and_then(|instance| self.actions.get(instance));
        // Without a start a drain that was cancelled cannot be told from one of an earlier action.
        let told_apart = held.is_some_and(|held| held.terminating);
        let drains = self.drains.entry(key(node)).or_default();
        drains.meddling += 1;
        let Some(deadline) = deadline else {
            drains.deadline = None;
            drains.ours = drains.ours.take().filter(|_| told_apart && !drains.adopted);
            return;
        };
        drains.adopted = true;
        drains.others_at = Some(now);
        drains.deadline = (!deadline.is_zero()).then(|| later(now, deadline.max(SignedDuration::ZERO)));
        drains.ours = None;
    }

    /// Somebody makes a node eligible or not, or a call failed whose effect nobody knows.
    pub(crate) fn meddles(&mut self, node: &NodeView, eligible: bool) {
        let drains = self.drains.entry(key(node)).or_default();
        drains.meddling += 1;
        if eligible && node.drain.is_none() {
            drains.told = drains.deadline.take().or(drains.told);
        }
    }

    /// By when what the drain before somebody's meddling has told to stop had to stop.
    pub(super) fn told(&self, node: &NodeView) -> Option<Timestamp> {
        self.drains.get(&key(node))?.told
    }

    /// When the newest drain of a node stops what is left on it, or would have.
    pub(super) fn deadline(&self, node: &NodeView) -> Option<Timestamp> {
        let drains = self.drains.get(&key(node))?;
        let over =
            node.last_drain.as_ref().filter(|last| last.status == DrainStatus::Complete && drains.adopted);
        // Of somebody else's drain that is over nobody knows any more until when it would have gone on.
        let forgotten = over.map(|last| later(last.updated_at, self.policy.drain_deadline));
        drains.deadline.into_iter().chain(forgotten).min()
    }
}

fn key(node: &NodeView) -> (String, u64) {
    (node.id.clone(), node.create_index)
}
