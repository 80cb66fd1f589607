//! Arithmetic on measurements.

use std::time::Duration;

/// Nanoseconds of `time` for each of `count`.
#[allow(clippy::cast_precision_loss, reason = "a count of messages is far below 2^53")]
pub fn nanoseconds_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

/// How many of `count` happened in a second.
#[allow(clippy::cast_precision_loss, reason = "a count of messages is far below 2^53")]
pub fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// The middle of `values`, or of the two in the middle the lower. Not a number if there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_ignores_the_outlier() {
        assert_eq!(median([1.0, 900.0, 2.0]), 2.0);
        assert!(median([]).is_nan());
    }
}
