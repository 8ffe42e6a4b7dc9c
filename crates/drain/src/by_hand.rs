//! What somebody at a terminal asks for: the same looks and the same loop as an invocation's, for one who looks on.

mod drain;
mod hook;
mod overview;
mod release;

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use drain_core::decide::{Action, Decision, next_due};
use drain_core::ids::{GroupName, InstanceId};
use drain_core::observation::{Allocation, Nodes, Observation};
use drain_core::policy::Policy;
use drain_core::reason::Reason;
use jiff::{SignedDuration, Timestamp};

use crate::error::Error;
use crate::reconcile::{Looks, Warned};

pub use drain::{Drained, drain};
pub use overview::{Held, Overview, overview};
pub use release::{Refusal, Release, release};

/// Somebody at a terminal: what they want differently, and where they look on.
pub struct ByHand {
    /// What they want differently.
    pub wishes: Wishes,
    /// What is called with every look at every instance.
    pub onlooker: Box<dyn Fn(&Seen)>,
}

impl ByHand {
    pub(crate) fn show(&self, seen: &Seen) {
        (self.onlooker)(seen);
    }
}

impl fmt::Debug for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByHand").field("wishes", &self.wishes).finish_non_exhaustive()
    }
}

/// What somebody wants differently from what is set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// How long allocations may take to leave, instead of `DRAIN_DEADLINE`.
    pub deadline: Option<SignedDuration>,
    /// System jobs stay on the node, whatever `DRAIN_IGNORE_SYSTEM_JOBS` says.
    pub ignore_system_jobs: bool,
    /// Nothing is done, and what would be is told.
    pub dry_run: bool,
    /// Whoever asks for a drain by hand means it, `PAUSE` or not.
    pub despite_pause: bool,
}

impl Wishes {
    pub(crate) fn applied_to(self, policy: Policy) -> Policy {
        Policy {
            drain_deadline: self.deadline.unwrap_or(policy.drain_deadline),
            ignore_system_jobs: policy.ignore_system_jobs || self.ignore_system_jobs,
            dry_run: policy.dry_run || self.dry_run,
            pause: policy.pause && !self.despite_pause,
            ..policy
        }
    }
}

/// One look at one instance, and what comes of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The cluster that it is of, if there are several.
    pub cluster: Option<String>,
    /// What was seen.
    pub observation: Observation,
    /// What the decision depends on besides.
    pub policy: Policy,
    /// What is to be done, or waited for.
    pub decision: Decision,
    /// The same in words.
    pub why: String,
    /// When that was.
    pub at: Timestamp,
}

