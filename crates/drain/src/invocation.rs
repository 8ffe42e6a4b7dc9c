//! One invocation: from the payload to the report.

use std::cell::Cell;
use std::io::Write as _;
use std::rc::Rc;

use futures_util::FutureExt as _;
use futures_util::future::join;
use jiff::Timestamp;

use crate::chronicle::Chronicle;
use crate::config::{Config, ConfigurationError};
use crate::error::Error;
use crate::event::{self, Delivery, Event};
use crate::handle::handle;
use crate::installation::{Installation, sites};
use crate::live::{Budget, Calls};
use crate::metrics::{self, OfCluster, Told};
use crate::notify;
use crate::report::{Answer, Report};
use crate::sites::Site;
use crate::sweep;
use crate::world::World;

/// The function: built once in a process, invoked many times.
#[derive(Debug)]
pub struct Function {
    ready: Result<Installation, ConfigurationError>,
    /// Whether it was invoked before.
    warm: Cell<bool>,
}

impl Function {
    /// Reads the configuration. It never fails: Lambda would start a function whose initialisation fails again and
    /// again, and say nothing of why. Each invocation says it instead.
    pub fn new(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self { ready: Installation::new(lookup), warm: Cell::default() }
    }

    /// Does what one event asks for, as far as its time allows.
    pub async fn invoke(&self, event: &str, context: impl Into<Context<'_>>) -> Result<Answer, Rc<Error>> {
        let known = Known { cold: !self.warm.replace(true), ..Known::default() };
        invoke(self.ready.as_ref(), event, &context.into(), known, Metrics::ToStandardOutput).await
    }
}

impl Installation {
    /// Does what one event asks for, as [`Function::invoke`] does, for a program that is not on Lambda: one that renews its
    /// credentials between two invocations, and decides where metrics go.
    pub async fn invoke(
        &self,
        event: &str,
        context: impl Into<Context<'_>>,
        metrics: Metrics,
    ) -> Result<Answer, Rc<Error>> {
        invoke(Ok(self), event, &context.into(), Known::default(), metrics).await
    }
}

/// Where an invocation's metrics go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Metrics {
    /// To standard output, as lines in `CloudWatch`'s embedded metric format.
    ToStandardOutput,
    /// Nowhere.
    Nowhere,
}

async fn invoke(
    ready: Result<&Installation, &ConfigurationError>,
    event: &str,
    context: &Context<'_>,
    mut known: Known,
    metrics: Metrics,
) -> Result<Answer, Rc<Error>> {
    let handled = match ready {
        // On the heap: futures within futures are types within types, and the compiler follows only so many of them.
        Ok(installation) => installation.handle(event, context, &mut known).boxed_local().await,
        Err(error) => Err(error.clone().into()),
    };
    let happened = known.chronicle.so_far();
    let (told, answer) = match handled {
        Ok(handled) => {
            let told = known.told(handled.result(), Some(handled.report.clone()));
            (told, handled.answer())
        }
        Err(error) => {
            tracing::error!(error_type = error.name(), "{}", error.explanation());
            (known.told("failed", None), Err(Rc::new(error)))
        }
    };
    if metrics == Metrics::ToStandardOutput {
        let namespace = ready.map_or(DEFAULT_NAMESPACE, |ready| ready.config().metrics_namespace.as_str());
        for line in metrics::lines(&told, &happened, namespace, Timestamp::now()) {
            // Standard output is the log; a log that cannot be written is no reason to fail.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
    answer
}

impl Installation {
    async fn handle(&self, event: &str, context: &Context<'_>, known: &mut Known) -> Result<Handled, Error> {
        let config = self.config();
        let event = event::parse(event, &config.scope()).map_err(Error::Event);
        let account = self.account(context.budget, context.trace_id);
        let is_needed = event.as_ref().is_ok_and(Event::asks_for_something);
        let clusters = self.clusters(&account, is_needed).await?;
        let event = event?;
        known.event = metrics::kind(&event);
        let at_once = match &event {
            Event::Sweep => SWEEPING_AT_ONCE,
            Event::Messages(_) => AT_ONCE,
        };
        let worlds = self.worlds(&clusters, &account, at_once);
        let sites = sites(&clusters, &worlds);
        let chronicle = &known.chronicle;
        let work = async {
            let handled = serve(&account, &sites, config, event, context.budget.times(), chronicle).await;
            chronicle.close();
            handled
        };
        let handled = if config.notifications.is_wanted() {
            let news = chronicle.follow();
            let (handled, failed) =
                join(work, notify::tell(&config.notifications, &account, self.web(), news)).await;
            known.notifications_failed = failed;
            handled
        } else {
            work.await
        };
        known.aws = account.calls();
        known.clusters = sites.iter().map(Site::calls).collect();
        handled
    }
}

/// What an invocation comes with, besides its event.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Its time.
    pub budget: Budget,
    /// The trace that it is part of (`Lambda-Runtime-Trace-Id`): calls to AWS carry it on.
    pub trace_id: Option<&'a str>,
}

impl From<Budget> for Context<'_> {
    fn from(budget: Budget) -> Self {
        Self { budget, trace_id: None }
    }
}

/// What is known for the metrics of an invocation, however it ends.
#[derive(Debug)]
struct Known {
    cold: bool,
    event: &'static str,
    chronicle: Rc<Chronicle>,
    aws: Calls,
    clusters: Vec<OfCluster>,
    notifications_failed: usize,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            cold: false,
            event: "other",
            chronicle: Rc::default(),
            aws: Calls::default(),
            clusters: Vec::new(),
            notifications_failed: 0,
        }
    }
}

impl Known {
    fn told(self, result: &'static str, report: Option<Report>) -> Told {
        let Self { cold, event, aws, clusters, notifications_failed, .. } = self;
        Told { event, result, cold, report, aws, clusters, notifications_failed }
    }
}

/// The metrics' namespace while the configuration cannot be read.
const DEFAULT_NAMESPACE: &str = "NomadDrain";

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

    /// What became of a sweep. It has done what it could; what is wrong with the configuration is its failure all the same.
    pub(crate) fn swept(report: Report, wrong: Option<ConfigurationError>) -> Self {
        let failures = wrong.into_iter().map(|wrong| (0, Rc::new(wrong.into()))).collect();
        Self { report, failures, ..Self::default() }
    }

    pub(crate) fn failed(&mut self, delivery: usize, error: &Rc<Error>) {
        self.failures.push((delivery, Rc::clone(error)));
    }

    /// The invocation's result in the metrics. Messages of a queue fail by themselves.
    fn result(&self) -> &'static str {
        let from_queue = self.queue_messages.iter().all(Option::is_some) && !self.queue_messages.is_empty();
        match self.failures.len() {
            0 => "succeeded",
            some if from_queue && some < self.queue_messages.len() => "partly_failed",
            _ => "failed",
        }
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
            None => Ok(Answer::Report(report.bounded())),
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
pub async fn serve<W: World>(
    account: &W::Account,
    sites: &[Site<'_, W>],
    config: &Config,
    event: Event,
    times: Times,
    chronicle: &Rc<Chronicle>,
) -> Result<Handled, Error> {
    match event {
        Event::Sweep => sweep::sweep(account, sites, config, times, chronicle).await,
        Event::Messages(deliveries) => Ok(handle(account, sites, config, times, chronicle, deliveries).await),
    }
}

/// Connections to Nomad at once: it allows 100 for one address, and a NAT gateway is one address for every function
/// that runs at the moment.
pub const AT_ONCE: usize = 2;

/// The same for a sweep, of which there is one.
pub const SWEEPING_AT_ONCE: usize = 24;
