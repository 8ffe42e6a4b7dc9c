//! What a sweep keeps back of its time for its end. What has been begun must be told, in the log, in the metrics and in the
//! answer, or Lambda cuts the sweep off and nobody learns of it; and telling of thousands takes time too.

use jiff::{SignedDuration, Timestamp};

use crate::invocation::Times;

/// For the end of one instance. In the smallest function, which has 7 % of a CPU, a whole drain takes 4 ms (docs/performance.md,
/// "What one sweep begins"), and its end, which makes no call, well less than a quarter of that. A larger function gives away
/// time that it does not need, and the next sweep goes on where this one ends.
const FOR_ONE: SignedDuration = SignedDuration::from_millis(1);

/// Of the time that is left no more than this part is kept back: some have to be begun, however many there are.
const AT_MOST_ONE_IN: i32 = 2;

impl Times {
    /// The same, for so many instances that are held.
    pub(super) fn with_reserve_for(self, held: usize, now: Timestamp) -> Self {
        let Self { looks_end, ends } = self;
        let left = ends.duration_since(now).max(SignedDuration::ZERO);
        let held = i32::try_from(held).unwrap_or(i32::MAX);
        let reserve = FOR_ONE.saturating_mul(held).min(left / AT_MOST_ONE_IN);
        let earlier = |moment: Timestamp| moment.saturating_sub(reserve).unwrap_or(Timestamp::MIN);
        Self { looks_end: earlier(looks_end), ends: earlier(ends) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-11-29T12:00:00Z".parse().unwrap()
    }

    /// How many seconds of a minute and a half are kept back for so many.
    fn kept_back(held: usize) -> f64 {
        let at = |seconds| noon() + SignedDuration::from_secs(seconds);
        let whole = Times { looks_end: at(85), ends: at(89) };
        let times = whole.with_reserve_for(held, noon());
        let gap = times.ends.duration_since(times.looks_end);
        assert_eq!(gap, SignedDuration::from_secs(4), "looks end before calls do, as ever");
        whole.ends.duration_since(times.ends).as_secs_f64()
    }

    #[test]
    fn the_more_are_held_the_more_time_is_kept_back_for_the_end_and_no_more_than_half() {
        assert_eq!([0, 1_000, 5_000, 15_000].map(kept_back), [0.0, 1.0, 5.0, 15.0]);
        assert_eq!([50_000, usize::MAX].map(kept_back), [44.5, 44.5]);
    }

    #[test]
    fn of_a_time_that_is_over_nothing_is_kept_back() {
        let over = Times { looks_end: noon(), ends: noon() };
        let times = over.with_reserve_for(1_000, noon() + SignedDuration::from_secs(1));
        assert_eq!((times.looks_end, times.ends), (noon(), noon()));
    }
}
