//! The client's side: the request to send, and the judgement of the response (RFC 6455 §4.1).

use std::fmt;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::body::Body;
use super::error::{Excerpt, HandshakeError};
use super::head::{Head, HeadKind, HeadLimits, ResponseHead};
use super::headers::{Extension, is_token, parse_extensions};
use super::{VERSION, at_most_one, check_connection, exactly_one, key, push_header, push_own_headers};
use crate::uri::WebSocketUri;

/// Responses with a 1xx status that are skipped before the real one; more of them fail the handshake.
pub const MAX_INTERIM_RESPONSES: usize = 8;

/// Bytes of a refusal's body that are kept.
pub const MAX_REFUSAL_BODY: usize = 8 * 1024;

/// What the client asks for.
#[derive(Debug, Clone, Copy)]
pub struct ClientRequest<'a> {
    /// Where to.
    pub uri: &'a WebSocketUri,
    /// Subprotocols offered, the preferred one first. Each a token, none twice.
    pub subprotocols: &'a [String],
    /// The value of `Sec-WebSocket-Extensions`; `None` offers no extension.
    pub extensions: Option<&'a str>,
    /// Further headers, such as `Origin`, `Authorization` or `Cookie`. Those that belong to the handshake
    /// (`Host`, `Upgrade`, `Connection`, `Sec-WebSocket-…`) or announce a body are refused.
    pub headers: &'a HeaderMap,
}

impl ClientRequest<'_> {
    fn encode(&self, key: &str) -> Result<Vec<u8>, HandshakeError> {
        let mut out = format!("GET {} HTTP/1.1\r\n", self.uri.resource_name()).into_bytes();
        push_header(&mut out, "Host", self.uri.host_header().as_bytes());
        push_header(&mut out, "Upgrade", b"websocket");
        push_header(&mut out, "Connection", b"Upgrade");
        push_header(&mut out, "Sec-WebSocket-Key", key.as_bytes());
        push_header(&mut out, "Sec-WebSocket-Version", VERSION.as_bytes());
        if !self.subprotocols.is_empty() {
            push_header(&mut out, "Sec-WebSocket-Protocol", self.subprotocols.join(", ").as_bytes());
        }
        if let Some(extensions) = self.extensions {
            push_header(&mut out, "Sec-WebSocket-Extensions", extensions.as_bytes());
        }
        push_own_headers(&mut out, self.headers)?;
        out.extend_from_slice(b"\r\n");
        Ok(out)
    }

    fn check_subprotocols(&self) -> Result<(), HandshakeError> {
        for (at, subprotocol) in self.subprotocols.iter().enumerate() {
            if !is_token(subprotocol) {
                return Err(HandshakeError::InvalidSubprotocol(Excerpt::new(subprotocol.as_bytes())));
            }
            if self.subprotocols[..at].contains(subprotocol) {
                return Err(HandshakeError::RepeatedSubprotocol(Excerpt::new(subprotocol.as_bytes())));
            }
        }
        Ok(())
    }

    /// The names of the extensions offered. Reading them also makes sure that the value is fit to be sent.
    fn extension_names(&self) -> Result<Vec<String>, HandshakeError> {
        let Some(text) = self.extensions else {
            return Ok(Vec::new());
        };
        match parse_extensions(text) {
            Ok(offers) if !offers.is_empty() => Ok(offers.into_iter().map(|offer| offer.name).collect()),
            _ => Err(HandshakeError::InvalidExtensions(Excerpt::new(text.as_bytes()))),
        }
    }
}

/// A handshake whose request has been written and whose response is awaited.
///
/// ```
/// use wsduo_proto::handshake::{ClientHandshake, ClientRequest, HeadLimits};
///
/// let uri = "ws://example.org/chat".parse()?;
/// let headers = http::HeaderMap::new();
/// let request = ClientRequest { uri: &uri, subprotocols: &[], extensions: None, headers: &headers };
/// let nonce = *b"the sample nonce"; // random in earnest
/// let (mut handshake, bytes) = ClientHandshake::new(&request, nonce, HeadLimits::default())?;
/// assert!(bytes.starts_with(b"GET /chat HTTP/1.1\r\n"));
///
/// let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x89\0";
/// let outcome = handshake.receive(answer)?.expect("the response is complete");
/// assert_eq!(&answer[outcome.consumed..], b"\x89\0", "the rest are frames");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    head: Head,
    /// The only `Sec-WebSocket-Accept` that answers our key.
    accept: String,
    /// Subprotocols the server may choose from.
    subprotocols: Vec<String>,
    /// Names of the extensions the server may choose from.
    extensions: Vec<String>,
    /// Responses with a 1xx status so far.
    interim: usize,
    /// Whether the outcome, good or bad, has been handed out.
    finished: bool,
}

