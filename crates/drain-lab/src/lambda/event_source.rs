//! The event source mapping: Lambda reads a queue, and calls the function with what it finds.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

use super::Service;
use super::record::{InvocationType, Outcome};
use crate::sqs::{Batch, Queue};

/// How Lambda reads a queue. `ReportBatchItemFailures` is always on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventSourceMapping {
    /// How many messages the function gets at a time, at most. It never waits for more to come.
    pub batch_size: usize,
    /// How many batches are worked on at the same time, at most. Where the function may not run that often, they wait
    /// for their turn while their visibility timeout runs.
    pub maximum_concurrency: usize,
}

impl Default for EventSourceMapping {
    /// Lambda's own: ten messages a batch. Five batches at a time, with which Lambda begins.
    fn default() -> Self {
        Self { batch_size: 10, maximum_concurrency: 5 }
    }
}

/// Reads a queue for ever. When it is dropped, the runs that go on are killed.
pub(super) async fn poll(service: Arc<Service>, queue: Queue, mapping: EventSourceMapping) {
    let mut changed = queue.changed();
    let mut runs = JoinSet::new();
    loop {
        while runs.len() < mapping.maximum_concurrency
            && let Some(batch) = queue.receive(mapping.batch_size)
        {
            runs.spawn(work(Arc::clone(&service), batch));
        }
        let due = queue.next_due();
        let shown = async {
            match due {
                Some(due) => queue.clock().sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = changed.changed() => {}
            Some(_) = runs.join_next() => {}
            () = shown => {}
        }
    }
}

/// Calls the function with a batch, and deletes what it is done with.
async fn work(service: Arc<Service>, batch: Batch) {
    let event = batch.event();
    let request_id = service.memory().ids.uuid();
    // The semaphore is never closed; if it were, the batch would run without a slot.
    let permit = service.slots.acquire().await.ok();
    let record = service.run(&request_id, InvocationType::RequestResponse, 1, &event).await;
    drop(permit);
    // Of a batch that failed as a whole nothing is deleted.
    if let Some(failed) = failures(&record.outcome, &batch.ids().collect()) {
        batch.delete(|id| !failed.contains(id));
    }
}

/// The messages of a batch that failed, by the function's own account; nothing if the whole batch failed.
fn failures<'a>(outcome: &'a Outcome, batch: &BTreeSet<&str>) -> Option<BTreeSet<&'a str>> {
    let response = outcome.response()?;
    let list = match response {
        Value::Null => &Value::Null,
        // What the service makes of a response without a body.
        Value::String(text) if text.is_empty() => &Value::Null,
        Value::Object(answer) => answer.get("batchItemFailures").unwrap_or(&Value::Null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
    };
    match list {
        Value::Null => Some(BTreeSet::new()),
        Value::Array(items) => {
            items.iter().map(|item| item["itemIdentifier"].as_str().filter(|id| batch.contains(id))).collect()
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
