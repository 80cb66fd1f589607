//! Frames in, events out: what may appear where, and what it becomes.
//!
//! Input is consumed as far as it is complete: payloads of data frames byte by byte as they arrive, headers and
//! control frames only when they are all there. What is not consumed has to be offered again with more behind it.

use std::borrow::Cow;
use std::ops::Range;

use super::state::State;
use super::{Connection, Delivery, Event, MAX_PONGS};
use crate::close::{CloseCode, Closed, Initiator};
use crate::config::{Config, Role};
use crate::error::ProtocolError;
use crate::frame::{Header, MaskingKey, Opcode};
use crate::message::{MessageRef, MessageType};
use crate::utf8::Utf8Validator;

/// The most memory that is reserved on the word of a header alone.
const FIRST_RESERVATION: usize = 64 << 10;

/// Where the peer is in its data: between messages if both are `None`.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// The data frame whose payload is arriving.
    frame: Option<DataFrame>,
    /// The message that has begun and not ended. Always there while `frame` is.
    message: Option<Assembly>,
}

#[derive(Debug)]
struct DataFrame {
    /// Payload bytes still to come.
    remaining: u64,
    /// The key for the next of them; meaningless in frames of a server.
    key: MaskingKey,
    fin: bool,
}

#[derive(Debug)]
struct Assembly {
    content: Content,
    /// Bytes announced so far, over all frames.
    announced: u64,
    fragments: u32,
    /// Parts of the message have been handed out: it cannot be delivered whole any more.
    in_parts: bool,
}

impl Assembly {
    /// The limits on a message that is delivered whole.
    fn check_limits(&self, config: &Config) -> Result<(), ProtocolError> {
        if self.announced > config.max_message_size as u64 {
            return Err(ProtocolError::MessageTooLarge { len: self.announced, max: config.max_message_size });
        }
        if self.fragments > config.max_fragments {
            return Err(ProtocolError::TooManyFragments { max: config.max_fragments });
        }
        Ok(())
    }
}

/// What has arrived of a message and was not handed out.
#[derive(Debug)]
enum Content {
    /// Only whole characters enter the text, so it never has to be checked again.
    Text(String, Utf8Validator),
    Binary(Vec<u8>),
}

impl Content {
    const fn message_type(&self) -> MessageType {
        match self {
            Self::Text(..) => MessageType::Text,
            Self::Binary(_) => MessageType::Binary,
        }
    }

    /// Makes room for `chunk` more bytes, of `remaining` that the frame still announces.
    ///
    /// What has arrived decides, not what is announced: a first piece, then no more than there is already.
    /// Only in the `last` frame is the reservation exact, or a flood of small frames would move the message each time.
    fn reserve(&mut self, chunk: usize, remaining: u64, last: bool) {
        let (len, capacity) = match self {
            Self::Text(text, _) => (text.len(), text.capacity()),
            Self::Binary(bytes) => (bytes.len(), bytes.capacity()),
        };
        // Four more: a character may be completed that began in an earlier chunk.
        if capacity - len >= chunk + 4 {
            return;
        }
        let trusted = len.max(FIRST_RESERVATION);
        let announced = usize::try_from(remaining).unwrap_or(usize::MAX).min(trusted);
        let wanted = chunk.max(announced);
        match self {
            Self::Text(text, _) if len == 0 => text.reserve_exact(wanted),
            Self::Text(text, _) => text.reserve(wanted),
            Self::Binary(bytes) if len == 0 || (last && announced as u64 == remaining) => {
                bytes.reserve_exact(wanted);
            }
            Self::Binary(bytes) => bytes.reserve(wanted),
        }
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), ProtocolError> {
        match self {
            Self::Binary(bytes) => bytes.extend_from_slice(chunk),
            Self::Text(text, utf8) => {
                let valid = utf8.push(chunk).map_err(|_| ProtocolError::InvalidUtf8)?;
                text.extend(valid.completed);
                text.push_str(valid.text);
            }
        }
        Ok(())
    }

