//! What was read: plain data, each piece known or not. Nothing is judged here.

use std::collections::BTreeMap;

use drain::aws::autoscaling::{Group, Hook};
use drain::config::{ClusterConfig, Config, ConfigurationError};
use drain_core::ids::{GroupName, InstanceId};
use jiff::{SignedDuration, Timestamp};
use nomad_client::{Policy, TokenSelf};

pub(crate) use crate::aws::iam::Decision;
use crate::aws::policy::Document;
pub(crate) use crate::aws::sns::Filter;

/// A piece of the world: read, or not, and why not. What is not known is never taken for fine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fact<T> {
    /// It was read.
    Known(T),
    /// It was not.
    Unknown(Why),
}

/// Why something is not known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// Whoever runs the doctor may not read it: this IAM action is missing.
    Denied {
        /// `sns:GetTopicAttributes`.
        permission: String,
    },
    /// It could not be read for another reason.
    Failed {
        /// What went wrong, in one line.
        said: String,
        /// What to do about it.
        todo: String,
    },
    /// What it depends on is not known or not right; a finding of its own says so.
    Skipped {
        /// What it depends on: `the configuration`.
        because: String,
    },
    /// There is no way to find it out from here.
    CannotBeKnown {
        /// Why not.
        said: String,
        /// What would help.
        todo: String,
    },
}

impl<T> Fact<T> {
    /// The value, if it is known.
    pub(crate) fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// Not known, since something else is not.
    pub(crate) fn skipped(because: &str) -> Self {
        Self::Unknown(Why::Skipped { because: because.to_owned() })
    }
}

/// Everything that was read.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) configuration: Fact<Result<Configuration, ConfigurationError>>,
    pub(crate) caller: Fact<Caller>,
    /// `Known(None)`: there is no such function.
    pub(crate) function: Fact<Option<Function>>,
    /// The function's name as far as it is known: it was given, or a target names it.
    pub(crate) function_name: Option<String>,
    pub(crate) groups: Fact<Vec<GroupFacts>>,
    /// Topics that hooks send to, by ARN; `Known(None)`: there is none.
    pub(crate) topics: BTreeMap<String, Fact<Option<Topic>>>,
    /// Queues on the way, by ARN.
    pub(crate) queues: BTreeMap<String, Fact<Option<Queue>>>,
    /// `EventBridge`'s rules with the function, or a queue that it reads, as a target.
    pub(crate) rules: Fact<Vec<Rule>>,
    /// What simulations said of the roles of hooks, by role and resource.
    pub(crate) hook_roles: BTreeMap<(String, String), Fact<Decision>>,
    /// What simulations said of the function's role.
    pub(crate) permissions: Fact<Vec<Granted>>,
    pub(crate) clusters: Fact<Vec<ClusterFacts>>,
    pub(crate) sweeps: Sweeps,
}

/// The configuration that was looked at.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    pub(crate) config: Box<Config>,
    /// Where it comes from: `the environment`, `the variables of function nomad-drain`.
    pub(crate) origin: String,
    /// Variables of the environment that came before the function's other value.
    pub(crate) overridden: Vec<String>,
    /// What is wrong with the document of the clusters, if it could be read.
    pub(crate) document_problems: Vec<String>,
    /// Why there is no such document, and what to do, if that is so.
    pub(crate) document_missing: Option<(String, String)>,
}

/// Who runs the doctor, as AWS sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) region: String,
}

/// The Lambda function that events reach.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Without a version or alias.
    pub(crate) arn: String,
    pub(crate) role: String,
    /// `Active`, `Pending`, `Inactive` or `Failed`.
    pub(crate) state: String,
    /// Why it is in that state, if it is not active.
    pub(crate) state_reason: String,
    pub(crate) timeout: SignedDuration,
    pub(crate) in_vpc: bool,
    /// How many runs of it there may be at once, if that is reserved.
    pub(crate) reserved_concurrency: Fact<Option<u32>>,
    /// Who may invoke it. `Known(None)`: nobody but by identity policies.
    pub(crate) policy: Fact<Option<Document>>,
    /// Who may invoke those of its versions and aliases that something on the way names: each has a policy of its own.
    pub(crate) qualified: BTreeMap<String, Fact<Option<Document>>>,
    /// What it reads by itself.
    pub(crate) mappings: Fact<Vec<Mapping>>,
    /// Whether events that it has given up go anywhere.
    pub(crate) has_dead_letters: Fact<bool>,
}

