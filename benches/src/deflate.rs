//! Compressed echoes (RFC 7692): texts, their frames, and connections that check what comes back.

use crate::frame::{self, FIN, Header};
use crate::{Error, handshake};
use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

/// How many texts there are in a cycle.
pub const CYCLE: usize = 64;

/// The offer of a client that promises not to refer to earlier messages. Ours never do, so that frames can be replayed.
pub const FORGETTING: &str = "permessage-deflate; client_no_context_takeover";
/// The offer of a client that may refer to earlier messages, so that the server has to keep them.
pub const KEEPING: &str = "permessage-deflate; client_max_window_bits";
/// The bit that marks a compressed message.
const RSV1: u8 = 0x40;
/// What a compressed message ends with, and does not on the wire.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// An arbitrary key with four different bytes.
const KEY: u32 = 0x9d37_c15e;
const SCRATCH: usize = 256 * 1024;

/// [`CYCLE`] different texts of one size, always the same, and their frames.
#[derive(Debug)]
pub struct Texts {
    size: usize,
    plain: Vec<Vec<u8>>,
    frames: Vec<Vec<u8>>,
}

impl Texts {
    /// Makes texts of `size` bytes that look like JSON.
    ///
    /// # Errors
    /// If one cannot be compressed.
    pub fn new(size: usize) -> Result<Self, Error> {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let plain: Vec<Vec<u8>> = (0..CYCLE).map(|_| json(size, &mut random)).collect();
        let frames = plain.iter().map(|text| compressed_frame(text)).collect::<Result<_, _>>()?;
        Ok(Self { size, plain, frames })
    }

    /// Bytes of each.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// One masked frame with `text`, compressed without any other.
fn compressed_frame(text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut deflate = Deflate::new_with_config(DeflateConfig { window_bits: -15, ..DeflateConfig::new(6) });
    let mut payload = vec![0; text.len() + 256];
    deflate
        .compress(text, &mut payload, DeflateFlush::SyncFlush)
        .map_err(|error| format!("compressing a text: {error:?}"))?;
    payload.truncate(usize::try_from(deflate.total_out())?);
    let payload = payload.strip_suffix(&TAIL).ok_or("a compressed text without its tail")?;
    Ok(frame::masked(RSV1 | frame::TEXT, payload, KEY))
}

/// Marsaglia's xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap_or(0)]
    }
}

/// A list of events, cut off where it is long enough.
fn json(size: usize, random: &mut Random) -> Vec<u8> {
    const KINDS: [&str; 6] = ["created", "updated", "deleted", "viewed", "shared", "archived"];
    const NAMES: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];
    const WORDS: [&str; 16] = [
        "invoice",
        "payment",
        "pending",
        "customer",
        "shipment",
        "delayed",
        "harbour",
        "winter",
        "quarter",
        "approval",
        "refund",
        "estimate",
        "contract",
        "meeting",
        "warehouse",
        "supplier",
    ];
    let mut text = String::from("[");
    while text.len() < size {
        let words: Vec<&str> = (0..4 + random.below(6)).map(|_| random.of(&WORDS)).collect();
        text += &format!(
            "{{\"id\":{},\"type\":\"{}\",\"user\":{{\"name\":\"{}\",\"session\":\"{:08x}\"}},\"amount\":{}.{:02},\
             \"active\":{},\"note\":\"{}\"}},",
            random.below(10_000_000),
            random.of(&KINDS),
            random.of(&NAMES),
            random.below(1 << 32),
            random.below(5000),
            random.below(100),
            random.below(2) == 0,
            words.join(" "),
        );
    }
    text.truncate(size);
    text.into_bytes()
}

/// A blocking connection to a server that echoes.
pub struct Connection<'a> {
    stream: TcpStream,
    texts: &'a Texts,
    /// Knows what the server sent before; gone once [`CYCLE`] replies were checked.
    inflate: Option<Box<Inflate>>,
    sent: usize,
    received: usize,
    /// What has arrived of a frame.
    pending: Vec<u8>,
    /// Payload of the frames of a message before its last.
    message: Vec<u8>,
    is_compressed: bool,
    /// Payload bytes of all replies as they arrived.
    bytes: u64,
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("received", &self.received).finish_non_exhaustive()
    }
}

impl<'a> Connection<'a> {
    /// Connects with `offer`, one of [`FORGETTING`] and [`KEEPING`].
    ///
    /// # Errors
    /// If the handshake fails or the server does not agree to compress.
    pub fn open(address: SocketAddr, texts: &'a Texts, offer: &str) -> Result<Self, Error> {
        let mut stream = handshake::dial(address)?;
        let accepted = handshake::request(&mut stream, address, Some(offer))?;
        if !accepted.is_some_and(|value| value.starts_with("permessage-deflate")) {
            return Err("the server does not agree to compress".into());
        }
        Ok(Self {
            stream,
            texts,
            inflate: Some(Box::new(Inflate::new(false, 15))),
            sent: 0,
            received: 0,
            pending: Vec::new(),
            message: Vec::new(),
            is_compressed: false,
            bytes: 0,
        })
    }

