//! Why an instance could not be drained, for the person who reads it: what failed, on what, why, and what to do.

use std::fmt;

use drain_core::ids::{InstanceId, InvalidNodeId, NodeId};
use drain_http::HttpError;
use nomad_client::{NomadError, RefusalKind};

use crate::aws::{AwsError, ec2};
use crate::config::ConfigurationError;
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
    /// The parameter that should hold the token is not there.
    #[error("SSM parameter {parameter}, which should hold the Nomad token, does not exist in {region}")]
    TokenParameterNotFound {
        /// Its name.
        parameter: String,
        /// The region that was asked.
        region: String,
    },
    /// The role may not read the parameter.
    #[error("access to SSM parameter {parameter}, which holds the Nomad token, is denied")]
    TokenParameterAccessDenied {
        /// Its name.
        parameter: String,
        /// What AWS said.
        #[source]
        source: AwsError,
    },
    /// The parameter is there and holds nothing.
    #[error("SSM parameter {parameter}, which should hold the Nomad token, is empty")]
    TokenParameterEmpty {
        /// Its name.
        parameter: String,
    },
    /// The token could not be read for another reason.
    #[error("the Nomad token could not be read from SSM parameter {parameter}")]
    TokenUnavailable {
        /// Its name.
        parameter: String,
        /// What went wrong.
        #[source]
        source: AwsError,
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
        "the Nomad servers ignored the filter: nodes listed: {listed}, instances asked for: {asked}, among the nodes {stranger} \
         (agent version {version})"
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
    #[error("Nomad refused the token")]
    NomadTokenRefused(#[source] NomadError),
    /// The cluster has no leader.
    #[error("the Nomad cluster has no leader")]
    NoClusterLeader(#[source] NomadError),
    /// A certificate of Nomad's was not accepted.
    #[error("TLS verification of Nomad failed")]
    TlsVerificationFailed(#[source] NomadError),
    /// Nomad gives no answer, or one that makes no sense.
    #[error("Nomad could not be asked")]
    NomadUnavailable(#[source] NomadError),
    /// Nomad says no for another reason.
    #[error("Nomad refused a request")]
    NomadRefused(#[source] NomadError),
}

impl From<NomadError> for Error {
    fn from(error: NomadError) -> Self {
        match &error {
            NomadError::NoAnswer {
                source: HttpError::CertificateRejected { .. } | HttpError::Tls { .. },
                ..
            } => Self::TlsVerificationFailed(error),
            NomadError::Refused { refusal, .. } => match refusal.kind {
                RefusalKind::Token => Self::NomadTokenRefused(error),
                RefusalKind::NoLeader => Self::NoClusterLeader(error),
                RefusalKind::NodeNotFound | RefusalKind::TooManyConnections | RefusalKind::Other => {
                    Self::NomadRefused(error)
                }
            },
            NomadError::TokenNotSendable | NomadError::InvalidRequest { .. } => Self::NomadRefused(error),
            NomadError::NoAnswer { .. } | NomadError::Unreadable { .. } => Self::NomadUnavailable(error),
        }
    }
}

impl Error {
    /// What a failed reading of the token parameter means.
    pub(crate) fn token_parameter(parameter: &str, region: &str, source: AwsError) -> Self {
        let parameter = parameter.to_owned();
        if source.is_access_denied() {
            return Self::TokenParameterAccessDenied { parameter, source };
        }
        match source.code() {
            Some("ParameterNotFound" | "ParameterVersionNotFound") => {
                Self::TokenParameterNotFound { parameter, region: region.to_owned() }
            }
            Some(_) | None => Self::TokenUnavailable { parameter, source },
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

    /// Whether the same attempt may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TokenParameterAccessDenied { source, .. }
            | Self::TokenUnavailable { source, .. }
            | Self::Ec2Unavailable { source, .. } => source.is_transient(),
            Self::AgentUnreachable { source, .. }
            | Self::NomadTokenRefused(source)
            | Self::NoClusterLeader(source)
            | Self::TlsVerificationFailed(source)
            | Self::NomadUnavailable(source)
            | Self::NomadRefused(source) => source.is_transient(),
            Self::ConfigurationError(_)
            | Self::Event(_)
            | Self::TokenParameterNotFound { .. }
            | Self::TokenParameterEmpty { .. }
            | Self::InstanceNotFound { .. }
            | Self::NoPrivateIp { .. }
            | Self::AgentNeedsToken { .. }
            | Self::AgentIsNoClient { .. }
            | Self::NodeNotFound { .. }
            | Self::WrongNode { .. }
            | Self::InvalidNodeId(_)
            | Self::AnotherNode { .. }
            | Self::FilterIgnored { .. } => false,
        }
    }

    /// The variant's name: the invocation's `errorType`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConfigurationError(_) => "ConfigurationError",
            Self::Event(event) => match event {
                EventError::MalformedMessage(_) => "MalformedMessage",
                EventError::NotAString(_) => "NotAString",
                EventError::UnknownEvent(_) => "UnknownEvent",
                EventError::UnknownTransition(_) => "UnknownTransition",
                EventError::MissingInstanceId => "MissingInstanceId",
                EventError::InvalidInstanceId(_) => "InvalidInstanceId",
                EventError::InvalidGroupName(_) => "InvalidGroupName",
                EventError::InvalidHookName(_) => "InvalidHookName",
            },
            Self::TokenParameterNotFound { .. } => "TokenParameterNotFound",
            Self::TokenParameterAccessDenied { .. } => "TokenParameterAccessDenied",
            Self::TokenParameterEmpty { .. } => "TokenParameterEmpty",
            Self::TokenUnavailable { .. } => "TokenUnavailable",
            Self::InstanceNotFound { .. } => "InstanceNotFound",
            Self::NoPrivateIp { .. } => "NoPrivateIp",
            Self::Ec2Unavailable { .. } => "Ec2Unavailable",
            Self::AgentUnreachable { .. } => "AgentUnreachable",
            Self::AgentNeedsToken { .. } => "AgentNeedsToken",
            Self::AgentIsNoClient { .. } => "AgentIsNoClient",
            Self::NodeNotFound { .. } => "NodeNotFound",
            Self::WrongNode { .. } => "WrongNode",
            Self::InvalidNodeId(_) => "InvalidNodeId",
            Self::AnotherNode { .. } => "AnotherNode",
            Self::FilterIgnored { .. } => "FilterIgnored",
            Self::NomadTokenRefused(_) => "NomadTokenRefused",
            Self::NoClusterLeader(_) => "NoClusterLeader",
            Self::TlsVerificationFailed(_) => "TlsVerificationFailed",
            Self::NomadUnavailable(_) => "NomadUnavailable",
            Self::NomadRefused(_) => "NomadRefused",
        }
    }

    /// What to do about it.
    pub fn next_step(&self) -> String {
        match self {
            Self::ConfigurationError(_) => "Correct the function's environment variables.".to_owned(),
            Self::Event(_) => {
                "Subscribe the function to the hook's SNS topic, or make it the hook's target; send it nothing else."
                    .to_owned()
            }
            Self::TokenParameterNotFound { parameter, .. } => format!(
                "Create it (aws ssm put-parameter --type SecureString --name {parameter} --value …), or name another in \
                 NOMAD_TOKEN_PARAMETER."
            ),
            Self::TokenParameterAccessDenied { parameter, .. } => format!(
                "Allow the function's role ssm:GetParameter on {parameter}, and kms:Decrypt if a key of your own \
                 encrypts it."
            ),
            Self::TokenParameterEmpty { .. } => "Store the token's secret id in it.".to_owned(),
            Self::TokenUnavailable { .. } => {
                "If the function runs in a VPC, it needs a way to SSM: a NAT gateway or a VPC endpoint.".to_owned()
            }
            Self::InstanceNotFound { .. } => {
                "The instance may be gone already; if not, look whether AWS_REGION is the region of its group."
                    .to_owned()
            }
            Self::NoPrivateIp { .. } => "The instance has ended or has not begun to run: nothing of it is left to drain.".to_owned(),
            Self::Ec2Unavailable { .. } => {
                "Allow the function's role ec2:DescribeInstances; in a VPC it needs a way to EC2 (NAT gateway or VPC \
                 endpoint). NODE_LOOKUP=server does without EC2."
                    .to_owned()
            }
            Self::AgentUnreachable { .. } => {
                "Let the function's security group reach the agent's port, and see whether the agent runs; \
                 NODE_LOOKUP=server does without it."
                    .to_owned()
            }
            Self::AgentNeedsToken { .. } => {
                "Use an https NOMAD_AGENT_URL, or set NOMAD_AGENT_URL or NODE_LOOKUP=agent to allow the token on plain \
                 http."
                    .to_owned()
            }
            Self::AgentIsNoClient { .. } => {
                "Only Nomad clients can be drained: take the hook off a group of servers.".to_owned()
            }
            Self::NodeNotFound { .. } => {
                "If the instance never joined the cluster there is nothing to drain. If it did, its agent has not \
                 read the instance's metadata: restart it, or see NODE_LOOKUP."
                    .to_owned()
            }
            Self::WrongNode { .. } => {
                "Nothing was drained. See whether the address belongs to another instance by now, and whether NOMAD_ADDR \
                 is the cluster of this group."
                    .to_owned()
            }
            Self::InvalidNodeId(_) | Self::AnotherNode { .. } => {
                "Nothing was drained. See whether NOMAD_ADDR is really a Nomad API.".to_owned()
            }
            Self::FilterIgnored { .. } => {
                "Nothing was drained. Filters need Nomad 1.3 or later on the servers: upgrade them, or set NODE_LOOKUP=agent."
                    .to_owned()
            }
            Self::NomadTokenRefused(_) => {
                "The token is unknown, has expired, or lacks a capability: it needs node:write (and agent:read for \
                 NODE_LOOKUP=agent). Look at it with: nomad acl token self."
                    .to_owned()
            }
            Self::NoClusterLeader(_) => "See to the servers: nomad operator raft list-peers.".to_owned(),
            Self::TlsVerificationFailed(_) => {
                "NOMAD_ADDR has to be a name in the servers' certificate; if an authority of your own issued it, name that \
                 authority's file in NOMAD_CACERT."
                    .to_owned()
            }
            Self::NomadUnavailable(_) => {
                "See whether NOMAD_ADDR is right, and whether the function's subnets and security group reach it."
                    .to_owned()
            }
            Self::NomadRefused(_) => "See the servers' log for the same moment.".to_owned(),
        }
    }

    /// The error, its causes and the next step, in one line.
    pub fn explanation(&self) -> String {
        format!("{}. {}", Causes(self), self.next_step())
    }
}

/// An error and its causes, separated by colons: our errors' own texts never repeat their sources.
pub(crate) struct Causes<'a>(pub(crate) &'a dyn std::error::Error);

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
