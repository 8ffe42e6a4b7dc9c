//! What the person who reads an error does next.

use drain_http::{HttpError, Rejection};
use nomad_client::NomadError;

use super::{Error, UnusableToken};
use crate::aws::{AwsError, MissingPermission, Service};
use crate::config::{Place, Purpose};

impl Error {
    /// What to do about it.
    pub fn next_step(&self) -> String {
        match self {
            Self::ConfigurationError(error) => match &error.document {
                None => "Correct them where they are set: in the function's configuration, or in your environment.".to_owned(),
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
            Self::StoredValueAccessDenied { place, source, .. } => {
                let (action, name) = match place {
                    Place::Parameter(name) => ("ssm:GetParameter", name),
                    Place::Secret(name) | Place::File(name) => ("secretsmanager:GetSecretValue", name),
                };
                format!(
                    "Allow {} {action} on {name}, and kms:Decrypt if a key of your own encrypts it.",
                    source.caller()
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
                "Lambda sets the credentials of the function's role; at a terminal log in (aws sso login), or set AWS_PROFILE.".to_owned()
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
                reach(service)
            }
            Self::TlsMaterialInvalid { .. } => {
                "Store the whole text in PEM, with its BEGIN and END lines; a certificate and its key belong together.".to_owned()
            }
            Self::IdentityUnavailable(source) => match (source.code(), source.missing_permission(None)) {
                (Some("OutboundWebIdentityFederationDisabledException"), _) => {
                    "Enable it for the account, once: aws iam enable-outbound-web-identity-federation.".to_owned()
                }
                (_, Some(missing)) => grant(source, &missing),
                (_, None) => reach("the region's STS"),
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
            Self::Ec2Unavailable { source, .. } => match source.missing_permission(None) {
                Some(missing) => format!(
                    "NODE_LOOKUP=server does without EC2; to ask it, add to the policies of {}: {}",
                    source.caller(),
                    missing.statement()
                ),
                None => format!("{} NODE_LOOKUP=server does without EC2.", reach("EC2")),
            },
            Self::AutoScaling { group, source } => source
                .missing_permission(group.as_ref())
                .map_or_else(|| reach("Auto Scaling"), |missing| grant(source, &missing)),
            Self::NoLifecycleAction { .. } => {
                "Send the hook's own message, which names group and hook.".to_owned()
            }
            Self::OutOfTime => {
                "What was begun goes on: look again. A function to which this happens again and again needs a longer time-out.".to_owned()
            }
            Self::AgentUnreachable { .. } => {
                "See whether the agent runs, and whether its port can be reached from where this runs (a function in a VPC: with its \
                 security group); NODE_LOOKUP=server does without it."
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
                "See whether NOMAD_ADDR is right, and whether it can be reached from where this runs (a function in a VPC: from \
                 its subnets, with its security group)."
                    .to_owned()
            }
            Self::NomadRefused(_) => "See the servers' log for the same moment.".to_owned(),
        }
    }
}

/// What to do if a service of AWS's did not answer. Whoever reads it may be asking why the function failed, or have asked
/// themselves, at a terminal.
fn reach(service: &str) -> String {
    format!(
        "See whether {service} can be reached from where this runs: a function in a VPC needs a NAT gateway or a VPC endpoint \
         for it."
    )
}

/// What to allow whom: the function's role, or whoever called from a terminal.
fn grant(refused: &AwsError, missing: &MissingPermission) -> String {
    format!("Add to the policies of {}: {}", refused.caller(), missing.statement())
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
            "Give the servers one that is valid today, is for servers and is no authority's own (nomad tls cert create -server), \
             and reload them with SIGHUP."
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

#[cfg(test)]
mod tests {
    use drain_core::ids::InstanceId;

    use super::*;

    fn refused(operation: &str, caller: &str) -> AwsError {
        let message = format!(
            "User: {caller} is not authorized to perform: {operation} because no identity-based policy allows the {operation} action"
        );
        AwsError::refused(operation, 403, "AccessDenied", &message)
    }

    /// What is said to do about each way in which AWS refuses somebody.
    fn all(caller: &str) -> Vec<String> {
        let instance = InstanceId::parse("i-0123456789abcdef0").unwrap();
        let place = Place::Parameter("/nomad/token".to_owned());
        [
            Error::StoredValueAccessDenied {
                purpose: Purpose::Token,
                place,
                source: refused("ssm:GetParameter", caller),
            },
            Error::IdentityUnavailable(refused("sts:GetWebIdentityToken", caller)),
            Error::Ec2Unavailable { instance, source: refused("ec2:DescribeInstances", caller) },
            Error::AutoScaling { group: None, source: refused("autoscaling:DescribeLifecycleHooks", caller) },
        ]
        .iter()
        .map(Error::next_step)
        .collect()
    }

    #[test]
    fn whom_aws_refused_is_who_has_to_be_allowed() {
        for (caller, named) in [
            ("arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain", "role nomad-drain"),
            ("arn:aws:iam::123456789012:user/alice", "user alice"),
        ] {
            for said in all(caller) {
                assert!(said.contains(named) && !said.contains("function's role"), "{said}");
            }
        }
    }

    #[test]
    fn a_service_that_does_not_answer_is_looked_for_from_where_it_was_asked() {
        let instance = InstanceId::parse("i-0123456789abcdef0").unwrap();
        let source = AwsError::refused("ec2:DescribeInstances", 503, "Unavailable", "");
        let said = Error::Ec2Unavailable { instance, source }.next_step();
        assert_eq!(
            said,
            "See whether EC2 can be reached from where this runs: a function in a VPC needs a NAT gateway or a VPC endpoint for \
             it. NODE_LOOKUP=server does without EC2."
        );
    }
}
