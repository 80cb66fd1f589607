//! Cutting input into pieces: what a transport does is not to make a difference.

/// The ways to cut `data` that are tried: byte by byte, and in pieces of uneven lengths that depend on the data.
pub(crate) fn ways(data: &[u8]) -> [Vec<&[u8]>; 2] {
    [data.chunks(1).collect(), uneven(data)]
}

fn uneven(mut data: &[u8]) -> Vec<&[u8]> {
    // Any number that differs from input to input, and is the same whenever an input is run again.
    let mut seed = data.iter().fold(data.len() as u64, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte));
    let mut pieces = Vec::new();
    while !data.is_empty() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (piece, rest) = data.split_at((1 + (seed >> 59) as usize).min(data.len()));
        pieces.push(piece);
        data = rest;
    }
    pieces
}
