//! Arithmetic on measurements.

use std::cmp::Ordering;
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

/// How likely two equal servers are to give samples that lie as far apart as `a` and `b`, either way, by the test of Mann and Whitney: it
/// looks at how often one of `a` is the smaller, and at nothing else, so that an outlier weighs no more than its rank.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "nobody measures 2^26 rounds"
)]
pub fn chance(a: &[f64], b: &[f64]) -> f64 {
    let halves = |a: f64, b: f64| match a.total_cmp(&b) {
        Ordering::Less => 2_usize,
        Ordering::Equal => 1,
        Ordering::Greater => 0,
    };
    let smaller: usize = a.iter().flat_map(|&a| b.iter().map(move |&b| halves(a, b))).sum();
    let pairs = a.len() * b.len();
    let rarer = smaller.min(2 * pairs - smaller).div_ceil(2);
    // How many of the orders in which the samples could fall have each number of pairs in which the first is the smaller: the coefficients of
    // the product of (1 - x^(b + i)) / (1 - x^i).
    let mut orders = vec![0.0_f64; pairs + 1];
    orders[0] = 1.0;
    for i in 1..=a.len() {
        for count in (b.len() + i..=pairs).rev() {
            orders[count] -= orders[count - b.len() - i];
        }
        for count in i..=pairs {
            orders[count] += orders[count - i];
        }
    }
    let all: f64 = orders.iter().sum();
    (2.0 * orders[..=rarer].iter().sum::<f64>() / all).min(1.0)
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
    fn samples_apart_are_chance_once_in_all_their_orders() {
        let close = |chance: f64, expected: f64| assert!((chance - expected).abs() < 1e-12, "{chance}");
        // Of the 20 orders of three and three, one has all of the first below and one all above.
        close(chance(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 2.0 / 20.0);
        close(chance(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]), 2.0 / 20.0);
        // Of the 252 orders of five and five, 7 have at most three pairs with the first above, and 7 at most three below.
        close(chance(&[1.0, 2.0, 3.0, 5.0, 6.5], &[4.0, 6.0, 7.0, 8.0, 9.0]), 14.0 / 252.0);
        close(chance(&[1.0; 4], &[1.0; 4]), 1.0);
        close(chance(&[], &[1.0]), 1.0);
    }

    #[test]
    fn three_figures_are_shown() {
        let values = [0.0, 0.1234, 0.9999, 1.234, 9.999, 12.34, 123.4, 12345.6, 1_234_567.0, -1234.0];
        let expected = ["0", "0.123", "1.00", "1.23", "10.0", "12.3", "123", "12,346", "1,234,567", "-1,234"];
        assert_eq!(values.map(shown), expected);
        assert_eq!(shown(f64::NAN), "–");
    }
}
