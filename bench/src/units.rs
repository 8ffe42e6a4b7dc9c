//! Figures as people read them: three digits that count, and their unit.

/// Three significant digits, with commas between thousands.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        return "–".to_owned();
    }
    // The sum of nothing is -0.
    let (value, size) = (value + 0.0, value.abs());
    let text = match size {
        _ if size >= 99.95 || size == 0.0 => format!("{value:.0}"),
        _ if size >= 9.995 => format!("{value:.1}"),
        _ if size >= 0.0995 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    match text.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", thousands(whole)),
        None => thousands(&text),
    }
}

/// A round number, without digits that say nothing.
pub(crate) fn whole(value: f64) -> String {
    thousands(&format!("{:.0}", value + 0.0))
}

/// A number of things.
pub(crate) fn count(value: u64) -> String {
    thousands(&value.to_string())
}

/// Milliseconds.
pub(crate) fn milliseconds(value: f64) -> String {
    format!("{} ms", number(value))
}

/// Seconds.
pub(crate) fn seconds(value: f64) -> String {
    format!("{} s", number(value))
}

/// Megabytes of a million bytes each.
pub(crate) fn megabytes(bytes: f64) -> String {
    format!("{} MB", number(bytes / 1e6))
}

/// How many times as much.
pub(crate) fn times(ratio: f64) -> String {
    format!("{} ×", number(ratio))
}

fn thousands(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_that_count() {
        let told: Vec<String> =
            [0.0, 0.0123, 0.5, 1.0, 1.234, 9.999, 12.34, 123.4, 1234.5, -1_234_567.0, f64::NAN]
                .map(number)
                .into();
        assert_eq!(
            told,
            ["0", "0.0123", "0.50", "1.00", "1.23", "10.0", "12.3", "123", "1,234", "-1,234,567", "–"]
        );
        assert_eq!(number(-0.0), "0");
        assert_eq!([count(15_000), whole(15_000.0), whole(10.0)], ["15,000", "15,000", "10"]);
        assert_eq!(
            [milliseconds(2.34), seconds(0.25), megabytes(1_884_136.0), times(40.0)],
            ["2.34 ms", "0.25 s", "1.88 MB", "40.0 ×"]
        );
    }
}
