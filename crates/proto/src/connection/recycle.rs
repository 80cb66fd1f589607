//! Memory of messages that were sent on, for the next ones that arrive.
//!
//! Who echoes or relays allocates and frees memory of the same size for each message. Allocators give such memory back to the
//! system and ask for it again, page by page, which costs more than the copy of the message. A thread keeps a little instead.

use std::cell::RefCell;

use bytes::{Buf, Bytes};

/// Bytes that a thread keeps.
const KEPT: usize = 4 << 20;

/// Allocators are quick with less.
const SMALLEST: usize = 16 << 10;

/// Who sends more at once has other worries than a page fault.
const LARGEST: usize = 1 << 20;

thread_local! {
    static PIECES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty piece with room for `wanted` bytes, and for no more than twice as many.
pub(super) fn take(wanted: usize) -> Option<Vec<u8>> {
    if !(SMALLEST..=LARGEST).contains(&wanted) {
        return None;
    }
    let fits = |piece: &Vec<u8>| (wanted..=2 * wanted).contains(&piece.capacity());
    // The thread may be about to end: then there is none.
    let piece = PIECES.try_with(|pieces| {
        let mut pieces = pieces.borrow_mut();
        let at = pieces.iter().rposition(fits)?;
        Some(pieces.swap_remove(at))
    });
    piece.ok().flatten()
}

/// Keeps the memory of a payload that was written, if nobody else holds it.
pub(super) fn give(mut payload: Bytes) {
    if !payload.is_unique() {
        return;
    }
    // Nothing is left to be moved to the front.
    payload.advance(payload.len());
    let piece = Vec::from(payload);
    if (SMALLEST..=LARGEST).contains(&piece.capacity()) {
        let _ = PIECES.try_with(|pieces| {
            let mut pieces = pieces.borrow_mut();
            let kept: usize = pieces.iter().map(Vec::capacity).sum();
            if kept + piece.capacity() <= KEPT {
                pieces.push(piece);
            }
        });
    }
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
    fn of_a_payload_written_in_pieces_all_memory_comes_back() {
        let mut payload = Bytes::from(vec![7; 50_000]);
        payload.advance(49_999);
        give(payload);
        assert_eq!(take(50_000).unwrap().capacity(), 50_000);
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
