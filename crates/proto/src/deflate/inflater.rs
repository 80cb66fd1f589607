//! Inflaters: one for each compressed message that is arriving.
//!
//! An inflater is made ready anew for each message, from the bytes of the window: that costs a microsecond at most, and
//! lets the end of every message be checked.

use std::cell::RefCell;
use std::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::{History, TAIL};
use crate::error::ProtocolError;

/// How many inflaters a thread keeps: 43 KB each, and one will do unless messages arrive in pieces.
const KEPT: usize = 8;

/// The window of every inflater: the largest there is.
const WINDOW_BITS: u8 = 15;

/// Final blocks that may end within a message besides one for so many bytes of input: making the inflater ready after
/// each must not cost more than inflating does.
const FINAL_BLOCKS: u64 = 16;
const BYTES_PER_FINAL_BLOCK: u64 = 256;

/// The tail, and then an empty final block: inflating that ends just there if the message ended where a block did.
const TAIL_AND_END: [u8; 9] = [TAIL[0], TAIL[1], TAIL[2], TAIL[3], 1, 0, 0, 0xff, 0xff];

thread_local! {
    static INFLATERS: RefCell<Vec<Inflate>> = const { RefCell::new(Vec::new()) };
}

/// An inflater in the middle of one message.
pub(crate) struct Inflater {
    /// Gone once the message has ended.
    inflate: Option<Inflate>,
    /// A final block has ended, so that what follows begins anew (RFC 7692 §7.2.3.4).
    is_at_end: bool,
    consumed: u64,
    final_blocks: u64,
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("consumed", &self.consumed).finish_non_exhaustive()
    }
}

impl Inflater {
    pub(super) fn take(history: &History) -> Self {
        let kept = INFLATERS.try_with(|kept| kept.borrow_mut().pop()).ok().flatten();
        let mut inflate = kept.unwrap_or_else(|| Inflate::new(false, WINDOW_BITS));
        make_ready(&mut inflate, history);
        Self { inflate: Some(inflate), is_at_end: false, consumed: 0, final_blocks: 0 }
    }

    /// See [`Deflate::inflate`](super::Deflate::inflate).
    pub(super) fn inflate(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        history: &mut History,
    ) -> Result<(usize, usize), ProtocolError> {
        let (mut consumed, mut produced) = (0, 0);
        loop {
            if self.is_at_end {
                if consumed == input.len() {
                    break;
                }
                self.begin_anew(history)?;
            }
            let (taken, made) = self.run(&input[consumed..], &mut out[produced..])?;
            history.push(&out[produced..produced + made]);
            consumed += taken;
            produced += made;
            if !self.is_at_end && (produced == out.len() || taken + made == 0 || consumed == input.len()) {
                break;
            }
        }
        Ok((consumed, produced))
    }

    /// Ends the message, after all of it was inflated.
    ///
    /// # Errors
    /// The message ended inside a block.
    pub(crate) fn end(&mut self) -> Result<(), ProtocolError> {
        // Nothing at all, or a final block just before the end, leaves nothing to be completed.
        if self.consumed > 0 && !self.is_at_end {
            let ended = self.run(&TAIL_AND_END, &mut [0]);
            // The block that the tail completes may itself be the final one (RFC 7692 §7.2.1).
            let is_whole = ended == Ok((TAIL.len(), 0)) || ended == Ok((TAIL_AND_END.len(), 0));
            if !is_whole || !self.is_at_end {
                return Err(ProtocolError::TruncatedDeflate);
            }
        }
        let inflate = self.inflate.take();
        let _ = INFLATERS.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < KEPT {
                kept.extend(inflate);
            }
        });
        Ok(())
    }

    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), ProtocolError> {
        let Some(inflate) = &mut self.inflate else { return Ok((input.len(), 0)) };
        let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
        let status = inflate
            .decompress(input, out, InflateFlush::NoFlush)
            .map_err(|_| ProtocolError::InvalidDeflate)?;
        self.is_at_end = status == Status::StreamEnd;
        let taken = inflate.total_in() - before_in;
        self.consumed += taken;
        Ok((taken as usize, (inflate.total_out() - before_out) as usize))
    }

    fn begin_anew(&mut self, history: &History) -> Result<(), ProtocolError> {
        self.final_blocks += 1;
        if self.final_blocks > FINAL_BLOCKS + self.consumed / BYTES_PER_FINAL_BLOCK {
            return Err(ProtocolError::TooManyFinalBlocks);
        }
        if let Some(inflate) = &mut self.inflate {
            make_ready(inflate, history);
        }
        self.is_at_end = false;
        Ok(())
    }
}

fn make_ready(inflate: &mut Inflate, history: &History) {
    inflate.reset(false);
    for piece in history.pieces() {
        // Refused only with a zlib header.
        let _ = inflate.set_dictionary(piece);
    }
}
