//! SQS: how a queue is set up.

use std::collections::BTreeMap;

use drain::aws::{Aws, AwsError, Service};
use serde::Deserialize;
use serde_json::json;

use super::or_absent;
use super::policy::Document;

/// How SQS says that there is no such queue, in its newer words and its older ones.
const NOT_FOUND: &[&str] = &["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"];

/// A queue's settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Queue {
    /// In seconds.
    pub(crate) visibility_timeout: u32,
    /// How often a message is received before it goes to the dead-letter queue, if there is one.
    pub(crate) max_receive_count: Option<u32>,
    /// The ARN of the dead-letter queue, if there is one.
    pub(crate) dead_letters: Option<String>,
    /// The key of KMS's that encrypts it, if one does.
    pub(crate) kms_key: Option<String>,
    pub(crate) policy: Option<Document>,
}

/// The URL of the queue with this ARN; `None` if there is none. IAM: `sqs:GetQueueUrl`.
async fn url(aws: &Aws, arn: &str) -> Result<Option<String>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Url {
        queue_url: String,
    }
    let parts: Vec<&str> = arn.split(':').collect();
    let (account, name) = match parts.as_slice() {
        [_, _, _, _, account, name] => (*account, *name),
        _ => return Ok(None),
    };
    let body = json!({"QueueName": name, "QueueOwnerAWSAccountId": account});
    let asked = super::ask_json(aws, Service::Sqs, "sqs:GetQueueUrl", "AmazonSQS.GetQueueUrl", &body).await;
    Ok(or_absent(asked, NOT_FOUND)?.map(|Url { queue_url }| queue_url))
}

/// Whether there is a queue with this ARN. IAM: `sqs:GetQueueUrl`.
pub(crate) async fn exists(aws: &Aws, arn: &str) -> Result<bool, AwsError> {
    Ok(url(aws, arn).await?.is_some())
}

/// The settings of the queue with this ARN; `None` if there is none. IAM: `sqs:GetQueueUrl`, `sqs:GetQueueAttributes`.
pub(crate) async fn queue(aws: &Aws, arn: &str) -> Result<Option<Queue>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        attributes: BTreeMap<String, String>,
    }
    let Some(queue_url) = url(aws, arn).await? else { return Ok(None) };
    let body = json!({
        "QueueUrl": queue_url,
        "AttributeNames": ["VisibilityTimeout", "RedrivePolicy", "Policy", "KmsMasterKeyId"],
    });
    let target = "AmazonSQS.GetQueueAttributes";
    let asked = super::ask_json(aws, Service::Sqs, "sqs:GetQueueAttributes", target, &body).await;
    let Some(Answer { attributes }) = or_absent(asked, NOT_FOUND)? else { return Ok(None) };
    Ok(Some(read(&attributes)))
}

/// Every attribute is text; what is not set is left out. A queue's own default time-out is 30 s.
fn read(attributes: &BTreeMap<String, String>) -> Queue {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Redrive {
        // SQS gives it as it was set: a number, or a number in a text.
        max_receive_count: serde_json::Value,
        #[serde(default)]
        dead_letter_target_arn: Option<String>,
    }
    let get = |name: &str| attributes.get(name);
    let redrive = get("RedrivePolicy").and_then(|text| serde_json::from_str::<Redrive>(text).ok());
    let count =
        |redrive: &Redrive| redrive.max_receive_count.to_string().trim_matches('"').parse().unwrap_or(0);
    Queue {
        visibility_timeout: get("VisibilityTimeout").and_then(|text| text.parse().ok()).unwrap_or(30),
        max_receive_count: redrive.as_ref().map(count),
        dead_letters: redrive.and_then(|redrive| redrive.dead_letter_target_arn),
        kms_key: get("KmsMasterKeyId").filter(|key| !key.is_empty()).cloned(),
        policy: get("Policy").and_then(|text| Document::parse(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_whether_they_are_text_or_not() {
        let of = |redrive: &str| {
            let redrive = ("RedrivePolicy".to_owned(), redrive.to_owned());
            read(&BTreeMap::from([redrive, ("VisibilityTimeout".to_owned(), "360".to_owned())]))
        };
        for text in [
            r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:dead","maxReceiveCount":5}"#,
            r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:dead","maxReceiveCount":"5"}"#,
        ] {
            let expected = Queue {
                visibility_timeout: 360,
                max_receive_count: Some(5),
                dead_letters: Some("arn:aws:sqs:eu-west-1:123456789012:dead".to_owned()),
                kms_key: None,
                policy: None,
            };
            assert_eq!(of(text), expected);
        }
        assert_eq!(read(&BTreeMap::new()).max_receive_count, None);
    }
}
