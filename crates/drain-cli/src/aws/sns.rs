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

/// What there is to know of a topic itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Topic {
    pub(crate) policy: Option<Document>,
    /// The key of KMS's that encrypts it, if one does.
    pub(crate) kms_key: Option<String>,
}

/// A topic; `None` if there is none. IAM: `sns:GetTopicAttributes`.
pub(crate) async fn topic(aws: &Aws, topic: &str) -> Result<Option<Topic>, AwsError> {
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
    Ok(Some(Topic {
        policy: result.attributes.get("Policy").and_then(Document::parse),
        kms_key: result.attributes.get("KmsMasterKeyId").filter(|key| !key.is_empty()).map(str::to_owned),
    }))
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

/// What a subscription lets through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Filter {
    /// JSON in a text.
    pub(crate) policy: String,
    /// Whether it looks at the message itself, and not at its attributes.
    pub(crate) is_of_body: bool,
}

/// What a subscription lets through; `None` if that is everything. IAM: `sns:GetSubscriptionAttributes`.
pub(crate) async fn filter(aws: &Aws, subscription: &str) -> Result<Option<Filter>, AwsError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "GetSubscriptionAttributesResult")]
        result: Attributes,
    }
    const OPERATION: &str = "sns:GetSubscriptionAttributes";
    let form = Form::new("GetSubscriptionAttributes", VERSION).with("SubscriptionArn", subscription);
    let Answer { result } = super::read(OPERATION, &super::ask(aws, Service::Sns, OPERATION, form).await?)?;
    let filter = result.attributes.get("FilterPolicy").map(str::trim);
    let is_of_body = result.attributes.get("FilterPolicyScope") == Some("MessageBody");
    let says_something = |filter: &&str| !filter.is_empty() && *filter != "{}";
    Ok(filter.filter(says_something).map(|policy| Filter { policy: policy.to_owned(), is_of_body }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    #[serde(default)]
    attributes: Entries,
}
