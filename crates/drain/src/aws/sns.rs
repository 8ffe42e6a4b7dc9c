//! SNS: what is published to a topic.

use std::fmt;
use std::time::Duration;

use drain_http::Limits;

use super::query::{self, Form};
use super::{Aws, AwsError, LARGEST_ANSWER, Service};

/// The ARN of a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TopicArn(String);

/// A text that is no topic's ARN.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is not the ARN of an SNS topic (arn:aws:sns:REGION:ACCOUNT:NAME)")]
pub struct InvalidTopicArn;

impl TopicArn {
    /// Checks a text.
    pub fn parse(text: &str) -> Result<Self, InvalidTopicArn> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["arn", _, "sns", region, account, name]
                if ![region, account, name].iter().any(|part| part.is_empty())
                    && name.strip_suffix(".fifo").is_none() =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(InvalidTopicArn),
        }
    }

    /// The region that it is in.
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }
}

impl fmt::Display for TopicArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is published.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// Of e-mails. At most 100 characters.
    pub subject: &'a str,
    /// The text.
    pub message: &'a str,
    /// The value of the attribute `event`, by which subscriptions may choose.
    pub event: &'a str,
}

/// Publishes to a topic. IAM: `sns:Publish` on the topic.
pub async fn publish(
    aws: &Aws,
    topic: &TopicArn,
    publication: Publication<'_>,
    timeout: Duration,
) -> Result<(), AwsError> {
    let form = Form::new("Publish", "2010-03-31")
        .with("TopicArn", topic)
        .with("Subject", publication.subject)
        .with("Message", publication.message)
        .with("MessageAttributes.entry.1.Name", "event")
        .with("MessageAttributes.entry.1.Value.DataType", "String")
        .with("MessageAttributes.entry.1.Value.StringValue", publication.event);
    let limits = Limits { timeout, body: LARGEST_ANSWER };
    query::send(aws, Service::Sns, "sns:Publish", form, limits).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_by_its_arn() {
        let arn = "arn:aws:sns:eu-west-1:123456789012:ops";
        assert_eq!(TopicArn::parse(arn).unwrap().region(), "eu-west-1");
        for text in
            ["", "ops", "arn:aws:sqs:eu-west-1:123456789012:ops", "arn:aws:sns:eu-west-1:123456789012:"]
        {
            assert_eq!(TopicArn::parse(text), Err(InvalidTopicArn), "{text}");
        }
        // A FIFO topic wants a group id, and cannot send e-mail.
        assert_eq!(TopicArn::parse("arn:aws:sns:eu-west-1:123456789012:ops.fifo"), Err(InvalidTopicArn));
    }
}
