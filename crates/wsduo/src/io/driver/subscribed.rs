//! Sending what a subscription brings, while messages are received or nothing else is done.

use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use wsduo_proto::{Closed, CommandError, Message, Outgoing};

use super::{Driver, Phase};
use crate::broadcast::{Subscription, TooSlow};
use crate::error::{Error, ErrorKind};
use crate::message_web_socket::poll_receive;

/// Why no more is taken from a subscription.
enum Stop {
    /// Nothing waits in it.
    Empty,
    /// As much is queued as the connection allows, or it is closing.
    Full,
    TooSlow,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    /// Receives, and sends what the subscription brings. A receiver that was too slow is closed.
    pub(crate) fn poll_receive_with(
        &mut self,
        cx: &mut Context<'_>,
        subscription: &mut Subscription,
    ) -> Poll<Result<Option<Message>, Error>> {
        loop {
            let stop = self.take_from(cx.waker(), subscription)?;
            if matches!(stop, Stop::TooSlow) {
                self.begin_close(TooSlow::CLOSE_CODE, TooSlow::REASON)?;
            }
            // What was taken leaves before this waits.
            let received = poll_receive(self, cx);
            if received.is_ready() || !matches!(stop, Stop::Full) || !self.has_room() {
                return received;
            }
        }
    }

    /// Sends what the subscription brings, until the connection ends. `Ok`: the receiver was too slow, and was closed.
    pub(crate) fn poll_forward(
        &mut self,
        cx: &mut Context<'_>,
        waker: &Waker,
        subscription: &mut Subscription,
    ) -> Poll<Result<Closed, Error>> {
        loop {
            let stop = self.take_from(waker, subscription)?;
            if matches!(stop, Stop::TooSlow) || subscription.is_too_slow() {
                let closed = ready!(self.poll_close(cx, TooSlow::CLOSE_CODE, TooSlow::REASON))?;
                return Poll::Ready(match closed.code {
                    TooSlow::CLOSE_CODE => Ok(closed),
                    _ => Err(self.why_ended()),
                });
            }
            self.poll_tend(cx);
            if let Some(failure) = &self.write_failure {
                return Poll::Ready(Err(failure.clone()));
            }
            if self.phase != Phase::Open || !self.connection.is_open() {
                return Poll::Ready(Err(self.why_ended()));
            }
            if !matches!(stop, Stop::Full) || !self.has_room() {
                return Poll::Pending;
            }
        }
    }

    /// Queues what the subscription brings, while there is room.
    fn take_from(&mut self, waker: &Waker, subscription: &mut Subscription) -> Result<Stop, Error> {
        loop {
            if self.phase != Phase::Open || !self.connection.is_open() {
                return Ok(Stop::Full);
            }
            if self.is_unfinished() {
                // What was taken now could not be sent, and would be lost.
                return match subscription.poll_ready(waker) {
                    Poll::Ready(Ok(())) => Err(CommandError::MessageUnfinished.into()),
                    Poll::Ready(Err(TooSlow { .. })) => Ok(Stop::TooSlow),
                    Poll::Pending => Ok(Stop::Empty),
                };
            }
            // A full connection too has to learn that its receiver was let go.
            let has_room = !self.connection.is_full();
            match subscription.poll_take(waker, has_room) {
                Poll::Ready(Ok(message)) => self.queue(Outgoing::from(&message))?,
                Poll::Ready(Err(TooSlow { .. })) => return Ok(Stop::TooSlow),
                Poll::Pending if has_room => return Ok(Stop::Empty),
                Poll::Pending => return Ok(Stop::Full),
            }
        }
    }

    /// Whether another message may be queued: not while closing.
    fn has_room(&self) -> bool {
        self.phase == Phase::Open && self.connection.is_open() && !self.connection.is_full()
    }

    /// Bytes that are queued and not written.
    pub(crate) fn queued(&self) -> usize {
        self.connection.queued()
    }

    /// [`queue`](Self::queue), if that need not wait for room.
    pub(crate) fn try_queue(&mut self, message: Outgoing<'_>) -> Result<(), Error> {
        if self.phase == Phase::Open && self.connection.is_full() {
            let text = format!(
                "{} bytes are queued, which is what max_queued allows; wait by feed or send",
                self.queued()
            );
            return Err(Error::text(ErrorKind::Busy, text));
        }
        self.queue(message)
    }
}
