//! Commands: what the caller wants sent, as frames in the order of the calls.

use std::time::Instant;

use super::output::Start;
use super::state::State;
use super::{CloseFrame, Connection};
use crate::close::{CloseCode, Closed, Initiator, MAX_CLOSE_REASON};
use crate::config::Role;
use crate::error::CommandError;
use crate::frame::{MaskingKey, MaskingKeys, Opcode};
use crate::message::{MessageType, Outgoing, Payload};
use crate::utf8::Utf8Validator;

/// A message of which parts were sent.
#[derive(Debug)]
pub(super) struct Unfinished {
    message_type: MessageType,
    utf8: Utf8Validator,
}

impl From<MessageType> for Opcode {
    fn from(message_type: MessageType) -> Self {
        match message_type {
            MessageType::Text => Self::Text,
            MessageType::Binary => Self::Binary,
        }
    }
}

impl Connection {
    /// Queues a message as one frame.
    ///
    /// # Errors
    /// [`CommandError::Closing`] after a close frame, [`CommandError::MessageUnfinished`] between the parts of another
    /// message. Nothing is queued then.
    #[inline(always)] // measured: a call here costs a quarter of sending a small message
    pub fn send(&mut self, message: Outgoing<'_>, keys: &mut impl MaskingKeys) -> Result<(), CommandError> {
        if self.state != State::Open || self.unfinished.is_some() {
            return Err(self.why_not());
        }
        self.control_first(keys);
        let key = self.key(keys);
        if self.deflate.is_some() && self.send_compressed(&message, key)? {
            return Ok(());
        }
        let start = Start::whole(message.message_type.into());
        match message.payload {
            Payload::Borrowed(bytes) => self.output.push(start, key, bytes),
            Payload::Shared(bytes) => self.output.push_shared(start, key, bytes),
            Payload::Prepared(message) => self.output.push_shared(start, key, message.bytes()),
        }
        self.messages_sent += 1;
        Ok(())
    }

    /// Queues a part of a message as a frame of its own: the first part begins the message, the one with `is_complete`
    /// ends it (§5.4).
    ///
    /// # Errors
    /// [`CommandError::Closing`] after a close frame; [`CommandError::MessageTypeChanged`] if the message begun is of
    /// another type; [`CommandError::InvalidUtf8`] if text is not UTF-8, where characters may be cut between parts but
    /// not left unfinished. Nothing is queued then.
    pub fn send_part(
        &mut self,
        message_type: MessageType,
        bytes: &[u8],
        is_complete: bool,
        keys: &mut impl MaskingKeys,
    ) -> Result<(), CommandError> {
        self.queue_part(message_type, bytes, is_complete, true, keys)
    }

    /// [`send_part`](Self::send_part), but if the part begins a message, that is never compressed.
    ///
    /// # Errors
    /// As `send_part`.
    pub fn send_part_uncompressed(
        &mut self,
        message_type: MessageType,
        bytes: &[u8],
        is_complete: bool,
        keys: &mut impl MaskingKeys,
    ) -> Result<(), CommandError> {
        self.queue_part(message_type, bytes, is_complete, false, keys)
    }

    fn queue_part(
        &mut self,
        message_type: MessageType,
        bytes: &[u8],
        is_complete: bool,
        compress: bool,
        keys: &mut impl MaskingKeys,
    ) -> Result<(), CommandError> {
        if self.state != State::Open {
            return Err(CommandError::Closing);
        }
        let (opcode, mut utf8) = match &self.unfinished {
            None => (message_type.into(), Utf8Validator::default()),
            Some(begun) if begun.message_type == message_type => (Opcode::Continuation, begun.utf8),
            Some(_) => return Err(CommandError::MessageTypeChanged),
        };
        if message_type == MessageType::Text
            && (utf8.push(bytes).is_err() || (is_complete && !utf8.is_complete()))
        {
            return Err(CommandError::InvalidUtf8);
        }
        self.control_first(keys);
        let key = self.key(keys);
        let start = Start { opcode, fin: is_complete, rsv: 0 };
        if self.deflate.is_none() || !self.send_part_compressed(start, key, bytes, compress)? {
            self.output.push(start, key, bytes);
        }
        self.messages_sent += u64::from(is_complete);
        self.unfinished = (!is_complete).then_some(Unfinished { message_type, utf8 });
        Ok(())
    }

