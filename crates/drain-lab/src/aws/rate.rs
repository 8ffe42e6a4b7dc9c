//! Throttling: a bucket of tokens that fills by the lab's clock.

use jiff::{SignedDuration, Timestamp};

/// So many calls a second, and as many at once after a second of rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateLimit {
    calls_per_second: u32,
    /// In nanoseconds of refilling: one call costs the time that it takes to earn it.
    saved: SignedDuration,
    filled_at: Timestamp,
}

impl RateLimit {
    pub(super) fn new(calls_per_second: u32, now: Timestamp) -> Self {
        Self { calls_per_second, saved: SignedDuration::from_secs(1), filled_at: now }
    }

    /// Whether one more call may pass at this moment.
    pub(super) fn admits(&mut self, now: Timestamp) -> bool {
        let earned = now.duration_since(self.filled_at);
        self.filled_at = now;
        self.saved = self.saved.saturating_add(earned).min(SignedDuration::from_secs(1));
        let Some(price) = i32::try_from(self.calls_per_second)
            .ok()
            .and_then(|rate| SignedDuration::from_secs(1).checked_div(rate))
        else {
            return false;
        };
        let admitted = self.saved >= price;
        if admitted {
            self.saved -= price;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_pass_as_fast_as_the_bucket_fills() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut limit = RateLimit::new(4, start);
        let admitted = |limit: &mut RateLimit, at| (0..10).filter(|_| limit.admits(at)).count();
        assert_eq!(admitted(&mut limit, start), 4);
        assert_eq!(admitted(&mut limit, start + SignedDuration::from_millis(249)), 0);
        assert_eq!(admitted(&mut limit, start + SignedDuration::from_millis(500)), 2);
        assert_eq!(admitted(&mut limit, start + SignedDuration::from_hours(1)), 4);
        assert_eq!(admitted(&mut RateLimit::new(0, start), start), 0, "a rate of zero admits nobody");
    }
}
