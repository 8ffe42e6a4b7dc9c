//! What was seen, as plain data: read in full, or not here at all.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::ids::{GroupName, HookName, InstanceId, NodeId};
use crate::stamp::Stamp;

/// Why an instance is on its way out. The words are those of the stamp.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// Auto Scaling terminates it.
    Terminate,
    /// Auto Scaling puts it back into a warm pool: the same node comes back later.
    WarmPool,
    /// An instance refresh replaces its root volume: the instance comes back, perhaps as another node.
    RootVolume,
}

impl Cause {
    /// The word in the stamp.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::WarmPool => "warm-pool",
            Self::RootVolume => "root-volume",
        }
    }
}

/// What an event says: this instance has to be empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// The instance.
    pub instance: InstanceId,
    /// Its Auto Scaling group.
    pub group: Option<GroupName>,
    /// The lifecycle hook that holds it.
    pub hook: Option<HookName>,
    /// Why it is going.
    pub cause: Cause,
    /// When the hook began to hold it: the event's `Time`.
    pub hook_started_at: Option<Timestamp>,
}

/// A Nomad client node, as one consistent read of it showed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Whether new allocations may be placed on it.
    pub eligible: bool,
    /// The drain that runs on it, if one does.
    pub drain: Option<RunningDrain>,
    /// The newest drain, running or over.
    pub last_drain: Option<LastDrain>,
}

/// When a running drain stops what is still there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunningDrain {
    /// Never: allocations may take as long as they like (`Deadline` 0).
    NoDeadline,
    /// At this moment (`ForceDeadline`).
    Until(Timestamp),
    /// At once (`Deadline` below 0).
    Forced,
}

/// Nomad's record of the newest drain of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastDrain {
    /// How it stands.
    pub status: LastDrainStatus,
    /// What whoever posted it attached to it.
    pub meta: BTreeMap<String, String>,
}

impl LastDrain {
    /// Our stamp, if this drain carries one.
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::from_meta(&self.meta)
    }
}

/// Nomad's `LastDrain.Status`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastDrainStatus {
    /// It runs.
    Draining,
    /// It came to its end, by its allocations or by its deadline.
    Complete,
    /// Somebody ended it before its end.
    Canceled,
}

/// One instance's node and what is known of the instance: all that a decision depends on besides policy and time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observation {
    /// What the event said.
    pub target: Target,
    /// The node, read after the event arrived.
    pub node: Node,
}

/// `DrainSpec` of a drain request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DrainSpec {
    /// Nanoseconds, never 0, which Nomad reads as "no deadline at all"; below 0 means now.
    pub deadline: SignedDuration,
    /// Whether system jobs stay.
    pub ignore_system_jobs: bool,
}

impl DrainSpec {
    /// Nomad's own way to say "now": what `nomad node drain -force` sends.
    pub const FORCE: SignedDuration = SignedDuration::from_secs(-1);

    /// A drain that has `left` to end in. Less than a second is no time: such a drain is forced.
    pub fn within(left: SignedDuration, ignore_system_jobs: bool) -> Self {
        let deadline = if left < SignedDuration::from_secs(1) { Self::FORCE } else { left };
        Self { deadline, ignore_system_jobs }
    }
}
