//! How long messages take from their first byte out to their last byte back.

use crate::Error;
use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The longest time that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(600);
/// Two figures: within one percent, in a table small enough for the processor's cache.
const FIGURES: u8 = 2;

/// What `Times` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Half of the messages were back by then.
    pub p50: Duration,
    /// All but one in a hundred were.
    pub p99: Duration,
}

/// The times of all messages of one exchange.
#[derive(Debug)]
pub(super) struct Times(Histogram<u64>);

impl Times {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self(Histogram::new_with_bounds(1, nanoseconds(LONGEST), FIGURES)?))
    }

    /// `None` if there was no message.
    pub(super) fn summary(&self) -> Option<Latency> {
        let at = |quantile| Duration::from_nanos(self.0.value_at_quantile(quantile));
        (!self.0.is_empty()).then(|| Latency { p50: at(0.5), p99: at(0.99) })
    }
}

/// When the messages in flight on one connection were begun.
///
/// Messages that left with one write share an entry, and those that came with one read are taken together: two looks at the
/// clock for all of them, so that measuring costs the generator next to nothing.
#[derive(Debug, Default)]
pub(super) struct Flights {
    begun: VecDeque<(Instant, u64)>,
}

impl Flights {
    /// `count` messages had their first byte written by a call that began at `now`.
    #[inline]
    pub(super) fn begin(&mut self, count: u64, now: Instant) {
        if count > 0 {
            self.begun.push_back((now, count));
        }
    }

    /// The oldest `count` messages were all back at `now`.
    #[inline]
    pub(super) fn end(&mut self, mut count: u64, now: Instant, times: &mut Times) {
        while count > 0
            && let Some((begun, left)) = self.begun.front_mut()
        {
            let ended = count.min(*left);
            times.0.saturating_record_n(nanoseconds(now - *begun), ended);
            count -= ended;
            *left -= ended;
            if *left == 0 {
                self.begun.pop_front();
            }
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(got: Duration, milliseconds: u64) {
        let expected = Duration::from_millis(milliseconds);
        assert!(got.abs_diff(expected) <= expected / 100, "{got:?} instead of {expected:?}");
    }

    #[test]
    fn each_message_counts_from_the_write_that_began_it() {
        let (mut flights, mut times) = (Flights::default(), Times::new().unwrap());
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        flights.begin(60, at(0));
        flights.begin(0, at(1));
        flights.begin(40, at(5));
        // 10 took 10 ms; then 50 took 20 ms and 39 took 15; the last took 95.
        flights.end(10, at(10), &mut times);
        flights.end(89, at(20), &mut times);
        same(times.summary().unwrap().p50, 20);
        same(times.summary().unwrap().p99, 20);
        flights.end(1, at(100), &mut times);
        same(Duration::from_nanos(times.0.max()), 95);
        assert_eq!(times.0.len(), 100);
        assert!(flights.begun.is_empty());
    }

    #[test]
    fn nothing_received_has_no_latency() {
        assert_eq!(Times::new().unwrap().summary(), None);
    }
}
