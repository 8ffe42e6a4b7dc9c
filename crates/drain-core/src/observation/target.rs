//! An instance that something has to be done for: what, why, and how we came to know.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::{GroupName, HookName, InstanceId};

/// Why an instance is on its way out. The words are those of the stamp.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Auto Scaling terminates it.
    Terminate,
    /// Auto Scaling puts it back into a warm pool: the same node comes back later.
    WarmPool,
    /// An instance refresh replaces its root volume: the instance comes back, perhaps as another node.
    RootVolume,
    /// EC2 takes it back within two minutes: a spot instance, or one of an interruptible capacity reservation.
    Spot,
    /// EC2 recommends to replace a spot instance before it is interrupted. It may survive.
    Rebalance,
    /// AWS Health announces that its host will be changed. It may survive.
    ScheduledChange,
    /// It is being stopped or shut down, and nobody waits for its work.
    StateChange,
    /// An operator wants it empty.
    Manual,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 8] = [
        Self::Terminate,
        Self::WarmPool,
        Self::RootVolume,
        Self::Spot,
        Self::Rebalance,
        Self::ScheduledChange,
        Self::StateChange,
        Self::Manual,
    ];

    /// The word in the stamp.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::WarmPool => "warm-pool",
            Self::RootVolume => "root-volume",
            Self::Spot => "spot",
            Self::Rebalance => "rebalance",
            Self::ScheduledChange => "scheduled-change",
            Self::StateChange => "state-change",
            Self::Manual => "manual",
        }
    }

    /// Whether the instance leaves only for a while, with its node.
    pub fn comes_back(self) -> bool {
        matches!(self, Self::WarmPool | Self::RootVolume)
    }

    /// Whether EC2 or AWS Health tells it, whatever Auto Scaling does.
    pub fn is_announced(self) -> bool {
        matches!(self, Self::Spot | Self::StateChange) || self.may_survive()
    }

    /// Whether the instance may stay.
    pub fn may_survive(self) -> bool {
        matches!(self, Self::Rebalance | Self::ScheduledChange)
    }

    /// The cause that a stamp names; `None` if it is a word of a later version.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }
}

/// What is to be done for an instance.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Errand {
    /// It goes: its work has to move first.
    Drain(Cause),
    /// It comes, and our launch hook waits until its node takes work. Such an instance is never drained.
    Admit,
    /// It has come back, or was never taken: a node that we drained may take work again.
    GiveBack,
    /// It has ended: nothing is left but its node's record.
    Purge(Ending),
}

/// How an instance has ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It was terminated.
    Terminated,
    /// It was stopped: in a warm pool it will be started again.
    Stopped,
}

/// An instance that something has to be done for, and the lifecycle action that waits for it.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The instance.
    pub instance: InstanceId,
    /// Its Auto Scaling group.
    pub group: Option<GroupName>,
    /// The lifecycle hook that holds it.
    pub hook: Option<HookName>,
    /// The action's token (`LifecycleActionToken`), if an event brought it. Whoever has it can complete the action, so that it
    /// is never written down, and no decision depends on it.
    #[serde(skip)]
    pub token: Option<String>,
    /// What is to be done for it, and why.
    pub errand: Errand,
    /// When the event was sent, if one was.
    pub told_at: Option<Timestamp>,
    /// When the hook began to hold it: the event's `Time`, else what our stamp or the scaling activity says.
    pub hook_started_at: Option<Timestamp>,
    /// How we came to know of it.
    pub origin: Origin,
}

/// Leaves the token out: whoever has it can complete the action.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, group, hook, token, errand, told_at, hook_started_at, origin } = self;
        f.debug_struct("Target")
            .field("instance", instance)
            .field("group", group)
            .field("hook", hook)
            .field("token", &token.as_ref().map(|_| "…"))
            .field("errand", errand)
            .field("told_at", told_at)
            .field("hook_started_at", hook_started_at)
            .field("origin", origin)
            .finish()
    }
}

/// How long before its end EC2 warns an instance that it takes back (EC2 User Guide, "Spot Instance interruption
/// notices").
const INTERRUPTION_NOTICE: SignedDuration = SignedDuration::from_mins(2);

/// Kept back at the end of it, for tasks to stop and for the servers to hear of it.
const INTERRUPTION_MARGIN: SignedDuration = SignedDuration::from_secs(10);

impl Target {
    /// When its work has to be gone whatever anybody wants, if EC2 ends it by itself. `seen_at` is when we first looked.
    pub fn ends_at(&self, seen_at: Timestamp) -> Option<Timestamp> {
        let announced = self.told_at.map_or(seen_at, |told| told.min(seen_at));
        let notice = INTERRUPTION_NOTICE - INTERRUPTION_MARGIN;
        match self.cause()? {
            Cause::Spot => Some(announced.saturating_add(notice).unwrap_or(Timestamp::MAX)),
            Cause::StateChange => Some(seen_at),
            Cause::Terminate
            | Cause::WarmPool
            | Cause::RootVolume
            | Cause::Rebalance
            | Cause::ScheduledChange
            | Cause::Manual => None,
        }
    }

    /// Whether an interruption was announced so long ago that the instance is gone.
    pub fn is_too_late(&self, now: Timestamp) -> bool {
        let age = self.told_at.map(|told| now.duration_since(told));
        self.cause() == Some(Cause::Spot) && age.is_some_and(|age| age > INTERRUPTION_NOTICE)
    }

    /// Whether EC2 takes it, and no hook can be asked to wait.
    pub fn interrupts_by_itself(&self) -> bool {
        self.cause() == Some(Cause::Spot) && self.hook.is_none()
    }

    /// Whether it may well stay: somebody recommends that it be empty, or announces something.
    pub fn is_recommended(&self) -> bool {
        self.cause().is_some_and(Cause::may_survive)
    }

    /// Why its work has to move, if it has to.
    pub fn cause(&self) -> Option<Cause> {
        match self.errand {
            Errand::Drain(cause) => Some(cause),
            Errand::Admit | Errand::GiveBack | Errand::Purge(_) => None,
        }
    }
}

/// How we came to know of a target.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An event named it: our hook asked for the drain.
    Event,
    /// `EventBridge` told of our hook: it tells of every group that has a hook of that name.
    Bus,
    /// EC2 or AWS Health told everybody of it, whoever the instance belongs to. It is ours if one of our nodes carries its
    /// id.
    Broadcast,
    /// A sweep found it waiting. Auto Scaling does not say for which hook.
    Sweep,
}
