//! IAM: what a role's policies would allow.

use std::collections::BTreeMap;

use drain::aws::query::Form;
use drain::aws::{Aws, AwsError, Service};
use serde::Deserialize;

use super::{MOST_PAGES, Members, next_page};

/// So many actions are asked about at once: the answers have room on one page.
const AT_ONCE: usize = 50;

/// What a simulation says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    /// `allowed`.
    Allowed,
    /// `implicitDeny`: no policy allows it.
    NotAllowed,
    /// `explicitDeny`: a policy forbids it.
    Forbidden,
    /// The organisation's service control policies do not allow it, whatever the role's own say.
    NotByOrganization,
    /// The role's permissions boundary does not allow it.
    NotByBoundary,
    /// It may be allowed: that depends on conditions on these keys, which a simulation cannot know.
    Depends(Vec<String>),
}

/// What the policies of a role say of these actions on one resource. Resource policies and what the conditions of a real
/// call would be are not known to a simulation. IAM: `iam:SimulatePrincipalPolicy` on the role.
///
/// One resource at a time: whether the answer then says it of the action or, inside that, of the resource, it is the same.
/// (IAM API Reference, "`SimulatePrincipalPolicy`": the result of an action names no resource but the kind of it.)
pub(crate) async fn simulate_principal_policy(
    aws: &Aws,
    role: &str,
    actions: &[&str],
    resource: &str,
) -> Result<BTreeMap<String, Decision>, AwsError> {
    const OPERATION: &str = "iam:SimulatePrincipalPolicy";
    let mut decisions = BTreeMap::new();
    for some in actions.chunks(AT_ONCE) {
        let mut marker: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let form = Form::new("SimulatePrincipalPolicy", "2010-05-08")
                .with("PolicySourceArn", role)
                .with_list("ActionNames.member", some)
                .with_list("ResourceArns.member", [resource])
                .with_optional("Marker", marker.as_deref());
            let answer = super::ask(aws, Service::Iam, OPERATION, form).await?;
            let Answer { result } = super::read(OPERATION, &answer)?;
            decisions.extend(result.evaluation_results.members.into_iter().map(Evaluation::decision));
            marker = next_page(result.marker).filter(|_| result.is_truncated);
            if marker.is_none() {
                break;
            }
        }
    }
    Ok(decisions)
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "SimulatePrincipalPolicyResult")]
    result: Simulation,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simulation {
    #[serde(default)]
    evaluation_results: Members<Evaluation>,
    #[serde(default)]
    is_truncated: bool,
    marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Evaluation {
    eval_action_name: String,
    eval_decision: String,
    #[serde(default)]
    missing_context_values: Members<String>,
    organizations_decision_detail: Option<OfOrganization>,
    permissions_boundary_decision_detail: Option<OfBoundary>,
    #[serde(default)]
    resource_specific_results: Members<OfResource>,
}

/// What is said of the resource that was named; of `*` nothing is.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfResource {
    eval_resource_decision: String,
    #[serde(default)]
    missing_context_values: Members<String>,
    permissions_boundary_decision_detail: Option<OfBoundary>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfOrganization {
    allowed_by_organizations: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfBoundary {
    allowed_by_permissions_boundary: bool,
}

impl Evaluation {
    /// The action, and what the simulation says of it.
    fn decision(self) -> (String, Decision) {
        let is_outside = self.organizations_decision_detail.is_some_and(|one| !one.allowed_by_organizations);
        let (word, mut missing, boundary) = match self.resource_specific_results.members.into_iter().next() {
            Some(one) => (
                one.eval_resource_decision,
                one.missing_context_values.members,
                one.permissions_boundary_decision_detail.or(self.permissions_boundary_decision_detail),
            ),
            None => (
                self.eval_decision,
                self.missing_context_values.members,
                self.permissions_boundary_decision_detail,
            ),
        };
        missing.sort_unstable();
        missing.dedup();
        let decision = match word.as_str() {
            "allowed" => Decision::Allowed,
            "explicitDeny" => Decision::Forbidden,
            _ if is_outside => Decision::NotByOrganization,
            _ if boundary.is_some_and(|one| !one.allowed_by_permissions_boundary) => Decision::NotByBoundary,
            _ if !missing.is_empty() => Decision::Depends(missing),
            _ => Decision::NotAllowed,
        };
        (self.eval_action_name, decision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an answer with this in its one result means.
    fn decision(result: &str) -> Decision {
        let answer = format!(
            "<SimulatePrincipalPolicyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
             <SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults><member>\
             <EvalActionName>sns:Publish</EvalActionName>{result}</member></EvaluationResults>\
             </SimulatePrincipalPolicyResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>\
             </SimulatePrincipalPolicyResponse>"
        );
        let Answer { result } = crate::aws::read("iam:SimulatePrincipalPolicy", answer.as_bytes()).unwrap();
        let (action, decision) = result.evaluation_results.members.into_iter().next().unwrap().decision();
        assert_eq!(action, "sns:Publish");
        decision
    }

    fn of_action(word: &str, rest: &str) -> Decision {
        decision(&format!("<EvalResourceName>*</EvalResourceName><EvalDecision>{word}</EvalDecision>{rest}"))
    }

    /// A resource was named: what is said of the action names none, and what is said of the resource is inside.
    fn of_resource(word: &str, rest: &str) -> Decision {
        decision(&format!(
            "<EvalResourceName>arn:${{Partition}}:sns:${{Region}}:${{Account}}:${{TopicName}}</EvalResourceName>\
             <EvalDecision>implicitDeny</EvalDecision><MatchedStatements/><MissingContextValues/>\
             <ResourceSpecificResults><member><EvalResourceName>arn:aws:sns:eu-west-1:123456789012:hooks</EvalResourceName>\
             <EvalResourceDecision>{word}</EvalResourceDecision>{rest}</member></ResourceSpecificResults>"
        ))
    }

    #[test]
    fn what_is_said_of_the_resource_comes_before_what_is_said_of_the_action() {
        assert_eq!(of_action("allowed", ""), Decision::Allowed);
        assert_eq!(of_resource("allowed", "<MatchedStatements/>"), Decision::Allowed);
        for of in [of_action, of_resource] {
            assert_eq!(of("explicitDeny", ""), Decision::Forbidden);
            assert_eq!(of("implicitDeny", "<MissingContextValues/>"), Decision::NotAllowed);
        }
    }

    #[test]
    fn conditions_on_keys_that_nobody_gave_leave_the_question_open() {
        let missing = "<MissingContextValues><member>aws:ResourceTag/team</member><member>aws:SourceVpce</member>\
                       </MissingContextValues>";
        let depends = Decision::Depends(vec!["aws:ResourceTag/team".to_owned(), "aws:SourceVpce".to_owned()]);
        assert_eq!(of_action("implicitDeny", missing), depends);
        assert_eq!(of_resource("implicitDeny", missing), depends);
        // What is allowed, or forbidden, is so without them.
        assert_eq!(of_resource("allowed", missing), Decision::Allowed);
        assert_eq!(of_resource("explicitDeny", missing), Decision::Forbidden);
    }

    #[test]
    fn an_organisation_and_a_boundary_are_told_from_the_roles_own_policies() {
        let organization = "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations>\
                            </OrganizationsDecisionDetail>";
        assert_eq!(of_action("implicitDeny", organization), Decision::NotByOrganization);
        let allowed = organization.replace("false", "true");
        assert_eq!(of_action("implicitDeny", &allowed), Decision::NotAllowed);
        let boundary = "<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>false\
                        </AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail>";
        assert_eq!(of_action("implicitDeny", boundary), Decision::NotByBoundary);
        assert_eq!(of_resource("implicitDeny", boundary), Decision::NotByBoundary);
    }
}
