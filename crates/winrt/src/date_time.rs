//! Points and lengths of time as Windows counts them: in steps of 100 nanoseconds, since 1601.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::Error;

const STEPS_PER_SECOND: i128 = 10_000_000;
const NANOSECONDS_PER_STEP: i128 = 100;
/// From 1601-01-01 to 1970-01-01: 369 years of 365 days, and 89 leap days.
const STEPS_BEFORE_UNIX: i128 = (369 * 365 + 89) * 86_400 * STEPS_PER_SECOND;

/// A point in time (`Windows.Foundation.DateTime`).
///
/// # Examples
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use wsduo_winrt::DateTime;
///
/// let time = DateTime::try_from(UNIX_EPOCH + Duration::from_secs(1))?;
/// assert_eq!(time.universal_time, 116_444_736_010_000_000);
/// # Ok::<(), wsduo_winrt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DateTime {
    /// Steps of 100 nanoseconds since 1601-01-01 00:00 UTC. Negative before.
    pub universal_time: i64,
}

impl TryFrom<SystemTime> for DateTime {
    type Error = Error;

    /// What is finer than a step is cut off, towards the past. Fails with [`Error::INVALID_ARGUMENT`] outside
    /// of the years −27,627 to 30,828, which a 64-bit number of steps cannot tell.
    fn try_from(time: SystemTime) -> Result<Self, Error> {
        let nanoseconds = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => signed_nanoseconds(after),
            Err(before) => -signed_nanoseconds(before.duration()),
        };
        let steps = nanoseconds.div_euclid(NANOSECONDS_PER_STEP) + STEPS_BEFORE_UNIX;
        Ok(Self { universal_time: i64::try_from(steps).map_err(|_| out_of_range("a DateTime"))? })
    }
}

impl TryFrom<DateTime> for SystemTime {
    type Error = Error;

    /// Fails with [`Error::INVALID_ARGUMENT`] where the system's own clock cannot tell the time: Windows,
    /// before 1601.
    fn try_from(time: DateTime) -> Result<Self, Error> {
        let steps = i128::from(time.universal_time) - STEPS_BEFORE_UNIX;
        let distance = duration(steps.unsigned_abs());
        let time =
            if steps < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
        time.ok_or_else(|| out_of_range("a SystemTime"))
    }
}

/// A length of time (`Windows.Foundation.TimeSpan`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeSpan {
    /// Steps of 100 nanoseconds. Negative: back in time.
    pub duration: i64,
}

impl TryFrom<Duration> for TimeSpan {
    type Error = Error;

    /// What is finer than a step is cut off. Fails with [`Error::INVALID_ARGUMENT`] past 29,227 years.
    fn try_from(duration: Duration) -> Result<Self, Error> {
        let steps = signed_nanoseconds(duration) / NANOSECONDS_PER_STEP;
        Ok(Self { duration: i64::try_from(steps).map_err(|_| out_of_range("a TimeSpan"))? })
    }
}

impl TryFrom<TimeSpan> for Duration {
    type Error = Error;

    /// Fails with [`Error::INVALID_ARGUMENT`] if it is negative.
    fn try_from(span: TimeSpan) -> Result<Self, Error> {
        let steps = u64::try_from(span.duration).map_err(|_| out_of_range("a Duration"))?;
        Ok(duration(u128::from(steps)))
    }
}

/// At most 2⁶⁴ seconds, which is far from the end of an `i128`.
fn signed_nanoseconds(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

/// So many steps, of which there are less than 2⁶⁵.
fn duration(steps: u128) -> Duration {
    let per_second = STEPS_PER_SECOND.unsigned_abs();
    let seconds = u64::try_from(steps / per_second).unwrap_or(u64::MAX);
    let rest = u32::try_from(steps % per_second * NANOSECONDS_PER_STEP.unsigned_abs()).unwrap_or_default();
    Duration::new(seconds, rest)
}

fn out_of_range(what: &str) -> Error {
    Error::new(Error::INVALID_ARGUMENT, format!("a time that {what} cannot hold"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_unix_begins_in_1970() {
        let time = DateTime { universal_time: 116_444_736_000_000_000 };
        assert_eq!(SystemTime::try_from(time).unwrap(), UNIX_EPOCH);
        assert_eq!(DateTime::try_from(UNIX_EPOCH).unwrap(), time);
    }

    #[test]
    fn what_is_finer_than_a_step_is_cut_off_towards_the_past() {
        let epoch = DateTime::try_from(UNIX_EPOCH).unwrap().universal_time;
        for (time, steps) in [
            (UNIX_EPOCH + Duration::from_nanos(199), 1),
            (UNIX_EPOCH - Duration::from_nanos(1), -1),
            (UNIX_EPOCH - Duration::from_nanos(100), -1),
        ] {
            assert_eq!(DateTime::try_from(time).unwrap().universal_time - epoch, steps);
        }
    }

    #[cfg(unix)]
    #[test]
    fn every_date_time_is_a_system_time_and_back() {
        for universal_time in [i64::MIN, -1, 0, 1, i64::MAX] {
            let time = DateTime { universal_time };
            assert_eq!(DateTime::try_from(SystemTime::try_from(time).unwrap()).unwrap(), time);
        }
        let late = UNIX_EPOCH + Duration::from_secs(u64::MAX / 4);
        assert_eq!(DateTime::try_from(late).unwrap_err().code(), Error::INVALID_ARGUMENT);
    }

    #[test]
    fn a_time_span_is_a_duration_unless_it_is_negative() {
        let span = TimeSpan::try_from(Duration::new(1, 250)).unwrap();
        assert_eq!(span.duration, 10_000_002);
        assert_eq!(Duration::try_from(span).unwrap(), Duration::new(1, 200));
        let negative = Duration::try_from(TimeSpan { duration: -1 });
        assert_eq!(negative.unwrap_err().code(), Error::INVALID_ARGUMENT);
        assert_eq!(TimeSpan::try_from(Duration::MAX).unwrap_err().code(), Error::INVALID_ARGUMENT);
    }
}
