//! Frames in, events out: what may appear where, and what it becomes.
//!
//! Input is consumed as far as it is complete: payloads of data frames byte by byte as they arrive, headers and
//! control frames only when they are all there. What is not consumed has to be offered again with more behind it.

use std::borrow::Cow;
use std::ops::Range;

use super::assembly::{Assembly, Content};
use super::state::State;
use super::{Connection, Delivery, Event, MAX_PONGS};
use crate::close::{CloseCode, Closed, Initiator};
use crate::config::Role;
use crate::error::ProtocolError;
use crate::frame::{Header, MaskingKey, Opcode};
use crate::message::{MessageRef, MessageType};

/// What a look at the input found, as positions in it: no borrow, so that the search may go on.
pub(super) enum Found {
    Nothing,
    /// A whole message in one frame, unmasked.
    Message(MessageType, Range<usize>),
    /// The end of a message put together from several chunks.
    Assembled(MessageRef<'static>),
    Part(MessageType, Range<usize>, bool),
    /// A part that does not lie in the input: what was put together before the caller asked for parts, or inflated.
    OwnedPart(MessageType, Vec<u8>, bool),
    Pong(u64, std::time::Instant),
    Closed,
}

impl Connection {
    /// Takes input: bytes as they came from the transport, which are unmasked in place.
    ///
    /// Returns how many bytes were consumed and what they brought, if that is something for the caller. Call it
    /// again with the rest until it brings nothing; what is then left has to be offered again with more input
    /// behind it. After [`Event::Closed`] and [`Event::Failed`] all input is consumed and dropped.
    ///
    /// A message of which parts were handed out goes on in parts, whatever `delivery` says.
    #[inline(always)] // measured: a call here costs a fifth of receiving a small message
    pub fn receive<'a>(&mut self, input: &'a mut [u8], delivery: Delivery) -> (usize, Option<Event<'a>>) {
        if delivery == Delivery::Whole
            && let Some((message_type, range)) = self.whole_message(input)
        {
            self.messages_received += 1;
            let end = range.end;
            return (end, Some(self.lend(message_type, &input[range])));
        }
        self.receive_any(input, delivery, usize::MAX)
    }

