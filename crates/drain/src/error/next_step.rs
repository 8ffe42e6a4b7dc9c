//! What the person who reads an error does next.

use super::Error;
use crate::aws::AwsError;

impl Error {
    /// What to do about it.
    pub fn next_step(&self) -> String {
        match self {
            Self::ConfigurationError(_) => "Correct the function's environment variables.".to_owned(),
            Self::Event(_) => {
                "Send the function the messages of lifecycle hooks (by SNS, SQS, EventBridge or directly), the events of EC2 and AWS \
                 Health, and nothing else."
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
            Self::TokenParameterInvalid { .. } => "Store the token's secret id in it, and nothing else.".to_owned(),
            Self::TokenUnavailable { source: AwsError::NoCredentials { .. }, .. } => {
                "Lambda sets the credentials of the function's role; elsewhere they have to be set.".to_owned()
            }
            Self::TokenUnavailable { source: AwsError::Unreadable { .. }, .. } => {
                "See whether AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_SSM is set, and to what.".to_owned()
            }
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
            Self::AutoScaling { group, source } => match source.missing_permission(group.as_ref()) {
                Some(missing) => format!("Add to the role's policy: {}", missing.statement()),
                None => "If the function runs in a VPC, it needs a way to Auto Scaling: a NAT gateway or a VPC endpoint.".to_owned(),
            },
            Self::NoLifecycleAction { .. } => {
                "Send the hook's own message, which names group and hook.".to_owned()
            }
            Self::OutOfTime => {
                "What was begun goes on. Give the function more time if this happens again and again.".to_owned()
            }
            Self::AgentUnreachable { .. } => {
                "Let the function's security group reach the agent's port, and see whether the agent runs; \
                 NODE_LOOKUP=server does without it."
                    .to_owned()
            }
            Self::AgentTokenRefused { .. } => {
                "The agent answers only a token with agent:read: grant it, or use NODE_LOOKUP=server.".to_owned()
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
            Self::NomadTokenRefused { parameter: None, .. } => {
                "NOMAD_ACL is off, and the cluster has ACLs: set it on, and store a token.".to_owned()
            }
            Self::NomadTokenRefused { .. } => {
                "The token is unknown, has expired, or lacks a capability: it needs node:write (and agent:read for \
                 NODE_LOOKUP=agent). Look at it with: nomad acl token self."
                    .to_owned()
            }
            Self::NodeGone(_) => {
                "Somebody purged it in this very moment, or it was collected: nothing of it is left to drain.".to_owned()
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
}
