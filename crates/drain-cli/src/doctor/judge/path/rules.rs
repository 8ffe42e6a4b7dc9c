//! The way by `EventBridge`: a rule that matches the hook's events, and its target.

use serde_json::Value;

use super::{Walked, Way, errors, known};
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::Rule;

/// What `EventBridge` says when a terminate hook holds an instance.
const TERMINATE: &str = "EC2 Instance-terminate Lifecycle Action";

/// A hook without a target is told of by `EventBridge` only.
pub(super) fn walk(way: &Way<'_>) -> Walked {
    let rules = match known(
        &way.facts.rules,
        Area::Path,
        &way.about,
        "which rules of EventBridge reach the function",
    ) {
        Ok(rules) => rules,
        Err(unknown) => return Walked::ends(unknown),
    };
    let fitting = rules.iter().filter(|rule| {
        let pattern = rule.pattern.as_ref();
        pattern.is_some_and(|pattern| is_of_hook(pattern, way.group, way.hook.name.as_str()))
    });
    let walked = fitting.map(|rule| by_rule(way, rule));
    walked.min_by_key(|walked| errors(&walked.found)).unwrap_or_else(|| {
        let what = format!(
            "it has no target, and no rule of EventBridge brings its events to {}: they are lost",
            way.function.name
        );
        let pattern = format!(
            "{{\"source\":[\"aws.autoscaling\"],\"detail-type\":[\"{TERMINATE}\"],\
             \"detail\":{{\"LifecycleHookName\":[\"{}\"]}}}}",
            way.hook.name
        );
        Walked::ends(
            way.finding(Code::RuleMissing, what)
                .todo("Make a rule, and the function its target (docs/deploy-by-hand.md, steps 7 and 8):")
                .command(format!("aws events put-rule --name nomad-drain-hook --event-pattern '{pattern}'")),
        )
    })
}

fn by_rule(way: &Way<'_>, rule: &Rule) -> Walked {
    let mut stations = vec![format!("rule {}", rule.name)];
    let mut found = Vec::new();
    if !rule.enabled {
        found.push(
            way.finding(
                Code::RuleDisabled,
                format!("the rule {} that brings its events is disabled", rule.name),
            )
            .todo("Enable it:")
            .command(format!("aws events enable-rule --name {}", rule.name)),
        );
    }
    if rule.changes_event {
        let what = format!("the rule {} sends something else than the whole event", rule.name);
        found.push(
            way.finding(Code::RuleChangesEvent, what)
                .todo("Take Input, InputPath or InputTransformer away from its target."),
        );
    }
    if way.is_function(&rule.target) {
        found.extend(way.may_invoke("events.amazonaws.com", &rule.arn));
        found.extend(way.needs_sweep("EventBridge"));
    } else {
        let after = way.by_queue(&rule.target, "events.amazonaws.com", &rule.arn);
        found.extend(after.found);
        stations.extend(after.stations);
    }
    Walked { found, stations }
}

/// Whether a pattern lets through what Auto Scaling says of this hook. (Amazon `EventBridge` User Guide, "Creating event
/// patterns".) Comparisons that are not known here are taken to fit.
fn is_of_hook(pattern: &Value, group: &str, hook: &str) -> bool {
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
        && detail("LifecycleTransition", "autoscaling:EC2_INSTANCE_TERMINATING")
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
}
