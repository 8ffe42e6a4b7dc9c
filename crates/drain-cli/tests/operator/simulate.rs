//! `nomad-drain simulate`: what is sent arrives, and the function acts on it.

use std::process::Stdio;
use std::time::Duration;

use drain_lab::lab::{Route, TOPIC, Worker};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::function::function;
use crate::stage::{GROUP, Ran, Stage, bare};

/// The lab's queue.
const QUEUE_URL: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/nomad-drain";

/// A stage with an ending worker and the real function.
async fn stage(route: Route) -> (Stage, Worker) {
    let stage = Stage::set_up().await;
    stage.deliver_by(route);
    let worker = stage.ending(1);
    stage.deploy(function(&stage, &[]));
    (stage, worker)
}

/// Sends something.
async fn simulate(stage: &Stage, arguments: &[&str]) -> Ran {
    let arguments: Vec<&str> = ["simulate"].iter().chain(arguments).copied().collect();
    stage.run(&arguments).await
}

/// Tells the function on this machine of a termination, without any credentials.
async fn simulate_here(stage: &Stage, worker: &Worker) -> Ran {
    let emulator = stage.lambda().unwrap().emulate_locally().await.unwrap();
    let address = emulator.address().to_string();
    let terminate = ["simulate", "terminate", "--instance", &worker.instance_id];
    Ran::of(bare(&[&terminate[..], &["--to-runtime-api", &address]].concat())).await
}

