//! Functions, as Lambda and `CloudWatch` describe them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

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
    /// Why it cannot be invoked, if it is not active: then its state is `Failed`.
    pub failed: Option<String>,
    /// The subnets in which it runs; none if it is in no VPC.
    pub subnet_ids: Vec<String>,
    /// Whether its variables are encrypted with a key that callers may not use.
    pub is_sealed: bool,
    /// Who may invoke it.
    pub policy: Vec<Statement>,
    /// Who may invoke which version or alias of it: each has a policy of its own.
    pub qualified: BTreeMap<String, Vec<Statement>>,
    /// How many runs of it there may be at once, if that is reserved; none at all if it is 0.
    pub reserved_concurrency: Option<u32>,
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
    /// The version or alias of the function that it invokes, if it is one.
    pub qualifier: Option<String>,
    /// The pattern of the messages that the function gets: others are deleted unread.
    pub filter_pattern: Option<String>,
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
            failed: None,
            subnet_ids: Vec::new(),
            is_sealed: false,
            policy: Vec::new(),
            qualified: BTreeMap::new(),
            reserved_concurrency: None,
            event_sources: Vec::new(),
            event_invoke_config: None,
            runs: Vec::new(),
            hosted: None,
        }
    }

    /// Every run that `CloudWatch` knows of.
    pub(crate) fn all_runs(&self) -> Vec<Run> {
        let hosted = self.hosted.iter().flat_map(Lambda::invocations);
        // A call that was throttled is no invocation (Lambda Developer Guide, "Types of metrics").
        let hosted = hosted
            .filter(|run| run.outcome != Outcome::Throttled)
            .map(|run| Run { at: run.started_at, failed: matches!(run.outcome, Outcome::Failed { .. }) });
        hosted.chain(self.runs.iter().copied()).collect()
    }
}
