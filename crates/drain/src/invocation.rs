//! One invocation: from the payload to the report.

use drain_core::observation::{Observation, Target};
use drain_http::{HttpClient, Trust};
use futures_util::StreamExt as _;
use tracing::Instrument as _;

use crate::config::{Config, ConfigurationError};
use crate::error::{Causes, Error};
use crate::event::{self, Message};
use crate::live::{Budget, Live};
use crate::reconcile::reconcile;
use crate::report::{Report, ReportEntry};

/// Connections to Nomad at once: it allows 100 for one address, and a NAT gateway is one address for every function
/// that runs at the moment.
const AT_ONCE: usize = 2;

/// The function: built once in a process, invoked many times.
#[derive(Debug)]
pub struct Function {
    ready: Result<Ready, ConfigurationError>,
}

/// What every invocation shares.
#[derive(Debug)]
struct Ready {
    config: Config,
    /// For AWS, which public authorities vouch for.
    aws: HttpClient,
    /// For Nomad, which may have an authority of its own.
    nomad: HttpClient,
}

impl Function {
    /// Reads the configuration. It never fails: Lambda would start a function whose initialisation fails again and
    /// again, and say nothing of why. Each invocation says it instead.
    pub fn new(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self { ready: Config::parse(lookup).and_then(Ready::new) }
    }

    /// Does what one event asks for, as far as `budget` allows.
    pub async fn invoke(&self, event: &str, budget: Budget) -> Result<Report, Error> {
        let Ready { config, aws, nomad } = self.ready.as_ref().map_err(Clone::clone)?;
        let mut report = Report::default();
        let mut targets = Vec::new();
        let mut failures = Vec::new();
        for message in event::parse(event, config.hooks.as_deref()).map_err(Error::Event)? {
            match message {
                Ok(Message::Target(target)) => targets.push(target),
                Ok(Message::Ignored(ignored)) => {
                    tracing::info!(reason = ignored.reason.as_str(), "ignored: {}", ignored.explanation);
                    report.results.push(ignored.into());
                }
                Err(error) => failures.push(Error::Event(error)),
            }
        }
        if !targets.is_empty() {
            match Live::connect(config, aws, nomad, budget).await {
                Ok(live) => drain_all(&live, config, &targets, &mut report, &mut failures).await,
                Err(error) => failures.push(error),
            }
        }
        conclude(report, failures)
    }
}

impl Ready {
    fn new(config: Config) -> Result<Self, ConfigurationError> {
        let unusable = |error: &(dyn std::error::Error + 'static)| ConfigurationError {
            problems: vec![format!("NOMAD_CACERT cannot be used: {}", Causes(error))],
        };
        let aws = HttpClient::new(&Trust::web()).map_err(|error| unusable(&error))?;
        let nomad = match &config.nomad_cacert {
            Some(path) => {
                let trust = Trust::pem_file(path).map_err(|error| unusable(&error))?;
                HttpClient::new(&trust).map_err(|error| unusable(&error))?
            }
            None => aws.clone(),
        };
        Ok(Self { config, aws, nomad })
    }
}

/// Looks every target's node up, in as few calls as there can be, and drains what was found.
async fn drain_all(
    live: &Live<'_>,
    config: &Config,
    targets: &[Target],
    report: &mut Report,
    failures: &mut Vec<Error>,
) {
    let mut observations: Vec<Observation> = Vec::new();
    for found in live.locate(targets).await {
        match found {
            Ok(nodes) => observations.extend(nodes),
            Err(error) => failures.push(error),
        }
    }
    let reconciled = futures_util::stream::iter(observations.into_iter().map(|seen| {
        let target = &seen.target;
        let span = tracing::info_span!(
            "drain",
            instance_id = %target.instance,
            auto_scaling_group = target.group.as_ref().map(tracing::field::display),
            lifecycle_hook = target.hook.as_ref().map(tracing::field::display),
        );
        reconcile(live, &config.policy, seen).instrument(span)
    }));
    let reconciled: Vec<Result<ReportEntry, Error>> = reconciled.buffered(AT_ONCE).collect().await;
    for result in reconciled {
        match result {
            Ok(entry) => report.results.push(entry),
            Err(error) => failures.push(error),
        }
    }
}

/// One failure fails the invocation, so that whoever sent the event sends it again: what has succeeded by then is
/// recognised and not done twice. All failures are logged; the first one is the answer.
fn conclude(report: Report, failures: Vec<Error>) -> Result<Report, Error> {
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else { return Ok(report) };
    for error in failures {
        tracing::error!(error_type = error.name(), "{}", Causes(&error));
    }
    Err(first)
}
