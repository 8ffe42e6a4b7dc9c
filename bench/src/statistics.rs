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

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "a percentile is a sample, and no sum of any")]
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
}
