//! The Lambda service with a real process: `examples/echo_runtime.rs`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Function, InvocationRecord, InvocationType, Lambda, Outcome, Stream};
use crate::aws::Account;
use crate::clock::Clock;
use crate::journal::Journal;

struct Scene {
    clock: Clock,
    journal: Journal,
    lambda: Lambda,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Function)) -> Self {
        let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
        let journal = Journal::new(clock.clone());
        let mut function = Function::new("drain", echo_runtime());
        change(&mut function);
        let lambda = Lambda::new(function, Account::default(), clock.clone(), journal.clone());
        Self { clock, journal, lambda }
    }

    async fn answer(&self, event: Value) -> Value {
        self.lambda.invoke(&event).await.outcome.response().expect("a response").clone()
    }

    fn history(&self) -> Vec<String> {
        self.journal.entries().into_iter().map(|entry| format!("{} {}", entry.what, entry.detail)).collect()
    }
}

/// `cargo test` builds the examples, beside the tests.
pub(crate) fn echo_runtime() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let path = path.join("examples/echo_runtime");
    assert!(path.exists(), "{} is missing: cargo build --examples", path.display());
    path
}

fn exists(process: &Value) -> bool {
    Path::new(&format!("/proc/{process}/stat")).exists()
}

/// Waits until a process is gone: killed at once, but reaped by whoever is its parent then.
async fn gone(process: &Value) {
    while let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) {
        if stat.rsplit(')').next().unwrap().trim_start().starts_with('Z') {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn error(record: &InvocationRecord) -> (&str, &str) {
    let Outcome::Failed { error_type, payload } = &record.outcome else { panic!("{record:?}") };
    assert_eq!(payload["errorType"], **error_type);
    (error_type, payload["errorMessage"].as_str().unwrap())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_run_tells_what_it_has_used() {
    let scene = Scene::new();
    let first = scene.lambda.invoke(&json!({"do": "echo"})).await;
    let second = scene.lambda.invoke(&json!({"do": "echo"})).await;
    assert!(first.max_memory_used.unwrap() > 0 && second.max_memory_used >= first.max_memory_used);
    assert!(second.cpu_total_time < first.cpu_total_time, "{second:?} counts the start of the process");
    let ended = scene.lambda.invoke(&json!({"do": "exit"})).await;
    assert_eq!((ended.max_memory_used, ended.cpu_total_time), (None, None));
}

#[tokio::test]
async fn a_process_gets_the_event_and_its_answer_is_the_response() {
    let scene = Scene::with(|function| {
        function.env.insert("SWEEP".to_owned(), "on".to_owned());
    });
    let run = scene.lambda.invoke(&json!({"do": "echo", "x": [1, "zwei"]})).await;
    let answer = run.outcome.response().unwrap();
    assert_eq!(answer["event"], json!({"do": "echo", "x": [1, "zwei"]}));
    assert_eq!(answer["headers"]["lambda-runtime-aws-request-id"], *run.request_id);
    assert_eq!(answer["headers"]["lambda-runtime-invoked-function-arn"], *scene.lambda.function_arn());
    assert_eq!(answer["environment"]["SWEEP"], "on");
    assert_eq!(answer["environment"]["AWS_LAMBDA_FUNCTION_NAME"], "drain");
    assert_eq!(answer["environment"]["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "128");
    assert_eq!(answer["environment"]["AWS_SESSION_TOKEN"], *Account::default().session_token);
    assert_eq!(answer["environment"].get("CARGO_MANIFEST_DIR"), None);
    assert_eq!(scene.history(), ["invoked attempt 1", "succeeded "]);
}

#[tokio::test]
async fn the_deadline_is_the_time_out_from_now_in_real_time() {
    let scene = Scene::with(|function| function.timeout = Duration::from_mins(1));
    let before = jiff::Timestamp::now().as_millisecond();
    let answer = scene.answer(json!({"do": "echo"})).await;
    let deadline: i64 = answer["headers"]["lambda-runtime-deadline-ms"].as_str().unwrap().parse().unwrap();
    assert!((before + 60_000..=jiff::Timestamp::now().as_millisecond() + 60_000).contains(&deadline));
}

#[tokio::test]
async fn an_idle_environment_is_used_again() {
    let scene = Scene::new();
    let first = scene.lambda.invoke(&json!({"do": "echo"})).await;
    let second = scene.lambda.invoke(&json!({"do": "echo"})).await;
    assert!(first.is_cold_start() && !second.is_cold_start());
    assert_eq!(first.outcome.response().unwrap()["process"], second.outcome.response().unwrap()["process"]);
}

#[tokio::test]
async fn runs_at_the_same_time_have_environments_of_their_own() {
    let scene = Scene::new();
    let event = json!({"do": "echo"});
    let (one, other) = tokio::join!(scene.lambda.invoke(&event), scene.lambda.invoke(&event));
    assert_ne!(one.outcome.response().unwrap()["process"], other.outcome.response().unwrap()["process"]);
}

#[tokio::test]
async fn more_runs_than_allowed_are_throttled() {
    let scene = Scene::with(|function| function.max_concurrency = 1);
    let event = json!({"do": "echo"});
    let (one, other) = tokio::join!(scene.lambda.invoke(&event), scene.lambda.invoke(&event));
    assert!(matches!(one.outcome, Outcome::Succeeded(_)));
    assert_eq!(other.outcome, Outcome::Throttled);
}

#[tokio::test]
async fn an_error_of_the_function_is_handed_to_the_caller() {
    let run = Scene::new().lambda.invoke(&json!({"do": "fail"})).await;
    assert_eq!(error(&run), ("Test.Failed", "as asked"));
}

#[tokio::test]
async fn a_process_that_takes_too_long_is_killed() {
    let scene = Scene::with(|function| function.timeout = Duration::from_millis(500));
    let process = scene.answer(json!({"do": "echo"})).await["process"].clone();
    let run = scene.lambda.invoke(&json!({"do": "hang"})).await;
    let text = format!("RequestId: {} Error: Task timed out after 0.50 seconds", run.request_id);
    assert_eq!(error(&run), ("Sandbox.Timedout", text.as_str()));
    assert_eq!(run.log[0].text, "before the silence");
    assert!(!exists(&process));
    assert!(scene.lambda.invoke(&json!({"do": "echo"})).await.is_cold_start());
}

#[tokio::test]
async fn a_process_that_ends_without_an_answer_is_an_error() {
    let scene = Scene::new();
    let run = scene.lambda.invoke(&json!({"do": "exit"})).await;
    let text = format!("RequestId: {} Error: Runtime exited with error: exit status 2", run.request_id);
    assert_eq!(error(&run), ("Runtime.ExitError", text.as_str()));
    assert!(scene.lambda.invoke(&json!({"do": "echo"})).await.is_cold_start());
}

#[tokio::test]
async fn what_goes_wrong_before_the_first_invocation_is_an_error_of_that_invocation() {
    for (init, expected) in [("fail", "Init.Failed"), ("exit", "Runtime.ExitError")] {
        let scene = Scene::with(|function| {
            function.env.insert("INIT".to_owned(), init.to_owned());
        });
        assert_eq!(error(&scene.lambda.invoke(&json!({})).await).0, expected);
    }
    let scene = Scene::with(|function| function.bootstrap = PathBuf::from("/nowhere/bootstrap"));
    assert_eq!(error(&scene.lambda.invoke(&json!({})).await).0, "Runtime.InvalidEntrypoint");
}

#[tokio::test]
async fn every_line_is_in_the_log_of_its_run() {
    let scene = Scene::with(|function| {
        function.env.insert("INIT".to_owned(), "print".to_owned());
    });
    let run = scene.lambda.invoke(&json!({"do": "print", "lines": 500})).await;
    assert_eq!(run.log[0].text, "initialised");
    assert_eq!(run.log[0].request_id, None);
    let printed: Vec<_> = run.log.iter().filter(|line| line.stream == Stream::Stdout).skip(1).collect();
    assert_eq!(printed.len(), 500);
    assert_eq!(printed[499].text, "line 500");
    assert_eq!(printed[499].request_id.as_deref(), Some(run.request_id.as_str()));
    let errors: Vec<_> = run.log.iter().filter(|line| line.stream == Stream::Stderr).collect();
    assert_eq!(errors[0].text, "and an error");
    assert!(scene.lambda.invoke(&json!({"do": "echo"})).await.log.is_empty());
    assert_eq!(scene.lambda.logs().len(), 502);
}

#[tokio::test]
async fn an_event_that_fails_is_tried_again_after_one_minute_and_after_two_more() {
    let scene = Scene::new();
    let id = scene.lambda.invoke_async(json!({"do": "fail"}));
    let mut tries = vec![];
    loop {
        scene.lambda.quiet().await;
        tries.push(scene.lambda.invocations().len());
        let Some(due) = scene.lambda.next_due() else { break };
        scene.clock.advance(due.duration_since(scene.clock.now()).unsigned_abs());
    }
    assert_eq!(tries, [1, 2, 3]);
    let runs = scene.lambda.invocations();
    let times: Vec<String> = runs.iter().map(|run| run.started_at.to_string()).collect();
    assert_eq!(times, ["2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2026-01-01T00:03:00Z"]);
    assert!(runs.iter().all(|run| run.request_id == id && run.kind == InvocationType::Event));
    let letters = scene.lambda.dead_letters();
    assert_eq!((letters.len(), letters[0].attempts), (1, 3));
    assert_eq!(letters[0].outcome.error_type(), Some("Test.Failed"));
    assert_eq!(
        scene.history(),
        [
            "invoked attempt 1",
            "failed Test.Failed",
            "retry scheduled 2026-01-01T00:01:00Z",
            "invoked attempt 2",
            "failed Test.Failed",
            "retry scheduled 2026-01-01T00:03:00Z",
            "invoked attempt 3",
            "failed Test.Failed",
            "gave up after 3 attempts",
        ]
    );
}

#[tokio::test]
async fn an_event_that_succeeds_is_not_tried_again() {
    let scene = Scene::with(|function| function.retry_after = vec![Duration::ZERO; 2]);
    scene.lambda.invoke_async(json!({"do": "fail", "times": 1}));
    scene.lambda.quiet().await;
    let runs = scene.lambda.invocations();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1].outcome.response().unwrap()["run"], 2);
    assert!(scene.lambda.dead_letters().is_empty());
}

#[tokio::test]
async fn events_wait_for_their_turn() {
    let scene = Scene::with(|function| function.max_concurrency = 1);
    for _ in 0..3 {
        scene.lambda.invoke_async(json!({"do": "echo"}));
    }
    scene.lambda.quiet().await;
    let runs = scene.lambda.invocations();
    assert_eq!(runs.len(), 3);
    assert_eq!(runs.iter().filter(|run| run.is_cold_start()).count(), 1);
}

#[tokio::test]
async fn nothing_is_left_behind_after_a_shutdown() {
    let scene = Scene::new();
    let answer = scene.answer(json!({"do": "spawn"})).await;
    scene.lambda.invoke_async(json!({"do": "hang"}));
    assert!(exists(&answer["process"]) && exists(&answer["child"]));
    scene.lambda.shutdown().await;
    gone(&answer["process"]).await;
    gone(&answer["child"]).await;
    assert_eq!(scene.lambda.next_due(), None);
}

#[tokio::test]
async fn nothing_is_left_behind_when_the_last_handle_is_dropped() {
    let scene = Scene::new();
    let answer = scene.answer(json!({"do": "spawn"})).await;
    scene.lambda.invoke_async(json!({"do": "fail"}));
    scene.lambda.quiet().await;
    drop(scene.lambda);
    gone(&answer["process"]).await;
    gone(&answer["child"]).await;
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_any_more_is_killed() {
    let scene = Scene::new();
    let process = scene.answer(json!({"do": "echo"})).await["process"].clone();
    let event = json!({"do": "hang"});
    tokio::select! {
        biased;
        run = scene.lambda.invoke(&event) => panic!("{run:?}"),
        () = tokio::task::yield_now() => {}
    }
    gone(&process).await;
}