    /// Checks a chunk that is handed out instead of being kept.
    fn pass(&mut self, chunk: &[u8]) -> Result<(), ProtocolError> {
        if let Self::Text(_, utf8) = self {
            utf8.push(chunk).map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Text(_, utf8) => utf8.is_complete(),
            Self::Binary(_) => true,
        }
    }

    /// What was put together so far, to be handed out as a part: of text, the beginning of a character too.
    fn take_kept(&mut self) -> Vec<u8> {
        match self {
            Self::Text(text, utf8) => {
                let mut kept = std::mem::take(text).into_bytes();
                kept.extend_from_slice(utf8.partial());
                kept
            }
            Self::Binary(bytes) => std::mem::take(bytes),
        }
    }

    fn into_message(self) -> MessageRef<'static> {
        match self {
            Self::Text(text, _) => MessageRef::Text(Cow::Owned(text)),
            Self::Binary(bytes) => MessageRef::Binary(Cow::Owned(bytes)),
        }
    }
}

impl Incoming {
    #[inline]
    const fn is_between_messages(&self) -> bool {
        self.frame.is_none() && self.message.is_none()
    }

    pub(super) const fn is_in_frame(&self) -> bool {
        self.frame.is_some()
    }

    /// Whether a message was begun and parts of it handed out.
    pub(super) fn is_in_parts(&self) -> bool {
        self.message.as_ref().is_some_and(|message| message.in_parts)
    }

    /// What was kept of a message that is wanted in parts from now on.
    fn kept_part(&mut self) -> Option<Found> {
        let message = self.message.as_mut().filter(|message| !message.in_parts)?;
        let kept = message.content.take_kept();
        message.in_parts = !kept.is_empty();
        message.in_parts.then(|| Found::KeptPart(message.content.message_type(), kept))
    }
}

/// What a look at the input found, as positions in it: no borrow, so that the search may go on.
enum Found {
    Nothing,
    /// A whole message in one frame, unmasked.
    Message(MessageType, Range<usize>),
    /// The end of a message put together from several chunks.
    Assembled(MessageRef<'static>),
    Part(MessageType, Range<usize>, bool),
    /// What was put together before the caller asked for parts.
    KeptPart(MessageType, Vec<u8>),
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
    pub fn receive<'a>(&mut self, input: &'a mut [u8], delivery: Delivery) -> (usize, Option<Event<'a>>) {
        let mut at = 0;
        let found = match self.look(input, &mut at, delivery) {
            Ok(found) => found,
            Err(error) => {
                self.fail(error);
                return (input.len(), Some(Event::Failed(error)));
            }
        };
        let event = match found {
            Found::Nothing => None,
            Found::Message(MessageType::Binary, range) => {
                Some(Event::Message(MessageRef::Binary(Cow::Borrowed(&input[range]))))
            }
            Found::Message(MessageType::Text, range) => match simdutf8::basic::from_utf8(&input[range]) {
                Ok(text) => Some(Event::Message(MessageRef::Text(Cow::Borrowed(text)))),
                Err(_) => {
                    self.fail(ProtocolError::InvalidUtf8);
                    return (input.len(), Some(Event::Failed(ProtocolError::InvalidUtf8)));
                }
            },
            Found::Assembled(message) => Some(Event::Message(message)),
            Found::Part(message_type, range, is_complete) => {
                Some(Event::Part { bytes: Cow::Borrowed(&input[range]), message_type, is_complete })
            }
            Found::KeptPart(message_type, kept) => {
                Some(Event::Part { bytes: Cow::Owned(kept), message_type, is_complete: false })
            }
            Found::Pong(number, sent) => Some(Event::Pong { number, sent }),
            Found::Closed => Some(Event::Closed),
        };
        (at, event)
    }