    /// The type of the message that [`send_part`](Self::send_part) began and did not end.
    pub fn unfinished(&self) -> Option<MessageType> {
        self.unfinished.as_ref().map(|begun| begun.message_type)
    }

    /// Queues a ping and returns its number, which [`Event::Pong`](super::Event::Pong) will name unless another ping is
    /// sent first: the peer may answer the latest alone (§5.5.3).
    ///
    /// # Errors
    /// [`CommandError::Closing`] after a close frame.
    pub fn ping(&mut self, now: Instant, keys: &mut impl MaskingKeys) -> Result<u64, CommandError> {
        if self.state != State::Open {
            return Err(CommandError::Closing);
        }
        let number = self.timer.ping_queued(now, self.output.end());
        self.control_first(keys);
        let key = self.key(keys);
        self.output.push(Start::whole(Opcode::Ping), key, &number.to_be_bytes());
        Ok(number)
    }

    /// Queues a pong that nobody asked for (§5.5.3), unless other bytes are about to show that we live.
    pub(super) fn unsolicited_pong(&mut self, keys: &mut impl MaskingKeys) {
        if !self.has_output() && !self.is_held_back {
            let key = self.key(keys);
            self.output.push(Start::whole(Opcode::Pong), key, &[]);
        }
    }

    /// Begins the closing handshake (§7.1.2): the close frame leaves after all that is queued.
    ///
    /// Does nothing if it has begun already. [`CloseCode::NO_STATUS`] sends a close frame without a code.
    ///
    /// # Errors
    /// [`CommandError::CloseCode`] for a code that may not be sent, [`CommandError::CloseReasonTooLong`].
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), CommandError> {
        let sent = (code != CloseCode::NO_STATUS).then_some(code);
        if sent.is_some_and(|code| !code.is_sendable()) || (sent.is_none() && !reason.is_empty()) {
            return Err(CommandError::CloseCode(code));
        }
        if reason.len() > MAX_CLOSE_REASON {
            return Err(CommandError::CloseReasonTooLong(reason.len()));
        }
        if self.state == State::Open {
            self.closed = Some(Box::new(Closed {
                code,
                reason: reason.to_owned(),
                initiator: Initiator::Local,
                clean: false,
            }));
            self.queue_close(sent, reason);
            self.state = State::Closing;
            self.timer.closing(&self.config);
        }
        Ok(())
    }

    pub(super) fn queue_close(&mut self, code: Option<CloseCode>, reason: &str) {
        let close = CloseFrame { code, reason: reason.to_owned() };
        self.control.get_or_insert_default().close = Some(close);
    }

    pub(super) fn drop_pongs(&mut self) {
        if let Some(control) = &mut self.control {
            control.pongs.clear();
        }
    }

    /// Queues the pongs and the close frame, if it is their turn.
    #[cold]
    pub(super) fn queue_control(&mut self, keys: &mut impl MaskingKeys) {
        let Some(mut control) = self.control.take() else { return };
        if self.output.written() >= self.pong_end && !control.pongs.is_empty() {
            for payload in control.pongs.drain(..) {
                let key = self.key(keys);
                self.output.push(Start::whole(Opcode::Pong), key, &payload);
            }
            self.pong_end = self.output.end();
        }
        match control.close {
            // Nothing may follow the close frame, not even a pong that has not had its turn.
            Some(close) => {
                let mut body = Vec::new();
                if let Some(code) = close.code {
                    body.extend_from_slice(&code.number().to_be_bytes());
                    body.extend_from_slice(close.reason.as_bytes());
                }
                let key = self.key(keys);
                self.output.push(Start::whole(Opcode::Close), key, &body);
            }
            None if !control.pongs.is_empty() => self.control = Some(control),
            None => {}
        }
    }

    /// Answers to pings go before what is sent later, where they have their turn: or a large upload would make us look dead.
    #[inline]
    pub(super) fn control_first(&mut self, keys: &mut impl MaskingKeys) {
        if self.control.is_some() {
            self.queue_control(keys);
        }
    }

    #[inline]
    fn key(&self, keys: &mut impl MaskingKeys) -> Option<MaskingKey> {
        (self.role == Role::Client).then(|| keys.next_key())
    }

    #[cold]
    fn why_not(&self) -> CommandError {
        if self.state == State::Open { CommandError::MessageUnfinished } else { CommandError::Closing }
    }
}
