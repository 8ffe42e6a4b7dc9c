//! `EventBridge` over AWS JSON 1.1: the rules of the default bus. (Amazon `EventBridge` API Reference.)

use serde_json::{Value, json};

use super::call::Call;
use crate::aws::deployed::{Rule, RuleTarget, Trigger};
use crate::aws::{ApiError, Aws};

pub(super) fn answer(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "ListRules" => list_rules(aws, call),
        "ListRuleNamesByTarget" => list_rule_names_by_target(aws, call),
        "DescribeRule" => describe_rule(aws, call),
        "ListTargetsByRule" => list_targets_by_rule(aws, call),
        _ => Err(call.unknown()),
    }
}

/// "`ListRules`".
fn list_rules(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    permit(aws, call, "*")?;
    let prefix = call.get("NamePrefix").unwrap_or_default();
    let rules = aws.deployed().rules;
    let rules = rules.iter().filter(|(name, _)| name.starts_with(prefix));
    let rules: Vec<Value> = rules.map(|(name, rule)| show(aws, name, rule)).collect();
    Ok(json!({"Rules": rules}).to_string())
}

/// "`ListRuleNamesByTarget`": rules that are disabled count. A target that no rule has is no error.
fn list_rule_names_by_target(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    permit(aws, call, "*")?;
    let target = call.get("TargetArn").ok_or_else(|| invalid("targetArn"))?;
    let rules = aws.deployed().rules;
    let names = rules.iter().filter(|(_, rule)| rule.targets.iter().any(|one| one.arn == target));
    Ok(json!({"RuleNames": names.map(|(name, _)| name).collect::<Vec<_>>()}).to_string())
}

/// "`DescribeRule`": not its targets.
fn describe_rule(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let (name, rule) = rule(aws, call, "Name")?;
    let mut shown = show(aws, name, &rule);
    shown["CreatedBy"] = aws.account().id.clone().into();
    Ok(shown.to_string())
}

/// "`ListTargetsByRule`".
fn list_targets_by_rule(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let (_, rule) = rule(aws, call, "Rule")?;
    let targets: Vec<Value> = rule.targets.iter().map(show_target).collect();
    Ok(json!({"Targets": targets}).to_string())
}

fn show(aws: &Aws, name: &str, rule: &Rule) -> Value {
    let mut shown = json!({
        "Name": name,
        "Arn": aws.account().arn("events", &format!("rule/{name}")),
        "State": if rule.enabled { "ENABLED" } else { "DISABLED" },
        "EventBusName": "default",
    });
    match &rule.trigger {
        // A document in a text.
        Trigger::Pattern(pattern) => shown["EventPattern"] = pattern.to_string().into(),
        Trigger::Schedule(expression) => shown["ScheduleExpression"] = expression.clone().into(),
    }
    shown
}

fn show_target(target: &RuleTarget) -> Value {
    let mut shown = json!({"Id": target.id, "Arn": target.arn});
    if let Some(arn) = &target.dead_letter_arn {
        shown["DeadLetterConfig"] = json!({"Arn": arn});
    }
    if let Some(path) = &target.input_path {
        shown["InputPath"] = path.clone().into();
    }
    shown
}

/// The rule that a call names, if the caller may ask and it is there.
fn rule<'a>(aws: &Aws, call: &'a Call, parameter: &str) -> Result<(&'a str, Rule), ApiError> {
    let name = call.get(parameter).ok_or_else(|| invalid(&parameter.to_lowercase()))?;
    permit(aws, call, &aws.account().arn("events", &format!("rule/{name}")))?;
    let rule = aws.look(|state| state.deployed.rules.get(name).cloned());
    let rule = rule.ok_or_else(|| {
        let message = format!("Rule {name} does not exist on EventBus default.");
        ApiError::new(400, "ResourceNotFoundException", message)
    })?;
    Ok((name, rule))
}

fn permit(aws: &Aws, call: &Call, resource: &str) -> Result<(), ApiError> {
    aws.permit(&call.action(), Some(resource)).map_err(|message| call.service.denied(message))
}

fn invalid(field: &str) -> ApiError {
    let message = format!(
        "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be null"
    );
    ApiError::new(400, "ValidationException", message)
}
