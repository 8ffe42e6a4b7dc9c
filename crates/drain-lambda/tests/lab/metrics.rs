//! Metrics and log lines of the real function.

use std::time::Duration;

use drain_lab::faults::Fault;
use drain_lab::lambda::InvocationRecord;
use drain_lab::nomad::{JobSpec, NodeStatus};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{
    GROUP, became, deploy, deploy_with_sweep, ending, failure, heartbeat_timeout, invoke, invoke_with, lab,
    lab_since, message, message_of, slow_service, sweep, terminate,
};

/// The lines of metrics that an invocation wrote.
fn lines(run: &InvocationRecord) -> Vec<Value> {
    let lines = run.log.iter().filter_map(|line| serde_json::from_str::<Value>(&line.text).ok());
    lines.filter(|line| line.get("_aws").is_some()).collect()
}

/// The one line about the invocation as a whole.
#[track_caller]
fn whole(run: &InvocationRecord) -> Value {
    let all = lines(run);
    let whole: Vec<&Value> = all.iter().filter(|line| line.get("Invocations").is_some()).collect();
    let [one] = whole[..] else { panic!("{} lines: {all:?}", whole.len()) };
    one.clone()
}

#[tokio::test]
async fn a_drain_is_told_from_its_event_to_its_end() {
    let lab = lab().await;
    let lambda = deploy(&lab, &[]);
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.nomad.add_job(slow_service(Duration::from_millis(600)));
    terminate(&lab, &worker);
    let event = message_of(&lab, &worker);
    let run = invoke_with(lambda, &event).await;
    assert_eq!(became(&run), ("completed", "drained"));
    let line = whole(&run);
    for name in ["DrainsStarted", "DrainsCompleted", "ColdStarts", "Invocations"] {
        assert_eq!(line[name], 1, "{name}");
    }
    assert_eq!((&line["Event"], &line["Result"]), (&json!("terminate"), &json!("succeeded")));
    for name in ["EventToDrain", "TimeToEmpty", "HeldAfterEmpty"] {
        assert!(line[name].as_f64().unwrap() >= 0.0, "{name}: {line}");
    }
    for (calls, times) in [("NomadCalls", "NomadCallTime"), ("AwsCalls", "AwsCallTime")] {
        let several = line[times].as_array().map_or(1, Vec::len);
        assert_eq!(line[calls].as_u64().unwrap(), several as u64, "{line}");
    }
    for never in ["AllocationsForced", "DrainsTimedOut", "DrainsAdopted", "Retries", "TokenRefused"] {
        assert!(line.get(never).is_none(), "{never}: {line}");
    }
    let again = whole(&invoke_with(lambda, &event).await);
    assert!(again.get("ColdStarts").is_none() && again.get("DrainsStarted").is_none(), "{again}");
}

