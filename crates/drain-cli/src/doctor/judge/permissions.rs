//! May the function's role do what this configuration needs?

use super::known;
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{Decision, Facts};
use crate::doctor::finding::Finding;

const AREA: Area = Area::Permissions;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let role = facts.function.known().and_then(Option::as_ref).map(|function| function.role.as_str());
    let about =
        role.map_or("the function's role".to_owned(), |arn| format!("role {}", super::path::name(arn)));
    let granted = match known(&facts.permissions, AREA, &about, "what the function's role may do") {
        Ok(granted) => granted,
        Err(unknown) => return vec![unknown],
    };
    let mut found: Vec<Finding> = granted
        .iter()
        .filter(|one| one.decision != Decision::Allowed)
        .map(|one| {
            let needed = &one.needed;
            let code = if needed.vital { Code::PermissionMissing } else { Code::PermissionAdvised };
            let why = match one.decision {
                Decision::Forbidden => "a policy forbids it",
                Decision::Allowed | Decision::NotAllowed => "no policy allows it",
            };
            let what = format!("it may not {}: {why}. Without it: {}", needed.action, needed.without());
            let finding = Finding::new(AREA, code, &about, what);
            if one.decision == Decision::Forbidden {
                return finding.todo(
                    "Look for the policy that denies it: of the role, its permissions boundary, or the organisation.",
                );
            }
            let statement = serde_json::json!({
                "Effect": "Allow", "Action": needed.action, "Resource": for_policies(&needed.resource),
            });
            finding.todo("Add to the role's policy:").command(statement.to_string())
        })
        .collect();
    if found.is_empty() {
        let what = format!(
            "all {} that this configuration needs are allowed, as IAM simulates it",
            count(granted.len())
        );
        found.push(Finding::new(AREA, Code::Permissions, &about, what));
    }
    found
}

fn count(actions: usize) -> String {
    if actions == 1 { "actions".to_owned() } else { format!("{actions} actions") }
}

/// The resource as a policy should have it: of a group's ARN the UUID is another one when the group is made anew.
fn for_policies(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(8, ':').collect();
    match parts.as_slice() {
        [arn, partition, "autoscaling", region, account, "autoScalingGroup", _, name] => {
            [*arn, *partition, "autoscaling", *region, *account, "autoScalingGroup", "*", *name].join(":")
        }
        _ => arn.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::{Fact, Granted, Why};
    use crate::doctor::judge::scene::{check, facts};
    use crate::doctor::needed::Needed;

    fn one(action: &str, vital: bool, decision: Decision) -> Granted {
        let resource = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:4ecd4bd5:autoScalingGroupName/workers";
        Granted {
            needed: Needed { action: action.to_owned(), resource: resource.to_owned(), vital },
            decision,
        }
    }

    #[test]
    fn all_that_is_needed_is_allowed() {
        check(judge(&facts()), &["permissions role nomad-drain"]);
    }

    #[test]
    fn what_is_missing_comes_with_its_statement() {
        let mut facts = facts();
        facts.permissions = Fact::Known(vec![
            one("autoscaling:CompleteLifecycleAction", true, Decision::NotAllowed),
            one("autoscaling:DescribeScalingActivities", false, Decision::NotAllowed),
            one("autoscaling:DescribeLifecycleHooks", false, Decision::Allowed),
        ]);
        let found = judge(&facts);
        assert_eq!(
            found[0].command.as_deref(),
            Some(
                r#"{"Action":"autoscaling:CompleteLifecycleAction","Effect":"Allow","Resource":"arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/workers"}"#
            )
        );
        check(found, &["permission-missing role nomad-drain", "permission-advised role nomad-drain"]);
    }

    #[test]
    fn what_a_policy_forbids_no_statement_allows() {
        let mut facts = facts();
        facts.permissions =
            Fact::Known(vec![one("autoscaling:CompleteLifecycleAction", true, Decision::Forbidden)]);
        let found = judge(&facts);
        assert_eq!(found[0].command, None);
        check(found, &["permission-missing role nomad-drain"]);
    }

    #[test]
    fn who_may_not_simulate_does_not_know() {
        let mut facts = facts();
        facts.permissions =
            Fact::Unknown(Why::Denied { permission: "iam:SimulatePrincipalPolicy".to_owned() });
        check(judge(&facts), &["not-checked role nomad-drain"]);
    }
}
