//! One invocation: from the payload to the report.

use std::io::Write as _;
use std::rc::Rc;

use drain_http::{HttpClient, Tls, Trust};
use jiff::Timestamp;

use crate::cluster::Cluster;
use crate::config::{Config, ConfigurationError};
use crate::error::{Causes, Error};
use crate::event::{self, Delivery, Event};
use crate::handle::handle;
use crate::live::{Budget, Live};
use crate::metrics;
use crate::report::{Answer, Report};
use crate::sweep;
use crate::world::World;

/// The function: built once in a process, invoked many times.
#[derive(Debug)]
pub struct Function {
    ready: Result<Ready, ConfigurationError>,
}

/// What every invocation shares.
#[derive(Debug)]
struct Ready {
    cluster: Cluster,
    /// For AWS, which public authorities vouch for.
    web: HttpClient,
}

impl Function {
    /// Reads the configuration. It never fails: Lambda would start a function whose initialisation fails again and
    /// again, and say nothing of why. Each invocation says it instead.
    pub fn new(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self { ready: Config::parse(lookup).and_then(Ready::new) }
    }

    /// Does what one event asks for, as far as `budget` allows.
    pub async fn invoke(&self, event: &str, budget: Budget) -> Result<Answer, Rc<Error>> {
        let handled = match self.handle(event, budget).await {
            Ok(handled) => handled,
            Err(error) => {
                tracing::error!(error_type = error.name(), "{}", error.explanation());
                return Err(Rc::new(error));
            }
        };
        for line in metrics::of(&handled.report, Timestamp::now()) {
            // Standard output is the log; a log that cannot be written is no reason to fail.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        handled.answer()
    }

    async fn handle(&self, event: &str, budget: Budget) -> Result<Handled, Error> {
        let Ready { cluster, web } = self.ready.as_ref().map_err(Clone::clone)?;
        let config = &cluster.config;
        cluster.warn();
        let event = event::parse(event, &config.scope()).map_err(Error::Event)?;
        let at_once = match &event {
            Event::Sweep => SWEEPING_AT_ONCE,
            Event::Messages(_) => AT_ONCE,
        };
        let live = Live::new(cluster, web, budget, at_once);
        serve(&live, config, event, budget.times()).await
    }
}

/// What became of an event.
#[derive(Debug, Default)]
pub struct Handled {
    /// What became of each instance.
    pub report: Report,
    /// The parts of the event that have failed, by their places, and why.
    pub failures: Vec<(usize, Rc<Error>)>,
    /// The SQS messages that the parts came in, by their places.
    queue_messages: Vec<Option<String>>,
}

impl Handled {
    pub(crate) fn of(deliveries: &[Delivery]) -> Self {
        let queue_messages = deliveries.iter().map(|delivery| delivery.queue_message.clone()).collect();
        Self { queue_messages, ..Self::default() }
    }

    pub(crate) fn failed(&mut self, delivery: usize, error: &Rc<Error>) {
        self.failures.push((delivery, Rc::clone(error)));
    }

    /// The answer to whoever sent the event. A queue is told which messages to deliver again, and nothing else. To
    /// everybody else one failure fails the event, so that it is sent again; all failures are logged, the first one is
    /// the answer.
    fn answer(self) -> Result<Answer, Rc<Error>> {
        let mut said: Vec<&Rc<Error>> = Vec::new();
        for (_, error) in &self.failures {
            if !said.iter().any(|known| Rc::ptr_eq(known, error)) {
                tracing::error!(error_type = error.name(), "{}", error.explanation());
                said.push(error);
            }
        }
        if self.queue_messages.iter().any(Option::is_some) {
            let name = |place: usize| self.queue_messages.get(place).and_then(Option::as_ref);
            let failed: Option<Vec<&String>> = self.failures.iter().map(|(place, _)| name(*place)).collect();
            // A part that the queue has no name for fails them all.
            if let Some(failed) = failed {
                return Ok(Answer::batch(failed));
            }
        }
        let Self { report, failures, .. } = self;
        match failures.into_iter().next() {
            None => Ok(Answer::Report(report)),
            Some((_, first)) => Err(first),
        }
    }
}

/// The moments that bound an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Until when it looks again at what it has begun: then there is time to answer.
    pub looks_end: Timestamp,
    /// Until when it tries to begin.
    pub ends: Timestamp,
}

/// Does what one event asks for, in any world.
pub async fn serve(
    world: &impl World,
    config: &Config,
    event: Event,
    times: Times,
) -> Result<Handled, Error> {
    match event {
        Event::Sweep => {
            let report = sweep::sweep(world, config, times).await?;
            Ok(Handled { report, ..Handled::default() })
        }
        Event::Messages(deliveries) => Ok(handle(world, config, times, deliveries).await),
    }
}

/// Connections to Nomad at once: it allows 100 for one address, and a NAT gateway is one address for every function
/// that runs at the moment.
const AT_ONCE: usize = 2;

/// The same for a sweep, of which there is one.
const SWEEPING_AT_ONCE: usize = 24;

impl Ready {
    fn new(config: Config) -> Result<Self, ConfigurationError> {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let web = HttpClient::new(&Tls::new(Trust::web())).map_err(|error| ConfigurationError {
            problems: vec![format!(
                "the certificate authorities that are built in cannot be used: {}",
                Causes(&error)
            )],
        })?;
        Ok(Self { cluster: Cluster::new(config), web })
    }
}
