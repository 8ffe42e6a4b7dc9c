//! Functions, as Lambda and `CloudWatch` describe them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Statement;
use crate::aws::Account;
use crate::lambda::{Function, Lambda, Outcome};

/// A function.
#[derive(Clone, Debug)]
pub struct DeployedFunction {
    /// Its name.
    pub name: String,
    /// The ARN of the role whose permissions it has.
    pub role_arn: String,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// How long a run may take.
    pub timeout: Duration,
    /// Its memory in MB.
    pub memory_mb: u32,
    /// Who may invoke it.
    pub policy: Vec<Statement>,
    /// The queues that Lambda reads for it.
    pub event_sources: Vec<EventSource>,
    /// What becomes of events that fail; Lambda's defaults if nothing is configured.
    pub event_invoke_config: Option<EventInvokeConfig>,
    /// Runs that `CloudWatch` counts, beside those of the hosted function.
    pub runs: Vec<Run>,
    /// The lab's own function of that name: it is what `Invoke` runs, and its runs count.
    pub hosted: Option<Lambda>,
}

/// An event source mapping.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventSource {
    /// The queue's ARN.
    pub queue_arn: String,
    /// Whether Lambda reads it.
    pub enabled: bool,
    /// How many messages the function gets at a time, at most.
    pub batch_size: u32,
    /// Whether it may say which messages of a batch failed (`ReportBatchItemFailures`).
    pub reports_failures: bool,
}

/// What becomes of events that fail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventInvokeConfig {
    /// How often an event is tried again.
    pub maximum_retry_attempts: u32,
    /// How old an event may become.
    pub maximum_event_age: Duration,
    /// The ARN of what gets events that were given up.
    pub on_failure: Option<String>,
}

/// A run that has begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Run {
    /// When.
    pub at: Timestamp,
    /// Whether it ended in an error.
    pub failed: bool,
}

impl DeployedFunction {
    /// A function with the settings of `function`, which nobody may invoke yet.
    pub fn new(function: &Function, account: &Account) -> Self {
        Self {
            name: function.name.clone(),
            role_arn: account.role_arn(),
            environment: function.env.clone(),
            timeout: function.timeout,
            memory_mb: function.memory_mb,
            policy: Vec::new(),
            event_sources: Vec::new(),
            event_invoke_config: None,
            runs: Vec::new(),
            hosted: None,
        }
    }

    /// The runs that began from `start` on and before `end`, in periods of that length: of each in which there were any
    /// the beginning, how many there were, and how many of them failed.
    pub(crate) fn runs_by_period(
        &self,
        start: Timestamp,
        end: Timestamp,
        period: SignedDuration,
    ) -> BTreeMap<Timestamp, (usize, usize)> {
        let hosted = self.hosted.iter().flat_map(Lambda::invocations);
        // A call that was throttled is no invocation (Lambda Developer Guide, "Types of metrics").
        let hosted = hosted
            .filter(|run| run.outcome != Outcome::Throttled)
            .map(|run| Run { at: run.started_at, failed: matches!(run.outcome, Outcome::Failed { .. }) });
        let length = period.as_secs().max(1);
        let mut periods = BTreeMap::new();
        for run in hosted.chain(self.runs.iter().copied()).filter(|run| (start..end).contains(&run.at)) {
            let second = run.at.as_second();
            let begins = Timestamp::from_second(second - second.rem_euclid(length)).unwrap_or(run.at);
            let (count, failed) = periods.entry(begins).or_insert((0, 0));
            *count += 1;
            *failed += usize::from(run.failed);
        }
        periods
    }
}
