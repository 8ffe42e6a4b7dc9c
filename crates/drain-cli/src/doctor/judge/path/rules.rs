//! The way by `EventBridge`: a rule that matches the hook's events, and its target.

use super::patterns::{TERMINATE, is_of_hook};
use super::{Walked, Way, errors, known};
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::Rule;

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
            "it has no target, and no rule of EventBridge brings its events to {}: they are lost{}",
            way.function.name,
            near_misses(rules)
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
        found.extend(way.may_invoke("events.amazonaws.com", &rule.arn, &rule.target));
        found.extend(way.needs_sweep("EventBridge"));
    } else {
        let after = way.by_queue(&rule.target, "events.amazonaws.com", &rule.arn);
        found.extend(after.found);
        stations.extend(after.stations);
    }
    Walked { found, stations }
}

/// The rules that call the function for something else.
fn near_misses(rules: &[Rule]) -> String {
    let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!(". The pattern of rule {one} does not match them"),
        several => format!(". The patterns of rules {} do not match them", several.join(", ")),
    }
}
