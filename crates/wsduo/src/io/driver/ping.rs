//! Pings of the caller's: their turn, their answers, and how long to wait for these.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Driver, Phase, Ping};
use crate::error::{Error, ErrorKind};
use crate::io::alarm::Alarm;
use crate::io::keys::Keys;

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    /// Queues a ping, unless one is under way.
    pub(crate) fn queue_ping(&mut self) -> Result<Ping, Error> {
        // Pings that were dropped must not pile up, nor keep their answers from being matched.
        if self.latest_ping <= self.latest_pong || self.gave_up_ping || !self.connection.is_open() {
            let result = self.connection.ping(Alarm::now(), &mut Keys);
            self.latest_ping = result.map_err(|error| self.refused(error))?;
            self.gave_up_ping = false;
        }
        let end = self.connection.bytes_written() + self.connection.queued() as u64;
        Ok(Ping { number: self.latest_ping, end })
    }

    /// Waits for the answer to that ping, or to a later one. Where many messages come before it, it waits for them to be
    /// received if there is `another` who does that.
    ///
    /// `patience` is set once the ping is written, and ends the wait: a peer that goes on sending, and so is not silent,
    /// may never answer.
    pub(crate) fn poll_pong(
        &mut self,
        cx: &mut Context<'_>,
        ping: Ping,
        another: bool,
        patience: &mut Alarm,
    ) -> Poll<Result<Duration, Error>> {
        let mut result = self.wait_for_pong(cx, ping.number, another);
        if result.is_pending()
            && let Some(timeout) = self.connection.config().receive_timeout
            && self.connection.bytes_written() >= ping.end
        {
            if self.is_far_ahead() {
                // The answer may have come: it is us who do not listen.
                patience.set(None);
            } else if !patience.is_set() {
                patience.set(Alarm::now().checked_add(timeout));
            }
            if patience.poll(cx) {
                self.gave_up_ping |= ping.number == self.latest_ping;
                let text = format!(
                    "the peer did not answer a ping within {timeout:?}, the receive timeout, though it sends other things"
                );
                result = Poll::Ready(Err(Error::text(ErrorKind::TimedOut, text)));
            }
        }
        self.sender_waits |= result.is_pending();
        self.park();
        result
    }

    pub(super) fn wait_for_pong(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        another: bool,
    ) -> Poll<Result<Duration, Error>> {
        loop {
            if let (true, Some(time)) = (self.latest_pong >= number, self.round_trip_time()) {
                return Poll::Ready(Ok(time));
            }
            if self.phase != Phase::Open {
                return Poll::Ready(Err(self.why_ended()));
            }
            if let Poll::Ready(Err(failure)) = self.poll_write(cx) {
                return Poll::Ready(Err(failure));
            }
            let before = self.bytes_received;
            self.read_ahead(cx);
            if self.latest_pong >= number || self.phase != Phase::Open {
                continue;
            }
            if self.is_far_ahead() && !another {
                let text = "too many messages wait to be received before the pong can be; receive them first";
                return Poll::Ready(Err(Error::text(ErrorKind::Busy, text)));
            }
            if self.bytes_received == before && !self.poll_clock(cx) {
                return Poll::Pending;
            }
        }
    }
}