    fn send(&mut self, count: usize) -> Result<(), Error> {
        let frames = self.texts.frames.iter().cycle().skip(self.sent % CYCLE).take(count);
        let bytes: Vec<u8> = frames.flatten().copied().collect();
        self.sent += count;
        Ok(self.stream.write_all(&bytes)?)
    }

    /// Reads once.
    fn receive(&mut self, scratch: &mut [u8]) -> Result<(), Error> {
        let count = self.stream.read(scratch)?;
        if count == 0 {
            return Err(format!("the server ended the connection after {} replies", self.received).into());
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(&scratch[..count]);
        let mut rest = pending.as_slice();
        while let Some((header, size)) = Header::parse(rest) {
            let end = size + usize::try_from(header.length)?;
            let Some(payload) = rest.get(size..end) else { break };
            self.frame(&header, payload)?;
            rest = &rest[end..];
        }
        let done = pending.len() - rest.len();
        pending.drain(..done);
        self.pending = pending;
        Ok(())
    }

    fn frame(&mut self, header: &Header, payload: &[u8]) -> Result<(), Error> {
        match header.opcode() {
            frame::CLOSE => return Err("the server closed the connection".into()),
            frame::PING.. => return Ok(()),
            0 => {}
            _ => self.is_compressed = header.first & RSV1 != 0,
        }
        self.bytes += payload.len() as u64;
        if self.inflate.is_some() {
            self.message.extend_from_slice(payload);
        }
        if header.first & FIN != 0 {
            self.check()?;
            self.message.clear();
            self.received += 1;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), Error> {
        let Some(inflate) = self.inflate.as_mut() else { return Ok(()) };
        let expected = &self.texts.plain[self.received % CYCLE];
        let is_right = if self.is_compressed {
            self.message.extend_from_slice(&TAIL);
            // One byte more, so that a reply that is too long shows.
            let mut plain = vec![0; expected.len() + 1];
            let before = inflate.total_out();
            inflate
                .decompress(&self.message, &mut plain, InflateFlush::SyncFlush)
                .map_err(|error| format!("reply {} cannot be inflated: {error:?}", self.received))?;
            plain.truncate(usize::try_from(inflate.total_out() - before)?);
            plain == *expected
        } else {
            self.message == *expected
        };
        if !is_right {
            return Err(format!("reply {} is not what was sent", self.received).into());
        }
        if self.received + 1 == CYCLE {
            self.inflate = None;
        }
        Ok(())
    }
}

/// Exchanges `messages` on each connection, `in_flight` at a time, and tells what a byte became in the replies.
///
/// The first [`CYCLE`] replies on a connection are inflated and compared; later ones are counted.
///
/// # Errors
/// If a reply is wrong, or a connection ends.
#[allow(clippy::cast_precision_loss, reason = "a count of bytes is far below 2^53")]
pub fn exchange(connections: &mut [Connection<'_>], messages: usize, in_flight: usize) -> Result<f64, Error> {
    let mut scratch = vec![0; SCRATCH];
    let total = |connections: &[Connection<'_>]| connections.iter().map(|it| it.bytes).sum::<u64>();
    let before = total(connections);
    for connection in &mut *connections {
        (connection.sent, connection.received) = (connection.sent % CYCLE, connection.received % CYCLE);
        connection.send(in_flight.min(messages))?;
    }
    let ends: Vec<usize> = connections.iter().map(|it| it.received + messages).collect();
    let mut are_busy = true;
    while are_busy {
        are_busy = false;
        for (connection, &end) in connections.iter_mut().zip(&ends) {
            if connection.received < end {
                connection.receive(&mut scratch)?;
                let wanted = (connection.received + in_flight).min(end);
                connection.send(wanted - connection.sent)?;
                are_busy |= connection.received < end;
            }
        }
    }
    let plain = connections.iter().map(|it| (it.texts.size * messages) as u64).sum::<u64>();
    Ok((total(connections) - before) as f64 / plain as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_different_and_always_the_same() {
        let (texts, again) = (Texts::new(1024).unwrap(), Texts::new(1024).unwrap());
        assert_eq!(texts.plain, again.plain);
        assert!(texts.plain.iter().all(|text| text.len() == 1024));
        assert_ne!(texts.plain[0], texts.plain[1]);
    }

    #[test]
    fn a_frame_is_text_that_was_compressed() {
        let texts = Texts::new(16 << 10).unwrap();
        let (header, _) = Header::parse(&texts.frames[0]).unwrap();
        assert_eq!(header.first, FIN | RSV1 | frame::TEXT);
        assert!(header.length < 8 << 10);
    }
}
