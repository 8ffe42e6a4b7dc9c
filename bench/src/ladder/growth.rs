//! Whether something grows in a straight line.

/// The slope of the straight line through points that are near it, by least squares, and how near they are: 1 is a line
/// (R²). Both are `NaN` for fewer than two different `x`.
pub(super) fn line(points: &[(f64, f64)]) -> (f64, f64) {
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
    fn a_line_is_a_line() {
        let (slope, fit) = line(&[(100.0, 305.0), (1000.0, 3005.0), (5000.0, 15005.0)]);
        assert!((slope - 3.0).abs() < 1e-9 && (fit - 1.0).abs() < 1e-9);
        let (_, square) = line(&[(1.0, 1.0), (10.0, 100.0), (100.0, 10_000.0), (1000.0, 1_000_000.0)]);
        assert!(square < 0.999, "{square}");
        assert_eq!(line(&[(1.0, 5.0), (2.0, 5.0)]), (0.0, 1.0));
        assert!(line(&[(1.0, 5.0)]).0.is_nan());
    }
}