impl Function {
    /// Whether this is its ARN, perhaps that of one of its versions or aliases.
    pub(crate) fn is(&self, arn: &str) -> bool {
        arn.strip_prefix(&self.arn).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }

    /// Who may invoke it by this ARN, which may be that of a version or an alias.
    pub(crate) fn policy_of(&self, arn: &str) -> &Fact<Option<Document>> {
        qualifier(arn).and_then(|one| self.qualified.get(one)).unwrap_or(&self.policy)
    }
}

/// The version or alias in the ARN of a function, if it names one.
pub(crate) fn qualifier(arn: &str) -> Option<&str> {
    arn.splitn(8, ':').nth(7)
}

/// An event source mapping.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mapping {
    pub(crate) id: String,
    /// The ARN of the queue.
    pub(crate) source: String,
    /// `Enabled`, `Disabled`, `Creating`…
    pub(crate) state: String,
    /// Whether `ReportBatchItemFailures` is among its response types.
    pub(crate) reports_failures: bool,
    /// The patterns of messages that the function gets; all if there is none.
    pub(crate) filters: Vec<String>,
}

/// A group that was looked at.
#[derive(Clone, Debug)]
pub(crate) struct GroupFacts {
    pub(crate) name: GroupName,
    /// `Known(None)`: there is no such group.
    pub(crate) group: Fact<Option<Group>>,
    /// Whether the sweep looks after it.
    pub(crate) watched: bool,
    /// Whose it is.
    pub(crate) home: Home,
    pub(crate) hooks: Fact<Vec<Hook>>,
    /// Its instances in service, and their nodes.
    pub(crate) nodes: Fact<BTreeMap<InstanceId, Found>>,
}

/// Which cluster a group belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Home {
    /// The one at this place.
    Of(usize),
    /// None, and why.
    None(String),
}

/// Where the nodes of an instance were found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// By the attribute.
    ByAttribute(Vec<NodeFacts>),
    /// No node carries its id; one was found by its address or by its agent.
    Elsewhere(Vec<NodeFacts>),
    /// Nowhere; where it was looked for.
    Nowhere(String),
}

/// A node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NodeFacts {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Whether its client is down or disconnected.
    pub(crate) is_silent: bool,
}

/// An SNS topic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Topic {
    pub(crate) policy: Option<Document>,
    /// The key of KMS's that encrypts it, if one does.
    pub(crate) kms_key: Option<String>,
    pub(crate) subscriptions: Fact<Vec<Subscription>>,
}

/// A subscription of a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Subscription {
    /// Its own ARN; `PendingConfirmation` while nobody has confirmed it.
    pub(crate) arn: String,
    /// `lambda`, `sqs`, `email`…
    pub(crate) protocol: String,
    pub(crate) endpoint: String,
    /// Whether nobody has confirmed it.
    pub(crate) pending: bool,
    /// The messages that it lets through; `Known(None)`: all.
    pub(crate) filter: Fact<Option<Filter>>,
}

/// An SQS queue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Queue {
    pub(crate) visibility_timeout: SignedDuration,
    /// How often a message is received before it goes to the dead-letter queue; `None` if there is no such queue.
    pub(crate) max_receive_count: Option<u32>,
    /// Whether the dead-letter queue that it names is there; `true` if it names none.
    pub(crate) dead_letters_exist: Fact<bool>,
    /// The key of KMS's that encrypts it, if one does.
    pub(crate) kms_key: Option<String>,
    pub(crate) policy: Option<Document>,
}

/// A rule of `EventBridge`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) enabled: bool,
    /// The pattern of events, as JSON.
    pub(crate) pattern: Option<serde_json::Value>,
    /// The ARN of the target of ours.
    pub(crate) target: String,
    /// Whether the target gets something else than the whole event.
    pub(crate) changes_event: bool,
}

