//! Durations as the contract writes them: `1h30m`, `90m`, `45s`, `200ms`.

use jiff::SignedDuration;

/// No setting of ours is longer: Nomad counts nanoseconds in 64 bits, and Auto Scaling holds an instance for 48 hours.
const LONGEST: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// Reads one or more number+unit with the units h, m, s and ms; the total has to be above zero.
pub(super) fn parse(text: &str) -> Option<SignedDuration> {
    let mut total = SignedDuration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let number: i64 = number.parse().ok()?;
        let (millis, after) = unit(after)?;
        total = total.checked_add(SignedDuration::from_millis(number.checked_mul(millis)?))?;
        rest = after;
    }
    (total > SignedDuration::ZERO && total <= LONGEST).then_some(total)
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
            assert_eq!(parse(text), Some(SignedDuration::from_millis(millis)), "{text}");
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
            "99999999999999999999h",
            "100000h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
