//! A queue in front of a real process: `examples/echo_runtime.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::super::tests::echo_runtime;
use super::super::{Function, InvocationRecord, Lambda};
use super::*;
use crate::aws::Account;
use crate::clock::Clock;
use crate::journal::Journal;
use crate::sqs::QueueSettings;

struct Scene {
    clock: Clock,
    lambda: Lambda,
    queue: Queue,
}

impl Scene {
    /// A function, and a queue to which it is not mapped yet.
    fn new() -> Self {
        let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
        let journal = Journal::new(clock.clone());
        let settings = QueueSettings { max_receive_count: 2, ..QueueSettings::named("drain") };
        let queue = Queue::new(settings, Account::default(), clock.clone(), journal.clone());
        let function = Function::new("drain", echo_runtime());
        let lambda = Lambda::new(function, Account::default(), clock.clone(), journal);
        Self { clock, lambda, queue }
    }

    /// Sends messages that say what becomes of them, and then has them read.
    async fn read(&self, bodies: impl IntoIterator<Item = Value>, mapping: EventSourceMapping) {
        for body in bodies {
            self.queue.send(body.to_string());
        }
        self.lambda.add_event_source(&self.queue, mapping);
        self.queue.quiet().await;
    }

    async fn turn(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.queue.quiet().await;
    }

    /// Visible, in flight, dead.
    fn counts(&self) -> [usize; 3] {
        [self.queue.visible(), self.queue.in_flight(), self.queue.dead_letters().len()]
    }

    /// How many messages each run got.
    fn batches(&self) -> Vec<usize> {
        let size = |run: &InvocationRecord| run.payload["Records"].as_array().unwrap().len();
        self.lambda.invocations().iter().map(size).collect()
    }
}

#[tokio::test]
async fn what_succeeded_is_deleted_and_only_what_failed_comes_again() {
    let scene = Scene::new();
    scene.read([json!({}), json!({"fails": 1}), json!({})], EventSourceMapping::default()).await;
    assert_eq!((scene.batches(), scene.counts()), (vec![3], [0, 1, 0]));
    assert_eq!(scene.queue.next_due().unwrap().to_string(), "2026-01-01T00:01:30Z");
    scene.turn(90).await;
    assert_eq!((scene.batches(), scene.counts()), (vec![3, 1], [0, 0, 0]));
    let again = &scene.lambda.invocations()[1];
    assert_eq!(again.kind, InvocationType::RequestResponse);
    assert_eq!(again.payload["Records"][0]["attributes"]["ApproximateReceiveCount"], "2");
}

#[tokio::test]
async fn a_message_that_fails_too_often_is_dead_until_it_is_redriven() {
    let scene = Scene::new();
    scene.read([json!({"fails": 2})], EventSourceMapping::default()).await;
    scene.turn(90).await;
    scene.turn(90).await;
    assert_eq!((scene.batches(), scene.counts()), (vec![1, 1], [0, 0, 1]));
    assert_eq!(scene.queue.redrive(), 1);
    scene.queue.quiet().await;
    assert_eq!(scene.counts(), [0, 1, 0], "it is a new message, which fails twice");
}

#[tokio::test]
async fn a_run_that_fails_or_ends_its_process_fails_the_whole_batch() {
    for end in ["fail", "exit"] {
        let scene = Scene::new();
        scene.read([json!({"do": end}), json!({})], EventSourceMapping::default()).await;
        assert_eq!((scene.batches(), scene.counts()), (vec![2], [0, 2, 0]), "{end}");
    }
}

#[test]
fn an_answer_names_what_failed_and_one_that_makes_no_sense_fails_the_batch() {
    let batch = BTreeSet::from(["a", "b"]);
    let failed = |answer: Value| {
        let outcome = Outcome::Succeeded(answer);
        failures(&outcome, &batch).map(|failed| failed.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let item = |id: Value| json!({"batchItemFailures": [{"itemIdentifier": id}]});
    for fine in [json!(null), json!(""), json!({}), json!({"batchItemFailures": null}), json!({"ok": true})] {
        assert_eq!(failed(fine.clone()), Some(vec![]), "{fine}");
    }
    assert_eq!(failed(json!({"batchItemFailures": []})), Some(vec![]));
    assert_eq!(failed(item(json!("b"))), Some(vec!["b".to_owned()]));
    for senseless in [item(json!("c")), item(json!("")), item(json!(null)), item(json!(1)), json!("not json")]
    {
        assert_eq!(failed(senseless.clone()), None, "{senseless}");
    }
    assert_eq!(failed(json!({"batchItemFailures": [{"itemIdentifier": "a"}, {"id": "b"}]})), None);
    assert_eq!(failed(json!({"batchItemFailures": "a"})), None);
    let error = Outcome::Failed { error_type: "Sandbox.Timedout".to_owned(), payload: Value::Null };
    assert_eq!(failures(&error, &batch), None);
}

#[tokio::test]
async fn no_more_batches_run_at_once_than_the_mapping_says() {
    let scene = Scene::new();
    let mapping = EventSourceMapping { batch_size: 1, maximum_concurrency: 2 };
    scene.read((0..40).map(|_| json!({})), mapping).await;
    let mut processes: BTreeMap<String, usize> = BTreeMap::new();
    for run in scene.lambda.invocations() {
        *processes.entry(run.outcome.response().unwrap()["process"].to_string()).or_default() += 1;
    }
    assert_eq!((processes.len(), processes.values().sum()), (2, 40), "{processes:?}");
}

#[tokio::test]
async fn a_thousand_messages_are_read_once_each_and_the_oldest_first() {
    let scene = Scene::new();
    let mapping = EventSourceMapping { maximum_concurrency: 1, ..EventSourceMapping::default() };
    scene.read((0..1000).map(|number| json!({ "number": number })), mapping).await;
    assert_eq!((scene.batches(), scene.counts()), (vec![10; 100], [0, 0, 0]));
    let runs = scene.lambda.invocations();
    let records = runs.iter().flat_map(|run| run.payload["Records"].as_array().unwrap());
    let bodies = records.map(|record| record["body"].as_str().unwrap().to_owned());
    assert!(bodies.eq((0..1000).map(|number| json!({ "number": number }).to_string())));
}

#[tokio::test]
async fn a_message_whose_run_outlasts_its_visibility_timeout_is_delivered_twice() {
    let scene = Scene::new();
    scene.queue.send(json!({"do": "hang"}).to_string());
    let mapping = EventSourceMapping { batch_size: 1, maximum_concurrency: 2 };
    scene.lambda.add_event_source(&scene.queue, mapping);
    let mut changed = scene.queue.changed();
    for _ in 0..2 {
        while scene.queue.in_flight() == 0 {
            changed.changed().await.unwrap();
        }
        scene.clock.advance(Duration::from_secs(90));
    }
    assert_eq!(scene.counts(), [0, 0, 1], "it was received twice while its first run went on");
}
