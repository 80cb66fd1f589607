//! Masking: payloads of clients are combined with a key (RFC 6455 §5.3).

/// A masking key.
///
/// It can be [`advanced`](Self::advanced) past bytes already masked, so that a payload may be masked in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskingKey(u32);

/// Where the keys of a client's frames come from.
///
/// RFC 6455 §10.3 wants each key fresh and unpredictable: draw them from a cryptographic generator. This
/// crate has none, so that it stays free of randomness.
pub trait MaskingKeys {
    /// A key that nobody can foresee.
    fn next_key(&mut self) -> MaskingKey;
}

impl<F: FnMut() -> [u8; 4]> MaskingKeys for F {
    fn next_key(&mut self) -> MaskingKey {
        MaskingKey::new(self())
    }
}

impl MaskingKey {
    /// The key with these bytes, in the order of the wire.
    pub const fn new(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }

    /// The bytes of the key in the order of the wire.
    pub const fn bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// The key for what follows after `len` bytes.
    #[must_use]
    #[inline]
    pub const fn advanced(self, len: usize) -> Self {
        Self(self.0.rotate_right(8 * (len % 4) as u32))
    }

    /// Masks or unmasks `data` in place; the operation is its own inverse.
    #[inline]
    pub fn apply(self, data: &mut [u8]) {
        let len = data.len();
        if len >= 8 {
            // The last word may overlap the ones before it: it is taken first and put back last, so
            // that no byte is masked twice and none needs a loop of its own.
            let wide = self.wide();
            let tail = load8(data, len - 8) ^ wide.rotate_right(8 * (len % 4) as u32);
            for word in data.chunks_exact_mut(8) {
                let masked = load8(word, 0) ^ wide;
                word.copy_from_slice(&masked.to_le_bytes());
            }
            data[len - 8..].copy_from_slice(&tail.to_le_bytes());
        } else if len >= 4 {
            let tail = load4(data, len - 4) ^ self.advanced(len).0;
            let head = load4(data, 0) ^ self.0;
            data[..4].copy_from_slice(&head.to_le_bytes());
            data[len - 4..].copy_from_slice(&tail.to_le_bytes());
        } else {
            for (byte, key) in data.iter_mut().zip(self.bytes()) {
                *byte ^= key;
            }
        }
    }

    /// Appends `data`, masked, to `out`.
    #[inline]
    pub fn append(self, data: &[u8], out: &mut Vec<u8>) {
        // A block is masked on its way, in registers: copying first and masking then would go over it twice.
        const BLOCK: usize = 64;
        out.reserve(data.len());
        let wide = self.wide();
        let (blocks, rest) = data.as_chunks::<BLOCK>();
        for block in blocks {
            let mut masked = *block;
            for word in masked.chunks_exact_mut(8) {
                let bits = load8(word, 0) ^ wide;
                word.copy_from_slice(&bits.to_le_bytes());
            }
            out.extend_from_slice(&masked);
        }
        let start = out.len();
        out.extend_from_slice(rest);
        self.apply(&mut out[start..]);
    }

    /// The key twice.
    const fn wide(self) -> u64 {
        (self.0 as u64) << 32 | self.0 as u64
    }
}

#[inline]
fn load8(data: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&data[at..at + 8]);
    u64::from_le_bytes(word)
}

#[inline]
fn load4(data: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&data[at..at + 4]);
    u32::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §5.3, word for word.
    fn naive(key: [u8; 4], data: &mut [u8]) {
        for (i, byte) in data.iter_mut().enumerate() {
            *byte ^= key[i % 4];
        }
    }

    #[test]
    fn masking_is_that_of_the_rfc_at_every_length() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in (0..300).chain([4095, 4096, 4097, 8192, 10_001]) {
            let plain: Vec<u8> = (0..len).map(|i| (i * 7 + 3) as u8).collect();
            let mut expected = plain.clone();
            naive(key, &mut expected);
            let mut in_place = plain.clone();
            MaskingKey::new(key).apply(&mut in_place);
            assert_eq!(in_place, expected, "in place, {len} bytes");
            let mut appended = vec![9];
            MaskingKey::new(key).append(&plain, &mut appended);
            assert_eq!(appended[1..], expected, "appended, {len} bytes");
        }
    }

    #[test]
    fn a_payload_may_be_masked_in_pieces() {
        let key = MaskingKey::new([1, 2, 3, 4]);
        let mut whole: Vec<u8> = (0..64).collect();
        key.apply(&mut whole);
        for cut in 0..64 {
            let mut pieces: Vec<u8> = (0..64).collect();
            let (a, b) = pieces.split_at_mut(cut);
            key.apply(a);
            key.advanced(cut).apply(b);
            assert_eq!(pieces, whole, "cut at {cut}");
        }
    }
}
