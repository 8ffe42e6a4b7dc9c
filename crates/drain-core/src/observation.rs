//! What was seen, as plain data: read in full, or not here at all.

mod target;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::stamp::{self, Stamp};

pub use target::{Cause, Ending, Errand, Origin, Target};

/// One instance as a single look showed it: all that a decision depends on besides policy and time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// What is to be done for whom.
    pub target: Target,
    /// The hook that holds it; `None` if nobody said which, so that nothing can be completed.
    pub hold: Option<Hold>,
    /// Its nodes.
    pub nodes: Nodes,
    /// Which allocations our token shows us.
    pub sight: Sight,
    /// What Auto Scaling says of the instance, where that was asked.
    pub member: Member,
    /// Since when this invocation has been looking at the instance.
    pub first_look: Timestamp,
}

impl Observation {
    /// Why its work has to move, if it has to. EC2 does not say for whom it stops an instance: one of a warm pool is
    /// stopped to be started again.
    pub fn cause(&self) -> Option<Cause> {
        match (self.target.cause(), &self.member) {
            (Some(Cause::StateChange), Member::InState(state))
                if state.starts_with("Warmed:") && !state.starts_with("Warmed:Terminat") =>
            {
                Some(Cause::WarmPool)
            }
            (cause, _) => cause,
        }
    }

    /// Whether the instance leaves only for a while.
    pub fn comes_back(&self) -> bool {
        self.cause().is_some_and(Cause::comes_back)
    }
}

/// What Auto Scaling says of an instance.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Member {
    /// Nobody asked, or it did not answer.
    #[default]
    Unknown,
    /// It is in no group (any more).
    OfNoGroup,
    /// Its lifecycle state, such as `InService`.
    InState(String),
}

/// What this invocation knows of the lifecycle action.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and every combination occurs")]
pub struct Hold {
    /// The hook's settings; `None` if they were not read.
    pub settings: Option<HookSettings>,
    /// Auto Scaling has said that no such action is active (any more).
    pub ended: bool,
    /// When this invocation's newest heartbeat was accepted. It proves that our hook holds the instance.
    pub last_heartbeat: Option<Timestamp>,
    /// Heartbeats are refused: a permission is missing.
    pub heartbeats_denied: bool,
    /// Heartbeats fail in a way that will not pass in this invocation. That proves nothing.
    pub heartbeats_failed: bool,
    /// The completion is refused: a permission is missing.
    pub completion_denied: bool,
    /// The group says that it wants to be left alone (tag `nomad-drain-hold`).
    pub paused: bool,
    /// A drain for this instance was seen to run or to have run, or was posted, in this invocation.
    pub drain_begun: bool,
    /// Others of its group drain first (`MAX_DRAINS_PER_GROUP`).
    pub queued: bool,
    /// Somebody at a terminal sees the drain through, and leaves the hook, if there is one, to others: no heartbeat is sent
    /// and nothing is completed; the end is told instead.
    pub by_hand: bool,
}

/// A lifecycle hook's timers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HookSettings {
    /// `HeartbeatTimeout`: how long it holds an instance without a heartbeat.
    pub heartbeat_timeout: SignedDuration,
    /// `GlobalTimeout`: how long it can hold an instance at most.
    pub global_timeout: SignedDuration,
}

/// The nodes of one instance.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Nodes {
    /// They could not be read. Never the same as [`Nodes::Absent`].
    Unknown(Obstacle),
    /// Whoever could know was asked, and there is none.
    Absent,
    /// This invocation has seen one, and it is gone: purged, or collected.
    Gone,
    /// These, the newest first. Several if an agent lost its data directory.
    Known(Vec<SeenNode>),
}

/// Why something could not be read.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// Nomad, or what is needed to ask it, does not answer.
    Unreachable,
    /// The cluster has no leader.
    NoLeader,
    /// Nomad refuses our token, or there is none to be had.
    TokenRefused,
    /// The answer is older than our own write.
    Stale,
    /// An answer that makes no sense.
    Unreadable,
}

/// A node and what runs on it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SeenNode {
    /// The node.
    pub node: Node,
    /// Its allocations, read after the node itself.
    pub allocations: Allocations,
}

/// The allocations on a node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Allocations {
    /// Not asked for: the node's state alone decides.
    NotRead,
    /// They could not be read.
    Unknown(Obstacle),
    /// Those that our token shows us.
    Listed(Vec<Allocation>),
}

/// Which allocations our token shows us. Nomad leaves out, without a word, those in namespaces for which a token lacks
/// `read-job`: an empty list means "nothing" only to a token that sees everything.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// Not found out yet.
    Unknown,
    /// All.
    Everything,
    /// Not all.
    NotEverything,
}

/// An allocation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// Its job.
    pub job: String,
    /// The job's namespace.
    pub namespace: String,
    /// Whether the job's type is `system`.
    pub system: bool,
    /// Whether the servers want it to run (`DesiredStatus` is `run`).
    pub wanted: bool,
    /// What its client says.
    pub client: ClientStatus,
    /// When it last changed.
    pub modified_at: Option<Timestamp>,
    /// At which raft index the servers gave it up (`lost`): they do so when its node is down.
    pub lost_at: Option<u64>,
}

/// What an allocation's client says of it (`ClientStatus`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientStatus {
    /// `pending`, `running`, or a word that we do not know.
    Live,
    /// `unknown`: the client is out of reach.
    Unknown,
    /// `complete`, `failed` or `lost`.
    Terminal,
}

