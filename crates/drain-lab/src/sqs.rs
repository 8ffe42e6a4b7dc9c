//! Simple Queue Service: a standard queue with a dead-letter queue.
//!
//! A [`Queue`] only keeps messages; a function reads them once it is mapped to the queue
//! ([`crate::lambda::Lambda::add_event_source`]). Time is the lab's clock: a message that was received and not deleted
//! is visible again when its visibility timeout has passed, even while somebody still works on it.

mod messages;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use self::messages::{Happened, Message, Messages};
use crate::aws::Account;
use crate::clock::Clock;
use crate::journal::{Journal, System};

/// What a new queue looks like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueueSettings {
    /// Its name.
    pub name: String,
    /// How long a message that was received stays hidden from everybody else, by the lab's clock.
    pub visibility_timeout: Duration,
    /// How often a message is received before it goes to the dead-letter queue.
    pub max_receive_count: u32,
}

impl QueueSettings {
    /// A queue with this name, 90 s of visibility timeout (six times what a function usually gets), and a dead-letter
    /// queue for what was received five times.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), visibility_timeout: Duration::from_secs(90), max_receive_count: 5 }
    }
}

/// A handle to a queue. Cloning it gives another handle to the same queue.
#[derive(Clone, Debug)]
pub struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: QueueSettings,
    account: Account,
    clock: Clock,
    journal: Journal,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    messages: Messages,
    /// How many batches somebody works on.
    batches: usize,
}

/// Messages that were received together. Dropping it deletes nothing: they are visible again in time.
#[derive(Debug)]
pub(crate) struct Batch {
    queue: Queue,
    messages: Vec<Message>,
}

impl Queue {
    /// An empty queue in `account`.
    pub fn new(settings: QueueSettings, account: Account, clock: Clock, journal: Journal) -> Self {
        let state = Mutex::new(State { messages: Messages::new(settings.max_receive_count), batches: 0 });
        let changed = watch::Sender::new(());
        Self { shared: Arc::new(Shared { settings, account, clock, journal, state, changed }) }
    }

    /// Its ARN.
    pub fn arn(&self) -> String {
        let Account { id, region, .. } = &self.shared.account;
        format!("arn:aws:sqs:{region}:{id}:{}", self.shared.settings.name)
    }

    /// What it was created with.
    pub fn settings(&self) -> &QueueSettings {
        &self.shared.settings
    }

    /// `SendMessage`: returns the message's id.
    pub fn send(&self, body: impl Into<String>) -> String {
        self.change(|state, now| state.messages.send(body.into(), now))
    }

    /// `SendMessage`, for a sender that also wants to know what has arrived: the id, and a digest of the body.
    pub(crate) fn send_and_digest(&self, body: &str) -> (String, String) {
        (self.send(body), digest(body))
    }

    /// How many messages anybody may receive now.
    pub fn visible(&self) -> usize {
        self.change(|state, _| state.messages.visible())
    }

    /// How many messages were received, and are neither deleted nor visible again.
    pub fn in_flight(&self) -> usize {
        self.change(|state, _| state.messages.in_flight())
    }

    /// The bodies of what is in the dead-letter queue, in the order in which it was given up.
    pub fn dead_letters(&self) -> Vec<String> {
        self.change(|state, _| state.messages.dead().iter().map(|message| message.body.clone()).collect())
    }

    /// Moves everything from the dead-letter queue back, as new messages with the old bodies; returns how many.
    pub fn redrive(&self) -> usize {
        self.change(|state, now| state.messages.redrive(now))
    }

    /// When the next message becomes visible again, by the lab's clock.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.change(|state, _| state.messages.next_due())
    }

    /// Waits until no message is visible and nobody works on one: for ever, if nobody reads the queue. Some may still
    /// wait for their visibility timeout: see [`Queue::next_due`].
    pub async fn quiet(&self) {
        let mut changed = self.changed();
        while self.change(|state, _| state.messages.visible() > 0 || state.batches > 0) {
            // The sender lives as long as this handle.
            _ = changed.changed().await;
        }
    }

    /// `ReceiveMessage`: at most `most` of those that are visible, the oldest first; nothing if there are none.
    pub(crate) fn receive(&self, most: usize) -> Option<Batch> {
        let timeout =
            SignedDuration::try_from(self.shared.settings.visibility_timeout).unwrap_or(SignedDuration::MAX);
        let messages = self.change(|state, now| {
            let until = now.saturating_add(timeout).unwrap_or(Timestamp::MAX);
            let messages = state.messages.receive(most, now, until);
            state.batches += usize::from(!messages.is_empty());
            messages
        });
        (!messages.is_empty()).then(|| Batch { queue: self.clone(), messages })
    }

    /// Tells of every change.
    pub(crate) fn changed(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }

    /// The queue's time.
    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Does something with the messages as they are now, and wakes whoever waits for changes.
    fn change<T>(&self, act: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let now = self.shared.clock.now();
        let (done, happened) = {
            let mut state = self.lock();
            state.messages.catch_up(now);
            let batches = state.batches;
            let done = act(&mut state, now);
            let happened = state.messages.take_happened();
            if !happened.is_empty() || batches != state.batches {
                self.shared.changed.send_replace(());
            }
            (done, happened)
        };
        for Happened { at, what, id, detail } in happened {
            self.shared.journal.effect(at, System::Sqs, what, id, detail);
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// The ids of the messages.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().map(|message| message.id.as_str())
    }

    /// The payload of a function that reads the queue.
    pub(crate) fn event(&self) -> Value {
        let arn = self.queue.arn();
        let region = &self.queue.shared.account.region;
        let records: Vec<Value> = self.messages.iter().map(|message| record(message, &arn, region)).collect();
        json!({"Records": records})
    }

    /// Deletes the messages with which the reader is done, unless somebody else has received them since.
    pub(crate) fn delete(&self, is_done: impl Fn(&str) -> bool) {
        self.queue.change(|state, now| {
            for message in self.messages.iter().filter(|message| is_done(&message.id)) {
                state.messages.delete(message, now);
            }
        });
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.queue.change(|state, _| state.batches -= 1);
    }
}

/// One of the `Records` that a function gets.
fn record(message: &Message, queue_arn: &str, region: &str) -> Value {
    let millis = |at: Timestamp| at.as_millisecond().to_string();
    json!({
        "messageId": message.id,
        "receiptHandle": message.receipt_handle(),
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": message.receives.to_string(),
            "SentTimestamp": millis(message.sent_at),
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": millis(message.first_received_at.unwrap_or(message.sent_at)),
        },
        "messageAttributes": {},
        "md5OfBody": digest(&message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    })
}

/// What stands in the place of an MD5 digest. Nobody in a lab checks it; it only has to look like one, and to differ
/// between bodies.
fn digest(body: &str) -> String {
    hex::encode(&Sha256::digest(body)[..16])
}

#[cfg(test)]
mod tests;
