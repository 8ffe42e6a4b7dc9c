//! Faults on demand: the next calls of an operation fail in a chosen way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How a call fails. What each means on the wire is up to the system that was called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The system's own "slow down": HTTP 429 from Nomad, `Throttling` from AWS.
    Throttled,
    /// An answer with this status and body, whatever was asked.
    Status(u16, String),
    /// No answer: the connection stays open until the client gives up.
    Hang,
    /// The connection is closed without an answer, before the call has any effect.
    Reset,
    /// The call takes effect, then the connection is closed without an answer.
    ResetAfterEffect,
    /// The right answer, this much later in real time.
    Delay(Duration),
    /// The right answer, cut off in the middle.
    Truncate,
    /// Status 200 and a body that is not what was asked for.
    Garbage,
}

/// The faults that wait for their calls. Cloning it gives another handle to the same table.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    waiting: Arc<Mutex<BTreeMap<String, Vec<Fault>>>>,
}

impl Faults {
    /// Makes the next `times` calls of `operation` fail with `fault`, after those that wait already. Operations are
    /// named as in the journal: `GetParameter`, `GET /v1/nodes`, `POST /v1/node/:id/drain`.
    pub fn inject(&self, operation: &str, fault: &Fault, times: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = waiting.entry(operation.to_owned()).or_default();
        queue.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// Takes the fault that waits for this call of `operation`, if there is one.
    pub fn take(&self, operation: &str) -> Option<Fault> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = waiting.get_mut(operation)?;
        (!queue.is_empty()).then(|| queue.remove(0))
    }

    /// Forgets every fault that still waits.
    pub fn clear(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