impl Seen {
    /// The allocations that have to end before the instance may; `None` if nobody can tell.
    pub fn left(&self) -> Option<Vec<&Allocation>> {
        let Nodes::Known(nodes) = &self.observation.nodes else { return None };
        let counted =
            nodes.iter().map(|node| Some(node.counted(self.policy.ignore_system_jobs)?.collect::<Vec<_>>()));
        Some(counted.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Since when the hook has held it, if anybody knows.
    pub fn held_since(&self) -> Option<Timestamp> {
        self.observation.target.hook_started_at
    }

    /// The reason of the decision, as one word. A heartbeat has none.
    pub fn reason(&self) -> Option<Reason> {
        match &self.decision {
            Decision::Wait { why, .. } | Decision::Finish(why) => Some(*why),
            Decision::Act(action) => match action {
                Action::Drain(request) => Some(request.reason),
                Action::MakeIneligible(_) => Some(Reason::MadeIneligible),
                Action::GiveBack { .. } => Some(Reason::GivenBack),
                Action::Purge(_) => Some(Reason::NodePurged),
                Action::Heartbeat => None,
                Action::Complete { reason, .. } => Some(*reason),
            },
        }
    }

    /// How many of them each job has.
    pub fn left_by_job(&self) -> Option<BTreeMap<&str, usize>> {
        let mut jobs = BTreeMap::new();
        for allocation in self.left()? {
            *jobs.entry(allocation.job.as_str()).or_default() += 1;
        }
        Some(jobs)
    }

    /// When the newest drain of its nodes began, if one runs.
    pub fn drains_since(&self) -> Option<Timestamp> {
        let Nodes::Known(nodes) = &self.observation.nodes else { return None };
        let running = nodes.iter().filter(|seen| seen.node.drain.is_some());
        running
            .filter_map(|seen| seen.node.drain?.started_at.or(seen.node.last_drain.as_ref()?.started_at))
            .max()
    }

    /// When the drain that runs stops what is still there.
    pub fn deadline(&self) -> Option<Timestamp> {
        use drain_core::observation::DrainDeadline;

        let Nodes::Known(nodes) = &self.observation.nodes else { return None };
        let deadlines = nodes.iter().filter_map(|seen| match seen.node.drain?.deadline {
            DrainDeadline::At(moment) => Some(moment),
            DrainDeadline::Forced => seen.node.drain?.started_at,
            DrainDeadline::Never | DrainDeadline::Untold => None,
        });
        deadlines.max()
    }

    /// When the next heartbeat for its lifecycle action is due, if a sweep sends some.
    pub fn next_heartbeat(&self) -> Option<Timestamp> {
        let hold = self.observation.hold.as_ref().filter(|hold| self.policy.sweep && !hold.by_hand)?;
        Some(next_due(&self.observation, hold, self.at))
    }
}

/// Why nothing was done for an instance by hand.
#[derive(Debug, thiserror::Error)]
pub enum HandError {
    /// It is in no Auto Scaling group.
    #[error("{0} is in no Auto Scaling group of this account and region, so that no hook holds it")]
    InNoGroup(InstanceId),
    /// No terminate hook holds it.
    #[error("{instance} of group {group} is {state}: no terminate hook holds it")]
    NotHeld {
        /// The instance.
        instance: InstanceId,
        /// Its group.
        group: GroupName,
        /// Its `LifecycleState`.
        state: String,
    },
    /// The group has no hook of ours.
    #[error(
        "{group} has no terminate hook named {hooks}: it is another one that holds {instance}. See LIFECYCLE_HOOK_NAME"
    )]
    NotOurHook {
        /// The instance.
        instance: InstanceId,
        /// Its group.
        group: GroupName,
        /// The hooks that are ours.
        hooks: String,
    },
    /// No cluster is that of its group.
    #[error("no cluster of CLUSTERS_PARAMETER is that of group {0}, or several are")]
    NoCluster(GroupName),
    /// Auto Scaling has no active lifecycle action for it.
    #[error(
        "Auto Scaling has no active lifecycle action of our hooks for {0}: it was completed, has ended, or another hook holds it"
    )]
    NoActiveAction(InstanceId),
    /// Something could not be asked or done.
    #[error("{}", .0.explanation())]
    Failed(Rc<Error>),
}

impl From<Error> for HandError {
    fn from(error: Error) -> Self {
        Self::Failed(Rc::new(error))
    }
}

/// Whether this lets go of work that runs. The function does, when a drain's deadline has passed: its policy says so. Whoever is
/// at a terminal has not said so, and is asked to.
pub(crate) fn lets_go_of_work(decision: &Decision) -> bool {
    matches!(decision, Decision::Act(Action::Complete { reason: Reason::DrainTimeout, .. }))
}

/// Looks for one who waits as long as it takes. What cannot even begin is given up after a minute.
fn looks(now: Timestamp, poll_interval: SignedDuration, sweeping: bool, by_hand: ByHand) -> Looks {
    Looks {
        sweeping,
        poll_interval,
        linger_until: Timestamp::MAX,
        ends: crate::later(now, SignedDuration::from_mins(1)),
        warned: Warned::default(),
        chronicle: Rc::default(),
        by_hand: Some(by_hand),
    }
}

/// Looks for one who only looks.
fn only_looking(now: Timestamp, poll_interval: SignedDuration) -> Looks {
    looks(now, poll_interval, true, ByHand { wishes: Wishes::default(), onlooker: Box::new(|_| {}) })
}
