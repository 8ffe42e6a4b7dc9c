//! Configuration from environment variables: parsed from a lookup closure, every problem reported at once.

mod cluster;
mod document;
mod duration;
mod groups;
mod notifications;
mod overrides;
mod reader;
mod stored;
mod tls;
mod token;
mod trial;
mod variables;

use std::collections::BTreeMap;

use aws_credential_types::Credentials;
use drain_core::ids::HookName;
use drain_http::HttpClient;
use jiff::SignedDuration;
use nomad_client::BaseUrl;

use cluster::Whole;
pub use cluster::{AgentUrl, ClusterConfig, NodeLookup};
pub use document::{ClusterDocument, ClusterSection};
pub use duration::parse as parse_duration;
pub use groups::{GroupPattern, GroupSelection, HOLD_TAG, WATCH_TAG, is_on};
pub use notifications::Notifications;
use reader::Reader;
pub use stored::{Place, Purpose};
pub(crate) use tls::Stored;
pub use tls::{Material, TlsSettings};
pub use token::TokenSource;
pub use trial::{BEARING, tried};
pub use variables::{VARIABLES, Variable, markdown_table};

use crate::event::Scope;

/// Everything that the environment says.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a variable that is on or off by itself")]
pub struct Config {
    /// The clusters.
    pub clusters: NomadClusters,
    /// The only hooks that we act on; `None` is every hook whose messages reach us.
    pub hooks: Option<Vec<HookName>>,
    /// Whether a sweep is deployed that goes on where an invocation ends (`SWEEP`).
    pub sweep: bool,
    /// For how long a sweep goes on looking at what it has found (`SWEEP_LINGER`).
    pub sweep_linger: SignedDuration,
    /// For how long the invocation of an event goes on looking at its instances (`EVENT_LINGER`). `None` is as long as
    /// the invocation lasts: without a sweep nobody else would complete the hook.
    pub event_linger: Option<SignedDuration>,
    /// The time between two looks at the same instance within an invocation (`POLL_INTERVAL`).
    pub poll_interval: SignedDuration,
    /// The groups that the sweep looks after (`AUTO_SCALING_GROUPS`).
    pub groups: GroupSelection,
    /// How AWS is reached.
    pub aws: AwsSettings,
    /// The memory of the function, which says how much of a CPU it has; `None` if this is no function.
    pub memory_mb: Option<u16>,
    /// What the operator should know and what keeps nothing from working, one sentence each.
    pub warnings: Vec<String>,
    /// The launch hook that waits for a node; `None` if launches are ignored (`ON_LAUNCH`, `LAUNCH_HOOK_NAME`).
    pub launch_hook: Option<HookName>,
    /// Whether a rebalance recommendation is a reason to drain (`ON_REBALANCE`).
    pub on_rebalance: bool,
    /// Whether a scheduled change is (`ON_SCHEDULED_CHANGE`).
    pub on_scheduled_change: bool,
    /// Whether the nodes of ended instances are purged (`PURGE_NODES`).
    pub purge_nodes: bool,
    /// Who is told what happens (`NOTIFY_TOPIC_ARN`, `NOTIFY_WEBHOOK_PARAMETER`).
    pub notifications: Notifications,
    /// `METRICS_NAMESPACE`.
    pub metrics_namespace: String,
    /// See [`Config::sweep_hooks`].
    sweep_hooks: Vec<HookName>,
}

/// Which Nomad clusters there are.
#[derive(Clone, Debug)]
pub enum NomadClusters {
    /// One, of which the environment says everything.
    One(Box<ClusterConfig>),
    /// Those of a document.
    Document(ClusterDocument),
}

/// The hook on which the sweep and `EventBridge`'s events act while `LIFECYCLE_HOOK_NAME` is unset.
pub const DEFAULT_HOOK: &str = "nomad-drain-hook";

/// How AWS is reached.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    /// The region; `None` if nothing that is configured calls AWS.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL`.
    pub endpoint: Option<BaseUrl>,
    /// `AWS_ENDPOINT_URL_<SERVICE>`, by the variable's name.
    pub service_endpoints: BTreeMap<&'static str, BaseUrl>,
    /// The way to AWS if `AWS_CA_BUNDLE` says whom to believe; otherwise AWS is reached as the rest of the world is.
    pub http: Option<HttpClient>,
    /// The execution role's credentials; `None` if the environment has none.
    pub credentials: Option<Credentials>,
}

impl AwsSettings {
    /// Reads no more than how AWS is reached, for one who calls nothing else.
    pub fn parse(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigurationError> {
        let mut reader = Reader::new(&lookup);
        reader.calls_aws = true;
        let settings = reader.aws();
        let problems = reader.into_problems();
        if problems.is_empty() { Ok(settings) } else { Err(ConfigurationError::of(problems)) }
    }
}

/// The configuration cannot be used. Lists every problem.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct ConfigurationError {
    /// Where the document of the clusters is, if that is what cannot be used; else it is the environment.
    pub document: Option<Place>,
    /// One sentence each, which begins with the variable's name.
    pub problems: Vec<String>,
}

