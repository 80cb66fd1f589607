//! Unmasking and moving in one pass.

/// Copies `from` to `to` without its mask and returns the key for the byte that follows.
///
/// Whole words go from the front; the last one overlaps the one before it, which saves the byte loop.
///
/// # Panics
/// If the two differ in length.
#[inline]
pub(crate) fn unmask(key: u32, from: &[u8], to: &mut [u8]) -> u32 {
    let length = from.len();
    assert_eq!(length, to.len());
    let after = rotated(key, length);
    if let (Some((_, last_from)), Some(last)) = (from.split_last_chunk::<8>(), length.checked_sub(8)) {
        let wide = widened(key);
        for (to, from) in to.as_chunks_mut::<8>().0.iter_mut().zip(from.as_chunks::<8>().0) {
            *to = (u64::from_le_bytes(*from) ^ wide).to_le_bytes();
        }
        let word = u64::from_le_bytes(*last_from) ^ widened(rotated(key, last));
        to[last..].copy_from_slice(&word.to_le_bytes());
    } else {
        for ((to, from), key) in to.iter_mut().zip(from).zip(key.to_le_bytes().into_iter().cycle()) {
            *to = from ^ key;
        }
    }
    after
}

/// The key as it applies `by` bytes further on.
fn rotated(key: u32, by: usize) -> u32 {
    [key, key.rotate_right(8), key.rotate_right(16), key.rotate_right(24)][by % 4]
}

fn widened(key: u32) -> u64 {
    (u64::from(key) << 32) | u64::from(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition_at_every_length_and_split() {
        let key = 0x9d37_c15e_u32;
        let from: Vec<u8> = (0..70).collect();
        let expected: Vec<u8> =
            from.iter().zip(key.to_le_bytes().iter().cycle()).map(|(a, b)| a ^ b).collect();
        for length in 0..=from.len() {
            for split in 0..=length {
                let mut to = vec![0; length];
                let next = unmask(key, &from[..split], &mut to[..split]);
                unmask(next, &from[split..length], &mut to[split..]);
                assert_eq!(to, expected[..length], "{length} bytes split at {split}");
            }
        }
    }
}
