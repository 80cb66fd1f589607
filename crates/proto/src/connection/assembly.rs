//! The message that is arriving: what has come of it, and what its present frame still announces.

use std::borrow::Cow;

use super::recycle;
use crate::config::{Config, Role};
use crate::deflate::Inflater;
use crate::error::ProtocolError;
use crate::frame::{Header, MaskingKey, Opcode};
use crate::message::{MessageRef, MessageType};
use crate::utf8::Utf8Validator;

/// How much longer text may become than the bytes that come: a character may be completed that began in an earlier chunk.
const COMPLETED: usize = 3;

/// The most memory that is reserved on the word of the first header alone.
const FIRST_RESERVATION: usize = 64 << 10;

/// A message that has begun and not ended.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) content: Content,
    /// The frame whose payload is arriving; `None` between the fragments.
    pub(super) frame: Option<DataFrame>,
    /// Bytes announced so far, over all frames.
    announced: u64,
    fragments: u32,
    /// Parts of the message have been handed out: it cannot be delivered whole any more.
    pub(super) in_parts: bool,
    /// The message is compressed.
    pub(super) inflater: Option<Inflater>,
}

#[derive(Debug)]
pub(super) struct DataFrame {
    /// Payload bytes still to come.
    pub(super) remaining: u64,
    /// How many of them have arrived, and were unmasked, but not consumed: an inflater that has no more room leaves them
    /// in the input.
    unmasked: usize,
    /// The key for those after that; meaningless in frames of a server.
    key: MaskingKey,
    pub(super) fin: bool,
}

impl DataFrame {
    /// Takes note of payload that has arrived, and unmasks it if a client sent it.
    pub(super) fn arrived(&mut self, payload: &mut [u8], role: Role) {
        self.unmask(payload, role);
        self.consumed(payload.len());
    }

    /// Unmasks payload that has arrived, as far as that has not been done yet.
    pub(super) fn unmask(&mut self, payload: &mut [u8], role: Role) {
        if role == Role::Server {
            let new = payload.get_mut(self.unmasked..).unwrap_or_default();
            self.key.apply(new);
            self.key = self.key.advanced(new.len());
        }
        self.unmasked = self.unmasked.max(payload.len());
    }

    /// Takes note of payload, unmasked, that is not needed any more.
    pub(super) fn consumed(&mut self, len: usize) {
        self.unmasked -= len;
        self.remaining -= len as u64;
    }

    /// How much of `available` belongs to this frame.
    pub(super) fn share(&self, available: usize) -> usize {
        usize::try_from(self.remaining).unwrap_or(usize::MAX).min(available)
    }
}

impl Assembly {
    /// Begins a message with its first frame.
    ///
    /// # Errors
    /// A continuation continues nothing.
    pub(super) fn begin(header: &Header) -> Result<Self, ProtocolError> {
        let content = match header.opcode {
            Opcode::Text => Content::Text(String::new(), Utf8Validator::default()),
            Opcode::Binary => Content::Binary(Vec::new()),
            _ => return Err(ProtocolError::UnexpectedContinuation),
        };
        let mut message =
            Self { content, frame: None, announced: 0, fragments: 0, in_parts: false, inflater: None };
        message.begin_frame(header);
        Ok(message)
    }

    /// Goes on with another frame, after the last has ended.
    ///
    /// # Errors
    /// A new message cannot begin inside this one.
    pub(super) fn go_on(&mut self, header: &Header) -> Result<(), ProtocolError> {
        if header.opcode != Opcode::Continuation {
            return Err(ProtocolError::ExpectedContinuation);
        }
        self.begin_frame(header);
        Ok(())
    }

    fn begin_frame(&mut self, header: &Header) {
        // Of whole messages the sum was under a limit before, so it cannot overflow; in parts nothing depends on it.
        self.announced = self.announced.saturating_add(header.payload_len);
        self.fragments = self.fragments.saturating_add(1);
        self.frame = Some(DataFrame {
            remaining: header.payload_len,
            unmasked: 0,
            key: header.masking_key.unwrap_or(MaskingKey::new([0; 4])),
            fin: header.fin,
        });
    }

    /// The limits on a message that is delivered whole; one of which parts were handed out has none.
    pub(super) fn check_limits(&self, config: &Config) -> Result<(), ProtocolError> {
        if self.in_parts {
            return Ok(());
        }
        if self.inflater.is_some() {
            return self.check_compressed(config);
        }
        if let Some(frame) =
            self.frame.as_ref().filter(|frame| frame.remaining > config.max_frame_size as u64)
        {
            return Err(ProtocolError::FrameTooLarge { len: frame.remaining, max: config.max_frame_size });
        }
        if self.announced > config.max_message_size as u64 {
            return Err(ProtocolError::MessageTooLarge { len: self.announced, max: config.max_message_size });
        }
        self.check_fragments(config)
    }

