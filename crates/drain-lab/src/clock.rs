//! The time of the lab: real time, or a clock that only a test turns.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// A clock that every model of one lab shares. Cloning it gives another handle to the same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    state: Arc<Mutex<State>>,
    turned: Arc<watch::Sender<()>>,
}

#[derive(Debug)]
enum State {
    /// Real time plus what has been added by [`Clock::advance`].
    Running { offset: SignedDuration },
    /// Stands still until it is turned.
    Stopped { now: Timestamp },
}

impl Clock {
    /// Runs with real time.
    pub fn running() -> Self {
        Self::new(State::Running { offset: SignedDuration::ZERO })
    }

    /// Runs as real time does, from another moment on.
    pub fn running_from(now: Timestamp) -> Self {
        Self::new(State::Running { offset: now.duration_since(Timestamp::now()) })
    }

    /// Stands at `now` until [`Clock::advance`] turns it.
    pub fn stopped_at(now: Timestamp) -> Self {
        Self::new(State::Stopped { now })
    }

    fn new(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), turned: Arc::new(watch::Sender::new(())) }
    }

    /// The lab's time.
    pub fn now(&self) -> Timestamp {
        match &*self.lock() {
            State::Running { offset } => Timestamp::now() + *offset,
            State::Stopped { now } => *now,
        }
    }

    /// Turns the clock forward and wakes everything that sleeps until a moment that has now passed.
    pub fn advance(&self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        match &mut *self.lock() {
            State::Running { offset } => *offset += by,
            State::Stopped { now } => *now += by,
        }
        self.turned.send_replace(());
    }

    /// Sleeps until the lab's time is `moment` or later.
    pub async fn sleep_until(&self, moment: Timestamp) {
        let mut turned = self.turned.subscribe();
        loop {
            let left = moment.duration_since(self.now());
            if left <= SignedDuration::ZERO {
                return;
            }
            let running = matches!(&*self.lock(), State::Running { .. });
            tokio::select! {
                _ = turned.changed() => {}
                () = tokio::time::sleep(left.unsigned_abs()), if running => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_moves_only_when_it_is_turned() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::stopped_at(start);
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_hours(1));
        assert_eq!(clock.now().to_string(), "2026-01-01T01:00:00Z");
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_is_turned_past_its_moment() {
        let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until("2026-01-01T00:10:00Z".parse().unwrap()).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(599));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
    }
}
