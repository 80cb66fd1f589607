//! Reading ahead: while only a sender is polled, data is kept for the receiver, within bounds, so that the control frames
//! behind it are seen.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use wsduo_proto::{Delivery, Event, MessageRef, MessageType, ProtocolError};

use super::{Driver, Phase, skips};

/// How much is read ahead while only a sender is polled: enough to find the pings behind some data.
const READ_AHEAD: usize = 64 << 10;

/// Data that waits for its receiver.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    pub(super) events: VecDeque<Event<'static>>,
    bytes: usize,
    /// The beginning of a message that came in parts and is wanted whole.
    pub(super) begun: Option<(MessageType, Vec<u8>)>,
    /// The rest of an event that a reader of bytes has begun with.
    pub(super) opened: Bytes,
}

impl Ahead {
    /// What is kept for an event besides its payload, so that empty ones are not free.
    const EVENT: usize = 64;

    pub(super) fn push(&mut self, event: Event<'static>) {
        self.bytes += Self::cost(&event);
        self.events.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event<'static>> {
        let event = self.events.pop_front()?;
        self.bytes -= Self::cost(&event);
        Some(event)
    }

    fn cost(event: &Event<'_>) -> usize {
        Self::EVENT
            + match event {
                Event::Message(message) => message.as_bytes().len(),
                Event::Part { bytes, .. } => bytes.len(),
                _ => 0,
            }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    /// The next data that was read ahead.
    #[cold]
    pub(super) fn next_ahead(&mut self, delivery: Delivery) -> Option<Event<'static>> {
        let was_far_ahead = self.is_far_ahead();
        let ahead = self.ahead.as_mut()?;
        if delivery == Delivery::Parts
            && let Some((message_type, bytes)) = ahead.begun.take()
        {
            return Some(Event::Part { bytes: bytes.into(), message_type, is_complete: false });
        }
        let event = ahead.pop();
        let is_done = event.is_none() || (ahead.events.is_empty() && ahead.opened.is_empty());
        if is_done && ahead.begun.is_none() {
            self.ahead = None;
        }
        if was_far_ahead && !self.is_far_ahead() {
            // There is room to read ahead again, for a pong maybe.
            self.changed.for_senders |= std::mem::take(&mut self.sender_waits);
        }
        event
    }

    /// What is left of an event for a receiver that wants its messages so: some parts are to be dropped, and others to be
    /// put together, because they were wanted in parts when they were read.
    #[cold]
    pub(super) fn fit(&mut self, event: Event<'static>, delivery: Delivery) -> Option<Event<'static>> {
        let Event::Part { bytes, message_type, is_complete } = event else {
            return matches!(event, Event::Message(_)).then_some(event);
        };
        let begins = !self.mid_message;
        if skips(&mut self.mid_message, &mut self.skipping, is_complete) {
            return None;
        }
        match delivery {
            Delivery::Parts => Some(Event::Part { bytes, message_type, is_complete }),
            Delivery::Whole if begins || self.is_putting_together() => {
                self.put_together(message_type, &bytes, is_complete)
            }
            // The end of a message whose beginning was handed out: there is no whole one.
            Delivery::Whole => None,
        }
    }

    pub(super) fn is_putting_together(&self) -> bool {
        self.ahead.as_ref().is_some_and(|ahead| ahead.begun.is_some())
    }

    pub(super) fn put_together(
        &mut self,
        message_type: MessageType,
        bytes: &[u8],
        is_complete: bool,
    ) -> Option<Event<'static>> {
        let max = self.connection.config().max_message_size;
        let ahead = self.ahead.get_or_insert_default();
        let (_, begun) = ahead.begun.get_or_insert_with(|| (message_type, Vec::new()));
        begun.extend_from_slice(bytes);
        if begun.len() > max {
            let len = begun.len() as u64;
            self.fail(ProtocolError::MessageTooLarge { len, max });
            return None;
        }
        if !is_complete {
            return None;
        }
        let (_, bytes) = ahead.begun.take()?;
        Some(Event::Message(match message_type {
            MessageType::Binary => MessageRef::Binary(bytes.into()),
            // It was checked as it came.
            MessageType::Text => MessageRef::Text(match String::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned().into(),
            }),
        }))
    }

    /// Reads and keeps data for the receiver, within bounds, so that control frames are seen.
    pub(super) fn read_ahead(&mut self, cx: &mut Context<'_>) {
        while self.phase == Phase::Open && !self.is_far_ahead() {
            if self.keep_unread() {
                continue;
            }
            match self.poll_read(cx) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(message)) => self.keep(message),
                Poll::Pending => return,
            }
        }
        if self.is_far_ahead() {
            // It is us who do not listen: that must not count as silence of the peer.
            self.connection.heard();
        }
    }

    /// Keeps what the next of the unread bytes bring. `false`: they bring nothing yet.
    pub(super) fn keep_unread(&mut self) -> bool {
        // Parts are dropped as they come; a whole message would have to be put together first.
        let delivery = if self.discarding { Delivery::Parts } else { self.delivery };
        let (unread, start) = self.input.cursor();
        let (consumed, event) = self.connection.receive(unread, delivery);
        *start += consumed as u32;
        let Some(event) = event.map(Event::into_static) else { return false };
        self.note(&event);
        self.keep(event);
        true
    }

    /// Keeps data for the receiver.
    pub(super) fn keep(&mut self, event: Event<'static>) {
        if matches!(event, Event::Message(_) | Event::Part { .. }) && !self.discarding {
            self.ahead.get_or_insert_default().push(event);
            self.changed.for_receiver = true;
        }
    }

    pub(super) fn is_far_ahead(&self) -> bool {
        self.keeps(READ_AHEAD)
    }

    /// Whether so many bytes, or more, are kept for the receiver.
    pub(super) fn keeps(&self, bytes: usize) -> bool {
        self.ahead.as_ref().is_some_and(|ahead| ahead.bytes + ahead.opened.len() >= bytes)
    }
}