/// Waits until the worker was released; fails after half a minute.
async fn released(stage: &Stage, worker: &Worker) {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(30);
    while stage.aws.lifecycle_action(&worker.instance_id).is_some() {
        assert!(
            tokio::time::Instant::now() < give_up,
            "{:?}",
            stage.lambda().map(drain_lab::lambda::Lambda::invocations)
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let entries = stage.journal.entries();
    assert!(entries.iter().any(|entry| entry.what == "POST /v1/node/:id/drain"), "no drain was posted");
}

#[tokio::test]
async fn a_function_is_invoked_by_name_or_arn_and_its_answer_printed() {
    let (stage, worker) = stage(Route::TopicToFunction).await;
    let arn = stage.lambda().unwrap().function_arn();
    let ran =
        simulate(&stage, &["terminate", "--instance", &worker.instance_id, "--to-function", &arn]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    let result = &ran.json()["results"][0];
    assert_eq!((&result["outcome"], &result["reason"]), (&json!("completed"), &json!("drained")), "{ran:?}");
    assert!(ran.err.contains("1 event sent to arn:"), "{ran:?}");
    released(&stage, &worker).await;

    // Again, in every envelope, with one document for machines: the instance is not held any more.
    for envelope in ["bare", "sns", "sqs", "sns-sqs", "eventbridge", "eventbridge-sqs"] {
        let ran = simulate(
            &stage,
            &[
                "terminate",
                "--instance",
                &worker.instance_id,
                "--envelope",
                envelope,
                "--to-function",
                "nomad-drain",
                "--json",
            ],
        )
        .await;
        assert_eq!(ran.status, 0, "{envelope}: {ran:?}");
        let sent = ran.json();
        assert_eq!((&sent["events"], &sent["failed"]), (&json!(1), &json!(false)), "{envelope}: {ran:?}");
        let answer = &sent["answers"][0];
        let expected = if envelope.ends_with("sqs") {
            *answer == json!({"batchItemFailures": []})
        } else {
            answer["results"][0]["instance_id"] == worker.instance_id.as_str()
        };
        assert!(expected, "{envelope}: {answer}");
    }
}

#[tokio::test]
async fn a_function_that_fails_is_status_1_and_one_that_is_not_there_status_3() {
    let (stage, worker) = stage(Route::TopicToFunction).await;
    stage.aws.delete_parameter(drain_lab::lab::TOKEN_PARAMETER);
    let terminate = ["terminate", "--instance", &worker.instance_id, "--to-function"];
    let to = |name: &'static str| [&terminate[..], &[name]].concat();
    let ran = simulate(&stage, &to("nomad-drain")).await;
    assert_eq!((ran.status, &ran.json()["errorType"]), (1, &json!("TokenParameterNotFound")), "{ran:?}");
    assert!(ran.err.contains("the function failed"), "{ran:?}");
    let ran = simulate(&stage, &to("other")).await;
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.err.contains("ResourceNotFoundException") && ran.err.contains("other"), "{ran:?}");
}

#[tokio::test]
async fn lambda_queues_what_nobody_waits_for() {
    let (stage, worker) = stage(Route::TopicToFunction).await;
    let ran = simulate(
        &stage,
        &["terminate", "--instance", &worker.instance_id, "--to-function", "nomad-drain", "--async"],
    )
    .await;
    assert_eq!((ran.status, ran.out.as_str()), (0, "1 event sent to nomad-drain\n"), "{ran:?}");
    released(&stage, &worker).await;
}

#[tokio::test]
async fn a_queue_brings_it_to_the_function() {
    for envelope in ["sqs", "sns-sqs", "eventbridge-sqs"] {
        let (stage, worker) = stage(Route::HookToQueue).await;
        let ran = simulate(
            &stage,
            &[
                "terminate",
                "--instance",
                &worker.instance_id,
                "--envelope",
                envelope,
                "--to-queue",
                QUEUE_URL,
            ],
        )
        .await;
        assert_eq!(ran.status, 0, "{envelope}: {ran:?}");
        released(&stage, &worker).await;
    }
}

#[tokio::test]
async fn more_than_ten_messages_go_to_a_queue_in_several_calls() {
    let stage = Stage::set_up().await;
    stage.deliver_by(Route::HookToQueue);
    let ids: Vec<String> = (0..23).map(|number| format!("i-{number:017x}")).collect();
    let mut arguments = vec!["spot-interruption", "--to-queue", QUEUE_URL];
    arguments.extend(ids.iter().flat_map(|id| ["--instance", id]));
    let ran = simulate(&stage, &arguments).await;
    assert_eq!((ran.status, stage.queue().unwrap().visible()), (0, 23), "{ran:?}");
}

#[tokio::test]
async fn a_topic_brings_it_to_the_function() {
    for route in [Route::TopicToFunction, Route::TopicToQueue, Route::TopicToQueueRaw] {
        let (stage, worker) = stage(route).await;
        let ran =
            simulate(&stage, &["terminate", "--instance", &worker.instance_id, "--to-topic", TOPIC]).await;
        assert_eq!(ran.status, 0, "{route:?}: {ran:?}");
        released(&stage, &worker).await;
    }
}

#[tokio::test]
async fn a_function_on_this_machine_needs_no_credentials() {
    let (stage, worker) = stage(Route::TopicToFunction).await;
    let ran = simulate_here(&stage, &worker).await;
    assert_eq!((ran.status, &ran.json()["results"][0]["reason"]), (0, &json!("drained")), "{ran:?}");
}

#[tokio::test]
async fn a_function_on_this_machine_that_fails_is_status_1() {
    let (stage, worker) = stage(Route::TopicToFunction).await;
    stage.aws.delete_parameter(drain_lab::lab::TOKEN_PARAMETER);
    let ran = simulate_here(&stage, &worker).await;
    assert_eq!((ran.status, &ran.json()["errorType"]), (1, &json!("TokenParameterNotFound")), "{ran:?}");
}

#[tokio::test]
async fn what_is_printed_can_be_replayed() {
    let printed =
        Ran::of(bare(&["simulate", "return-to-warm-pool", "--envelope", "sqs", "--count", "2"])).await;
    assert_eq!((printed.status, printed.err.as_str()), (0, ""), "{printed:?}");
    assert_eq!(printed.out.lines().count(), 1, "a batch is one document: {printed:?}");
    let mut replay = bare(&["replay", "-"]);
    let mut child =
        replay.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(printed.out.as_bytes()).await.unwrap();
    let ran = Ran::from(child.wait_with_output().await.unwrap());
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.starts_with("An event of 2 parts."), "{ran:?}");
    assert_eq!(
        ran.out.matches("of workers, held by nomad-drain-hook: it goes (warm-pool)").count(),
        2,
        "{ran:?}"
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let (stage, worker) = stage(Route::TopicToFunction).await;
    for (arguments, complaint) in [
        (&["terminate", "--to-function", "nomad-drain"][..], "name the instance that the event is about"),
        (&["sweep", "--envelope", "sqs"], "a sweep comes from a schedule or by itself"),
        (
            &["test-notification", "--envelope", "eventbridge"],
            "EventBridge does not hear of test notifications",
        ),
        (
            &["terminate", "--instance", &worker.instance_id, "--to-topic", TOPIC, "--envelope", "bare"],
            "--envelope sns",
        ),
        (
            &["terminate", "--instance", &worker.instance_id, "--to-topic", "ops"],
            "is not the ARN of an SNS topic",
        ),
    ] {
        let ran = simulate(&stage, arguments).await;
        assert!(ran.status == 3 && ran.err.contains(complaint), "{arguments:?}: {ran:?}");
    }
    for arguments in [
        &["terminate", "--instance", "i-1"][..],
        &["explode"],
        &["terminate", "--to-topic", TOPIC, "--to-function", "x"],
        &["terminate", "--async"],
    ] {
        assert_eq!(simulate(&stage, arguments).await.status, 2, "{arguments:?}");
    }
    assert!(stage.lambda().unwrap().invocations().is_empty());
    assert_eq!(stage.aws.group(GROUP).map(|_| Value::Null), Some(Value::Null));
}
