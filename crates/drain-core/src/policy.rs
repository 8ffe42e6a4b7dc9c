//! What the operator has asked for.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// The settings that decisions depend on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a variable that is on or off by itself")]
pub struct Policy {
    /// How long allocations may take to leave before Nomad stops them (`DRAIN_DEADLINE`).
    pub drain_deadline: SignedDuration,
    /// Whether system jobs stay on the node (`DRAIN_IGNORE_SYSTEM_JOBS`).
    pub ignore_system_jobs: bool,
    /// Whether to say what would be done, and do nothing (`DRY_RUN`).
    pub dry_run: bool,
    /// Whether a sweep is deployed that goes on where this invocation ends (`SWEEP`).
    pub sweep: bool,
    /// For how long an instance is kept alive with heartbeats, from the hook's start (`MAX_HOLD`).
    pub max_hold: SignedDuration,
    /// How long tasks may still be stopping after their drain's deadline (`KILL_GRACE`).
    pub kill_grace: SignedDuration,
    /// What completes the hook when allocations outlive deadline and grace (`ON_DRAIN_TIMEOUT`).
    pub on_drain_timeout: ActionResult,
    /// What becomes of an instance whose node is not found (`ON_NODE_NOT_FOUND`).
    pub on_node_not_found: OnNodeNotFound,
    /// How long a node may take to join the cluster, from the hook's start (`NODE_JOIN_GRACE`).
    pub node_join_grace: SignedDuration,
    /// How long a node may be `disconnected` before its work counts as lost (`DISCONNECTED_GRACE`).
    pub disconnected_grace: SignedDuration,
    /// How long a node may be `down` before its work counts as lost (`DOWN_GRACE`).
    pub down_grace: SignedDuration,
    /// How long to wait between "all stopped" and the completion (`SETTLE_DELAY`).
    pub settle_delay: SignedDuration,
    /// Whether to send heartbeats and do nothing else (`PAUSE`).
    pub pause: bool,
    /// How long after its drain began a node is given back whose instance has survived a rebalance recommendation or a
    /// scheduled change (`RESTORE_AFTER`).
    pub restore_after: SignedDuration,
    /// How many nodes of a group may drain at once (`MAX_DRAINS_PER_GROUP`); `None` is any number.
    pub max_drains_per_group: Option<u32>,
    /// Whether the nodes of ended instances are purged (`PURGE_NODES`).
    pub purge_nodes: bool,
    /// The AWS region whose instances Auto Scaling tells us of (`AWS_REGION`).
    pub aws_region: Option<String>,
}

/// `LifecycleActionResult`: how a lifecycle action is completed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ActionResult {
    /// `CONTINUE`: the instance goes on to its end, after the group's other hooks.
    Continue,
    /// `ABANDON`: the other hooks are skipped, and a group whose instance lifecycle policy says so retains the
    /// instance (`Terminating:Retained`).
    Abandon,
}

impl ActionResult {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "CONTINUE",
            Self::Abandon => "ABANDON",
        }
    }
}

/// `ON_NODE_NOT_FOUND`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNodeNotFound {
    /// Complete the hook with this.
    Complete(ActionResult),
    /// Keep the instance, as long as heartbeats may.
    Hold,
}

impl Default for Policy {
    /// The defaults of the variables.
    fn default() -> Self {
        Self {
            drain_deadline: SignedDuration::from_hours(1),
            ignore_system_jobs: false,
            dry_run: false,
            sweep: false,
            max_hold: SignedDuration::from_hours(2),
            kill_grace: SignedDuration::from_mins(2),
            on_drain_timeout: ActionResult::Continue,
            on_node_not_found: OnNodeNotFound::Complete(ActionResult::Continue),
            node_join_grace: SignedDuration::from_mins(5),
            disconnected_grace: SignedDuration::from_mins(2),
            down_grace: SignedDuration::from_secs(60),
            settle_delay: SignedDuration::ZERO,
            pause: false,
            restore_after: SignedDuration::from_mins(30),
            max_drains_per_group: None,
            purge_nodes: false,
            aws_region: None,
        }
    }
}
