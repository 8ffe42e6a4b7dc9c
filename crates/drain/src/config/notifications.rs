//! Who is told what happens, and under which name metrics are kept.

use super::reader::Reader;
use super::stored::Place;
use super::variables::{NOTIFY_TOPIC_ARN, NOTIFY_WEBHOOK_PARAMETER};
use crate::aws::sns::TopicArn;

/// Who is told what happens.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Notifications {
    /// A topic of SNS (`NOTIFY_TOPIC_ARN`).
    pub topic: Option<TopicArn>,
    /// Where the address of a webhook is kept (`NOTIFY_WEBHOOK_PARAMETER`).
    pub webhook: Option<Place>,
}

impl Notifications {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let topic = reader.is_set(&NOTIFY_TOPIC_ARN).then(|| reader.name(&NOTIFY_TOPIC_ARN, TopicArn::parse));
        let webhook = reader.text(&NOTIFY_WEBHOOK_PARAMETER);
        if webhook.as_deref().is_some_and(|text| text.contains("://")) {
            // The address is a secret: whoever has it can write there.
            let problem =
                "looks like an address: it takes the name of the SSM parameter that holds the address";
            reader.problem(NOTIFY_WEBHOOK_PARAMETER.name, problem);
        }
        let this = Self { topic: topic.flatten(), webhook: webhook.map(|text| Place::parse(&text)) };
        reader.calls_aws |= this.is_wanted();
        this
    }

    /// Whether anybody is told anything.
    pub(crate) fn is_wanted(&self) -> bool {
        self.topic.is_some() || self.webhook.is_some()
    }
}

/// A namespace of `CloudWatch`'s (Amazon `CloudWatch` API Reference, `PutMetricData`).
pub(super) fn namespace(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || " .-_/#:".contains(c);
    if text.len() > 255 || !text.chars().all(good) || text.starts_with(':') {
        return Err(format!("is {text:?}, which is no namespace: at most 255 of A-Z a-z 0-9 . - _ / # :"));
    }
    if text.starts_with("AWS/") {
        return Err(format!("is {text:?}: namespaces that begin with AWS/ are AWS's own"));
    }
    Ok(text.to_owned())
}
