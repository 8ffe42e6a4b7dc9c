//! One decision, made again.

use std::collections::BTreeMap;
use std::fmt;

use drain::config::{ConfigurationError, tried};
use drain::reconcile::explain;
use drain_core::decide::{Action, Decision};
use drain_core::observation::{DrainSpec, Observation};
use drain_core::reason::Reason;
use drain_core::record::Record;
use jiff::Timestamp;
use serde::Serialize;

use super::input::Found;
use super::seen;

/// One decision, made again.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// Where its record is.
    line: usize,
    /// As of when it is decided.
    now: Timestamp,
    instance_id: String,
    /// What is decided.
    decision: Decision,
    /// The word for it.
    pub(super) reason: &'static str,
    /// In words.
    message: String,
    /// What was decided when it was recorded.
    recorded: Decision,
    /// Whether that was something else.
    pub(super) differs: bool,
    /// The same as a record: a test case.
    #[serde(skip)]
    pub(super) record: Record,
}

impl Step {
    /// Decides again, as of another moment and with other settings if that is asked for.
    pub(super) fn of(
        found: Found,
        at: Option<Timestamp>,
        set: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigurationError> {
        let Found { line, mut record } = found;
        let recorded = record.decision.clone();
        record.now = at.unwrap_or(record.now);
        if !set.is_empty() {
            record.policy = tried(&record.policy, set)?;
        }
        record.decision = record.decide();
        Ok(Self {
            line,
            now: record.now,
            instance_id: record.observation.target.instance.to_string(),
            reason: word(&record.decision),
            message: explain(&record.observation, &record.policy, record.now, &record.decision),
            differs: record.decision != recorded,
            decision: record.decision.clone(),
            recorded,
            record,
        })
    }

    fn seen(&self) -> &Observation {
        &self.record.observation
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, now, message, differs, .. } = self;
        writeln!(f, "{now:.3}  {}  (line {line})", seen::target(&self.seen().target))?;
        for line in seen::lines(&self.record) {
            writeln!(f, "    seen      {line}")?;
        }
        if *differs {
            writeln!(f, "    recorded  {}", told(&self.recorded))?;
            writeln!(f, "    NOW       {}", told(&self.decision))?;
        } else {
            writeln!(f, "    decided   {}", told(&self.decision))?;
        }
        writeln!(f, "    because   {message}")
    }
}

/// A decision in one line.
fn told(decision: &Decision) -> String {
    let what = match decision {
        Decision::Act(Action::Drain(request)) if request.spec.deadline == DrainSpec::FORCE => {
            format!("drain node {}, at once", request.node)
        }
        Decision::Act(Action::Drain(request)) => {
            format!("drain node {} within {:#}", request.node, request.spec.deadline)
        }
        Decision::Act(Action::MakeIneligible(node)) => format!("make node {node} ineligible"),
        Decision::Act(Action::GiveBack { node, ends_drain: false }) => format!("make node {node} eligible"),
        Decision::Act(Action::GiveBack { node, ends_drain: true }) => {
            format!("end the drain of node {node} and make it eligible")
        }
        Decision::Act(Action::Purge(node)) => format!("purge node {node}"),
        Decision::Act(Action::Heartbeat) => return "send a heartbeat".to_owned(),
        Decision::Act(Action::Complete { result, .. }) => {
            format!("complete the lifecycle action with {}", result.as_str())
        }
        Decision::Wait { until, .. } if *until == Timestamp::MAX => "wait".to_owned(),
        Decision::Wait { until, .. } => format!("wait, until {until:.3} at the latest"),
        Decision::Finish(_) => "nothing more".to_owned(),
    };
    format!("{what}: {}", word(decision))
}

/// The word for a decision: its reason, or what it does where it needs none.
fn word(decision: &Decision) -> &'static str {
    let reason = match decision {
        Decision::Act(Action::Drain(request)) => request.reason,
        Decision::Act(Action::MakeIneligible(_)) => Reason::MadeIneligible,
        Decision::Act(Action::GiveBack { .. }) => Reason::GivenBack,
        Decision::Act(Action::Purge(_)) => Reason::NodePurged,
        Decision::Act(Action::Heartbeat) => return "heartbeat",
        Decision::Act(Action::Complete { reason, .. }) => *reason,
        Decision::Wait { why, .. } | Decision::Finish(why) => *why,
    };
    reason.as_str()
}
