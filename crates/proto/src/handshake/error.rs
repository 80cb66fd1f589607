//! What can go wrong in the opening handshake, whose fault it is, and the answer a server gives.

use std::fmt;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::client::Refusal;
use super::deflate::DeflateProblem;
use super::server::refusal;

/// Why the opening handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer does not speak HTTP.
    #[error("peer sent {0} where HTTP/1.1 was expected")]
    NotHttp(ForeignProtocol),
    /// The head did not end within the limit.
    #[error("head of the handshake exceeds the limit of {limit} bytes")]
    HeadTooLarge {
        /// [`HeadLimits::bytes`](super::HeadLimits::bytes).
        limit: usize,
    },
    /// More header lines than the limit.
    #[error("head of the handshake exceeds the limit of {limit} headers")]
    TooManyHeaders {
        /// [`HeadLimits::headers`](super::HeadLimits::headers).
        limit: usize,
    },
    /// CR that is not followed by LF.
    #[error("CR without LF at byte {offset} of the head: lines must end in CR LF")]
    BareCr {
        /// Where the CR is.
        offset: usize,
    },
    /// LF that does not follow CR.
    #[error("LF without CR at byte {offset} of the head: lines must end in CR LF")]
    BareLf {
        /// Where the LF is.
        offset: usize,
    },
    /// NUL or another control character.
    #[error(
        "control character {byte:#04x} at byte {offset} of the head: only visible characters, spaces and tabs are allowed"
    )]
    ControlCharacter {
        /// The character.
        byte: u8,
        /// Where it is.
        offset: usize,
    },
    /// A header continued on a second line, which RFC 9112 §5.2 has done away with.
    #[error("line begins with white space at byte {offset} of the head: a header must stand on one line")]
    FoldedHeader {
        /// Where the line begins.
        offset: usize,
    },
    /// A start line or header line that is not HTTP.
    #[error("{part} of the head does not follow the grammar of HTTP/1.1")]
    Syntax {
        /// Which part.
        part: &'static str,
    },
    /// A version of HTTP that cannot be upgraded from.
    #[error("HTTP version is {0}: HTTP/1.1 is required")]
    HttpVersion(Excerpt),
    /// A request that is not a GET.
    #[error("request method is {0}: only GET opens a WebSocket")]
    Method(Excerpt),
    /// A request target that is neither a path nor an http URI.
    #[error("request target is {0}: a path that begins with '/' is required")]
    Target(Excerpt),
    /// A request with a body, which could be mistaken for frames.
    #[error("request announces a body with {0}: a handshake must have none")]
    Body(HeaderName),
    /// A header is not as RFC 6455 wants it.
    #[error("header {name} {problem}")]
    Header {
        /// Which header.
        name: HeaderName,
        /// What is wrong with it.
        problem: HeaderProblem,
    },
    /// The server chose a subprotocol that the client did not offer.
    #[error("server chose subprotocol {0}, which was not offered")]
    SubprotocolNotOffered(Excerpt),
    /// The server chose an extension that the client did not offer.
    #[error("server chose extension {0}, which was not offered")]
    ExtensionNotOffered(Excerpt),
    /// The server chose the same extension twice.
    #[error("server chose extension {0} twice: once is allowed")]
    ExtensionRepeated(Excerpt),
    /// The server accepted permessage-deflate with a parameter that it may not send, or not with this value.
    #[error("server accepted permessage-deflate with {seen}: {problem}")]
    DeflateParameter {
        /// The parameter.
        seen: Excerpt,
        /// What is wrong with it.
        problem: DeflateProblem,
    },
    /// The server accepted permessage-deflate, but not a limit that the client set.
    #[error("server accepted permessage-deflate without {0}, which was asked for: it must agree or decline")]
    DeflateParameterMissing(&'static str),
    /// More 1xx responses than anyone sends.
    #[error("server sent more than {limit} interim responses")]
    TooManyInterimResponses {
        /// [`MAX_INTERIM_RESPONSES`](super::client::MAX_INTERIM_RESPONSES).
        limit: usize,
    },
    /// The server answered, and the answer is no.
    #[error("{0}")]
    Refused(Box<Refusal>),

    /// The caller wants to send a header that the handshake writes itself.
    #[error("header {0} belongs to the handshake and cannot be set")]
    ReservedHeader(HeaderName),
    /// The caller's subprotocol is not a token.
    #[error("subprotocol {0} is not a token: letters, digits and !#$%&'*+-.^_`|~ are allowed")]
    InvalidSubprotocol(Excerpt),
    /// The caller offers a subprotocol twice.
    #[error("subprotocol {0} is offered twice: each must be unique")]
    RepeatedSubprotocol(Excerpt),
    /// The caller accepts with a subprotocol that the client did not offer.
    #[error("subprotocol {0} cannot be accepted: the client did not offer it")]
    SubprotocolNotInRequest(Excerpt),
    /// The caller's extensions do not follow the grammar of RFC 6455 §9.1.
    #[error("extensions {0} are not a list of the form name; param=value")]
    InvalidExtensions(Excerpt),
    /// The caller accepts with an extension that the client did not offer.
    #[error("extension {0} cannot be accepted: the client did not offer it")]
    ExtensionNotInRequest(Excerpt),
    /// The caller accepts with an extension twice.
    #[error("extension {0} is accepted twice: once is allowed")]
    RepeatedExtension(Excerpt),
    /// The caller hands in bytes after the handshake has ended, well or badly.
    #[error("handshake is over: bytes after it are frames")]
    Finished,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The caller of this library asked for something impossible.
    Local,
    /// The peer broke the rules, exceeded a limit, or refused.
    Peer,
}

