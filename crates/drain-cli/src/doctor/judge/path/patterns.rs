//! Patterns of events, and filters of messages: do they let through what Auto Scaling says of a hook?

use serde_json::Value;

/// What `EventBridge` says when a terminate hook holds an instance.
pub(super) const TERMINATE: &str = "EC2 Instance-terminate Lifecycle Action";

/// The transition of terminate hooks.
const TERMINATING: &str = "autoscaling:EC2_INSTANCE_TERMINATING";

/// What a hook's message says besides, of which the values are not known before. (Amazon EC2 Auto Scaling User Guide,
/// "Prepare to add a lifecycle hook".)
const OTHER_FIELDS: [&str; 9] = [
    "AccountId",
    "Destination",
    "EC2InstanceId",
    "LifecycleActionToken",
    "NotificationMetadata",
    "Origin",
    "RequestId",
    "Service",
    "Time",
];

/// Whether a filter lets something through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Passes {
    Yes,
    No,
    /// That depends on what nobody knows before.
    Perhaps,
}

/// Whether a subscription's filter lets the messages of this hook through: by their attributes, of which they have none, or
/// by what they say. (Amazon SNS Developer Guide, "Amazon SNS subscription filter policies".)
pub(super) fn passes(filter: &str, is_of_body: bool, group: &str, hook: &str) -> Passes {
    let Ok(Value::Object(filter)) = serde_json::from_str(filter) else { return Passes::Perhaps };
    let of_key = |(key, values): (&String, &Value)| {
        if key.starts_with('$') {
            return Passes::Perhaps;
        }
        let matches = |actual| if any_matches(values, actual) { Passes::Yes } else { Passes::No };
        match key.as_str() {
            "LifecycleHookName" if is_of_body => matches(hook),
            "AutoScalingGroupName" if is_of_body => matches(group),
            "LifecycleTransition" if is_of_body => matches(TERMINATING),
            other if is_of_body && OTHER_FIELDS.contains(&other) => Passes::Perhaps,
            // It is not there, and has to be, unless it must not.
            _ if asks_for_absence(values) => Passes::Yes,
            _ => Passes::No,
        }
    };
    let all: Vec<Passes> = filter.iter().map(of_key).collect();
    if all.contains(&Passes::No) {
        Passes::No
    } else if all.contains(&Passes::Perhaps) {
        Passes::Perhaps
    } else {
        Passes::Yes
    }
}

fn asks_for_absence(values: &Value) -> bool {
    let absent = |value: &Value| value.get("exists").and_then(Value::as_bool) == Some(false);
    values.as_array().is_some_and(|values| values.iter().any(absent))
}

/// Whether a pattern lets through what Auto Scaling says of this hook. (Amazon `EventBridge` User Guide, "Creating event
/// patterns".) Comparisons that are not known here are taken to fit.
pub(super) fn is_of_hook(pattern: &Value, group: &str, hook: &str) -> bool {
    let fits = |key: &str, actual: &str| pattern.get(key).is_none_or(|values| any_matches(values, actual));
    let detail = |key: &str, actual: &str| {
        pattern
            .get("detail")
            .and_then(|detail| detail.get(key))
            .is_none_or(|values| any_matches(values, actual))
    };
    fits("source", "aws.autoscaling")
        && fits("detail-type", TERMINATE)
        && detail("LifecycleHookName", hook)
        && detail("AutoScalingGroupName", group)
        && detail("LifecycleTransition", TERMINATING)
}

fn any_matches(values: &Value, actual: &str) -> bool {
    values.as_array().is_none_or(|values| values.iter().any(|value| matches(value, actual)))
}

fn matches(value: &Value, actual: &str) -> bool {
    match value {
        Value::String(text) => text == actual,
        Value::Object(comparison) => comparison.iter().all(|(kind, operand)| {
            let text = operand.as_str();
            match (kind.as_str(), text) {
                ("prefix", Some(prefix)) => actual.starts_with(prefix),
                ("suffix", Some(suffix)) => actual.ends_with(suffix),
                ("wildcard", Some(pattern)) => {
                    wildmatch::WildMatchPattern::<'*', '\0'>::new(pattern).matches(actual)
                }
                ("equals-ignore-case", Some(text)) => actual.eq_ignore_ascii_case(text),
                ("anything-but", Some(text)) => actual != text,
                ("anything-but", None) => {
                    !operand.as_array().is_some_and(|all| all.iter().any(|one| one.as_str() == Some(actual)))
                }
                ("exists", _) => operand.as_bool() != Some(false),
                _ => true,
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_brings_what_its_pattern_lets_through() {
        let of = |pattern: &Value| is_of_hook(pattern, "workers", "nomad-drain-hook");
        for fits in [
            json!({"source": ["aws.autoscaling"]}),
            json!({"source": ["aws.autoscaling"], "detail-type": [TERMINATE, "EC2 Instance-launch Lifecycle Action"],
                "detail": {"LifecycleHookName": ["nomad-drain-hook", "nomad-launch-hook"]}}),
            json!({"source": [{"prefix": "aws."}], "detail": {"AutoScalingGroupName": [{"prefix": "work"}]}}),
            json!({"detail": {"LifecycleHookName": [{"anything-but": ["other"]}]}}),
            json!({"detail": {"LifecycleHookName": [{"wildcard": "nomad-*-hook"}]}}),
        ] {
            assert!(of(&fits), "{fits}");
        }
        for other in [
            json!({"source": ["aws.ec2"]}),
            json!({"source": ["aws.autoscaling"], "detail-type": ["EC2 Instance Launch Successful"]}),
            json!({"source": ["aws.autoscaling"], "detail": {"LifecycleHookName": ["other-hook"]}}),
            json!({"source": ["aws.autoscaling"], "detail": {"AutoScalingGroupName": ["servers"]}}),
            json!({"detail": {"LifecycleHookName": [{"anything-but": "nomad-drain-hook"}]}}),
        ] {
            assert!(!of(&other), "{other}");
        }
    }

    #[test]
    fn the_messages_of_a_hook_have_no_attributes() {
        let of = |filter: &Value| passes(&filter.to_string(), false, "workers", "nomad-drain-hook");
        assert_eq!(of(&json!({"kind": ["terminate"]})), Passes::No);
        assert_eq!(of(&json!({"LifecycleHookName": ["nomad-drain-hook"]})), Passes::No);
        assert_eq!(of(&json!({"kind": [{"exists": false}]})), Passes::Yes);
        assert_eq!(of(&json!({"$or": [{"kind": ["terminate"]}]})), Passes::Perhaps);
    }

    #[test]
    fn what_a_hook_says_is_let_through_by_a_filter_that_asks_for_it() {
        let of = |filter: &Value| passes(&filter.to_string(), true, "workers", "nomad-drain-hook");
        let ours = json!({"LifecycleHookName": ["nomad-drain-hook"], "AutoScalingGroupName": [{"prefix": "work"}],
            "LifecycleTransition": ["autoscaling:EC2_INSTANCE_TERMINATING"]});
        assert_eq!(of(&ours), Passes::Yes);
        assert_eq!(of(&json!({"AutoScalingGroupName": ["servers"]})), Passes::No);
        assert_eq!(of(&json!({"LifecycleTransition": ["autoscaling:EC2_INSTANCE_LAUNCHING"]})), Passes::No);
        assert_eq!(of(&json!({"Colour": ["blue"]})), Passes::No, "hooks say nothing of it");
        assert_eq!(of(&json!({"Destination": ["EC2"]})), Passes::Perhaps);
        assert_eq!(passes("no JSON", true, "workers", "nomad-drain-hook"), Passes::Perhaps);
    }
}
