//! What is sent: messages of ours, the same damaged on their way, and payloads that nobody would send.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use arbitrary::Arbitrary;
use wsduo_proto::handshake::DeflateAgreement;
use wsduo_proto::{Compression, Connection, MaskingKeys, MessageType, Outgoing, PreparedMessage, Role};

use super::{Settings, message_type};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[derive(Debug, Arbitrary)]
pub(super) struct Sent {
    text: bool,
    payload: Payload,
    /// The sizes of the first fragments; the last has the rest.
    fragments: Vec<u8>,
    pings: bool,
}

#[derive(Debug, Arbitrary)]
enum Payload {
    /// Sent by our own compressor.
    Ours(How, Content),
    /// The same, but damaged on its way.
    Damaged {
        content: Content,
        at: u16,
        with: u8,
        cut: bool,
    },
    Blocks(Vec<Block>),
    Raw(Vec<u8>),
    Plain(Vec<u8>),
}

#[derive(Debug, Arbitrary)]
enum How {
    Whole,
    Owned,
    Uncompressed,
    Prepared,
    Parts {
        sizes: Vec<u16>,
        uncompressed: bool,
        last_is_empty: bool,
    },
    /// After another connection compressed something in the same thread.
    AfterAnother,
}

#[derive(Clone, Debug, Arbitrary)]
enum Content {
    Bytes(Vec<u8>),
    Run {
        byte: u8,
        len: u16,
    },
    Words {
        seed: u16,
        len: u16,
    },
    Noise {
        seed: u16,
        len: u16,
    },
    /// The one before, so that the window matters.
    Again,
}

/// Blocks that begin and end at a byte.
#[derive(Debug, Arbitrary)]
enum Block {
    Stored {
        is_final: bool,
        bytes: Vec<u8>,
    },
    /// Stored, and longer than it says or shorter.
    Lying {
        len: u16,
        bytes: Vec<u8>,
    },
    Empty {
        is_final: bool,
        times: u16,
    },
    /// A final block with fixed codes that holds "Hello", or "llo" from behind it.
    Hello {
        again: bool,
    },
    Header {
        is_final: bool,
    },
}

/// A message as it is on the wire, unmasked.
pub(super) struct Framed {
    pub(super) text: bool,
    pub(super) compressed: bool,
    pub(super) payload: Vec<u8>,
    fragments: Vec<u8>,
    pings: bool,
}

pub(super) struct Sender {
    connection: Connection,
    another: Connection,
    last: Vec<u8>,
    prepared: Option<PreparedMessage>,
    /// Nothing that was sent was changed: the windows of both ends are the same.
    intact: bool,
}

impl Sender {
    pub(super) fn new(settings: &Settings) -> Self {
        let compression = Compression::new()
            .level(1 + settings.level % 9)
            .memory_level(1 + settings.memory_level % 9)
            .threshold(settings.threshold.into());
        let agreement = DeflateAgreement {
            send_window_bits: settings.sender_window_bits,
            receive_window_bits: 15,
            send_context_takeover: settings.sender_takeover,
            receive_context_takeover: true,
        };
        let connection = || {
            Connection::new(Role::Server, Arc::default(), Instant::now())
                .with_compression(&compression, agreement)
        };
        Self {
            connection: connection(),
            another: connection(),
            last: Vec::new(),
            prepared: None,
            intact: true,
        }
    }

    /// The message on the wire; and what has to come of it, if that is known.
    pub(super) fn frame(&mut self, sent: Sent) -> (Framed, Option<Vec<u8>>) {
        let Sent { text, payload, fragments, pings } = sent;
        let (compressed, payload, content) = match payload {
            Payload::Ours(how, content) => {
                let content = self.content(content, text);
                self.send(&how, &content, text);
                let (compressed, payload) = written(&mut self.connection);
                self.last.clone_from(&content);
                (compressed, payload, self.intact.then_some(content))
            }
            Payload::Damaged { content, at, with, cut } => {
                let content = self.content(content, text);
                self.send(&How::Whole, &content, text);
                let (compressed, mut payload) = written(&mut self.connection);
                let at = usize::from(at) % payload.len().max(1);
                if cut {
                    payload.truncate(at);
                } else if let Some(byte) = payload.get_mut(at) {
                    *byte ^= with;
                }
                self.intact = false;
                (compressed, payload, None)
            }
            Payload::Blocks(blocks) => {
                self.intact = false;
                (true, blocks.iter().flat_map(Block::bytes).collect(), None)
            }
            Payload::Raw(bytes) => {
                self.intact = false;
                (true, bytes, None)
            }
            Payload::Plain(bytes) => (false, bytes, None),
        };
        (Framed { text, compressed, payload, fragments, pings }, content)
    }

    fn content(&self, content: Content, text: bool) -> Vec<u8> {
        let bytes = match content {
            Content::Bytes(bytes) => bytes,
            Content::Run { byte, len } => vec![byte; length(len)],
            Content::Words { seed, len } => words(seed, length(len)),
            Content::Noise { seed, len } => noise(seed, length(len)),
            Content::Again => self.last.clone(),
        };
        if text { String::from_utf8_lossy(&bytes).into_owned().into_bytes() } else { bytes }
    }

