//! The judgement of one node.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Action, DrainRequest, Verdict, later, story};
use crate::observation::{
    Allocation, Allocations, Cause, ClientStatus, DrainDeadline, DrainSpec, LastDrainStatus, NodeStatus,
    Observation, RunningDrain, SeenNode, Sight,
};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::stamp;

/// A deadline that is later than it may be by no more than this is left alone. A second POST moves a drain's deadline
/// (Nomad: `ForceDeadline = now + Deadline`), so two deliveries of one event, seconds apart, must not cause one.
pub const DEADLINE_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// A drain that goes on for so long after its last allocation has stopped does not end by itself. Nomad forgets to look
/// when what stopped last was a `sysbatch` allocation or was stopping before the drain began.
pub const STUCK_AFTER: SignedDuration = SignedDuration::from_secs(15);

/// A drain marks what it stops within seconds of its end. What the servers still want after this long was not part of it.
const MARKED_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// The same for somebody else's drain, which is followed by ours.
const MARKED_SOON: SignedDuration = SignedDuration::from_secs(5);

/// What this node asks for, if a hook holds its instance.
pub(super) fn judge(seen: &Observation, node: &SeenNode, policy: &Policy, now: Timestamp) -> Verdict {
    if let act @ Verdict::Act(_) = begin(seen, node, policy, now) {
        return act;
    }
    let silent = |since, grace, how| {
        let over = later(since, grace);
        if now >= over {
            Verdict::Stopped { since: over, how }
        } else {
            Verdict::Wait { until: over, why: Reason::NodeSilent }
        }
    };
    let judged = Judged { seen, node, policy, now };
    match node.node.status {
        NodeStatus::Down(since) => silent(since, policy.down_grace, Reason::NodeDown),
        NodeStatus::Disconnected(since) => match judged.up() {
            Verdict::Stopped { how: Reason::Drained, .. }
                if node.is_any_out_of_reach(policy.ignore_system_jobs) =>
            {
                silent(since, policy.disconnected_grace, Reason::NodeDisconnected)
            }
            stopped @ Verdict::Stopped { .. } => stopped,
            Verdict::Act(action) => Verdict::Act(action),
            Verdict::Wait { .. } => silent(since, policy.disconnected_grace, Reason::NodeDisconnected),
        },
        NodeStatus::Initializing | NodeStatus::Ready => judged.up(),
    }
}

/// The first step with a node, which does not depend on what runs on it: one that takes new work, or whose drain may
/// go on for too long, gets a drain. Whoever is down is only made ineligible, so that it gets nothing if it comes back.
pub(super) fn begin(seen: &Observation, node: &SeenNode, policy: &Policy, now: Timestamp) -> Verdict {
    const NOTHING: Verdict = Verdict::Wait { until: Timestamp::MAX, why: Reason::AllocationsRunning };
    let judged = Judged { seen, node, policy, now };
    let node = &node.node;
    if matches!(node.status, NodeStatus::Down(_)) {
        return if node.eligible && node.drain.is_none() {
            Verdict::Act(Action::MakeIneligible(node.id.clone()))
        } else {
            NOTHING
        };
    }
    if let Some(running) = &node.drain {
        return judged.bring_nearer(running).unwrap_or(NOTHING);
    }
    if let Some(until) = story::respite(seen, node, now) {
        return Verdict::Wait { until, why: Reason::DrainCancelled };
    }
    let unasked = seen.hold.is_none() && story::of_this_action(seen, node, policy, now).is_none();
    if node.eligible || unasked { judged.drain(Reason::DrainPosted) } else { NOTHING }
}

struct Judged<'a> {
    seen: &'a Observation,
    node: &'a SeenNode,
    policy: &'a Policy,
    now: Timestamp,
}

