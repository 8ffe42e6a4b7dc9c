//! What the function's role may do.

use drain_lab::aws::OPERATOR;
use drain_lab::lab::Route;

use super::Clinic;
use super::provoke::{complaints_of, provoke};
use crate::stage::GROUP;

/// What the doctor says of the role.
const MISSING: &str = "permission-missing role nomad-drain";
const ADVISED: &str = "permission-advised role nomad-drain";

#[tokio::test]
async fn an_action_that_a_drain_needs_is_missed() {
    for (action, complaint) in [
        ("autoscaling:CompleteLifecycleAction", MISSING),
        ("autoscaling:RecordLifecycleActionHeartbeat", MISSING),
        ("autoscaling:DescribeAutoScalingGroups", MISSING),
        ("ssm:GetParameter", MISSING),
        ("ec2:DescribeInstances", ADVISED),
        ("autoscaling:DescribeLifecycleHooks", ADVISED),
    ] {
        provoke(Route::TopicToFunction, |one| one.stage.aws.deny(action), &[complaint]).await;
    }
}

#[tokio::test]
async fn an_action_is_looked_at_on_the_resource_that_it_is_for() {
    let of_group = |one: &Clinic, name: &str| {
        let arn = one.stage.aws.group(name).map_or_else(|| "arn:of:another".to_owned(), |group| group.arn);
        one.stage.aws.deny_on("autoscaling:CompleteLifecycleAction", &arn);
    };
    provoke(Route::TopicToFunction, |one| of_group(one, GROUP), &[MISSING]).await;
    provoke(Route::TopicToFunction, |one| of_group(one, "others"), &[]).await;
}

#[tokio::test]
async fn what_a_policy_forbids_is_told_from_what_none_allows() {
    let clinic = Clinic::by(Route::TopicToFunction).await;
    clinic.stage.aws.forbid("autoscaling:CompleteLifecycleAction");
    let examined = clinic.examine().await;
    assert_eq!(complaints_of(&examined), [MISSING]);
    assert!(examined.said("permission-missing").contains("a policy forbids it"), "{examined:?}");
    clinic.stage.aws.allow("autoscaling:CompleteLifecycleAction");
    clinic.stage.aws.deny("autoscaling:CompleteLifecycleAction");
    let examined = clinic.examine().await;
    assert!(examined.said("permission-missing").contains("no policy allows it"), "{examined:?}");
}

#[tokio::test]
async fn a_condition_that_a_simulation_does_not_know_leaves_the_question_open() {
    let clinic = Clinic::by(Route::TopicToFunction).await;
    clinic
        .stage
        .aws
        .allow_on_condition("autoscaling:CompleteLifecycleAction", "autoscaling:ResourceTag/nomad-drain");
    let examined = clinic.examine().await;
    assert_eq!(complaints_of(&examined), ["not-checked role nomad-drain"]);
    assert!(examined.said("not-checked").contains("autoscaling:ResourceTag/nomad-drain"), "{examined:?}");
}

#[tokio::test]
async fn what_the_organisation_does_not_allow_no_statement_of_the_roles_own_does() {
    let clinic = Clinic::by(Route::TopicToFunction).await;
    clinic.stage.aws.deny_by_organization("ssm:GetParameter");
    let examined = clinic.examine().await;
    assert_eq!(complaints_of(&examined), [MISSING]);
    assert!(examined.said("permission-missing").contains("service control policies"), "{examined:?}");
    assert!(examined.finding("permission-missing")["command"].is_null(), "{examined:?}");
}

#[tokio::test]
async fn the_role_has_to_read_the_queue_for_which_the_function_waits() {
    for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] {
        provoke(Route::HookToQueue, |one| one.stage.aws.deny(action), &[MISSING]).await;
    }
    provoke(Route::TopicToFunction, |one| one.stage.aws.deny("sqs:ReceiveMessage"), &[]).await;
}

#[tokio::test]
async fn who_may_not_simulate_is_told_that_nothing_is_known() {
    let clinic = Clinic::by(Route::RuleToFunction).await;
    clinic.stage.aws.deny_to(OPERATOR, "iam:SimulatePrincipalPolicy");
    let examined = clinic.examine().await;
    assert_eq!(complaints_of(&examined), ["not-checked role nomad-drain"]);
    assert!(examined.said("not-checked").contains("iam:SimulatePrincipalPolicy"), "{examined:?}");
}