impl HandshakeError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::ReservedHeader(_)
            | Self::InvalidSubprotocol(_)
            | Self::RepeatedSubprotocol(_)
            | Self::SubprotocolNotInRequest(_)
            | Self::InvalidExtensions(_)
            | Self::ExtensionNotInRequest(_)
            | Self::RepeatedExtension(_)
            | Self::Finished => Fault::Local,
            _ => Fault::Peer,
        }
    }

    /// The status a server answers with.
    pub fn status(&self) -> StatusCode {
        match self {
            _ if self.fault() == Fault::Local => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::HttpVersion(_) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::HeadTooLarge { .. } | Self::TooManyHeaders { .. } => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            // Without all three it is a plain HTTP request, to be told that this is a place for WebSockets.
            Self::Header { name, .. }
                if [header::UPGRADE, header::CONNECTION, header::SEC_WEBSOCKET_VERSION].contains(name) =>
            {
                StatusCode::UPGRADE_REQUIRED
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The complete HTTP response a server answers with, before it closes the connection.
    ///
    /// It tells the client what was wrong with its request, and nothing about mistakes made on this side.
    pub fn refusal(&self) -> Vec<u8> {
        let (status, headers, body) = self.refusal_parts();
        refusal(status, &headers, &body)
    }

    /// Status, headers and text of what [`refusal`](Self::refusal) writes, for another HTTP server to send. The headers
    /// that say where the body ends and what becomes of the connection are for that server.
    pub fn refusal_parts(&self) -> (StatusCode, HeaderMap, String) {
        let status = self.status();
        let mut headers = HeaderMap::new();
        match status {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static(Method::GET.as_str()));
            }
            StatusCode::UPGRADE_REQUIRED => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(super::VERSION));
            }
            _ => {}
        }
        let body = match self.fault() {
            Fault::Peer => format!("{self}\n"),
            Fault::Local => "internal server error\n".to_owned(),
        };
        (status, headers, body)
    }

    pub(super) fn header(name: &HeaderName, problem: HeaderProblem) -> Self {
        Self::Header { name: name.clone(), problem }
    }

    pub(super) fn value(name: &HeaderName, seen: &[u8], expected: &'static str) -> Self {
        Self::header(name, HeaderProblem::Value { seen: Excerpt::new(seen), expected })
    }
}

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderProblem {
    /// It is not there.
    Missing,
    /// It is there more than once.
    Repeated,
    /// Its value is wrong.
    Value {
        /// The value.
        seen: Excerpt,
        /// What is allowed.
        expected: &'static str,
    },
}

impl fmt::Display for HeaderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing: it is required"),
            Self::Repeated => f.write_str("appears more than once: once is allowed"),
            Self::Value { seen, expected } => write!(f, "is {seen}: expected {expected}"),
        }
    }
}

