//! Compressors, and the few of them that a thread keeps.
//!
//! A compressor is some 370 KB and takes some 20 µs to learn a full window. So a thread keeps those it used last, and a
//! connection that comes back before its own was given to another finds it as it left it.

use std::cell::RefCell;
use std::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateError, DeflateFlush, Method, Strategy};

use super::History;

/// How much memory compressors that wait for work may take in a thread.
const KEPT: usize = 32 << 20;

/// More than a flush takes at the end.
const FLUSH_ROOM: usize = 64;

/// How much the output grows at once.
const STEP: usize = 64 << 10;

/// What makes one compressor other than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) level: u8,
    pub(super) memory_level: u8,
    pub(super) window_bits: u8,
}

impl Parameters {
    /// The memory of a compressor: window, chains, hash table, symbols and output, as zlib-rs allocates them.
    const fn memory(self) -> usize {
        (4 << self.window_bits) + (128 << 10) + (7 << (self.memory_level + 6)) + (8 << 10)
    }
}

/// A compressor for one message.
pub(super) struct Compressor {
    deflate: Box<Deflate>,
    parameters: Parameters,
    /// Whose window it has, after how many messages; 0 for nobody's.
    owner: u64,
    entered: u64,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

thread_local! {
    /// The one used last is the last.
    static COMPRESSORS: RefCell<Kept> = const { RefCell::new(Kept { compressors: Vec::new(), memory: 0 }) };
}

struct Kept {
    compressors: Vec<Compressor>,
    memory: usize,
}

impl Kept {
    fn remove(&mut self, fits: impl FnMut(&Compressor) -> bool) -> Option<Compressor> {
        let at = self.compressors.iter().position(fits)?;
        let compressor = self.compressors.remove(at);
        self.memory -= compressor.parameters.memory();
        Some(compressor)
    }

    fn is_full(&self, parameters: Parameters) -> bool {
        self.memory + parameters.memory() > KEPT
    }
}

impl Compressor {
    /// The compressor that its owner left, or any other after it has learned the owner's window.
    pub(super) fn take(parameters: Parameters, owner: u64, entered: u64, history: &History) -> Self {
        let (own, other) = COMPRESSORS
            .try_with(|kept| {
                let mut kept = kept.borrow_mut();
                let own = if owner == 0 {
                    None
                } else {
                    kept.remove(|it| (it.owner, it.entered) == (owner, entered))
                };
                if own.is_some() {
                    return (own, None);
                }
                // Nobody's first; somebody's only rather than to grow beyond bounds. Our own is out of date.
                let free =
                    kept.remove(|it| it.parameters == parameters && (it.owner == 0 || it.owner == owner));
                let other = match free {
                    None if kept.is_full(parameters) => kept.remove(|it| it.parameters == parameters),
                    free => free,
                };
                (None, other)
            })
            .unwrap_or_default();
        if let Some(own) = own {
            return own;
        }
        let mut compressor = match other {
            Some(mut other) => {
                other.deflate.reset();
                other
            }
            None => Self { deflate: Box::new(new(parameters)), parameters, owner: 0, entered: 0 },
        };
        for piece in history.pieces() {
            // Refused only between the parts of a message.
            let _ = compressor.deflate.set_dictionary(piece);
        }
        compressor
    }

    /// Keeps the compressor for whoever comes next, its owner best of all.
    pub(super) fn give(mut self, owner: u64, entered: u64) {
        (self.owner, self.entered) = (owner, entered);
        let _ = COMPRESSORS.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            while kept.is_full(self.parameters) && kept.remove(|_| true).is_some() {}
            kept.memory += self.parameters.memory();
            kept.compressors.push(self);
        });
    }

    /// Compresses all of `input` and flushes: what is appended to `out` ends with an empty block.
    pub(super) fn compress(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), DeflateError> {
        loop {
            let start = out.len();
            out.resize(start + input.len().min(STEP) + FLUSH_ROOM, 0);
            let (before_in, before_out) = (self.deflate.total_in(), self.deflate.total_out());
            let result = self.deflate.compress(input, &mut out[start..], DeflateFlush::SyncFlush);
            input = &input[(self.deflate.total_in() - before_in) as usize..];
            let end = start + (self.deflate.total_out() - before_out) as usize;
            let is_full = end == out.len();
            out.truncate(end);
            result?;
            if !is_full {
                return Ok(());
            }
        }
    }
}

/// Forgets whose window a compressor has: its owner is gone.
pub(super) fn release(owner: u64) {
    let _ = COMPRESSORS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if let Some(at) = kept.compressors.iter().position(|it| it.owner == owner) {
            let mut compressor = kept.compressors.remove(at);
            compressor.owner = 0;
            kept.compressors.insert(0, compressor);
        }
    });
}

fn new(parameters: Parameters) -> Deflate {
    Deflate::new_with_config(DeflateConfig {
        level: parameters.level.into(),
        method: Method::Deflated,
        // Negative: no zlib header and no checksum.
        window_bits: -i32::from(parameters.window_bits),
        mem_level: parameters.memory_level.into(),
        strategy: Strategy::Default,
    })
}
