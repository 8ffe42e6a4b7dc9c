//! SQS over AWS JSON 1.0. (Amazon SQS API Reference; "Amazon SQS AWS JSON protocol" in its Developer Guide.)

use serde_json::{Map, Value, json};

use super::call::Call;
use crate::aws::deployed::{DeployedQueue, document};
use crate::aws::{Account, ApiError, Aws};
use crate::sqs::Queue;

pub(super) fn answer(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "GetQueueUrl" => get_queue_url(aws, call),
        "GetQueueAttributes" => get_queue_attributes(aws, call),
        "SendMessage" => send_message(aws, call),
        _ => Err(call.unknown()),
    }
}

/// The header by which clients of the older query protocol know the errors that they are used to: code and fault.
pub(super) fn query_error(error: &ApiError) -> Option<(&'static str, String)> {
    let code = match error.code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue",
        "MissingRequiredParameterException" => "MissingParameter",
        "AccessDeniedException" => return None,
        code => code,
    };
    Some(("x-amzn-query-error", format!("{code};Sender")))
}

/// "`GetQueueUrl`".
fn get_queue_url(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let name = call.get("QueueName").ok_or_else(|| missing("QueueName"))?;
    let queue = queue(aws, call, name)?;
    let Account { id, region, .. } = aws.account();
    Ok(json!({"QueueUrl": format!("https://sqs.{region}.amazonaws.com/{id}/{}", queue.name)}).to_string())
}

/// "`GetQueueAttributes`": every attribute is text, numbers and documents too; what is not set is left out. Who names no
/// attribute gets none.
fn get_queue_attributes(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let queue = queue(aws, call, named(call)?)?;
    let asked = call.list("AttributeNames");
    let (visible, in_flight) =
        queue.hosted.as_ref().map_or((0, 0), |hosted: &Queue| (hosted.visible(), hosted.in_flight()));
    let redrive = queue.redrive.as_ref().map(|redrive| {
        json!({"deadLetterTargetArn": redrive.dead_letter_arn, "maxReceiveCount": redrive.max_receive_count})
    });
    let attributes = [
        ("QueueArn", Some(aws.account().arn("sqs", &queue.name))),
        ("ApproximateNumberOfMessages", Some((queue.messages + visible).to_string())),
        ("ApproximateNumberOfMessagesNotVisible", Some(in_flight.to_string())),
        ("ApproximateNumberOfMessagesDelayed", Some("0".to_owned())),
        ("VisibilityTimeout", Some(queue.visibility_timeout.as_secs().to_string())),
        ("MessageRetentionPeriod", Some("345600".to_owned())),
        ("DelaySeconds", Some("0".to_owned())),
        ("ReceiveMessageWaitTimeSeconds", Some("0".to_owned())),
        ("SqsManagedSseEnabled", Some(queue.kms_key.is_none().to_string())),
        ("KmsMasterKeyId", queue.kms_key.clone()),
        ("Policy", document(&queue.policy).map(|policy| policy.to_string())),
        ("RedrivePolicy", redrive.map(|redrive| redrive.to_string())),
    ];
    let wanted = |name: &str| asked.contains(&"All") || asked.contains(&name);
    let attributes: Map<String, Value> = attributes
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
        .collect();
    Ok(if attributes.is_empty() { json!({}) } else { json!({"Attributes": attributes}) }.to_string())
}

/// "`SendMessage`", for a queue that the lab hosts.
fn send_message(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let queue = queue(aws, call, named(call)?)?;
    let body = call.get("MessageBody").ok_or_else(|| missing("MessageBody"))?;
    let hosted = queue.hosted.ok_or_else(|| {
        ApiError::new(
            400,
            "UnsupportedOperation",
            "the lab describes this queue, and hosts none of this name",
        )
    })?;
    let (id, digest) = hosted.send_and_digest(body);
    Ok(json!({"MessageId": id, "MD5OfMessageBody": digest}).to_string())
}

/// The name of the queue that a call gives as a URL: the last part of it.
fn named(call: &Call) -> Result<&str, ApiError> {
    let url = call.get("QueueUrl").ok_or_else(|| missing("QueueUrl"))?;
    Ok(url.rsplit('/').next().unwrap_or(url))
}

/// A queue, if the caller may ask and it is there.
fn queue(aws: &Aws, call: &Call, name: &str) -> Result<DeployedQueue, ApiError> {
    let arn = aws.account().arn("sqs", name);
    aws.permit(&call.action(), Some(&arn)).map_err(|message| call.service.denied(message))?;
    let queue = aws.look(|state| state.deployed.queues.get(name).cloned());
    queue.ok_or_else(|| ApiError::new(400, "QueueDoesNotExist", "The specified queue does not exist."))
}

fn missing(name: &str) -> ApiError {
    let message = format!("The request must contain the parameter {name}.");
    ApiError::new(400, "MissingRequiredParameterException", message)
}
