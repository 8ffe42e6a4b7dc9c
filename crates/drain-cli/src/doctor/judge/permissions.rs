//! May the function's role do what this configuration needs?

use serde_json::json;

use super::known;
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{Decision, Facts, Granted};
use crate::doctor::finding::Finding;
use crate::doctor::needed::Needed;

const AREA: Area = Area::Permissions;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let role = facts.function.known().and_then(Option::as_ref).map(|function| function.role.as_str());
    let about =
        role.map_or("the function's role".to_owned(), |arn| format!("role {}", super::path::name(arn)));
    let granted = match known(&facts.permissions, AREA, &about, "what the function's role may do") {
        Ok(granted) => granted,
        Err(unknown) => return vec![unknown],
    };
    let mut found: Vec<Finding> = granted.iter().filter_map(|one| of_action(&about, one)).collect();
    if found.is_empty() {
        let what = format!(
            "all {} that this configuration needs are allowed, as IAM simulates it",
            count(granted.len())
        );
        found.push(Finding::new(AREA, Code::Permissions, &about, what));
    }
    found
}

/// What is wrong with an action, if anything is.
fn of_action(about: &str, one: &Granted) -> Option<Finding> {
    let Granted { needed: Needed { action, resource, vital }, decision } = one;
    let code = if *vital { Code::PermissionMissing } else { Code::PermissionAdvised };
    let lacks = |why: &str| {
        let what = format!("it may not {action}: {why}. Without it: {}", one.needed.without());
        Finding::new(AREA, code, about, what)
    };
    Some(match decision {
        Decision::Allowed => return None,
        Decision::NotAllowed => {
            let statement =
                json!({ "Effect": "Allow", "Action": action, "Resource": for_policies(resource) });
            lacks("no policy allows it").todo("Add to the role's policy:").command(statement.to_string())
        }
        Decision::Forbidden => lacks("a policy forbids it").todo(
            "Look for the statement with \"Effect\": \"Deny\": in the role's policies, its permissions boundary, or the \
             organisation's.",
        ),
        Decision::NotByBoundary => lacks("the role's permissions boundary does not allow it")
            .todo("Have it added to the boundary: a statement in the role's own policy does not help."),
        Decision::NotByOrganization => lacks("the organisation's service control policies do not allow it")
            .todo("Have it allowed there: a statement in the role's own policy does not help."),
        Decision::Depends(keys) => {
            let what = format!(
                "not checked: whether it may {action}. Its policies have a condition on {}, and IAM's simulation does not know \
                 what that is in a real call",
                keys.join(" and ")
            );
            Finding::new(AREA, Code::NotChecked, about, what)
                .todo(format!("See in the role's policy whether the condition holds for {}.", for_policies(resource)))
        }
    })
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
    use crate::doctor::facts::{Fact, Why};
    use crate::doctor::judge::scene::{check, facts};

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
        for decision in [Decision::NotByBoundary, Decision::NotByOrganization] {
            facts.permissions = Fact::Known(vec![one("ssm:GetParameter", true, decision)]);
            let found = judge(&facts);
            assert_eq!(found[0].command, None, "it would not help");
            check(found, &["permission-missing role nomad-drain"]);
        }
    }

    #[test]
    fn what_depends_on_a_condition_is_neither_missing_nor_fine() {
        let mut facts = facts();
        let depends = Decision::Depends(vec!["aws:ResourceTag/team".to_owned()]);
        facts.permissions = Fact::Known(vec![one("autoscaling:CompleteLifecycleAction", true, depends)]);
        let found = judge(&facts);
        assert!(found[0].what.contains("aws:ResourceTag/team"), "{found:?}");
        check(found, &["not-checked role nomad-drain"]);
    }

    #[test]
    fn who_may_not_simulate_does_not_know() {
        let mut facts = facts();
        facts.permissions =
            Fact::Unknown(Why::Denied { permission: "iam:SimulatePrincipalPolicy".to_owned() });
        check(judge(&facts), &["not-checked role nomad-drain"]);
    }
}
