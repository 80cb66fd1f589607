//! Frame headers of RFC 6455 §5.2, read and written without any opinion.
//!
//! Nothing is checked beyond what is needed to find the end of a header: the servers are on trial here,
//! not the generator.

/// The opcode of a text frame.
pub const TEXT: u8 = 1;
/// The opcode of a binary frame.
pub const BINARY: u8 = 2;
/// The opcode of a close frame; every opcode from here on is that of a control frame.
pub const CLOSE: u8 = 8;
/// The opcode of a ping frame.
pub const PING: u8 = 9;
/// The opcode of a pong frame.
pub const PONG: u8 = 10;
/// The FIN bit of a header's first byte.
pub const FIN: u8 = 0x80;
/// The most bytes a header can have.
pub const MAX_HEADER: usize = 14;

const MASK: u8 = 0x80;

/// A header of either role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// FIN, reserved bits and opcode as on the wire.
    pub first: u8,
    /// The masking key as a little-endian word, in a client's frame.
    pub key: Option<u32>,
    /// Bytes of payload to come.
    pub length: u64,
}

impl Header {
    /// Reads a header from the front of `bytes` and tells its size; `None` while it is incomplete.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let &[first, second, ref rest @ ..] = bytes else {
            return None;
        };
        let (length, at, rest) = match second & !MASK {
            126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4, rest.get(2..)?),
            127 => (u64::from_be_bytes(*rest.first_chunk()?), 10, rest.get(8..)?),
            short => (u64::from(short), 2, rest),
        };
        if second & MASK == 0 {
            return Some((Self { first, key: None, length }, at));
        }
        let key = u32::from_le_bytes(*rest.first_chunk()?);
        Some((Self { first, key: Some(key), length }, at + 4))
    }

    /// The opcode.
    #[inline]
    pub fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    /// Whether this is the last frame of its message.
    #[inline]
    pub fn is_final(&self) -> bool {
        self.first & FIN != 0
    }
}

/// Writes an unmasked header to the front of `to` and returns its size.
///
/// # Panics
/// If `to` has less than [`MAX_HEADER`] bytes.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "each arm has checked the range")]
pub fn write_header(first: u8, length: u64, to: &mut [u8]) -> usize {
    to[0] = first;
    match length {
        0..=125 => {
            to[1] = length as u8;
            2
        }
        126..=0xffff => {
            to[1] = 126;
            to[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            to[1] = 127;
            to[2..10].copy_from_slice(&length.to_be_bytes());
            10
        }
    }
}

/// A whole masked frame, as a client sends it.
pub fn masked(opcode: u8, payload: &[u8], key: u32) -> Vec<u8> {
    let mut header = [0; MAX_HEADER];
    let size = write_header(FIN | opcode, payload.len() as u64, &mut header);
    header[1] |= MASK;
    let key = key.to_le_bytes();
    let mut frame = Vec::with_capacity(size + key.len() + payload.len());
    frame.extend_from_slice(&header[..size]);
    frame.extend_from_slice(&key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(length: usize, header: usize) {
        let frame = masked(BINARY, &vec![0; length], 0x0403_0201);
        let expected = Header { first: 0x82, key: Some(0x0403_0201), length: length as u64 };
        assert_eq!(Header::parse(&frame), Some((expected, header)));
        for end in 0..header {
            assert_eq!(Header::parse(&frame[..end]), None, "{end} bytes of {header}");
        }
    }

    #[test]
    fn what_is_written_is_read_in_each_form_of_length() {
        check(0, 6);
        check(125, 6);
        check(126, 8);
        check(0xffff, 8);
        check(0x1_0000, 14);
    }

    #[test]
    fn the_key_applies_from_its_first_byte_on() {
        assert_eq!(
            masked(TEXT, b"abcde", 0x0403_0201)[6..],
            [b'a' ^ 1, b'b' ^ 2, b'c' ^ 3, b'd' ^ 4, b'e' ^ 1]
        );
    }
}