#[tokio::test]
async fn what_the_deadline_stops_is_counted() {
    let lab = lab().await;
    let lambda = deploy(&lab, &[("DRAIN_DEADLINE", "1s"), ("KILL_GRACE", "10s"), ("MAX_HOLD", "1h")]);
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.nomad.add_job(JobSpec::batch("long", 2).stop_takes(Duration::from_millis(200)));
    lab.nomad.add_job(JobSpec::system("logs").stop_takes(Duration::ZERO));
    terminate(&lab, &worker);
    let run = invoke(&lab, lambda, &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert_eq!(whole(&run)["AllocationsForced"], 2, "system jobs leave last in any case");
}

#[tokio::test]
async fn a_sweep_tells_who_is_held_for_how_long_and_who_is_late() {
    let lab = lab_since(Duration::from_mins(10)).await;
    heartbeat_timeout(&lab, 300);
    let worker = ending(&lab, 1);
    lab.nomad.set_unreachable(true);
    let lambda =
        deploy_with_sweep(&lab, &[("DRAIN_DEADLINE", "8m"), ("KILL_GRACE", "1m"), ("MAX_HOLD", "2h")]);
    let run = sweep(lambda).await;
    assert_eq!(became(&run), ("held", "nomad_unreachable"));
    let line = whole(&run);
    for (name, value) in
        [("WatchedGroups", 1), ("HeldInstances", 1), ("HeldPastDeadline", 1), ("GroupsMostlyDown", 0)]
    {
        assert_eq!(line[name], value, "{name}: {line}");
    }
    assert_eq!((&line["Event"], &line["HeartbeatsSent"]), (&json!("sweep"), &json!(1)));
    let oldest = line["OldestHeld"].as_f64().unwrap();
    assert!((600.0..700.0).contains(&oldest), "{oldest}");
    assert!(line["Retries"].as_u64().unwrap() > 0, "{line}");
    assert_eq!(lab.node(&worker).unwrap().last_drain, None);
}

#[tokio::test]
async fn who_is_held_within_the_deadline_is_not_late() {
    let lab = lab().await;
    let lambda = deploy_with_sweep(&lab, &[]);
    ending(&lab, 1);
    lab.nomad.add_job(slow_service(Duration::from_hours(1)));
    let line = whole(&sweep(lambda).await);
    assert_eq!((&line["HeldInstances"], &line["HeldPastDeadline"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn groups_whose_nodes_are_down_are_counted_and_named() {
    let lab = lab().await;
    let lambda = deploy_with_sweep(&lab, &[]);
    let workers: Vec<_> = (1..=3).map(|number| lab.add_worker(GROUP, number).unwrap()).collect();
    let asked = |run: &InvocationRecord| whole(run)["GroupsMostlyDown"].clone();
    assert_eq!(asked(&sweep(lambda).await), 0);
    lab.nomad.set_status(&workers[0].node_id, NodeStatus::Down).unwrap();
    assert_eq!(asked(&sweep(lambda).await), 0, "one of three");
    lab.nomad.set_status(&workers[1].node_id, NodeStatus::Down).unwrap();
    let run = sweep(lambda).await;
    assert_eq!(asked(&run), 1, "two of three");
    assert!(
        crate::harness::warnings(&run)
            .iter()
            .any(|line| line.contains("2 of the 3 nodes of group workers are down"))
    );
}

#[tokio::test]
async fn a_token_that_is_refused_for_good_is_counted() {
    let lab = lab().await;
    let lambda = deploy(&lab, &[("NOMAD_TOKEN", "00000000-1111-2222-3333-444444444444")]);
    let worker = ending(&lab, 1);
    let run = invoke(&lab, lambda, &worker).await;
    assert_eq!(failure(&run).0, "NomadTokenRefused");
    let line = whole(&run);
    assert_eq!((&line["TokenRefused"], &line["Result"]), (&json!(1), &json!("failed")));
}

#[tokio::test]
async fn a_deployment_has_metrics_of_its_own() {
    let lab = lab().await;
    let lambda = deploy(&lab, &[("METRICS_NAMESPACE", "NomadDrain/blue")]);
    let run = invoke(&lab, lambda, &ending(&lab, 1)).await;
    for line in lines(&run) {
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            assert_eq!(directive["Namespace"], "NomadDrain/blue");
        }
    }
    let lab = crate::harness::lab().await;
    let wrong = deploy(&lab, &[("METRICS_NAMESPACE", "AWS/Lambda")]);
    let run = invoke_with(wrong, &json!({"action": "sweep"})).await;
    assert_eq!(failure(&run).0, "ConfigurationError");
    assert_eq!(whole(&run)["Result"], "failed", "what cannot be configured is counted too");
}

/// Every line of a log that is about one instance, as JSON.
async fn log(level: &str) -> Vec<Value> {
    let lab = lab().await;
    let lambda = deploy(
        &lab,
        &[("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", level), ("DRAIN_DEADLINE", "1h")],
    );
    let worker = lab.add_worker(GROUP, 1).unwrap();
    terminate(&lab, &worker);
    lab.faults.inject("CompleteLifecycleAction", &Fault::Throttled, 1);
    let run = invoke(&lab, lambda, &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    let lines = run.log.iter().filter_map(|line| serde_json::from_str::<Value>(&line.text).ok());
    let mine: Vec<Value> =
        lines.filter(|line| line["spans"][1]["instance_id"] == worker.instance_id).collect();
    let named = |line: &&Value| line["spans"][1]["node_id"] == worker.node_id;
    assert!(mine.iter().filter(named).count() > 0, "{mine:#?}");
    mine
}

#[tokio::test]
async fn each_line_says_whose_it_is() {
    for line in log("INFO").await {
        let [invocation, drain] = [&line["spans"][0], &line["spans"][1]];
        assert!(invocation["request_id"].is_string() && invocation["trace_id"].is_string(), "{line}");
        assert_eq!(
            (&drain["auto_scaling_group"], &drain["lifecycle_hook"]),
            (&json!(GROUP), &json!("nomad-drain-hook"))
        );
    }
}

#[tokio::test]
async fn warnings_say_it_too_where_nothing_else_is_logged() {
    let lines = log("WARN").await;
    assert!(lines.iter().all(|line| line["level"] == "WARN"), "{lines:?}");
}

#[tokio::test]
async fn a_call_to_aws_is_part_of_the_invocations_trace() {
    let lab = lab().await;
    let run = invoke(&lab, deploy(&lab, &[]), &ending(&lab, 1)).await;
    assert_eq!(became(&run), ("completed", "drained"));
    let traces = lab.aws.traces();
    assert!(!traces.is_empty() && traces.iter().all(|trace| trace.starts_with("Root=1-")), "{traces:?}");
}

#[tokio::test]
async fn an_event_that_came_late_is_seen_in_its_metric() {
    let lab = lab().await;
    let lambda = deploy(&lab, &[]);
    let worker = ending(&lab, 1);
    let mut event = message(&worker.instance_id);
    event["Time"] = format!("{:.3}", Timestamp::now() - SignedDuration::from_secs(30)).into();
    let run = invoke_with(lambda, &event).await;
    let after = whole(&run)["EventToDrain"].as_f64().unwrap();
    assert!((30_000.0..90_000.0).contains(&after), "{after}");
}
