//! Frames as text that can be read, and back (RFC 6455 §5.2).
//!
//! `81 05 'hello'` stands for the bytes in order: two hexadecimal digits are one byte, quoted text is its UTF-8, and
//! `'ab'*100` repeats it. White space separates.

/// The key that [`from_client`] masks with.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub first: u8,
    /// Whether it came masked.
    pub masked: bool,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The payload as text, whatever its type.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The code in a close frame.
    pub fn close_code(&self) -> Option<u16> {
        match *self.payload {
            [high, low, ..] if self.first == 0x88 => Some(u16::from_be_bytes([high, low])),
            _ => None,
        }
    }
}

/// The bytes that `text` stands for.
///
/// # Panics
/// If it stands for nothing.
#[track_caller]
pub fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('\'') {
            let Some((inside, behind)) = quoted.split_once('\'') else {
                panic!("no closing quote in {text:?}")
            };
            let (times, behind) = match behind.strip_prefix('*') {
                None => (1, behind),
                Some(behind) => {
                    let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
                    (behind[..digits].parse().unwrap_or(1), &behind[digits..])
                }
            };
            bytes.extend_from_slice(&inside.as_bytes().repeat(times));
            rest = behind.trim_start();
        } else {
            let (pair, behind) = rest.split_at(rest.len().min(2));
            match u8::from_str_radix(pair, 16) {
                Ok(byte) => bytes.push(byte),
                Err(_) => panic!("{pair:?} in {text:?} is no byte"),
            }
            rest = behind.trim_start();
        }
    }
    bytes
}

/// A frame as a server sends it: of this first byte, with its length in the fewest bytes.
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    encode(first, payload.as_ref(), None)
}

/// A frame as a client sends it.
pub fn masked_frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    encode(first, payload.as_ref(), Some(KEY))
}

/// The whole frames in `text`, as a client sends them: masked.
#[track_caller]
pub fn from_client(text: &str) -> Vec<u8> {
    frames(&bytes(text)).iter().flat_map(|frame| masked_frame(frame.first, &frame.payload)).collect()
}

/// The whole frames in `text`, as a server sends them.
#[track_caller]
pub fn from_server(text: &str) -> Vec<u8> {
    bytes(text)
}

fn encode(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(mask_bit | len as u8),
        len @ 126..=0xffff => {
            frame.push(mask_bit | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(mask_bit | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    match key {
        None => frame.extend_from_slice(payload),
        Some(key) => {
            frame.extend_from_slice(&key);
            frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
    }
    frame
}

/// The frames that `wire` consists of.
///
/// # Panics
/// If the last one is cut off.
#[track_caller]
pub fn frames(wire: &[u8]) -> Vec<Frame> {
    let (frames, rest) = split_frames(wire);
    assert!(rest == 0, "the last {rest} bytes are no whole frame, behind {frames:?}");
    frames
}

/// The whole frames at the start of `wire`, and how many bytes are left behind them.
pub fn split_frames(wire: &[u8]) -> (Vec<Frame>, usize) {
    let mut frames = Vec::new();
    let mut rest = wire;
    while let Some((frame, len)) = first_frame(rest) {
        frames.push(frame);
        rest = &rest[len..];
    }
    (frames, rest.len())
}

fn first_frame(wire: &[u8]) -> Option<(Frame, usize)> {
    let &[first, second, ..] = wire else { return None };
    let (mut at, len) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(wire.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(wire.get(2..10)?.try_into().ok()?) as usize),
        len => (2, usize::from(len)),
    };
    let masked = second & 0x80 != 0;
    let mut key = [0; 4];
    if masked {
        key = wire.get(at..at + 4)?.try_into().ok()?;
        at += 4;
    }
    let payload = wire.get(at..at.checked_add(len)?)?;
    let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some((Frame { first, masked, payload }, at + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_for_bytes() {
        assert_eq!(bytes("81 05 'hello'"), b"\x81\x05hello");
        assert_eq!(bytes("8103'ab'*2 00"), b"\x81\x03abab\x00");
    }

    #[test]
    fn the_masked_example_of_the_rfc() {
        // RFC 6455 §5.7
        assert_eq!(from_client("81 05 'Hello'"), bytes("81 85 37 fa 21 3d 7f 9f 4d 51 58"),);
    }

    #[test]
    fn frames_are_found_again() {
        for len in [0, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; len];
            let wire = [frame(0x82, &payload), masked_frame(0x02, &payload)].concat();
            let found = frames(&wire);
            assert_eq!(found[0], Frame { first: 0x82, masked: false, payload: payload.clone() });
            assert_eq!(found[1], Frame { first: 0x02, masked: true, payload });
            assert_eq!(split_frames(&wire[..wire.len() - 1]).0.len(), 1);
        }
    }
}
