//! Topics and their subscriptions, as SNS describes them.

use serde_json::Value;

use super::Statement;

/// A topic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topic {
    /// Who may publish to it and subscribe to it. Its own account's roles also need nothing but their own policies.
    pub policy: Vec<Statement>,
    /// The key of KMS's that encrypts it: `alias/aws/sns`, or one of the account's own.
    pub kms_key: Option<String>,
    /// Who hears what is published.
    pub subscriptions: Vec<Subscription>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Its own ARN: the topic's with a UUID.
    pub arn: String,
    /// `lambda` or `sqs`.
    pub protocol: String,
    /// The ARN of the function or the queue.
    pub endpoint: String,
    /// Whether it has been confirmed: nothing is delivered before.
    pub confirmed: bool,
    /// Whether the endpoint gets messages without SNS's envelope.
    pub raw: bool,
    /// Which messages are delivered; all if there is none.
    pub filter_policy: Option<Value>,
    /// Whether the filter looks at the message itself, and not at its attributes.
    pub filters_body: bool,
}

impl Subscription {
    /// A confirmed subscription of a function or a queue, to every message.
    pub fn new(topic_arn: &str, protocol: &str, endpoint: &str) -> Self {
        Self {
            arn: format!("{topic_arn}:f4fdba36-a856-4dde-ad38-99aa1190c534"),
            protocol: protocol.to_owned(),
            endpoint: endpoint.to_owned(),
            confirmed: true,
            raw: false,
            filter_policy: None,
            filters_body: false,
        }
    }
}
