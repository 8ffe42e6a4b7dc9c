//! Moments and times, as people say them. Clocks are UTC, as in the logs of AWS and Nomad.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A time in its two largest units: `45s`, `12m 3s`, `3h 5m`, `2d 4h`.
pub(super) fn long(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// How far away a moment is.
pub(super) fn until(moment: Timestamp, now: Timestamp) -> String {
    let left = moment.duration_since(now);
    match left.as_secs() {
        0 => "now".to_owned(),
        1.. => format!("in {}", long(left)),
        _ => format!("{} ago", long(left.abs())),
    }
}

/// A moment and how long ago it was.
pub(super) fn ago(moment: Timestamp, now: Timestamp) -> String {
    format!("{} UTC ({} ago)", exact(moment, now), long(now.duration_since(moment)))
}

/// A moment on the clock, with its date if that is not today's.
pub(super) fn exact(moment: Timestamp, now: Timestamp) -> String {
    let date = |moment: Timestamp| moment.to_zoned(TimeZone::UTC).date();
    let format = if date(moment) == date(now) { "%H:%M:%S" } else { "%b %d %H:%M" };
    moment.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_their_two_largest_units() {
        let said = [0, 59, 60, 723, 3_599, 3_600, 11_100, 86_400, 187_200, -5]
            .map(|seconds| long(SignedDuration::from_secs(seconds)));
        let expected = ["0s", "59s", "1m 0s", "12m 3s", "59m 59s", "1h 0m", "3h 5m", "1d 0h", "2d 4h", "0s"];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_moment_of_another_day_has_its_date() {
        let now: Timestamp = "2026-11-29T00:01:00Z".parse().unwrap();
        assert_eq!(exact("2026-11-29T00:00:59Z".parse().unwrap(), now), "00:00:59");
        assert_eq!(exact("2026-11-28T23:59:59Z".parse().unwrap(), now), "Nov 28 23:59");
        assert_eq!(ago("2026-11-28T23:59:00Z".parse().unwrap(), now), "Nov 28 23:59 UTC (2m 0s ago)");
    }

    #[test]
    fn a_moment_is_ahead_or_behind() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let said = ["12:00:00Z", "12:01:05Z", "11:59:00Z"]
            .map(|clock| until(format!("2026-11-29T{clock}").parse().unwrap(), now));
        assert_eq!(said, ["now", "in 1m 5s", "1m 0s ago"]);
    }
}
