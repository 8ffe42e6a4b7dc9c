//! IAM: what a role's policies would allow.

use std::collections::BTreeMap;

use drain::aws::query::Form;
use drain::aws::{Aws, AwsError, Service};
use serde::Deserialize;

use super::{MOST_PAGES, Members, next_page};

/// So many actions are asked about at once: the answers have room on one page.
const AT_ONCE: usize = 50;

/// What a simulation says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    /// `allowed`.
    Allowed,
    /// `implicitDeny`: no policy allows it.
    NotAllowed,
    /// `explicitDeny`: a policy forbids it.
    Forbidden,
}

/// What the policies of a role say of these actions on one resource. Resource policies and what the conditions of a real
/// call would be are not known to a simulation. IAM: `iam:SimulatePrincipalPolicy` on the role.
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
            decisions.extend(result.evaluation_results.members.into_iter().map(|one| {
                let decision = match one.eval_decision.as_str() {
                    "allowed" => Decision::Allowed,
                    "explicitDeny" => Decision::Forbidden,
                    _ => Decision::NotAllowed,
                };
                (one.eval_action_name, decision)
            }));
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
}
