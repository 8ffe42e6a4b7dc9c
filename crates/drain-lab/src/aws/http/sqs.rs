//! SQS over AWS JSON 1.0. (Amazon SQS API Reference; "Amazon SQS AWS JSON protocol" in its Developer Guide; the service
//! model `sqs/2012-11-05` of botocore 1.44.)

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::call::Call;
use crate::aws::deployed::{DeployedQueue, document};
use crate::aws::{Account, ApiError, Aws};
use crate::sqs::Queue;

/// How many messages `SendMessageBatch` takes.
const AT_ONCE: usize = 10;

pub(super) fn answer(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "GetQueueUrl" => get_queue_url(aws, call),
        "GetQueueAttributes" => get_queue_attributes(aws, call),
        "SendMessage" => send_message(aws, call),
        "SendMessageBatch" => send_message_batch(aws, call),
        _ => Err(call.unknown()),
    }
}

/// The header by which clients of the older query protocol know the errors that they are used to: code and fault.
pub(super) fn query_error(error: &ApiError) -> Option<(&'static str, String)> {
    let code = match error.code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue",
        "BatchEntryIdsNotDistinct" => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        "EmptyBatchRequest" => "AWS.SimpleQueueService.EmptyBatchRequest",
        "TooManyEntriesInBatchRequest" => "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        "UnsupportedOperation" => "AWS.SimpleQueueService.UnsupportedOperation",
        "MissingRequiredParameterException" => "MissingParameter",
        "AccessDeniedException" => return None,
        code => code,
    };
    Some(("x-amzn-query-error", format!("{code};Sender")))
}

/// "`GetQueueUrl`".
fn get_queue_url(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let queue = queue(aws, call, required(call, "QueueName")?)?;
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
    let hosted = hosted(aws, call)?;
    Ok(send(&hosted, call, "")?.to_string())
}

/// "`SendMessageBatch`": all of it is refused or none, as every message that the lab's queues get fits in.
fn send_message_batch(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let hosted = hosted(aws, call)?;
    let entries = call.structures("Entries");
    // The words are those that AWS answered to the users of vinyldns (its issue 347) and of the Ballerina connector; moto
    // has the same.
    if entries.is_empty() {
        let message = "There should be at least one SendMessageBatchRequestEntry in the request.";
        return Err(ApiError::new(400, "EmptyBatchRequest", message));
    }
    if entries.len() > AT_ONCE {
        let sent = entries.len();
        let message = format!("Maximum number of entries per request are {AT_ONCE}. You have sent {sent}.");
        return Err(ApiError::new(400, "TooManyEntriesInBatchRequest", message));
    }
    let mut ids = BTreeSet::new();
    for entry in &entries {
        let id = required(call, &format!("{entry}Id"))?;
        required(call, &format!("{entry}MessageBody"))?;
        if !ids.insert(id) {
            return Err(ApiError::new(400, "BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
        }
    }
    let mut successful = Vec::new();
    for entry in &entries {
        let mut sent = send(&hosted, call, entry)?;
        sent["Id"] = required(call, &format!("{entry}Id"))?.into();
        successful.push(sent);
    }
    Ok(json!({"Successful": successful, "Failed": []}).to_string())
}

/// Sends the message whose parameters begin with `prefix`, and answers what SQS says of one that has arrived.
fn send(hosted: &Queue, call: &Call, prefix: &str) -> Result<Value, ApiError> {
    let (id, digest) = hosted.send_and_digest(required(call, &format!("{prefix}MessageBody"))?);
    Ok(json!({"MessageId": id, "MD5OfMessageBody": digest}))
}

/// The lab's own queue behind the one that a call names.
fn hosted(aws: &Aws, call: &Call) -> Result<Queue, ApiError> {
    queue(aws, call, named(call)?)?.hosted.ok_or_else(|| {
        ApiError::new(
            400,
            "UnsupportedOperation",
            "the lab describes this queue, and hosts none of this name",
        )
    })
}

/// The name of the queue that a call gives as a URL: the last part of it.
fn named(call: &Call) -> Result<&str, ApiError> {
    let url = required(call, "QueueUrl")?;
    Ok(url.rsplit('/').next().unwrap_or(url))
}

/// A queue, if the caller may ask and it is there.
fn queue(aws: &Aws, call: &Call, name: &str) -> Result<DeployedQueue, ApiError> {
    let arn = aws.account().arn("sqs", name);
    aws.permit(&call.action(), Some(&arn)).map_err(|message| call.service.denied(message))?;
    let queue = aws.look(|state| state.deployed.queues.get(name).cloned());
    queue.ok_or_else(|| ApiError::new(400, "QueueDoesNotExist", "The specified queue does not exist."))
}

/// A parameter that has to be there.
fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, ApiError> {
    call.get(name).ok_or_else(|| {
        let message = format!("The request must contain the parameter {name}.");
        ApiError::new(400, "MissingRequiredParameterException", message)
    })
}
