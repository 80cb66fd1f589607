//! Wire bytes from readable text, and one connection fed with them in every way.

use std::sync::Arc;
use std::time::Instant;

use wsduo_proto::handshake::{DeflateAgreement, DeflateSettings};
use wsduo_proto::{
    Compression, Config, Connection, Delivery, Event, MaskingKeys, Message, MessageType, ProtocolError, Role,
};

/// The key of every masked frame, that of the examples in RFC 6455 §5.7.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];
pub(crate) const DELIVERIES: [Delivery; 2] = [Delivery::Whole, Delivery::Parts];

pub(crate) fn keys() -> impl MaskingKeys {
    || KEY
}

/// Bytes from hexadecimal pairs and quoted text, either of them repeated by `n*`: `"82 03 2*ff 'a'"`.
pub(crate) fn wire(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (times, item) = match rest.split_once('*') {
            Some((times, item)) if times.bytes().all(|byte| byte.is_ascii_digit()) => {
                (times.parse().expect("a number before *"), item)
            }
            _ => (1, rest),
        };
        let (item, after) = match item.strip_prefix('\'') {
            Some(quoted) => {
                let (item, after) = quoted.split_once('\'').expect("a closing quote");
                (item.as_bytes().to_vec(), after)
            }
            None => {
                let byte = u8::from_str_radix(&item[..2], 16).expect("a hexadecimal pair");
                (vec![byte], &item[2..])
            }
        };
        bytes.extend(item.repeat(times));
        rest = after.trim_start();
    }
    bytes
}

/// The same frames as a client sends them. Headers may be wrong and the last frame incomplete.
pub(crate) fn masked(frames: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = frames;
    while let [first, second, after @ ..] = rest {
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let (length, after) = after.split_at(after.len().min(extended));
        let announced = if extended == 0 {
            u64::from(second & 0x7f)
        } else {
            length.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
        };
        let (payload, next) = after.split_at(after.len().min(announced as usize));
        out.extend([*first, second | 0x80]);
        out.extend_from_slice(length);
        out.extend(KEY);
        out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        rest = next;
    }
    out.extend_from_slice(rest);
    out
}

/// The frames as `role` receives them.
pub(crate) fn incoming(role: Role, frames: &[u8]) -> Vec<u8> {
    match role {
        Role::Server => masked(frames),
        Role::Client => frames.to_vec(),
    }
}

/// The frames as `role` sends them.
pub(crate) fn outgoing(role: Role, frames: &[u8]) -> Vec<u8> {
    match role {
        Role::Server => frames.to_vec(),
        Role::Client => masked(frames),
    }
}

/// An event, with the parts of a message put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Message(Message),
    Pong(u64),
    Closed,
    Failed(ProtocolError),
}

pub(crate) fn text(text: &str) -> Seen {
    Seen::Message(text.into())
}

pub(crate) fn binary(bytes: impl AsRef<[u8]>) -> Seen {
    Seen::Message(bytes.as_ref().into())
}

pub(crate) fn failed(error: ProtocolError) -> Seen {
    Seen::Failed(error)
}

/// One end of a connection, with the buffer that a driver would have.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) connection: Connection,
    pub(crate) seen: Vec<Seen>,
    /// Input that was not consumed.
    rest: Vec<u8>,
    /// Parts of a message that has not ended.
    pub(crate) parts: Vec<u8>,
}

