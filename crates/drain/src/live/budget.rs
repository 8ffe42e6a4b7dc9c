//! How much of the invocation's time is left.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// No single call takes longer: what has not answered by then will not.
const LONGEST_CALL: Duration = Duration::from_secs(10);

/// Kept back at the end, so that the invocation can still say what went wrong instead of being cut off.
const RESERVE: Duration = Duration::from_secs(1);

/// The time until which an invocation works.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    ends: Instant,
}

impl Budget {
    /// Ends a little before `deadline`, at which the invocation is cut off: a second before it, or a tenth of the time
    /// if that is less.
    pub fn before(deadline: SystemTime) -> Self {
        let whole = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        Self::lasting(whole.saturating_sub(RESERVE.min(whole / 10)))
    }

    /// Ends `time` from now.
    pub fn lasting(time: Duration) -> Self {
        Self { ends: Instant::now() + time }
    }

    /// What one call may take.
    pub(crate) fn for_one_call(self) -> Duration {
        self.ends.saturating_duration_since(Instant::now()).min(LONGEST_CALL)
    }

    /// Sleeps before the next attempt: full jitter over an exponentially growing span, so that a thousand functions
    /// that met the same outage do not come back together. `false`, at once, if no time is left for it.
    pub(crate) async fn pause(self, attempts: u32) -> bool {
        const FIRST: Duration = Duration::from_millis(100);
        const LONGEST: Duration = Duration::from_secs(5);
        let span = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(LONGEST);
        let until = Instant::now() + span.mul_f64(fastrand::f64());
        if until >= self.ends {
            return false;
        }
        tokio::time::sleep_until(until).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_would_outlast_the_budget_is_refused_at_once() {
        let budget = Budget::lasting(Duration::from_millis(50));
        let mut attempts = 0;
        let started = Instant::now();
        while budget.pause(20).await {
            attempts += 1;
            assert!(attempts < 1_000);
        }
        assert!(started.elapsed() < Duration::from_millis(50));
    }

    #[tokio::test(start_paused = true)]
    async fn something_is_kept_back_to_say_what_went_wrong() {
        let soon = Budget::before(SystemTime::now() + Duration::from_secs(3));
        assert!(soon.for_one_call() <= Duration::from_millis(2_700));
        let late = Budget::before(SystemTime::now() + Duration::from_mins(15));
        assert_eq!(late.for_one_call(), LONGEST_CALL);
        assert_eq!(Budget::before(SystemTime::UNIX_EPOCH).for_one_call(), Duration::ZERO);
    }
}
