//! How much of the invocation's time is left.

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::invocation::Times;

/// No single call takes longer: what has not answered by then will not.
const LONGEST_CALL: Duration = Duration::from_secs(10);

/// Kept back at the end, so that the invocation can still say what went wrong instead of being cut off.
const RESERVE: Duration = Duration::from_secs(1);

/// Looking again and again ends so long before the invocation does.
const LOOKS_RESERVE: SignedDuration = SignedDuration::from_secs(5);

/// The time until which an invocation works.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    ends: Instant,
    /// When the invocation is cut off.
    cut_off: Timestamp,
}

impl Budget {
    /// Ends a little before `deadline`, at which the invocation is cut off: a second before it, or a tenth of the time
    /// if that is less.
    pub fn before(deadline: SystemTime) -> Self {
        let whole = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        let ends = Instant::now() + whole.saturating_sub(RESERVE.min(whole / 10));
        Self { ends, cut_off: Timestamp::try_from(deadline).unwrap_or(Timestamp::MAX) }
    }

    /// The moments that bound the invocation.
    pub(crate) fn times(self) -> Times {
        let left = self.ends.saturating_duration_since(Instant::now());
        let left = SignedDuration::try_from(left).unwrap_or(SignedDuration::MAX);
        Times {
            looks_end: self.cut_off.saturating_sub(LOOKS_RESERVE).unwrap_or(Timestamp::MIN),
            ends: Timestamp::now().saturating_add(left).unwrap_or(Timestamp::MAX),
        }
    }

    /// The same, and it makes no call after this moment.
    pub(crate) fn until(self, moment: Timestamp) -> Self {
        let left = Duration::try_from(moment.duration_since(Timestamp::now())).unwrap_or_default();
        Self { ends: self.ends.min(Instant::now() + left), ..self }
    }

    /// What one call may take.
    pub(crate) fn for_one_call(self) -> Duration {
        self.ends.saturating_duration_since(Instant::now()).min(LONGEST_CALL)
    }

    /// Sleeps before the next attempt. `false`, at once, if no time is left for it.
    pub(crate) async fn pause(self, pause: SignedDuration) -> bool {
        let until = Instant::now() + pause.unsigned_abs();
        if until >= self.ends {
            return false;
        }
        tokio::time::sleep_until(until).await;
        true
    }
}

/// Sleeps until a moment of the wall clock.
pub(super) async fn sleep_until(moment: Timestamp) {
    let left = moment.duration_since(Timestamp::now());
    if left.is_positive() {
        tokio::time::sleep(left.unsigned_abs()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_would_outlast_the_budget_is_refused_at_once() {
        let budget = Budget::before(SystemTime::now() + Duration::from_millis(50));
        let started = Instant::now();
        assert!(!budget.pause(SignedDuration::from_secs(5)).await);
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

    #[tokio::test]
    async fn looking_again_ends_five_seconds_before_the_invocation() {
        let deadline = SystemTime::now() + Duration::from_mins(1);
        let times = Budget::before(deadline).times();
        let deadline = Timestamp::try_from(deadline).unwrap();
        assert_eq!(deadline.duration_since(times.looks_end), SignedDuration::from_secs(5));
        assert!(times.looks_end < times.ends && times.ends < deadline);
    }
}
