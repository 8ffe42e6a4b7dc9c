//! SNS's query protocol: publishing, and what there is to know about a topic. (Amazon SNS API Reference.)

use std::sync::Arc;

use super::call::Call;
use super::xml;
use crate::aws::deployed::{Subscription, Topic, document};
use crate::aws::ids::Ids;
use crate::aws::{ApiError, Aws, Published};

pub(super) fn answer(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "Publish" => publish(aws, call, request_id),
        "GetTopicAttributes" => get_topic_attributes(aws, call, request_id),
        "ListSubscriptionsByTopic" => list_subscriptions_by_topic(aws, call, request_id),
        "GetSubscriptionAttributes" => get_subscription_attributes(aws, call, request_id),
        _ => Err(call.unknown()),
    }
}

/// "`Publish`": whoever is subscribed gets it.
fn publish(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    let text = |name: &str| call.get(name).unwrap_or_default().to_owned();
    let (subject, message) = (text("Subject"), text("Message"));
    if call.get("TopicArn").is_none() {
        // (sul-dlss/dlme, issue 432.)
        return Err(invalid("TopicArn or TargetArn Reason: no value for required parameter"));
    }
    let (topic, _) = topic(aws, call)?;
    if message.is_empty() {
        return Err(invalid("Empty message"));
    }
    // (SNS API Reference, "Publish"; an empty subject, wellcomecollection/platform, issue 1107.)
    let is_good = |c: char| c.is_ascii() && !c.is_ascii_control();
    if call.get("Subject") == Some("") || subject.len() > 100 || !subject.chars().all(is_good) {
        return Err(invalid("Subject"));
    }
    let event = match call.get("MessageAttributes.entry.1.Name") {
        Some("event") => text("MessageAttributes.entry.1.Value.StringValue"),
        _ => String::new(),
    };
    // Not from the model's own source, as with the id of the request.
    let id = Ids::seeded(fastrand::u64(..)).uuid();
    let account = Arc::new(aws.account().clone());
    let (at, topic) = (aws.now(), topic.to_owned());
    aws.publish(Published { at, account, id: id.clone(), topic, subject, message, event });
    Ok(xml::response(call, request_id, |xml| xml.text("MessageId", id)))
}

/// "`GetTopicAttributes`": a map, of which `Policy` and the numbers of subscriptions are the interesting part.
fn get_topic_attributes(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    let (arn, topic) = topic(aws, call)?;
    let count = |confirmed| topic.subscriptions.iter().filter(|one| one.confirmed == confirmed).count();
    let mut attributes = vec![
        ("TopicArn", arn.to_owned()),
        ("Owner", aws.account().id.clone()),
        ("DisplayName", String::new()),
        ("SubscriptionsConfirmed", count(true).to_string()),
        ("SubscriptionsPending", count(false).to_string()),
        ("SubscriptionsDeleted", "0".to_owned()),
    ];
    attributes.extend(document(&topic.policy).map(|policy| ("Policy", policy.to_string())));
    attributes.extend(topic.kms_key.map(|key| ("KmsMasterKeyId", key)));
    Ok(xml::response(call, request_id, |xml| xml.map("Attributes", &attributes)))
}

/// "`ListSubscriptionsByTopic`": what has not been confirmed has no ARN yet.
fn list_subscriptions_by_topic(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    let (arn, topic) = topic(aws, call)?;
    Ok(xml::response(call, request_id, |xml| {
        xml.list("Subscriptions", "member", &topic.subscriptions, |xml, subscription| {
            let shown = if subscription.confirmed { &subscription.arn } else { "PendingConfirmation" };
            xml.text("SubscriptionArn", shown);
            xml.text("Owner", &aws.account().id);
            xml.text("Protocol", &subscription.protocol);
            xml.text("Endpoint", &subscription.endpoint);
            xml.text("TopicArn", arn);
        });
    }))
}

/// "`GetSubscriptionAttributes`": a map as well.
fn get_subscription_attributes(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    let arn = call.get("SubscriptionArn").ok_or_else(|| invalid("SubscriptionArn"))?;
    aws.permit(&call.action(), Some(arn)).map_err(|message| call.service.denied(message))?;
    let found: Option<(String, Subscription)> = aws.look(|state| {
        let topics = state.deployed.topics.iter();
        let all = topics.flat_map(|(topic, found)| found.subscriptions.iter().map(move |one| (topic, one)));
        let found = all.into_iter().find(|(_, subscription)| subscription.arn == arn);
        found.map(|(topic, subscription)| (topic.clone(), subscription.clone()))
    });
    let (topic, found) =
        found.ok_or_else(|| ApiError::new(404, "NotFound", "Subscription does not exist"))?;
    let mut attributes = vec![
        ("SubscriptionArn", found.arn),
        ("TopicArn", topic),
        ("Owner", aws.account().id.clone()),
        ("Protocol", found.protocol),
        ("Endpoint", found.endpoint),
        ("PendingConfirmation", (!found.confirmed).to_string()),
        ("ConfirmationWasAuthenticated", found.confirmed.to_string()),
        ("RawMessageDelivery", found.raw.to_string()),
    ];
    if let Some(filter) = found.filter_policy {
        attributes.push(("FilterPolicy", filter.to_string()));
        let scope = if found.filters_body { "MessageBody" } else { "MessageAttributes" };
        attributes.push(("FilterPolicyScope", scope.to_owned()));
    }
    Ok(xml::response(call, request_id, |xml| xml.map("Attributes", &attributes)))
}

/// The topic that a call names, if the caller may ask and it is there.
fn topic<'a>(aws: &Aws, call: &'a Call) -> Result<(&'a str, Topic), ApiError> {
    let arn = call.get("TopicArn").ok_or_else(|| invalid("TopicArn"))?;
    aws.permit(&call.action(), Some(arn)).map_err(|message| call.service.denied(message))?;
    let topic = aws.look(|state| state.deployed.topics.get(arn).cloned());
    Ok((arn, topic.ok_or_else(|| ApiError::new(404, "NotFound", "Topic does not exist"))?))
}

fn invalid(what: &str) -> ApiError {
    ApiError::new(400, "InvalidParameter", format!("Invalid parameter: {what}"))
}