impl End {
    pub(crate) fn new(role: Role, config: Config, now: Instant) -> Self {
        Self {
            connection: Connection::new(role, Arc::new(config), now),
            seen: Vec::new(),
            rest: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// With compression, where both ends have the same settings.
    pub(crate) fn compressing(role: Role, config: Config, compression: &Compression) -> Self {
        let mut end = Self::new(role, config, Instant::now());
        end.connection = end.connection.with_compression(compression, agreed(compression));
        end
    }

    /// Gives `bytes` to the connection as one read would.
    pub(crate) fn receive(&mut self, bytes: &[u8], delivery: Delivery) {
        let over = self.connection.is_ended();
        self.connection.heard();
        self.rest.extend_from_slice(bytes);
        loop {
            let (consumed, event) = self.connection.receive(&mut self.rest, delivery);
            let more = event.is_some();
            let seen = event.and_then(|event| see(event, &mut self.parts));
            assert!(consumed <= self.rest.len(), "consumed more than there was");
            assert!(!(over && more), "an event after the end: {seen:?}");
            self.rest.drain(..consumed);
            self.seen.extend(seen);
            if !more {
                break;
            }
        }
        if self.connection.is_ended() {
            assert_eq!(self.rest.len(), 0, "input is dropped after the end");
        }
    }

    /// Frames of the peer, unmasked, as one read.
    pub(crate) fn receive_frames(&mut self, frames: &str) {
        let bytes = incoming(self.connection.role(), &wire(frames));
        self.receive(&bytes, Delivery::Whole);
    }

    /// Writes all that is queued.
    pub(crate) fn write(&mut self) -> Vec<u8> {
        self.write_some(usize::MAX)
    }

    /// Writes at most `limit` of the bytes that are queued.
    pub(crate) fn write_some(&mut self, limit: usize) -> Vec<u8> {
        let mut written = Vec::new();
        while written.len() < limit {
            let output = self.connection.output(&mut keys());
            let mut slices = [std::io::IoSlice::new(&[]); 3];
            let filled = output.gather(&mut slices);
            let before = written.len();
            for slice in &slices[..filled] {
                written.extend_from_slice(&slice[..slice.len().min(limit - written.len())]);
            }
            let n = written.len() - before;
            if n == 0 {
                break;
            }
            output.advance(n);
            self.connection.wrote();
        }
        written
    }

    /// Writes all that is queued and compares it with these frames, given unmasked.
    #[track_caller]
    pub(crate) fn writes(&mut self, frames: &str) {
        let expected = outgoing(self.connection.role(), &wire(frames));
        assert_eq!(self.write(), expected, "written, expected {frames}");
    }
}

fn see(event: Event<'_>, parts: &mut Vec<u8>) -> Option<Seen> {
    Some(match event {
        Event::Message(message) => Seen::Message(message.into_owned()),
        Event::Part { bytes, message_type, is_complete } => {
            parts.extend_from_slice(&bytes);
            if !is_complete {
                return None;
            }
            let whole = std::mem::take(parts);
            Seen::Message(match message_type {
                MessageType::Text => String::from_utf8(whole).expect("text is UTF-8").into(),
                MessageType::Binary => whole.into(),
            })
        }
        Event::Pong { number, .. } => Seen::Pong(number),
        Event::Closed => Seen::Closed,
        Event::Failed(error) => Seen::Failed(error),
    })
}

/// What two ends with these settings agree on.
pub(crate) fn agreed(compression: &Compression) -> DeflateAgreement {
    let &DeflateSettings {
        send_window_bits,
        receive_window_bits,
        send_context_takeover,
        receive_context_takeover,
    } = compression.negotiation();
    DeflateAgreement {
        send_window_bits,
        receive_window_bits,
        send_context_takeover,
        receive_context_takeover,
    }
}

/// A configuration that differs from the default by what `change` does.
pub(crate) fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// One wire, fed in every way: under which conditions, and what must come of it.
#[derive(Debug)]
pub(crate) struct Check {
    config: Config,
    compression: Option<Compression>,
    roles: Vec<Role>,
    deliveries: Vec<Delivery>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            config: Config::default(),
            compression: None,
            roles: ROLES.to_vec(),
            deliveries: DELIVERIES.to_vec(),
        }
    }
}

impl Check {
    pub(crate) fn config(change: impl FnOnce(&mut Config)) -> Self {
        Self { config: config(change), ..Self::default() }
    }

    pub(crate) fn compression(self, compression: Compression) -> Self {
        Self { compression: Some(compression), ..self }
    }

    pub(crate) fn delivery(self, delivery: Delivery) -> Self {
        Self { deliveries: vec![delivery], ..self }
    }

    /// Frames given unmasked, masked for the server.
    #[track_caller]
    pub(crate) fn frames(&self, frames: &str, expected: &[Seen], answer: &str) {
        for &role in &self.roles {
            self.bytes(role, &incoming(role, &wire(frames)), expected, answer);
        }
    }

    /// Bytes exactly as they come from the peer.
    #[track_caller]
    pub(crate) fn bytes(&self, role: Role, wire: &[u8], expected: &[Seen], answer: &str) {
        for &delivery in &self.deliveries {
            for segments in segmentations(wire) {
                let mut end = match &self.compression {
                    Some(compression) => End::compressing(role, self.config.clone(), compression),
                    None => End::new(role, self.config.clone(), Instant::now()),
                };
                for segment in &segments {
                    end.receive(segment, delivery);
                }
                let how = || {
                    let lengths: Vec<_> = segments.iter().map(|segment| segment.len()).take(9).collect();
                    format!("{role:?}, {delivery:?}, in segments of {lengths:?}")
                };
                assert_eq!(end.seen, expected, "{}", how());
                if answer != "?" {
                    let answer = outgoing(role, &self::wire(answer));
                    assert_eq!(end.write(), answer, "the answer; {}", how());
                }
            }
        }
    }
}

/// Whole, byte by byte, and in two at every position. A long wire is cut less often, but as finely near its ends.
fn segmentations(wire: &[u8]) -> Vec<Vec<&[u8]>> {
    let len = wire.len();
    let mut all = vec![vec![wire], wire.chunks(1 + len / 5000).collect()];
    all.extend((1..len).filter(|at| len < 300 || *at < 20 || *at > len - 20 || *at % (len / 9) == 0).map(
        |at| {
            let (a, b) = wire.split_at(at);
            vec![a, b]
        },
    ));
    all
}

/// Feeds frames to both roles in every segmentation, in both deliveries, and expects the same events each time.
#[track_caller]
pub(crate) fn check(frames: &str, expected: &[Seen]) {
    Check::default().frames(frames, expected, "?");
}

/// Like [`check`], and compares what is answered.
#[track_caller]
pub(crate) fn check_answer(frames: &str, expected: &[Seen], answer: &str) {
    Check::default().frames(frames, expected, answer);
}

/// Frames that break a rule: the error, and a close frame with its code.
#[track_caller]
pub(crate) fn check_failure(frames: &str, error: ProtocolError) {
    check_answer(frames, &[failed(error)], &close_frame_of(error));
}

/// The close frame that must answer `error`.
pub(crate) fn close_frame_of(error: ProtocolError) -> String {
    let reason = error.to_string();
    let code = error.close_code().number();
    format!("88 {:02x} {:02x} {:02x} '{reason}'", reason.len() + 2, code >> 8, code & 0xff)
}
