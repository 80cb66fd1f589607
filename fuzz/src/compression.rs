//! Messages compressed by us, damaged ones, and any bytes that claim to be compressed, to a connection with
//! permessage-deflate. The input says what is agreed on, what is sent, and how it is cut up and asked for.

mod sending;

use std::sync::Arc;
use std::time::Instant;

use arbitrary::{Arbitrary, Unstructured};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use wsduo_proto::handshake::DeflateAgreement;
use wsduo_proto::{Compression, Config, Connection, Delivery, Event, MessageType, Role};

use crate::naive_inflate::{self, Inflated};
use sending::{Framed, Sender, Sent};

/// More messages than this find nothing that fewer do not.
const MOST_MESSAGES: usize = 12;

/// Messages that inflate to more are not sent: the oracle is slow.
const MOST_INFLATED: usize = 200_000;

/// Inputs that are longer, or inflate to more, are not looked at byte by byte.
const SLOWLY: usize = 3000;

/// What may be left in the input while nothing more comes: a header that is not complete, or a control frame.
const MOST_LEFT: usize = 14 + 125;

#[derive(Debug, Arbitrary)]
struct Settings {
    receiver_is_client: bool,
    window_bits: u8,
    sender_window_bits: u8,
    takeover: bool,
    sender_takeover: bool,
    level: u8,
    memory_level: u8,
    threshold: u8,
    asking: Asking,
    /// Which message has just as many bytes as are allowed, or one more.
    limited: Option<(u8, bool)>,
    /// The sizes of the pieces in which input comes, over and over.
    pieces: Vec<u8>,
}

/// How messages are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
enum Asking {
    Whole,
    Parts,
    PartsOf(u16),
    /// Now whole, now in parts, by the bits of the number.
    Mixed(u32),
}

/// What has to come of a message.
struct Expected {
    message_type: MessageType,
    bytes: Vec<u8>,
    /// The close codes with which it may fail; if there are any, it has to.
    failures: Vec<u16>,
    compressed: Option<usize>,
}

/// Checks that our inflater agrees with the obvious one about every message, whatever the window, however the input is cut
/// up and asked for; that limits hold to the byte; and that what our compressor makes inflates to what was sent, with
/// references that stay in the window agreed on.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(mut settings) = Settings::arbitrary(&mut input) else { return };
    settings.window_bits = 8 + settings.window_bits % 8;
    settings.sender_window_bits = (8 + settings.sender_window_bits % 8).min(settings.window_bits);
    settings.sender_takeover &= settings.takeover;
    let mut sender = Sender::new(&settings);
    let mut window = Vec::new();
    let mut messages = Vec::new();
    let mut inflated = Vec::new();
    for _ in 0..MOST_MESSAGES {
        if input.is_empty() {
            break;
        }
        let Ok(sent) = Sent::arbitrary(&mut input) else { break };
        let (message, content) = sender.frame(sent);
        let Some(came) = inflate(&message, &settings, &mut window) else { break };
        if let Some(content) = content {
            assert!(came.problem.is_none(), "what we compress is deflate");
            assert!(came.bytes == content, "what is inflated is what was sent");
            assert!(came.distance <= 1 << settings.sender_window_bits, "{} back", came.distance);
        }
        messages.push(message);
        inflated.push(came);
    }

    let limit = match settings.limited {
        Some((number, is_short)) if settings.asking == Asking::Whole && !inflated.is_empty() => {
            let len = inflated[usize::from(number) % inflated.len()].bytes.len();
            len.saturating_sub(is_short.into())
        }
        _ => usize::MAX,
    };
    let expected: Vec<Expected> =
        messages.iter().zip(inflated).map(|(message, came)| expect(message, came, limit)).collect();
    let role = if settings.receiver_is_client { Role::Client } else { Role::Server };
    let wire: Vec<u8> = messages.iter().flat_map(|message| message.wire(role)).collect();
    let output: usize = expected.iter().map(|message| message.bytes.len()).sum();

    let receive = |pieces: &mut dyn Iterator<Item = &[u8]>, asking| {
        Receiver::new(&settings, role, limit).receive(pieces, asking, &expected);
    };
    receive(&mut pieces(&wire, &settings.pieces), settings.asking);
    receive(&mut std::iter::once(&wire[..]), settings.asking);
    if wire.len() < SLOWLY {
        receive(&mut wire.chunks(1), settings.asking);
        if output < SLOWLY && limit == usize::MAX {
            receive(&mut wire.chunks(1), Asking::PartsOf(0));
        }
    }
}

/// What the obvious inflater makes of a message; `None` if that is too much to go on.
fn inflate(message: &Framed, settings: &Settings, window: &mut Vec<u8>) -> Option<Inflated> {
    if !message.compressed {
        return Some(Inflated { bytes: message.payload.clone(), ..Inflated::default() });
    }
    let size = if settings.takeover { 1 << settings.window_bits } else { 0 };
    let came = naive_inflate::inflate(&message.payload, window, size, MOST_INFLATED);
    if came.cut_off {
        return None;
    }
    if came.problem.is_none() && came.restarts.is_empty() && !message.payload.is_empty() {
        assert!(inflate_with_miniz(&message.payload, window, came.bytes.len()) == came.bytes);
    }
    window.extend_from_slice(&came.bytes);
    window.drain(..window.len().saturating_sub(size));
    Some(came)
}

/// Somebody else's inflater, where there is no doubt: it keeps the obvious one honest.
fn inflate_with_miniz(payload: &[u8], window: &[u8], len: usize) -> Vec<u8> {
    let ended = [payload, &[0, 0, 0xff, 0xff, 3, 0]].concat();
    let mut out = window.to_vec();
    out.resize(window.len() + len + 1, 0);
    let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, _, made) = decompress(&mut DecompressorOxide::new(), &ended, &mut out, window.len(), flags);
    assert_eq!(status, TINFLStatus::Done);
    out[window.len()..window.len() + made].to_vec()
}

