//! Rules, as `EventBridge` describes them.

use serde_json::Value;

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it is triggered by.
    pub trigger: Trigger,
    /// Whether it does anything.
    pub enabled: bool,
    /// Where events go.
    pub targets: Vec<RuleTarget>,
}

/// What triggers a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// Events that match this pattern.
    Pattern(Value),
    /// The clock: `rate(1 minute)`.
    Schedule(String),
}

/// A target of a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleTarget {
    /// Its name, unique in the rule.
    pub id: String,
    /// The ARN of the function or the queue.
    pub arn: String,
    /// The ARN of the queue for events that could not be delivered.
    pub dead_letter_arn: Option<String>,
    /// The part of the event that it gets; the whole if nothing is said.
    pub input_path: Option<String>,
}

impl Rule {
    /// A rule that is on and has one target.
    pub fn new(trigger: Trigger, target_arn: &str, dead_letter_arn: &str) -> Self {
        let target = RuleTarget {
            id: "function".to_owned(),
            arn: target_arn.to_owned(),
            dead_letter_arn: Some(dead_letter_arn.to_owned()),
            input_path: None,
        };
        Self { trigger, enabled: true, targets: vec![target] }
    }
}
