//! Frame headers: two to fourteen bytes on the wire, [`Header`] in memory.
//!
//! This module knows the layout in RFC 6455 §5.2 and holds no state. Whether a header may appear
//! *here and now* is decided in [`crate::connection`].

use super::MAX_CONTROL_PAYLOAD;
use super::mask::MaskingKey;
use crate::error::ProtocolError;

/// Longest header: two bytes, an eight-byte length and a masking key.
pub const MAX_HEADER: usize = 14;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASK: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// What a frame is for (§5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// Goes on with the message begun.
    Continuation = 0x0,
    /// Begins a text message.
    Text = 0x1,
    /// Begins a binary message.
    Binary = 0x2,
    /// Begins or answers the closing handshake.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping, or comes unasked.
    Pong = 0xa,
}

impl Opcode {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    const fn from_number(number: u8) -> Result<Self, ProtocolError> {
        Ok(match number {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            reserved => return Err(ProtocolError::ReservedOpcode(reserved)),
        })
    }

    /// Whether this is a control frame (§5.5).
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// RSV1, RSV2 and RSV3 as bits 2, 1 and 0.
    pub rsv: u8,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The masking key, if the MASK bit is set.
    pub masking_key: Option<MaskingKey>,
    /// Bytes of payload after the header.
    pub payload_len: u64,
}

impl Header {
    /// Parses the header at the start of `input`: the header and its length, or `None` if it is not all there.
    ///
    /// # Errors
    /// Whatever makes the header wrong in itself: a reserved opcode, a control frame that is fragmented or too
    /// long, a length that is not minimal or over 2^63-1. An error is told as soon as its bytes are there.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let [first, second, ..] = *input else {
            return Ok(None);
        };
        let opcode = Opcode::from_number(first & OPCODE)?;
        let fin = first & FIN != 0;
        let short = second & LENGTH;
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        let (payload_len, mut len) = match short {
            LENGTH_16 => match input.get(2..4) {
                Some(&[a, b]) => (u64::from(u16::from_be_bytes([a, b])), 4),
                _ => return Ok(None),
            },
            LENGTH_64 => match input.get(2..10) {
                Some(&[a, b, c, d, e, f, g, h]) => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 10),
                _ => return Ok(None),
            },
            _ => (u64::from(short), 2),
        };
        if payload_len >> 63 != 0 {
            return Err(ProtocolError::LengthTooLong(payload_len));
        }
        if (short == LENGTH_16 && payload_len < u64::from(LENGTH_16))
            || (short == LENGTH_64 && payload_len <= u64::from(u16::MAX))
        {
            return Err(ProtocolError::LengthNotMinimal(payload_len));
        }
        if opcode.is_control() && payload_len > MAX_CONTROL_PAYLOAD as u64 {
            return Err(ProtocolError::ControlTooLong(payload_len));
        }
        let masking_key = if second & MASK == 0 {
            None
        } else {
            let Some(&[a, b, c, d]) = input.get(len..len + 4) else {
                return Ok(None);
            };
            len += 4;
            Some(MaskingKey::new([a, b, c, d]))
        };
        Ok(Some((Self { fin, rsv: (first & RSV) >> 4, opcode, masking_key, payload_len }, len)))
    }

    /// Writes the header at the end of `out`.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        let first = (u8::from(self.fin) << 7) | ((self.rsv << 4) & RSV) | self.opcode.number();
        let mask = if self.masking_key.is_some() { MASK } else { 0 };

        match self.payload_len {
            0..=125 => out.extend_from_slice(&[first, mask | self.payload_len as u8]),
            126..=0xffff => {
                let [a, b] = (self.payload_len as u16).to_be_bytes();
                out.extend_from_slice(&[first, mask | LENGTH_16, a, b]);
            }
            long => {
                let [a, b, c, d, e, f, g, h] = long.to_be_bytes();
                out.extend_from_slice(&[first, mask | LENGTH_64, a, b, c, d, e, f, g, h]);
            }
        }
        if let Some(key) = self.masking_key {
            out.extend_from_slice(&key.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(payload_len: u64) -> Header {
        Header { fin: true, rsv: 0, opcode: Opcode::Text, masking_key: None, payload_len }
    }

    #[track_caller]
    fn check_both_ways(header: Header, wire: &[u8]) {
        let mut out = Vec::new();
        header.write(&mut out);
        assert_eq!(out, wire, "written");
        assert_eq!(Header::parse(wire), Ok(Some((header, wire.len()))), "parsed");
        for end in 0..wire.len() {
            assert_eq!(Header::parse(&wire[..end]), Ok(None), "the first {end} bytes");
        }
    }

    #[test]
    fn lengths_take_the_fewest_bytes() {
        check_both_ways(text(0), &[0x81, 0]);
        check_both_ways(text(125), &[0x81, 125]);
        check_both_ways(text(126), &[0x81, 126, 0, 126]);
        check_both_ways(text(0xffff), &[0x81, 126, 0xff, 0xff]);
        check_both_ways(text(0x1_0000), &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        check_both_ways(text(u64::MAX >> 1), &[0x81, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn the_masking_key_follows_the_length() {
        let masking_key = Some(MaskingKey::new([1, 2, 3, 4]));
        check_both_ways(Header { masking_key, ..text(5) }, &[0x81, 0x85, 1, 2, 3, 4]);
        check_both_ways(Header { masking_key, ..text(300) }, &[0x81, 0xfe, 1, 44, 1, 2, 3, 4]);
    }

    #[test]
    fn reserved_bits_are_kept_for_extensions() {
        check_both_ways(Header { rsv: 0b100, ..text(1) }, &[0xc1, 1]);
        check_both_ways(Header { rsv: 0b011, fin: false, ..text(1) }, &[0x31, 1]);
    }

    #[test]
    fn a_wrong_header_is_refused() {
        use ProtocolError::*;
        for (wire, error) in [
            (&[0x83, 0][..], ReservedOpcode(3)),
            (&[0x8b, 0], ReservedOpcode(11)),
            (&[0x09, 0], FragmentedControl),
            (&[0x88, 126, 0, 126], ControlTooLong(126)),
            (&[0x82, 126, 0, 125], LengthNotMinimal(125)),
            (&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], LengthNotMinimal(0xffff)),
            (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], LengthTooLong(1 << 63)),
        ] {
            assert_eq!(Header::parse(wire), Err(error));
        }
    }
}
