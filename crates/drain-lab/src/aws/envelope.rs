//! What SNS and SQS put around a message, whoever wrote it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::account::Account;

/// A message on its way through SNS or SQS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Letter<'a> {
    /// The account and the region in which the topic and the queue are.
    pub account: &'a Account,
    /// A UUID that differs between messages.
    pub id: &'a str,
    /// When it was sent.
    pub at: Timestamp,
    /// The subject that SNS shows.
    pub subject: String,
    /// The text.
    pub message: String,
}

impl Letter<'_> {
    /// The payload of a function that is subscribed to the SNS topic `topic_arn`.
    pub fn sns_event(&self, topic_arn: &str) -> Value {
        let mut message = self.sns_fields(topic_arn, ["SigningCertUrl", "UnsubscribeUrl"]);
        message.insert("MessageAttributes".to_owned(), json!({}));
        json!({"Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": subscription(topic_arn),
            "Sns": message,
        }]})
    }

    /// What a queue gets that is subscribed to the SNS topic `topic_arn` without raw message delivery: the body of the
    /// queue's message. It spells two fields otherwise than a function gets them.
    pub fn sns_document(&self, topic_arn: &str) -> Value {
        self.sns_fields(topic_arn, ["SigningCertURL", "UnsubscribeURL"]).into()
    }

    fn sns_fields(&self, topic_arn: &str, [certificate, unsubscribe]: [&str; 2]) -> Map<String, Value> {
        let sns = format!("https://sns.{}.amazonaws.com/", self.account.region);
        let fields = [
            ("Type", "Notification".to_owned()),
            ("MessageId", self.id.to_owned()),
            ("TopicArn", topic_arn.to_owned()),
            ("Subject", self.subject.clone()),
            ("Message", self.message.clone()),
            ("Timestamp", format!("{:.3}", self.at)),
            ("SignatureVersion", "1".to_owned()),
            ("Signature", "bGFi".to_owned()),
            (certificate, format!("{sns}SimpleNotificationService-lab.pem")),
            (unsubscribe, format!("{sns}?Action=Unsubscribe&SubscriptionArn={}", subscription(topic_arn))),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }

    /// One of the `Records` of a function that reads the queue `queue_arn`, which holds `body`.
    pub fn sqs_record(&self, queue_arn: &str, body: &str) -> Value {
        let sent = self.at.as_millisecond().to_string();
        json!({
            "messageId": self.id,
            "receiptHandle": "bGFi",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": sent,
                "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                "ApproximateFirstReceiveTimestamp": sent,
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": queue_arn,
            "awsRegion": self.account.region,
        })
    }
}

fn subscription(topic_arn: &str) -> String {
    format!("{topic_arn}:f4fdba36-a856-4dde-ad38-99aa1190c534")
}
