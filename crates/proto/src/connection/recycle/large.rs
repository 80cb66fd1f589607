//! The memory of large messages, kept for all threads together, and not for long.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::fits;

/// Bytes that are kept in all: one message of the largest size that is received by default.
pub(super) const KEPT: usize = 64 << 20;

/// Who sends large messages one after the other is back sooner.
const UNWANTED: Duration = Duration::from_secs(1);

/// Nobody waits for this lock: who finds it taken does without.
static SHARED: Mutex<Pieces> = Mutex::new(Pieces::new());

pub(super) fn take(wanted: usize) -> Option<Vec<u8>> {
    SHARED.try_lock().ok()?.take(wanted)
}

pub(super) fn give(piece: Vec<u8>) {
    if let Ok(mut pieces) = SHARED.try_lock() {
        pieces.give(piece);
    }
}

pub(super) fn look_at_clock(now: Instant) {
    // Freed when the lock is open again: that takes a while.
    let unwanted = SHARED.try_lock().ok().map(|mut pieces| pieces.look_at_clock(now));
    drop(unwanted);
}

pub(super) fn clear() {
    let all = SHARED.try_lock().ok().map(|mut pieces| std::mem::take(&mut pieces.kept));
    drop(all);
}

#[derive(Debug)]
struct Pieces {
    kept: Vec<Vec<u8>>,
    /// Taken from, or given to, since the last look at the clock.
    is_wanted: bool,
    wanted_at: Option<Instant>,
}

impl Pieces {
    const fn new() -> Self {
        Self { kept: Vec::new(), is_wanted: false, wanted_at: None }
    }

    fn take(&mut self, wanted: usize) -> Option<Vec<u8>> {
        let at = self.kept.iter().rposition(|piece| fits(piece, wanted))?;
        self.is_wanted = true;
        Some(self.kept.swap_remove(at))
    }

    fn give(&mut self, piece: Vec<u8>) {
        let kept: usize = self.kept.iter().map(Vec::capacity).sum();
        if kept + piece.capacity() <= KEPT {
            self.is_wanted = true;
            self.kept.push(piece);
        }
    }

    /// What nobody wanted for a while.
    fn look_at_clock(&mut self, now: Instant) -> Vec<Vec<u8>> {
        if std::mem::take(&mut self.is_wanted) {
            self.wanted_at = Some(now);
        }
        match self.wanted_at {
            Some(at) if now.saturating_duration_since(at) < UNWANTED => Vec::new(),
            _ => std::mem::take(&mut self.kept),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn pieces(mebibytes: &[usize]) -> Pieces {
        let mut pieces = Pieces::new();
        mebibytes.iter().for_each(|len| pieces.give(Vec::with_capacity(len * MIB)));
        pieces
    }

    #[test]
    fn the_memory_of_a_message_serves_the_next_of_its_size() {
        let mut pieces = pieces(&[8]);
        assert_eq!(pieces.take(2 * MIB), None, "far too large");
        assert_eq!(pieces.take(9 * MIB), None, "too small");
        assert_eq!(pieces.take(5 * MIB).unwrap().capacity(), 8 * MIB);
        assert_eq!(pieces.take(5 * MIB), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let pieces = pieces(&[40, 30, 20, 4, 1]);
        let kept: Vec<_> = pieces.kept.iter().map(|piece| piece.capacity() / MIB).collect();
        assert_eq!(kept, [40, 20, 4]);
    }

    #[test]
    fn what_nobody_wants_for_a_second_is_freed() {
        let mut pieces = pieces(&[8]);
        let start = Instant::now();
        assert!(pieces.look_at_clock(start).is_empty());
        assert!(pieces.look_at_clock(start + UNWANTED / 2).is_empty());
        let taken = pieces.take(8 * MIB).unwrap();
        pieces.give(taken);
        assert!(pieces.look_at_clock(start + UNWANTED).is_empty(), "wanted since the last look");
        assert!(pieces.look_at_clock(start + UNWANTED * 3 / 2).is_empty());
        assert_eq!(pieces.look_at_clock(start + UNWANTED * 2).len(), 1);
        assert_eq!(pieces.take(8 * MIB), None);
    }
}
