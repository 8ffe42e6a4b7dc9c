//! Auto Scaling's own message: is it about an end, whose, and why.

use std::fmt::Display;

use drain_core::ids::{GroupName, HookName, InstanceId};
use drain_core::observation::{Cause, Origin, Target};
use drain_core::reason::Reason;
use jiff::Timestamp;

use super::json::Fields;
use super::{EventError, Ignored, Message, quoted};

/// Whether it is one, by the fields that no other message has.
pub(super) fn is_auto_scaling(message: &Fields<'_>) -> bool {
    const MARKERS: [&str; 4] =
        ["LifecycleTransition", "LifecycleActionToken", "LifecycleHookName", "EC2InstanceId"];
    MARKERS.iter().any(|marker| message.has(marker))
        || message.text("Service").as_deref() == Some("AWS Auto Scaling")
        || message.text("Event").is_some_and(|event| event.starts_with("autoscaling:"))
}

/// What it asks for. What it is about comes first: a test message may hold anything else.
pub(super) fn parse_message(message: &Fields<'_>, hooks: Option<&[HookName]>) -> Result<Message, EventError> {
    let nothing_to_do = nothing_to_do(message)?;
    let group = descriptive(message, "AutoScalingGroupName", GroupName::parse);
    let hook = descriptive(message, "LifecycleHookName", HookName::parse);
    let ours = hooks.is_none_or(|hooks| hook.as_ref().is_some_and(|hook| hooks.contains(hook)));
    let other_hook = || {
        let name = hook.as_ref().map_or("a hook without a name that can be read", HookName::as_str);
        (Reason::OtherHook, format!("{name} is not in LIFECYCLE_HOOK_NAME"))
    };
    if let Some((reason, explanation)) = nothing_to_do.or_else(|| (!ours).then(other_hook)) {
        let instance = message.text("EC2InstanceId").and_then(|text| InstanceId::parse(&text).ok());
        return Ok(Message::Ignored(Ignored { reason, instance, group, hook, explanation }));
    }

    let instance = needed(message, "EC2InstanceId")?.ok_or(EventError::MissingInstanceId)?;
    let instance = InstanceId::parse(&instance).map_err(EventError::InvalidInstanceId)?;
    let destination = descriptive(message, "Destination", any_text);
    let action = descriptive(message, "Action", any_text);
    let cause = match (destination.as_deref(), action.as_deref()) {
        (_, Some("ReplaceRootVolume")) => Cause::RootVolume,
        (Some("WarmPool"), _) => Cause::WarmPool,
        _ => Cause::Terminate,
    };
    let hook_started_at = descriptive(message, "Time", |text| {
        text.parse::<Timestamp>().map_err(|_| format!("{} is not a time", quoted(text)))
    });
    let token = descriptive(message, "LifecycleActionToken", action_token);
    Ok(Message::Target(Target {
        instance,
        group,
        hook,
        cause,
        hook_started_at,
        token,
        origin: Origin::Event,
    }))
}

/// Why the message is not about an end, if it is not.
fn nothing_to_do(message: &Fields<'_>) -> Result<Option<(Reason, String)>, EventError> {
    if let Some(transition) = needed(message, "LifecycleTransition")? {
        return match transition.as_str() {
            "autoscaling:EC2_INSTANCE_TERMINATING" => Ok(None),
            "autoscaling:EC2_INSTANCE_LAUNCHING" => Ok(Some((
                Reason::LaunchTransition,
                "an instance is being launched; a launch never drains".to_owned(),
            ))),
            other => Err(EventError::UnknownTransition(quoted(other))),
        };
    }
    match needed(message, "Event")?.as_deref() {
        Some("autoscaling:TEST_NOTIFICATION") => Ok(Some((
            Reason::TestNotification,
            "the test message that Auto Scaling sends at set-up".to_owned(),
        ))),
        Some(event) => Ok(Some((
            Reason::GroupNotification,
            format!("{}, an ordinary notification of the group, not a lifecycle action", quoted(event)),
        ))),
        None => Err(EventError::UnknownTransition("it is missing".to_owned())),
    }
}

/// A field without which the message says nothing. It may be missing; what is needed is asked for where it is.
fn needed(message: &Fields<'_>, name: &'static str) -> Result<Option<String>, EventError> {
    message.string(name).map_err(|_| EventError::NotAString(name))
}

/// A field that says more about an instance that is known without it. One that cannot be read costs a little: a name in
/// the log, precision, the completion. It is no reason to leave work on a dying instance.
fn descriptive<T, E: Display>(
    message: &Fields<'_>,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    let problem = match message.string(name) {
        Ok(None) => return None,
        Ok(Some(text)) => match parse(&text) {
            Ok(parsed) => return Some(parsed),
            Err(error) => error.to_string(),
        },
        Err(_) => "it is not a string".to_owned(),
    };
    tracing::warn!(field = name, "a field of the lifecycle message is left out: {problem}");
    None
}

#[expect(clippy::unnecessary_wraps, reason = "every text is good where others have to be parsed")]
fn any_text(text: &str) -> Result<String, &'static str> {
    Ok(text.to_owned())
}

/// `LifecycleActionToken`. Never quoted.
fn action_token(text: &str) -> Result<String, &'static str> {
    let valid = text.len() == 36 && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if valid { Ok(text.to_owned()) } else { Err("it is not 36 characters of 0-9 a-f A-F -") }
}
