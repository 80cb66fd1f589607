//! Messages that are compressed (RFC 7692 §6 and §7.2), in both directions.

use super::output::Start;
use super::receive::Found;
use super::{Connection, Delivery};
use crate::deflate::scratch;
use crate::error::{CommandError, ProtocolError};
use crate::frame::{Header, MaskingKey, Opcode};
use crate::message::{Outgoing, Payload};

/// The bit that says so, on the first frame of a message.
const RSV1: u8 = 0b100;

// Sending.
impl Connection {
    /// Queues a message compressed. `false`: it is to be sent as it is.
    pub(super) fn send_compressed(
        &mut self,
        message: &Outgoing<'_>,
        key: Option<MaskingKey>,
    ) -> Result<bool, CommandError> {
        let Some(deflate) = &mut self.deflate else { return Ok(false) };
        let len = message.len();
        if !message.compress || !deflate.is_worth(len) {
            return Ok(false);
        }
        let start = Start { opcode: message.message_type.into(), fin: true, rsv: RSV1 };
        let sent = if let Payload::Prepared(prepared) = &message.payload {
            let Some(compressed) = deflate.prepared(prepared)? else { return Ok(false) };
            let sent = compressed.len();
            self.output.push_shared(start, key, compressed);
            sent
        } else {
            let mut out = scratch::take_compressed();
            deflate.compress(message.payload.as_slice(), true, &mut out)?;
            let sent = out.len();
            if sent >= len && !deflate.keeps_context() {
                scratch::give_compressed(out);
                return Ok(false);
            }
            self.output.push_owned(start, key, out);
            sent
        };
        deflate.count_sent(len, sent);
        self.messages_sent += 1;
        Ok(true)
    }

    /// Queues a part of a message compressed. `false`: it is to be sent as it is.
    pub(super) fn send_part_compressed(
        &mut self,
        mut start: Start,
        key: Option<MaskingKey>,
        bytes: &[u8],
        compress: bool,
    ) -> Result<bool, CommandError> {
        let Some(deflate) = &mut self.deflate else { return Ok(false) };
        if start.opcode != Opcode::Continuation {
            // How long the message will be is not known, unless it ends with its first part.
            let len = if start.fin { bytes.len() } else { usize::MAX };
            if !compress || !deflate.is_worth(len) {
                return Ok(false);
            }
            start.rsv = RSV1;
        } else if !deflate.is_under_way() {
            return Ok(false);
        }
        let mut out = scratch::take_compressed();
        deflate.compress(bytes, start.fin, &mut out)?;
        deflate.count_sent(bytes.len(), out.len());
        self.output.push_owned(start, key, out);
        Ok(true)
    }
}

// Receiving.
impl Connection {
    /// Whether the header begins a compressed message, as it may.
    pub(super) fn is_compressed(&self, header: &Header) -> bool {
        self.deflate.is_some() && header.rsv == RSV1 && matches!(header.opcode, Opcode::Text | Opcode::Binary)
    }

    /// Whether the message under way is compressed.
    pub(super) fn is_inflating(&self) -> bool {
        self.message.as_ref().is_some_and(|message| message.inflater.is_some())
    }

    /// What is there of the payload of the frame under way, inflated; see [`payload`](Self::payload).
    ///
    /// Of a message delivered whole all of it, of one in parts as much as fits: the rest stays in the input.
    pub(super) fn compressed_payload(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        delivery: Delivery,
        most: usize,
    ) -> Result<Option<Found>, ProtocolError> {
        if most == 0 {
            // No room would ever be enough.
            return Ok(Some(Found::Nothing));
        }
        let mut inflated = scratch::take_inflated();
        let room = inflated.len().min(most);
        let found = loop {
            match self.inflate(input, at, delivery, &mut inflated[..room]) {
                Ok(Inflated::More) => {}
                Ok(Inflated::Found(found)) => break Ok(Some(found)),
                Ok(Inflated::LookFurther) => break Ok(None),
                Err(error) => break Err(error),
            }
        };
        scratch::give_inflated(inflated);
        found
    }

    fn inflate(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        delivery: Delivery,
        out: &mut [u8],
    ) -> Result<Inflated, ProtocolError> {
        const NOTHING: Result<Inflated, ProtocolError> = Ok(Inflated::Found(Found::Nothing));
        let (Some(message), Some(deflate)) = (&mut self.message, &mut self.deflate) else { return NOTHING };
        if delivery == Delivery::Whole {
            // The frame may have begun while parts were wanted.
            message.check_limits(&self.config)?;
        }
        let (Some(frame), Some(inflater)) = (&mut message.frame, &mut message.inflater) else {
            return NOTHING;
        };
        let available = frame.share(input.len() - *at);
        let chunk = &mut input[*at..*at + available];
        frame.unmask(chunk, self.role);
        let (consumed, produced) = deflate.inflate(inflater, chunk, out)?;
        frame.consumed(consumed);
        *at += consumed;
        let inflated = &out[..produced];
        // What fills the room may not be all there is, even if there is no more input.
        let is_full = produced == out.len();
        let frame_ends = !is_full && frame.remaining == 0;
        let message_ends = frame_ends && message.end_frame();
        if message_ends && let Some(inflater) = &mut message.inflater {
            inflater.end()?;
        }
        if delivery == Delivery::Parts {
            message.in_parts |= produced > 0 || message_ends;
        }
        let message_type = message.content.message_type();
        if message.in_parts {
            message.content.pass(inflated)?;
            let part = inflated.to_vec();
            let ended = self.end_message(message_ends)?.is_some();
            if ended || produced > 0 {
                return Ok(Inflated::Found(Found::OwnedPart(message_type, part, ended)));
            }
        } else {
            let (len, max) = (message.content.len() + produced, self.config.max_message_size);
            if len > max {
                return Err(ProtocolError::MessageTooLarge { len: len as u64, max });
            }
            message.content.reserve(produced, 0, message_ends, 0);
            message.content.push(inflated)?;
            if let Some(content) = self.end_message(message_ends)? {
                return Ok(Inflated::Found(Found::Assembled(content.into_message())));
            }
        }
        match (is_full, frame_ends) {
            (true, _) => Ok(Inflated::More),
            (false, true) => Ok(Inflated::LookFurther),
            (false, false) => NOTHING,
        }
    }
}

/// What inflating once has brought.
enum Inflated {
    /// There may be more to come of the same input.
    More,
    Found(Found),
    /// The frame ended and its message did not.
    LookFurther,
}
