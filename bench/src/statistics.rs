//! The arithmetic of samples.

/// The value below which `share` of the samples lie, between 0 and 1: the nearest rank, so that every figure is one that
/// was measured. `NaN` if there are none.
pub(crate) fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank lies between zero and the number of samples"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// The one in the middle.
pub(crate) fn median(samples: &[f64]) -> f64 {
    percentile(samples, 0.5)
}

/// The slope of the straight line through points that are near it, by least squares, and how near they are: 1 is a line
/// (R²). Both are `NaN` for fewer than two different `x`.
pub(crate) fn line(points: &[(f64, f64)]) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "there are few points")]
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
    let sum =
        |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(x - x_mean, y - y_mean)).sum::<f64>();
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    (xy / xx, if yy == 0.0 { 1.0 } else { xy * xy / (xx * yy) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples = [9.0, 1.0, 7.0, 3.0, 5.0, 2.0, 8.0, 4.0, 6.0, 10.0];
        assert_eq!(
            [median(&samples), percentile(&samples, 0.9), percentile(&samples, 1.0)],
            [5.0, 9.0, 10.0]
        );
        assert_eq!(percentile(&samples, 0.0), 1.0);
        assert_eq!(median(&[4.0]), 4.0);
        assert_eq!(median(&[4.0, 6.0]), 4.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_line_is_a_line() {
        let (slope, fit) = line(&[(100.0, 305.0), (1000.0, 3005.0), (5000.0, 15005.0)]);
        assert!((slope - 3.0).abs() < 1e-9 && (fit - 1.0).abs() < 1e-9);
        let (_, square) = line(&[(1.0, 1.0), (10.0, 100.0), (100.0, 10_000.0), (1000.0, 1_000_000.0)]);
        assert!(square < 0.999, "{square}");
        assert_eq!(line(&[(1.0, 5.0), (2.0, 5.0)]), (0.0, 1.0));
        assert!(line(&[(1.0, 5.0)]).0.is_nan());
    }
}
