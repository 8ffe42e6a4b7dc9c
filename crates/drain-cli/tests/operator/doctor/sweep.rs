//! Whether the sweep has run in the last three minutes.

use std::time::Duration;

use drain_lab::aws::OPERATOR;
use drain_lab::lab::Route;

use super::Clinic;
use super::provoke::{complaints_of, provoke};

/// Breaks the sweep, and compares the code of what the doctor says of it.
async fn check_sweep(breaks: impl FnOnce(&Clinic), code: &str) {
    provoke(Route::TopicToFunction, breaks, &[&format!("{code} the sweep")]).await;
}

#[tokio::test]
async fn a_sweep_that_has_not_run_is_missed() {
    check_sweep(|one| one.deployment.forget_sweeps(), "sweep-missing").await;
    check_sweep(|one| one.deployment.stop_sweeping_for(Duration::from_mins(4)), "sweep-missing").await;
}

#[tokio::test]
async fn why_no_sweep_runs_is_told() {
    let silent = |one: &Clinic| one.deployment.forget_sweeps();
    check_sweep(
        |one| {
            silent(one);
            one.deployment.remove_schedule();
        },
        "sweep-not-scheduled",
    )
    .await;
    check_sweep(
        |one| {
            silent(one);
            one.deployment.disable_schedule();
        },
        "sweep-schedule-disabled",
    )
    .await;
    check_sweep(
        |one| {
            silent(one);
            one.deployment.remove_schedule_permission();
        },
        "sweep-not-allowed",
    )
    .await;
    check_sweep(|one| one.deployment.fail_sweeps(), "sweep-fails").await;
}

#[tokio::test]
async fn a_schedule_that_is_too_slow_is_told() {
    check_sweep(|one| one.deployment.set_schedule("rate(5 minutes)"), "sweep-schedule-slow").await;
}

#[tokio::test]
async fn without_a_sweep_none_is_missed() {
    let clinic = Clinic::by(Route::TopicToFunction).await;
    clinic.deployment.set_variable("SWEEP", "off");
    clinic.deployment.forget_sweeps();
    let examined = clinic.examine().await;
    let of_sweep = |complaint: &&String| complaint.ends_with(" the sweep");
    let complaints = complaints_of(&examined);
    assert_eq!(complaints.iter().find(of_sweep), None, "{examined:?}");
}

#[tokio::test]
async fn by_event_bridge_a_sweep_is_needed() {
    let clinic = Clinic::by(Route::RuleToFunction).await;
    clinic.deployment.set_variable("SWEEP", "off");
    let examined = clinic.examine().await;
    let complaints = complaints_of(&examined);
    assert!(complaints.iter().any(|one| one.starts_with("needs-sweep")), "{complaints:?}");
}

#[tokio::test]
async fn one_source_of_three_is_enough_to_know_that_it_runs() {
    let route = Route::TopicToFunction;
    let hides_rules = |one: &Clinic| one.stage.aws.deny_to(OPERATOR, "events:ListTargetsByRule");
    provoke(route, hides_rules, &[]).await;
    let clinic = Clinic::by(route).await;
    clinic.stage.aws.deny_to(OPERATOR, "cloudwatch:GetMetricStatistics");
    clinic.stage.aws.deny_to(OPERATOR, "events:ListRules");
    let examined = clinic.examine().await;
    assert_eq!(complaints_of(&examined), ["not-checked the sweep"]);
}
