//! The connection as a stream of bytes: payloads go into the reader's memory, wherever messages begin and end.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use wsduo_proto::{CloseCode, Delivery, Event, MessageType, ProtocolError};

use super::{Driver, Phase};
use crate::error::{Error, ErrorKind};

/// Where so much of a payload is to come, and the reader has room for so much, it is read there without a buffer between.
const READ_STRAIGHT: usize = 4 << 10;

/// How much is read at least into the thread's buffer, so that a reader with little room does not cost a call for each.
const READ_AT_LEAST: usize = 32 << 10;

/// More than a header has.
const HEADER: usize = 16;

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    /// From now on only bytes are wanted: read-ahead need not put messages together.
    pub(crate) fn begin_stream(&mut self) {
        self.delivery = Delivery::Parts;
    }

    /// Whether a message was handed out in part, or sent in part.
    pub(crate) fn is_mid_message(&self) -> bool {
        self.mid_message || self.connection.unfinished().is_some()
    }

    /// Whether data can be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open && self.connection.is_open()
    }

    /// Whether the message of which parts were queued is not ended.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.connection.unfinished().is_some()
    }

    /// Puts payload bytes into `room`, which is not empty; nothing if the connection was closed cleanly.
    pub(crate) fn poll_payload(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        refuse_text: bool,
    ) -> Poll<Result<(), Error>> {
        self.only_sending = false;
        let result = self.fill(cx, room, refuse_text);
        self.park();
        result
    }

    /// [`pump`](Self::pump) for bytes.
    fn fill(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
        refuse_text: bool,
    ) -> Poll<Result<(), Error>> {
        let before = room.filled().len();
        loop {
            self.deliver_kept(room, refuse_text);
            self.deliver_read(room, refuse_text);
            if room.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            if self.phase != Phase::Open {
                ready!(self.poll_end(cx));
                return Poll::Ready(self.outcome_for_bytes());
            }
            let _ = self.poll_write(cx);
            match self.poll_read_payload(cx, room) {
                Poll::Ready(()) => {}
                Poll::Pending if self.write_failure.is_some() => self.lost(None),
                Poll::Pending if self.poll_clock(cx) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// What was read while only a sender was polled.
    fn deliver_kept(&mut self, room: &mut ReadBuf<'_>, refuse_text: bool) {
        while let Some(ahead) = &mut self.ahead {
            let n = ahead.opened.len().min(room.remaining());
            room.put_slice(&ahead.opened[..n]);
            ahead.opened.advance(n);
            if !ahead.opened.is_empty() || room.remaining() == 0 {
                return;
            }
            let (bytes, message_type, is_complete) = match ahead.pop() {
                Some(Event::Part { bytes, message_type, is_complete }) => {
                    (Bytes::from(bytes.into_owned()), message_type, is_complete)
                }
                Some(Event::Message(message)) => {
                    let message = message.into_owned();
                    let message_type = message.message_type();
                    (message.into_bytes(), message_type, true)
                }
                Some(_) => continue,
                None => {
                    self.ahead = None;
                    return;
                }
            };
            ahead.opened = bytes;
            self.mid_message = !is_complete;
            if refuse_text && message_type == MessageType::Text {
                self.refuse_text();
            }
        }
    }

    /// What lies in the input, as far as there is room. The rest stays there.
    fn deliver_read(&mut self, room: &mut ReadBuf<'_>, refuse_text: bool) {
        while self.phase == Phase::Open && room.remaining() > 0 {
            let (consumed, event) = self.connection.receive_part(self.input.unread(), room.remaining());
            match event {
                None => {
                    self.input.consume(consumed);
                    return;
                }
                Some(Event::Part { bytes, message_type, is_complete }) => {
                    self.mid_message = !is_complete;
                    let refused = refuse_text && message_type == MessageType::Text;
                    if !refused {
                        let n = bytes.len().min(room.remaining());
                        room.put_slice(&bytes[..n]);
                        if n < bytes.len() {
                            // It was put together before there was a stream.
                            let rest = Bytes::from(bytes.into_owned()).split_off(n);
                            self.ahead.get_or_insert_default().opened = rest;
                        }
                    }
                    self.input.consume(consumed);
                    if refused {
                        self.refuse_text();
                    } else if self.ahead.is_some() {
                        return;
                    }
                }
                Some(rare) => {
                    let rare = rare.into_static();
                    self.note(&rare);
                    self.input.consume(consumed);
                }
            }
        }
    }

    /// The peer sent text to a stream that takes binary messages alone.
    #[cold]
    fn refuse_text(&mut self) {
        self.ahead = None;
        match self.connection.refuse_text() {
            Some(failed) => self.note(&failed),
            None => self.failure = Some(ProtocolError::TextRefused.into()),
        }
    }

    /// Reads once: a large payload straight into `room`, anything else into the thread's buffer.
    fn poll_read_payload(&mut self, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<()> {
        let remaining = usize::try_from(self.connection.payload_remaining()).unwrap_or(usize::MAX);
        let straight = remaining.min(room.remaining());
        let read = if straight >= READ_STRAIGHT && self.input.is_empty() {
            let start = room.filled().len();
            let mut target = (&mut *room).limit(straight);
            let read = ready!(pin!(self.transport.read_buf(&mut target)).poll(cx));
            if let Ok(n @ 1..) = read {
                self.mid_message = !self.connection.payload_into(&mut room.filled_mut()[start..start + n]);
            }
            read
        } else {
            let most = READ_AT_LEAST.max(room.remaining().saturating_add(HEADER));
            ready!(self.input.poll_fill_some(&mut self.transport, cx, most))
        };
        self.note_read(read);
        Poll::Ready(())
    }

    fn outcome_for_bytes(&self) -> Result<(), Error> {
        self.outcome()?;
        if self.mid_message {
            let text = "the connection was closed in the middle of a message";
            return Err(Error::text(ErrorKind::Lost, text));
        }
        Ok(())
    }

    /// Begins the closing handshake, if none has begun, and sees it to its end. Data that arrives is kept for the reader,
    /// within the bounds of the read-ahead; beyond them the reader has to go on first.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.connection.close(CloseCode::NORMAL, "")?;
        let result = self.shut_down(cx);
        self.sender_waits |= result.is_pending();
        self.park();
        result
    }

    fn shut_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if self.phase != Phase::Open {
                ready!(self.poll_end(cx));
                return Poll::Ready(self.outcome());
            }
            let written = self.poll_write(cx);
            let before = self.bytes_received;
            self.read_ahead(cx);
            if self.phase != Phase::Open {
                continue;
            }
            if let Poll::Ready(Err(error)) = written {
                // What has arrived may still be read.
                return Poll::Ready(Err(error));
            }
            if self.bytes_received == before && !self.poll_clock(cx) {
                return Poll::Pending;
            }
        }
    }
}
