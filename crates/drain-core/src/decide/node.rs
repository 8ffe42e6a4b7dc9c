//! The judgement of one node.

use jiff::{SignedDuration, Timestamp};

use super::{Action, Verdict, later, story};
use crate::observation::{
    Allocation, Allocations, Cause, ClientStatus, DrainDeadline, LastDrainStatus, NodeStatus, Observation,
    RunningDrain, SeenNode, Sight,
};
use crate::policy::Policy;
use crate::reason::Reason;

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
/// go on for too long, gets a drain. Whoever is down is only made ineligible, so that it gets nothing if it comes back;
/// unless it is to come back, and nobody could tell then that it took work before.
pub(super) fn begin(seen: &Observation, node: &SeenNode, policy: &Policy, now: Timestamp) -> Verdict {
    const NOTHING: Verdict = Verdict::Wait { until: Timestamp::MAX, why: Reason::AllocationsRunning };
    let judged = Judged { seen, node, policy, now };
    let node = &node.node;
    if matches!(node.status, NodeStatus::Down(_)) {
        return if node.eligible && node.drain.is_none() && !seen.comes_back() {
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
    // Without a hook nobody looks at the node again: what runs there after a drain that was cancelled is drained now.
    let cancelled = node.last_drain.as_ref().is_some_and(|last| last.status == LastDrainStatus::Canceled);
    let unasked =
        seen.hold.is_none() && (cancelled || story::of_this_action(seen, node, policy, now).is_none());
    if node.eligible || unasked || judged.goes_another_way() {
        judged.drain(Reason::DrainPosted)
    } else {
        NOTHING
    }
}

/// A node, and all that its judgement depends on.
pub(super) struct Judged<'a> {
    pub(super) seen: &'a Observation,
    pub(super) node: &'a SeenNode,
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
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
        let posted = match ours.filter(|_| !(cancelled || self.may_have_got_work(runs_on))) {
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

    /// Whether somebody may have let work onto the node after its newest drain had ended.
    fn was_touched(&self) -> bool {
        self.over_since().is_some_and(|ended| self.node.node.by_hand.perhaps_since(ended))
    }

    /// Whether what runs there, or what we do not see, may be such work. We make a node ineligible ourselves in the second in
    /// which the drain of an empty one ends.
    fn may_have_got_work(&self, runs_on: bool) -> bool {
        let since = self.over_since().is_some_and(|ended| self.node.node.by_hand.since(ended));
        runs_on && self.was_touched() || !self.seen.sight.is_full() && since
    }

    fn over_since(&self) -> Option<Timestamp> {
        let last = self.node.node.last_drain.as_ref();
        last.filter(|last| last.status == LastDrainStatus::Complete)?.updated_at
    }

    /// Whether our stamp on this node says that the instance may be back, or may stay, where this event says otherwise:
    /// nobody may give a node back to an instance that EC2 takes, and everybody may to one that was in a warm pool. A drain
    /// does no harm to a node that is empty already, and takes the new stamp.
    pub(super) fn goes_another_way(&self) -> bool {
        let Self { seen, node, .. } = *self;
        let Some(stamped) = story::unbroken(seen, &node.node).and_then(|stamp| stamp.cause) else {
            return false;
        };
        match seen.cause() {
            Some(Cause::Spot) => stamped.comes_back() || stamped.may_survive(),
            Some(Cause::WarmPool | Cause::RootVolume) => stamped.may_survive(),
            _ => false,
        }
    }

    /// Why an empty list of allocations proves nothing.
    fn blind(&self) -> Reason {
        match self.seen.sight {
            Sight::Unknown => Reason::NomadUnreachable,
            Sight::Everything | Sight::NotEverything => Reason::CannotSeeAllocations,
        }
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
    pub(super) fn last_change(&self, other: Option<Timestamp>) -> Timestamp {
        let Allocations::Listed(all) = &self.node.allocations else { return self.seen.first_look };
        let changes = all.iter().filter_map(|allocation| allocation.modified_at);
        let unknown = if all.is_empty() { Timestamp::MIN } else { self.seen.first_look };
        changes.chain(other).max().unwrap_or(unknown)
    }
}