/// What a peer speaks instead of HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignProtocol {
    /// A TLS record: one side uses `wss`, the other `ws`.
    Tls,
    /// The greeting of an SSH server or client.
    Ssh,
    /// HTTP/2 without having agreed on it.
    Http2,
    /// Something else; the bytes that gave it away.
    Unknown(Excerpt),
}

impl fmt::Display for ForeignProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls => f.write_str("TLS (one side uses wss, the other ws)"),
            Self::Ssh => f.write_str("SSH"),
            Self::Http2 => f.write_str("HTTP/2"),
            Self::Unknown(seen) => write!(f, "{seen}"),
        }
    }
}

/// A piece of text chosen by someone else, made fit for a log line or a terminal: escaped, quoted and cut off.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    /// Characters (or bytes, if it is not UTF-8) that are shown.
    const LIMIT: usize = 64;

    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self::beginning(bytes, false)
    }

    /// Of a URI or path, less what may be secret in it: user name and password, query and fragment.
    pub(super) fn of_uri(uri: &[u8]) -> Self {
        let query = uri.iter().position(|byte| matches!(byte, b'?' | b'#'));
        // The character shows what is missing.
        let mut shown = query.map_or(uri, |at| &uri[..=at]).to_vec();
        if let Some(slashes) = shown.windows(2).position(|pair| pair == b"//") {
            let start = slashes + 2;
            let authority =
                shown[start..].split(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or_default();
            if let Some(at) = authority.iter().rposition(|&byte| byte == b'@') {
                shown.drain(start..=start + at);
            }
        }
        Self::beginning(&shown, query.is_some())
    }

    /// `is_cut`: there is more than these bytes.
    fn beginning(bytes: &[u8], is_cut: bool) -> Self {
        let (escaped, end) = match std::str::from_utf8(bytes) {
            Ok(text) => {
                let end = text.char_indices().nth(Self::LIMIT).map_or(text.len(), |(at, _)| at);
                (text[..end].escape_debug().to_string(), end)
            }
            Err(_) => {
                let end = bytes.len().min(Self::LIMIT);
                (bytes[..end].escape_ascii().to_string(), end)
            }
        };
        let more = if is_cut || end < bytes.len() { "…" } else { "" };
        Self(format!("\"{escaped}{more}\"").into())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_escaped_and_cut_off() {
        let shown = |bytes: &[u8]| Excerpt::new(bytes).to_string();
        assert_eq!(shown(b"h2c"), "\"h2c\"");
        assert_eq!(shown("é\r\n\x1b[2J\u{202e}\"".as_bytes()), "\"é\\r\\n\\u{1b}[2J\\u{202e}\\\"\"");
        assert_eq!(shown(b"\xff\x1b\n"), "\"\\xff\\x1b\\n\"");
        assert_eq!(shown("日".repeat(65).as_bytes()), format!("\"{}…\"", "日".repeat(64)));
        assert_eq!(shown("日".repeat(64).as_bytes()), format!("\"{}\"", "日".repeat(64)));
        assert_eq!(shown(&[0xff; 65]), format!("\"{}…\"", "\\xff".repeat(64)));
    }

    #[test]
    fn an_excerpt_of_a_uri_shows_no_secret() {
        let shown = |uri: &[u8]| Excerpt::of_uri(uri).to_string();
        assert_eq!(shown(b"/x?token=SECRET#y"), "\"/x?…\"");
        assert_eq!(shown(b"/x#SECRET?y"), "\"/x#…\"");
        assert_eq!(shown(b"?SECRET"), "\"?…\"");
        assert_eq!(shown(b"wss://user:SECRET@a.example/b@c?SECRET"), "\"wss://a.example/b@c?…\"");
        assert_eq!(shown(b"//user:S@CRET@a.example"), "\"//a.example\"");
        assert_eq!(shown(b"wss://a.example/b@c"), "\"wss://a.example/b@c\"");
        assert_eq!(shown(b"/\xff?SECRET"), "\"/\\xff?…\"");
        assert_eq!(shown(b""), "\"\"");
    }

    #[test]
    fn errors_stay_small() {
        assert!(size_of::<HandshakeError>() <= 80, "{}", size_of::<HandshakeError>());
    }
}
