//! What is remembered of invocations.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

/// How a function was invoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InvocationType {
    /// The caller waits for the answer.
    RequestResponse,
    /// The event is put into Lambda's queue, and tried again after an error.
    Event,
}

/// One run of a function; a retry is another one with the same request id.
#[derive(Clone, Debug, PartialEq)]
pub struct InvocationRecord {
    /// Lambda's id of the event.
    pub request_id: String,
    /// How it was invoked.
    pub kind: InvocationType,
    /// 1, and 2 and 3 for retries.
    pub attempt: usize,
    /// When, by the lab's clock.
    pub started_at: Timestamp,
    /// What it was invoked with.
    pub payload: Value,
    /// How long initialisation took in real time, if this was a cold start.
    pub init: Option<Duration>,
    /// How long the run took in real time, without initialisation.
    pub duration: Duration,
    /// The most memory that its execution environment has had at once so far, in bytes; none if the process has ended, or
    /// where the system does not tell.
    pub max_memory_used: Option<u64>,
    /// The time that the process spent on a processor in this run, initialisation included; none as above.
    pub cpu_total_time: Option<Duration>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the process printed, initialisation included.
    pub log: Vec<LogLine>,
}

impl InvocationRecord {
    /// Whether a new execution environment had to be made.
    pub fn is_cold_start(&self) -> bool {
        self.init.is_some()
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With this response.
    Succeeded(Value),
    /// With an error: the function's own, or `Sandbox.Timedout`, `Runtime.ExitError` and the like.
    Failed {
        /// `errorType` in the payload.
        error_type: String,
        /// What the caller gets.
        payload: Value,
    },
    /// It did not run: as many run already as may.
    Throttled,
}

impl Outcome {
    /// The response, if there is one.
    pub fn response(&self) -> Option<&Value> {
        match self {
            Self::Succeeded(response) => Some(response),
            Self::Failed { .. } | Self::Throttled => None,
        }
    }

    /// The type of the error, if it is one.
    pub fn error_type(&self) -> Option<&str> {
        match self {
            Self::Succeeded(_) => None,
            Self::Failed { error_type, .. } => Some(error_type),
            Self::Throttled => Some("TooManyRequestsException"),
        }
    }
}

/// Where a line was printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line that a function printed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogLine {
    /// When it was read, by the lab's clock.
    pub at: Timestamp,
    /// During which invocation; none during initialisation.
    pub request_id: Option<String>,
    /// Where.
    pub stream: Stream,
    /// What, without the end of line.
    pub text: String,
}

/// An event that failed for the last time.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Lambda's id of the event.
    pub request_id: String,
    /// The event.
    pub payload: Value,
    /// How often it was tried.
    pub attempts: usize,
    /// How the last try ended.
    pub outcome: Outcome,
    /// When it was given up, by the lab's clock.
    pub at: Timestamp,
}
