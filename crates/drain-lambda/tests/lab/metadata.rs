//! `NotificationMetadata`: what a group's hook says of its own instances.

use drain_lab::aws::LifecycleHook;
use drain_lab::lab::Lab;
use drain_lab::models::Models;
use serde_json::{Value, json};

use crate::harness::*;

const MINUTE: i64 = 60_000_000_000;

/// Gives the hook of a lab's group metadata.
fn say(lab: &Lab, metadata: &str) {
    let hook = LifecycleHook { notification_metadata: Some(metadata.to_owned()), ..Models::hook(3600) };
    lab.aws.put_lifecycle_hook(GROUP, hook).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_says_how_its_instance_is_drained() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let lambda = deploy(&lab, &[]);
    let mut message = message_of(&lab, &worker);
    message["NotificationMetadata"] = r#"{"DRAIN_DEADLINE":"20m","team":"blue"}"#.into();
    assert_eq!(became(&invoke_with(lambda, &message).await), ("completed", "drained"));
    assert_eq!(deadlines(&lab), [20 * MINUTE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_an_event_of_eventbridge() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let lambda = deploy(&lab, &[]);
    let mut detail = message_of(&lab, &worker);
    detail["NotificationMetadata"] = r#"{"DRAIN_DEADLINE":"20m"}"#.into();
    let event = json!({
        "version": "0", "id": "1", "detail-type": "EC2 Instance-terminate Lifecycle Action", "source": "aws.autoscaling",
        "account": "123456789012", "time": jiff::Timestamp::now().to_string(), "region": "us-east-1", "resources": [],
        "detail": detail,
    });
    assert_eq!(became(&invoke_with(lambda, &event).await), ("completed", "drained"));
    assert_eq!(deadlines(&lab), [20 * MINUTE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_reads_it_from_the_hook() {
    let lab = lab().await;
    say(&lab, r#"{"DRAIN_DEADLINE":"20m"}"#);
    let worker = ending(&lab, 1);
    let lambda = deploy_with_sweep(&lab, &[("SWEEP_LINGER", "2s")]);
    sweep(lambda).await;
    assert_eq!(deadlines(&lab), [20 * MINUTE]);
    assert!(!is_held(&lab, &worker));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_sweep_what_the_hook_says_now_counts() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let mut message = message_of(&lab, &worker);
    message["NotificationMetadata"] = r#"{"DRAIN_DEADLINE":"20m"}"#.into();
    say(&lab, r#"{"DRAIN_DEADLINE":"30m"}"#);
    let lambda = deploy_with_sweep(&lab, &[]);
    invoke_with(lambda, &message).await;
    assert_eq!(deadlines(&lab), [30 * MINUTE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_one_warning_and_counts_for_nothing() {
    let lab = lab().await;
    say(&lab, r#"{"DRAIN_DEADLINE":"20m","KILL_GRACE":"soon","PAUSE":"on"}"#);
    let workers = [ending(&lab, 1), ending(&lab, 2)];
    let lambda = deploy_with_sweep(&lab, &[("SWEEP_LINGER", "2s"), ("DRAIN_DEADLINE", "40m")]);
    let run = sweep(lambda).await;
    assert_eq!(deadlines(&lab), [40 * MINUTE; 2]);
    assert!(workers.iter().all(|worker| !is_held(&lab, worker)));
    let told: Vec<&str> =
        warnings(&run).into_iter().filter(|line| line.contains("NotificationMetadata")).collect();
    let [told] = told[..] else { panic!("{told:?}") };
    for expected in [
        "of hook nomad-drain-hook of group workers is left out",
        "KILL_GRACE is \"soon\"",
        "PAUSE cannot be set for one hook",
    ] {
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_hold_anything() {
    let lab = lab().await;
    let lambda = deploy(&lab, &[]);
    for (number, metadata) in
        [json!("text"), json!(7), json!({"DRAIN_DEADLINE": "20m"}), Value::Null].into_iter().enumerate()
    {
        let worker = ending(&lab, u8::try_from(number).unwrap() + 1);
        let mut message = message_of(&lab, &worker);
        message["NotificationMetadata"] = metadata;
        assert_eq!(became(&invoke_with(lambda, &message).await), ("completed", "drained"));
    }
    assert_eq!(deadlines(&lab), [60 * MINUTE; 4]);
}