    fn send(&mut self, how: &How, content: &[u8], text: bool) {
        let keys = &mut keys();
        let message = || match std::str::from_utf8(content) {
            Ok(content) if text => Outgoing::from(content),
            _ => Outgoing::from(content),
        };
        let result = match how {
            How::Whole => self.connection.send(message(), keys),
            How::AfterAnother => {
                let before = self.another.send(message(), keys);
                before.and_then(|()| self.connection.send(message(), keys))
            }
            How::Owned => match String::from_utf8(content.to_vec()) {
                Ok(content) if text => self.connection.send(content.into(), keys),
                _ => self.connection.send(content.to_vec().into(), keys),
            },
            How::Uncompressed => self.connection.send(message().uncompressed(), keys),
            How::Prepared => {
                let is_new = self.prepared.as_ref().is_none_or(|prepared| {
                    prepared.as_bytes() != content || prepared.message_type() != message_type(text)
                });
                if is_new {
                    self.prepared = Some(match String::from_utf8(content.to_vec()) {
                        Ok(content) if text => PreparedMessage::new(content),
                        _ => PreparedMessage::new(content.to_vec()),
                    });
                }
                let prepared = self.prepared.as_ref().expect("it was prepared");
                self.connection.send(prepared.into(), keys)
            }
            How::Parts { sizes, uncompressed, last_is_empty } => {
                self.send_parts(content, sizes, *uncompressed, *last_is_empty, message_type(text))
            }
        };
        result.expect("the connection is open");
        // What another connection sent goes nowhere.
        let _ = written(&mut self.another);
    }

    fn send_parts(
        &mut self,
        content: &[u8],
        sizes: &[u16],
        uncompressed: bool,
        last_is_empty: bool,
        message_type: MessageType,
    ) -> Result<(), wsduo_proto::CommandError> {
        let mut rest = content;
        let mut send = |part: &[u8], ends| {
            let (connection, keys) = (&mut self.connection, &mut keys());
            if uncompressed {
                connection.send_part_uncompressed(message_type, part, ends, keys)
            } else {
                connection.send_part(message_type, part, ends, keys)
            }
        };
        for size in sizes {
            let (part, after) = rest.split_at(rest.len().min((*size).into()));
            send(part, false)?;
            rest = after;
        }
        if last_is_empty {
            send(rest, false)?;
            rest = &[];
        }
        send(rest, true)
    }
}

fn keys() -> impl MaskingKeys {
    || KEY
}

/// Whether the message that was queued is compressed, and its payload over all frames, which are not masked.
fn written(connection: &mut Connection) -> (bool, Vec<u8>) {
    let mut wire = Vec::new();
    loop {
        let output = connection.output(&mut keys());
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = output.gather(&mut slices);
        let before = wire.len();
        slices[..filled].iter().for_each(|slice| wire.extend_from_slice(slice));
        let len = wire.len() - before;
        if len == 0 {
            break;
        }
        output.advance(len);
    }
    let compressed = wire.first().is_some_and(|first| first & 0b0100_0000 != 0);
    let mut payload = Vec::new();
    let mut rest = &wire[..];
    while let [_, second, after @ ..] = rest {
        let extended = match second {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let (length, after) = after.split_at(extended);
        let len = match extended {
            0 => usize::from(*second),
            _ => length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        };
        payload.extend_from_slice(&after[..len]);
        rest = &after[len..];
    }
    (compressed, payload)
}

/// Mostly short: long messages are slow, and seldom find what short ones do not.
fn length(len: u16) -> usize {
    if len.is_multiple_of(16) { len.into() } else { usize::from(len) / 32 }
}

fn words(seed: u16, len: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["quote", "price", "ACME", "\"bid\":", "é12.5", "[]", "{}", "\n"];
    let mut words = Vec::new();
    let mut state = u32::from(seed);
    while words.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        words.extend_from_slice(WORDS[(state >> 24) as usize % 8].as_bytes());
        words.extend_from_slice((state >> 22).to_string().as_bytes());
    }
    words.truncate(len);
    words
}

fn noise(seed: u16, len: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

impl Block {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Stored { is_final, bytes } => stored(*is_final, bytes.len() as u16, bytes),
            Self::Lying { len, bytes } => stored(false, *len, bytes),
            Self::Empty { is_final: false, times } => [0, 0, 0, 0xff, 0xff].repeat(usize::from(times % 200)),
            Self::Empty { is_final: true, times } => [3, 0].repeat(usize::from(times % 200)),
            Self::Hello { again: false } => vec![0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            Self::Hello { again: true } => vec![0xf3, 0x00, 0x11, 0x00, 0x00],
            Self::Header { is_final } => vec![(*is_final).into()],
        }
    }
}

fn stored(is_final: bool, len: u16, bytes: &[u8]) -> Vec<u8> {
    let mut block = vec![is_final.into()];
    block.extend(len.to_le_bytes());
    block.extend((!len).to_le_bytes());
    block.extend_from_slice(bytes);
    block
}

impl Framed {
    /// The frames as `role` receives them.
    pub(super) fn wire(&self, role: Role) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut rest = &self.payload[..];
        let mut first = if self.text { 1 } else { 2 } | if self.compressed { 0x40 } else { 0 };
        for size in &self.fragments {
            let (fragment, after) = rest.split_at(rest.len().min((*size).into()));
            frame(role, first, fragment, &mut wire);
            if self.pings {
                frame(role, 0x89, b"ping", &mut wire);
            }
            (first, rest) = (0, after);
        }
        frame(role, 0x80 | first, rest, &mut wire);
        wire
    }
}

fn frame(role: Role, first: u8, payload: &[u8], wire: &mut Vec<u8>) {
    let mask = if role == Role::Server { 0x80 } else { 0 };
    wire.push(first);
    match payload.len() {
        len @ 0..126 => wire.push(mask | len as u8),
        len @ 126..65536 => {
            wire.push(mask | 126);
            wire.extend((len as u16).to_be_bytes());
        }
        len => {
            wire.push(mask | 127);
            wire.extend((len as u64).to_be_bytes());
        }
    }
    if mask == 0 {
        wire.extend_from_slice(payload);
    } else {
        wire.extend(KEY);
        wire.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
}