impl Judged<'_> {
    /// A node that reports, and that [`begin`] has nothing to do with.
    fn up(&self) -> Verdict {
        let Self { seen, node, now, .. } = *self;
        if let Some(until) = story::respite(seen, &node.node, now)
            && node.node.eligible
        {
            return Verdict::Wait { until, why: Reason::DrainCancelled };
        }
        let counted: Vec<&Allocation> =
            match (&node.allocations, node.counted(self.policy.ignore_system_jobs)) {
                (_, Some(counted)) => counted.collect(),
                // What runs may be unknown: a node that was not drained for this action is drained all the same.
                (_, None) if self.is_untouched() => return self.drain(Reason::DrainPosted),
                (Allocations::Unknown(obstacle), None) => {
                    return Verdict::Wait { until: Timestamp::MAX, why: obstacle.reason() };
                }
                (Allocations::NotRead | Allocations::Listed(_), None) => {
                    return Verdict::Wait { until: Timestamp::MAX, why: Reason::AllocationsRunning };
                }
            };
        match &node.node.drain {
            Some(running) => self.draining(running, &counted),
            None => self.drained(&counted),
        }
    }

    /// No drain runs on it, none of ours has for this action, and nobody has just cancelled one.
    fn is_untouched(&self) -> bool {
        let Self { seen, node, policy, now } = *self;
        node.node.drain.is_none()
            && story::of_this_action(seen, &node.node, policy, now).is_none()
            && story::respite(seen, &node.node, now).is_none()
    }

    /// The drain runs.
    fn draining(&self, running: &RunningDrain, counted: &[&Allocation]) -> Verdict {
        let Self { seen, policy, now, .. } = *self;
        let over = self.deadline_of(running).map(|deadline| later(deadline, policy.kill_grace));
        let until = over.unwrap_or(Timestamp::MAX);
        if now >= until {
            return Verdict::Stopped { since: until, how: Reason::DrainTimeout };
        }
        if let Some(action) = self.end_stuck(running) {
            return action;
        }
        let why = match counted {
            [] if seen.sight.is_full() => Reason::DrainEnding,
            [] => self.blind(),
            _ => Reason::AllocationsRunning,
        };
        Verdict::Wait { until, why }
    }

    /// No drain runs, and the node takes no work.
    fn drained(&self, counted: &[&Allocation]) -> Verdict {
        let Self { seen, node, policy, now } = *self;
        let ours = story::of_this_action(seen, &node.node, policy, now);
        let ended_at = node.node.last_drain.as_ref().and_then(|last| last.updated_at);
        if counted.is_empty() && seen.sight.is_full() {
            // Nomad's record of a drain holds whole seconds, cut off.
            let ended_by = ended_at.map(|ended| later(ended, SignedDuration::from_secs(1)));
            return Verdict::Stopped { since: self.last_change(ended_by), how: Reason::Drained };
        }
        let respite = story::respite(seen, &node.node, now);
        // What the servers still want when a drain has been over for a while was not part of that drain.
        let runs_on = counted.iter().any(|one| one.wanted && one.client == ClientStatus::Live);
        let left_out = |for_long| runs_on && ended_at.is_some_and(|ended| now >= later(ended, for_long));
        // What somebody has cancelled has to be done again, whatever its deadline was.
        let cancelled =
            node.node.last_drain.as_ref().is_some_and(|last| last.status == LastDrainStatus::Canceled);
        let posted = match ours.filter(|_| !cancelled) {
            Some(stamp) => Some(stamp.deadline),
            // Somebody else's drain, which we waited for, is over. Until when it would have gone on is not known any
            // more: what it has told to stop has as long as with a drain of ours. What it left out gets ours, and so
            // does what we cannot see.
            None => story::was_drained(seen, &node.node, policy, now)
                .filter(|_| !left_out(MARKED_SOON) && seen.sight.is_full())
                .map(|ended| Some(later(ended, policy.drain_deadline))),
        };
        let Some(posted) = posted else {
            // Nobody has drained it for this action: work runs on it, or may run on it.
            return match respite {
                Some(until) => Verdict::Wait { until, why: Reason::DrainCancelled },
                None => self.drain(Reason::DrainPosted),
            };
        };
        let deadline = posted.into_iter().chain(ended_at).max();
        let until = deadline.map_or(Timestamp::MAX, |deadline| later(deadline, policy.kill_grace));
        if now >= until {
            return Verdict::Stopped { since: until, how: Reason::DrainTimeout };
        }
        if counted.is_empty() {
            return Verdict::Wait { until, why: self.blind() };
        }
        if left_out(MARKED_AFTER) && posted.is_some_and(|deadline| now < deadline) {
            return self.drain(Reason::DrainPosted);
        }
        Verdict::Wait { until, why: Reason::AllocationsRunning }
    }

    /// Our drain: within `DRAIN_DEADLINE`, never beyond what the hook can be held, and never later than the first one
    /// of this action allowed.
    fn drain(&self, reason: Reason) -> Verdict {
        let Self { seen, node, policy, now } = *self;
        let first = story::of_this_action(seen, &node.node, policy, now).and_then(|stamp| stamp.deadline);
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
    fn bring_nearer(&self, running: &RunningDrain) -> Option<Verdict> {
        let Self { seen, node, policy, now } = *self;
        if matches!(seen.target.cause(), Some(Cause::Rebalance | Cause::ScheduledChange)) {
            // Such an instance may stay: whoever drains it has the time that they gave it.
            return None;
        }
        let ours = story::unbroken(seen, &node.node).is_some();
        let allowed = match self.limit() {
            // An adopted drain keeps a deadline that the hook can wait for.
            Some(limit) => limit,
            None => later(now, policy.drain_deadline),
        };
        let too_late = match running.deadline {
            DrainDeadline::Never => true,
            DrainDeadline::At(theirs) => theirs.duration_since(allowed) > DEADLINE_TOLERANCE,
            DrainDeadline::Forced | DrainDeadline::Untold => false,
        };
        if !too_late {
            return None;
        }
        let deadline = match running.deadline {
            DrainDeadline::At(_) => allowed,
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
    fn end_stuck(&self, running: &RunningDrain) -> Option<Verdict> {
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
            Some(_) => story::hook_start(seen, policy, now),
            None => seen.target.hook_started_at,
        };
        let cause = seen.target.cause().unwrap_or(Cause::Manual);
        let entry = stamp::Entry {
            // Every end of an instance is a change of its state as well: that says nothing of why.
            cause: match before.as_ref().and_then(|before| before.cause) {
                Some(earlier) if cause == Cause::StateChange => earlier,
                _ => cause,
            },
            was_eligible: before
                .as_ref()
                .and_then(|before| before.was_eligible)
                .unwrap_or_else(|| node.node.eligible || self.was_queued(hook_started_at)),
            hook_started_at,
            deadline,
            earlier: before
                .filter(|_| node.node.drain.is_some())
                .and(node.node.last_drain.as_ref())
                .map(|last| &last.meta),
        };
        stamp::write(&seen.target, entry)
    }

    /// Whether it was we who let the node take no more work, until it was its turn to drain: nothing else that we do
    /// changes the eligibility of a node that is up. Where nobody says when the hook began, it was within the time that
    /// an instance can be seen through.
    fn was_queued(&self, hook_started_at: Option<Timestamp>) -> bool {
        let Self { node, policy, now, .. } = *self;
        let since = hook_started_at.unwrap_or_else(|| later(now, -story::longest_story(policy)));
        let since_then = node.node.by_hand.changed_at.is_some_and(|changed| changed >= since);
        policy.max_drains_per_group.is_some() && since_then
    }

    /// Why an empty list of allocations proves nothing.
    fn blind(&self) -> Reason {
        match self.seen.sight {
            Sight::Unknown => Reason::NomadUnreachable,
            Sight::Everything | Sight::NotEverything => Reason::CannotSeeAllocations,
        }
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

    fn deadline_of(&self, running: &RunningDrain) -> Option<Timestamp> {
        let changed_at = self.node.node.last_drain.as_ref().and_then(|last| last.updated_at);
        match running.deadline {
            DrainDeadline::At(moment) => Some(moment),
            DrainDeadline::Forced => changed_at.or(running.started_at),
            DrainDeadline::Never | DrainDeadline::Untold => None,
        }
    }

    /// When the newest allocation changed, or `other`, whichever is later; the first look if nobody says. That begins
    /// anew with every invocation: a node on which nothing is known to have run has been quiet for ever.
    fn last_change(&self, other: Option<Timestamp>) -> Timestamp {
        let Allocations::Listed(all) = &self.node.allocations else { return self.seen.first_look };
        let changes = all.iter().filter_map(|allocation| allocation.modified_at);
        let unknown = if all.is_empty() { Timestamp::MIN } else { self.seen.first_look };
        changes.chain(other).max().unwrap_or(unknown)
    }
}
