//! The obvious inflater: bit by bit, over a whole message at once, with none of the core's code, nor any library's.
//!
//! It follows RFC 1951 §3.2, and refuses the incomplete codes that zlib refuses.

/// What a message lacks on the wire (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// What comes of a message.
#[derive(Debug, Default)]
pub(crate) struct Inflated {
    /// What was inflated before the problem, if there is one.
    pub(crate) bytes: Vec<u8>,
    pub(crate) problem: Option<Problem>,
    /// The largest distance that a reference goes back.
    pub(crate) distance: usize,
    /// For each final block that something follows: how many bytes came before that.
    pub(crate) restarts: Vec<usize>,
    /// More came out than was asked for: the rest was not looked at.
    pub(crate) cut_off: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Nothing that deflate makes.
    Invalid,
    /// The message ends inside a block.
    Truncated,
}

/// Inflates the payload of a message, with `window` before it, until more than `most` bytes came out.
///
/// After a final block `window_size` bytes are left of what was before (RFC 7692 §7.2.3.4).
pub(crate) fn inflate(payload: &[u8], window: &[u8], window_size: usize, most: usize) -> Inflated {
    let mut inflated = Inflated::default();
    let padded = [payload, &TAIL].concat();
    let mut stream = Stream {
        bits: Bits { bytes: &padded, at: 0 },
        own: payload.len() * 8,
        out: window.to_vec(),
        begin: 0,
        distance: 0,
        most: window.len().saturating_add(most),
    };
    let mut at = 0;
    while at < payload.len() {
        let ended = stream.run();
        let end = stream.bits.at / 8;
        inflated.problem = match ended {
            Err(Stop::CutOff) => {
                inflated.cut_off = true;
                break;
            }
            Err(Stop::Problem(problem)) => Some(problem),
            // A block ended inside the tail.
            Ok(()) if end > payload.len() && end < padded.len() => Some(Problem::Truncated),
            Ok(()) => None,
        };
        if inflated.problem.is_some() {
            break;
        }
        at = end;
        if at < payload.len() {
            inflated.restarts.push(at);
        }
        stream.begin = stream.out.len().saturating_sub(window_size);
    }
    inflated.distance = stream.distance;
    inflated.bytes = stream.out.split_off(window.len());
    inflated
}

enum Stop {
    Problem(Problem),
    CutOff,
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn next(&mut self) -> Result<usize, Problem> {
        let byte = self.bytes.get(self.at / 8).ok_or(Problem::Truncated)?;
        let bit = byte >> (self.at % 8) & 1;
        self.at += 1;
        Ok(bit.into())
    }

    /// A number, its lowest bit first.
    fn number(&mut self, bits: usize) -> Result<usize, Problem> {
        let mut number = 0;
        for bit in 0..bits {
            number |= self.next()? << bit;
        }
        Ok(number)
    }

    fn align(&mut self) {
        self.at = self.at.div_ceil(8) * 8;
    }
}

struct Stream<'a> {
    bits: Bits<'a>,
    /// Bits of the message itself; the tail is behind them.
    own: usize,
    /// The window, and then what comes out.
    out: Vec<u8>,
    /// Where what may be referred to begins in that.
    begin: usize,
    distance: usize,
    most: usize,
}

