//! The way out to one system: bounds how many calls are made at once, says which come first, counts them, and closes for a
//! moment when the system asks for fewer.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use drain_core::decide::Urgency;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::metrics::Sample;

/// What passes it is counted, for the metrics.
#[derive(Debug)]
pub(super) struct Gate {
    permits: Semaphore,
    /// Those that are not urgent wait here first, and only so many of them at the gate itself: whoever is, finds a short queue.
    soon: Semaphore,
    /// So do those that can be spared, before that.
    spare: Semaphore,
    closed: Cell<Closed>,
    retries: Cell<usize>,
    times: RefCell<Sample>,
}

/// A place at the gate: as long as somebody has it, another one waits.
#[derive(Debug)]
pub(super) struct Place<'a> {
    gate: &'a Gate,
    _permits: [Option<SemaphorePermit<'a>>; 3],
}

impl Place<'_> {
    /// Makes one call as soon as the gate is open. `timeout` says how long it may take, once it is.
    pub(super) async fn pass<T>(
        &self,
        timeout: impl Fn() -> Duration,
        call: impl AsyncFnOnce(Duration) -> T,
    ) -> T {
        let Self { gate, .. } = *self;
        // What waits keeps its place, so that no more than the others at the gate come when it opens.
        while let Some(wait) = gate.wait().filter(|wait| *wait < timeout()) {
            tokio::time::sleep(wait + SPREAD.mul_f64(fastrand::f64())).await;
        }
        let timeout = timeout();
        let began = Instant::now();
        let answer = call(timeout).await;
        gate.times.borrow_mut().add(began.elapsed().as_secs_f64() * 1000.0);
        answer
    }
}

/// The calls of an invocation to one system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    /// How many were tried again.
    pub(crate) retries: usize,
    /// How long they took, in milliseconds.
    pub(crate) times: Sample,
}

/// Since when and until when nothing passes, because the system has asked for fewer calls.
#[derive(Clone, Copy, Debug, Default)]
struct Closed {
    /// How often it was closed in a row.
    times: u32,
    /// Until when it is, or was.
    until: Option<Instant>,
}

/// For how long the gate closes first, and at most. In the longest time an account with ten calls a second left has room
/// again for a few; and whoever waits for nothing else is not kept for long.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(400);

/// Those that have waited do not come all at once: the first that is asked for fewer calls closes the gate for the others.
const SPREAD: Duration = Duration::from_millis(100);

/// After so long without being asked for fewer calls, the gate begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

impl Gate {
    /// Lets so many calls through at once.
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            permits: Semaphore::new(at_once),
            soon: Semaphore::new(at_once),
            spare: Semaphore::new(at_once.div_ceil(2)),
            closed: Cell::default(),
            retries: Cell::default(),
            times: RefCell::default(),
        }
    }

    /// Waits for one's turn.
    pub(super) async fn enter(&self, urgency: Urgency) -> Place<'_> {
        // No semaphore is ever closed.
        let spare = if urgency == Urgency::Spare { self.spare.acquire().await.ok() } else { None };
        let soon = if urgency == Urgency::First { None } else { self.soon.acquire().await.ok() };
        let turn = self.permits.acquire().await.ok();
        Place { gate: self, _permits: [spare, soon, turn] }
    }

    fn wait(&self) -> Option<Duration> {
        let wait = self.closed.get().until?.saturating_duration_since(Instant::now());
        (!wait.is_zero()).then_some(wait)
    }

    /// The system has asked for fewer calls: nothing passes for a moment, which grows while it goes on asking. Without this
    /// every caller would try again by itself, and together they would ask more often than they were asked not to.
    pub(super) fn close(&self) {
        let now = Instant::now();
        let Closed { times, until } = self.closed.get();
        if until.is_some_and(|until| now < until) {
            // A call that was under way when it closed.
            return;
        }
        let is_new = until.is_none_or(|until| now.duration_since(until) > FORGOTTEN_AFTER);
        let times = if is_new { 0 } else { times };
        let span = FIRST.saturating_mul(1 << times.min(10)).min(LONGEST);
        // Half of it is left to chance: others may have been asked in the same moment.
        let until = now + span.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.closed.set(Closed { times: times + 1, until: Some(until) });
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

#[cfg(test)]
mod tests {
    use super::*;

    /// How long one call waits at the gate.
    async fn passes_after(gate: &Gate) -> Duration {
        let began = Instant::now();
        gate.enter(Urgency::Soon).await.pass(|| Duration::from_secs(10), async |_| ()).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_asked_for_fewer_calls_makes_none_for_a_moment() {
        let gate = Gate::new(8);
        assert_eq!(passes_after(&gate).await, Duration::ZERO);
        gate.close();
        let waited = passes_after(&gate).await;
        assert!((FIRST / 2..=FIRST + SPREAD).contains(&waited), "{waited:?}");
        assert_eq!(passes_after(&gate).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_were_under_way_close_it_once() {
        let gate = Gate::new(8);
        for _ in 0..8 {
            gate.close();
        }
        assert!(passes_after(&gate).await <= FIRST + SPREAD);
    }

    #[tokio::test(start_paused = true)]
    async fn it_closes_for_longer_while_it_is_asked_again_up_to_a_limit_and_then_forgets() {
        let gate = Gate::new(8);
        let mut waited = Duration::ZERO;
        for _ in 0..10 {
            gate.close();
            waited = passes_after(&gate).await;
        }
        assert!((LONGEST / 2..=LONGEST + SPREAD).contains(&waited), "{waited:?}");
        tokio::time::sleep(FORGOTTEN_AFTER + Duration::from_secs(1)).await;
        gate.close();
        assert!(passes_after(&gate).await <= FIRST + SPREAD);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_time_to_wait_does_not() {
        let gate = Gate::new(8);
        gate.close();
        let began = Instant::now();
        gate.enter(Urgency::Soon).await.pass(|| Duration::from_millis(1), async |_| ()).await;
        assert!(began.elapsed() < FIRST / 2);
    }
}
