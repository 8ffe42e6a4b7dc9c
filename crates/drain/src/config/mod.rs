//! Configuration from environment variables: parsed from a lookup closure, every problem reported at once.

mod duration;
mod reader;
mod variables;

use std::collections::BTreeMap;
use std::path::PathBuf;

use aws_credential_types::Credentials;
use drain_core::ids::HookName;
use drain_core::policy::Policy;
use nomad_client::BaseUrl;

use reader::Reader;
pub use variables::{VARIABLES, Variable, markdown_table};

/// Everything that the environment says.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Nomad's servers are.
    pub nomad_addr: BaseUrl,
    /// Nomad's region; without it the region of the servers that answer.
    pub nomad_region: Option<String>,
    /// The file with the only authorities that are believed about Nomad; without it, the public ones are.
    pub nomad_cacert: Option<PathBuf>,
    /// Where the token comes from; `None` for a cluster without ACLs.
    pub token_parameter: Option<String>,
    /// How nodes are found.
    pub node_lookup: NodeLookup,
    /// Where the agent on an instance is.
    pub agent_url: AgentUrl,
    /// The only hooks that we act on; `None` is every hook whose messages reach us.
    pub hooks: Option<Vec<HookName>>,
    /// What decisions depend on.
    pub policy: Policy,
    /// How AWS is reached.
    pub aws: AwsSettings,
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
    /// Reads the configuration. `lookup` gives the value of an environment variable.
    pub fn parse(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigurationError> {
        use variables as var;

        let mut reader = Reader::new(&lookup);
        let nomad_acl = reader.boolean(&var::NOMAD_ACL);
        let lookup_choice = reader.choice(
            &var::NODE_LOOKUP,
            &[("auto", NodeLookup::Auto), ("server", NodeLookup::Server), ("agent", NodeLookup::Agent)],
        );
        let node_lookup = lookup_choice.unwrap_or(NodeLookup::Auto);
        let token_parameter =
            if nomad_acl.unwrap_or(true) { reader.derived(&var::NOMAD_TOKEN_PARAMETER) } else { None };
        let nomad_addr = reader.address(&var::NOMAD_ADDR);
        let agent_url = reader.agent_url(&var::NOMAD_AGENT_URL);
        let agent_chosen = reader.is_set(&var::NOMAD_AGENT_URL) || lookup_choice == Some(NodeLookup::Agent);
        let policy = Policy {
            drain_deadline: reader.duration(&var::DRAIN_DEADLINE).unwrap_or_default(),
            ignore_system_jobs: reader.boolean(&var::DRAIN_IGNORE_SYSTEM_JOBS).unwrap_or_default(),
            dry_run: reader.boolean(&var::DRY_RUN).unwrap_or_default(),
            ..Policy::default()
        };
        let hooks = reader.hook_names(&var::LIFECYCLE_HOOK_NAME);
        let nomad_region = reader.text(&var::NOMAD_REGION);
        let nomad_cacert = reader.text(&var::NOMAD_CACERT).map(PathBuf::from);
        let calls_aws = nomad_acl.unwrap_or(true) || node_lookup != NodeLookup::Server;
        let aws = reader.aws(calls_aws);

        match (nomad_addr, agent_url, reader.into_problems()) {
            (Some(nomad_addr), Some(template), problems) if problems.is_empty() => Ok(Self {
                nomad_addr,
                nomad_region,
                nomad_cacert,
                token_parameter,
                node_lookup,
                agent_url: AgentUrl { template, chosen: agent_chosen },
                hooks,
                policy,
                aws,
            }),
            (_, _, problems) => Err(ConfigurationError { problems }),
        }
    }
}

#[cfg(test)]
mod tests;