/// Lengths 257 to 285, and distances 0 to 29: what they begin with and how many bits are added (RFC 1951 §3.2.5).
#[rustfmt::skip]
const LENGTHS: [(usize, usize); 29] = [
    (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 1), (13, 1), (15, 1), (17, 1),
    (19, 2), (23, 2), (27, 2), (31, 2), (35, 3), (43, 3), (51, 3), (59, 3), (67, 4), (83, 4), (99, 4),
    (115, 4), (131, 5), (163, 5), (195, 5), (227, 5), (258, 0),
];
#[rustfmt::skip]
const DISTANCES: [(usize, usize); 30] = [
    (1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (7, 1), (9, 2), (13, 2), (17, 3), (25, 3), (33, 4), (49, 4),
    (65, 5), (97, 5), (129, 6), (193, 6), (257, 7), (385, 7), (513, 8), (769, 8), (1025, 9), (1537, 9),
    (2049, 10), (3073, 10), (4097, 11), (6145, 11), (8193, 12), (12289, 12), (16385, 13), (24577, 13),
];
/// In which order the lengths of the codes for code lengths come (RFC 1951 §3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Stream<'_> {
    /// Blocks until a final one or the end.
    fn run(&mut self) -> Result<(), Stop> {
        loop {
            let is_final = self.bits.next()? == 1;
            match self.bits.number(2)? {
                0 => self.stored()?,
                1 => {
                    let lengths: Vec<usize> = (0..288)
                        .map(|symbol| match symbol {
                            0..144 => 8,
                            144..256 => 9,
                            256..280 => 7,
                            _ => 8,
                        })
                        .collect();
                    // Distances 30 and 31 have codes, and may not be used.
                    self.codes(&Code::new(&lengths), &Code::new(&[5; 32]))?;
                }
                2 => {
                    let (lengths, distances) = self.dynamic()?;
                    self.codes(&lengths, &distances)?;
                }
                _ => return Err(Problem::Invalid.into()),
            }
            if is_final {
                self.bits.align();
                return Ok(());
            }
            if self.bits.at == self.bits.bytes.len() * 8 {
                return Ok(());
            }
        }
    }

    fn put(&mut self, byte: u8) -> Result<(), Stop> {
        if self.bits.at > self.own {
            return Err(Problem::Truncated.into());
        }
        if self.out.len() > self.most {
            return Err(Stop::CutOff);
        }
        self.out.push(byte);
        Ok(())
    }

    fn stored(&mut self) -> Result<(), Stop> {
        self.bits.align();
        let (len, complement) = (self.bits.number(16)?, self.bits.number(16)?);
        if len != !complement & 0xffff {
            return Err(Problem::Invalid.into());
        }
        for _ in 0..len {
            let byte = self.bits.number(8)? as u8;
            self.put(byte)?;
        }
        Ok(())
    }

    fn dynamic(&mut self) -> Result<(Code, Code), Stop> {
        let (lengths, distances) = (self.bits.number(5)? + 257, self.bits.number(5)? + 1);
        let coded = self.bits.number(4)? + 4;
        if lengths > 286 || distances > 30 {
            return Err(Problem::Invalid.into());
        }
        let mut own = [0; 19];
        for symbol in &ORDER[..coded] {
            own[*symbol] = self.bits.number(3)?;
        }
        let code = Code::new(&own);
        if code.left != 0 {
            return Err(Problem::Invalid.into());
        }
        let mut all = Vec::new();
        while all.len() < lengths + distances {
            let symbol = code.decode(&mut self.bits)?;
            let (length, times) = match symbol {
                0..16 => (symbol, 1),
                16 => (*all.last().ok_or(Problem::Invalid)?, 3 + self.bits.number(2)?),
                17 => (0, 3 + self.bits.number(3)?),
                _ => (0, 11 + self.bits.number(7)?),
            };
            all.extend(std::iter::repeat_n(length, times));
        }
        if all.len() > lengths + distances || all[256] == 0 {
            return Err(Problem::Invalid.into());
        }
        let codes = (Code::new(&all[..lengths]), Code::new(&all[lengths..]));
        if codes.0.is_bad() || codes.1.is_bad() {
            return Err(Problem::Invalid.into());
        }
        Ok(codes)
    }

    fn codes(&mut self, lengths: &Code, distances: &Code) -> Result<(), Stop> {
        loop {
            let symbol = lengths.decode(&mut self.bits)?;
            match symbol {
                0..256 => self.put(symbol as u8)?,
                256 => return Ok(()),
                _ => {
                    let (first, bits) = *LENGTHS.get(symbol - 257).ok_or(Problem::Invalid)?;
                    let length = first + self.bits.number(bits)?;
                    let symbol = distances.decode(&mut self.bits)?;
                    let (first, bits) = *DISTANCES.get(symbol).ok_or(Problem::Invalid)?;
                    let distance = first + self.bits.number(bits)?;
                    if distance > self.out.len() - self.begin {
                        return Err(Problem::Invalid.into());
                    }
                    self.distance = self.distance.max(distance);
                    for _ in 0..length {
                        self.put(self.out[self.out.len() - distance])?;
                    }
                }
            }
        }
    }
}

/// A Huffman code (RFC 1951 §3.2.2): how many codes there are of each length, and the symbols in the order of the codes.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
    /// Codes of 15 bits that stand for nothing; negative if there are too many codes.
    left: isize,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        let mut symbols = Vec::new();
        for (length, count) in counts.iter_mut().enumerate().skip(1) {
            let before = symbols.len();
            symbols.extend((0..lengths.len()).filter(|symbol| lengths[*symbol] == length));
            *count = symbols.len() - before;
        }
        let left = (1..16).fold(1 << 15, |left, length| left - ((counts[length] as isize) << (15 - length)));
        Self { counts, symbols, left }
    }

    /// Whether zlib takes no such code: one with too many, or too few, unless it is a single one of one bit, or none.
    fn is_bad(&self) -> bool {
        self.left < 0 || (self.left > 0 && self.counts[2..].iter().any(|count| *count > 0))
    }

    fn decode(&self, bits: &mut Bits<'_>) -> Result<usize, Problem> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.next()?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(Problem::Invalid)
    }
}
