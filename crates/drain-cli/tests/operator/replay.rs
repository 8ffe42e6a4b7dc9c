//! `nomad-drain replay`: what the real function has logged is decided again.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::function::{function, log};
use crate::stage::{Ran, Stage, bare};

/// A decision that was recorded: the node of a held instance is drained, with an hour to end in.
const CASE: &str = include_str!("../../../drain-core/tests/replays/drain_posted-i-120d43ca60abacb44.json");

/// Replays a text, with these arguments besides.
async fn replay(text: &str, arguments: &[&str]) -> Ran {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("input");
    std::fs::write(&file, text).unwrap();
    let all: Vec<&str> = ["replay", file.to_str().unwrap()].iter().chain(arguments).copied().collect();
    Ran::of(bare(&all)).await
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_log_of_a_drain_is_replayed_and_makes_test_cases() {
    for format in ["Text", "JSON"] {
        let stage = Stage::set_up().await;
        let worker = stage.ending(1);
        let lambda = stage.deploy(function(
            &stage,
            &[("AWS_LAMBDA_LOG_LEVEL", "DEBUG"), ("AWS_LAMBDA_LOG_FORMAT", format)],
        ));
        let action = stage.aws.lifecycle_action(&worker.instance_id).unwrap();
        let event = json!({
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "EC2InstanceId": worker.instance_id,
            "AutoScalingGroupName": action.group, "LifecycleHookName": action.hook,
            "LifecycleActionToken": action.token, "Time": format!("{:.3}", action.started_at),
        });
        let run = lambda.invoke(&event).await;
        let log = log(&[run]);
        assert!(!log.contains(&action.token), "whoever has the token can complete the action");
        let folder = TempDir::new().unwrap();
        let to = folder.path().to_str().unwrap();
        let ran = replay(&log, &["--json", "--fixture", to]).await;
        assert_eq!(ran.status, 0, "{ran:?}");
        let replayed = ran.json();
        let decisions = replayed["decisions"].as_array().unwrap();
        let reasons: Vec<&str> = decisions.iter().map(|one| one["reason"].as_str().unwrap()).collect();
        assert_eq!((reasons[0], reasons[reasons.len() - 1]), ("drain_posted", "drained"), "{ran:?}");
        assert!(decisions.iter().all(|one| one["differs"] == json!(false)), "{ran:?}");
        let written = files(folder.path());
        assert_eq!(written.len(), decisions.len(), "{written:?}");
        assert!(written.contains(&format!("drained-{}.json", worker.instance_id)), "{written:?}");

        // A test case is a record like any other, and is not overwritten.
        let first = folder.path().join(&written[0]);
        let again = Ran::of(bare(&["replay", first.to_str().unwrap(), "--fixture", to])).await;
        assert!(again.status == 3 && again.err.contains("no test case is overwritten"), "{again:?}");
        assert_eq!(files(folder.path()), written);
    }
}

#[tokio::test]
async fn each_step_is_told_with_its_time_and_its_reason() {
    let ran = replay(CASE, &[]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    for words in [
        "2026-11-29T14:46:10.565Z  i-120d43ca60abacb44 of workers, held by nomad-drain-hook: it goes (terminate)",
        "seen      known by the hook's own message; held since 2026-11-29T14:46:10Z",
        "ready, takes work, no drain",
        "decided   drain node b7e1e158-6721-6173-7b2b-2203a8a4fd91 within 1h: drain_posted",
        "because   node worker-1 of i-120d43ca60abacb44 drains; its allocations have 1h to leave",
        "1 decision, the same as recorded",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
}

#[tokio::test]
async fn a_decision_that_is_not_what_was_recorded_is_status_1() {
    let mut record: Value = serde_json::from_str(CASE).unwrap();
    record["decision"] = json!({"finish": "drained"});
    let ran = replay(&record.to_string(), &[]).await;
    assert_eq!(ran.status, 1, "{ran:?}");
    for words in ["recorded  nothing more: drained", "NOW       drain node", "The rules have changed since"] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
}

#[tokio::test]
async fn what_would_have_happened_is_answered_and_nothing_is_wrong_with_that() {
    let ran = replay(CASE, &["--policy", "DRAIN_DEADLINE=30m"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    for words in ["Decided with DRAIN_DEADLINE=30m.", "within 1h: drain_posted", "within 30m: drain_posted"] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let ran = replay(CASE, &["--policy", "DRY_RUN=on", "--policy", "SWEEP=on", "--json"]).await;
    let step = &ran.json()["decisions"][0];
    assert_eq!(
        (ran.status, &step["reason"], &step["differs"]),
        (0, &json!("dry_run"), &json!(true)),
        "{ran:?}"
    );
    let ran = replay(CASE, &["--at", "2027-01-01T00:00:00Z"]).await;
    assert!(ran.status == 0 && ran.out.starts_with("Decided as of 2027-01-01T00:00:00Z."), "{ran:?}");
    for wrong in ["DRAIN_DEADLINE", "DRAIN_DEADLINE=soon", "NOMAD_ADDR=http://x"] {
        assert_eq!(replay(CASE, &["--policy", wrong]).await.status, 2, "{wrong}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_told_with_its_place_and_the_rest_is_replayed() {
    let record = serde_json::from_str::<Value>(CASE).unwrap().to_string();
    let log = format!("decided record={record}\ndecided record={}\n", &record[..200]);
    let ran = replay(&log, &[]).await;
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.out.contains("1 decision, the same as recorded"), "{ran:?}");
    assert!(ran.err.contains("line 2: it begins at column 9, and the line is cut off or changed"), "{ran:?}");
    let ran = replay("Nov 29 03:00:00 host app: hello\n", &[]).await;
    assert!(
        ran.status == 3 && ran.err.contains("it has 1 line, and none of them holds a record. What is taken"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn an_event_is_peeled_with_the_functions_settings_and_nothing_is_asked() {
    let event = json!({
        "version": "0", "source": "aws.ec2", "detail-type": "EC2 Instance Rebalance Recommendation",
        "time": "2026-11-29T03:00:00Z", "detail": {"instance-id": "i-0123456789abcdef0"},
    })
    .to_string();
    let ran = replay(&event, &[]).await;
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.contains("ignored   i-0123456789abcdef0, rebalance_ignored"), "{ran:?}");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("event.json");
    std::fs::write(&file, &event).unwrap();
    let mut command = bare(&["replay", file.to_str().unwrap(), "--json"]);
    command.env("ON_REBALANCE", "drain").env("SWEEP", "on");
    let ran = Ran::of(command).await;
    let target = &ran.json()["parts"][0]["messages"][0]["target"];
    assert_eq!(
        (&target["instance"], &target["errand"], &target["origin"]),
        (&json!("i-0123456789abcdef0"), &json!({"drain": "rebalance"}), &json!("broadcast")),
        "{ran:?}"
    );
    assert!(target["next"][0].as_str().unwrap().starts_with("Auto Scaling: what state"), "{ran:?}");

    let ran = replay(&event, &["--fixture", "x.json"]).await;
    assert!(ran.status == 3 && ran.err.contains("a test case needs what was seen"), "{ran:?}");
    let ran = replay(r#"{"weather":"fine"}"#, &[]).await;
    assert!(ran.status == 3 && ran.err.contains("its fields are: \"weather\""), "{ran:?}");
}
