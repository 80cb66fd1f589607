//! Heads: the start line and headers of a request or response, found in bytes as they arrive.
//!
//! [`Head`] looks at each byte once, however the input is cut up, and refuses what can never become a valid head
//! as soon as it shows. Only when the empty line has come is the whole parsed, once. What the headers *mean* is
//! decided in [`client`](super::client) and [`server`](super::server).

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::error::{Excerpt, ForeignProtocol, HandshakeError};
use super::headers::is_token_byte;

/// How much head a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head, with the empty line that ends it. Default 16 KiB. Lower than about 300, browsers
    /// cannot connect; each pending handshake may hold up to twice as much memory.
    pub bytes: usize,
    /// Header lines. Default 100. Lower than about 10, browsers cannot connect.
    pub headers: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { bytes: 16 * 1024, headers: 100 }
    }
}

/// Which kind of head is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadKind {
    Request,
    Response,
}

/// Where in the head the next byte falls.
///
/// ```text
/// Opening ──▶ Line ──CR──▶ LineEnd ──LF──▶ LineStart ──CR──▶ HeadEnd ──LF──▶ complete
///              ▲                               │
///              └──────────── other ────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first bytes, which may yet turn out not to be HTTP.
    Opening,
    /// Inside the start line or a header line.
    Line,
    /// Behind the CR of a line.
    LineEnd,
    /// At the beginning of a header line, or of the empty one.
    LineStart,
    /// Behind the CR of the empty line.
    HeadEnd,
}

/// A head that is arriving.
#[derive(Debug)]
pub(super) struct Head {
    kind: HeadKind,
    limits: HeadLimits,
    state: State,
    /// What has arrived of the head; never longer than the limit.
    buffer: Vec<u8>,
    /// Bytes of `buffer` that `state` accounts for.
    scanned: usize,
    /// Header lines begun; never more than the limit.
    headers: usize,
}

/// A complete request head.
pub(super) struct RequestHead<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) version: u8,
    pub(super) headers: HeaderMap,
}

/// A complete response head.
pub(super) struct ResponseHead {
    /// The minor version: 0 or 1.
    pub(super) version: u8,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

impl Head {
    pub(super) fn new(kind: HeadKind, limits: HeadLimits) -> Self {
        Self { kind, limits, state: State::Opening, buffer: Vec::new(), scanned: 0, headers: 0 }
    }

    /// Takes bytes in. `Some` says how many of them belong to the head, which is then complete.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Option<usize>, HandshakeError> {
        let before = self.buffer.len();
        let room = self.limits.bytes.saturating_sub(before);
        self.buffer.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.state == State::Opening && opening(self.kind, &self.buffer)? {
            self.state = State::Line;
        }
        if self.state != State::Opening && self.scan()? {
            self.buffer.truncate(self.scanned);
            return Ok(Some(self.scanned - before));
        }
        if self.buffer.len() >= self.limits.bytes {
            return Err(HandshakeError::HeadTooLarge { limit: self.limits.bytes });
        }
        Ok(None)
    }

    /// Follows the lines up to the end of `buffer`, or of the head: then the answer is `true`.
    fn scan(&mut self) -> Result<bool, HandshakeError> {
        while let Some(&byte) = self.buffer.get(self.scanned) {
            let offset = self.scanned;
            self.scanned += 1;
            self.state = match (self.state, byte) {
                (State::LineEnd, b'\n') => State::LineStart,
                (State::HeadEnd, b'\n') => return Ok(true),
                (State::LineEnd | State::HeadEnd, _) => {
                    return Err(HandshakeError::BareCr { offset: offset - 1 });
                }
                (State::LineStart, b'\r') => State::HeadEnd,
                (State::Line | State::Opening, b'\r') => State::LineEnd,
                (_, b'\n') => return Err(HandshakeError::BareLf { offset }),
                (State::LineStart, b' ' | b'\t') => return Err(HandshakeError::FoldedHeader { offset }),
                (_, byte) if is_control(byte) => {
                    return Err(HandshakeError::ControlCharacter { byte, offset });
                }
                (State::LineStart, _) => {
                    if self.headers == self.limits.headers {
                        return Err(HandshakeError::TooManyHeaders { limit: self.limits.headers });
                    }
                    self.headers += 1;
                    State::Line
                }
                (State::Line | State::Opening, _) => {
                    self.scanned += up_to_control(&self.buffer[self.scanned..]);
                    State::Line
                }
            };
        }
        Ok(false)
    }

