//! What metrics and notifications hear of an instance.

use drain_core::decide::DrainRequest;
use drain_core::observation::{Allocation, Allocations, ClientStatus, LastDrain, Nodes, SeenNode};
use drain_core::policy::ActionResult;
use drain_core::reason::{Outcome, Reason};
use drain_core::stamp::Stamp;
use jiff::{SignedDuration, Timestamp};

use super::case::Case;
use super::later;
use crate::chronicle::{Drain, What, Whom};
use crate::world::World;

/// A sweep comes once a minute: what it says within the first minute of something it says once.
const ONE_SWEEP: SignedDuration = SignedDuration::from_mins(1);

impl<W: World> Case<'_, W> {
    pub(super) fn tell(&self, what: What) {
        self.rules.tell(Whom::of(&self.seen.target, &self.known), what);
    }

    /// A drain was posted. Those that only change one that runs are none of their own.
    pub(super) fn tell_posted(&self, request: &DrainRequest) {
        if request.reason == Reason::DrainPosted {
            let age = |told| self.world.now().duration_since(told).max(SignedDuration::ZERO);
            let after = self.seen.target.told_at.map(age);
            let whom = Whom::of(&self.seen.target, std::slice::from_ref(&request.node));
            self.rules.tell(whom, What::DrainStarted { after });
        }
    }

    /// The lifecycle action was completed.
    pub(super) fn tell_released(&self, result: ActionResult, reason: Reason) {
        self.tell(What::Released { result, reason, drain: self.drain_as_it_was(reason) });
    }

    /// The end of what this invocation does for the instance.
    pub(super) fn tell_end(&self, outcome: Outcome, reason: Reason) {
        if !self.is_departure() {
            return;
        }
        let now = self.world.now();
        let held_for = self.seen.target.hook_started_at.map(|began| now.duration_since(began));
        let just_now = reason == Reason::MaxHoldReached
            && held_for.is_some_and(|held| held <= self.longest_hold() + ONE_SWEEP);
        let said_before = self.rules.looks.sweeping && !just_now;
        if outcome == Outcome::LeftToHook && reason != Reason::HookTimeoutTakesOver && !said_before {
            self.tell(What::LeftToHook { reason });
        }
        let is_held = match outcome {
            Outcome::DrainStarted | Outcome::Draining | Outcome::Held | Outcome::LeftToHook => true,
            Outcome::Completed | Outcome::Abandoned | Outcome::Restored | Outcome::Ignored => false,
        };
        if is_held && self.rules.looks.sweeping {
            // Where the drain cannot be seen, it should be over that long after the hook began.
            let began = self.seen.target.hook_started_at;
            let deadline = self.deadline().or_else(|| Some(later(began?, self.policy().drain_deadline)));
            let past_deadline = deadline.is_some_and(|end| later(end, self.policy().kill_grace) < now);
            self.tell(What::Held { held_for, past_deadline });
        }
    }

    /// `MAX_HOLD`, or the hook's own limit.
    fn longest_hold(&self) -> SignedDuration {
        let settings = self.seen.hold.as_ref().and_then(|hold| hold.settings);
        settings.map_or(self.policy().max_hold, |hook| self.policy().max_hold.min(hook.global_timeout))
    }

    /// When the newest drain of ours had to end.
    fn deadline(&self) -> Option<Timestamp> {
        self.nodes().iter().filter_map(|seen| self.stamp(seen)?.deadline).max()
    }

    fn nodes(&self) -> &[SeenNode] {
        match &self.seen.nodes {
            Nodes::Known(nodes) => nodes,
            Nodes::Unknown(_) | Nodes::Absent | Nodes::Gone => &[],
        }
    }

    /// What we wrote on the node's newest drain, if that is ours and for this instance.
    fn stamp(&self, seen: &SeenNode) -> Option<Stamp> {
        let stamp = seen.node.last_drain.as_ref().and_then(LastDrain::stamp)?;
        (stamp.instance == self.seen.target.instance.as_str()).then_some(stamp)
    }

    fn drain_as_it_was(&self, reason: Reason) -> Drain {
        let mut drain = Drain::default();
        let mut began: Option<Timestamp> = None;
        let mut emptied: Option<Timestamp> = None;
        for seen in self.nodes() {
            let Some(last) = &seen.node.last_drain else { continue };
            let stamp = self.stamp(seen);
            drain.adopted |= stamp.is_none();
            began = began.into_iter().chain(last.started_at).min();
            let deadline = stamp.and_then(|stamp| stamp.deadline);
            for allocation in self.which_had_to_leave(seen) {
                let ended = allocation.modified_at.filter(|_| allocation.client == ClientStatus::Terminal);
                drain.forced += usize::from(deadline.is_some_and(|deadline| match ended {
                    Some(ended) => !allocation.system && ended > deadline,
                    None => !allocation.system,
                }));
                emptied = emptied.max(ended);
            }
        }
        if let (Reason::Drained, Some(began)) = (reason, began) {
            let empty = emptied.map_or(began, |emptied| emptied.max(began));
            drain.time_to_empty = Some(empty.duration_since(began));
            drain.held_after_empty = Some(self.world.now().duration_since(empty).max(SignedDuration::ZERO));
        }
        drain
    }

    /// The allocations that the drain was about, and those that had ended before it.
    fn which_had_to_leave<'a>(&self, seen: &'a SeenNode) -> impl Iterator<Item = &'a Allocation> {
        let all: &[Allocation] = match &seen.allocations {
            Allocations::Listed(all) => all,
            Allocations::NotRead | Allocations::Unknown(_) => &[],
        };
        let leaves_system_jobs = self.policy().ignore_system_jobs;
        all.iter().filter(move |allocation| !(leaves_system_jobs && allocation.system))
    }
}
