//! An encoder and a decoder that are obvious, slow and complete: RFC 6455 §5 read aloud.

use wsduo_proto::{Message, Role};

use crate::support::Seen;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// One frame, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) announced: u64,
    /// How many bytes the length took after the second one: 0, 2 or 8.
    extended: usize,
    /// Shorter than announced where the input ends.
    pub(crate) payload: Vec<u8>,
}

/// Writes a frame.
pub(crate) fn encode(fin: bool, opcode: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut out = vec![opcode + if fin { 128 } else { 0 }];
    let mask_bit = if key.is_some() { 128 } else { 0 };
    if payload.len() <= 125 {
        out.push(mask_bit + payload.len() as u8);
    } else if payload.len() <= 65535 {
        out.push(mask_bit + 126);
        out.extend((payload.len() as u16).to_be_bytes());
    } else {
        out.push(mask_bit + 127);
        out.extend((payload.len() as u64).to_be_bytes());
    }
    out.extend(key.unwrap_or_default().iter().take(if key.is_some() { 4 } else { 0 }));
    for (i, byte) in payload.iter().enumerate() {
        out.push(byte ^ key.unwrap_or_default()[i % 4]);
    }
    out
}

/// The next frame, taken from `input`; `None` if its header is not all there. The payload may be cut short.
fn next_frame(input: &mut &[u8]) -> Option<Frame> {
    let mut rest = *input;
    let mut take = |n: usize| {
        let (taken, after) = rest.split_at_checked(n)?;
        rest = after;
        Some(taken)
    };
    let head = take(2)?;
    let extended = match head[1] & 127 {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut announced = u64::from(head[1] & 127);
    if extended > 0 {
        announced = take(extended)?.iter().fold(0, |sum, byte| sum * 256 + u64::from(*byte));
    }
    let key: Option<[u8; 4]> = match head[1] >= 128 {
        true => Some(take(4)?.try_into().expect("four bytes")),
        false => None,
    };
    let len = (announced.min(rest.len() as u64)) as usize;
    let mut payload = rest[..len].to_vec();
    for (i, byte) in payload.iter_mut().enumerate() {
        *byte ^= key.unwrap_or_default()[i % 4];
    }
    *input = &rest[len..];
    Some(Frame {
        fin: head[0] >= 128,
        rsv: (head[0] >> 4) & 7,
        opcode: head[0] & 15,
        key,
        announced,
        extended,
        payload,
    })
}

/// All the frames of `bytes`, which end with the last.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let frame = next_frame(&mut bytes).expect("a whole header");
        assert_eq!(frame.payload.len() as u64, frame.announced, "a whole payload");
        frames.push(frame);
    }
    frames
}

/// What a connection must make of some bytes.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) messages: Vec<Message>,
    /// The pings to be answered, if nothing ends the connection.
    pub(crate) pings: Vec<Vec<u8>>,
    pub(crate) end: Ending,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    /// More may come.
    #[default]
    None,
    /// The bytes end inside a header or a control frame: a violation may show already, or not yet.
    Open,
    /// A close frame, with its code.
    Closed(Option<u16>),
    /// A violation, with the code of the answer.
    Failed(u16),
}

/// Decodes what `role` receives.
pub(crate) fn decode(role: Role, mut input: &[u8]) -> Expected {
    let mut expected = Expected::default();
    let mut message: Option<(u8, Vec<u8>)> = None;
    let ending = loop {
        if input.is_empty() {
            break Ending::None;
        }
        let Some(frame) = next_frame(&mut input) else {
            break Ending::Open;
        };
        if is_wrong(role, &frame, message.is_some()) {
            break Ending::Failed(1002);
        }
        let whole = frame.payload.len() as u64 == frame.announced;
        if frame.opcode >= CLOSE && !whole {
            break Ending::Open;
        }
        match frame.opcode {
            CLOSE => break ending_of(&frame.payload),
            PING => {
                expected.pings.truncate(15);
                expected.pings.push(frame.payload);
            }
            PONG => {}
            _ => {
                let (opcode, mut content) = message.take().unwrap_or((frame.opcode, Vec::new()));
                content.extend(frame.payload);
                let complete = whole && frame.fin;
                match std::str::from_utf8(&content) {
                    Err(error) if opcode == TEXT && (complete || error.error_len().is_some()) => {
                        break Ending::Failed(1007);
                    }
                    Ok(text) if complete && opcode == TEXT => expected.messages.push(text.into()),
                    _ if complete => expected.messages.push(content.into()),
                    _ => message = Some((opcode, content)),
                }
            }
        }
    };
    expected.end = ending;
    expected
}

/// Whether a header breaks a rule, with a message begun or not.
fn is_wrong(role: Role, frame: &Frame, begun: bool) -> bool {
    let minimal = match frame.extended {
        0 => true,
        2 => frame.announced >= 126,
        _ => (65536..1 << 63).contains(&frame.announced),
    };
    let fits = match frame.opcode {
        0 => begun,
        TEXT | BINARY => !begun,
        CLOSE | PING | PONG => frame.fin && frame.announced <= 125,
        _ => false,
    };
    frame.rsv != 0 || !minimal || !fits || frame.key.is_some() != (role == Role::Server)
}

fn ending_of(close: &[u8]) -> Ending {
    let (code, reason) = match close {
        [] => return Ending::Closed(None),
        [_] => return Ending::Failed(1002),
        [high, low, reason @ ..] => (u16::from(*high) * 256 + u16::from(*low), reason),
    };
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 if std::str::from_utf8(reason).is_ok() => {
            Ending::Closed(Some(code))
        }
        1000..=1003 | 1007..=1014 | 3000..=4999 => Ending::Failed(1007),
        _ => Ending::Failed(1002),
    }
}

/// The messages among what was seen.
pub(crate) fn messages(seen: &[Seen]) -> Vec<Message> {
    seen.iter()
        .filter_map(|seen| match seen {
            Seen::Message(message) => Some(message.clone()),
            _ => None,
        })
        .collect()
}