    /// Takes input like [`receive`](Self::receive) in [`Delivery::Parts`], but hands out at most `most` bytes at once and
    /// leaves the rest of the payload unconsumed: for a caller with room for so many.
    ///
    /// Only what was put together before parts were asked for is handed out in one piece, whatever its size. `most` should
    /// not be zero: then no payload is consumed.
    pub fn receive_part<'a>(&mut self, input: &'a mut [u8], most: usize) -> (usize, Option<Event<'a>>) {
        self.receive_any(input, Delivery::Parts, most)
    }

    fn receive_any<'a>(
        &mut self,
        input: &'a mut [u8],
        delivery: Delivery,
        most: usize,
    ) -> (usize, Option<Event<'a>>) {
        let mut at = 0;
        let found = match self.look(input, &mut at, delivery, most) {
            Ok(found) => found,
            Err(error) => {
                self.fail(error);
                return (input.len(), Some(Event::Failed(error)));
            }
        };
        let event = match found {
            Found::Nothing => None,
            Found::Message(message_type, range) => Some(self.lend(message_type, &input[range])),
            Found::Assembled(message) => Some(Event::Message(message)),
            Found::Part(message_type, range, is_complete) => {
                Some(Event::Part { bytes: Cow::Borrowed(&input[range]), message_type, is_complete })
            }
            Found::OwnedPart(message_type, bytes, is_complete) => {
                Some(Event::Part { bytes: Cow::Owned(bytes), message_type, is_complete })
            }
            Found::Pong(number, sent) => Some(Event::Pong { number, sent }),
            Found::Closed => Some(Event::Closed),
        };
        (at, event)
    }

    /// A whole message where it lies. What is behind text that is not UTF-8 is dropped by whoever looks next.
    #[inline]
    fn lend<'a>(&mut self, message_type: MessageType, payload: &'a [u8]) -> Event<'a> {
        match message_type {
            MessageType::Binary => Event::Message(MessageRef::Binary(Cow::Borrowed(payload))),
            MessageType::Text => match simdutf8::basic::from_utf8(payload) {
                Ok(text) => Event::Message(MessageRef::Text(Cow::Borrowed(text))),
                Err(_) => {
                    self.fail(ProtocolError::InvalidUtf8);
                    Event::Failed(ProtocolError::InvalidUtf8)
                }
            },
        }
    }

    fn look(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        delivery: Delivery,
        most: usize,
    ) -> Result<Found, ProtocolError> {
        loop {
            // A frame that fits into `most` bytes with its header has no larger payload.
            let end = input.len().min(at.saturating_add(most));
            if let Some((message_type, range)) = self.whole_message(&mut input[*at..end]) {
                let range = *at + range.start..*at + range.end;
                *at = range.end;
                self.messages_received += 1;
                return Ok(match delivery {
                    Delivery::Whole => Found::Message(message_type, range),
                    Delivery::Parts => {
                        if message_type == MessageType::Text {
                            simdutf8::basic::from_utf8(&input[range.clone()])
                                .map_err(|_| ProtocolError::InvalidUtf8)?;
                        }
                        Found::Part(message_type, range, true)
                    }
                });
            }
            if let Some(found) = self.step(input, at, delivery, most)? {
                return Ok(found);
            }
        }
    }

    /// The fast path: a message in one frame of less than 64 KiB, all of it at the start of `input`, nothing else
    /// being under way. Unmasks it and returns where the payload lies. Whatever is not plainly that, and every
    /// violation, is left to [`step`](Self::step).
    #[inline(always)] // as `receive`
    fn whole_message(&self, input: &mut [u8]) -> Option<(MessageType, Range<usize>)> {
        if self.message.is_some() || self.state.is_ended() {
            return None;
        }
        let &[first, second, third, fourth, ..] = &*input else { return None };
        let message_type = match first {
            0x81 => MessageType::Text,
            0x82 => MessageType::Binary,
            _ => return None,
        };
        // The MASK bit has to be set in frames of clients and clear in those of servers: the wrong one makes the
        // length one that is not handled here.
        let mask_len = if self.role == Role::Server { 4 } else { 0 };
        let short = if self.role == Role::Server { second ^ 0x80 } else { second };
        let (len, start) = match short {
            0..=125 => (usize::from(short), 2 + mask_len),
            126 => (usize::from(u16::from_be_bytes([third, fourth])), 4 + mask_len),
            _ => return None,
        };
        if len > usize::from(self.max_whole) || (short == 126 && len < 126) {
            return None;
        }
        let end = start + len;
        let frame = input.get_mut(..end)?;
        if mask_len > 0 {
            let (head, payload) = frame.split_at_mut(start);
            let &[.., a, b, c, d] = &*head else { return None };
            MaskingKey::new([a, b, c, d]).apply(payload);
        }
        Some((message_type, start..end))
    }

    /// One frame header, one control frame, or what is there of one payload. `None`: look further.
    fn step(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        delivery: Delivery,
        most: usize,
    ) -> Result<Option<Found>, ProtocolError> {
        if self.state.is_ended() {
            *at = input.len();
            return Ok(Some(Found::Nothing));
        }
        if delivery == Delivery::Parts
            && let Some(kept) = self.kept_part()
        {
            return Ok(Some(kept));
        }
        if self.message.as_ref().is_some_and(|message| message.frame.is_some()) {
            return match self.deflate.is_some() && self.is_inflating() {
                false => self.payload(input, at, delivery, most),
                true => self.compressed_payload(input, at, delivery, most),
            };
        }
        let Some((header, len)) = Header::parse(&input[*at..])? else {
            return Ok(Some(Found::Nothing));
        };
        self.check_header(&header)?;
        if header.opcode.is_control() {
            let start = *at + len;
            // At most 125, by `Header::parse`.
            let end = start + header.payload_len as usize;
            let Some(payload) = input.get_mut(start..end) else {
                return Ok(Some(Found::Nothing));
            };
            if let Some(key) = header.masking_key {
                key.apply(payload);
            }
            *at = end;
            return self.control(header.opcode, payload);
        }
        if delivery == Delivery::Whole
            && let Some(range) = self.whole_large(&header, input.len(), *at + len)
        {
            if let Some(key) = header.masking_key {
                key.apply(&mut input[range.clone()]);
            }
            *at = range.end;
            self.messages_received += 1;
            let is_text = header.opcode == Opcode::Text;
            let message_type = if is_text { MessageType::Text } else { MessageType::Binary };
            return Ok(Some(Found::Message(message_type, range)));
        }
        self.begin_frame(&header, delivery)?;
        *at += len;
        Ok(None)
    }

    /// Where the payload lies of a message that [`whole_message`](Self::whole_message) is too hasty for, and that is there as a
    /// whole all the same.
    fn whole_large(&self, header: &Header, available: usize, start: usize) -> Option<Range<usize>> {
        let is_message = self.message.is_none() && header.fin && header.rsv == 0;
        if !is_message || header.opcode == Opcode::Continuation {
            return None;
        }
        let len = usize::try_from(header.payload_len).ok()?;
        // One that is too large is refused as it begins.
        let max = self.config.max_frame_size.min(self.config.max_message_size);
        let end = start.checked_add(len)?;
        (len <= max && end <= available && self.config.max_fragments > 0).then_some(start..end)
    }

    fn check_header(&self, header: &Header) -> Result<(), ProtocolError> {
        if header.rsv != 0 && !self.is_compressed(header) {
            return Err(ProtocolError::ReservedBits(header.rsv));
        }
        match (self.role, header.masking_key) {
            (Role::Server, None) => Err(ProtocolError::NotMasked),
            (Role::Client, Some(_)) => Err(ProtocolError::Masked),
            _ => Ok(()),
        }
    }

    fn begin_frame(&mut self, header: &Header, delivery: Delivery) -> Result<(), ProtocolError> {
        let message = match &mut self.message {
            Some(message) => {
                message.go_on(header)?;
                message
            }
            none => {
                let message = none.insert(Box::new(Assembly::begin(header)?));
                if header.rsv != 0 {
                    message.inflater = self.deflate.as_ref().map(|deflate| deflate.inflater());
                }
                message
            }
        };
        if delivery == Delivery::Whole { message.check_limits(&self.config) } else { Ok(()) }
    }

    /// What was kept of a message that is wanted in parts from now on.
    fn kept_part(&mut self) -> Option<Found> {
        let message = self.message.as_mut().filter(|message| !message.in_parts)?;
        let kept = message.content.take_kept();
        message.in_parts = !kept.is_empty();
        message.in_parts.then(|| Found::OwnedPart(message.content.message_type(), kept, false))
    }

    /// What is there of the payload of the frame under way.
    fn payload(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        delivery: Delivery,
        most: usize,
    ) -> Result<Option<Found>, ProtocolError> {
        let Some(message) = &mut self.message else { return Ok(None) };
        if delivery == Delivery::Whole {
            // The frame may have begun while parts were wanted.
            message.check_limits(&self.config)?;
        }
        let Some(frame) = &mut message.frame else { return Ok(None) };
        let (remaining, fin) = (frame.remaining, frame.fin);
        let len = frame.share((input.len() - *at).min(most));
        if len == 0 && remaining > 0 {
            return Ok(Some(Found::Nothing));
        }
        let range = *at..*at + len;
        *at = range.end;
        let chunk = &mut input[range.clone()];
        frame.arrived(chunk, self.role);
        let message_ends = message.end_frame();
        if delivery == Delivery::Parts {
            // An empty fragment tells nothing unless it ends the message.
            message.in_parts |= len > 0 || message_ends;
        }
        let message_type = message.content.message_type();
        if message.in_parts {
            message.content.pass(chunk)?;
            let ended = self.end_message(message_ends)?.is_some();
            return Ok((ended || len > 0).then_some(Found::Part(message_type, range, ended)));
        }
        message.content.reserve(len, remaining, fin, 1 << self.proven);
        message.content.push(chunk)?;
        Ok(self.end_message(message_ends)?.map(|content| Found::Assembled(content.into_message())))
    }

    pub(super) fn end_message(&mut self, ends: bool) -> Result<Option<Content>, ProtocolError> {
        if !ends {
            return Ok(None);
        }
        match self.message.take() {
            Some(message) if !message.content.is_complete() => Err(ProtocolError::InvalidUtf8),
            message => {
                self.messages_received += 1;
                let content = message.map(|message| message.content);
                self.proven =
                    content.as_ref().and_then(|content| content.len().checked_ilog2()).unwrap_or(0) as u8;
                Ok(content)
            }
        }
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<Option<Found>, ProtocolError> {
        match opcode {
            Opcode::Ping => {
                // Pongs that nobody takes must not pile up.
                if self.state == State::Open {
                    let pongs = &mut self.control.get_or_insert_default().pongs;
                    pongs.truncate(MAX_PONGS - 1);
                    pongs.push(payload.to_vec());
                }
                Ok(None)
            }
            Opcode::Pong => {
                let number = <[u8; 8]>::try_from(payload).map(u64::from_be_bytes);
                Ok(number.ok().and_then(|number| {
                    let sent = self.timer.pong_received(number)?;
                    Some(Found::Pong(number, sent))
                }))
            }
            _ => {
                let (code, reason) = parse_close(payload)?;
                self.close_received(code, reason);
                Ok(Some(Found::Closed))
            }
        }
    }

    fn close_received(&mut self, code: CloseCode, reason: &str) {
        match &mut self.closed {
            // Our close frame was first: theirs is the answer.
            Some(closed) => closed.clean = true,
            None => {
                self.closed = Some(Box::new(Closed {
                    code,
                    reason: reason.to_owned(),
                    initiator: Initiator::Peer,
                    clean: true,
                }));
                self.queue_close((code != CloseCode::NO_STATUS).then_some(code), "");
            }
        }
        self.message = None;
        self.drop_pongs();
        self.state = State::Ended;
        self.timer.ended(&self.config);
    }

    /// Fails the connection (§7.1.7): a close frame is queued, and no more input is looked at.
    fn fail(&mut self, error: ProtocolError) {
        let code = error.close_code();
        let mut reason = error.to_string();
        reason.truncate(crate::close::MAX_CLOSE_REASON); // our own texts are ASCII
        if self.closed.is_none() {
            self.queue_close(Some(code), &reason);
        }
        self.closed = Some(Box::new(Closed { code, reason, initiator: Initiator::Local, clean: false }));
        self.message = None;
        self.drop_pongs();
        self.state = State::Ended;
        self.timer.ended(&self.config);
    }

    /// Where the payload of a large binary frame may be read to, without a buffer between: the memory of the message
    /// itself, to be appended to, and how many bytes at most. `None` where fewer than `least` bytes are to come, or
    /// the message is not one to be put together.
    ///
    /// All input must have been consumed. Tell [`payload_read`](Self::payload_read) what was read.
    pub fn payload_buffer(&mut self, least: usize) -> Option<(&mut Vec<u8>, usize)> {
        let message =
            self.message.as_mut().filter(|message| !message.in_parts && message.inflater.is_none())?;
        let frame = message.frame.as_ref().filter(|frame| frame.remaining >= least as u64)?;
        message.content.reserve(1, frame.remaining, frame.fin, 1 << self.proven);
        let Content::Binary(bytes) = &mut message.content else { return None };
        let room = bytes.capacity() - bytes.len();
        Some((bytes, frame.share(room)))
    }

    /// Takes note of `len` bytes appended to [`payload_buffer`](Self::payload_buffer), and unmasks them.
    pub fn payload_read(&mut self, len: usize) -> Option<Event<'static>> {
        let message = self.message.as_mut()?;
        let Content::Binary(bytes) = &mut message.content else { return None };
        let frame = message.frame.as_mut()?;
        let start = bytes.len() - frame.share(len.min(bytes.len()));
        frame.arrived(&mut bytes[start..], self.role);
        if !message.end_frame() {
            return None;
        }
        // Binary content is always complete.
        let content = self.end_message(true).ok()??;
        Some(Event::Message(content.into_message()))
    }
}

