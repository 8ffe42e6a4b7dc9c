//! What a sweep keeps back of its time for its end. What has been begun must be told, in the log, in the metrics and in the
//! answer, or Lambda cuts the sweep off and nobody learns of it; and telling of thousands takes time too.

use jiff::{SignedDuration, Timestamp};

use crate::invocation::Times;

/// For the end of one instance, with a whole CPU: a millisecond in the smallest function, which has 7 % of one. There a whole drain
/// takes 4 ms or more (docs/performance.md, "What one sweep begins"), and its end, which makes no call, less than a quarter of that.
const FOR_ONE: SignedDuration = SignedDuration::from_micros(72);

/// With so many MB a function has a whole CPU, and with less as much less of one (AWS Lambda Developer Guide, "Configure Lambda
/// function memory").
const WHOLE_CPU_MB: i32 = 1_769;

/// Of the time that is left no more than this part is kept back: some have to be begun, however many there are.
const AT_MOST_ONE_IN: i32 = 2;

impl Times {
    /// The same, for so many instances that are held, in a function of this memory; elsewhere there is a CPU.
    pub(super) fn with_reserve_for(self, held: usize, memory_mb: Option<u16>, now: Timestamp) -> Self {
        let Self { looks_end, ends } = self;
        let left = ends.duration_since(now).max(SignedDuration::ZERO);
        let held = i32::try_from(held).unwrap_or(i32::MAX);
        let memory = memory_mb.map_or(WHOLE_CPU_MB, i32::from).clamp(1, WHOLE_CPU_MB);
        let reserve = FOR_ONE.saturating_mul(held).saturating_mul(WHOLE_CPU_MB) / memory;
        let reserve = reserve.min(left / AT_MOST_ONE_IN);
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

    /// How much of a minute and a half is kept back for so many, in milliseconds.
    fn kept_back(held: usize, memory_mb: Option<u16>) -> i128 {
        let at = |seconds| noon() + SignedDuration::from_secs(seconds);
        let whole = Times { looks_end: at(85), ends: at(89) };
        let times = whole.with_reserve_for(held, memory_mb, noon());
        let gap = times.ends.duration_since(times.looks_end);
        assert_eq!(gap, SignedDuration::from_secs(4), "looks end before calls do, as ever");
        whole.ends.duration_since(times.ends).as_millis()
    }

    #[test]
    fn the_more_are_held_the_more_time_is_kept_back_for_the_end_and_no_more_than_half() {
        let kept_back = |held| kept_back(held, Some(128));
        assert_eq!([0, 1_000, 5_000, 15_000].map(kept_back), [0, 995, 4_975, 14_925]);
        assert_eq!([50_000, usize::MAX].map(kept_back), [44_500, 44_500]);
    }

    #[test]
    fn the_more_of_a_cpu_there_is_the_less_time_is_kept_back() {
        let kept_back = |memory| kept_back(10_000, memory);
        assert_eq!([Some(256), Some(512), Some(1_769)].map(kept_back), [4_975, 2_487, 720]);
        assert_eq!([Some(10_240), None].map(kept_back), [720, 720], "one sweep uses one CPU");
    }

    #[test]
    fn of_a_time_that_is_over_nothing_is_kept_back() {
        let over = Times { looks_end: noon(), ends: noon() };
        let times = over.with_reserve_for(1_000, None, noon() + SignedDuration::from_secs(1));
        assert_eq!((times.looks_end, times.ends), (noon(), noon()));
    }
}
