//! Lambda: what a function is, who may call it, and what it reads.

use drain::aws::{Aws, AwsError, Service};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::policy::Document;
use super::{MOST_PAGES, next_page, or_absent};

/// How Lambda says that there is no such function, policy or configuration.
const NOT_FOUND: &[&str] = &["ResourceNotFoundException"];

/// A function's configuration, as far as it is looked at.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Configuration {
    pub(crate) function_name: String,
    /// With the version or alias that was asked for.
    pub(crate) function_arn: String,
    pub(crate) role: String,
    /// In seconds.
    pub(crate) timeout: u32,
    /// `Active`, `Pending`, `Inactive` or `Failed`.
    #[serde(default)]
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) state_reason: String,
    #[serde(default)]
    pub(crate) vpc_config: Vpc,
    /// The older way to keep events that are given up.
    #[serde(default)]
    pub(crate) dead_letter_config: DeadLetters,
}

/// A function's VPC; it has no subnets if it is in none.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Vpc {
    #[serde(default)]
    pub(crate) subnet_ids: Vec<String>,
}

/// Where events go that are given up.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeadLetters {
    pub(crate) target_arn: Option<String>,
}

/// An event source mapping.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Mapping {
    #[serde(rename = "UUID")]
    pub(crate) uuid: String,
    #[serde(default)]
    pub(crate) event_source_arn: String,
    #[serde(default)]
    pub(crate) function_arn: String,
    /// `Enabled`, `Disabled`, `Creating`…
    #[serde(default)]
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) function_response_types: Vec<String>,
    #[serde(default)]
    pub(crate) filter_criteria: Filters,
}

/// Which messages a function gets; others are deleted unread.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Filters {
    #[serde(default)]
    pub(crate) filters: Vec<Filter>,
}

/// One kind of message that a function gets.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Filter {
    #[serde(default)]
    pub(crate) pattern: String,
}

/// The configuration of a function; `None` if there is none of this name or ARN. IAM: `lambda:GetFunctionConfiguration`.
pub(crate) async fn get_function_configuration(
    aws: &Aws,
    name: &str,
) -> Result<Option<Configuration>, AwsError> {
    let path = format!("/2015-03-31/functions/{}/configuration", encoded(name));
    let answer = super::ask_path(aws, Service::Lambda, "lambda:GetFunctionConfiguration", &path).await;
    or_absent(answer, NOT_FOUND)
}

/// Who may call a function, or a version or alias of it, which has a policy of its own; `None` if it has none. IAM:
/// `lambda:GetPolicy`.
pub(crate) async fn get_policy(
    aws: &Aws,
    name: &str,
    qualifier: Option<&str>,
) -> Result<Option<Document>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        policy: String,
    }
    let query = qualifier.map(|one| format!("?Qualifier={}", encoded(one))).unwrap_or_default();
    let path = format!("/2015-03-31/functions/{}/policy{query}", encoded(name));
    let answer = super::ask_path(aws, Service::Lambda, "lambda:GetPolicy", &path).await;
    Ok(or_absent(answer, NOT_FOUND)?.and_then(|Answer { policy }| Document::parse(&policy)))
}

/// How many runs of a function there may be at once, if that is reserved; none at all if it is 0. IAM:
/// `lambda:GetFunctionConcurrency`.
pub(crate) async fn reserved_concurrency(aws: &Aws, name: &str) -> Result<Option<u32>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        reserved_concurrent_executions: Option<u32>,
    }
    let path = format!("/2019-09-30/functions/{}/concurrency", encoded(name));
    let answer: Result<Answer, AwsError> =
        super::ask_path(aws, Service::Lambda, "lambda:GetFunctionConcurrency", &path).await;
    Ok(or_absent(answer, NOT_FOUND)?.and_then(|answer| answer.reserved_concurrent_executions))
}

/// Whether a function, or nothing, gets the events that it gives up. IAM: `lambda:GetFunctionEventInvokeConfig`.
pub(crate) async fn on_failure(aws: &Aws, name: &str) -> Result<Option<String>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        destination_config: Destinations,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Destinations {
        #[serde(default)]
        on_failure: Destination,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Destination {
        destination: Option<String>,
    }
    let path = format!("/2019-09-25/functions/{}/event-invoke-config", encoded(name));
    let answer: Result<Answer, AwsError> =
        super::ask_path(aws, Service::Lambda, "lambda:GetFunctionEventInvokeConfig", &path).await;
    Ok(or_absent(answer, NOT_FOUND)?.and_then(|answer| answer.destination_config.on_failure.destination))
}

/// What a function reads, or who reads a queue. IAM: `lambda:ListEventSourceMappings` on `*`.
pub(crate) async fn list_event_source_mappings(
    aws: &Aws,
    function: Option<&str>,
    source: Option<&str>,
) -> Result<Vec<Mapping>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        event_source_mappings: Vec<Mapping>,
        next_marker: Option<String>,
    }
    let mut all = Vec::new();
    let mut marker: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let parameters =
            [("FunctionName", function), ("EventSourceArn", source), ("Marker", marker.as_deref())];
        let query: Vec<String> = parameters
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))))
            .collect();
        let path = format!("/2015-03-31/event-source-mappings?{}", query.join("&"));
        let answer: Answer =
            super::ask_path(aws, Service::Lambda, "lambda:ListEventSourceMappings", &path).await?;
        all.extend(answer.event_source_mappings);
        marker = next_page(answer.next_marker);
        if marker.is_none() {
            break;
        }
    }
    Ok(all)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
