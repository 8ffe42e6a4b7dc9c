//! The way from the hook to the function.

use std::path::Path;

use drain_lab::aws::{HOOK_ROLE, NotificationTarget, OPERATOR};
use drain_lab::lab::Route;
use serde_json::json;

use super::provoke::{HOOK, complaints_of, provoke};
use super::{Clinic, Examination};
use crate::stage::{GROUP, Ran};

/// Breaks something on the way, and compares the codes of what the doctor says of the hook.
async fn check_way(route: Route, breaks: impl FnOnce(&Clinic), codes: &[&str]) {
    let complaints: Vec<String> = codes.iter().map(|code| format!("{code} {HOOK}")).collect();
    let complaints: Vec<&str> = complaints.iter().map(String::as_str).collect();
    provoke(route, breaks, &complaints).await;
}

/// The stations between the hook and the function.
fn stations(route: Route) -> &'static [&'static str] {
    match route {
        Route::TopicToFunction => &["topic nomad-drain"],
        Route::TopicToQueue | Route::TopicToQueueRaw => &["topic nomad-drain", "queue nomad-drain"],
        Route::HookToQueue => &["queue nomad-drain"],
        Route::HookToFunction => &[],
        Route::RuleToFunction => &["rule nomad-drain-hooks"],
        Route::RuleToQueue => &["rule nomad-drain-hooks", "queue nomad-drain"],
    }
}

#[tokio::test]
async fn every_way_that_is_right_is_told_with_its_stations() {
    for route in Route::ALL {
        let examined = Clinic::by(route).await.examine().await;
        assert_eq!(complaints_of(&examined), [""; 0], "{route:?}");
        let way: Vec<&str> =
            [&["the hook"], stations(route), &["nomad-drain"]].into_iter().flatten().copied().collect();
        assert_eq!(examined.finding("path")["what"], way.join(" \u{2192} "), "{route:?}");
    }
}

#[tokio::test]
async fn without_its_name_the_function_is_found_at_the_end_of_the_way() {
    for route in Route::ALL {
        let clinic = Clinic::by(route).await;
        let mut doctor = clinic.doctor(&["--json"]);
        doctor.envs(clinic.stage.function(Path::new("none")).env);
        doctor.envs([("AUTO_SCALING_GROUPS", GROUP), ("SWEEP", "on")]);
        let examined = Examination::of(&Ran::of(doctor).await);
        assert_eq!(complaints_of(&examined), [""; 0], "{route:?}");
        assert_eq!(examined.finding("function")["about"], "nomad-drain", "{route:?}");
    }
}

#[tokio::test]
async fn a_topic_to_which_nobody_of_ours_is_subscribed_is_found() {
    let other = "arn:aws:lambda:us-east-1:123456789012:function:older";
    for route in [Route::TopicToFunction, Route::TopicToQueue, Route::TopicToQueueRaw] {
        check_way(route, |one| one.deployment.unsubscribe(), &["topic-not-subscribed"]).await;
    }
    let route = Route::TopicToFunction;
    check_way(route, |one| one.deployment.subscribe_instead(other), &["topic-not-subscribed"]).await;
    check_way(route, |one| one.deployment.leave_subscription_unconfirmed(), &["subscription-pending"]).await;
}

#[tokio::test]
async fn a_subscription_that_filters_messages_is_told() {
    let route = Route::TopicToFunction;
    // Auto Scaling's messages have no attributes.
    let filter = json!({"event": ["terminate"]});
    check_way(route, |one| one.deployment.filter_subscription(&filter), &["subscription-filters-out"]).await;
    for (filter, codes) in [
        (json!({"AutoScalingGroupName": ["others"]}), &["subscription-filters-out"][..]),
        (json!({"AutoScalingGroupName": [GROUP]}), &[]),
        (json!({"Destination": ["EC2"]}), &["subscription-filters"]),
    ] {
        check_way(route, |one| one.deployment.filter_subscription_by_text(&filter), codes).await;
    }
}

#[tokio::test]
async fn a_mapping_that_filters_messages_is_told() {
    let filter = json!({"body": {"Destination": ["EC2"]}});
    let filters = |one: &Clinic| one.deployment.filter_event_source(&filter);
    check_way(Route::HookToQueue, filters, &["queue-reader-filters"]).await;
}

#[tokio::test]
async fn an_alias_has_a_policy_and_mappings_of_its_own() {
    for route in Route::ALL {
        check_way(route, |one| one.deployment.invoke_alias("live"), &[]).await;
    }
    for route in [Route::TopicToFunction, Route::RuleToFunction, Route::HookToFunction] {
        let closes = |one: &Clinic| {
            one.deployment.invoke_alias("live");
            one.deployment.remove_permission_of_alias("live");
        };
        check_way(route, closes, &["function-permission-missing"]).await;
    }
}