/// A Nomad client node, as one consistent read of it showed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// What the servers think of its client.
    pub status: NodeStatus,
    /// Whether new allocations may be placed on it.
    pub eligible: bool,
    /// The drain that runs on it, if one does.
    pub drain: Option<RunningDrain>,
    /// The newest drain, running or over.
    pub last_drain: Option<LastDrain>,
    /// Whether somebody has changed its eligibility by hand.
    pub by_hand: ByHand,
    /// The availability zone of its instance, if it has found that out.
    pub availability_zone: Option<String>,
    /// The raft index of its last change: an answer with a smaller one is older.
    pub modify_index: u64,
}

/// When a node's eligibility was last changed by itself (`nomad node eligibility`), not by a drain. Nomad tells it in the
/// node's events, of which it keeps the newest ten.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ByHand {
    /// The newest such event that is known.
    pub changed_at: Option<Timestamp>,
    /// Since when events are known; `None` if none was forgotten.
    pub known_since: Option<Timestamp>,
}

impl ByHand {
    /// Whether the eligibility may have been changed after this moment, which is in whole seconds, cut off.
    pub fn since(self, moment: Timestamp) -> bool {
        let end = moment.saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
        self.changed_at.max(self.known_since).is_some_and(|changed| changed > end)
    }

    /// The same, where what happened within that second counts as well.
    pub fn perhaps_since(self, moment: Timestamp) -> bool {
        self.changed_at.max(self.known_since).is_some_and(|changed| changed >= moment)
    }
}

/// A node's status.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    /// `initializing`, or a status that we do not know: it takes no work yet.
    Initializing,
    /// `ready`.
    Ready,
    /// `down` since a heartbeat was missed at this moment.
    Down(Timestamp),
    /// `disconnected` since a heartbeat was missed at this moment: the client may still run its allocations.
    Disconnected(Timestamp),
}

impl NodeStatus {
    /// Whether its client is in touch with the servers.
    pub fn reports(self) -> bool {
        match self {
            Self::Initializing | Self::Ready => true,
            Self::Down(_) | Self::Disconnected(_) => false,
        }
    }
}

/// A running drain.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RunningDrain {
    /// When it stops what is still there.
    pub deadline: DrainDeadline,
    /// Whether system jobs stay.
    pub ignore_system_jobs: bool,
    /// When it began; a change of the drain does not move it.
    pub started_at: Option<Timestamp>,
}

/// When a running drain stops what is still there.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DrainDeadline {
    /// Never: allocations may take as long as they like (`Deadline` 0).
    Never,
    /// At this moment (`ForceDeadline`).
    At(Timestamp),
    /// At once (`Deadline` below 0).
    Forced,
    /// At a moment that the servers do not tell.
    Untold,
}

/// Nomad's record of the newest drain of a node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LastDrain {
    /// How it stands.
    pub status: LastDrainStatus,
    /// When it began, in whole seconds.
    pub started_at: Option<Timestamp>,
    /// When it was last changed; of one that is over, when it ended. In whole seconds.
    pub updated_at: Option<Timestamp>,
    /// What whoever posted it attached to it. Of a drain that is not ours only the names are written down: its values may be
    /// anything.
    #[serde(serialize_with = "stamp::serialize_meta")]
    pub meta: BTreeMap<String, String>,
}

impl LastDrain {
    /// Our stamp, if this drain carries one.
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::from_meta(&self.meta)
    }
}

/// Nomad's `LastDrain.Status`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LastDrainStatus {
    /// It runs.
    Draining,
    /// It came to its end, by its allocations or by its deadline.
    Complete,
    /// Somebody ended it before its end.
    Canceled,
}

impl Node {
    /// Whether what runs on it matters to the next decision. A node that is not draining and takes new work is drained
    /// whatever runs on it.
    pub fn asks_for_allocations(&self) -> bool {
        self.drain.is_some() || !self.eligible
    }
}

impl SeenNode {
    /// The allocations that have to end before the instance may, if they could be read: live ones, and those out of
    /// reach unless the node is down. On a disconnected node they may run, until `DISCONNECTED_GRACE` gives them up.
    /// System jobs do not count if they are to stay.
    pub fn counted(&self, ignore_system_jobs: bool) -> Option<impl Iterator<Item = &Allocation>> {
        let Allocations::Listed(all) = &self.allocations else { return None };
        let down = matches!(self.node.status, NodeStatus::Down(_));
        Some(all.iter().filter(move |allocation| {
            let runs = match allocation.client {
                ClientStatus::Live => true,
                ClientStatus::Unknown => !down,
                ClientStatus::Terminal => false,
            };
            runs && !(ignore_system_jobs && allocation.system)
        }))
    }

    /// Whether servers have given up an allocation since the node was read: then it must have gone down in between, and its
    /// allocations show nothing of what runs there.
    pub fn has_gone_down_since(&self) -> bool {
        let Allocations::Listed(all) = &self.allocations else { return false };
        self.node.status.reports()
            && all.iter().any(|one| one.lost_at.is_some_and(|lost| lost > self.node.modify_index))
    }

    /// Whether there is an allocation that has to end before the instance may, and whose client is out of reach: it may run
    /// there.
    pub fn is_any_out_of_reach(&self, ignore_system_jobs: bool) -> bool {
        let Allocations::Listed(all) = &self.allocations else { return false };
        let counts = |allocation: &&Allocation| !(ignore_system_jobs && allocation.system);
        all.iter().filter(counts).any(|allocation| allocation.client == ClientStatus::Unknown)
    }
}

/// `DrainSpec` of a drain request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
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
