//! Configuration from environment variables: parsed from a lookup closure, every problem reported at once.

mod duration;
mod groups;
mod reader;
mod stored;
mod tls;
mod token;
mod variables;

use std::collections::BTreeMap;

use aws_credential_types::Credentials;
use drain_core::ids::HookName;
use drain_core::policy::{ActionResult, OnNodeNotFound, Policy};
use jiff::SignedDuration;
use nomad_client::BaseUrl;

pub use groups::{GroupPattern, GroupSelection, HOLD_TAG, WATCH_TAG, is_on};
use reader::Reader;
pub use stored::{Place, Purpose};
pub(crate) use tls::Stored;
pub use tls::TlsSettings;
pub use token::TokenSource;

use crate::event::Scope;
pub use variables::{VARIABLES, Variable, markdown_table};

/// Everything that the environment says.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Nomad's servers are.
    pub nomad_addr: BaseUrl,
    /// Nomad's region; without it the region of the servers that answer.
    pub nomad_region: Option<String>,
    /// How Nomad and we prove to each other who we are.
    pub tls: TlsSettings,
    /// Where the token comes from.
    pub token: TokenSource,
    /// How nodes are found.
    pub node_lookup: NodeLookup,
    /// Where the agent on an instance is.
    pub agent_url: AgentUrl,
    /// The only hooks that we act on; `None` is every hook whose messages reach us.
    pub hooks: Option<Vec<HookName>>,
    /// What decisions depend on.
    pub policy: Policy,
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
    /// What the operator should know and what keeps nothing from working, one sentence each.
    pub warnings: Vec<String>,
    /// The launch hook that waits for a node; `None` if launches are ignored (`ON_LAUNCH`, `LAUNCH_HOOK_NAME`).
    pub launch_hook: Option<HookName>,
    /// Whether a rebalance recommendation is a reason to drain (`ON_REBALANCE`).
    pub on_rebalance: bool,
    /// Whether a scheduled change is (`ON_SCHEDULED_CHANGE`).
    pub on_scheduled_change: bool,
    /// See [`Config::sweep_hooks`].
    sweep_hooks: Vec<HookName>,
}

/// The hook on which the sweep and `EventBridge`'s events act while `LIFECYCLE_HOOK_NAME` is unset.
pub const DEFAULT_HOOK: &str = "nomad-drain-hook";

/// How the node of an instance is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NodeLookup {
    /// By attribute; if no node carries it, by address, then by asking the agent.
    Auto,
    /// By attribute only.
    Server,
    /// By asking the agent on the instance.
    Agent,
}

/// The address of the agent on an instance, with a place for the instance's private IP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AgentUrl {
    /// Holds `{ip}`, unless every instance is reached under one address.
    pub template: String,
    /// Whether an operator chose the way to the agent (`NOMAD_AGENT_URL` or `NODE_LOOKUP=agent`), and so allows the
    /// token on it even if it is plain HTTP.
    pub chosen: bool,
}

/// How AWS is reached.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    /// The region; `None` if nothing that is configured calls AWS.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL`.
    pub endpoint: Option<BaseUrl>,
    /// `AWS_ENDPOINT_URL_<SERVICE>`, by the variable's name.
    pub service_endpoints: BTreeMap<&'static str, BaseUrl>,
    /// The execution role's credentials; `None` if the environment has none.
    pub credentials: Option<Credentials>,
}

/// The configuration cannot be used. Lists every problem.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct ConfigurationError {
    /// One sentence each, which begins with the variable's name.
    pub problems: Vec<String>,
}

impl ConfigurationError {
    fn describe(&self) -> String {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        format!("the configuration has {count} {noun}: {}", self.problems.join("; "))
    }
}

