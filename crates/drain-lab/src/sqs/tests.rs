//! A queue that nobody reads but the test, on a clock that stands still.

use super::*;

struct Scene {
    clock: Clock,
    journal: Journal,
    queue: Queue,
}

impl Scene {
    /// A queue whose messages are hidden for a minute and given up after two receives.
    fn new() -> Self {
        let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
        let journal = Journal::new(clock.clone());
        let settings = QueueSettings {
            visibility_timeout: Duration::from_mins(1),
            max_receive_count: 2,
            ..QueueSettings::named("drain")
        };
        let queue = Queue::new(settings, Account::default(), clock.clone(), journal.clone());
        Self { clock, journal, queue }
    }

    fn turn(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Visible, in flight, dead.
    fn counts(&self) -> [usize; 3] {
        [self.queue.visible(), self.queue.in_flight(), self.queue.dead_letters().len()]
    }
}

#[test]
fn a_function_gets_a_message_with_its_history() {
    let scene = Scene::new();
    let id = scene.queue.send("first");
    scene.turn(1);
    drop(scene.queue.receive(10));
    scene.turn(60);
    let event = scene.queue.receive(10).unwrap().event();
    let record = &event["Records"][0];
    assert_eq!(record["md5OfBody"].as_str().unwrap().len(), 32);
    assert_eq!(
        *record,
        json!({
            "messageId": id,
            "receiptHandle": format!("{id}#2"),
            "body": "first",
            "attributes": {
                "ApproximateReceiveCount": "2",
                "SentTimestamp": "1767225600000",
                "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                "ApproximateFirstReceiveTimestamp": "1767225601000",
            },
            "messageAttributes": {},
            "md5OfBody": record["md5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:drain",
            "awsRegion": "us-east-1",
        })
    );
}

#[test]
fn messages_are_received_in_batches_and_the_oldest_first() {
    let scene = Scene::new();
    let sent: Vec<String> = (0..5).map(|number| scene.queue.send(number.to_string())).collect();
    let batches: Vec<Batch> = std::iter::from_fn(|| scene.queue.receive(2)).collect();
    let received: Vec<Vec<&str>> = batches.iter().map(|batch| batch.ids().collect()).collect();
    assert_eq!(received, [&sent[..2], &sent[2..4], &sent[4..]]);
    assert_eq!(scene.counts(), [0, 5, 0]);
}

#[test]
fn a_message_that_is_not_deleted_is_visible_again_and_dead_after_its_last_receive() {
    let scene = Scene::new();
    scene.queue.send("stubborn");
    drop(scene.queue.receive(10));
    scene.turn(59);
    assert_eq!(scene.counts(), [0, 1, 0]);
    assert_eq!(scene.queue.next_due().unwrap().to_string(), "2026-01-01T00:01:00Z");
    scene.turn(1);
    assert_eq!(scene.counts(), [1, 0, 0]);
    drop(scene.queue.receive(10));
    scene.turn(3600);
    assert_eq!((scene.counts(), scene.queue.dead_letters()), ([0, 0, 1], vec!["stubborn".to_owned()]));
    assert_eq!(scene.queue.next_due(), None);
    let entries = scene.journal.entries().into_iter();
    let told: Vec<_> =
        entries.map(|entry| format!("{:.0} {} {}", entry.at, entry.what, entry.detail)).collect();
    assert_eq!(
        told,
        [
            "2026-01-01T00:00:00Z message sent ",
            "2026-01-01T00:00:00Z message received time 1",
            "2026-01-01T00:01:00Z message visible again ",
            "2026-01-01T00:01:00Z message received time 2",
            "2026-01-01T00:02:00Z message given up received 2 times",
        ]
    );
}

#[test]
fn what_is_redriven_is_a_new_message_with_the_old_body() {
    let scene = Scene::new();
    let old = scene.queue.send("again");
    for _ in 0..2 {
        drop(scene.queue.receive(10));
        scene.turn(60);
    }
    assert_eq!((scene.queue.redrive(), scene.counts()), (1, [1, 0, 0]));
    let event = scene.queue.receive(10).unwrap().event();
    assert_ne!(event["Records"][0]["messageId"], *old);
    assert_eq!(event["Records"][0]["body"], "again");
    assert_eq!(event["Records"][0]["attributes"]["ApproximateReceiveCount"], "1");
}

#[test]
fn a_reader_that_took_too_long_deletes_a_visible_message_and_none_that_another_has_received() {
    let scene = Scene::new();
    scene.queue.send("contested");
    let slow = scene.queue.receive(10).unwrap();
    scene.turn(60);
    let other = scene.queue.receive(10).unwrap();
    slow.delete(|_| true);
    assert_eq!(scene.counts(), [0, 1, 0], "the other one has it");
    other.delete(|_| true);
    assert_eq!(scene.counts(), [0, 0, 0]);
    scene.queue.send("late");
    let late = scene.queue.receive(10).unwrap();
    scene.turn(60);
    assert_eq!(scene.counts(), [1, 0, 0]);
    late.delete(|_| true);
    assert_eq!(scene.counts(), [0, 0, 0]);
}

#[tokio::test]
async fn a_queue_is_quiet_when_nothing_is_visible_and_nobody_works_on_anything() {
    let scene = Scene::new();
    scene.queue.quiet().await;
    scene.queue.send("work");
    let waiting = tokio::spawn({
        let queue = scene.queue.clone();
        async move { queue.quiet().await }
    });
    tokio::task::yield_now().await;
    let batch = scene.queue.receive(10).unwrap();
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(batch);
    waiting.await.unwrap();
    assert_eq!(scene.counts(), [0, 1, 0], "what waits for its visibility timeout is quiet");
}