/// What is known of the sweep.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sweeps {
    /// The last minute in which a sweep counted its groups (the metric `WatchedGroups`); `None` if there was none in three
    /// hours.
    pub(crate) counted: Fact<Option<Timestamp>>,
    /// The rules with a schedule that call the function, or another one with the same role.
    pub(crate) schedules: Fact<Vec<Schedule>>,
}

/// A rule that calls a function by the clock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) rule: String,
    pub(crate) arn: String,
    /// `rate(1 minute)`.
    pub(crate) expression: String,
    pub(crate) enabled: bool,
    /// The name of the function that it calls.
    pub(crate) function: String,
    /// Who may call that function.
    pub(crate) policy: Fact<Option<Document>>,
    /// The last minute in which that function ran; `None` if it did not in three hours.
    pub(crate) ran: Fact<Option<Timestamp>>,
    /// The last minute in which not every run of it failed.
    pub(crate) succeeded: Fact<Option<Timestamp>>,
}

/// What a simulation said of one action.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Granted {
    pub(crate) needed: super::needed::Needed,
    pub(crate) decision: Decision,
}

/// One Nomad cluster.
#[derive(Clone, Debug)]
pub(crate) struct ClusterFacts {
    /// Its name in the document of the clusters.
    pub(crate) name: Option<String>,
    pub(crate) config: ClusterConfig,
    /// The answer to who leads.
    pub(crate) leader: Reached,
    pub(crate) servers: Fact<Vec<Server>>,
    /// The certificates that the servers show, their own first. `None` without TLS.
    pub(crate) shown: Option<Fact<Vec<Certificate>>>,
    /// The certificate that we show, if one is configured.
    pub(crate) own: Option<Fact<Certificate>>,
    pub(crate) token: TokenFacts,
}

impl ClusterFacts {
    /// How findings name it.
    pub(crate) fn about(&self) -> String {
        let address = &self.config.nomad_addr;
        self.name.as_ref().map_or_else(|| address.to_string(), |name| format!("{name} ({address})"))
    }
}

/// What became of a question to Nomad.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reached {
    /// The address of the leader.
    Leader(String),
    /// It failed.
    Failed(Trouble),
}

/// Why Nomad could not be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Trouble {
    pub(crate) kind: TroubleKind,
    /// What failed, on what, and why.
    pub(crate) said: String,
    /// What to do.
    pub(crate) todo: String,
}

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TroubleKind {
    NoLeader,
    Unreachable,
    CertificateExpired,
    CertificateName,
    CertificateAuthority,
    CertificateOther,
    ClientCertificateDemanded,
    ClientCertificateRefused,
    /// What was configured for TLS cannot be used.
    TlsMaterial,
    /// What was configured for TLS may not be read by whoever runs the doctor.
    TlsMaterialDenied,
    /// It answers, and is not what was expected.
    Odd,
}

/// A server of the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// A certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Certificate {
    pub(crate) subject: String,
    /// The DNS names and addresses that it is for.
    pub(crate) names: Vec<String>,
    pub(crate) issuer: String,
    pub(crate) not_after: Timestamp,
}

/// The token of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct TokenFacts {
    /// What it is: `the token in SSM parameter /nomad/token`; `None` if none is sent.
    pub(crate) description: Option<String>,
    /// Whether everybody who may look at the function can read it.
    pub(crate) in_variable: bool,
    /// What Nomad says of it.
    pub(crate) token: Fact<TokenAnswer>,
}

/// What became of the question who we are.
#[derive(Clone, Debug)]
pub(crate) enum TokenAnswer {
    /// The place is there and holds no usable token, or is not there.
    Unreadable {
        /// What failed and why.
        said: String,
        /// What to do.
        todo: String,
    },
    /// Nomad refuses it.
    Refused {
        /// What failed and why.
        said: String,
        /// What to do.
        todo: String,
    },
    /// The cluster has no ACLs.
    NoAcls,
    /// It is this one.
    Is {
        /// The token, without its secret.
        token: Box<TokenSelf>,
        /// Its policies, those of its roles included.
        policies: Fact<Vec<Policy>>,
    },
}
