//! The buffers between the algorithm and the frames: one of each kind for a thread.

use std::cell::Cell;

/// How much is inflated at once.
const INFLATED: usize = 32 << 10;

/// A larger buffer for what was compressed is not kept.
const KEPT_COMPRESSED: usize = 64 << 10;

thread_local! {
    static COMPRESSED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static INFLATED_BYTES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer for what is compressed.
pub(crate) fn take_compressed() -> Vec<u8> {
    let mut buffer = COMPRESSED.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    buffer
}

pub(crate) fn give_compressed(buffer: Vec<u8>) {
    if buffer.capacity() <= KEPT_COMPRESSED {
        // The thread may be about to end: then the buffer is dropped.
        let _ = COMPRESSED.try_with(|kept| kept.set(buffer));
    }
}

/// A buffer for what is inflated, with whatever was in it.
pub(crate) fn take_inflated() -> Vec<u8> {
    let buffer = INFLATED_BYTES.try_with(Cell::take).unwrap_or_default();
    if buffer.is_empty() { vec![0; INFLATED] } else { buffer }
}

pub(crate) fn give_inflated(buffer: Vec<u8>) {
    let _ = INFLATED_BYTES.try_with(|kept| kept.set(buffer));
}
