//! What every command shares: the global flags, and the installation that they describe.

mod credentials;
mod function;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use drain::Installation;
use drain::config::ConfigurationError;
use drain::live::Budget;
use tracing_subscriber::filter::LevelFilter;

use credentials::Chain;

/// The flags of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Frame {
    /// Print JSON for machines: one document, or one line for each update where it goes on.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Take the configuration from this deployed Lambda function's variables: its name or ARN.
    ///
    /// The environment of this program comes before them, so that one of them can be set differently. Needs
    /// `lambda:GetFunctionConfiguration`.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) function: Option<String>,
    /// The document of the Nomad clusters, as `CLUSTERS_PARAMETER` has it, in a file.
    #[arg(long, global = true, value_name = "FILE")]
    clusters: Option<String>,
    /// The profile of `~/.aws/config` whose credentials and region are used, as `AWS_PROFILE`.
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// The AWS region, as `AWS_REGION`.
    #[arg(long, global = true, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// How much of the work is told on standard error: without it, warnings; of `sweep`, more.
    #[arg(long, global = true, value_name = "LEVEL", ignore_case = true)]
    log: Option<Level>,
}

/// How much is told.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// For one look at the account: no command waits longer for answers.
pub(crate) const LOOK: Duration = Duration::from_mins(2);

/// For what goes on until its end.
pub(crate) const WITHOUT_END: Duration = Duration::from_hours(24 * 365);

/// What is spoken to, and with whose credentials.
pub(crate) struct Reach {
    /// Everything that is set.
    pub(crate) installation: Installation,
    chain: Chain,
}

impl Reach {
    /// Gives the installation credentials that are good from now on: those of a role or of SSO end after an hour or so.
    pub(crate) async fn renew(&mut self) -> anyhow::Result<()> {
        if let Some(credentials) = self.chain.credentials().await? {
            self.installation.use_credentials(credentials);
        }
        Ok(())
    }
}

impl Frame {
    /// What is told goes to standard error: standard output is the result.
    pub(crate) fn start_log(&self) {
        drain::telemetry::start_for_people(self.level(), std::io::stderr);
    }

    /// The log of a program that runs as a service: it is all that such a program has to say.
    pub(crate) fn start_service_log(&self) {
        drain::telemetry::start_for_service(self.level().unwrap_or(LevelFilter::INFO), self.json);
    }

    /// How much is to be told, if anybody has said so.
    pub(crate) fn level(&self) -> Option<LevelFilter> {
        Some(match self.log? {
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        })
    }

    /// The installation that the environment, or a deployed function, describes. `set` are variables that a command's own
    /// flags stand for; they come first.
    pub(crate) async fn reach(&self, set: &[(&str, &str)]) -> anyhow::Result<Reach> {
        let Variables { chain, layers } = self.variables(set).await?;
        let mut installation =
            Installation::new(|name| layers.get(name)).map_err(|error| self.explained(&error))?;
        if let Some(credentials) = chain.credentials().await? {
            installation.use_credentials(credentials);
        }
        Ok(Reach { installation, chain })
    }

    /// The variables that describe the installation, from everywhere.
    pub(crate) async fn variables(&self, set: &[(&str, &str)]) -> anyhow::Result<Variables> {
        let chain = Chain::of(self.profile.as_deref(), self.region.as_deref()).await;
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let document =
            self.clusters.as_ref().map(|path| ("CLUSTERS_PARAMETER".to_owned(), format!("file:{path}")));
        let mut layers =
            Layers { set: set.chain(chain.region()).chain(document).collect(), function: BTreeMap::new() };
        if let Some(name) = &self.function {
            layers.function = function::variables(name, &layers, &chain)
                .await
                .with_context(|| format!("the variables of function {name} could not be read"))?;
        }
        Ok(Variables { chain, layers })
    }

    /// The same without the variables of a deployed function: what can be known before they are.
    pub(crate) fn without_function(&self) -> Self {
        Self { function: None, ..self.clone() }
    }

    /// What is wrong with the configuration, for somebody at a terminal.
    fn explained(&self, error: &ConfigurationError) -> anyhow::Error {
        let mut text = String::from("there is no usable configuration:");
        for problem in &error.problems {
            text.push_str("\n  - ");
            text.push_str(problem);
        }
        text.push_str(if self.function.is_some() {
            "\nThe function's own variables say so, or the environment of this program, which comes before them."
        } else {
            "\nSet the variables in this program's environment, or take them from the deployed function: --function NAME."
        });
        anyhow::Error::msg(text)
    }
}

/// The variables that describe an installation, and whose credentials go with them.
pub(crate) struct Variables {
    pub(crate) chain: Chain,
    pub(crate) layers: Layers,
}

/// Where a variable's value comes from.
#[derive(Debug)]
pub(crate) struct Layers {
    /// Flags, which come first.
    set: BTreeMap<String, String>,
    /// The variables of a deployed function, which come after the environment.
    function: BTreeMap<String, String>,
}

impl Layers {
    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let here = || std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        self.set.get(name).cloned().or_else(here).or_else(|| self.function.get(name).cloned())
    }

    /// The variables for which the deployed function has a value that does not count here, since another one comes first.
    pub(crate) fn overridden(&self) -> Vec<String> {
        let differs = |(name, value): &(&String, &String)| self.get(name).as_ref() != Some(*value);
        self.function.iter().filter(differs).map(|(name, _)| name.clone()).collect()
    }

    /// Whether a variable has its value from the deployed function.
    pub(crate) fn is_of_function(&self, name: &str) -> bool {
        self.function.get(name).is_some_and(|value| self.get(name).as_ref() == Some(value))
    }
}

/// The time until so long from now.
pub(crate) fn budget(for_so_long: Duration) -> Budget {
    Budget::before(SystemTime::now() + for_so_long)
}
