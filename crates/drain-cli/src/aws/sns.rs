//! SNS: topics, and who is subscribed to them.

use drain::aws::query::Form;
use drain::aws::{Aws, AwsError, Service};
use serde::Deserialize;

use super::policy::Document;
use super::{Entries, MOST_PAGES, Members, next_page, or_absent};

const VERSION: &str = "2010-03-31";

/// How SNS says that there is no such topic or subscription.
const NOT_FOUND: &[&str] = &["NotFound", "NotFoundException"];

/// A subscription as the list shows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Subscription {
    /// `PendingConfirmation` while nobody has confirmed it.
    #[serde(default, rename = "SubscriptionArn")]
    pub(crate) arn: String,
    #[serde(default)]
    pub(crate) protocol: String,
    #[serde(default)]
    pub(crate) endpoint: String,
}

/// The policy of a topic, if it has one; `None` if there is no such topic. IAM: `sns:GetTopicAttributes`.
pub(crate) async fn topic_policy(aws: &Aws, topic: &str) -> Result<Option<Option<Document>>, AwsError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "GetTopicAttributesResult")]
        result: Attributes,
    }
    const OPERATION: &str = "sns:GetTopicAttributes";
    let form = Form::new("GetTopicAttributes", VERSION).with("TopicArn", topic);
    let Some(answer) = or_absent(super::ask(aws, Service::Sns, OPERATION, form).await, NOT_FOUND)? else {
        return Ok(None);
    };
    let Answer { result } = super::read(OPERATION, &answer)?;
    Ok(Some(result.attributes.get("Policy").and_then(Document::parse)))
}

/// The subscriptions of a topic. IAM: `sns:ListSubscriptionsByTopic`.
pub(crate) async fn list_subscriptions_by_topic(
    aws: &Aws,
    topic: &str,
) -> Result<Vec<Subscription>, AwsError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "ListSubscriptionsByTopicResult")]
        result: Page,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page {
        #[serde(default)]
        subscriptions: Members<Subscription>,
        next_token: Option<String>,
    }
    const OPERATION: &str = "sns:ListSubscriptionsByTopic";
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let form = Form::new("ListSubscriptionsByTopic", VERSION)
            .with("TopicArn", topic)
            .with_optional("NextToken", next.as_deref());
        let Answer { result } =
            super::read(OPERATION, &super::ask(aws, Service::Sns, OPERATION, form).await?)?;
        all.extend(result.subscriptions.members);
        next = next_page(result.next_token);
        if next.is_none() {
            break;
        }
    }
    Ok(all)
}

/// What a subscription lets through; `None` if that is everything. IAM: `sns:GetSubscriptionAttributes`.
pub(crate) async fn filter_policy(aws: &Aws, subscription: &str) -> Result<Option<String>, AwsError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "GetSubscriptionAttributesResult")]
        result: Attributes,
    }
    const OPERATION: &str = "sns:GetSubscriptionAttributes";
    let form = Form::new("GetSubscriptionAttributes", VERSION).with("SubscriptionArn", subscription);
    let Answer { result } = super::read(OPERATION, &super::ask(aws, Service::Sns, OPERATION, form).await?)?;
    let filter = result.attributes.get("FilterPolicy").map(str::trim);
    Ok(filter.filter(|filter| !filter.is_empty() && *filter != "{}").map(str::to_owned))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    #[serde(default)]
    attributes: Entries,
}
