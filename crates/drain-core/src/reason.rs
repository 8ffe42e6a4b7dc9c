//! Every reason for which we act, wait, or stop: one word for machines, explained in docs/operations.md.

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

use crate::policy::ActionResult;

/// What became of one instance or message. The words are those of a result's `outcome`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// We posted a drain, and it still runs.
    DrainStarted,
    /// A drain runs, or has run, that serves the purpose.
    Draining,
    /// We completed the lifecycle action with `CONTINUE`.
    Completed,
    /// We completed the lifecycle action with `ABANDON`.
    Abandoned,
    /// The hook's time-out and default result decide.
    LeftToHook,
    /// The instance is held until something changes.
    Held,
    /// A node that we drained takes work again.
    Restored,
    /// Nothing was to be done.
    Ignored,
}

impl Outcome {
    /// The word in the result.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DrainStarted => "drain_started",
            Self::Draining => "draining",
            Self::Completed => "completed",
            Self::Abandoned => "abandoned",
            Self::LeftToHook => "left_to_hook",
            Self::Held => "held",
            Self::Restored => "restored",
            Self::Ignored => "ignored",
        }
    }
}

impl From<ActionResult> for Outcome {
    fn from(result: ActionResult) -> Self {
        match result {
            ActionResult::Continue => Self::Completed,
            ActionResult::Abandon => Self::Abandoned,
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal => $outcome:ident,)+) => {
        /// Why.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason there is, so that a test can hold docs/operations.md to it.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word in the result and in the log.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// The outcome that goes with it. Of a completed lifecycle action, the result that it was completed with
            /// decides instead.
            pub fn outcome(self) -> Outcome {
                match self {
                    $(Self::$name => Outcome::$outcome,)+
                }
            }
        }
    };
}

/// A reason is written as its word.
impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = Self::ALL.iter().find(|reason| reason.as_str() == word);
        known.copied().ok_or_else(|| D::Error::custom(format!("{word:?} is no reason of this version")))
    }
}

