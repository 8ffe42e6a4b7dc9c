//! The function itself.

use std::time::Duration;

use drain_lab::aws::OPERATOR;
use drain_lab::lab::Route;

use super::Clinic;
use super::provoke::{complaints_of, provoke};

#[tokio::test]
async fn a_function_that_cannot_be_invoked_is_found() {
    let reason = "The function's execution role is gone.";
    let clinic = Clinic::by(Route::TopicToFunction).await;
    clinic.deployment.fail_function(reason);
    let examined = clinic.examine().await;
    assert_eq!(complaints_of(&examined), ["function-not-active nomad-drain"]);
    assert!(examined.said("function-not-active").contains(reason), "{examined:?}");
}

#[tokio::test]
async fn a_function_that_has_been_switched_off_is_found() {
    let route = Route::TopicToFunction;
    provoke(route, |one| one.deployment.reserve_concurrency(0), &["function-throttled nomad-drain"]).await;
    provoke(route, |one| one.deployment.reserve_concurrency(1), &[]).await;
    let denied = |one: &Clinic| one.stage.aws.deny_to(OPERATOR, "lambda:GetFunctionConcurrency");
    provoke(route, denied, &["not-checked nomad-drain"]).await;
}

#[tokio::test]
async fn a_function_with_lambdas_own_time_out_has_too_little_time() {
    let short = |one: &Clinic| one.deployment.set_timeout(Duration::from_secs(3));
    provoke(Route::TopicToFunction, short, &["function-timeout-short nomad-drain"]).await;
}

#[tokio::test]
async fn what_only_a_function_in_a_vpc_can_reach_is_not_checked() {
    let clinic = Clinic::by(Route::TopicToFunction).await;
    clinic.deployment.put_into_vpc();
    assert_eq!(complaints_of(&clinic.examine().await), [""; 0]);
    clinic.stage.nomad.set_unreachable(true);
    let examined = clinic.examine().await;
    examined.finding("nomad-unreachable-from-here");
    assert!(examined.findings.iter().all(|finding| finding["severity"] != "error"), "{examined:#?}");
}

#[tokio::test]
async fn variables_that_the_operator_may_not_read_are_not_called_fine() {
    let clinic = Clinic::by(Route::TopicToFunction).await;
    clinic.deployment.seal_variables();
    let examined = clinic.examine().await;
    let said = examined.said("not-checked");
    assert!(said.contains("AccessDeniedException"), "{said}");
    assert!(!examined.complaints().contains(&"configuration-invalid"), "{examined:#?}");
}
