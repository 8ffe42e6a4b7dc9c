//! What the person who reads an error does next.

use drain_http::{HttpError, Rejection};
use nomad_client::NomadError;

use super::{Error, UnusableToken};
use crate::aws::{AwsError, Service};
use crate::config::{Place, Purpose};

impl Error {
    /// What to do about it.
    pub fn next_step(&self) -> String {
        match self {
            Self::ConfigurationError(error) => match &error.document {
                None => "Correct the function's environment variables.".to_owned(),
                Some(place) => format!("Correct {place}: it is read again for the next event."),
            },
            Self::Event(_) => {
                "Send the function the messages of lifecycle hooks (by SNS, SQS, EventBridge or directly), the events of EC2 and AWS \
                 Health, and nothing else."
                    .to_owned()
            }
            Self::StoredValueNotFound { purpose, place: Place::Parameter(name), .. } => format!(
                "Create it (aws ssm put-parameter --type SecureString --name {name} --value …), or name another in {}.",
                purpose.variable()
            ),
            Self::StoredValueNotFound { purpose, place: Place::Secret(name), .. } => format!(
                "Create it (aws secretsmanager create-secret --name {name} --secret-string …), or name another in {}.",
                if *purpose == Purpose::Token { "NOMAD_TOKEN_SECRET" } else { purpose.variable() }
            ),
            Self::StoredFileUnreadable { .. } => "See whether it is there, and who may read it.".to_owned(),
            Self::StoredValueNotFound { place: place @ Place::File(_), .. } => format!("See whether {place} is there."),
            Self::StoredValueAccessDenied { place, .. } => {
                let (action, name) = match place {
                    Place::Parameter(name) => ("ssm:GetParameter", name),
                    Place::Secret(name) | Place::File(name) => ("secretsmanager:GetSecretValue", name),
                };
                format!(
                    "Allow the function's role {action} on {name}, and kms:Decrypt if a key of your own encrypts it."
                )
            }
            Self::TokenInvalid { source: UnusableToken::Invalid(_), .. } => {
                "Store the token's secret id in it, and nothing else.".to_owned()
            }
            Self::TokenInvalid { .. } => {
                "NOMAD_TOKEN_SECRET takes the secret's name or ARN, followed by # and the key.".to_owned()
            }
            Self::StoredValueUnavailable { source: AwsError::NoCredentials { .. }, .. }
            | Self::AutoScaling { source: AwsError::NoCredentials { .. }, .. }
            | Self::IdentityUnavailable(AwsError::NoCredentials { .. }) => {
                "Lambda sets the credentials of the function's role; elsewhere they have to be set.".to_owned()
            }
            Self::StoredValueUnavailable { place, source: AwsError::Unreadable { .. }, .. } => format!(
                "See whether AWS_ENDPOINT_URL or {} is set, and to what.",
                service(place).endpoint_variable()
            ),
            Self::StoredValueUnavailable { place, .. } => {
                let service = match place {
                    Place::Parameter(_) => "SSM",
                    Place::Secret(_) | Place::File(_) => "Secrets Manager",
                };
                format!("If the function runs in a VPC, it needs a way to {service}: a NAT gateway or a VPC endpoint.")
            }
            Self::TlsMaterialInvalid { .. } => {
                "Store the whole text in PEM, with its BEGIN and END lines; a certificate and its key belong together.".to_owned()
            }
            Self::IdentityUnavailable(source) => match (source.code(), source.missing_permission(None)) {
                (Some("OutboundWebIdentityFederationDisabledException"), _) => {
                    "Enable it for the account, once: aws iam enable-outbound-web-identity-federation.".to_owned()
                }
                (_, Some(missing)) => format!("Add to the role's policy: {}", missing.statement()),
                (_, None) => "If the function runs in a VPC, it needs a way to the region's STS: a NAT gateway or a VPC \
                              endpoint."
                    .to_owned(),
            },
            Self::LoginRefused { source, .. } => login(source).to_owned(),
            Self::ShortLivedTokenUnsafe { .. } => {
                "After a drain with a token that has ended since, such a server may fail to start again. Upgrade the servers \
                 to 1.7.7, 1.6.10 or 1.5.17 or later, or store a token without an end."
                    .to_owned()
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
            Self::NomadTokenRefused { token: None, .. } => {
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
            Self::TlsVerificationFailed(source) => tls(source).to_owned(),
            Self::ClientCertificateDemanded(_) => {
                "The servers verify their clients (verify_https_client): set NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY, or their \
                 _PARAMETER forms. Any certificate that the servers' authority signed will do (nomad tls cert create -cli)."
                    .to_owned()
            }
            Self::ClientCertificateRefused(_) => {
                "It has to be valid today, and signed by the authority in the servers' tls.ca_file: nomad tls cert create -cli."
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

fn service(place: &Place) -> Service {
    match place {
        Place::Parameter(_) => Service::Ssm,
        Place::Secret(_) | Place::File(_) => Service::SecretsManager,
    }
}

/// What to do about a certificate of Nomad's that was not accepted.
fn tls(error: &NomadError) -> &'static str {
    let kind = match error {
        NomadError::NoAnswer { source: HttpError::CertificateRejected { source, .. }, .. } => source.kind,
        NomadError::NoAnswer { .. }
        | NomadError::Refused { .. }
        | NomadError::Unreadable { .. }
        | NomadError::Stale { .. }
        | NomadError::InvalidRequest { .. } => Rejection::Other,
    };
    match kind {
        Rejection::UnknownIssuer => {
            "If an authority of your own issued it, name that authority's certificate in NOMAD_CACERT, or in \
             NOMAD_CACERT_PARAMETER. If it did not, somebody else answers at NOMAD_ADDR."
        }
        Rejection::WrongName => {
            "NOMAD_ADDR has to be a name in the servers' certificate, or NOMAD_TLS_SERVER_NAME has to be one: Nomad's own \
             certificates hold server.<region>.nomad."
        }
        Rejection::Expired => {
            "Renew the servers' certificate (nomad tls cert create -server), and reload the servers with SIGHUP."
        }
        Rejection::Other => {
            "NOMAD_ADDR has to be a name in the servers' certificate; if an authority of your own issued it, name that \
             authority's file in NOMAD_CACERT."
        }
    }
}

/// What to do about a login that Nomad refused. (`ACL.Login` in hashicorp/nomad.)
fn login(error: &NomadError) -> &'static str {
    let text = error.refusal().map(|refusal| refusal.text.as_str()).unwrap_or_default();
    if text.contains("no role or policy bindings matched") {
        "The method accepts us, and no binding rule matches our role: see nomad acl binding-rule list, and the method's \
         ClaimMappings."
    } else if text.contains("unable to validate") {
        "See the method's BoundAudiences (NOMAD_AUTH_AUDIENCE has to be one), BoundIssuer and SigningAlgs (RS256), and \
         whether the servers reach the issuer's keys."
    } else if text.contains("not found") {
        "See nomad acl auth-method list, and NOMAD_AUTH_METHOD."
    } else if text.contains("ACL support disabled") {
        "The cluster has no ACLs: set NOMAD_ACL=off."
    } else {
        "JWT logins need Nomad 1.5.4 or later on all servers. See the servers' log for the same moment."
    }
}
