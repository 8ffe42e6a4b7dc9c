//! The drains that are posted: how long they may last, and what they say.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::node::{DEADLINE_TOLERANCE, Judged, STUCK_AFTER};
use super::{Action, DrainRequest, Verdict, later, story};
use crate::observation::{Cause, DrainDeadline, DrainSpec, RunningDrain};
use crate::reason::Reason;
use crate::stamp;

impl Judged<'_> {
    /// Our drain: within `DRAIN_DEADLINE`, never beyond what the hook can be held, and never later than the first one
    /// of this action allowed. What EC2 announced and did not do gave no time that would bind the hook.
    pub(super) fn drain(&self, reason: Reason) -> Verdict {
        let Self { seen, node, policy, now } = *self;
        let first = story::of_this_action(seen, &node.node, policy, now)
            .filter(|stamp| !stamp.cause.is_some_and(Cause::is_announced))
            .and_then(|stamp| stamp.deadline);
        let deadline = first.into_iter().fold(self.latest_deadline(), Timestamp::min);
        let meta = self.stamp(deadline);
        Verdict::Act(Action::Drain(DrainRequest {
            node: node.node.id.clone(),
            spec: DrainSpec::within(deadline.duration_since(now), policy.ignore_system_jobs),
            meta: Some(meta),
            reason,
        }))
    }

    /// A drain that runs is left alone, whoever began it, unless it may go on for longer than it can: then its deadline
    /// is brought nearer. It is never moved further away. What somebody else wrote on it stays.
    pub(super) fn bring_nearer(&self, running: &RunningDrain) -> Option<Verdict> {
        let Self { seen, node, policy, now } = *self;
        if seen.target.is_recommended() {
            // Such an instance may stay: whoever drains it has the time that they gave it.
            return None;
        }
        let ours = story::unbroken(seen, &node.node).is_some();
        let another_way = self.goes_another_way();
        let allowed = match self.limit() {
            // An adopted drain keeps a deadline that the hook can wait for.
            Some(limit) => limit,
            None => later(now, policy.drain_deadline),
        };
        let too_late = match running.deadline {
            DrainDeadline::Never => true,
            DrainDeadline::At(theirs) => another_way || theirs.duration_since(allowed) > DEADLINE_TOLERANCE,
            DrainDeadline::Forced | DrainDeadline::Untold => false,
        };
        if !too_late {
            return None;
        }
        let deadline = match running.deadline {
            DrainDeadline::At(theirs) => allowed.min(theirs),
            DrainDeadline::Never | DrainDeadline::Forced | DrainDeadline::Untold => self.latest_deadline(),
        };
        let meta = ours.then(|| self.stamp(deadline));
        Some(Verdict::Act(Action::Drain(DrainRequest {
            node: node.node.id.clone(),
            spec: DrainSpec::within(deadline.duration_since(now), running.ignore_system_jobs),
            meta,
            reason: Reason::DeadlineBroughtNearer,
        })))
    }

    /// Nothing but system jobs has been running for a while, and the drain goes on: Nomad looks again when the drain
    /// changes. Only for a token that sees everything: this drain stops whatever it does not see. And only on a node
    /// that reports: the allocations of one that is out of reach may run there still, and it may be back in a moment.
    pub(super) fn end_stuck(&self, running: &RunningDrain) -> Option<Verdict> {
        let Self { seen, node, now, .. } = *self;
        let reports = node.node.status.reports();
        if running.deadline == DrainDeadline::Forced || !seen.sight.is_full() || !reports {
            return None;
        }
        if node.counted(true)?.next().is_some() {
            return None;
        }
        // A change of the drain makes Nomad look again, and takes a moment as well.
        let changed_at = node.node.last_drain.as_ref().and_then(|last| last.updated_at);
        let quiet_since = self.last_change(running.started_at.max(changed_at).or(Some(seen.first_look)));
        (now >= later(quiet_since, STUCK_AFTER)).then(|| {
            Verdict::Act(Action::Drain(DrainRequest {
                node: node.node.id.clone(),
                spec: DrainSpec {
                    deadline: DrainSpec::FORCE,
                    ignore_system_jobs: running.ignore_system_jobs,
                },
                meta: None,
                reason: Reason::StuckDrainEnded,
            }))
        })
    }

    /// What we write on a drain that has to end by `deadline`. Only the first stamp of an unbroken story saw whether the
    /// node was eligible before it was touched.
    fn stamp(&self, deadline: Timestamp) -> BTreeMap<String, String> {
        let Self { seen, node, policy, now } = *self;
        let before = story::unbroken(seen, &node.node);
        let hook_started_at = match seen.hold {
            // A drain that ran before the hook began does not tell when that was.
            Some(_) => story::hook_start(seen, policy, now).or(node.node.drain.as_ref().map(|_| now)),
            None => seen.target.hook_started_at,
        };
        let cause = seen.cause().unwrap_or(Cause::Manual);
        let entry = stamp::Entry {
            // Every end of an instance is a change of its state as well: that says nothing of why.
            cause: match before.as_ref().and_then(|before| before.cause) {
                Some(earlier) if cause == Cause::StateChange => earlier,
                _ => cause,
            },
            was_eligible: before
                .as_ref()
                .and_then(|before| before.was_eligible)
                .unwrap_or(node.node.eligible),
            hook_started_at,
            deadline,
            earlier: before
                .filter(|_| node.node.drain.is_some())
                .and(node.node.last_drain.as_ref())
                .map(|last| &last.meta),
        };
        stamp::write(&seen.target, entry)
    }

    /// When a drain that begins now has to end at the latest.
    fn latest_deadline(&self) -> Timestamp {
        let ours = later(self.now, self.policy.drain_deadline);
        self.limit().map_or(ours, |limit| limit.min(ours))
    }

    /// Until when allocations may run, whatever the policy says: until EC2 ends the instance by itself, and as long as the
    /// hook can be held.
    fn limit(&self) -> Option<Timestamp> {
        let Self { seen, .. } = *self;
        seen.target.ends_at(seen.first_look).into_iter().chain(self.hook_limit()).min()
    }

    /// Until when allocations may run so that the hook can still be held while they stop. Not asked without a sweep:
    /// such a set-up sends no heartbeats that could fill the time.
    fn hook_limit(&self) -> Option<Timestamp> {
        let Self { seen, policy, now, .. } = *self;
        let settings = seen.hold.as_ref().and_then(|hold| hold.settings).filter(|_| policy.sweep)?;
        let started = story::hook_start(seen, policy, now).unwrap_or(now);
        let ends = later(started, settings.global_timeout);
        // An instance that should be gone by now is held all the same: the start is not what we think.
        (now < ends).then(|| later(ends, -policy.kill_grace))
    }
}