/// The server agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOutcome {
    /// What it agreed to.
    pub response: Response,
    /// How many of the bytes last received belong to the handshake; the rest are frames.
    pub consumed: usize,
}

/// A response that opens the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// Always 101.
    pub status: StatusCode,
    /// All headers, as they came.
    pub headers: HeaderMap,
    /// The subprotocol the server chose, one of those offered.
    pub subprotocol: Option<String>,
    /// The extensions the server chose, each one of those offered, none twice. Whether their parameters make
    /// sense is for the extension to say.
    pub extensions: Vec<Extension>,
}

impl ClientHandshake {
    /// Writes the request, and prepares for the response to it.
    ///
    /// `nonce` must be unpredictable and new for each connection (RFC 6455 §4.1).
    ///
    /// # Errors
    /// Only for the caller's mistakes: a header that belongs to the handshake, a subprotocol that is not a token
    /// or is offered twice, extensions that do not follow their grammar.
    pub fn new(
        request: &ClientRequest<'_>,
        nonce: [u8; key::NONCE_LEN],
        limits: HeadLimits,
    ) -> Result<(Self, Vec<u8>), HandshakeError> {
        request.check_subprotocols()?;
        let key = key::encode_nonce(nonce);
        let handshake = Self {
            head: Head::new(HeadKind::Response, limits),
            accept: key::accept(&key),
            subprotocols: request.subprotocols.to_vec(),
            extensions: request.extension_names()?,
            interim: 0,
            finished: false,
        };
        Ok((handshake, request.encode(&key)?))
    }

    /// Takes in bytes of the response, in pieces of any size. `None` means that more are needed.
    ///
    /// # Errors
    /// [`HandshakeError::Refused`] if the server answered with another status than 101, else what it did wrong.
    /// After an error, as after the outcome, nothing more may be received.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<ClientOutcome>, HandshakeError> {
        if self.finished {
            return Err(HandshakeError::Finished);
        }
        let result = self.advance(bytes);
        if !matches!(result, Ok(None)) {
            self.finished = true;
            self.head.reset();
        }
        result
    }

    fn advance(&mut self, bytes: &[u8]) -> Result<Option<ClientOutcome>, HandshakeError> {
        let mut consumed = 0;
        while let Some(taken) = self.head.receive(&bytes[consumed..])? {
            consumed += taken;
            let head = self.head.response()?;
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Some(ClientOutcome { response: self.judge(head)?, consumed }));
            }
            if !head.status.is_informational() {
                let mut refusal = Refusal::new(head, Asked::WebSocket);
                refusal.push_body(&bytes[consumed..]);
                return Err(HandshakeError::Refused(Box::new(refusal)));
            }
            self.interim += 1;
            if self.interim > MAX_INTERIM_RESPONSES {
                return Err(HandshakeError::TooManyInterimResponses { limit: MAX_INTERIM_RESPONSES });
            }
            self.head.reset();
        }
        Ok(None)
    }

    /// RFC 6455 §4.1, the numbered list of what a client validates.
    fn judge(&self, head: ResponseHead) -> Result<Response, HandshakeError> {
        let ResponseHead { version, status, headers } = head;
        if version == 0 {
            return Err(HandshakeError::HttpVersion(Excerpt::new(b"HTTP/1.0")));
        }
        let name = &header::UPGRADE;
        let upgrade = exactly_one(&headers, name)?;
        // A list, even one that contains websocket, does not say what was switched to.
        if !upgrade.eq_ignore_ascii_case("websocket") {
            return Err(HandshakeError::value(name, upgrade.as_bytes(), "websocket alone"));
        }
        check_connection(&headers)?;
        let name = &header::SEC_WEBSOCKET_ACCEPT;
        let accept = exactly_one(&headers, name)?;
        if accept != self.accept {
            return Err(HandshakeError::value(name, accept.as_bytes(), "the answer to our key"));
        }
        // An announced body is ignored: a 101 has none, and what follows the head are frames (RFC 9110 §15.2).
        let subprotocol = self.chosen_subprotocol(&headers)?;
        let extensions = self.chosen_extensions(&headers)?;
        Ok(Response { status, headers, subprotocol, extensions })
    }

    fn chosen_subprotocol(&self, headers: &HeaderMap) -> Result<Option<String>, HandshakeError> {
        match at_most_one(headers, &header::SEC_WEBSOCKET_PROTOCOL)? {
            Some(chosen) if self.subprotocols.iter().any(|offered| offered == chosen) => {
                Ok(Some(chosen.to_owned()))
            }
            Some(chosen) => Err(HandshakeError::SubprotocolNotOffered(Excerpt::new(chosen.as_bytes()))),
            None => Ok(None),
        }
    }

    fn chosen_extensions(&self, headers: &HeaderMap) -> Result<Vec<Extension>, HandshakeError> {
        let name = &header::SEC_WEBSOCKET_EXTENSIONS;
        let Some(text) = at_most_one(headers, name)? else {
            return Ok(Vec::new());
        };
        let chosen = parse_extensions(text)
            .map_err(|_| HandshakeError::value(name, text.as_bytes(), super::EXTENSION_LIST))?;
        for (at, extension) in chosen.iter().enumerate() {
            if !self.extensions.contains(&extension.name) {
                return Err(HandshakeError::ExtensionNotOffered(Excerpt::new(extension.name.as_bytes())));
            }
            if chosen[..at].iter().any(|earlier| earlier.name == extension.name) {
                return Err(HandshakeError::ExtensionRepeated(Excerpt::new(extension.name.as_bytes())));
            }
        }
        Ok(chosen)
    }
}