impl Config {
    /// Reads the configuration, and the files that it names. `lookup` gives the value of an environment
    /// variable. The error lists every problem that there is.
    pub fn parse(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigurationError> {
        use variables as var;

        let mut reader = Reader::new(&lookup);
        let nomad_acl = reader.boolean(&var::NOMAD_ACL);
        let lookup_choice = reader.choice(
            &var::NODE_LOOKUP,
            &[("auto", NodeLookup::Auto), ("server", NodeLookup::Server), ("agent", NodeLookup::Agent)],
        );
        let node_lookup = lookup_choice.unwrap_or(NodeLookup::Auto);
        let mut warnings = reader.set_for_nothing(variables::NOT_READ_YET);
        let token = token::source(&mut reader, nomad_acl.unwrap_or(true), &mut warnings);
        let tls = tls::settings(&mut reader, &mut warnings);
        let nomad_addr = reader.address(&var::NOMAD_ADDR);
        let agent_url = reader.agent_url(&var::NOMAD_AGENT_URL);
        let agent_chosen = reader.is_set(&var::NOMAD_AGENT_URL) || lookup_choice == Some(NodeLookup::Agent);
        let policy = policy(&mut reader);
        let hooks = reader.names(&var::LIFECYCLE_HOOK_NAME, HookName::parse);
        let sweep_hooks =
            hooks.clone().unwrap_or_else(|| HookName::parse(DEFAULT_HOOK).into_iter().collect());
        let groups = reader
            .names(&var::AUTO_SCALING_GROUPS, GroupPattern::parse)
            .map_or(GroupSelection::Tagged, GroupSelection::Patterns);
        let sweep_linger = reader.duration(&var::SWEEP_LINGER).unwrap_or_default();
        let event_linger = if policy.sweep {
            reader.duration(&var::EVENT_LINGER)
        } else {
            reader.duration_if_set(&var::EVENT_LINGER)
        };
        let poll_interval = reader.duration(&var::POLL_INTERVAL).unwrap_or_default();
        let nomad_region = reader.text(&var::NOMAD_REGION);
        let calls_aws = token.as_ref().is_none_or(TokenSource::calls_aws)
            || !tls.places().is_empty()
            || node_lookup != NodeLookup::Server;
        let aws = reader.aws(calls_aws);
        let on_launch = reader.choice(&var::ON_LAUNCH, &[("ignore", false), ("wait", true)]);
        let launch_hook = reader.name(&var::LAUNCH_HOOK_NAME, HookName::parse);
        let launch_hook = launch_hook.filter(|_| on_launch == Some(true));
        let drains = [("ignore", false), ("drain", true)];
        let on_rebalance = reader.choice(&var::ON_REBALANCE, &drains).unwrap_or_default();
        let on_scheduled_change = reader.choice(&var::ON_SCHEDULED_CHANGE, &drains).unwrap_or_default();
        warnings.extend(needs_sweep(&policy, on_rebalance || on_scheduled_change));
        let policy = Policy {
            // Without a sweep nobody would ever start those that wait.
            max_drains_per_group: policy.max_drains_per_group.filter(|_| policy.sweep),
            aws_region: aws.region.clone(),
            ..policy
        };

        match (nomad_addr, agent_url, token, reader.into_problems()) {
            (Some(nomad_addr), Some(template), Some(token), problems) if problems.is_empty() => Ok(Self {
                nomad_addr,
                nomad_region,
                tls,
                token,
                node_lookup,
                agent_url: AgentUrl { template, chosen: agent_chosen },
                hooks,
                policy,
                sweep_linger,
                event_linger,
                poll_interval,
                groups,
                aws,
                warnings,
                launch_hook,
                on_rebalance,
                on_scheduled_change,
                sweep_hooks,
            }),
            (_, _, _, problems) => Err(ConfigurationError { problems }),
        }
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
            purge: self.policy.purge_nodes,
        }
    }
}

/// What decisions depend on. What cannot be read is a problem of the reader's, and its value here is never used.
fn policy(reader: &mut Reader<'_>) -> Policy {
    use variables as var;

    let results = [("continue", ActionResult::Continue), ("abandon", ActionResult::Abandon)];
    let not_found = [
        ("continue", OnNodeNotFound::Complete(ActionResult::Continue)),
        ("abandon", OnNodeNotFound::Complete(ActionResult::Abandon)),
        ("hold", OnNodeNotFound::Hold),
    ];
    let drain_deadline = reader.duration(&var::DRAIN_DEADLINE).unwrap_or_default();
    Policy {
        drain_deadline,
        ignore_system_jobs: reader.boolean(&var::DRAIN_IGNORE_SYSTEM_JOBS).unwrap_or_default(),
        dry_run: reader.boolean(&var::DRY_RUN).unwrap_or_default(),
        sweep: reader.boolean(&var::SWEEP).unwrap_or_default(),
        max_hold: reader
            .duration_if_set(&var::MAX_HOLD)
            .unwrap_or_else(|| drain_deadline.saturating_add(drain_deadline)),
        kill_grace: reader.duration(&var::KILL_GRACE).unwrap_or_default(),
        on_drain_timeout: reader.choice(&var::ON_DRAIN_TIMEOUT, &results).unwrap_or(ActionResult::Continue),
        on_node_not_found: reader.choice(&var::ON_NODE_NOT_FOUND, &not_found).unwrap_or(OnNodeNotFound::Hold),
        node_join_grace: reader.duration(&var::NODE_JOIN_GRACE).unwrap_or_default(),
        disconnected_grace: reader.duration(&var::DISCONNECTED_GRACE).unwrap_or_default(),
        down_grace: reader.duration(&var::DOWN_GRACE).unwrap_or_default(),
        settle_delay: reader.duration_or_zero(&var::SETTLE_DELAY).unwrap_or_default(),
        pause: reader.boolean(&var::PAUSE).unwrap_or_default(),
        restore_after: reader.duration(&var::RESTORE_AFTER).unwrap_or_default(),
        max_drains_per_group: reader.count_if_set(&var::MAX_DRAINS_PER_GROUP),
        purge_nodes: reader.boolean(&var::PURGE_NODES).unwrap_or_default(),
        aws_region: None,
    }
}

/// What is set and does less than it says without a sweep.
fn needs_sweep(policy: &Policy, may_survive: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if !policy.sweep && policy.max_drains_per_group.is_some() {
        warnings.push("MAX_DRAINS_PER_GROUP is left out: it needs a sweep, and SWEEP is off".to_owned());
    }
    if !policy.sweep && may_survive {
        warnings.push(
            "SWEEP is off: nobody gives the node of an instance back that survives a rebalance recommendation or a scheduled \
             change"
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests;
