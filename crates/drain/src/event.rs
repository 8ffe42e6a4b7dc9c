//! What an event says: JSON in, targets out. Every envelope is peeled here, once; nothing past this point sees JSON.
//!
//! Understood are lifecycle notifications that arrive through an SNS subscription, and the same notifications handed
//! over directly. Shapes: *Amazon EC2 Auto Scaling User Guide*, "Prepare to add a lifecycle hook".

use drain_core::ids::{
    GroupName, HookName, InstanceId, InvalidGroupName, InvalidHookName, InvalidInstanceId,
};
use drain_core::observation::{Cause, Target};
use drain_core::reason::Reason;
use jiff::Timestamp;
use serde_json::Value;

/// What one message asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// An instance that has to be empty.
    Target(Target),
    /// Nothing: it is not about an end, or not ours.
    Ignored(Ignored),
}

/// A message that is answered with success and a reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ignored {
    /// Why.
    pub reason: Reason,
    /// The instance that it is about, as it was written, if it is one at all.
    pub instance: Option<InstanceId>,
    /// The group that it is about.
    pub group: Option<GroupName>,
    /// The hook that it is about.
    pub hook: Option<HookName>,
    /// What it is, in words.
    pub explanation: String,
}

/// A message that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// It is not JSON, or not the JSON of an Auto Scaling message.
    #[error("the message cannot be read")]
    MalformedMessage(#[source] serde_json::Error),
    /// A field of the message holds something else than text.
    #[error("the lifecycle message's {0} is not a string")]
    NotAString(&'static str),
    /// No envelope that we know.
    #[error("this is no event that the function knows: {0}")]
    UnknownEvent(String),
    /// A lifecycle message without its transition, or with one that there is not.
    #[error("the message's LifecycleTransition is not one that Auto Scaling has: {0}")]
    UnknownTransition(String),
    /// A lifecycle message without an instance.
    #[error("the lifecycle message names no instance: it has no EC2InstanceId")]
    MissingInstanceId,
    /// The instance's id is not one.
    #[error("the lifecycle message has an invalid EC2InstanceId")]
    InvalidInstanceId(#[source] InvalidInstanceId),
    /// The group's name is not one.
    #[error("the lifecycle message has an invalid AutoScalingGroupName")]
    InvalidGroupName(#[source] InvalidGroupName),
    /// The hook's name is not one.
    #[error("the lifecycle message has an invalid LifecycleHookName")]
    InvalidHookName(#[source] InvalidHookName),
}

/// Reads an event, which is JSON. `hooks` are the only hooks to act on; `None` is every hook. One message that cannot be understood
/// does not hide the others.
pub fn parse(
    event: &str,
    hooks: Option<&[HookName]>,
) -> Result<Vec<Result<Message, EventError>>, EventError> {
    let event: &Value = &serde_json::from_str(event).map_err(EventError::MalformedMessage)?;
    if let Some(records) = event.get("Records").and_then(Value::as_array) {
        if records.is_empty() {
            return Err(EventError::UnknownEvent("Records is empty".to_owned()));
        }
        return Ok(records.iter().map(|record| parse_record(record, hooks)).collect());
    }
    match event {
        // A hook that has a function as its target may hand its message over as a string.
        Value::String(text) => Ok(vec![parse_text(text, hooks)]),
        Value::Object(_) if is_auto_scaling(event) => Ok(vec![parse_message(event, hooks)]),
        Value::Object(fields) => {
            let names: Vec<&str> = fields.keys().map(String::as_str).take(10).collect();
            let fields = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Err(EventError::UnknownEvent(format!("its fields are: {fields}")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            Err(EventError::UnknownEvent("it is not a JSON object".to_owned()))
        }
    }
}

fn parse_record(record: &Value, hooks: Option<&[HookName]>) -> Result<Message, EventError> {
    if let Some(text) = record.pointer("/Sns/Message").and_then(Value::as_str) {
        return parse_text(text, hooks);
    }
    let source =
        text(record, "EventSource").or_else(|| text(record, "eventSource")).unwrap_or("an unnamed source");
    Err(EventError::UnknownEvent(format!("a record of {source:.64} without an SNS message")))
}

fn parse_text(text: &str, hooks: Option<&[HookName]>) -> Result<Message, EventError> {
    let message: Value = serde_json::from_str(text).map_err(EventError::MalformedMessage)?;
    if is_auto_scaling(&message) {
        return parse_message(&message, hooks);
    }
    // Topics are shared: an alarm or a build notification beside ours is not an error.
    Ok(Message::Ignored(Ignored {
        reason: Reason::ForeignMessage,
        instance: None,
        group: None,
        hook: None,
        explanation: "a message on the topic that is not from Auto Scaling".to_owned(),
    }))
}

fn is_auto_scaling(message: &Value) -> bool {
    const MARKERS: [&str; 4] =
        ["LifecycleTransition", "LifecycleActionToken", "LifecycleHookName", "EC2InstanceId"];
    MARKERS.iter().any(|marker| message.get(marker).is_some())
        || text(message, "Service") == Some("AWS Auto Scaling")
        || text(message, "Event").is_some_and(|event| event.starts_with("autoscaling:"))
}

fn text<'a>(message: &'a Value, field: &str) -> Option<&'a str> {
    message.get(field).and_then(Value::as_str)
}

/// A field of Auto Scaling's message. Any may be missing; what is needed is asked for where it is.
fn field<'a>(message: &'a Value, name: &'static str) -> Result<Option<&'a str>, EventError> {
    match message.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(EventError::NotAString(name))
        }
    }
}

fn parse_message(message: &Value, hooks: Option<&[HookName]>) -> Result<Message, EventError> {
    let group = field(message, "AutoScalingGroupName")?.map(GroupName::parse).transpose();
    let group = group.map_err(EventError::InvalidGroupName)?;
    let hook = field(message, "LifecycleHookName")?.map(HookName::parse).transpose();
    let hook = hook.map_err(EventError::InvalidHookName)?;
    let instance = field(message, "EC2InstanceId")?;
    let ignored = |reason, explanation: String| {
        let instance = instance.and_then(|text| InstanceId::parse(text).ok());
        Ok(Message::Ignored(Ignored {
            reason,
            instance,
            group: group.clone(),
            hook: hook.clone(),
            explanation,
        }))
    };

    match (field(message, "LifecycleTransition")?, field(message, "Event")?) {
        (Some("autoscaling:EC2_INSTANCE_TERMINATING"), _) => {}
        (Some("autoscaling:EC2_INSTANCE_LAUNCHING"), _) => {
            return ignored(
                Reason::LaunchTransition,
                "an instance is being launched; a launch never drains".to_owned(),
            );
        }
        (Some(transition), _) => return Err(EventError::UnknownTransition(format!("{transition:.100}"))),
        (None, Some("autoscaling:TEST_NOTIFICATION")) => {
            return ignored(
                Reason::TestNotification,
                "the test message that Auto Scaling sends at set-up".to_owned(),
            );
        }
        (None, Some(event)) => {
            return ignored(
                Reason::GroupNotification,
                format!("{event:.100}, an ordinary notification of the group, not a lifecycle action"),
            );
        }
        (None, None) => return Err(EventError::UnknownTransition("it is missing".to_owned())),
    }
    if let Some(hooks) = hooks
        && !hook.as_ref().is_some_and(|hook| hooks.contains(hook))
    {
        let name = hook.as_ref().map_or("a hook without a name", HookName::as_str);
        return ignored(Reason::OtherHook, format!("{name} is not in LIFECYCLE_HOOK_NAME"));
    }
    let instance = instance.ok_or(EventError::MissingInstanceId)?;
    let instance = InstanceId::parse(instance).map_err(EventError::InvalidInstanceId)?;
    let cause = match (field(message, "Destination")?, field(message, "Action")?) {
        (_, Some("ReplaceRootVolume")) => Cause::RootVolume,
        (Some("WarmPool"), _) => Cause::WarmPool,
        _ => Cause::Terminate,
    };
    // A time that cannot be read costs a little precision later; it is no reason to leave work on a dying instance.
    let hook_started_at: Option<Timestamp> = field(message, "Time")?.and_then(|time| time.parse().ok());
    Ok(Message::Target(Target { instance, group, hook, cause, hook_started_at }))
}

#[cfg(test)]
mod tests;
