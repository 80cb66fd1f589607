//! The obvious decoder: slow, over the whole input at once, with none of the core's code.
//!
//! It tells what a connection has to deliver. It says *how* a peer failed by the close code only.

use wsduo_proto::{Config, MessageType, Role};

/// What a connection delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Message(MessageType, Vec<u8>),
    /// Code (0: none) and reason.
    Closed(u16, String),
    /// The close code that the violation is answered with.
    Failed(u16),
}

/// Everything told, and whether the input ends inside a header, where a decoder may fail early, or not yet.
pub(crate) struct Decoded {
    pub(crate) told: Vec<Told>,
    pub(crate) ends_in_header: bool,
}

/// Decodes `wire`, sent to `role`; the limits of `config` hold if there is one.
pub(crate) fn decode(wire: &[u8], role: Role, config: Option<&Config>) -> Decoded {
    let mut decoder = Decoder { told: Vec::new(), message: None, fragments: 0, announced: 0 };
    let mut rest = wire;
    loop {
        match decoder.frame(rest, role, config) {
            Step::Next(used) => rest = &rest[used..],
            Step::InHeader => {
                return Decoded { told: decoder.told, ends_in_header: !rest.is_empty() };
            }
            Step::InPayload => {
                return Decoded { told: decoder.told, ends_in_header: false };
            }
            Step::End(last) => {
                decoder.told.push(last);
                return Decoded { told: decoder.told, ends_in_header: false };
            }
        }
    }
}

struct Decoder {
    told: Vec<Told>,
    message: Option<(MessageType, Vec<u8>)>,
    fragments: u32,
    announced: u64,
}

enum Step {
    /// A whole frame of that many bytes.
    Next(usize),
    InHeader,
    InPayload,
    End(Told),
}

impl Decoder {
    fn frame(&mut self, wire: &[u8], role: Role, config: Option<&Config>) -> Step {
        let Some((header, len)) = header(wire) else {
            return Step::InHeader;
        };
        let Header { fin, rsv, opcode, masked, length_is_minimal, payload_len, key } = header;
        let control = opcode >= 8;
        let known = matches!(opcode, 0..=2 | 8..=10);
        let out_of_turn = match opcode {
            0 => self.message.is_none(),
            1 | 2 => self.message.is_some(),
            _ => false,
        };
        if !known
            || rsv
            || masked != (role == Role::Server)
            || !length_is_minimal
            || payload_len > i64::MAX as u64
            || (control && (!fin || payload_len > 125))
            || out_of_turn
        {
            return Step::End(Told::Failed(1002));
        }
        let available = (wire.len() - len).min(usize::try_from(payload_len).unwrap_or(usize::MAX));
        let is_whole = available as u64 == payload_len;
        let payload: Vec<u8> =
            wire[len..len + available].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        if control {
            return if is_whole { self.control(opcode, &payload, len) } else { Step::InPayload };
        }
        if opcode != 0 {
            let message_type = if opcode == 1 { MessageType::Text } else { MessageType::Binary };
            self.message = Some((message_type, Vec::new()));
            self.fragments = 0;
            self.announced = 0;
        }
        self.fragments += 1;
        self.announced = self.announced.saturating_add(payload_len);
        if let Some(config) = config {
            if payload_len > config.max_frame_size as u64 || self.announced > config.max_message_size as u64 {
                return Step::End(Told::Failed(1009));
            }
            if self.fragments > config.max_fragments {
                return Step::End(Told::Failed(1008));
            }
        }
        self.data(&payload, is_whole, fin, len)
    }

    fn data(&mut self, payload: &[u8], is_whole: bool, fin: bool, header_len: usize) -> Step {
        let Some((message_type, bytes)) = &mut self.message else {
            return Step::End(Told::Failed(1002));
        };
        bytes.extend_from_slice(payload);
        let ends = is_whole && fin;
        if *message_type == MessageType::Text {
            // A character that is cut off may still be completed, unless the message ends.
            let bad = std::str::from_utf8(bytes).is_err_and(|error| ends || error.error_len().is_some());
            if bad {
                return Step::End(Told::Failed(1007));
            }
        }
        if ends && let Some((message_type, bytes)) = self.message.take() {
            self.told.push(Told::Message(message_type, bytes));
        }
        if is_whole { Step::Next(header_len + payload.len()) } else { Step::InPayload }
    }

    fn control(&mut self, opcode: u8, payload: &[u8], header_len: usize) -> Step {
        if opcode != 8 {
            return Step::Next(header_len + payload.len());
        }
        Step::End(match payload {
            [] => Told::Closed(0, String::new()),
            [_] => Told::Failed(1002),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                match std::str::from_utf8(reason) {
                    _ if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) => Told::Failed(1002),
                    Err(_) => Told::Failed(1007),
                    Ok(reason) => Told::Closed(code, reason.to_owned()),
                }
            }
        })
    }
}

struct Header {
    fin: bool,
    rsv: bool,
    opcode: u8,
    masked: bool,
    length_is_minimal: bool,
    payload_len: u64,
    key: [u8; 4],
}

/// The header at the start of `wire` and its length, if it is all there (RFC 6455 §5.2).
fn header(wire: &[u8]) -> Option<(Header, usize)> {
    let (&first, &second) = (wire.first()?, wire.get(1)?);
    let (payload_len, least, mut len) = match second & 127 {
        126 => (wire.get(2..4)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), 126, 4),
        127 => (wire.get(2..10)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), 1 << 16, 10),
        short => (u64::from(short), 0, 2),
    };
    let masked = second & 128 != 0;
    let mut key = [0; 4];
    if masked {
        key.copy_from_slice(wire.get(len..len + 4)?);
        len += 4;
    }
    let header = Header {
        fin: first & 128 != 0,
        rsv: first & 0b0111_0000 != 0,
        opcode: first & 15,
        masked,
        length_is_minimal: payload_len >= least,
        payload_len,
        key,
    };
    Some((header, len))
}
