//! `EventBridge`: the rules of the default bus, and where they send events.

use drain::aws::{Aws, AwsError, Service};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MOST_PAGES, next_page};

/// A rule.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Rule {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) arn: String,
    /// `ENABLED`, `DISABLED` or `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`.
    #[serde(default)]
    pub(crate) state: String,
    /// The pattern of events: JSON in a text.
    pub(crate) event_pattern: Option<String>,
    /// `rate(1 minute)`, `cron(…)`.
    pub(crate) schedule_expression: Option<String>,
}

/// A target of a rule.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Target {
    pub(crate) arn: String,
    /// What it gets instead of the event.
    pub(crate) input: Option<String>,
    pub(crate) input_path: Option<String>,
    pub(crate) input_transformer: Option<Value>,
}

/// Every rule of the default bus. IAM: `events:ListRules` on `*`.
pub(crate) async fn list_rules(aws: &Aws) -> Result<Vec<Rule>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        rules: Vec<Rule>,
        next_token: Option<String>,
    }
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let body = next.as_ref().map_or_else(|| json!({}), |token| json!({"NextToken": token}));
        let answer: Answer =
            super::ask_json(aws, Service::EventBridge, "events:ListRules", "AWSEvents.ListRules", &body)
                .await?;
        all.extend(answer.rules);
        next = next_page(answer.next_token);
        if next.is_none() {
            break;
        }
    }
    Ok(all)
}

/// The targets of a rule. IAM: `events:ListTargetsByRule` on it.
pub(crate) async fn list_targets_by_rule(aws: &Aws, rule: &str) -> Result<Vec<Target>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        targets: Vec<Target>,
    }
    // A rule has at most five targets, or a hundred: one page.
    let target = "AWSEvents.ListTargetsByRule";
    let body = json!({"Rule": rule});
    let answer: Answer =
        super::ask_json(aws, Service::EventBridge, "events:ListTargetsByRule", target, &body).await?;
    Ok(answer.targets)
}
