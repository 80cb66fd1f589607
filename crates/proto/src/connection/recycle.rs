//! Memory of messages that were sent on, for the next ones that arrive.
//!
//! Who echoes or relays allocates and frees memory of the same size for each message. Allocators give such memory back to the
//! system and ask for it again, page by page, which costs more than the copy of the message. So a little is kept instead: by
//! each thread, and what large messages need by all together, until nobody wants it any more.

mod large;

use std::cell::{Cell, RefCell};
use std::time::Instant;

use bytes::{Buf, Bytes};

/// Bytes that a thread keeps.
const KEPT: usize = 4 << 20;

/// Allocators are quick with less.
const SMALLEST: usize = 16 << 10;

/// From this size on, glibc maps memory by itself.
const MAPPED: usize = 128 << 10;

/// What is larger is kept by all threads together.
const LARGEST: usize = 1 << 20;

thread_local! {
    /// The largest piece that was given back to the allocator for where it lay.
    static GIVEN_BACK: Cell<usize> = const { Cell::new(0) };
    static PIECES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty piece with room for `wanted` bytes, and for no more than twice as many.
pub(super) fn take(wanted: usize) -> Option<Vec<u8>> {
    match wanted {
        ..SMALLEST => None,
        SMALLEST..=LARGEST => take_from_thread(wanted).or_else(|| {
            // A little more than it wants is kept there already.
            (2 * wanted > LARGEST).then(|| large::take(wanted)).flatten()
        }),
        _ => large::take(wanted),
    }
}

/// Keeps the memory of a payload that was written, if nobody else holds it.
pub(super) fn give(mut payload: Bytes) {
    if !payload.is_unique() {
        return;
    }
    // Nothing is left to be moved to the front.
    payload.advance(payload.len());
    let piece = Vec::from(payload);
    match piece.capacity() {
        ..SMALLEST => {}
        MAPPED.. if is_badly_placed(&piece) && give_back(piece.capacity()) => {}
        SMALLEST..=LARGEST => give_to_thread(piece),
        _ => large::give(piece),
    }
}

/// Whether copying to `piece` may be slow: processors of AMD copy (`rep movsb`, with which kernels fill what is read) at a
/// sixteenth of their speed to addresses that lie 1 to 15 bytes further into a page than the source.
///
/// Large memory that glibc maps by itself begins 16 bytes into a page, and a payload 2 to 14 bytes into the page that its
/// sender's kernel filled. An echo of 1 MiB takes half as long again there.
fn is_badly_placed(piece: &[u8]) -> bool {
    const PAGE: usize = 4 << 10;
    piece.as_ptr().addr() % PAGE == 16
}

/// Whether to free a piece of this capacity: glibc then takes the next of that size from elsewhere. Where it does not, the next
/// is kept.
fn give_back(capacity: usize) -> bool {
    /// glibc always maps what is larger.
    const ALWAYS_MAPPED: usize = 32 << 20;
    let is_larger = |given_back: &Cell<usize>| capacity > given_back.replace(capacity.max(given_back.get()));
    capacity < ALWAYS_MAPPED && GIVEN_BACK.try_with(is_larger).unwrap_or(true)
}

/// Frees what nobody wanted for a while. To be called whenever a connection looks at the clock.
pub(super) fn look_at_clock(now: Instant) {
    large::look_at_clock(now);
}

/// To be called when a connection is gone that wrote so many bytes: it may have been the last one to look at the clock.
pub(super) fn gone(written: u64) {
    if written > LARGEST as u64 {
        large::clear();
    }
}

fn take_from_thread(wanted: usize) -> Option<Vec<u8>> {
    // The thread may be about to end: then there is none.
    let piece = PIECES.try_with(|pieces| {
        let mut pieces = pieces.borrow_mut();
        let at = pieces.iter().rposition(|piece| fits(piece, wanted))?;
        Some(pieces.swap_remove(at))
    });
    piece.ok().flatten()
}

fn give_to_thread(piece: Vec<u8>) {
    let _ = PIECES.try_with(|pieces| {
        let mut pieces = pieces.borrow_mut();
        let kept: usize = pieces.iter().map(Vec::capacity).sum();
        if kept + piece.capacity() <= KEPT {
            pieces.push(piece);
        }
    });
}

/// Far larger memory is left to larger messages.
fn fits(piece: &Vec<u8>, wanted: usize) -> bool {
    (wanted..=2 * wanted).contains(&piece.capacity())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_message_that_was_sent_serves_the_next_of_its_size() {
        let payload = vec![7; 50_000];
        let address = payload.as_ptr();
        give(payload.into());
        assert!(take(10_000).is_none(), "nobody wants so little from here");
        assert!(take(20_000).is_none(), "far too large");
        assert!(take(50_001).is_none(), "too small");
        let piece = take(40_000).unwrap();
        assert_eq!((piece.as_ptr(), piece.len(), piece.capacity()), (address, 0, 50_000));
        assert!(take(40_000).is_none());
    }

    #[test]
    fn memory_a_little_larger_than_a_thread_keeps_serves_what_is_a_little_smaller() {
        give(vec![7; LARGEST + 4].into());
        assert_eq!(take(LARGEST).unwrap().capacity(), LARGEST + 4);
    }

    #[test]
    fn of_a_payload_written_in_pieces_all_memory_comes_back() {
        let mut payload = Bytes::from(vec![7; 50_000]);
        payload.advance(49_999);
        give(payload);
        assert_eq!(take(50_000).unwrap().capacity(), 50_000);
    }

    #[test]
    fn badly_placed_memory_is_given_back_once_for_each_size() {
        let given_back = [MAPPED, MAPPED, LARGEST, MAPPED, LARGEST, 40 << 20].map(give_back);
        assert_eq!(given_back, [true, false, true, false, false, false]);
    }

    #[test]
    fn what_others_hold_stays_theirs() {
        let payload = Bytes::from(vec![7; 50_000]);
        give(payload.clone());
        assert!(take(50_000).is_none());
        assert!(payload.iter().all(|&byte| byte == 7));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        for len in [1, SMALLEST - 1, LARGEST + 1, 10 << 20] {
            give(vec![0; len].into());
        }
        PIECES.with_borrow(|pieces| assert!(pieces.is_empty()));
        for len in [LARGEST, SMALLEST, LARGEST, LARGEST, LARGEST, SMALLEST] {
            give(vec![0; len].into());
        }
        PIECES.with_borrow(|pieces| {
            let kept: Vec<_> = pieces.iter().map(Vec::capacity).collect();
            assert_eq!(kept, [LARGEST, SMALLEST, LARGEST, LARGEST, SMALLEST]);
        });
    }
}
