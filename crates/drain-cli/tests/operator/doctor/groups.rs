//! Groups, hooks, and their times.

use drain_lab::aws::{ActionResult, GroupSettings, LifecycleHook, OPERATOR, Transition};
use drain_lab::lab::HOOK;

use super::{Clinic, Examination, FUNCTION};
use crate::stage::{GROUP, Ran};

#[tokio::test]
async fn a_group_that_does_not_exist_is_an_error() {
    let clinic = Clinic::open().await;
    let arguments = ["--function", FUNCTION, "--json", "--group", "clients"];
    let examined = Examination::of(&Ran::of(clinic.doctor(&arguments)).await);
    assert_eq!(examined.finding("group-missing")["about"], "clients");
    assert_eq!(examined.status, 1);
}

#[tokio::test]
async fn a_group_that_the_sweep_does_not_look_after_is_an_error() {
    let clinic = Clinic::open().await;
    clinic.deployment.set_variable("AUTO_SCALING_GROUPS", "others-*");
    clinic.examine().await.complains_of(&["no-groups"], 1);
    let arguments = ["--function", FUNCTION, "--json", "--group", GROUP];
    let examined = Examination::of(&Ran::of(clinic.doctor(&arguments)).await);
    examined.complains_of(&["group-not-watched"], 1);
    assert!(examined.said("group-not-watched").contains("AUTO_SCALING_GROUPS"));
    clinic.deployment.remove_variable("AUTO_SCALING_GROUPS");
    let examined = Examination::of(&Ran::of(clinic.doctor(&arguments)).await);
    assert!(examined.said("group-not-watched").contains("Key=nomad-drain,Value=on"), "{examined:?}");
}

#[tokio::test]
async fn a_group_without_our_hook_is_an_error() {
    let clinic = Clinic::open().await;
    clinic.stage.aws.delete_lifecycle_hook(GROUP, HOOK).unwrap();
    let examined = clinic.examine().await;
    examined.complains_of(&["hook-missing"], 1);
    assert!(examined.said("hook-missing").contains("put-lifecycle-hook --auto-scaling-group-name workers"));
    clinic.stage.aws.put_lifecycle_hook(GROUP, LifecycleHook::terminating("theirs")).unwrap();
    let examined = clinic.examine().await;
    examined.complains_of(&["hook-missing"], 1);
    assert!(examined.said("hook-missing").contains("LIFECYCLE_HOOK_NAME=theirs"), "{examined:?}");
}

#[tokio::test]
async fn waiting_for_launches_without_a_launch_hook_is_told() {
    let clinic = Clinic::open().await;
    clinic.deployment.set_variable("ON_LAUNCH", "wait");
    clinic.examine().await.complains_of(&["launch-hook-missing"], 0);
    clinic
        .stage
        .aws
        .put_lifecycle_hook(
            GROUP,
            LifecycleHook {
                transition: Transition::Launching,
                ..LifecycleHook::terminating("nomad-launch-hook")
            },
        )
        .unwrap();
    clinic.examine().await.complains_of(&[], 0);
}

#[tokio::test]
async fn a_group_on_hold_is_told() {
    let clinic = Clinic::open().await;
    clinic.stage.aws.set_tag(GROUP, "nomad-drain-hold", Some("on")).unwrap();
    clinic.examine().await.complains_of(&["group-on-hold"], 0);
}

#[tokio::test]
async fn metadata_of_a_hook_that_is_left_out_is_told() {
    let clinic = Clinic::open().await;
    clinic.deployment.change_hook(GROUP, |hook| {
        hook.notification_metadata = Some(r#"{"DRAIN_DEADLINE":"soon"}"#.to_owned());
    });
    clinic.examine().await.complains_of(&["hook-metadata-invalid"], 0);
}

#[tokio::test]
async fn hooks_that_may_not_be_read_are_not_checked() {
    let clinic = Clinic::open().await;
    clinic.stage.aws.deny_to(OPERATOR, "autoscaling:DescribeLifecycleHooks");
    let examined = clinic.examine().await;
    examined.complains_of(&["not-checked"], 0);
    assert!(examined.said("not-checked").contains("autoscaling:DescribeLifecycleHooks"));
}

#[tokio::test]
async fn time_outs_that_are_too_short_are_told() {
    let clinic = Clinic::open().await;
    clinic.deployment.change_hook(GROUP, |hook| hook.heartbeat_timeout = 120);
    clinic.examine().await.complains_of(&["heartbeat-timeout-short"], 0);
    clinic.deployment.change_hook(GROUP, |hook| hook.heartbeat_timeout = 300);
    clinic.deployment.set_variable("DRAIN_DEADLINE", "12h");
    let examined = clinic.examine().await;
    examined.complains_of(&["deadline-beyond-hook"], 0);
    assert!(examined.said("deadline-beyond-hook").ends_with("--heartbeat-timeout 434"), "{examined:?}");
    clinic.deployment.set_variable("DRAIN_DEADLINE", "1h");
    clinic.deployment.set_variable("MAX_HOLD", "30m");
    clinic.examine().await.complains_of(&["max-hold-below-deadline"], 1);
}

#[tokio::test]
async fn without_a_sweep_the_hook_has_to_outlast_the_drain() {
    let clinic = Clinic::open().await;
    clinic.deployment.set_variable("SWEEP", "off");
    clinic.deployment.change_hook(GROUP, |hook| hook.heartbeat_timeout = 300);
    let examined = clinic.examine().await;
    let expected = ["sweep-off", "heartbeat-timeout-below-deadline", "function-timeout-short"];
    examined.complains_of(&expected, 1);
    clinic.deployment.change_hook(GROUP, |hook| hook.heartbeat_timeout = 3600);
    let expected = ["sweep-off", "heartbeat-timeout-tight", "function-timeout-short"];
    clinic.examine().await.complains_of(&expected, 0);
}

#[tokio::test]
async fn what_abandon_does_depends_on_the_group() {
    let clinic = Clinic::open().await;
    clinic.deployment.change_hook(GROUP, |hook| hook.default_result = ActionResult::Abandon);
    clinic.examine().await.complains_of(&["default-result-abandon"], 0);
    clinic.deployment.change_hook(GROUP, |hook| hook.default_result = ActionResult::Continue);
    clinic.deployment.set_variable("ON_DRAIN_TIMEOUT", "abandon");
    clinic.examine().await.complains_of(&["abandon-ends-instances"], 0);
}

#[tokio::test]
async fn a_group_may_have_a_name_that_a_shell_would_take_apart() {
    let clinic = Clinic::open().await;
    let name = "spot workers & co";
    clinic.stage.aws.create_group(GroupSettings::named(name));
    let arguments = ["--function", FUNCTION, "--json", "--group", name, "--group", GROUP];
    clinic.deployment.set_variable("AUTO_SCALING_GROUPS", &format!("{GROUP},{name}"));
    let examined = Examination::of(&Ran::of(clinic.doctor(&arguments)).await);
    examined.complains_of(&["hook-missing"], 1);
    assert_eq!(examined.finding("hook-missing")["about"], name);
    let command = examined.finding("hook-missing")["command"].as_str().unwrap();
    assert!(command.contains("--auto-scaling-group-name 'spot workers & co' "), "{command}");
    let groups: Vec<&str> = examined
        .findings
        .iter()
        .filter(|one| one["area"] == "groups")
        .filter_map(|one| one["about"].as_str())
        .collect();
    assert_eq!(groups, [name, GROUP], "in the order in which they were asked for");
}
