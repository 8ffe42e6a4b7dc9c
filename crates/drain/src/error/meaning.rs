//! What a failure means for the loop, which goes on where it can.

use drain_core::observation::Obstacle;
use nomad_client::NomadError;

use super::Error;
use crate::aws::{AwsError, MissingPermission};
use crate::config::Purpose;

#[expect(clippy::wildcard_enum_match_arm, reason = "each asks for a few of many kinds")]
impl Error {
    /// Whether whoever could know of a node for the instance was asked, and there is none.
    pub fn means_absent(&self) -> bool {
        matches!(self, Self::NodeNotFound { .. } | Self::NoPrivateIp { .. })
    }

    /// What to tell of two failures in a row: that the time is over says nothing of what took it.
    pub(crate) fn or_earlier(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier) if matches!(self, Self::OutOfTime) => earlier,
            _ => self,
        }
    }

    /// Whether a write that failed like this may have taken effect all the same.
    pub fn may_have_taken_effect(&self) -> bool {
        // Nothing was changed on a node that is not there.
        !matches!(self, Self::NodeGone(_))
            && self.nomad_error().is_some_and(NomadError::may_have_taken_effect)
    }

    /// Whether Auto Scaling said that there is no such lifecycle action (any more).
    pub fn is_no_active_action(&self) -> bool {
        matches!(self, Self::AutoScaling { source, .. } if source.is_no_active_action())
    }

    /// The permission that whoever called lacks, if that is what went wrong.
    pub fn missing_permission(&self) -> Option<MissingPermission> {
        let group = match self {
            Self::AutoScaling { group, .. } => group.as_ref(),
            _ => None,
        };
        self.refused_by_aws()?.missing_permission(group)
    }

    /// Who called, if AWS refused it: the function's role, or somebody at a terminal.
    pub(crate) fn caller(&self) -> Option<String> {
        self.refused_by_aws().map(AwsError::caller)
    }

    fn refused_by_aws(&self) -> Option<&AwsError> {
        match self {
            Self::AutoScaling { source, .. }
            | Self::Ec2Unavailable { source, .. }
            | Self::IdentityUnavailable(source) => Some(source),
            _ => None,
        }
    }

    /// Whether nothing answered at the agent's address.
    pub(crate) fn is_agent_silence(&self) -> bool {
        match self {
            Self::AgentIsNoClient { .. } => true,
            Self::AgentUnreachable { source: NomadError::NoAnswer { source, .. }, .. } => source.is_silence(),
            _ => false,
        }
    }

    /// Whether a certificate was not accepted, theirs or ours.
    pub(crate) fn is_about_certificates(&self) -> bool {
        matches!(
            self,
            Self::TlsVerificationFailed(_)
                | Self::ClientCertificateDemanded(_)
                | Self::ClientCertificateRefused(_)
        )
    }

    /// What it hides from a decision.
    pub fn obstacle(&self) -> Obstacle {
        match self {
            Self::NomadTokenRefused { .. }
            | Self::StoredValueNotFound { purpose: Purpose::Token, .. }
            | Self::StoredValueAccessDenied { purpose: Purpose::Token, .. }
            | Self::TokenInvalid { .. }
            | Self::LoginRefused { .. }
            | Self::ShortLivedTokenUnsafe { .. }
            | Self::AgentTokenRefused { .. }
            | Self::AgentNeedsToken { .. } => Obstacle::TokenRefused,
            Self::NoClusterLeader(_) => Obstacle::NoLeader,
            Self::WrongNode { .. }
            | Self::InvalidNodeId(_)
            | Self::AnotherNode { .. }
            | Self::FilterIgnored { .. } => Obstacle::Unreadable,
            _ => Obstacle::Unreachable,
        }
    }

    fn nomad_error(&self) -> Option<&NomadError> {
        match self {
            Self::NomadTokenRefused { source, .. }
            | Self::NodeGone(source)
            | Self::NoClusterLeader(source)
            | Self::TlsVerificationFailed(source)
            | Self::ClientCertificateDemanded(source)
            | Self::ClientCertificateRefused(source)
            | Self::NomadUnavailable(source)
            | Self::NomadRefused(source) => Some(source),
            _ => None,
        }
    }
}
