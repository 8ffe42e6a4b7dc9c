//! Auto Scaling's own message: is it about an end, whose, and why.

use std::fmt::Display;

use drain_core::ids::{GroupName, HookName, InstanceId};
use drain_core::observation::{Cause, Errand, Origin, Target};
use drain_core::reason::Reason;
use jiff::Timestamp;

use super::json::Fields;
use super::{EventError, Ignored, Message, Scope, quoted};

/// Whether it is one, by the fields that no other message has.
pub(super) fn is_auto_scaling(message: &Fields<'_>) -> bool {
    const MARKERS: [&str; 4] =
        ["LifecycleTransition", "LifecycleActionToken", "LifecycleHookName", "EC2InstanceId"];
    MARKERS.iter().any(|marker| message.has(marker))
        || message.text("Service").as_deref() == Some("AWS Auto Scaling")
        || message.text("Event").is_some_and(|event| event.starts_with("autoscaling:"))
}

/// How a message came: that says whose hook it may be, and where its time is.
pub(super) struct Via<'a> {
    pub(super) origin: Origin,
    /// When it was sent, if the message itself does not say it.
    pub(super) told_at: Option<Timestamp>,
    /// The only terminate hooks to act on.
    pub(super) hooks: Option<&'a [HookName]>,
}

/// What a message from the hook's own target asks for.
pub(super) fn parse_message(message: &Fields<'_>, scope: &Scope<'_>) -> Result<Message, EventError> {
    if let Some(transition) = needed(message, "LifecycleTransition")? {
        let told_at = moment(message, "Time");
        let via = Via { origin: Origin::Event, told_at, hooks: scope.hooks };
        return parse_action(message, &transition, &via, scope);
    }
    let (reason, explanation) = match needed(message, "Event")?.as_deref() {
        Some(TEST) => (Reason::TestNotification, TEST_EXPLAINED.to_owned()),
        Some(event) => (
            Reason::GroupNotification,
            format!("{}, an ordinary notification of the group, not a lifecycle action", quoted(event)),
        ),
        None => return Err(EventError::UnknownTransition("it is missing".to_owned())),
    };
    Ok(Message::Ignored(about(message, reason, explanation)))
}

/// What a lifecycle action asks for, whoever tells of it. What it is about comes first: a message for another hook may
/// hold anything else.
pub(super) fn parse_action(
    action: &Fields<'_>,
    transition: &str,
    via: &Via<'_>,
    scope: &Scope<'_>,
) -> Result<Message, EventError> {
    let hook = descriptive(action, "LifecycleHookName", HookName::parse);
    let is_one_of = |hooks: &[HookName]| hook.as_ref().is_some_and(|hook| hooks.contains(hook));
    let errand = match transition {
        "autoscaling:EC2_INSTANCE_TERMINATING" if via.hooks.is_none_or(is_one_of) => {
            Errand::Drain(cause(action))
        }
        "autoscaling:EC2_INSTANCE_LAUNCHING" => match scope.launch_hook {
            Some(ours) if is_one_of(std::slice::from_ref(ours)) => Errand::Admit,
            Some(_) => return Ok(other_hook(action, hook.as_ref(), "LAUNCH_HOOK_NAME")),
            None => {
                let explanation = "an instance is being launched; a launch never drains".to_owned();
                return Ok(Message::Ignored(about(action, Reason::LaunchTransition, explanation)));
            }
        },
        "autoscaling:EC2_INSTANCE_TERMINATING" => {
            return Ok(other_hook(action, hook.as_ref(), "LIFECYCLE_HOOK_NAME"));
        }
        // Some write it here as well.
        TEST => {
            let explanation = TEST_EXPLAINED.to_owned();
            return Ok(Message::Ignored(about(action, Reason::TestNotification, explanation)));
        }
        other => return Err(EventError::UnknownTransition(quoted(other))),
    };
    let instance = needed(action, INSTANCE)?;
    let target = Target {
        instance: instance_id(instance, INSTANCE)?,
        group: descriptive(action, "AutoScalingGroupName", GroupName::parse),
        hook,
        token: descriptive(action, "LifecycleActionToken", action_token),
        errand,
        told_at: via.told_at,
        hook_started_at: via.told_at,
        origin: via.origin,
    };
    Ok(Message::Target(target, action.text("NotificationMetadata")))
}

const TEST: &str = "autoscaling:TEST_NOTIFICATION";
const TEST_EXPLAINED: &str = "the test message that Auto Scaling sends at set-up";

/// Where Auto Scaling names the instance.
pub(super) const INSTANCE: &str = "EC2InstanceId";

/// The instance that a field names.
pub(super) fn instance_id(text: Option<String>, field: &'static str) -> Result<InstanceId, EventError> {
    let text = text.ok_or(EventError::MissingInstanceId(field))?;
    InstanceId::parse(&text).map_err(|source| EventError::InvalidInstanceId { field, source })
}

fn cause(action: &Fields<'_>) -> Cause {
    let destination = descriptive(action, "Destination", any_text);
    match (destination.as_deref(), descriptive(action, "Action", any_text).as_deref()) {
        (_, Some("ReplaceRootVolume")) => Cause::RootVolume,
        (Some("WarmPool"), _) => Cause::WarmPool,
        _ => Cause::Terminate,
    }
}

fn other_hook(action: &Fields<'_>, hook: Option<&HookName>, variable: &str) -> Message {
    let name = hook.map_or("a hook without a name that can be read", HookName::as_str);
    let explanation = format!("{name} is not in {variable}");
    Message::Ignored(about(action, Reason::OtherHook, explanation))
}

/// What is ignored about an instance, a group and a hook, as far as they can be read.
pub(super) fn about(message: &Fields<'_>, reason: Reason, explanation: String) -> Ignored {
    Ignored {
        reason,
        instance: message.text("EC2InstanceId").and_then(|text| InstanceId::parse(&text).ok()),
        group: descriptive(message, "AutoScalingGroupName", GroupName::parse),
        hook: descriptive(message, "LifecycleHookName", HookName::parse),
        explanation,
    }
}

/// A moment that a field holds.
pub(super) fn moment(message: &Fields<'_>, name: &'static str) -> Option<Timestamp> {
    descriptive(message, name, |text| {
        text.parse::<Timestamp>().map_err(|_| format!("{} is not a time", quoted(text)))
    })
}

/// A field without which the message says nothing. It may be missing; what is needed is asked for where it is.
pub(super) fn needed(message: &Fields<'_>, name: &'static str) -> Result<Option<String>, EventError> {
    message.string(name).map_err(|_| EventError::NotAString(name))
}

/// A field that says more about an instance that is known without it. One that cannot be read costs a little: a name in
/// the log, precision, the completion. It is no reason to leave work on a dying instance.
pub(super) fn descriptive<T, E: Display>(
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
