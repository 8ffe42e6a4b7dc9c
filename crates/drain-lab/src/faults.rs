//! Faults on demand: calls of an operation, or of a whole system, fail in a chosen way, the next few or all of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::journal::System;

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

/// What a fault is meant for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// One operation, named as in the journal: `GetParameter`, `GET /v1/nodes`, `POST /v1/node/:id/drain`.
    Operation(String),
    /// Every operation of a system.
    System(System),
}

impl From<&str> for Scope {
    fn from(operation: &str) -> Self {
        Self::Operation(operation.to_owned())
    }
}

impl From<System> for Scope {
    fn from(system: System) -> Self {
        Self::System(system)
    }
}

/// The faults that wait for their calls. Cloning it gives another handle to the same table.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    /// Those that each strike once.
    waiting: BTreeMap<Scope, VecDeque<Fault>>,
    /// Those that strike until they are cleared.
    lasting: BTreeMap<Scope, Fault>,
}

impl Faults {
    /// Makes the next `times` calls fail with `fault`, after those that wait already.
    pub fn inject(&self, scope: impl Into<Scope>, fault: &Fault, times: usize) {
        let mut table = self.lock();
        let queue = table.waiting.entry(scope.into()).or_default();
        queue.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// Makes every call fail with `fault` until it is cleared: an outage. What was injected strikes first.
    pub fn always(&self, scope: impl Into<Scope>, fault: &Fault) {
        self.lock().lasting.insert(scope.into(), fault.clone());
    }

    /// Takes the fault for this call, if there is one: of those for its operation and those for its whole system, one
    /// that strikes once goes before one that lasts, and the operation goes before the system.
    pub fn take(&self, system: System, operation: &str) -> Option<Fault> {
        let mut table = self.lock();
        if table.waiting.is_empty() && table.lasting.is_empty() {
            return None;
        }
        let scopes = [Scope::from(operation), Scope::from(system)];
        let waiting = scopes.iter().find_map(|scope| table.waiting.get_mut(scope)?.pop_front());
        waiting.or_else(|| scopes.iter().find_map(|scope| table.lasting.get(scope).cloned()))
    }

    /// Forgets every fault of this scope, those that wait and the one that lasts.
    pub fn clear_scope(&self, scope: impl Into<Scope>) {
        let scope = scope.into();
        let mut table = self.lock();
        table.waiting.remove(&scope);
        table.lasting.remove(&scope);
    }

    /// Forgets every fault.
    pub fn clear(&self) {
        *self.lock() = Table::default();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATION: &str = "GET /v1/nodes";

    #[test]
    fn an_outage_lasts_until_it_is_cleared() {
        let faults = Faults::default();
        faults.always(OPERATION, &Fault::Reset);
        faults.inject(OPERATION, &Fault::Garbage, 1);
        let three = [(); 3].map(|()| faults.take(System::Nomad, OPERATION));
        assert_eq!(three, [Some(Fault::Garbage), Some(Fault::Reset), Some(Fault::Reset)]);
        assert_eq!(faults.take(System::Nomad, "GET /v1/node/:id"), None);
        faults.clear_scope(OPERATION);
        assert_eq!(faults.take(System::Nomad, OPERATION), None);
    }

    #[test]
    fn a_system_can_fail_as_a_whole() {
        let faults = Faults::default();
        faults.always(System::Nomad, &Fault::Throttled);
        faults.inject(System::Nomad, &Fault::Hang, 1);
        faults.always(OPERATION, &Fault::Reset);
        assert_eq!(faults.take(System::Nomad, OPERATION), Some(Fault::Hang));
        assert_eq!(faults.take(System::Nomad, OPERATION), Some(Fault::Reset));
        assert_eq!(faults.take(System::Nomad, "GET /v1/node/:id"), Some(Fault::Throttled));
        assert_eq!(faults.take(System::AutoScaling, "DescribeWarmPool"), None);
        faults.clear();
        assert_eq!(faults.take(System::Nomad, OPERATION), None);
    }
}