// Payloads read straight into memory of the caller's.
impl Connection {
    /// How many bytes of the frame under way may be read straight into memory of the caller's, without a buffer between.
    ///
    /// Zero between frames, and within a message that has to be looked at: text, or one that is being put together.
    /// All input must have been consumed. Tell [`payload_into`](Self::payload_into) what was read.
    pub fn payload_remaining(&self) -> u64 {
        let message = self.message.as_ref().filter(|message| message.may_go_anywhere());
        message.and_then(|message| message.frame.as_ref()).map_or(0, |frame| frame.remaining)
    }

    /// Takes note of payload that was read into memory of the caller's, at most
    /// [`payload_remaining`](Self::payload_remaining) bytes, and unmasks it there: a part of the message has been handed
    /// out. Whether the message ends with it.
    pub fn payload_into(&mut self, payload: &mut [u8]) -> bool {
        let Some(message) = &mut self.message else { return false };
        let Some(frame) = &mut message.frame else { return false };
        let len = frame.share(payload.len());
        frame.arrived(&mut payload[..len], self.role);
        message.in_parts |= len > 0;
        let ends = message.end_frame();
        if ends {
            self.message = None;
            self.messages_received += 1;
        }
        ends
    }

    /// Fails the connection because its user takes binary messages alone: 1003 (§7.4.1).
    ///
    /// For a user who was handed a part of a text message; does nothing once the connection has ended.
    pub fn refuse_text(&mut self) -> Option<Event<'static>> {
        if self.is_ended() {
            return None;
        }
        self.fail(ProtocolError::TextRefused);
        Some(Event::Failed(ProtocolError::TextRefused))
    }
}

/// The code and the reason of a close frame (§5.5.1).
fn parse_close(payload: &[u8]) -> Result<(CloseCode, &str), ProtocolError> {
    match payload {
        [] => Ok((CloseCode::NO_STATUS, "")),
        [_] => Err(ProtocolError::TruncatedCloseCode),
        [high, low, reason @ ..] => {
            let code = CloseCode::new(u16::from_be_bytes([*high, *low]));
            if !code.is_sendable() {
                return Err(ProtocolError::InvalidCloseCode(code.number()));
            }
            let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
            Ok((code, reason))
        }
    }
}
