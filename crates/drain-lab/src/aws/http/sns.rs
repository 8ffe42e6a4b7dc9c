//! SNS's query protocol: what a publisher needs of it.

use super::call::Call;
use super::xml::Xml;
use crate::aws::operator::Published;
use crate::aws::{ApiError, Aws};

const NAMESPACE: &str = "https://sns.amazonaws.com/doc/2010-03-31/";

pub(super) fn answer(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "Publish" => publish(aws, call, request_id),
        _ => Err(call.unknown()),
    }
}

fn publish(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    let text = |name: &str| call.get(name).unwrap_or_default().to_owned();
    let (topic, subject, message) = (text("TopicArn"), text("Subject"), text("Message"));
    aws.permit(&call.action(), Some(&topic))
        .map_err(|message| ApiError::new(403, "AuthorizationError", message))?;
    let invalid = |what: &str| ApiError::new(400, "InvalidParameter", format!("Invalid parameter: {what}"));
    if message.is_empty() {
        return Err(invalid("Empty message"));
    }
    // (SNS API Reference, "Publish".)
    let is_good = |c: char| c.is_ascii() && !c.is_ascii_control();
    if subject.len() > 100 || !subject.chars().all(is_good) {
        return Err(invalid("Subject"));
    }
    let event = match call.get("MessageAttributes.entry.1.Name") {
        Some("event") => text("MessageAttributes.entry.1.Value.StringValue"),
        _ => String::new(),
    };
    aws.publish(Published { topic, subject, message, event });
    Ok(Xml::document("PublishResponse", NAMESPACE, |xml| {
        xml.element("PublishResult", |xml| xml.text("MessageId", request_id));
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    }))
}