/// A response that says no: the server speaks HTTP, but does not open a WebSocket, or the proxy opens no tunnel.
///
/// Displayed, it is one line with the status and the header that says what to do about it; of a `Location` without its query,
/// since lines find their way into logs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Why, in one number.
    pub status: StatusCode,
    /// All headers, as they came.
    pub headers: HeaderMap,
    /// The beginning of the body, [`MAX_REFUSAL_BODY`] bytes at most. Chosen by the server: escape it before it
    /// goes to a terminal.
    pub body: Vec<u8>,
    framing: Body,
    asked: Asked,
}

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A server was asked for a WebSocket.
    WebSocket,
    /// A proxy was asked for a tunnel.
    Tunnel,
}

impl Refusal {
    pub(super) fn new(head: ResponseHead, asked: Asked) -> Self {
        let ResponseHead { status, headers, .. } = head;
        let framing = match status {
            // RFC 9112 §6.3: never a body, whatever the headers say.
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Body::Length(0),
            _ => Body::of(&headers),
        };
        Self { status, headers, body: Vec::new(), framing, asked }
    }

    /// How many more bytes of the body are worth waiting for: zero when it is complete or enough of it is kept.
    ///
    /// `None` means that only the end of the connection, or of the last chunk, will tell.
    pub fn body_remaining(&self) -> Option<u64> {
        let room = MAX_REFUSAL_BODY.saturating_sub(self.body.len()) as u64;
        match self.framing.remaining() {
            Some(remaining) => Some(remaining.min(room)),
            None if room == 0 => Some(0),
            None => None,
        }
    }

    /// Takes in what follows on the connection; bytes behind the body, or too many of it, are dropped.
    pub fn push_body(&mut self, bytes: &[u8]) {
        self.framing.take(bytes, &mut self.body, MAX_REFUSAL_BODY);
    }

    /// The header that says what the client could do about this status.
    fn hint(&self) -> Option<HeaderName> {
        match self.status {
            StatusCode::UNAUTHORIZED => Some(header::WWW_AUTHENTICATE),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Some(header::PROXY_AUTHENTICATE),
            StatusCode::METHOD_NOT_ALLOWED => Some(header::ALLOW),
            StatusCode::UPGRADE_REQUIRED | StatusCode::BAD_REQUEST => Some(header::SEC_WEBSOCKET_VERSION),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some(header::RETRY_AFTER),
            status if status.is_redirection() => Some(header::LOCATION),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, expected) = match self.asked {
            Asked::WebSocket => ("server", "101 Switching Protocols"),
            Asked::Tunnel => ("proxy", "200"),
        };
        write!(f, "{who} answered {}", self.status.as_str())?;
        if let Some(reason) = self.status.canonical_reason() {
            write!(f, " {reason}")?;
        }
        write!(f, " where {expected} was expected")?;
        let Some(name) = self.hint() else { return Ok(()) };
        let values: Vec<_> = self.headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        let shown = match values[..] {
            [] => return Ok(()),
            [location, ..] if name == header::LOCATION => Excerpt::of_uri(location),
            _ => Excerpt::new(&values.join(&b", "[..])),
        };
        write!(f, ", with {name} {shown}")
    }
}
