//! The end of a connection: the closing handshake, what is still read and dropped after it, and how it went.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use wsduo_proto::{CloseCode, Closed, CommandError, Role};

use super::{Changed, Driver, Phase};
use crate::error::{Error, ErrorKind};
use crate::io::scratch;
use crate::reconnect::End;

/// How many reads are made at once while what they bring is dropped.
const DRAINED_AT_ONCE: usize = 16;

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    /// The transport ended, or failed.
    #[cold]
    pub(super) fn lost(&mut self, error: Option<io::Error>) {
        let failure = self.write_failure.take().unwrap_or_else(|| match error {
            Some(error) => Error::lost(error),
            None => Error::ended_without_close(),
        });
        self.failure = Some(failure);
        self.done();
    }

    pub(super) fn done(&mut self) {
        self.connection.receive_end();
        if self.failure.is_none() && !self.is_clean() {
            self.failure = self.write_failure.take();
        }
        if let (Some(note), Some(closed)) = (&self.end_note, self.connection.closed()) {
            // The first end is the end.
            let _ = note.set(End { at: tokio::time::Instant::now(), closed: closed.clone() });
        }
        self.tell_end();
        self.alarm.set(None);
        self.phase = Phase::Done;
        self.changed = Changed { for_receiver: true, for_senders: true };
    }

    /// The listener shuts down: begins the closing handshake. What was read ahead is kept for the receiver.
    pub(super) fn go_away(&mut self) {
        if self.phase == Phase::Open && self.connection.is_open() {
            // Code and reason are good.
            let _ = self.connection.close(CloseCode::GOING_AWAY, "the server is shutting down");
            self.discarding = true;
            self.changed = Changed { for_receiver: true, for_senders: true };
        }
    }

    /// The listener has waited long enough.
    pub(super) fn cut(&mut self) {
        if self.phase != Phase::Done {
            let text = "the server shut down before the closing handshake was over";
            self.failure.get_or_insert_with(|| Error::text(ErrorKind::Closed, text));
            self.done();
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.connection.closed().is_some_and(|closed| closed.clean)
    }

    /// Begins the closing handshake. Nothing more is received.
    pub(crate) fn begin_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.connection.close(code, reason)?;
        self.discard();
        Ok(())
    }

    /// Begins the closing handshake, if none has begun, and sees it to its end. Data that arrives is dropped; what has
    /// arrived before is kept for the receiver.
    pub(crate) fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        code: CloseCode,
        reason: &str,
    ) -> Poll<Result<Closed, Error>> {
        if self.connection.is_open() && !self.discarding {
            // What is compressed may be a thousand times larger than it was.
            while self.phase == Phase::Open && !self.keeps(scratch::READ_BUFFER) && self.keep_unread() {}
        }
        // The arguments are checked whatever the state.
        self.connection.close(code, reason)?;
        self.changed.for_receiver |= !self.discarding;
        self.discarding = true;
        self.only_sending = false;
        let closing = self.poll_closing(cx);
        self.park();
        ready!(closing);
        // Whatever was cut short was dropped on purpose.
        self.mid_message = false;
        Poll::Ready(match self.connection.closed() {
            Some(closed) => Ok(closed.clone()),
            None => Err(self.why_ended()),
        })
    }

    pub(super) fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.drop_unread();
            if self.phase != Phase::Open {
                return self.poll_end(cx);
            }
            let _ = self.poll_write(cx);
            match self.poll_read(cx) {
                Poll::Ready(_) => {}
                Poll::Pending if self.write_failure.is_some() => self.lost(None),
                Poll::Pending if self.poll_clock(cx) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let progress = match self.phase {
                Phase::Open | Phase::Done => return Poll::Ready(()),
                Phase::Flushing => self.poll_write(cx).map(|written| {
                    if written.is_err() {
                        Phase::Done
                    } else if self.is_clean() && self.connection.role() == Role::Client {
                        Phase::AwaitingEnd
                    } else {
                        Phase::ShuttingDown
                    }
                }),
                Phase::ShuttingDown => Pin::new(&mut self.transport)
                    .poll_shutdown(cx)
                    .map(|_| if self.is_clean() { Phase::Done } else { Phase::Draining }),
                Phase::AwaitingEnd => self.poll_drain(cx).map(|()| Phase::ShuttingDown),
                Phase::Draining => self.poll_drain(cx).map(|()| Phase::Done),
            };
            match progress {
                Poll::Ready(Phase::Done) => self.done(),
                Poll::Ready(phase) => self.phase = phase,
                Poll::Pending => {
                    if !self.poll_clock(cx) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Reads and drops what arrives until the transport ends.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..DRAINED_AT_ONCE {
            let dropped = self.input.unread().len();
            self.input.consume(dropped);
            match ready!(self.input.poll_fill(&mut self.transport, cx)) {
                Ok(n) if n > 0 => {}
                _ => return Poll::Ready(()),
            }
        }
        // A peer that never stops must not keep the task from looking at the clock.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What the end is for a receiver: fine if clean, else its cause.
    pub(crate) fn outcome(&self) -> Result<(), Error> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None if self.is_clean() => Ok(()),
            None => Err(Error::ended_without_close()),
        }
    }

    /// Why nothing can be sent any more.
    pub(super) fn why_ended(&self) -> Error {
        match (&self.failure, self.connection.closed()) {
            (Some(failure), _) => failure.clone(),
            (None, Some(closed)) => {
                Error::text(ErrorKind::Closed, format!("nothing more can be sent: {closed}"))
            }
            (None, None) => CommandError::Closing.into(),
        }
    }
}