#[tokio::test]
async fn a_key_that_keeps_senders_out_is_found_or_said_not_to_be_known() {
    let own = "arn:aws:kms:us-east-1:123456789012:key/4ecd4bd5-6b1b-4b2b-9a5a-6a4b1f6a9d2e";
    for route in [Route::TopicToQueue, Route::RuleToQueue] {
        check_way(route, |one| one.deployment.encrypt_queue("alias/aws/sqs"), &["queue-key-denies"]).await;
        check_way(route, |one| one.deployment.encrypt_queue(own), &["not-checked"]).await;
    }
    // The hook's role is one of the account's.
    check_way(Route::HookToQueue, |one| one.deployment.encrypt_queue("alias/aws/sqs"), &[]).await;
    check_way(Route::TopicToFunction, |one| one.deployment.encrypt_topic("alias/aws/sns"), &[]).await;
    check_way(Route::TopicToFunction, |one| one.deployment.encrypt_topic(own), &["not-checked"]).await;
}

#[tokio::test]
async fn a_topic_or_a_queue_that_is_gone_is_found() {
    check_way(Route::TopicToFunction, |one| one.deployment.delete_topic(), &["target-missing"]).await;
    check_way(Route::HookToQueue, |one| one.deployment.delete_queue(), &["target-missing"]).await;
}

#[tokio::test]
async fn a_hook_that_cannot_send_to_its_target_is_found() {
    let takes_rights = |one: &Clinic| one.deployment.take_rights_of_hook_role();
    check_way(Route::TopicToFunction, takes_rights, &["hook-role-cannot-send"]).await;
    check_way(Route::HookToQueue, takes_rights, &["hook-role-cannot-send"]).await;
    check_way(Route::TopicToFunction, |one| one.deployment.deny_publishing(), &["target-denies"]).await;
}

#[tokio::test]
async fn a_queue_that_does_not_let_its_topic_or_its_rule_send_is_found() {
    for route in [Route::TopicToQueue, Route::RuleToQueue] {
        check_way(route, |one| one.deployment.remove_queue_policy(), &["queue-denies"]).await;
        let other = "arn:aws:sns:us-east-1:123456789012:older";
        check_way(route, |one| one.deployment.admit_other_source_to_queue(other), &["queue-denies"]).await;
    }
}

#[tokio::test]
async fn a_queue_that_the_function_does_not_read_or_reads_badly_is_found() {
    let route = Route::HookToQueue;
    check_way(route, |one| one.deployment.remove_event_source(), &["queue-not-read"]).await;
    check_way(route, |one| one.deployment.disable_event_source(), &["queue-reader-disabled"]).await;
    let ignores = |one: &Clinic| one.deployment.ignore_batch_item_failures();
    check_way(route, ignores, &["batch-failures-not-reported"]).await;
}

#[tokio::test]
async fn a_function_that_may_not_be_called_is_found() {
    for route in [Route::TopicToFunction, Route::RuleToFunction, Route::HookToFunction] {
        check_way(route, |one| one.deployment.remove_permission(), &["function-permission-missing"]).await;
    }
    let other = "arn:aws:events:us-east-1:123456789012:rule/older";
    let route = Route::RuleToFunction;
    check_way(route, |one| one.deployment.admit_other_source(other), &["function-permission-missing"]).await;
}

#[tokio::test]
async fn a_hook_that_calls_something_else_is_found() {
    let function_arn = "arn:aws:lambda:us-east-1:123456789012:function:older".to_owned();
    let target = NotificationTarget::Lambda { function_arn };
    let aims = |one: &Clinic| one.deployment.change_hook(GROUP, |hook| hook.target = target.clone());
    check_way(Route::HookToFunction, aims, &["target-elsewhere"]).await;
}

#[tokio::test]
async fn a_rule_that_does_not_bring_the_hooks_events_is_found() {
    for route in [Route::RuleToFunction, Route::RuleToQueue] {
        check_way(route, |one| one.deployment.remove_rule(), &["rule-missing"]).await;
        check_way(route, |one| one.deployment.disable_rule(), &["rule-disabled"]).await;
        let other = "arn:aws:sqs:us-east-1:123456789012:older";
        check_way(route, |one| one.deployment.retarget_rule(other), &["rule-missing"]).await;
        check_way(route, |one| one.deployment.narrow_rule_to_group("others"), &["rule-missing"]).await;
        check_way(route, |one| one.deployment.narrow_rule_to_group(GROUP), &[]).await;
        check_way(route, |one| one.deployment.send_part_of_event("$.detail"), &["rule-changes-event"]).await;
    }
}

#[tokio::test]
async fn what_the_operator_may_not_read_is_not_called_fine() {
    let route = Route::TopicToFunction;
    for action in ["sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "lambda:GetPolicy"] {
        check_way(route, |one| one.stage.aws.deny_to(OPERATOR, action), &["not-checked"]).await;
    }
}

#[tokio::test]
async fn the_hooks_role_is_simulated_for_what_its_target_needs() {
    let publishes_only = |one: &Clinic| one.stage.aws.deny_to(HOOK_ROLE, "sqs:SendMessage");
    check_way(Route::TopicToFunction, publishes_only, &[]).await;
}
