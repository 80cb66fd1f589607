//! What can be told of a connection while it is open.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Driver;
use crate::information::{CompressionInformation, Statistics};

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            messages_received: self.connection.messages_received(),
            messages_sent: self.connection.messages_sent(),
            bytes_received: self.bytes_received,
            bytes_sent: self.connection.bytes_written(),
            round_trip_time: self.round_trip_time(),
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
}
