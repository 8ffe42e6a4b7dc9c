//! Why an instance could not be drained, for the person who reads it: what failed, on what, why, and what to do.

mod meaning;
mod next_step;

use std::fmt;

use drain_core::ids::{GroupName, InstanceId, InvalidNodeId, NodeId};
use drain_http::HttpError;
use nomad_client::{InvalidToken, NomadError, RefusalKind};

use crate::aws::{AwsError, ec2, secrets_manager, ssm};
use crate::config::{ConfigurationError, Place, Purpose};
use crate::event::EventError;

/// A failure. The name of the variant is the `errorType` of the invocation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment's variables cannot be used.
    #[error(transparent)]
    ConfigurationError(#[from] ConfigurationError),
    /// The event cannot be understood.
    #[error("the event cannot be understood")]
    Event(#[source] EventError),
    /// What should hold a value is not there.
    #[error("{place}, which should hold {purpose}, does not exist in {region}")]
    StoredValueNotFound {
        /// What it is for.
        purpose: Purpose,
        /// Where it should be.
        place: Place,
        /// The region that was asked.
        region: String,
    },
    /// The role may not read it.
    #[error("access to {place}, which holds {purpose}, is denied")]
    StoredValueAccessDenied {
        /// What it is for.
        purpose: Purpose,
        /// Where it is.
        place: Place,
        /// What AWS said.
        #[source]
        source: AwsError,
    },
    /// It could not be read for another reason.
    #[error("{purpose} could not be read from {place}")]
    StoredValueUnavailable {
        /// What it is for.
        purpose: Purpose,
        /// Where it is.
        place: Place,
        /// What went wrong.
        #[source]
        source: AwsError,
    },
    /// The file that should hold it cannot be read.
    #[error("{purpose} could not be read from file {path}")]
    StoredFileUnreadable {
        /// What it is for.
        purpose: Purpose,
        /// Its path.
        path: String,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// It is there and holds no token.
    #[error("{place} holds no Nomad token")]
    TokenInvalid {
        /// Where it is.
        place: Place,
        /// What is wrong with it.
        #[source]
        source: UnusableToken,
    },
    /// What was read for TLS cannot be used. The problem says nothing of a key.
    #[error("{purpose} cannot be used: {problem}")]
    TlsMaterialInvalid {
        /// What it is for.
        purpose: Purpose,
        /// What is wrong with it.
        problem: String,
    },
    /// AWS does not say who we are.
    #[error("AWS gave no signed identity for the login to Nomad")]
    IdentityUnavailable(#[source] AwsError),
    /// Nomad does not accept who we are.
    #[error("Nomad refused the login with auth method {method}")]
    LoginRefused {
        /// The auth method.
        method: String,
        /// What Nomad said.
        #[source]
        source: NomadError,
    },
    /// A server could fail to start again after a drain with a token that has ended since.
    #[error("a token that ends is not safe with server {server}, which runs Nomad {version}")]
    ShortLivedTokenUnsafe {
        /// The server.
        server: String,
        /// Its version.
        version: String,
    },
    /// EC2 does not know the instance.
    #[error("{instance} is unknown to EC2 in {region}")]
    InstanceNotFound {
        /// The instance.
        instance: InstanceId,
        /// The region that was asked.
        region: String,
    },
    /// The instance has no address by which its node or agent could be found.
    #[error("{instance} has no private IP address (its state is {state})")]
    NoPrivateIp {
        /// The instance.
        instance: InstanceId,
        /// EC2's word for its state.
        state: String,
    },
    /// EC2 could not be asked.
    #[error("EC2 could not be asked for the private IP address of {instance}")]
    Ec2Unavailable {
        /// The instance.
        instance: InstanceId,
        /// What went wrong.
        #[source]
        source: AwsError,
    },
    /// A call to Auto Scaling failed.
    #[error("Auto Scaling did not do what it was asked{}", for_group(group.as_ref()))]
    AutoScaling {
        /// The group that the call was about.
        group: Option<GroupName>,
        /// What went wrong.
        #[source]
        source: AwsError,
    },
    /// A target without a group or a hook has no lifecycle action.
    #[error("nobody said which lifecycle hook holds {instance}")]
    NoLifecycleAction {
        /// The instance.
        instance: InstanceId,
    },
    /// The invocation's time is over.
    #[error("the invocation's time is over")]
    OutOfTime,
    /// The agent on the instance gives no answer.
    #[error("the Nomad agent of {instance} at {address} is unreachable")]
    AgentUnreachable {
        /// The instance.
        instance: InstanceId,
        /// Where it was looked for.
        address: String,
        /// What went wrong.
        #[source]
        source: NomadError,
    },
    /// The agent refuses the token.
    #[error("the Nomad agent of {instance} at {address} refused the token")]
    AgentTokenRefused {
        /// The instance.
        instance: InstanceId,
        /// Where it is.
        address: String,
        /// What it said.
        #[source]
        source: NomadError,
    },
    /// The agent wants a token, and the way to it is not safe for one.
    #[error("the Nomad agent of {instance} at {address} asks for a token, which is not sent over plain http")]
    AgentNeedsToken {
        /// The instance.
        instance: InstanceId,
        /// Where it is.
        address: String,
    },
    /// What answered on the instance runs no client node.
    #[error("the Nomad agent of {instance} at {address} runs no client node")]
    AgentIsNoClient {
        /// The instance.
        instance: InstanceId,
        /// Where it is.
        address: String,
    },
    /// No node was found for the instance.
    #[error("no Nomad node was found for {instance}: {searched}")]
    NodeNotFound {
        /// The instance.
        instance: InstanceId,
        /// Where it was looked for, in words.
        searched: String,
    },
    /// A node was named for the instance, and is another's.
    #[error("node {node} is not the node of {instance}: {contradiction}")]
    WrongNode {
        /// The instance.
        instance: InstanceId,
        /// The node.
        node: NodeId,
        /// What contradicts, in words.
        contradiction: String,
    },
    /// A server or an agent named a node whose id is not one.
    #[error("Nomad named a node that cannot be")]
    InvalidNodeId(#[source] InvalidNodeId),
    /// The servers answered a question about one node with another.
    #[error("Nomad was asked for node {asked} and gave {given:?}")]
    AnotherNode {
        /// The node that was asked for.
        asked: NodeId,
        /// What came.
        given: String,
    },
    /// The servers listed nodes that the filter excludes.
    #[error(
        "the Nomad servers ignored the filter: nodes listed: {listed}, instances asked for: {asked}, and among the nodes \
         is {stranger}, whose agent has version {version}"
    )]
    FilterIgnored {
        /// How many nodes were listed.
        listed: usize,
        /// How many instances were asked for.
        asked: usize,
        /// A node that was not asked for.
        stranger: String,
        /// The Nomad version of that node.
        version: String,
    },
    /// Nomad refuses the token.
    #[error("Nomad refused {}", token.as_deref().unwrap_or("a request without a token"))]
    NomadTokenRefused {
        /// Which token that is, in words, if there is one.
        token: Option<String>,
        /// What Nomad said.
        #[source]
        source: NomadError,
    },
    /// The node was read, and is not there any more.
    #[error("the node is gone")]
    NodeGone(#[source] NomadError),
    /// The cluster has no leader.
    #[error("the Nomad cluster has no leader")]
    NoClusterLeader(#[source] NomadError),
    /// A certificate of Nomad's was not accepted.
    #[error("TLS verification of Nomad failed")]
    TlsVerificationFailed(#[source] NomadError),
    /// Nomad's servers or agents want a certificate from us, and we have none.
    #[error("Nomad demands a client certificate")]
    ClientCertificateDemanded(#[source] NomadError),
    /// They do not accept the certificate that we showed.
    #[error("Nomad does not accept our client certificate")]
    ClientCertificateRefused(#[source] NomadError),
    /// Nomad gives no answer, or one that makes no sense.
    #[error("Nomad could not be asked")]
    NomadUnavailable(#[source] NomadError),
    /// Nomad says no for another reason.
    #[error("Nomad refused a request")]
    NomadRefused(#[source] NomadError),
}

impl Error {
    /// What a failed request to Nomad's servers means. `token` says which one was used, if there is one.
    pub(crate) fn nomad(token: Option<String>, error: NomadError) -> Self {
        match &error {
            NomadError::NoAnswer { source: HttpError::CertificateRejected { .. }, .. } => {
                Self::TlsVerificationFailed(error)
            }
            NomadError::NoAnswer { source: HttpError::ClientCertificateDemanded { .. }, .. } => {
                Self::ClientCertificateDemanded(error)
            }
            NomadError::NoAnswer { source: HttpError::ClientCertificateRefused { .. }, .. } => {
                Self::ClientCertificateRefused(error)
            }
            NomadError::Refused { refusal, .. } => match refusal.kind {
                RefusalKind::Token => Self::NomadTokenRefused { token, source: error },
                RefusalKind::NoLeader => Self::NoClusterLeader(error),
                RefusalKind::NodeNotFound => Self::NodeGone(error),
                RefusalKind::TooManyConnections
                | RefusalKind::NoPathToRegion
                | RefusalKind::AclsDisabled
                | RefusalKind::Redirected
                | RefusalKind::Other => Self::NomadRefused(error),
            },
            NomadError::InvalidRequest { .. } => Self::NomadRefused(error),
            NomadError::NoAnswer { .. } | NomadError::Unreadable { .. } | NomadError::Stale { .. } => {
                Self::NomadUnavailable(error)
            }
        }
    }

    /// What a failed question to the agent on an instance means.
    pub(crate) fn agent(instance: &InstanceId, address: String, source: NomadError) -> Self {
        let instance = instance.clone();
        match source.refusal().map(|refusal| refusal.kind) {
            Some(RefusalKind::Token) => Self::AgentTokenRefused { instance, address, source },
            Some(_) | None => Self::AgentUnreachable { instance, address, source },
        }
    }

    /// What a failed reading of a stored value means.
    pub(crate) fn stored(purpose: Purpose, place: &Place, region: &str, source: AwsError) -> Self {
        let place = place.clone();
        if source.is_access_denied() {
            return Self::StoredValueAccessDenied { purpose, place, source };
        }
        match source.code() {
            Some(code) if ssm::NOT_FOUND.contains(&code) || code == secrets_manager::NOT_FOUND => {
                Self::StoredValueNotFound { purpose, place, region: region.to_owned() }
            }
            Some(_) | None => Self::StoredValueUnavailable { purpose, place, source },
        }
    }

    /// What a failed question to EC2 means.
    pub(crate) fn ec2(instance: &InstanceId, region: &str, source: AwsError) -> Self {
        let instance = instance.clone();
        if source.code() == Some(ec2::NOT_FOUND) {
            return Self::InstanceNotFound { instance, region: region.to_owned() };
        }
        Self::Ec2Unavailable { instance, source }
    }

    /// Whether AWS asks for fewer calls.
    #[expect(clippy::wildcard_enum_match_arm, reason = "four of them are AWS's answers")]
    pub(crate) fn is_throttling(&self) -> bool {
        match self {
            Self::StoredValueUnavailable { source, .. }
            | Self::IdentityUnavailable(source)
            | Self::Ec2Unavailable { source, .. }
            | Self::AutoScaling { source, .. } => source.is_throttling(),
            _ => false,
        }
    }

    /// Whether the same attempt may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::StoredValueAccessDenied { source, .. }
            | Self::StoredValueUnavailable { source, .. }
            | Self::IdentityUnavailable(source)
            | Self::Ec2Unavailable { source, .. }
            | Self::AutoScaling { source, .. } => source.is_transient(),
            Self::AgentUnreachable { source, .. }
            | Self::NomadTokenRefused { source, .. }
            | Self::LoginRefused { source, .. }
            | Self::NodeGone(source)
            | Self::NoClusterLeader(source)
            | Self::TlsVerificationFailed(source)
            | Self::ClientCertificateDemanded(source)
            | Self::ClientCertificateRefused(source)
            | Self::NomadUnavailable(source)
            | Self::NomadRefused(source) => source.is_transient(),
            Self::ConfigurationError(_)
            | Self::Event(_)
            | Self::StoredValueNotFound { .. }
            | Self::StoredFileUnreadable { .. }
            | Self::TokenInvalid { .. }
            | Self::TlsMaterialInvalid { .. }
            | Self::ShortLivedTokenUnsafe { .. }
            | Self::InstanceNotFound { .. }
            | Self::NoPrivateIp { .. }
            | Self::AgentTokenRefused { .. }
            | Self::AgentNeedsToken { .. }
            | Self::AgentIsNoClient { .. }
            | Self::NodeNotFound { .. }
            | Self::WrongNode { .. }
            | Self::InvalidNodeId(_)
            | Self::AnotherNode { .. }
            | Self::NoLifecycleAction { .. }
            | Self::OutOfTime
            | Self::FilterIgnored { .. } => false,
        }
    }

    /// Whether nobody was there to ask: nothing listens at the address, or its name could not be looked up.
    pub(crate) fn is_connection_refused(&self) -> bool {
        let mut cause: Option<&dyn std::error::Error> = Some(self);
        while let Some(error) = cause {
            if error.downcast_ref::<HttpError>().is_some_and(HttpError::found_nobody) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// The variant's name: the invocation's `errorType`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConfigurationError(_) => "ConfigurationError",
            Self::Event(event) => match event {
                EventError::MalformedMessage(_) => "MalformedMessage",
                EventError::TooLarge(_) => "TooLarge",
                EventError::TooDeep(_) => "TooDeep",
                EventError::NotAString(_) => "NotAString",
                EventError::UnknownEvent(_) => "UnknownEvent",
                EventError::UnknownTransition(_) => "UnknownTransition",
                EventError::MissingInstanceId(_) => "MissingInstanceId",
                EventError::InvalidInstanceId { .. } => "InvalidInstanceId",
            },
            Self::StoredValueNotFound { purpose, place, .. } => match (purpose, place) {
                (Purpose::Token, Place::Parameter(_)) => "TokenParameterNotFound",
                (Purpose::Token, Place::Secret(_)) => "TokenSecretNotFound",
                _ => "StoredValueNotFound",
            },
            Self::StoredValueAccessDenied { purpose, place, .. } => match (purpose, place) {
                (Purpose::Token, Place::Parameter(_)) => "TokenParameterAccessDenied",
                (Purpose::Token, Place::Secret(_)) => "TokenSecretAccessDenied",
                _ => "StoredValueAccessDenied",
            },
            Self::StoredValueUnavailable { purpose: Purpose::Token, .. } => "TokenUnavailable",
            Self::StoredValueUnavailable { .. } => "StoredValueUnavailable",
            Self::StoredFileUnreadable { .. } => "StoredFileUnreadable",
            Self::TokenInvalid { place: Place::Parameter(_), .. } => "TokenParameterInvalid",
            Self::TokenInvalid { place: Place::File(_), .. } => "TokenFileInvalid",
            Self::TokenInvalid { place: Place::Secret(_), .. } => "TokenSecretInvalid",
            Self::TlsMaterialInvalid { .. } => "TlsMaterialInvalid",
            Self::IdentityUnavailable(_) => "IdentityUnavailable",
            Self::LoginRefused { .. } => "LoginRefused",
            Self::ShortLivedTokenUnsafe { .. } => "ShortLivedTokenUnsafe",
            Self::InstanceNotFound { .. } => "InstanceNotFound",
            Self::NoPrivateIp { .. } => "NoPrivateIp",
            Self::Ec2Unavailable { .. } => "Ec2Unavailable",
            Self::AutoScaling { .. } => "AutoScalingUnavailable",
            Self::NoLifecycleAction { .. } => "NoLifecycleAction",
            Self::OutOfTime => "OutOfTime",
            Self::AgentUnreachable { .. } => "AgentUnreachable",
            Self::AgentTokenRefused { .. } => "AgentTokenRefused",
            Self::AgentNeedsToken { .. } => "AgentNeedsToken",
            Self::AgentIsNoClient { .. } => "AgentIsNoClient",
            Self::NodeNotFound { .. } => "NodeNotFound",
            Self::WrongNode { .. } => "WrongNode",
            Self::InvalidNodeId(_) => "InvalidNodeId",
            Self::AnotherNode { .. } => "AnotherNode",
            Self::FilterIgnored { .. } => "FilterIgnored",
            Self::NomadTokenRefused { .. } => "NomadTokenRefused",
            Self::NodeGone(_) => "NodeGone",
            Self::NoClusterLeader(_) => "NoClusterLeader",
            Self::TlsVerificationFailed(_) => "TlsVerificationFailed",
            Self::ClientCertificateDemanded(_) => "ClientCertificateDemanded",
            Self::ClientCertificateRefused(_) => "ClientCertificateRefused",
            Self::NomadUnavailable(_) => "NomadUnavailable",
            Self::NomadRefused(_) => "NomadRefused",
        }
    }

    /// The error, its causes and the next step, in one line.
    pub fn explanation(&self) -> String {
        format!("{}. {}", Causes(self), self.next_step())
    }
}

fn for_group(group: Option<&GroupName>) -> String {
    group.map_or_else(String::new, |group| format!(" for group {group}"))
}

/// Why a text gives no token. Nothing of it is quoted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnusableToken {
    /// It cannot be one.
    #[error(transparent)]
    Invalid(#[from] InvalidToken),
    /// It is JSON, and nobody said under which key the token stands.
    #[error("it is JSON with the keys {}: name the one that holds the token, as in name#key", .0.join(", "))]
    NeedsKey(Vec<String>),
    /// It has no such key, or is not JSON.
    #[error("it is not JSON with a text under the key {0}")]
    NoKey(String),
}

/// An error and its causes, separated by colons: our errors' own texts never repeat their sources.
pub struct Causes<'a>(pub &'a dyn std::error::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