    #[inline]
    fn look(&mut self, input: &mut [u8], at: &mut usize, delivery: Delivery) -> Result<Found, ProtocolError> {
        loop {
            if self.incoming.is_between_messages()
                && !self.state.is_ended()
                && let Some((message_type, range)) = self.whole_message(&mut input[*at..])
            {
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
            if let Some(found) = self.step(input, at, delivery)? {
                return Ok(found);
            }
        }
    }

    /// The fast path: a message in one frame of less than 64 KiB, all of it at the start of `input`, nothing else
    /// being under way. Unmasks it and returns where the payload lies. Whatever is not plainly that, and every
    /// violation, is left to [`step`](Self::step).
    #[inline]
    fn whole_message(&self, input: &mut [u8]) -> Option<(MessageType, Range<usize>)> {
        let &[first, second, ..] = &*input else {
            return None;
        };
        let message_type = match first {
            0x81 => MessageType::Text,
            0x82 => MessageType::Binary,
            _ => return None,
        };
        // A length without a MASK bit is over 127 once the bit that has to be there is flipped, and the other way
        // round: one comparison sees both.
        let (len, header) = match (self.role, second) {
            (Role::Server, 0x80..=0xfd) => (usize::from(second & 0x7f), 2),
            (Role::Client, 0..=0x7d) => (usize::from(second), 2),
            (Role::Server, 0xfe) | (Role::Client, 0x7e) => {
                let &[_, _, high, low, ..] = &*input else {
                    return None;
                };
                (usize::from(u16::from_be_bytes([high, low])), 4)
            }
            _ => return None,
        };
        if (header == 4 && len < 126) || len > self.config.max_frame_size.min(self.config.max_message_size) {
            return None;
        }
        let start = if self.role == Role::Server { header + 4 } else { header };
        let end = start + len;
        let frame = input.get_mut(..end)?;
        if self.role == Role::Server {
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
    ) -> Result<Option<Found>, ProtocolError> {
        if self.state.is_ended() {
            *at = input.len();
            return Ok(Some(Found::Nothing));
        }
        if delivery == Delivery::Parts
            && let Some(kept) = self.incoming.kept_part()
        {
            return Ok(Some(kept));
        }
        if self.incoming.frame.is_some() {
            return self.payload(input, at, delivery);
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
        self.begin_frame(&header, delivery)?;
        *at += len;
        Ok(None)
    }

    fn check_header(&self, header: &Header) -> Result<(), ProtocolError> {
        // permessage-deflate will allow RSV1 on the first frame of a message here.
        if header.rsv != 0 {
            return Err(ProtocolError::ReservedBits(header.rsv));
        }
        match (self.role, header.masking_key) {
            (Role::Server, None) => Err(ProtocolError::NotMasked),
            (Role::Client, Some(_)) => Err(ProtocolError::Masked),
            _ => Ok(()),
        }
    }

    fn begin_frame(&mut self, header: &Header, delivery: Delivery) -> Result<(), ProtocolError> {
        let content = match (header.opcode, &self.incoming.message) {
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::ExpectedContinuation),
            (Opcode::Text, None) => Some(Content::Text(String::new(), Utf8Validator::default())),
            (Opcode::Binary, None) => Some(Content::Binary(Vec::new())),
            _ => None,
        };
        let message = match content {
            Some(content) => self.incoming.message.insert(Assembly {
                content,
                announced: 0,
                fragments: 0,
                in_parts: false,
            }),
            None => match &mut self.incoming.message {
                Some(message) => message,
                None => return Err(ProtocolError::UnexpectedContinuation),
            },
        };
        // Lengths are under 2^63, and the sum was under a limit before, so it cannot overflow in whole messages;
        // in parts nothing depends on it.
        message.announced = message.announced.saturating_add(header.payload_len);
        message.fragments = message.fragments.saturating_add(1);
        if !message.in_parts && delivery == Delivery::Whole {
            let max = self.config.max_frame_size;
            if header.payload_len > max as u64 {
                return Err(ProtocolError::FrameTooLarge { len: header.payload_len, max });
            }
            message.check_limits(&self.config)?;
        }
        self.incoming.frame = Some(DataFrame {
            remaining: header.payload_len,
            key: header.masking_key.unwrap_or(MaskingKey::new([0; 4])),
            fin: header.fin,
        });
        Ok(())
    }

    /// What is there of the payload of the frame under way.
    fn payload(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        delivery: Delivery,
    ) -> Result<Option<Found>, ProtocolError> {
        let Incoming { frame: under_way, message: Some(message) } = &mut self.incoming else {
            return Ok(None);
        };
        let Some(frame) = under_way else { return Ok(None) };
        let available = input.len() - *at;
        let len = usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(available);
        if !message.in_parts {
            match delivery {
                // The frame may have begun while parts were wanted.
                Delivery::Whole => message.check_limits(&self.config)?,
                // An empty fragment tells nothing unless it ends the message.
                Delivery::Parts => message.in_parts = len > 0 || (frame.remaining == 0 && frame.fin),
            }
        }
        if len == 0 && frame.remaining > 0 {
            return Ok(Some(Found::Nothing));
        }
        let range = *at..*at + len;
        let chunk = &mut input[range.clone()];
        if self.role == Role::Server {
            frame.key.apply(chunk);
            frame.key = frame.key.advanced(len);
        }
        let remaining = frame.remaining;
        frame.remaining -= len as u64;
        *at += len;
        let frame_ends = frame.remaining == 0;
        let fin = frame.fin;
        let message_ends = frame_ends && fin;
        if frame_ends {
            *under_way = None;
        }
        let message_type = message.content.message_type();
        if message.in_parts {
            message.content.pass(chunk)?;
            let ended = self.end_message(message_ends)?.is_some();
            return Ok((ended || len > 0).then_some(Found::Part(message_type, range, ended)));
        }
        message.content.reserve(len, remaining, fin);
        message.content.push(chunk)?;
        Ok(self.end_message(message_ends)?.map(|content| Found::Assembled(content.into_message())))
    }

    fn end_message(&mut self, ends: bool) -> Result<Option<Content>, ProtocolError> {
        if !ends {
            return Ok(None);
        }
        match self.incoming.message.take() {
            Some(message) if !message.content.is_complete() => Err(ProtocolError::InvalidUtf8),
            message => {
                self.messages_received += 1;
                Ok(message.map(|message| message.content))
            }
        }
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<Option<Found>, ProtocolError> {
        match opcode {
            Opcode::Ping => {
                // Pongs that nobody takes must not pile up.
                if self.state == State::Open {
                    self.pongs.truncate(MAX_PONGS - 1);
                    self.pongs.push(payload.to_vec());
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
        self.incoming = Incoming::default();
        self.pongs = Vec::new();
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
        self.incoming = Incoming::default();
        self.pongs = Vec::new();
        self.state = State::Ended;
        self.timer.ended(&self.config);
    }

    /// Where the payload of a large binary frame may be read to, without a buffer between: the memory of the message
    /// itself, to be appended to, and how many bytes at most. `None` where fewer than `least` bytes are to come, or
    /// the message is not one to be put together.
    ///
    /// All input must have been consumed. Tell [`payload_read`](Self::payload_read) what was read.
    pub fn payload_buffer(&mut self, least: usize) -> Option<(&mut Vec<u8>, usize)> {
        let Incoming { frame: Some(frame), message: Some(message) } = &mut self.incoming else {
            return None;
        };
        if message.in_parts || frame.remaining < least as u64 {
            return None;
        }
        message.content.reserve(1, frame.remaining, frame.fin);
        let Content::Binary(bytes) = &mut message.content else {
            return None;
        };
        let room = bytes.capacity() - bytes.len();
        Some((bytes, usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(room)))
    }

    /// Takes note of `len` bytes appended to [`payload_buffer`](Self::payload_buffer), and unmasks them.
    pub fn payload_read(&mut self, len: usize) -> Option<Event<'static>> {
        let Incoming { frame: Some(frame), message: Some(message) } = &mut self.incoming else {
            return None;
        };
        let Content::Binary(bytes) = &mut message.content else {
            return None;
        };
        let len = len.min(bytes.len()).min(usize::try_from(frame.remaining).unwrap_or(usize::MAX));
        if self.role == Role::Server {
            let start = bytes.len() - len;
            frame.key.apply(&mut bytes[start..]);
            frame.key = frame.key.advanced(len);
        }
        frame.remaining -= len as u64;
        if frame.remaining > 0 {
            return None;
        }
        let ends = frame.fin;
        self.incoming.frame = None;
        if !ends {
            return None;
        }
        let content = self.incoming.message.take()?.content;
        self.messages_received += 1;
        Some(Event::Message(content.into_message()))
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
