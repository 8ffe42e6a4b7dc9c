//! What is set for one Nomad cluster: where it is, who we are to it, and what is done there.

use std::collections::BTreeMap;

use drain_core::policy::{ActionResult, OnNodeNotFound, Policy};
use nomad_client::BaseUrl;

use super::overrides::{OVERRIDABLE, overridden};
use super::reader::Reader;
use super::tls::{self, TlsSettings};
use super::token::{self, TokenSource};
use super::variables as var;

/// Everything that is set for one cluster.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Where its servers are.
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
    /// What decisions depend on.
    pub policy: Policy,
    /// Of the variables that a hook may override, those that are set.
    set: BTreeMap<&'static str, String>,
}

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

/// What holds for the whole function, and what decisions depend on all the same.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) sweep: bool,
    pub(super) purge_nodes: bool,
    pub(super) aws_region: Option<String>,
}

impl ClusterConfig {
    /// Reads it. `None` if something is a problem of the reader's.
    pub(super) fn read(reader: &mut Reader<'_>, whole: &Whole, warnings: &mut Vec<String>) -> Option<Self> {
        let nomad_acl = reader.boolean(&var::NOMAD_ACL);
        let lookup_choice = reader.choice(
            &var::NODE_LOOKUP,
            &[("auto", NodeLookup::Auto), ("server", NodeLookup::Server), ("agent", NodeLookup::Agent)],
        );
        let token = token::source(reader, nomad_acl.unwrap_or(true), warnings);
        let tls = tls::settings(reader, warnings);
        let nomad_addr = reader.address(&var::NOMAD_ADDR);
        let agent_url = reader.agent_url(&var::NOMAD_AGENT_URL);
        let agent_chosen = reader.is_set(&var::NOMAD_AGENT_URL) || lookup_choice == Some(NodeLookup::Agent);
        let node_lookup = lookup_choice.unwrap_or(NodeLookup::Auto);
        reader.calls_aws |= token.as_ref().is_none_or(TokenSource::calls_aws)
            || !tls.places().is_empty()
            || node_lookup != NodeLookup::Server;
        let policy = policy(reader, whole);
        if !whole.sweep && reader.is_set(&var::MAX_DRAINS_PER_GROUP) {
            warnings.push("MAX_DRAINS_PER_GROUP is left out: it needs a sweep, and SWEEP is off".to_owned());
        }
        Some(Self {
            nomad_region: reader.text(&var::NOMAD_REGION),
            node_lookup,
            nomad_addr: nomad_addr?,
            tls,
            token: token?,
            agent_url: AgentUrl { template: agent_url?, chosen: agent_chosen },
            policy,
            set: OVERRIDABLE
                .iter()
                .filter_map(|variable| Some((variable.name, reader.text(variable)?)))
                .collect(),
        })
    }

    /// What decisions about the instances of a hook depend on, where its `NotificationMetadata` says something of it. The
    /// error lists what is wrong with it.
    pub fn overridden(&self, metadata: &str) -> Result<Option<Policy>, Vec<String>> {
        overridden(metadata, &self.set, &self.policy)
    }
}

/// What decisions depend on. What cannot be read is a problem of the reader's, and its value here is never used.
pub(super) fn policy(reader: &mut Reader<'_>, whole: &Whole) -> Policy {
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
        sweep: whole.sweep,
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
        // Without a sweep nobody would ever start those that wait.
        max_drains_per_group: reader.count_if_set(&var::MAX_DRAINS_PER_GROUP).filter(|_| whole.sweep),
        purge_nodes: whole.purge_nodes,
        aws_region: whole.aws_region.clone(),
    }
}
