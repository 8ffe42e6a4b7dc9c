//! IAM's query protocol: roles, and what their policies would allow. (AWS IAM API Reference.)

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::call::Call;
use super::xml::{self, Xml};
use crate::aws::account::Decision;
use crate::aws::{ApiError, Aws, HOOK_ROLE};

/// How many results one answer has, unless the caller wants fewer.
const RESULTS: usize = 100;

pub(super) fn answer(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "GetRole" => get_role(aws, call, request_id),
        "SimulatePrincipalPolicy" => simulate_principal_policy(aws, call, request_id),
        _ => Err(call.unknown()),
    }
}

/// "`GetRole`": the trust policy is escaped as in a URL.
fn get_role(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    let name = call.require("RoleName")?;
    let arn = format!("arn:aws:iam::{}:role/{name}", aws.account().id);
    permit(aws, call, &arn)?;
    require_role(aws, name)?;
    let service = if name == HOOK_ROLE { "autoscaling.amazonaws.com" } else { "lambda.amazonaws.com" };
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"},
    ]});
    let trust = utf8_percent_encode(&trust.to_string(), NON_ALPHANUMERIC).to_string();
    Ok(xml::response(call, request_id, |xml| {
        xml.element("Role", |xml| {
            xml.text("Path", "/");
            xml.text("RoleName", name);
            xml.text("RoleId", "AROALABEXAMPLEROLE00");
            xml.text("Arn", &arn);
            xml.text("CreateDate", "2026-01-01T00:00:00Z");
            xml.text("AssumeRolePolicyDocument", &trust);
            xml.text("MaxSessionDuration", 3600);
        });
    }))
}

/// "`SimulatePrincipalPolicy`", answered from the permissions that the lab enforces: one result for each action, and in it
/// one for each resource that was named. The result of an action names no resource of anybody's, and is as bad as the worst
/// of its resources. A session is no principal whose policies could be simulated.
fn simulate_principal_policy(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    let principal = call.require("PolicySourceArn")?;
    permit(aws, call, principal)?;
    let role =
        principal.strip_prefix(&format!("arn:aws:iam::{}:role/", aws.account().id)).ok_or_else(|| {
            let message =
                format!("Invalid Entity Arn: {principal} does not clearly define entity type and name.");
            ApiError::new(400, "InvalidInput", message)
        })?;
    // A role's name follows its path.
    let role = role.rsplit('/').next().unwrap_or(role);
    require_role(aws, role)?;
    let actions = call.list("ActionNames.member");
    if actions.is_empty() {
        call.require("ActionNames")?;
    }
    if let Some(action) = actions.iter().find(|action| !action.contains(':')) {
        return Err(ApiError::new(400, "InvalidInput", format!("Invalid Action: {action}")));
    }
    let named: Vec<&str> =
        call.list("ResourceArns.member").into_iter().filter(|resource| *resource != "*").collect();
    let on = |action: &str, resource: &str| {
        aws.look(|state| state.permissions.decide(role, action, Some(resource)))
    };
    let all: Vec<OfAction<'_>> = actions
        .iter()
        .map(|action| {
            let each: Vec<(&str, Decision)> = named.iter().map(|arn| (*arn, on(action, arn))).collect();
            let worst = each.iter().map(|(_, decision)| decision).max().cloned();
            (*action, worst.unwrap_or_else(|| on(action, "*")), each)
        })
        .collect();
    let (shown, next) = page(call, &all)?;
    Ok(xml::response(call, request_id, |xml| {
        xml.text("IsTruncated", next.is_some());
        xml.list("EvaluationResults", "member", shown, |xml, (action, decision, each)| {
            xml.text("EvalActionName", action);
            xml.text("EvalResourceName", if each.is_empty() { "*".to_owned() } else { template(action) });
            xml.text("EvalDecision", word(decision));
            details(xml, role, decision);
            if *decision == Decision::NotByOrganization {
                xml.element("OrganizationsDecisionDetail", |xml| xml.text("AllowedByOrganizations", false));
            }
            if !each.is_empty() {
                xml.list("ResourceSpecificResults", "member", each, |xml, (arn, decision)| {
                    xml.text("EvalResourceName", arn);
                    xml.text("EvalResourceDecision", word(decision));
                    details(xml, role, decision);
                });
            }
        });
        xml.optional("Marker", next);
    }))
}

/// An action, what is said of it, and of it on each resource that was named.
type OfAction<'a> = (&'a str, Decision, Vec<(&'a str, Decision)>);

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Allowed => "allowed",
        // Of a condition on a key that nobody gave nothing is known.
        Decision::NotAllowed | Decision::NotByOrganization | Decision::Conditional(_) => "implicitDeny",
        Decision::Forbidden => "explicitDeny",
    }
}

/// The ARN of the kind of resource that an action is on, with nothing filled in.
fn template(action: &str) -> String {
    let service = action.split(':').next().unwrap_or_default();
    format!("arn:${{Partition}}:{service}:${{Region}}:${{Account}}:${{Resource}}")
}

/// Which statements decided, and which keys nobody gave.
fn details(xml: &mut Xml, role: &str, decision: &Decision) {
    xml.element("MatchedStatements", |xml| {
        if matches!(decision, Decision::Allowed | Decision::Forbidden) {
            xml.element("member", |xml| {
                xml.text("SourcePolicyId", format!("role_{role}_{role}"));
                xml.text("SourcePolicyType", "IAM Policy");
            });
        }
    });
    xml.element("MissingContextValues", |xml| {
        if let Decision::Conditional(key) = decision {
            xml.text("member", key);
        }
    });
}

/// One page of results, and the marker of the next one if there is more.
fn page<'a, T>(call: &Call, all: &'a [T]) -> Result<(&'a [T], Option<usize>), ApiError> {
    let number = |name: &str, otherwise: usize| match call.get(name) {
        None => Ok(otherwise),
        Some(text) => {
            text.parse().map_err(|_| ApiError::new(400, "InvalidInput", format!("Invalid {name}: {text}")))
        }
    };
    let start = number("Marker", 0)?.min(all.len());
    let end = (start + number("MaxItems", RESULTS)?).min(all.len());
    Ok((&all[start..end], (end < all.len()).then_some(end)))
}

fn require_role(aws: &Aws, name: &str) -> Result<(), ApiError> {
    if aws.account().roles().iter().any(|role| role == name) {
        return Ok(());
    }
    Err(ApiError::new(404, "NoSuchEntity", format!("The role with name {name} cannot be found.")))
}

fn permit(aws: &Aws, call: &Call, resource: &str) -> Result<(), ApiError> {
    aws.permit(&call.action(), Some(resource)).map_err(|message| call.service.denied(message))
}