reasons! {
    /// The drain was posted and Nomad accepted it.
    DrainPosted = "drain_posted" => DrainStarted,
    /// A drain was running whose deadline lay further away than it may: it was brought nearer.
    DeadlineBroughtNearer = "deadline_brought_nearer" => Draining,
    /// Nothing ran any more and Nomad did not end the drain: it was told to.
    StuckDrainEnded = "stuck_drain_ended" => Draining,
    /// The node is down or not ours to drain, and was made ineligible.
    MadeIneligible = "made_ineligible" => Draining,
    /// A drain runs that serves the purpose, and no hook is known that waits for it.
    AlreadyDraining = "already_draining" => Draining,
    /// The node has been drained, and no hook is known that waits for it.
    AlreadyDrained = "already_drained" => Draining,

    /// Every allocation has stopped: the lifecycle action was completed.
    Drained = "drained" => Completed,
    /// Allocations outlived the drain's deadline and the grace after it: completed by `ON_DRAIN_TIMEOUT`.
    DrainTimeout = "drain_timeout" => Completed,
    /// The node has been down for `DOWN_GRACE`: nothing is left on it to wait for.
    NodeDown = "node_down" => Completed,
    /// The node has been disconnected for `DISCONNECTED_GRACE`.
    NodeDisconnected = "node_disconnected" => Completed,
    /// The node was seen and is gone from the cluster.
    NodeGone = "node_gone" => Completed,
    /// No node was found for the instance within `NODE_JOIN_GRACE`: completed by `ON_NODE_NOT_FOUND`.
    NodeNotFound = "node_not_found" => Completed,
    /// The node of an instance that has come up is ready and takes work: the launch hook was completed.
    NodeReady = "node_ready" => Completed,
    /// The instance has ended and its node was down: the node was purged.
    NodePurged = "node_purged" => Completed,
    /// The instance came back, or was never taken, and nobody else had a hand in it: its node takes work again.
    GivenBack = "given_back" => Restored,
    /// Auto Scaling has no such lifecycle action (any more): somebody completed it, or another hook holds the instance.
    NoActiveAction = "no_active_action" => Ignored,
    /// The event is late, and the instance is not held (any more): it has ended, or has come back.
    NoLongerHeld = "no_longer_held" => Ignored,
    /// The interruption was announced more than two minutes ago: the instance is gone.
    TooLate = "too_late" => Ignored,

    /// Allocations still run.
    AllocationsRunning = "allocations_running" => Draining,
    /// Nothing runs any more; Nomad has not ended the drain yet.
    DrainEnding = "drain_ending" => Draining,
    /// Everything has stopped; `SETTLE_DELAY` has not passed yet.
    Settling = "settling" => Draining,
    /// The token may not read jobs in every namespace, so that an empty list of allocations proves nothing.
    CannotSeeAllocations = "cannot_see_allocations" => Draining,
    /// The node has missed heartbeats, for less than `DOWN_GRACE` or `DISCONNECTED_GRACE`.
    NodeSilent = "node_silent" => Held,
    /// Somebody cancelled the drain: it is begun again five minutes later.
    DrainCancelled = "drain_cancelled" => Held,
    /// No node is known for the instance yet, and `NODE_JOIN_GRACE` has not passed.
    WaitingForNode = "waiting_for_node" => Held,
    /// The node of an instance that comes up is ready, and takes no work: somebody has made it ineligible.
    NodeNotEligible = "node_not_eligible" => Held,
    /// As many nodes of the group drain as `MAX_DRAINS_PER_GROUP` allows: this one takes no work, and waits.
    WaitingForTurn = "waiting_for_turn" => Held,
    /// The instance has ended, and its node is not down yet: a live node is never purged.
    NodeNotDown = "node_not_down" => Held,
    /// No node is known for the instance, and `ON_NODE_NOT_FOUND` is `hold`.
    HeldWithoutNode = "held_without_node" => Held,
    /// `PAUSE`, or the group's tag `nomad-drain-hold`: heartbeats only.
    Paused = "paused" => Held,
    /// Nomad, or what is needed to ask it, does not answer.
    NomadUnreachable = "nomad_unreachable" => Held,
    /// Nomad's cluster has no leader.
    NoClusterLeader = "no_cluster_leader" => Held,
    /// Nomad refuses the token, or the token cannot be had.
    NomadTokenRefused = "nomad_token_refused" => Held,
    /// Nomad's answer is older than our own write, or makes no sense.
    NomadUnreadable = "nomad_unreadable" => Held,
    /// Auto Scaling did not answer, or asked for fewer calls.
    AutoScalingUnavailable = "auto_scaling_unavailable" => Held,
    /// The sweep's time was over before it was the instance's turn.
    OutOfTime = "out_of_time" => Held,

    /// `MAX_HOLD`, or the hook's global limit, has passed: no more heartbeats.
    MaxHoldReached = "max_hold_reached" => LeftToHook,
    /// No node is known, and neither is when the hook began, so that no grace can be counted: no heartbeats.
    HookStartUnknown = "hook_start_unknown" => LeftToHook,
    /// The function's role may not complete the lifecycle action.
    CompletionDenied = "completion_denied" => LeftToHook,
    /// The invocation's time has ended and no sweep goes on: the hook's own time-out takes over.
    HookTimeoutTakesOver = "hook_timeout_takes_over" => LeftToHook,

    /// `DRY_RUN` is on: this would have been done.
    DryRun = "dry_run" => Ignored,
    /// The group is not one that the sweep watches.
    GroupNotWatched = "group_not_watched" => Ignored,
    /// The group is none of any cluster.
    NoCluster = "no_cluster" => Ignored,
    /// Auto Scaling's test message, sent whenever a hook or a notification is set up.
    TestNotification = "test_notification" => Ignored,
    /// A node that we drained takes no work, and it is not the time, or not for us, to change that.
    NotGivenBack = "not_given_back" => Ignored,
    /// No node of ours carries the instance's id: EC2 tells everybody of every instance.
    NotOurInstance = "not_our_instance" => Ignored,
    /// The instance has ended; its node is left to Nomad, because `PURGE_NODES` is off or there is none.
    InstanceEnded = "instance_ended" => Ignored,
    /// A change of state that says nothing about an end.
    InstanceRunning = "instance_running" => Ignored,
    /// A rebalance recommendation, and `ON_REBALANCE` is `ignore`.
    RebalanceIgnored = "rebalance_ignored" => Ignored,
    /// A scheduled change, and `ON_SCHEDULED_CHANGE` is `ignore`; or one that is over.
    ScheduledChangeIgnored = "scheduled_change_ignored" => Ignored,
    /// An instance is being launched, and `ON_LAUNCH` is `ignore`.
    LaunchTransition = "launch_transition" => Ignored,
    /// An ordinary notification of the group ("instance terminated"), not a lifecycle action.
    GroupNotification = "group_notification" => Ignored,
    /// A message on the topic that is not from Auto Scaling.
    ForeignMessage = "foreign_message" => Ignored,
    /// The lifecycle hook is not one of `LIFECYCLE_HOOK_NAME`.
    OtherHook = "other_hook" => Ignored,
}