    /// What is inflated is what counts, and it is counted as it comes. Of what is announced there may be a little more, as
    /// what cannot be compressed grows.
    fn check_compressed(&self, config: &Config) -> Result<(), ProtocolError> {
        let max = config.max_message_size;
        if self.announced > max.saturating_add(max / 8).saturating_add(1024) as u64 {
            return Err(ProtocolError::MessageTooLarge { len: self.announced, max });
        }
        self.check_fragments(config)
    }

    fn check_fragments(&self, config: &Config) -> Result<(), ProtocolError> {
        if self.fragments > config.max_fragments {
            return Err(ProtocolError::TooManyFragments { max: config.max_fragments });
        }
        Ok(())
    }

    /// Whether what comes need not be looked at.
    pub(super) fn may_go_anywhere(&self) -> bool {
        self.inflater.is_none() && self.content.is_empty_binary()
    }

    /// Ends the frame if all of it has arrived: whether the message ends with it.
    pub(super) fn end_frame(&mut self) -> bool {
        match &self.frame {
            Some(frame) if frame.remaining == 0 => {
                let fin = frame.fin;
                self.frame = None;
                fin
            }
            _ => false,
        }
    }
}

/// What has arrived of a message and was not handed out.
#[derive(Debug)]
pub(super) enum Content {
    /// Only whole characters enter the text, so it never has to be checked again.
    Text(String, Utf8Validator),
    Binary(Vec<u8>),
}

impl Content {
    pub(super) const fn message_type(&self) -> MessageType {
        match self {
            Self::Text(..) => MessageType::Text,
            Self::Binary(_) => MessageType::Binary,
        }
    }

    /// How many bytes have arrived, those of a character that is not complete included.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text, utf8) => text.len() + utf8.partial().len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Binary, with nothing kept: what comes may go to anywhere.
    pub(super) const fn is_empty_binary(&self) -> bool {
        match self {
            Self::Text(..) => false,
            Self::Binary(bytes) => bytes.is_empty(),
        }
    }

    /// Makes room for `chunk` more bytes, of `remaining` that the frame still announces.
    ///
    /// What has arrived decides, not what is announced: a first piece, or as much as this peer has `proven` to send, then no more
    /// than there is already. Only in the `last` frame is the reservation exact, or a flood of small frames would move the message each time.
    pub(super) fn reserve(&mut self, chunk: usize, remaining: u64, last: bool, proven: usize) {
        let (len, capacity) = match self {
            Self::Text(text, _) => (text.len(), text.capacity()),
            Self::Binary(bytes) => (bytes.len(), bytes.capacity()),
        };
        if capacity - len >= chunk + COMPLETED {
            return;
        }
        let trusted = len.max(FIRST_RESERVATION).max(proven);
        let announced = usize::try_from(remaining).unwrap_or(usize::MAX).min(trusted);
        let wanted = chunk.max(announced);
        // What is kept anyway may be given on the word of a header: there is only so much of it.
        let all = usize::try_from(remaining).unwrap_or(usize::MAX).max(chunk);
        if capacity == 0
            && let Some(piece) = recycle::take(all)
        {
            match self {
                // It is empty.
                Self::Text(text, _) => *text = String::from_utf8(piece).unwrap_or_default(),
                Self::Binary(bytes) => *bytes = piece,
            }
            return;
        }
        let exactly = len == 0 || (last && announced as u64 == remaining);
        match self {
            Self::Text(text, _) if exactly => text.reserve_exact(wanted + COMPLETED),
            Self::Text(text, _) => text.reserve(wanted + COMPLETED),
            Self::Binary(bytes) if exactly => bytes.reserve_exact(wanted),
            Self::Binary(bytes) => bytes.reserve(wanted),
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), ProtocolError> {
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
    pub(super) fn pass(&mut self, chunk: &[u8]) -> Result<(), ProtocolError> {
        if let Self::Text(_, utf8) = self {
            utf8.push(chunk).map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        Ok(())
    }

    pub(super) fn is_complete(&self) -> bool {
        match self {
            Self::Text(_, utf8) => utf8.is_complete(),
            Self::Binary(_) => true,
        }
    }

    /// What was put together so far, to be handed out as a part: of text, the beginning of a character too.
    pub(super) fn take_kept(&mut self) -> Vec<u8> {
        match self {
            Self::Text(text, utf8) => {
                let mut kept = std::mem::take(text).into_bytes();
                kept.extend_from_slice(utf8.partial());
                kept
            }
            Self::Binary(bytes) => std::mem::take(bytes),
        }
    }

    pub(super) fn into_message(self) -> MessageRef<'static> {
        match self {
            Self::Text(text, _) => MessageRef::Text(Cow::Owned(text)),
            Self::Binary(bytes) => MessageRef::Binary(Cow::Owned(bytes)),
        }
    }
}
