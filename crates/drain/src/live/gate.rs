//! The way out to one system: bounds how many calls are made at once, and counts them.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::metrics::Sample;

/// What passes it is counted, for the metrics.
#[derive(Debug)]
pub(super) struct Gate {
    permits: Semaphore,
    retries: Cell<usize>,
    times: RefCell<Sample>,
}

/// The calls of an invocation to one system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    /// How many were tried again.
    pub(crate) retries: usize,
    /// How long they took, in milliseconds.
    pub(crate) times: Sample,
}

impl Gate {
    /// Lets so many calls through at once.
    pub(super) fn new(at_once: usize) -> Self {
        Self { permits: Semaphore::new(at_once), retries: Cell::default(), times: RefCell::default() }
    }

    /// Makes one call when it is its turn. `timeout` says how long it may take, once it is.
    pub(super) async fn pass<T>(
        &self,
        timeout: impl FnOnce() -> Duration,
        call: impl AsyncFnOnce(Duration) -> T,
    ) -> T {
        // The semaphore is never closed; a permit lasts as long as the call.
        let _permit = self.permits.acquire().await.ok();
        let timeout = timeout();
        let began = Instant::now();
        let answer = call(timeout).await;
        self.times.borrow_mut().add(began.elapsed().as_secs_f64() * 1000.0);
        answer
    }

    /// One of them is tried again.
    pub(super) fn again(&self) {
        self.retries.set(self.retries.get() + 1);
    }

    /// What has passed so far.
    pub(super) fn calls(&self) -> Calls {
        Calls { retries: self.retries.get(), times: self.times.borrow().clone() }
    }
}
