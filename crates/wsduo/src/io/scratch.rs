//! The buffers that all connections of a thread share, so that an idle one owns none.
//!
//! A buffer is taken within one poll and given back before that poll returns. Should two be wanted at once, the second
//! is made anew and dropped afterwards.

use std::cell::Cell;

/// Size of the read buffer: a burst of messages comes in by one read, and still fits the cache.
pub(crate) const READ_BUFFER: usize = 256 << 10;

/// A write buffer larger than this is not kept.
const KEPT_WRITE_BUFFER: usize = 512 << 10;

thread_local! {
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer of [`READ_BUFFER`] bytes with whatever was in it. Pages that were never read into take no memory.
pub(crate) fn take_read_buffer() -> Vec<u8> {
    let buffer = READ.try_with(Cell::take).unwrap_or_default();
    if buffer.is_empty() { vec![0; READ_BUFFER] } else { buffer }
}

pub(crate) fn give_read_buffer(buffer: Vec<u8>) {
    // The thread may be about to end: then the buffer is dropped.
    let _ = READ.try_with(|kept| kept.set(buffer));
}

/// An empty buffer, usually with some capacity.
pub(crate) fn take_write_buffer() -> Vec<u8> {
    WRITE.try_with(Cell::take).unwrap_or_default()
}

/// The larger of this and the one that is kept already stays, within bounds.
pub(crate) fn give_write_buffer(buffer: Vec<u8>) {
    let _ = WRITE.try_with(|kept| {
        let other = kept.take();
        let larger = if buffer.capacity() > other.capacity() { buffer } else { other };
        if larger.capacity() <= KEPT_WRITE_BUFFER {
            kept.set(larger);
        }
    });
}
