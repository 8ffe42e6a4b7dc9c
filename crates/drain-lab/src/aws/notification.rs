//! What Auto Scaling says when a hook holds an instance, in every envelope in which it can arrive.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::account::Account;
use super::envelope::Letter;
use super::hook::{LifecycleAction, LifecycleHook, NotificationTarget};
use super::lifecycle::{Facts, Journey};

/// One message of a lifecycle hook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notification {
    /// When Auto Scaling sent it.
    pub at: Timestamp,
    /// Where the hook wants it.
    pub target: NotificationTarget,
    /// The group.
    pub group: String,
    /// The group's ARN.
    pub group_arn: String,
    /// The account and the region that it comes from.
    pub account: Arc<Account>,
    /// A UUID that differs between messages.
    pub request_id: String,
    /// What it says.
    pub content: Content,
}

/// What a message says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content {
    /// A hook with a target was put: the target gets one message to try it out.
    Test,
    /// An instance is held.
    Held {
        /// Why.
        journey: Journey,
        /// By which action.
        action: LifecycleAction,
        /// The hook's free text.
        metadata: Option<String>,
    },
}

impl Notification {
    pub(super) fn held(
        account: &Arc<Account>,
        group_arn: &str,
        request_id: String,
        journey: Journey,
        hook: &LifecycleHook,
        action: &LifecycleAction,
    ) -> Self {
        Self {
            at: action.started_at,
            target: hook.target.clone(),
            group: action.group.clone(),
            group_arn: group_arn.to_owned(),
            account: Arc::clone(account),
            request_id,
            content: Content::Held {
                journey,
                action: action.clone(),
                metadata: hook.notification_metadata.clone(),
            },
        }
    }

    /// The payload with which Lambda calls a function that is subscribed to the hook's target: nothing if the hook
    /// has no target.
    pub fn lambda_payload(&self) -> Option<Value> {
        match &self.target {
            NotificationTarget::None => None,
            NotificationTarget::Lambda { .. } => Some(self.message()),
            NotificationTarget::Sns { topic_arn } => Some(self.sns_event(topic_arn)),
            NotificationTarget::Sqs { queue_arn } => Some(self.sqs_event(queue_arn)),
        }
    }

    /// The hook's own message, as SNS, SQS and Lambda get it.
    pub fn message(&self) -> Value {
        let mut message = Map::new();
        let mut put = |name: &str, value: &str| message.insert(name.to_owned(), Value::from(value));
        match &self.content {
            Content::Test => {
                put("AccountId", &self.account.id);
                put("RequestId", &self.request_id);
                put("AutoScalingGroupARN", &self.group_arn);
                put("AutoScalingGroupName", &self.group);
                put("Service", "AWS Auto Scaling");
                put("Event", "autoscaling:TEST_NOTIFICATION");
                put("Time", &self.time());
            }
            Content::Held { journey, action, metadata } => {
                let facts = journey.facts();
                put("Origin", facts.origin);
                put("LifecycleHookName", &action.hook);
                put("Destination", facts.destination);
                put("AccountId", &self.account.id);
                put("RequestId", &self.request_id);
                put("LifecycleTransition", facts.transition.as_str());
                put("AutoScalingGroupName", &self.group);
                put("Service", "AWS Auto Scaling");
                put("Time", &self.time());
                put("EC2InstanceId", &action.instance_id);
                put("LifecycleActionToken", &action.token);
                put_optional(&mut put, &facts, metadata.as_deref());
            }
        }
        Value::Object(message)
    }

    /// The payload of a function that is subscribed to the SNS topic `topic_arn`.
    pub fn sns_event(&self, topic_arn: &str) -> Value {
        self.letter().sns_event(topic_arn)
    }

    /// What a queue gets that is subscribed to the SNS topic `topic_arn` without raw message delivery: see
    /// [`Letter::sns_document`].
    pub fn sns_document(&self, topic_arn: &str) -> Value {
        self.letter().sns_document(topic_arn)
    }

    /// The payload of a function that reads the queue `queue_arn`, to which the hook writes without a topic between.
    pub fn sqs_event(&self, queue_arn: &str) -> Value {
        let letter = self.letter();
        json!({"Records": [letter.sqs_record(queue_arn, &letter.message)]})
    }

    /// The message as SNS and SQS carry it.
    pub fn letter(&self) -> Letter<'_> {
        let (subject, message) = (self.subject(), self.message().to_string());
        Letter { account: &self.account, id: &self.request_id, at: self.at, subject, message }
    }

    /// The same news on `EventBridge`, which hears of every hook but of no test message.
    pub fn event_bridge_event(&self) -> Option<Value> {
        let Content::Held { journey, action, metadata } = &self.content else { return None };
        let facts = journey.facts();
        let mut detail = Map::new();
        let mut put = |name: &str, value: &str| detail.insert(name.to_owned(), Value::from(value));
        put("LifecycleActionToken", &action.token);
        put("AutoScalingGroupName", &self.group);
        put("LifecycleHookName", &action.hook);
        put("EC2InstanceId", &action.instance_id);
        put("LifecycleTransition", facts.transition.as_str());
        put("Origin", facts.origin);
        put("Destination", facts.destination);
        put_optional(&mut put, &facts, metadata.as_deref());
        Some(json!({
            "version": "0",
            "id": self.request_id,
            "detail-type": format!("EC2 Instance-{} Lifecycle Action", facts.transition.verb()),
            "source": "aws.autoscaling",
            "account": self.account.id,
            "time": format!("{:.0}", self.at),
            "region": self.account.region,
            "resources": [self.group_arn],
            "detail": detail,
        }))
    }

    /// The subject of the SNS message. The two spaces are Auto Scaling's.
    fn subject(&self) -> String {
        match &self.content {
            Content::Test => format!("Auto Scaling: test notification for group \"{}\"", self.group),
            Content::Held { journey, action, .. } => format!(
                "Auto Scaling:  Lifecycle action '{}' for instance {} in progress.",
                journey.facts().transition.participle(),
                action.instance_id
            ),
        }
    }

    fn time(&self) -> String {
        format!("{:.3}", self.at)
    }
}

fn put_optional<T>(put: &mut impl FnMut(&str, &str) -> T, facts: &Facts, metadata: Option<&str>) {
    if let Some(action) = facts.action {
        put("Action", action);
    }
    if let Some(metadata) = metadata {
        put("NotificationMetadata", metadata);
    }
}

#[cfg(test)]
mod tests;
