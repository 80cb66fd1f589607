//! permessage-deflate (RFC 7692): messages compressed on their way.
//!
//! What both ends agree on is found in [`handshake`](crate::handshake); here is what an open connection does with it.
//! A connection keeps the bytes that its windows hold and nothing else. The states of the algorithm, many times
//! larger, belong to the thread: one is taken for a message and given back at its end.

mod compressor;
mod history;
mod inflater;
mod prepared;
pub(crate) mod scratch;

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::error::{CommandError, ProtocolError};
use crate::handshake::{DeflateAgreement, DeflateSettings};

use compressor::{Compressor, Parameters};
use history::History;
pub(crate) use inflater::Inflater;
pub use prepared::PreparedMessage;

/// What every compressed message would end with, and does not on the wire (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// What an endpoint wants of permessage-deflate, and how it compresses.
///
/// # Security
/// Where one message holds a secret together with text that an attacker chose, the length of what is sent tells about the
/// secret (CRIME, BREACH); with context takeover that holds across messages. Send such messages
/// [uncompressed](crate::Outgoing::uncompressed), or without [context takeover](Self::context_takeover).
///
/// # Memory
/// With context takeover a connection keeps up to as many bytes as its windows hold, 32 KiB each way by default; without,
/// nothing. While messages are compressed or inflated, a thread keeps the states of the algorithm for as many connections as
/// send compressed messages in turn, up to 32 MiB.
///
/// # Examples
/// ```
/// use wsduo_proto::Compression;
///
/// let quick_and_small = Compression::new().level(1).context_takeover(false, false);
/// assert_eq!(quick_and_small.check(), Ok(()));
/// assert!(Compression::new().window_bits(8, 15).check().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    pub(crate) negotiation: DeflateSettings,
    pub(crate) level: u8,
    pub(crate) memory_level: u8,
    pub(crate) threshold: usize,
}

/// A [`Compression`] that cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCompression {
    /// [`Compression::level`]
    #[error("a compression level of {0}; 1 (quick) to 9 (small) are allowed")]
    Level(u8),
    /// [`Compression::memory_level`]
    #[error("a memory level of {0}; 1 to 9 are allowed")]
    MemoryLevel(u8),
    /// [`Compression::window_bits`]
    #[error("a window of {0} bits to compress with; 9 to 15 are allowed")]
    SendWindow(u8),
    /// [`Compression::window_bits`]
    #[error("a window of {0} bits to inflate with; 8 to 15 are allowed")]
    ReceiveWindow(u8),
}

impl Default for Compression {
    fn default() -> Self {
        Self::new()
    }
}

impl Compression {
    /// The defaults, which are named at each setting.
    pub const fn new() -> Self {
        let negotiation = DeflateSettings {
            send_window_bits: 15,
            receive_window_bits: 15,
            send_context_takeover: true,
            receive_context_takeover: true,
        };
        Self { negotiation, level: 6, memory_level: 8, threshold: 128 }
    }

    /// How hard to compress: 1 is quick, 9 is small. Default 6.
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// How much memory a compressor takes while it works, 1 to 9: 2^(6 + `level`) times 7 bytes besides its window.
    /// Default 8.
    #[must_use]
    pub const fn memory_level(mut self, level: u8) -> Self {
        self.memory_level = level;
        self
    }

    /// Messages shorter than so many bytes are sent as they are. Default 128.
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// The largest windows, as powers of two: that we compress with (9 to 15), and that the peer may compress with (8 to
    /// 15). Default 15 each: 32 KiB.
    #[must_use]
    pub const fn window_bits(mut self, send: u8, receive: u8) -> Self {
        self.negotiation.send_window_bits = send;
        self.negotiation.receive_window_bits = receive;
        self
    }

    /// Whether a message may refer to those before it: those we send, and those the peer sends. It makes small messages
    /// much smaller, and costs the memory of the windows for each connection. Default `true` each.
    #[must_use]
    pub const fn context_takeover(mut self, send: bool, receive: bool) -> Self {
        self.negotiation.send_context_takeover = send;
        self.negotiation.receive_context_takeover = receive;
        self
    }

    /// What is to be negotiated.
    pub const fn negotiation(&self) -> &DeflateSettings {
        &self.negotiation
    }

    /// # Errors
    /// The first setting that cannot be had.
    pub const fn check(&self) -> Result<(), InvalidCompression> {
        let DeflateSettings { send_window_bits, receive_window_bits, .. } = self.negotiation;
        if !matches!(self.level, 1..=9) {
            return Err(InvalidCompression::Level(self.level));
        }
        if !matches!(self.memory_level, 1..=9) {
            return Err(InvalidCompression::MemoryLevel(self.memory_level));
        }
        if !matches!(send_window_bits, 9..=15) {
            return Err(InvalidCompression::SendWindow(send_window_bits));
        }
        if !matches!(receive_window_bits, 8..=15) {
            return Err(InvalidCompression::ReceiveWindow(receive_window_bits));
        }
        Ok(())
    }
}

/// What compression has done on a connection so far. Sizes are in bytes, of payloads that were compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressionStatistics {
    /// What was sent, before it was compressed.
    pub sent: u64,
    /// What became of that.
    pub sent_compressed: u64,
    /// What was received, after it was inflated.
    pub received: u64,
    /// What that was before.
    pub received_compressed: u64,
}

