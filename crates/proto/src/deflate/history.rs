//! The bytes that a window holds.

use std::collections::VecDeque;

/// The last bytes of what was sent, or received, up to the size of the window. Memory follows what there was.
#[derive(Debug)]
pub(super) struct History {
    bytes: VecDeque<u8>,
    /// The size of the window; zero keeps nothing.
    size: usize,
}

impl History {
    pub(super) const fn new(size: usize) -> Self {
        Self { bytes: VecDeque::new(), size }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.size)..];
        let len = self.bytes.len() + bytes.len();
        self.bytes.drain(..len.saturating_sub(self.size));
        let kept = self.bytes.len();
        if self.bytes.capacity() < kept + bytes.len() {
            // As a vector grows, but never beyond the window.
            let wanted = (2 * self.bytes.capacity()).max(kept + bytes.len()).min(self.size);
            self.bytes.reserve_exact(wanted - kept);
        }
        self.bytes.extend(bytes);
    }

    /// The bytes in two pieces, either of which may be empty.
    pub(super) fn pieces(&self) -> [&[u8]; 2] {
        let (first, second) = self.bytes.as_slices();
        [first, second]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept_and_no_more_memory_than_the_window() {
        for size in [0, 1, 7, 512] {
            let mut history = History::new(size);
            let mut all = Vec::new();
            for len in [0, 1, 3, 200, 1, 600, 2, 511, 1, 1, 512, 3] {
                let chunk: Vec<u8> = (0..len).map(|i| (all.len() + i) as u8).collect();
                history.push(&chunk);
                all.extend(chunk);
                assert_eq!(history.pieces().concat(), all[all.len().saturating_sub(size)..]);
                assert!(history.bytes.capacity() <= size, "{} of {size}", history.bytes.capacity());
            }
        }
    }
}
