//! The queue of events: each is tried until it succeeds or has failed too often.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Service;
use super::record::{DeadLetter, InvocationType, Outcome};
use crate::journal::System;

/// The events that are not done with. Dropping it forgets them and kills the runs that go on.
#[derive(Debug)]
pub(super) struct Queue {
    service: Arc<Service>,
    events: Mutex<JoinSet<()>>,
    activity: watch::Sender<Activity>,
}

/// What the events are at.
#[derive(Clone, Debug, Default)]
struct Activity {
    /// How many run, or wait for a slot.
    busy: usize,
    /// When the others are tried again.
    retries: Vec<Timestamp>,
}

impl Queue {
    pub(super) fn new(service: Arc<Service>) -> Self {
        Self { service, events: Mutex::default(), activity: watch::Sender::default() }
    }

    pub(super) fn push(&self, request_id: String, payload: Value) {
        self.activity.send_modify(|activity| activity.busy += 1);
        let (service, activity) = (Arc::clone(&self.service), self.activity.clone());
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while events.try_join_next().is_some() {}
        events.spawn(async move { deliver(&service, &activity, request_id, payload).await });
    }

    pub(super) async fn quiet(&self) {
        let clock = &self.service.clock;
        let mut activity = self.activity.subscribe();
        let quiet = |activity: &Activity| {
            // A retry that is due has only not noticed yet.
            activity.busy == 0 && activity.retries.iter().all(|at| *at > clock.now())
        };
        // An error says that the queue is gone, and nothing is quieter than that.
        _ = activity.wait_for(quiet).await;
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.activity.borrow().retries.iter().min().copied()
    }

    /// Forgets every event, and returns when no run goes on.
    pub(super) async fn clear(&self) {
        let mut events = std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        events.shutdown().await;
        self.activity.send_replace(Activity::default());
    }
}

/// Tries one event until it is done with.
async fn deliver(service: &Service, activity: &watch::Sender<Activity>, request_id: String, payload: Value) {
    let mut attempt = 1;
    let outcome = loop {
        // The semaphore is never closed; if it were, the event would run without a slot.
        let permit = service.slots.acquire().await.ok();
        let record = service.run(&request_id, InvocationType::Event, attempt, &payload).await;
        drop(permit);
        if matches!(record.outcome, Outcome::Succeeded(_)) {
            break None;
        }
        let Some(delay) = service.function.retry_after.get(attempt - 1) else { break Some(record.outcome) };
        let now = service.clock.now();
        let at = now.saturating_add(*delay).unwrap_or(Timestamp::MAX);
        service.journal.effect(now, System::Lambda, "retry scheduled", &request_id, at.to_string());
        activity.send_modify(|activity| {
            activity.busy -= 1;
            activity.retries.push(at);
        });
        service.clock.sleep_until(at).await;
        activity.send_modify(|activity| {
            activity.busy += 1;
            if let Some(place) = activity.retries.iter().position(|retry| *retry == at) {
                activity.retries.swap_remove(place);
            }
        });
        attempt += 1;
    };
    if let Some(outcome) = outcome {
        let at = service.clock.now();
        service.journal.effect(
            at,
            System::Lambda,
            "gave up",
            &request_id,
            format!("after {attempt} attempts"),
        );
        let letter = DeadLetter { request_id, payload, attempts: attempt, outcome, at };
        service.memory().dead_letters.push(letter);
    }
    activity.send_modify(|activity| activity.busy -= 1);
}