impl ConfigurationError {
    /// What is wrong with the environment.
    pub(crate) fn of(problems: Vec<String>) -> Self {
        Self { document: None, problems }
    }

    fn describe(&self) -> String {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        let what = match &self.document {
            None => "the configuration".to_owned(),
            Some(place) => format!("the document of the Nomad clusters in {place}"),
        };
        format!("{what} has {count} {noun}: {}", self.problems.join("; "))
    }
}

impl Config {
    /// Reads the configuration, and the files that it names. `lookup` gives the value of an environment
    /// variable. The error lists every problem that there is.
    pub fn parse(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigurationError> {
        use variables as var;

        let mut reader = Reader::new(&lookup);
        let mut warnings = Vec::new();
        let sweep = reader.boolean(&var::SWEEP).unwrap_or_default();
        let hooks = reader.names(&var::LIFECYCLE_HOOK_NAME, HookName::parse);
        let sweep_hooks =
            hooks.clone().unwrap_or_else(|| HookName::parse(DEFAULT_HOOK).into_iter().collect());
        let patterns = reader.names(&var::AUTO_SCALING_GROUPS, GroupPattern::parse);
        let sweep_linger = reader.duration(&var::SWEEP_LINGER).unwrap_or_default();
        let event_linger = if sweep {
            reader.duration(&var::EVENT_LINGER)
        } else {
            reader.duration_if_set(&var::EVENT_LINGER)
        };
        let poll_interval = reader.duration(&var::POLL_INTERVAL).unwrap_or_default();
        let on_launch = reader.choice(&var::ON_LAUNCH, &[("ignore", false), ("wait", true)]);
        let launch_hook = reader.name(&var::LAUNCH_HOOK_NAME, HookName::parse);
        let launch_hook = launch_hook.filter(|_| on_launch == Some(true));
        let drains = [("ignore", false), ("drain", true)];
        let on_rebalance = reader.choice(&var::ON_REBALANCE, &drains).unwrap_or_default();
        let on_scheduled_change = reader.choice(&var::ON_SCHEDULED_CHANGE, &drains).unwrap_or_default();
        let purge_nodes = reader.boolean(&var::PURGE_NODES).unwrap_or_default();
        if !sweep && (on_rebalance || on_scheduled_change) {
            warnings.push(
                "SWEEP is off: nobody gives the node of an instance back that survives a rebalance recommendation or a \
                 scheduled change"
                    .to_owned(),
            );
        }
        let whole = Whole { sweep, purge_nodes, aws_region: reader.aws_region() };
        let clusters = match reader.text(&var::CLUSTERS_PARAMETER) {
            Some(place) => {
                reader.calls_aws = true;
                Some(NomadClusters::Document(ClusterDocument::new(Place::parse(&place), &lookup, whole)))
            }
            None => ClusterConfig::read(&mut reader, &whole, &mut warnings)
                .map(|cluster| NomadClusters::One(Box::new(cluster))),
        };
        let notifications = Notifications::read(&mut reader);
        let metrics_namespace = reader.name(&var::METRICS_NAMESPACE, notifications::namespace);
        let aws = reader.aws();

        match (clusters, reader.into_problems()) {
            (Some(clusters), problems) if problems.is_empty() => Ok(Self {
                clusters,
                notifications,
                metrics_namespace: metrics_namespace.unwrap_or_default(),
                hooks,
                sweep,
                sweep_linger,
                event_linger,
                poll_interval,
                groups: patterns.map_or_else(GroupSelection::tagged, GroupSelection::named),
                aws,
                memory_mb: lookup("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|memory| memory.parse().ok()),
                warnings,
                launch_hook,
                on_rebalance,
                on_scheduled_change,
                purge_nodes,
                sweep_hooks,
            }),
            (_, problems) => Err(ConfigurationError::of(problems)),
        }
    }

    /// What is set for the cluster, if there is one and the environment says everything of it.
    pub fn cluster(&self) -> Option<&ClusterConfig> {
        match &self.clusters {
            NomadClusters::One(cluster) => Some(cluster),
            NomadClusters::Document(_) => None,
        }
    }

    /// What is wrong with the document of the clusters, if there is one.
    pub(crate) fn wrong_document(&self, problems: Vec<String>) -> ConfigurationError {
        let document = match &self.clusters {
            NomadClusters::One(_) => None,
            NomadClusters::Document(document) => Some(document.place.clone()),
        };
        ConfigurationError { document, problems }
    }

    /// The hooks on which the sweep and `EventBridge`'s events act: describe calls never say which hook holds an
    /// instance, and `EventBridge` tells of every hook. Those of `LIFECYCLE_HOOK_NAME`, else [`DEFAULT_HOOK`].
    pub fn sweep_hooks(&self) -> &[HookName] {
        &self.sweep_hooks
    }

    /// What an event may be about for us to act on it.
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            hooks: self.hooks.as_deref(),
            bus_hooks: &self.sweep_hooks,
            launch_hook: self.launch_hook.as_ref(),
            rebalance: self.on_rebalance,
            scheduled_change: self.on_scheduled_change,
            purge: self.purge_nodes,
        }
    }
}

#[cfg(test)]
mod tests;