    /// Makes room for the head that follows.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.kind, self.limits);
    }

    /// Reads a complete request head.
    pub(super) fn request(&self) -> Result<RequestHead<'_>, HandshakeError> {
        let mut lines = vec![httparse::EMPTY_HEADER; self.headers];
        let mut request = httparse::Request::new(&mut lines);
        let parsed = request.parse(&self.buffer).map_err(|error| self.malformed(error))?;
        if parsed.is_partial() {
            return Err(HandshakeError::Syntax { part: "end" });
        }
        let httparse::Request { method: Some(method), path: Some(target), version: Some(version), .. } =
            request
        else {
            return Err(HandshakeError::Syntax { part: "request line" });
        };
        Ok(RequestHead { method, target, version, headers: header_map(request.headers)? })
    }

    /// Reads a complete response head.
    pub(super) fn response(&self) -> Result<ResponseHead, HandshakeError> {
        let mut lines = vec![httparse::EMPTY_HEADER; self.headers];
        let mut response = httparse::Response::new(&mut lines);
        let parsed = response.parse(&self.buffer).map_err(|error| self.malformed(error))?;
        if parsed.is_partial() {
            return Err(HandshakeError::Syntax { part: "end" });
        }
        let httparse::Response { version: Some(version), code: Some(code), .. } = response else {
            return Err(HandshakeError::Syntax { part: "status line" });
        };
        let status = StatusCode::from_u16(code).map_err(|_| HandshakeError::Syntax { part: "status" })?;
        Ok(ResponseHead { version, status, headers: header_map(response.headers)? })
    }

    fn malformed(&self, error: httparse::Error) -> HandshakeError {
        let part = match error {
            httparse::Error::Version if is_other_version(self.version()) => {
                return HandshakeError::HttpVersion(Excerpt::new(self.version()));
            }
            httparse::Error::HeaderName => "header name",
            httparse::Error::HeaderValue => "header value",
            httparse::Error::TooManyHeaders => "number of headers",
            httparse::Error::Status => "status",
            httparse::Error::Version | httparse::Error::NewLine | httparse::Error::Token => "start line",
        };
        HandshakeError::Syntax { part }
    }

    /// The word of the start line where the version stands.
    fn version(&self) -> &[u8] {
        let line = self.buffer.split(|&b| b == b'\r').next().unwrap_or_default();
        let mut words = line.split(|&b| b == b' ');
        match self.kind {
            HeadKind::Request => words.next_back(),
            HeadKind::Response => words.next(),
        }
        .unwrap_or_default()
    }
}

fn is_other_version(word: &[u8]) -> bool {
    word.starts_with(b"HTTP/") && word != b"HTTP/1.1"
}

fn is_control(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' || byte == 0x7f
}

/// How many bytes come before the first control character.
fn up_to_control(bytes: &[u8]) -> usize {
    // Sixteen at a time, all of them, which the compiler does at once.
    let is_plain = |chunk: &&[u8]| !chunk.iter().fold(false, |found, &byte| found | is_control(byte));
    let plain = 16 * bytes.chunks_exact(16).take_while(is_plain).count();
    let rest = &bytes[plain..];
    plain + rest.iter().position(|&byte| is_control(byte)).unwrap_or(rest.len())
}

fn header_map(lines: &[httparse::Header<'_>]) -> Result<HeaderMap, HandshakeError> {
    let too_many = |_| HandshakeError::Syntax { part: "number of headers" };
    let mut headers = HeaderMap::try_with_capacity(lines.len()).map_err(too_many)?;
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes())
            .map_err(|_| HandshakeError::Syntax { part: "header name" })?;
        let mut value = HeaderValue::from_bytes(line.value)
            .map_err(|_| HandshakeError::Syntax { part: "header value" })?;
        // Keeps credentials out of debug output.
        value.set_sensitive(SECRET.contains(&name));
        headers.try_append(name, value).map_err(too_many)?;
    }
    Ok(headers)
}

/// Headers that carry credentials.
const SECRET: [HeaderName; 4] =
    [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::SET_COOKIE];

