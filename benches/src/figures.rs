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

/// The mean that suits ratios: of a half and a double it is one. Not a number if there are none.
#[allow(clippy::cast_precision_loss, reason = "nobody measures 2^53 cells")]
pub fn geometric_mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let logarithms: Vec<f64> = values.into_iter().map(f64::ln).collect();
    (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp()
}

/// Three figures of `value` or more, with its thousands apart: `0.123`, `1.23`, `12.3`, `123`, `12,345`.
pub fn shown(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "–".to_owned(),
        0.0 => "0".to_owned(),
        ..0.9995 => format!("{value:.3}"),
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => grouped(&format!("{value:.0}")),
    }
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_ignores_the_outlier() {
        assert_eq!(median([1.0, 900.0, 2.0]), 2.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn a_half_and_a_double_are_one_on_average() {
        assert!((geometric_mean([0.5, 2.0]) - 1.0).abs() < 1e-12);
        assert!((geometric_mean([8.0, 1.0, 1.0]) - 2.0).abs() < 1e-12);
        assert!(geometric_mean([]).is_nan());
    }

    #[test]
    fn three_figures_are_shown() {
        let values = [0.0, 0.1234, 0.9999, 1.234, 9.999, 12.34, 123.4, 12345.6, 1_234_567.0, -1234.0];
        let expected = ["0", "0.123", "1.00", "1.23", "10.0", "12.3", "123", "12,346", "1,234,567", "-1,234"];
        assert_eq!(values.map(shown), expected);
        assert_eq!(shown(f64::NAN), "–");
    }
}
