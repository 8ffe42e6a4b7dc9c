//! What a test sees of the cluster.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// Nomad's words for a client that fell silent.
pub(super) const HEARTBEAT_MISSED: &str = "Node heartbeat missed";

/// A node as the servers know it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct NodeView {
    /// Its id, a UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The EC2 instance on which it says it runs.
    pub instance_id: Option<String>,
    /// Its IP address.
    pub address: String,
    /// Its status.
    pub status: NodeStatus,
    /// When its status was last written, to the second. Every write of a drain or of the eligibility counts too, so
    /// this does not say since when it is down: [`NodeView::heartbeat_missed_at`] does.
    pub status_updated_at: Timestamp,
    /// Whether allocations may be placed on it.
    pub eligible: bool,
    /// The drain that runs.
    pub drain: Option<DrainStrategy>,
    /// The last drain, running or not.
    pub last_drain: Option<LastDrain>,
    /// What happened to it: the last ten.
    pub events: Vec<NodeEvent>,
    /// The raft index at which it registered.
    pub create_index: u64,
    /// The raft index of its last change.
    pub modify_index: u64,
}

impl NodeView {
    /// When the servers last noticed that its client was silent, as far as its history goes back.
    pub fn heartbeat_missed_at(&self) -> Option<Timestamp> {
        self.events.iter().rev().find(|event| event.message == HEARTBEAT_MISSED).map(|event| event.at)
    }
}

/// An allocation as the servers know it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AllocView {
    /// Its id, a UUID.
    pub id: String,
    /// Its name: `web.app[0]`.
    pub name: String,
    /// The namespace of its job.
    pub namespace: String,
    /// Its job.
    pub job_id: String,
    /// The type of its job.
    pub kind: JobKind,
    /// Its node.
    pub node_id: String,
    /// What the servers want.
    pub desired: DesiredStatus,
    /// What its client says.
    pub client: ClientStatus,
    /// Whether a drain has marked it for migration.
    pub migrate: bool,
    /// Its health, once there is a verdict. Only allocations of services get one.
    pub healthy: Option<bool>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When its client said that it runs.
    pub started_at: Option<Timestamp>,
    /// When its client said that it had ended.
    pub ended_at: Option<Timestamp>,
    /// When the servers or its client last changed it: `ModifyTime`.
    pub modified_at: Timestamp,
    /// The raft index of its last change.
    pub modify_index: u64,
}

/// The status of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// Registered, no heartbeat yet.
    Initializing,
    /// Heartbeats arrive.
    Ready,
    /// Heartbeats are missing; its allocations are lost.
    Down,
    /// Heartbeats are missing; its allocations may come back.
    Disconnected,
}

impl NodeStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Ready => "ready",
            Self::Down => "down",
            Self::Disconnected => "disconnected",
        }
    }
}

/// The type of a job.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Runs until it is stopped, so many times in the cluster.
    Service,
    /// Runs until it ends.
    Batch,
    /// Runs until it is stopped, once on every node.
    System,
    /// Runs until it ends, once on every node.
    Sysbatch,
}

impl JobKind {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Batch => "batch",
            Self::System => "system",
            Self::Sysbatch => "sysbatch",
        }
    }

    /// Whether it runs once on every node.
    pub(super) fn is_per_node(self) -> bool {
        matches!(self, Self::System | Self::Sysbatch)
    }

    /// Whether it can end by itself.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::Batch | Self::Sysbatch)
    }
}

/// What the servers want of an allocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DesiredStatus {
    /// It is to run.
    Run,
    /// It is to stop.
    Stop,
}

impl DesiredStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Stop => "stop",
        }
    }
}

/// What a client says of an allocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientStatus {
    /// Not started yet.
    Pending,
    /// Its task runs.
    Running,
    /// Its task has ended.
    Complete,
    /// Its node is down.
    Lost,
    /// Its node is disconnected.
    Unknown,
}

impl ClientStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing runs any more. Unknown is not terminal.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Complete | Self::Lost)
    }
}

/// A drain that runs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DrainStrategy {
    /// As it was asked for: zero never forces, a negative one forces at once.
    pub deadline: SignedDuration,
    /// Whether system jobs stay.
    pub ignore_system_jobs: bool,
    /// When what is left is forced; nothing with a deadline of zero or less.
    pub force_deadline: Option<Timestamp>,
    /// When the drain began. A second request does not change it.
    pub started_at: Timestamp,
}

/// The last drain of a node. Its times are whole seconds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LastDrain {
    /// When it began.
    pub started_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Where it stands.
    pub status: DrainStatus,
    /// Who asked: `token:<accessor id>`.
    pub accessor_id: String,
    /// What the requester noted.
    pub meta: BTreeMap<String, String>,
}

/// Where a drain stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DrainStatus {
    /// It runs.
    Draining,
    /// It is over. That does not mean that every task has ended.
    Complete,
    /// Somebody cancelled it.
    Canceled,
}

impl DrainStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Complete => "complete",
            Self::Canceled => "canceled",
        }
    }
}

/// One line in a node's history.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct NodeEvent {
    /// When.
    pub at: Timestamp,
    /// What happened, in Nomad's words.
    pub message: String,
    /// `Cluster` or `Drain`.
    pub subsystem: &'static str,
    /// More about it: `deadline_reached`.
    pub details: BTreeMap<String, String>,
    /// The raft index at which it happened.
    pub create_index: u64,
}