fn expect(message: &Framed, came: Inflated, limit: usize) -> Expected {
    let Inflated { bytes, problem, restarts, .. } = came;
    let mut failures = Vec::new();
    let announced_limit = if message.compressed { limit.saturating_add(limit / 8 + 1024) } else { limit };
    if bytes.len() > limit || message.payload.len() > announced_limit {
        failures.push(1009);
    }
    // A character that is cut off may still be completed, unless the message ends.
    let is_bad = |error: std::str::Utf8Error| problem.is_none() || error.error_len().is_some();
    if problem.is_some() || (message.text && std::str::from_utf8(&bytes).is_err_and(is_bad)) {
        failures.push(1007);
    }
    if restarts.iter().enumerate().any(|(index, consumed)| index + 1 > 16 + consumed / 256) {
        failures.push(1008);
    }
    Expected {
        message_type: message_type(message.text),
        bytes,
        failures,
        compressed: message.compressed.then_some(message.payload.len()),
    }
}

const fn message_type(text: bool) -> MessageType {
    if text { MessageType::Text } else { MessageType::Binary }
}

fn pieces<'a>(mut wire: &'a [u8], sizes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = sizes.next().map_or(wire.len(), |size| usize::from(*size).pow(2) / 8 + 1);
        let (piece, rest) = wire.split_at(size.min(wire.len()));
        wire = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

struct Receiver {
    connection: Connection,
    messages: Vec<(MessageType, Vec<u8>)>,
    /// Of a message that has not ended.
    parts: Vec<u8>,
    failed: Option<u16>,
    calls: u32,
}

impl Receiver {
    fn new(settings: &Settings, role: Role, limit: usize) -> Self {
        let mut config = Config::default();
        config.max_message_size = limit;
        let agreement = DeflateAgreement {
            send_window_bits: 15,
            receive_window_bits: settings.window_bits,
            send_context_takeover: true,
            receive_context_takeover: settings.takeover,
        };
        let connection = Connection::new(role, Arc::new(config), Instant::now())
            .with_compression(&Compression::new(), agreement);
        Self { connection, messages: Vec::new(), parts: Vec::new(), failed: None, calls: 0 }
    }

    /// Takes the input and compares what comes of it.
    fn receive(mut self, pieces: &mut dyn Iterator<Item = &[u8]>, asking: Asking, expected: &[Expected]) {
        let mut input = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            while self.ask(&mut input, asking) {}
            assert!(input.len() < MOST_LEFT, "{} bytes of input are left", input.len());
        }
        assert!(input.is_empty(), "nothing is left of whole frames");

        let good = expected.iter().take_while(|message| message.failures.is_empty());
        let bad = expected.iter().find(|message| !message.failures.is_empty());
        let good: Vec<_> = good.collect();
        assert_eq!(self.messages.len(), good.len(), "failed: {:?}; {asking:?}", self.failed);
        for (came, message) in self.messages.iter().zip(&good) {
            assert_eq!(came.0, message.message_type);
            assert!(came.1 == message.bytes, "{} bytes of {}", came.1.len(), message.bytes.len());
        }
        match (self.failed, bad) {
            (Some(code), Some(message)) => {
                assert!(message.failures.contains(&code), "{code}, of {:?}", message.failures);
                assert!(message.bytes.starts_with(&self.parts), "parts of a bad message");
            }
            (None, None) => {
                assert!(self.parts.is_empty());
                let statistics = self.connection.compression().expect("it was agreed on").1;
                let compressed =
                    good.iter().filter_map(|message| Some((message.bytes.len(), message.compressed?)));
                let sums = compressed.fold((0, 0), |sums, (whole, less)| (sums.0 + whole, sums.1 + less));
                let counted = (statistics.received, statistics.received_compressed);
                assert_eq!(counted, (sums.0 as u64, sums.1 as u64));
            }
            (failed, _) => panic!("failed: {failed:?}, expected {:?}", bad.map(|message| &message.failures)),
        }
    }

    /// Asks once: whether something came.
    fn ask(&mut self, input: &mut Vec<u8>, asking: Asking) -> bool {
        let most = match asking {
            Asking::PartsOf(most) => usize::from(most) + 1,
            Asking::Mixed(bits) => (bits.rotate_left(self.calls) >> 16) as usize + 1,
            _ => usize::MAX,
        };
        let way = match asking {
            Asking::Whole => 0,
            Asking::Parts => 1,
            Asking::PartsOf(_) => 2,
            Asking::Mixed(bits) => bits.rotate_right(self.calls) % 3,
        };
        self.calls += 1;
        let (consumed, event) = match way {
            0 => self.connection.receive(input, Delivery::Whole),
            1 => self.connection.receive(input, Delivery::Parts),
            _ => self.connection.receive_part(input, most),
        };
        let came = event.is_some();
        match event {
            None => {}
            Some(Event::Message(message)) => {
                assert!(self.parts.is_empty());
                self.messages.push((message.message_type(), message.as_bytes().to_vec()));
            }
            Some(Event::Part { bytes, message_type, is_complete }) => {
                assert!(!matches!(asking, Asking::PartsOf(_)) || bytes.len() <= most);
                assert!(is_complete || !bytes.is_empty(), "a part that says nothing");
                self.parts.extend_from_slice(&bytes);
                if is_complete {
                    self.messages.push((message_type, std::mem::take(&mut self.parts)));
                }
            }
            Some(Event::Failed(error)) => self.failed = Some(error.close_code().number()),
            Some(other) => panic!("{other:?}"),
        }
        input.drain(..consumed);
        came
    }
}