impl CompressionStatistics {
    /// What is left of a byte that was sent: below 1 if compression pays. `None` if nothing was compressed.
    pub fn sent_ratio(&self) -> Option<f64> {
        ratio(self.sent_compressed, self.sent)
    }

    /// What a received byte took on its way. `None` if nothing was.
    pub fn received_ratio(&self) -> Option<f64> {
        ratio(self.received_compressed, self.received)
    }
}

fn ratio(compressed: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| compressed as f64 / whole as f64)
}

/// What an open connection needs to compress and to inflate.
#[derive(Debug)]
pub(crate) struct Deflate {
    pub(crate) agreement: DeflateAgreement,
    parameters: Parameters,
    threshold: usize,
    /// Tells compressors that have our window from all others; 0 without context takeover.
    owner: u64,
    /// Messages that entered our window: a compressor that has seen fewer is out of date.
    entered: u64,
    /// Of the message that is being sent in parts.
    under_way: Option<Compressor>,
    sent: History,
    received: History,
    pub(crate) statistics: CompressionStatistics,
}

impl Deflate {
    pub(crate) fn new(compression: &Compression, agreement: DeflateAgreement) -> Self {
        static OWNERS: AtomicU64 = AtomicU64::new(1);
        let keeps = agreement.send_context_takeover;
        let window = |keeps: bool, bits: u8| if keeps { 1 << bits } else { 0 };
        Self {
            agreement,
            parameters: Parameters {
                level: compression.level,
                memory_level: compression.memory_level,
                window_bits: agreement.send_window_bits,
            },
            threshold: compression.threshold,
            owner: if keeps { OWNERS.fetch_add(1, Ordering::Relaxed) } else { 0 },
            entered: 0,
            under_way: None,
            sent: History::new(window(keeps, agreement.send_window_bits)),
            received: History::new(window(agreement.receive_context_takeover, agreement.receive_window_bits)),
            statistics: CompressionStatistics::default(),
        }
    }

    /// Whether a message of so many bytes is to be compressed. An empty one never is.
    pub(crate) fn is_worth(&self, len: usize) -> bool {
        self.agreement.may_compress() && len >= self.threshold.max(1)
    }

    /// Whether a message that is compressed has to be sent so, because it has entered our window.
    pub(crate) fn keeps_context(&self) -> bool {
        self.owner != 0
    }

    // Sending.

    /// Whether the message of which parts were sent is compressed.
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Appends the next bytes of a message to `out`, compressed so far that the peer can inflate them all; at the end of the
    /// message without its [tail](TAIL).
    ///
    /// # Errors
    /// [`CommandError::Compression`]: does not happen.
    pub(crate) fn compress(
        &mut self,
        bytes: &[u8],
        ends: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), CommandError> {
        let mut compressor = self
            .under_way
            .take()
            .unwrap_or_else(|| Compressor::take(self.parameters, self.owner, self.entered, &self.sent));
        if bytes.is_empty() {
            // The header of an empty block, whose rest is the tail (RFC 7692 §7.2.3.6).
            out.extend(ends.then_some(0));
        } else {
            compressor.compress(bytes, out).map_err(|_| CommandError::Compression)?;
            if ends {
                strip_tail(out);
            }
            self.sent.push(bytes);
        }
        if ends {
            self.entered += 1;
            compressor.give(self.owner, self.entered);
        } else {
            self.under_way = Some(compressor);
        }
        Ok(())
    }

    /// A message as it was compressed for anybody with such a window; `None` if it is shorter as it is.
    ///
    /// # Errors
    /// As [`compress`](Self::compress).
    pub(crate) fn prepared(&mut self, message: &PreparedMessage) -> Result<Option<Bytes>, CommandError> {
        let compressed = message.compressed(self.parameters)?;
        if compressed.is_some() {
            // The peer has it in its window now, and no compressor of ours has.
            self.sent.push(message.as_bytes());
            self.entered += 1;
        }
        Ok(compressed)
    }

    /// Takes note of what was sent compressed.
    pub(crate) fn count_sent(&mut self, whole: usize, compressed: usize) {
        self.statistics.sent += whole as u64;
        self.statistics.sent_compressed += compressed as u64;
    }

    // Receiving.

    /// An inflater that knows what was received before.
    pub(crate) fn inflater(&self) -> Inflater {
        Inflater::take(&self.received)
    }

    /// Inflates as much of `input` as there is room for in `out`: how many bytes were consumed and how many came out. Unless
    /// `out` was filled, all input was consumed and nothing more will come of it.
    ///
    /// # Errors
    /// The input is not what deflate makes.
    pub(crate) fn inflate(
        &mut self,
        inflater: &mut Inflater,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<(usize, usize), ProtocolError> {
        let (consumed, produced) = inflater.inflate(input, out, &mut self.received)?;
        self.statistics.received_compressed += consumed as u64;
        self.statistics.received += produced as u64;
        Ok((consumed, produced))
    }
}

impl Drop for Deflate {
    fn drop(&mut self) {
        if self.owner != 0 && self.entered > 0 {
            compressor::release(self.owner);
        }
    }
}

fn strip_tail(out: &mut Vec<u8>) {
    if out.ends_with(&TAIL) {
        out.truncate(out.len() - TAIL.len());
    }
}