/// How other protocols begin. `None` stands for any byte.
const FOREIGN: [(&[Option<u8>], ForeignProtocol); 5] = [
    // A ClientHello, or the alert with which a TLS server answers plain text (RFC 8446 §5.1).
    (&[Some(0x16), Some(0x03)], ForeignProtocol::Tls),
    (&[Some(0x15), Some(0x03)], ForeignProtocol::Tls),
    (&[Some(b'S'), Some(b'S'), Some(b'H'), Some(b'-')], ForeignProtocol::Ssh),
    // The client's preface up to its target, and the SETTINGS frame a server begins with (RFC 9113 §3.4).
    (&[Some(b'P'), Some(b'R'), Some(b'I'), Some(b' '), Some(b'*')], ForeignProtocol::Http2),
    (&[Some(0), Some(0), None, Some(4)], ForeignProtocol::Http2),
];

/// Whether `bytes` begin as HTTP does; `false` if it is too early to tell.
///
/// Shorter beginnings are judged first, so that the answer does not depend on how much arrived at once.
fn opening(kind: HeadKind, bytes: &[u8]) -> Result<bool, HandshakeError> {
    for end in 1..=bytes.len() {
        let bytes = &bytes[..end];
        let mut undecided = false;
        for (signature, protocol) in &FOREIGN {
            if signature.iter().zip(bytes).all(|(s, b)| s.is_none_or(|s| s == *b)) {
                if bytes.len() >= signature.len() {
                    return Err(HandshakeError::NotHttp(protocol.clone()));
                }
                undecided = true;
            }
        }
        let http = match kind {
            HeadKind::Request => is_token_byte(bytes[0]),
            HeadKind::Response => b"HTTP/".starts_with(bytes),
        };
        if !undecided && !http {
            return Err(HandshakeError::NotHttp(ForeignProtocol::Unknown(Excerpt::new(bytes))));
        }
        if !undecided && (kind == HeadKind::Request || bytes.len() == b"HTTP/".len()) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 200, headers: 4 };

    /// Feeds `wire` in pieces of every size and expects the same each time: where the head ends, or the error.
    #[track_caller]
    fn check(kind: HeadKind, wire: &[u8], expected: Result<Option<usize>, &HandshakeError>) {
        for size in 1..=wire.len() {
            let mut head = Head::new(kind, LIMITS);
            let mut before = 0;
            let mut outcome = Ok(None);
            for piece in wire.chunks(size) {
                outcome = head.receive(piece).map(|end| end.map(|end| before + end));
                before += piece.len();
                assert!(head.buffer.len() <= LIMITS.bytes);
                if outcome != Ok(None) {
                    break;
                }
            }
            assert_eq!(outcome.as_ref().copied(), expected, "in pieces of {size}");
        }
    }

    #[track_caller]
    fn refused(kind: HeadKind, wire: &str, expected: &HandshakeError) {
        check(kind, wire.as_bytes(), Err(expected));
    }

    #[test]
    fn head_ends_behind_the_empty_line() {
        check(HeadKind::Request, b"GET / HTTP/1.1\r\n\r\n", Ok(Some(18)));
        check(HeadKind::Request, b"GET / HTTP/1.1\r\na: b\r\n\r\nframes\r\n\r\n", Ok(Some(24)));
        check(HeadKind::Response, b"HTTP/1.1 101\r\na:\r\n\r\n\0\0\n", Ok(Some(20)));
        check(HeadKind::Request, b"POST / HTTP/1.1\r\na: b\r\n", Ok(None));
        check(HeadKind::Request, b"PRIX", Ok(None));
    }

    #[test]
    fn bare_cr_is_refused() {
        use HandshakeError::BareCr;
        refused(HeadKind::Request, "GET /\r HTTP/1.1\r\n\r\n", &BareCr { offset: 5 });
        refused(HeadKind::Request, "GET / HTTP/1.1\r\na: b\rc: d\r\n", &BareCr { offset: 20 });
        refused(HeadKind::Response, "HTTP/1.1 101\r\n\r\r\n", &BareCr { offset: 14 });
        refused(HeadKind::Response, "HTTP/1.1 101\r\r\n", &BareCr { offset: 12 });
    }

    #[test]
    fn bare_lf_is_refused() {
        use HandshakeError::BareLf;
        refused(HeadKind::Request, "GET / HTTP/1.1\n\n", &BareLf { offset: 14 });
        refused(HeadKind::Request, "GET / HTTP/1.1\r\na: b\nc: d", &BareLf { offset: 20 });
        refused(HeadKind::Response, "HTTP/1.1 101\r\n\n", &BareLf { offset: 14 });
    }

    #[test]
    fn nul_and_other_controls_are_refused() {
        for byte in (0..32).chain([127]).filter(|b| !b"\t\r\n".contains(b)) {
            let mut wire = b"GET / HTTP/1.1\r\na: b?c\r\n".to_vec();
            wire[20] = byte;
            check(HeadKind::Request, &wire, Err(&HandshakeError::ControlCharacter { byte, offset: 20 }));
        }
        check(HeadKind::Request, b"GET / HTTP/1.1\r\na: b\tc\xff\r\n\r\n", Ok(Some(27)));
    }

    #[test]
    fn folded_header_is_refused() {
        use HandshakeError::FoldedHeader;
        refused(HeadKind::Request, "GET / HTTP/1.1\r\na: b\r\n c", &FoldedHeader { offset: 22 });
        refused(HeadKind::Request, "GET / HTTP/1.1\r\n\ta: b\r\n", &FoldedHeader { offset: 16 });
    }

    #[test]
    fn limits_hold_before_the_head_is_complete() {
        let line = format!("GET /{}", "a".repeat(195));
        refused(HeadKind::Request, &line, &HandshakeError::HeadTooLarge { limit: 200 });
        check(HeadKind::Request, &line.as_bytes()[..199], Ok(None));
        let exact = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(200 - 23));
        check(HeadKind::Request, exact.as_bytes(), Ok(Some(200)));
        let headers = |n| format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(n));
        check(HeadKind::Request, format!("{}\r\n", headers(4)).as_bytes(), Ok(Some(42)));
        refused(HeadKind::Request, &headers(5), &HandshakeError::TooManyHeaders { limit: 4 });
        let tiny = HeadLimits { bytes: 0, headers: 0 };
        assert!(Head::new(HeadKind::Request, tiny).receive(b"").is_err());
    }

    #[test]
    fn other_protocols_are_named() {
        use ForeignProtocol::{Http2, Ssh, Tls, Unknown};
        for (wire, name) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], Tls),
            (b"\x15\x03\x03\0\x02\x02\x46", Tls),
            (b"SSH-2.0-OpenSSH_9.6\r\n", Ssh),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http2),
            (b"\0\0\x12\x04\0\0\0\0\0", Http2),
            (b"\x1b[2J", Unknown(Excerpt::new(b"\x1b"))),
        ] {
            for kind in [HeadKind::Request, HeadKind::Response] {
                check(kind, wire, Err(&HandshakeError::NotHttp(name.clone())));
            }
        }
        let unknown = |bytes: &[u8]| HandshakeError::NotHttp(Unknown(Excerpt::new(bytes)));
        refused(HeadKind::Request, "\r\nGET / HTTP/1.1\r\n", &unknown(b"\r"));
        refused(HeadKind::Response, "HTTP 1.1 101", &unknown(b"HTTP "));
        refused(HeadKind::Response, "SSX", &unknown(b"SSX"));
        check(HeadKind::Request, b"\x16", Ok(None));
    }

    #[test]
    fn heads_that_are_no_http_are_refused() {
        let parse = |wire: &str| {
            let mut head = Head::new(HeadKind::Request, LIMITS);
            assert_eq!(head.receive(wire.as_bytes()), Ok(Some(wire.len())), "{wire}");
            head.request().map(|_| ()).unwrap_err().to_string()
        };
        assert!(parse("GET / HTTP/1.1\r\na : b\r\n\r\n").contains("header name"));
        assert!(parse("GET / HTTP/1.1\r\n: b\r\n\r\n").contains("header name"));
        assert!(parse("GET / HTTP/1.1\r\na\r\n\r\n").contains("header name"));
        assert!(parse("GET / HTTP/2.0\r\n\r\n").contains("version is \"HTTP/2.0\""));
        assert!(parse("GET /  HTTP/1.1\r\n\r\n").contains("start line"));
        assert!(parse("GET /\r\n\r\n").contains("of the head does not follow"));
        assert!(parse("GET\r\n\r\n").contains("start line"));
    }
}
