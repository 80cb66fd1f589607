//! The figures of a connection, and when they are told to whoever watches it.

use std::time::Duration;

use super::Driver;
use crate::information::{CompressionInformation, Facts, Statistics};
use crate::observe::{Asked, Ending, Watch};

impl<T> Driver<T> {
    /// Lets whoever wants to watch the connection from now on.
    pub(crate) fn begin_watch(&mut self, facts: &Facts, asked: &Asked) {
        let agreement = self.connection.compression().map(|(agreement, _)| agreement);
        self.watch = Watch::begin(self.connection.role(), facts, agreement, asked);
    }

    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            messages_received: self.connection.messages_received(),
            messages_sent: self.connection.messages_sent(),
            bytes_received: self.bytes_received,
            bytes_sent: self.connection.bytes_written(),
            bytes_queued: self.connection.queued() as u64,
            round_trip_time: self.round_trip_time(),
            smoothed_round_trip_time: self
                .round_trip_micros
                .map(|_| Duration::from_micros(self.smoothed_round_trip_micros.into())),
        }
    }

    /// What the latest answered ping took.
    pub(super) fn round_trip_time(&self) -> Option<Duration> {
        self.round_trip_micros.map(|micros| Duration::from_micros(micros.into()))
    }

    pub(crate) fn compression(&self) -> Option<CompressionInformation> {
        let (agreement, statistics) = self.connection.compression()?;
        Some(CompressionInformation { agreement, statistics })
    }

    /// Tells what was counted since the last time.
    #[cold]
    pub(super) fn tell(&mut self) {
        let statistics = self.statistics();
        self.watch.tell(statistics);
    }

    /// A ping was answered.
    pub(super) fn note_round_trip(&mut self, time: Duration) {
        let latest = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.smoothed_round_trip_micros = match self.round_trip_micros {
            None => latest,
            // As TCP smooths its own (RFC 6298 §2).
            Some(_) => {
                let smoothed = (u64::from(self.smoothed_round_trip_micros) * 7 + u64::from(latest)) / 8;
                u32::try_from(smoothed).unwrap_or(u32::MAX)
            }
        };
        self.round_trip_micros = Some(latest);
        self.watch.round_trip(time);
    }

    /// The connection has ended.
    pub(super) fn tell_end(&mut self) {
        let statistics = self.statistics();
        let (closed, failure) = (self.connection.closed(), self.failure.as_ref());
        self.watch.end(Ending { closed, failure, statistics });
    }
}

/// A socket that is dropped while it is open ends its connection too.
#[cfg(any(feature = "tracing", feature = "metrics"))]
impl<T> Drop for Driver<T> {
    fn drop(&mut self) {
        self.tell_end();
    }
}
