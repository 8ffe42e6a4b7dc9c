//! `nomad-drain status`: what is held, and why.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use drain_lab::journal::System;
use drain_lab::nomad::{Access, Policy};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::stage::{GROUP, Ran, Stage};

const POST: &str = "POST /v1/node/:id/drain";

/// One sweep that does not linger.
async fn sweep(stage: &Stage) {
    let ran = stage.run(&["sweep", "--once", "--every", "1s"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
}

/// The one instance that is shown.
#[track_caller]
fn row(view: &Value) -> &Value {
    assert_eq!(view["held"], 1, "{view}");
    &view["instances"][0]
}

#[tokio::test]
async fn what_a_slow_job_keeps_waiting_is_shown_with_everything_about_it() {
    let stage = Stage::set_up().await;
    let worker = stage.busy().await;
    sweep(&stage).await;

    let ran = stage.run(&["status", "--json"]).await;

    assert_eq!(ran.status, 0, "{ran:?}");
    let view = ran.json();
    let keys: BTreeSet<&str> = view.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["as_of", "groups", "held", "instances", "need_attention", "problems"];
    assert_eq!(keys, BTreeSet::from(expected), "scripts read them");
    let row = row(&view);
    let keys: BTreeSet<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "allocations_left",
        "attention",
        "auto_scaling_group",
        "deadline",
        "decision",
        "drains_since",
        "held_for_s",
        "held_since",
        "instance_id",
        "lifecycle_hooks",
        "next_heartbeat",
        "nodes",
        "nomad_cluster",
        "reason",
        "state",
        "why",
    ];
    assert_eq!(keys, BTreeSet::from(expected), "scripts read them");
    assert_eq!(
        (&row["instance_id"], &row["state"]),
        (&worker.instance_id.into(), &"Terminating:Wait".into())
    );
    assert_eq!(
        (&row["auto_scaling_group"], &row["lifecycle_hooks"][0]),
        (&GROUP.into(), &"nomad-drain-hook".into())
    );
    assert_eq!(row["allocations_left"], serde_json::json!({"web": 1}));
    assert_eq!((&row["decision"], &row["reason"]), (&"wait".into(), &"allocations_running".into()));
    assert_eq!(row["attention"], "none");
    assert_eq!((&row["nodes"][0]["name"], &row["nodes"][0]["eligible"]), (&"worker-1".into(), &false.into()));
    for moment in ["held_since", "drains_since", "deadline", "next_heartbeat"] {
        assert!(row[moment].is_string(), "{moment}: {row}");
    }

    let text = stage.run(&["status"]).await;
    assert_eq!((text.status, text.err.as_str()), (0, ""), "{text:?}");
    for words in [
        "1 instance is held. As of ",
        "1 group is watched: workers.",
        "workers: 1 held",
        "Terminating:Wait",
        "worker-1",
        "1: web 1",
        "waiting: 1 allocation still runs: web (default) on node worker-1",
    ] {
        assert!(text.out.contains(words), "{words}: {}", text.out);
    }
}

#[tokio::test]
async fn what_a_lost_event_has_left_would_be_done_by_the_next_sweep() {
    let stage = Stage::set_up().await;
    stage.ending(1);

    let ran = stage.run(&["status", "--json"]).await;

    assert_eq!(ran.status, 0, "{ran:?}");
    let view = ran.json();
    assert_eq!((&row(&view)["decision"], &row(&view)["drains_since"]), (&"drain".into(), &Value::Null));
    let text = stage.run(&["status"]).await.out;
    assert!(text.contains("next: node worker-1 of i-") && text.contains("would be drained"), "{text}");
    let calls = stage.journal.calls(System::Nomad);
    assert!(!calls.iter().any(|call| call == POST), "a look changes nothing: {calls:?}");
    let calls = stage.journal.calls(System::AutoScaling);
    assert!(calls.iter().all(|call| call.starts_with("Describe")), "a look changes nothing: {calls:?}");
}

#[tokio::test]
async fn an_instance_without_a_node_is_shown_and_waited_for() {
    let stage = Stage::set_up().await;
    let instance = stage.aws.add_instance(GROUP, Some(Ipv4Addr::new(127, 0, 1, 77))).unwrap();
    stage.aws.terminate_instance(&instance).unwrap();

    let ran = stage.run(&["status", "--json"]).await;

    assert_eq!(ran.status, 0, "{ran:?}");
    let view = ran.json();
    assert_eq!(
        (&row(&view)["reason"], &row(&view)["nodes"]),
        (&"waiting_for_node".into(), &serde_json::json!([]))
    );
    let text = stage.run(&["status"]).await.out;
    assert!(text.contains("none") && text.contains("waiting: no node has joined"), "{text}");
}

#[tokio::test]
async fn a_paused_group_is_a_warning_and_its_work_is_shown_all_the_same() {
    let stage = Stage::set_up().await;
    stage.busy().await;
    stage.aws.set_tag(GROUP, "nomad-drain-hold", Some("on")).unwrap();

    let ran = stage.run(&["status", "--json"]).await;

    assert_eq!(ran.status, 1, "{ran:?}");
    let view = ran.json();
    let row = row(&view);
    assert_eq!((&row["reason"], &row["attention"]), (&"paused".into(), &"warning".into()));
    assert_eq!((&row["nodes"][0]["name"], &row["allocations_left"]["web"]), (&"worker-1".into(), &1.into()));
    let text = stage.run(&["status"]).await.out;
    assert!(text.contains("1 needs attention") && text.contains("warning: i-"), "{text}");
}

#[tokio::test]
async fn a_token_that_cannot_see_everything_is_an_error_with_the_statement_that_helps() {
    let stage = Stage::set_up().await;
    stage.ending(1);
    stage.nomad.add_policy("nomad-drain", Policy::default().node(Access::Write).agent(Access::Read));
    sweep(&stage).await;

    let ran = stage.run(&["status"]).await;

    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.out.contains("error: the Nomad token may not read jobs in every namespace"), "{ran:?}");
    assert!(ran.out.contains(r#"namespace "*" { capabilities = ["read-job"] }"#), "{ran:?}");
}

#[tokio::test]
async fn when_nomad_is_away_the_instances_are_shown_and_the_status_is_3() {
    let stage = Stage::set_up().await;
    let worker = stage.ending(1);
    stage.nomad.set_unreachable(true);

    let ran = stage.run(&["status"]).await;

    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.out.contains(&worker.instance_id), "{ran:?}");
    assert!(ran.out.contains("warning: no node could be looked up: "), "{ran:?}");
    assert!(ran.out.contains("error: nobody can tell what runs on"), "{ran:?}");
    assert!(ran.err.contains("not everything could be seen"), "{ran:?}");
}

#[tokio::test]
async fn when_aws_refuses_the_question_the_status_is_3_and_says_what_is_missing() {
    let stage = Stage::set_up().await;
    stage.aws.deny("autoscaling:DescribeAutoScalingGroups");

    let ran = stage.run(&["status"]).await;

    assert_eq!((ran.status, ran.out.as_str()), (3, ""), "{ran:?}");
    assert!(ran.err.contains("autoscaling:DescribeAutoScalingGroups"), "{ran:?}");
}

#[tokio::test]
async fn where_nothing_is_held_it_says_so_and_which_groups_are_watched() {
    let stage = Stage::set_up().await;
    let ran = stage.run(&["status"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.starts_with("No instance is held. As of "), "{ran:?}");
    assert!(ran.out.contains("1 group is watched: workers."), "{ran:?}");

    let ran = stage.run(&["status", "--group", "wokers"]).await;
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.out.contains("names wokers, and there is no group of that name"), "{ran:?}");
    assert!(ran.out.contains("No group is watched."), "{ran:?}");
}

#[tokio::test]
async fn rows_are_sorted_by_group_and_those_come_first_that_are_held_for_longest() {
    let stage = Stage::set_up().await;
    for number in 1..=4 {
        stage.ending(number);
    }
    stage.add_group("batch", 3600).unwrap();
    let last = stage.add_worker("batch", 9).unwrap();
    stage.aws.terminate_instance(&last.instance_id).unwrap();

    let ran = stage.run(&["status", "--json", "--group", "workers", "batch"]).await;

    let view = ran.json();
    assert_eq!(view["groups"], serde_json::json!(["batch", "workers"]));
    let order = view["instances"].as_array().unwrap().iter();
    let order: Vec<(&str, &str)> = order
        .map(|row| (row["auto_scaling_group"].as_str().unwrap(), row["held_since"].as_str().unwrap()))
        .collect();
    assert_eq!((order.len(), order[0].0), (5, "batch"), "{order:?}");
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn a_hundred_instances_cost_two_calls_each_and_few_for_all() {
    let stage = Stage::set_up().await;
    for worker in stage.add_workers(GROUP, 100).unwrap() {
        stage.aws.terminate_instance(&worker.instance_id).unwrap();
    }

    let ran = stage.run(&["status", "--json", "--limit", "3"]).await;

    assert_eq!(ran.status, 0, "{ran:?}");
    let view = ran.json();
    assert_eq!((&view["held"], view["instances"].as_array().unwrap().len()), (&100.into(), 3));
    // Of each its node and its allocations; for all one list of nodes, and what the token sees.
    let nomad = stage.journal.calls(System::Nomad).len();
    assert!((200..=206).contains(&nomad), "{nomad} calls to Nomad");
    let aws = [System::AutoScaling, System::Ec2, System::Ssm].map(|system| stage.journal.calls(system).len());
    assert!(aws.iter().sum::<usize>() <= 6, "{aws:?} calls to Auto Scaling, EC2 and Parameter Store");
}

#[tokio::test]
async fn without_a_terminal_each_look_is_a_line_and_a_failed_one_does_not_end_it() {
    let stage = Stage::set_up().await;
    let mut child = stage.start(&["status", "--watch", "--every", "1s", "--json"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await;
        serde_json::from_str::<Value>(&line.unwrap().unwrap().unwrap()).unwrap()
    };
    assert_eq!(next().await["held"], 0);
    stage.aws.deny("autoscaling:DescribeAutoScalingGroups");
    let mut failed = Value::Null;
    // One look may have begun before; none takes longer than the next few.
    for _ in 0..5 {
        failed = next().await;
        if failed.get("error").is_some() {
            break;
        }
    }
    assert!(failed.get("error").is_some(), "the failure is not told: {failed}");
    assert!(failed["error"].as_str().unwrap().contains("DescribeAutoScalingGroups"), "{failed}");
    stage.aws.allow("autoscaling:DescribeAutoScalingGroups");
    stage.ending(1);
    let mut held = Value::Null;
    for _ in 0..5 {
        held = next().await["held"].clone();
        if held == 1 {
            break;
        }
    }
    assert_eq!(held, 1, "the next looks go on");
    assert_eq!(stage.interrupt(child).await.status, 0);
}

#[tokio::test]
async fn on_a_terminal_it_shows_in_place_and_gives_the_screen_back() {
    let stage = Stage::set_up().await;
    let worker = stage.ending(1);
    let Some(mut child) = stage.on_a_terminal("xterm", &["status", "--watch", "--every", "1s"]) else {
        println!("skipped: there is no program `script`, which makes a terminal");
        return;
    };
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = Vec::new();
    let in_time = Duration::from_mins(1);
    let shown = async {
        let mut some = [0; 4096];
        while !String::from_utf8_lossy(&seen).contains(&worker.instance_id) {
            let read = screen.read(&mut some).await.unwrap();
            assert!(read > 0, "it has ended: {}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&some[..read]);
        }
    };
    tokio::time::timeout(in_time, shown).await.unwrap();
    // Ctrl-C.
    keys.write_all(b"\x03").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(in_time, screen.read_to_end(&mut rest)).await.unwrap().unwrap();
    let status = tokio::time::timeout(in_time, child.wait()).await.unwrap().unwrap();

    assert_eq!(status.code(), Some(0));
    let (seen, rest) =
        (String::from_utf8_lossy(&seen).into_owned(), String::from_utf8_lossy(&rest).into_owned());
    assert!(seen.contains("\x1b[?1049h") && seen.contains("\x1b[?25l"), "no screen of its own: {seen:?}");
    let (_, after) = rest.split_once("\x1b[?1049l").unwrap_or_else(|| panic!("not given back: {rest:?}"));
    assert!(rest.contains("\x1b[?25h") && rest.contains("\x1b[?7h"), "no cursor: {rest:?}");
    assert!(after.contains(&worker.instance_id), "what was seen last stays: {after:?}");
    assert!(!after.contains("\x1b[?"), "{after:?}");
}

#[tokio::test]
async fn times_between_looks_are_at_least_a_second_and_mean_watching() {
    let refused = [["status", "--watch", "--every", "10ms"].as_slice(), &["status", "--every", "5s"]];
    for arguments in refused {
        let ran = Ran::of(crate::stage::bare(arguments)).await;
        assert_eq!(ran.status, 2, "{ran:?}");
    }
}
