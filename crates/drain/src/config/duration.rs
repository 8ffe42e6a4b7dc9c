//! Durations as the contract writes them: `1h30m`, `90m`, `45s`, `200ms`.

use jiff::SignedDuration;

/// The longest that Nomad can be told: it counts nanoseconds in 64 bits, with a sign.
const LONGEST: SignedDuration = SignedDuration::from_nanos(i64::MAX);

/// What is said of a text that is none.
const NO_DURATION: &str =
    "not a duration above zero such as 1h30m, 90m, 45s or 200ms (numbers with the units h, m, s, ms)";

/// What is said of one that is too long.
const TOO_LONG: &str =
    "longer than 2562047h, the longest that Nomad can be told (it counts nanoseconds in 64 bits)";

/// Reads one or more number+unit with the units h, m, s and ms; the total has to be above zero. The error says what
/// the text is instead.
pub fn parse(text: &str) -> Result<SignedDuration, &'static str> {
    let mut total = SignedDuration::ZERO;
    let mut too_long = false;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let (millis, after) = unit(after).filter(|_| digits > 0).ok_or(NO_DURATION)?;
        // Digits are always a number; one that does not fit is too long for every unit.
        let part = number.parse().ok().and_then(|number: i64| number.checked_mul(millis));
        match part.and_then(|millis| total.checked_add(SignedDuration::from_millis(millis))) {
            Some(sum) => total = sum,
            None => too_long = true,
        }
        rest = after;
    }
    if too_long || total > LONGEST {
        return Err(TOO_LONG);
    }
    if total > SignedDuration::ZERO { Ok(total) } else { Err(NO_DURATION) }
}

/// As [`parse`], and `0` and `0s` are taken too.
pub(super) fn parse_or_zero(text: &str) -> Result<SignedDuration, &'static str> {
    if matches!(text, "0" | "0s") { Ok(SignedDuration::ZERO) } else { parse(text) }
}

/// The unit at the start of `text` in milliseconds, and what follows it.
fn unit(text: &str) -> Option<(i64, &str)> {
    const UNITS: [(&str, i64); 4] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    UNITS.iter().find_map(|&(name, millis)| Some((millis, text.strip_prefix(name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_more_numbers_with_units_are_added() {
        for (text, millis) in [
            ("1h", 3_600_000),
            ("1h30m", 5_400_000),
            ("90m", 5_400_000),
            ("45s", 45_000),
            ("200ms", 200),
            ("1s500ms", 1_500),
        ] {
            assert_eq!(parse(text), Ok(SignedDuration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn bare_numbers_zero_signs_fractions_and_other_units_are_refused() {
        for text in [
            "",
            "60",
            "0s",
            "0h0m",
            "-1h",
            "1.5h",
            "1d",
            "1h 30m",
            "h",
            "1H",
            "1us",
            "99999999999999999999",
            "99999999999999999999h and more",
        ] {
            assert_eq!(parse(text), Err(NO_DURATION), "{text}");
        }
    }
    #[test]
    fn the_longest_is_what_nomads_nanoseconds_hold() {
        for text in ["2562047h", "2562047h47m16s854ms"] {
            assert!(parse(text).unwrap() <= LONGEST, "{text}");
        }
        for text in ["2562048h", "2562047h47m16s855ms", "99999999999999999999h", "9223372036854775807h"] {
            assert_eq!(parse(text), Err(TOO_LONG), "{text}");
        }
    }

    #[test]
    fn zero_is_taken_where_it_means_something() {
        for text in ["0", "0s"] {
            assert_eq!(parse_or_zero(text), Ok(SignedDuration::ZERO), "{text}");
        }
        assert_eq!(parse_or_zero("10s"), Ok(SignedDuration::from_secs(10)));
        for text in ["0h0", "00", "-0", "10"] {
            assert_eq!(parse_or_zero(text), Err(NO_DURATION), "{text}");
        }
    }
}
