//! Amazon EC2 Auto Scaling: groups, the instances that lifecycle hooks hold, and those hooks' actions.
//!
//! One function is one call: the caller retries, and follows the pages. What no answer should hold, such as an id that
//! is none, is skipped with a warning, so that one odd entry does not hide the rest; an answer that cannot be read as
//! a whole is an error, never an empty list. Shapes and limits are those of the API Reference, version 2011-01-01.

mod actions;
mod activities;
mod groups;
mod hooks;
mod instances;

use std::time::Duration;

use drain_core::ids::InstanceId;
use drain_http::Limits;
use serde::Deserialize;
use tracing::warn;

pub use actions::{ActionRef, complete, record_heartbeat};
pub use activities::{Activity, describe_scaling_activities};
pub use groups::{Group, GroupQuery, MAX_GROUPS, describe_groups};
pub use hooks::{Hook, describe_lifecycle_hooks};
pub use instances::{GroupInstance, MAX_INSTANCES, Waiting, describe_instances, describe_warm_pool};

use super::query::{self, Form};
use super::{Aws, AwsError, LARGEST_ANSWER, Service};

/// One page of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page<T> {
    /// What is on it. A page in the middle may be empty.
    pub items: Vec<T>,
    /// The token of the next page; `None` on the last one.
    pub next: Option<String>,
}

fn form(action: &str) -> Form {
    Form::new(action, "2011-01-01")
}

/// The IAM action, by which errors name the call, of an API action.
macro_rules! operation {
    ($action:expr) => {
        concat!("autoscaling:", $action)
    };
}
use operation;

async fn call(aws: &Aws, operation: &str, form: Form, timeout: Duration) -> Result<bytes::Bytes, AwsError> {
    let limits = Limits { timeout, body: LARGEST_ANSWER };
    query::send(aws, Service::AutoScaling, operation, form, limits).await
}

/// Reads `<ActionResponse><ActionResult>…`. The result has to be there: any other document is no answer, and not an
/// empty one.
fn read<'a, T: Deserialize<'a>>(operation: &str, xml: &'a str) -> Result<T, AwsError> {
    #[derive(Deserialize)]
    struct Answer<T> {
        #[serde(
            rename = "DescribeAutoScalingGroupsResult",
            alias = "DescribeAutoScalingInstancesResult",
            alias = "DescribeLifecycleHooksResult",
            alias = "DescribeScalingActivitiesResult",
            alias = "DescribeWarmPoolResult"
        )]
        result: T,
    }
    let answer: Answer<T> =
        quick_xml::de::from_str(xml).map_err(|error| query::unreadable(operation, error))?;
    Ok(answer.result)
}

/// `<member>` elements.
#[derive(Deserialize)]
struct Members<T> {
    #[serde(default = "Vec::new", rename = "member")]
    members: Vec<T>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { members: Vec::new() }
    }
}

/// A page's token, if it has one.
fn token(next: Option<String>) -> Option<String> {
    next.filter(|token| !token.is_empty())
}

/// The instance id, unless it is none.
fn instance_id(text: &str) -> Option<InstanceId> {
    skip_invalid("an instance", InstanceId::parse(text))
}

/// The value, unless it is not valid: AWS's own names are, so somebody should know.
fn skip_invalid<T, E: std::error::Error>(what: &'static str, parsed: Result<T, E>) -> Option<T> {
    parsed.inspect_err(|error| warn!(%error, what, "Auto Scaling describes something that is skipped")).ok()
}
