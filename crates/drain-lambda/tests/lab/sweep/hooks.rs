//! Whose hook holds an instance, and what a sweep does with those of others.

use drain_lab::aws::{GroupSettings, LifecycleHook};
use drain_lab::lab::{HOOK, Lab, Worker};
use drain_lab::models::Models;
use serde_json::json;

use super::counted;
use crate::harness::{
    HEARTBEAT, became, complete_by_hand, completions, count, deploy_with_sweep, ending, heartbeat_timeout,
    invoke_with, is_held, lab, message_of, nomad_calls, posts, response, sweep, terminate, warnings,
};

/// A group with these hooks, and a worker of it that ends.
fn hooked(lab: &Lab, hooks: [&str; 2]) -> Worker {
    let hooks = hooks.map(|name| LifecycleHook { name: name.to_owned(), ..Models::hook(3600) });
    lab.add_group_with(GroupSettings::named("hooked"), hooks).unwrap();
    let worker = lab.add_worker("hooked", 9).unwrap();
    terminate(lab, &worker);
    worker
}

const HOOKED: (&str, &str) = ("AUTO_SCALING_GROUPS", "hooked");

#[tokio::test]
async fn an_instance_that_another_hook_holds_is_not_drained_before_ours_does() {
    let lab = lab().await;
    let worker = hooked(&lab, ["backup", HOOK]);
    let lambda = deploy_with_sweep(&lab, &[HOOKED]);
    let run = sweep(lambda).await;
    assert_eq!(became(&run), ("ignored", "no_active_action"));
    assert_eq!((posts(&lab), count(&lab, HEARTBEAT)), (0, 1));
    assert!(lab.node(&worker).unwrap().eligible);
    assert!(warnings(&run).is_empty(), "{:?}", warnings(&run));

    complete_by_hand(&lab, &worker);
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
}

#[tokio::test]
async fn an_instance_that_another_hook_holds_after_ours_is_left_alone() {
    let lab = lab().await;
    let worker = hooked(&lab, [HOOK, "backup"]);
    let lambda = deploy_with_sweep(&lab, &[HOOKED]);
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
    assert_eq!(became(&sweep(lambda).await), ("ignored", "no_active_action"));
    assert_eq!(completions(&lab, &worker), ["CONTINUE of nomad-drain-hook by instance id"]);
    assert_eq!(lab.aws.lifecycle_action(&worker.instance_id).unwrap().hook, "backup");
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn a_group_without_our_hook_is_not_looked_up_in_nomad() {
    let lab = lab().await;
    let worker = hooked(&lab, ["backup", "archive"]);
    let run = sweep(deploy_with_sweep(&lab, &[HOOKED])).await;
    assert_eq!(response(&run)["results"], json!([]));
    assert!(is_held(&lab, &worker));
    assert_eq!(nomad_calls(&lab), ["GET /v1/nodes"], "for nodes that may be given back");
}

#[tokio::test]
async fn two_hooks_of_ours_are_completed_one_after_the_other() {
    let lab = lab().await;
    let worker = hooked(&lab, [HOOK, "second"]);
    let lambda = deploy_with_sweep(&lab, &[HOOKED, ("LIFECYCLE_HOOK_NAME", "nomad-drain-hook,second")]);
    assert_eq!(counted(&sweep(lambda).await), (1, 1), "one instance is held, whatever it waits for");
    sweep(lambda).await;
    let done = completions(&lab, &worker);
    assert_eq!(done, ["CONTINUE of nomad-drain-hook by instance id", "CONTINUE of second by instance id"]);
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn an_event_of_a_hook_on_which_no_sweep_acts_is_drained_with_a_warning() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let mut message = message_of(&lab, &worker);
    message["LifecycleHookName"] = "another-hook".into();
    let run = invoke_with(deploy_with_sweep(&lab, &[]), &message).await;
    let warned = warnings(&run);
    assert!(
        warned.iter().any(|line| line.contains("another-hook") && line.contains("LIFECYCLE_HOOK_NAME")),
        "{warned:?}"
    );
}

#[tokio::test]
async fn a_hook_that_is_too_short_for_a_sweep_is_a_warning() {
    let lab = lab().await;
    heartbeat_timeout(&lab, 120);
    ending(&lab, 1);
    let run = sweep(deploy_with_sweep(&lab, &[])).await;
    let of_it = warnings(&run).into_iter().filter(|warning| warning.contains("HeartbeatTimeout")).count();
    assert_eq!(of_it, 1);
}
