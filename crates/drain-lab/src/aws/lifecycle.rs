//! The states that an instance passes through in its group, and the journeys that a lifecycle hook can hold up.

use std::fmt;

use super::hook::Transition;

/// The lifecycle state of an instance, as Auto Scaling spells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LifecycleState {
    /// `Pending:Wait`: a launch hook holds it.
    PendingWait,
    /// `InService`.
    InService,
    /// `Terminating:Wait`: a terminate hook holds it.
    TerminatingWait,
    /// `Terminating:Proceed`: no hook holds it any more, EC2 is shutting it down.
    TerminatingProceed,
    /// `Terminating:Retained`: its hook was abandoned and the group keeps such instances.
    TerminatingRetained,
    /// `Terminated`: it has left its group.
    Terminated,
    /// `ReplacingRootVolume:Wait`: a terminate hook holds it before its root volume is replaced.
    ReplacingRootVolumeWait,
    /// `Warmed:Pending:Wait`: a terminate hook holds it on its way back into the warm pool.
    WarmedPendingWait,
    /// `Warmed:Pending:Retained`: as [`LifecycleState::TerminatingRetained`], on the way into the warm pool.
    WarmedPendingRetained,
    /// `Warmed:Terminating:Wait`: a terminate hook holds it, and it came from the warm pool.
    WarmedTerminatingWait,
    /// `Warmed:Terminating:Proceed`: as [`LifecycleState::TerminatingProceed`], from the warm pool.
    WarmedTerminatingProceed,
    /// `Warmed:Terminating:Retained`: as [`LifecycleState::TerminatingRetained`], from the warm pool.
    WarmedTerminatingRetained,
    /// `Warmed:Stopped`: it waits in the warm pool.
    WarmedStopped,
}

impl LifecycleState {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingWait => "Pending:Wait",
            Self::InService => "InService",
            Self::TerminatingWait => "Terminating:Wait",
            Self::TerminatingProceed => "Terminating:Proceed",
            Self::TerminatingRetained => "Terminating:Retained",
            Self::Terminated => "Terminated",
            Self::ReplacingRootVolumeWait => "ReplacingRootVolume:Wait",
            Self::WarmedPendingWait => "Warmed:Pending:Wait",
            Self::WarmedPendingRetained => "Warmed:Pending:Retained",
            Self::WarmedTerminatingWait => "Warmed:Terminating:Wait",
            Self::WarmedTerminatingProceed => "Warmed:Terminating:Proceed",
            Self::WarmedTerminatingRetained => "Warmed:Terminating:Retained",
            Self::WarmedStopped => "Warmed:Stopped",
        }
    }

    /// Whether the instance is in the group's warm pool: such instances show in `DescribeWarmPool`, not in
    /// `DescribeAutoScalingGroups`.
    pub fn is_warmed(self) -> bool {
        self.as_str().starts_with("Warmed:")
    }
}

impl fmt::Display for LifecycleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a hook holds an instance: what happens to it before and after.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Journey {
    /// A new instance comes into service.
    Launch,
    /// An instance of the warm pool comes into service.
    LaunchFromWarmPool,
    /// An instance comes back with a new root volume.
    LaunchWithNewRootVolume,
    /// An instance of the group ends.
    Terminate,
    /// An instance of the warm pool ends.
    TerminateFromWarmPool,
    /// A scale-in puts an instance back into the warm pool: the terminate hook holds it all the same.
    ReturnToWarmPool,
    /// An instance refresh replaces the root volume: the terminate hook holds it all the same.
    ReplaceRootVolume,
}

/// What a hook's message says about a journey, and the state in which the hook holds the instance.
pub(super) struct Facts {
    pub(super) transition: Transition,
    pub(super) waiting: LifecycleState,
    pub(super) origin: &'static str,
    pub(super) destination: &'static str,
    pub(super) action: Option<&'static str>,
}

impl Journey {
    pub(super) fn facts(self) -> Facts {
        use LifecycleState as State;
        use Transition::{Launching, Terminating};
        const EC2: &str = "EC2";
        const GROUP: &str = "AutoScalingGroup";
        const POOL: &str = "WarmPool";
        const NEW_ROOT: Option<&str> = Some("ReplaceRootVolume");
        let (transition, waiting, origin, destination, action) = match self {
            Self::Launch => (Launching, State::PendingWait, EC2, GROUP, None),
            Self::LaunchFromWarmPool => (Launching, State::PendingWait, POOL, GROUP, None),
            Self::LaunchWithNewRootVolume => (Launching, State::PendingWait, GROUP, GROUP, NEW_ROOT),
            Self::Terminate => (Terminating, State::TerminatingWait, GROUP, EC2, None),
            Self::TerminateFromWarmPool => (Terminating, State::WarmedTerminatingWait, POOL, EC2, None),
            Self::ReturnToWarmPool => (Terminating, State::WarmedPendingWait, GROUP, POOL, None),
            Self::ReplaceRootVolume => (Terminating, State::ReplacingRootVolumeWait, GROUP, GROUP, NEW_ROOT),
        };
        Facts { transition, waiting, origin, destination, action }
    }
}
