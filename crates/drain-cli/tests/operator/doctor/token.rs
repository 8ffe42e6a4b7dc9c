//! The token: there, good, and no more than it has to be.

use drain_lab::aws::{OPERATOR, ParameterType};
use drain_lab::lab::TOKEN_PARAMETER;
use drain_lab::nomad::{Access, Policy, Token};
use jiff::{SignedDuration, Timestamp};

use super::Clinic;

const OTHER: &str = "11112222-3333-4444-5555-666677778888";

/// A clinic whose stored token is another one.
async fn with(token: Token) -> Clinic {
    let clinic = Clinic::open().await;
    clinic.stage.nomad.add_token(token);
    clinic.stage.aws.put_parameter(TOKEN_PARAMETER, ParameterType::SecureString, OTHER);
    clinic
}

async fn with_policy(policy: Policy) -> Clinic {
    let clinic = with(Token::client(OTHER, &["own"])).await;
    clinic.stage.nomad.add_policy("own", policy);
    clinic
}

#[tokio::test]
async fn a_management_token_is_a_warning() {
    let examined = with(Token::management(OTHER)).await.examine().await;
    examined.complains_of(&["token-management"], 0);
    assert!(examined.said("token-management").contains("nomad-drain.policy.hcl"));
}

#[tokio::test]
async fn a_token_that_ends_is_told_with_its_end() {
    let ends = Timestamp::now() + SignedDuration::from_hours(75);
    let examined = with(Token::client(OTHER, &["nomad-drain"]).expires(ends)).await.examine().await;
    examined.complains_of(&["token-ends"], 0);
    assert!(examined.said("token-ends").contains("in 3 days"), "{examined:?}");
}

#[tokio::test]
async fn a_token_that_sees_too_little_or_may_not_drain_is_an_error() {
    let blind = with_policy(Policy::default().node(Access::Write).namespace("default", &["read-job"])).await;
    let examined = blind.examine().await;
    examined.complains_of(&["token-cannot-see"], 1);
    assert!(examined.said("token-cannot-see").contains("read-job"));
    let idle = with_policy(Policy::default().node(Access::Read).namespace("*", &["read-job"])).await;
    idle.examine().await.complains_of(&["token-cannot-drain"], 1);
}

#[tokio::test]
async fn agents_that_are_asked_for_their_nodes_have_to_answer_the_token() {
    let policy = || Policy::default().node(Access::Write).namespace("*", &["read-job"]);
    let silent = with_policy(policy()).await;
    silent.examine().await.complains_of(&[], 0);
    silent.deployment.set_variable("NODE_LOOKUP", "agent");
    let examined = silent.examine().await;
    assert!(examined.said("token-cannot-ask-agents").contains("agent { policy = \"read\" }"), "{examined:?}");
    assert_eq!(examined.status, 1);
    silent.stage.nomad.add_policy("own", policy().agent(Access::Read));
    let examined = silent.examine().await;
    assert!(!examined.complaints().contains(&"token-cannot-ask-agents"), "{examined:?}");
}

#[tokio::test]
async fn a_token_that_nomad_does_not_know_is_refused() {
    let clinic = Clinic::open().await;
    clinic.stage.aws.put_parameter(TOKEN_PARAMETER, ParameterType::SecureString, OTHER);
    let examined = clinic.examine().await;
    examined.complains_of(&["skipped", "token-refused", "skipped"], 1);
    assert!(!examined.said("token-refused").contains(OTHER));
}

#[tokio::test]
async fn a_place_without_a_token_is_an_error_and_one_that_may_not_be_read_is_not_checked() {
    let clinic = Clinic::open().await;
    clinic.stage.aws.deny_to(OPERATOR, "ssm:GetParameter");
    let examined = clinic.examine().await;
    examined.complains_of(&["skipped", "not-checked", "skipped"], 0);
    assert!(examined.said("not-checked").contains("ssm:GetParameter"), "{examined:?}");
    clinic.stage.aws.allow_to(OPERATOR, "ssm:GetParameter");
    clinic.stage.aws.put_parameter(TOKEN_PARAMETER, ParameterType::SecureString, "two words");
    clinic.examine().await.complains_of(&["skipped", "token-unreadable", "skipped"], 1);
    clinic.stage.aws.delete_parameter(TOKEN_PARAMETER);
    let examined = clinic.examine().await;
    examined.complains_of(&["skipped", "token-unreadable", "skipped"], 1);
    assert!(examined.said("token-unreadable").contains("aws ssm put-parameter"), "{examined:?}");
}

#[tokio::test]
async fn a_token_in_the_functions_variables_is_a_warning() {
    let clinic = Clinic::open().await;
    clinic.deployment.set_variable("NOMAD_TOKEN", drain_lab::lab::TOKEN);
    clinic.examine().await.complains_of(&["token-in-variable"], 0);
    // In the operator's own environment it belongs to nobody else.
    clinic.deployment.remove_variable("NOMAD_TOKEN");
    clinic.examine_with(&[("NOMAD_TOKEN", drain_lab::lab::TOKEN)]).await.complains_of(&[], 0);
}

#[tokio::test]
async fn no_token_at_all_needs_a_cluster_without_acls() {
    let clinic = Clinic::open().await;
    clinic.deployment.set_variable("NOMAD_ACL", "off");
    let examined = clinic.examine().await;
    assert!(examined.said("token-refused").contains("the cluster has ACLs"), "{examined:?}");
    assert_eq!(examined.status, 1);
}

#[tokio::test]
async fn a_login_as_the_functions_role_cannot_be_tried_by_somebody_else() {
    let clinic = Clinic::open().await;
    clinic.deployment.set_variable("NOMAD_AUTH_METHOD", "lambda");
    clinic.deployment.set_variable("NOMAD_AUTH_AUDIENCE", "nomad");
    let examined = clinic.examine().await;
    examined.complains_of(&["skipped", "not-checked", "skipped"], 0);
    assert!(examined.said("not-checked").contains("as its own role"), "{examined:?}");
}
