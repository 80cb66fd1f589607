//! The body of a refusal: how long it is, and the part of it that is kept.

use http::header::{self, HeaderMap};

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks, each with its size in front.
    Chunked(Chunk),
    /// All there is until the connection closes.
    UntilClose,
}

/// Where in a chunked body the next byte falls (RFC 9112 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Among the hexadecimal digits of a size; the value so far.
    Size(u64),
    /// Behind the digits, up to the end of the line.
    Extension(u64),
    /// Inside a chunk; bytes still to come, at least one.
    Data(u64),
    /// In the line end behind a chunk.
    DataEnd,
}

impl Body {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if let Some(coding) = headers.get(header::TRANSFER_ENCODING) {
            let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
            return if chunked { Self::Chunked(Chunk::Size(0)) } else { Self::UntilClose };
        }
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        length.map_or(Self::UntilClose, Self::Length)
    }

    /// Bytes still to come, where that is known.
    pub(super) fn remaining(self) -> Option<u64> {
        match self {
            Self::Length(remaining) => Some(remaining),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Appends to `out` what `bytes` hold of the body, until `out` has `limit` bytes.
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, limit: usize) {
        let mut rest = bytes;
        while !rest.is_empty() && out.len() < limit && *self != Self::Length(0) {
            let available = match *self {
                Self::Length(remaining) | Self::Chunked(Chunk::Data(remaining)) => {
                    rest.len().min(usize::try_from(remaining).unwrap_or(usize::MAX))
                }
                Self::UntilClose => rest.len(),
                Self::Chunked(chunk) => {
                    // Trailers and nonsense are left unread: the connection is not used again.
                    *self = chunk.next(rest[0]).map_or(Self::Length(0), Self::Chunked);
                    rest = &rest[1..];
                    continue;
                }
            };
            let (part, after) = rest.split_at(available.min(limit - out.len()));
            out.extend_from_slice(part);
            rest = after;
            self.advance(part.len() as u64);
        }
    }

    /// Counts `taken` bytes of data, of which no more are taken than remain.
    fn advance(&mut self, taken: u64) {
        match self {
            Self::Length(remaining) => *remaining -= taken,
            Self::Chunked(Chunk::Data(remaining)) if *remaining > taken => *remaining -= taken,
            Self::Chunked(chunk) => *chunk = Chunk::DataEnd,
            Self::UntilClose => {}
        }
    }
}

impl Chunk {
    /// The state behind a byte that is not data. `None` at the end of the body, and where it is malformed.
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size(0) | Self::Extension(0), b'\n') => None,
            (Self::Size(size) | Self::Extension(size), b'\n') => Some(Self::Data(size)),
            (Self::Size(size), _) => match char::from(byte).to_digit(16) {
                Some(digit) => Some(Self::Size(size.checked_mul(16)? + u64::from(digit))),
                None => Some(Self::Extension(size)),
            },
            (Self::DataEnd, b'\n') => Some(Self::Size(0)),
            (Self::DataEnd, b'\r') | (Self::Extension(_) | Self::Data(_), _) => Some(self),
            (Self::DataEnd, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `wire` in pieces of every size and expects the same body each time.
    #[track_caller]
    fn check(start: Body, wire: &str, expected: &str, remaining: Option<u64>) {
        for size in 1..=wire.len() {
            let (mut body, mut out) = (start, Vec::new());
            for piece in wire.as_bytes().chunks(size) {
                body.take(piece, &mut out, 10);
            }
            assert_eq!(std::str::from_utf8(&out), Ok(expected), "in pieces of {size}");
            assert_eq!(body.remaining(), remaining, "in pieces of {size}");
        }
    }

    #[test]
    fn body_with_a_length_ends_there() {
        check(Body::Length(3), "abcdef", "abc", Some(0));
        check(Body::Length(8), "abcdef", "abcdef", Some(2));
        check(Body::Length(u64::MAX), "0123456789ab", "0123456789", Some(u64::MAX - 10));
    }

    #[test]
    fn body_until_close_has_no_end() {
        check(Body::UntilClose, "abc", "abc", None);
        check(Body::UntilClose, "0123456789ab", "0123456789", None);
    }

    #[test]
    fn chunks_are_joined() {
        let start = Body::Chunked(Chunk::Size(0));
        check(start, "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde", Some(0));
        check(start, "A\r\n0123456789\r\n", "0123456789", None);
        check(start, "3\r\nabcd", "abc", Some(0));
        check(start, "11111111111111111\r\nabc", "", Some(0));
        check(start, "3\r\nab", "ab", None);
    }

    #[test]
    fn headers_say_how_the_body_ends() {
        let body = |name, value| {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            Body::of(&headers)
        };
        assert_eq!(body(header::CONTENT_LENGTH, "12"), Body::Length(12));
        assert_eq!(body(header::CONTENT_LENGTH, "twelve"), Body::UntilClose);
        assert_eq!(body(header::TRANSFER_ENCODING, "Chunked"), Body::Chunked(Chunk::Size(0)));
        assert_eq!(body(header::TRANSFER_ENCODING, "gzip, chunked"), Body::UntilClose);
        assert_eq!(Body::of(&HeaderMap::new()), Body::UntilClose);
    }
}
