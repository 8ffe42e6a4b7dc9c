//! Calls that fail, before or after their effect.

use std::time::Duration;

use drain::Error;
use drain::aws::AwsError;
use drain_http::HttpError;
use jiff::Timestamp;
use nomad_client::{NomadError, Refusal, RefusalKind};

/// A call to the outside.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Call {
    Groups,
    Group,
    Hooks,
    WarmPool,
    Activities,
    Heartbeat,
    Complete,
    Nodes,
    Node,
    Allocations,
    Token,
    Drain,
    Ineligible,
    Drained,
    GiveBack,
    Purge,
    Members,
}

impl Call {
    pub(crate) const ALL: [Self; 17] = [
        Self::Groups,
        Self::Group,
        Self::Hooks,
        Self::WarmPool,
        Self::Activities,
        Self::Heartbeat,
        Self::Complete,
        Self::Nodes,
        Self::Node,
        Self::Allocations,
        Self::Token,
        Self::Drain,
        Self::Ineligible,
        Self::Drained,
        Self::GiveBack,
        Self::Purge,
        Self::Members,
    ];

    /// The operation, if it is one of Auto Scaling.
    fn of_auto_scaling(self) -> Option<&'static str> {
        match self {
            Self::Groups | Self::Group => Some("autoscaling:DescribeAutoScalingGroups"),
            Self::Hooks => Some("autoscaling:DescribeLifecycleHooks"),
            Self::WarmPool => Some("autoscaling:DescribeWarmPool"),
            Self::Activities => Some("autoscaling:DescribeScalingActivities"),
            Self::Heartbeat => Some("autoscaling:RecordLifecycleActionHeartbeat"),
            Self::Complete => Some("autoscaling:CompleteLifecycleAction"),
            Self::Members => Some("autoscaling:DescribeAutoScalingInstances"),
            Self::Nodes
            | Self::Node
            | Self::Allocations
            | Self::Token
            | Self::Drain
            | Self::Ineligible
            | Self::Drained
            | Self::GiveBack
            | Self::Purge => None,
        }
    }

    pub(crate) fn is_auto_scaling(self) -> bool {
        self.of_auto_scaling().is_some()
    }
}

/// How a call fails.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    TimeOut,
    TimeOutAfterEffect,
    Reset,
    ResetAfterEffect,
    Refused,
    Throttled,
    InternalError,
    NoLeader,
    Denied,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::TimeOut,
        Self::TimeOutAfterEffect,
        Self::Reset,
        Self::ResetAfterEffect,
        Self::Refused,
        Self::Throttled,
        Self::InternalError,
        Self::NoLeader,
        Self::Denied,
    ];

    /// Whether the call has its effect all the same.
    pub(crate) fn has_effect(self) -> bool {
        matches!(self, Self::TimeOutAfterEffect | Self::ResetAfterEffect)
    }
}

/// Which calls fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    One(Call),
    AutoScaling,
    Nomad,
}

/// Calls that will fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) scope: Scope,
    pub(crate) kind: Kind,
    /// How many calls, if not all of them.
    pub(crate) calls: Option<u32>,
    /// Until when.
    pub(crate) until: Timestamp,
}

impl Fault {
    /// Whether it hits this call, and if so counts it.
    pub(crate) fn hits(&mut self, call: Call, now: Timestamp) -> bool {
        let meant = match self.scope {
            Scope::One(one) => one == call,
            Scope::AutoScaling => call.is_auto_scaling(),
            Scope::Nomad => !call.is_auto_scaling(),
        };
        if !meant || self.is_over(now) {
            return false;
        }
        if let Some(calls) = &mut self.calls {
            *calls -= 1;
        }
        true
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.calls == Some(0) || now >= self.until
    }
}

/// The error that the real world would give.
pub(crate) fn error(call: Call, kind: Kind) -> Error {
    match call.of_auto_scaling() {
        Some(operation) => Error::AutoScaling { group: None, source: of_aws(operation, kind) },
        None => of_nomad(call, kind),
    }
}

fn of_aws(operation: &str, kind: Kind) -> AwsError {
    let refused = |status, code: &str| refusal_of_aws(operation, status, code, "the lab says so");
    match kind {
        Kind::Throttled => refused(400, "Throttling"),
        Kind::InternalError | Kind::NoLeader => refused(500, "InternalFailure"),
        Kind::Denied => refused(403, "AccessDenied"),
        Kind::TimeOut | Kind::TimeOutAfterEffect | Kind::Reset | Kind::ResetAfterEffect | Kind::Refused => {
            AwsError::NoAnswer { operation: operation.to_owned(), source: broken(kind) }
        }
    }
}

/// AWS says no.
pub(crate) fn refusal_of_aws(operation: &str, status: u16, code: &str, message: &str) -> AwsError {
    let (code, message) = (code.to_owned(), message.to_owned());
    AwsError::Refused { operation: operation.to_owned(), status, code, message }
}

fn of_nomad(call: Call, kind: Kind) -> Error {
    match kind {
        Kind::Throttled => Error::NomadRefused(refusal(call, RefusalKind::TooManyConnections, 429)),
        Kind::InternalError => Error::NomadRefused(refusal(call, RefusalKind::Other, 500)),
        Kind::NoLeader => Error::NoClusterLeader(refusal(call, RefusalKind::NoLeader, 500)),
        Kind::Denied => {
            let source = refusal(call, RefusalKind::Token, 403);
            Error::NomadTokenRefused { token: Some("the token in SSM parameter /token".to_owned()), source }
        }
        Kind::TimeOut | Kind::TimeOutAfterEffect | Kind::Reset | Kind::ResetAfterEffect | Kind::Refused => {
            let (operation, server) = (format!("{call:?}"), "http://nomad".to_owned());
            Error::NomadUnavailable(NomadError::NoAnswer { operation, server, source: broken(kind) })
        }
    }
}

/// Nomad says that there is no such node.
pub(crate) fn node_gone(call: Call) -> Error {
    Error::NodeGone(refusal(call, RefusalKind::NodeNotFound, 404))
}

fn refusal(call: Call, kind: RefusalKind, status: u16) -> NomadError {
    let refusal = Refusal { kind, status, text: "the lab says so".to_owned() };
    NomadError::Refused { operation: format!("{call:?}"), server: "http://nomad".to_owned(), refusal }
}

fn broken(kind: Kind) -> HttpError {
    let address = "lab:80".to_owned();
    match kind {
        Kind::TimeOut | Kind::TimeOutAfterEffect => {
            HttpError::TimedOut { address, after: Duration::from_secs(10) }
        }
        Kind::Refused => HttpError::Refused { address },
        Kind::Reset
        | Kind::ResetAfterEffect
        | Kind::Throttled
        | Kind::InternalError
        | Kind::NoLeader
        | Kind::Denied => HttpError::Disconnected { address, source: "reset".into() },
    }
}
