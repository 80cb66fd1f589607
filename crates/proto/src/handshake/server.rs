//! The server's side: the judgement of the request, and the answers to it (RFC 6455 §4.2).

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri, Version};

use super::error::{Excerpt, HandshakeError, HeaderProblem};
use super::head::{Head, HeadKind, HeadLimits, RequestHead};
use super::headers::{Extension, parse_extensions, parse_products, parse_tokens};
use super::{
    EXTENSION_LIST, VERSION, at_most_one, check_connection, exactly_one, is_reserved, key, list, push_header,
    push_own_headers,
};
use crate::uri::{Authority, default_port};

/// Bytes that a response of 101 seldom exceeds.
const USUAL_RESPONSE: usize = 256;

/// A handshake whose request is awaited.
///
/// ```
/// use wsduo_proto::handshake::{HeadLimits, ServerHandshake};
///
/// let mut handshake = ServerHandshake::new(HeadLimits::default());
/// let bytes = b"GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// let answer = match handshake.receive(bytes) {
///     Ok(Some(outcome)) => outcome.request.accept(None, None, &http::HeaderMap::new())?,
///     Ok(None) => unreachable!("the request is complete"),
///     Err(error) => error.refusal(),
/// };
/// assert!(answer.starts_with(b"HTTP/1.1 101 "));
/// # Ok::<(), wsduo_proto::handshake::HandshakeError>(())
/// ```
#[derive(Debug)]
pub struct ServerHandshake {
    head: Head,
    /// Whether the outcome, good or bad, has been handed out.
    finished: bool,
}

/// The client asks properly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOutcome {
    /// What it asks for.
    pub request: Request,
    /// How many of the bytes last received belong to the handshake; the rest are frames.
    pub consumed: usize,
}

/// A request to open a WebSocket, valid in every point of RFC 6455 §4.2.1.
///
/// Whether it is *welcome* is for the application: look at [`target`](Self::target) and
/// [`origin`](Self::origin) before accepting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Path and query; begins with `/` and is visible ASCII.
    pub target: String,
    /// All headers, as they came.
    pub headers: HeaderMap,
    /// The `Host` header: a name or address, with a port unless it is the default one.
    pub host: String,
    /// Subprotocols offered, the client's favourite first. Tokens, none twice.
    pub subprotocols: Vec<String>,
    /// Extensions offered, the client's favourite first.
    pub extensions: Vec<Extension>,
    /// `Sec-WebSocket-Key`, the base64 form of sixteen bytes.
    key: String,
}

impl ServerHandshake {
    /// Waits for a request within `limits`.
    pub fn new(limits: HeadLimits) -> Self {
        Self { head: Head::new(HeadKind::Request, limits), finished: false }
    }

    /// Takes in bytes of the request, in pieces of any size. `None` means that more are needed.
    ///
    /// # Errors
    /// What the client did wrong; send it [`HandshakeError::refusal`] and close the connection.
    /// After an error, as after the outcome, nothing more may be received.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<ServerOutcome>, HandshakeError> {
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

    fn advance(&mut self, bytes: &[u8]) -> Result<Option<ServerOutcome>, HandshakeError> {
        let Some(consumed) = self.head.receive(bytes)? else {
            return Ok(None);
        };
        let request = Request::judge(self.head.request()?)?;
        Ok(Some(ServerOutcome { request, consumed }))
    }
}

impl Request {
    /// The `Origin` header: which page a browser's request comes from (RFC 6455 §10.2).
    ///
    /// Browsers always send it and let any page connect anywhere, cookies included, so a server that relies on
    /// cookies must compare it. Other clients seldom send one, or whatever they like.
    pub fn origin(&self) -> Option<&str> {
        self.headers.get(header::ORIGIN)?.to_str().ok()
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The target behind its first `?`.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Judges a request that another HTTP server has parsed, by the same rules as one that came in bytes.
    ///
    /// # Errors
    /// What the client did wrong; answer with the parts of [`HandshakeError::refusal_parts`].
    pub fn from_head(
        method: &Method,
        uri: &Uri,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Self, HandshakeError> {
        if version != Version::HTTP_10 && version != Version::HTTP_11 {
            return Err(HandshakeError::HttpVersion(Excerpt::new(format!("{version:?}").as_bytes())));
        }
        let target = uri.to_string();
        let version = u8::from(version == Version::HTTP_11);
        Self::judge(RequestHead {
            method: method.as_str(),
            target: &target,
            version,
            headers: headers.clone(),
        })
    }

    /// Writes the response that opens the connection: frames may follow it at once.
    ///
    /// `extensions` is the value of `Sec-WebSocket-Extensions`, verbatim.
    ///
    /// # Errors
    /// Only for the caller's mistakes: a subprotocol or extension that was not offered, extensions that do not
    /// follow their grammar or are there twice, a header that belongs to the handshake.
    pub fn accept(
        &self,
        subprotocol: Option<&str>,
        extensions: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Vec<u8>, HandshakeError> {
        self.check_chosen(subprotocol, extensions)?;
        let mut out = Vec::with_capacity(USUAL_RESPONSE);
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in self.answer(subprotocol, extensions) {
            push_header(&mut out, name, value.as_bytes());
        }
        push_own_headers(&mut out, headers)?;
        out.extend_from_slice(b"\r\n");
        Ok(out)
    }

    /// The headers of the response that [`accept`](Self::accept) would write, for another HTTP server to send with the
    /// status 101.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn accept_headers(
        &self,
        subprotocol: Option<&str>,
        extensions: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<HeaderMap, HandshakeError> {
        self.check_chosen(subprotocol, extensions)?;
        if let Some(name) = headers.keys().find(|name| is_reserved(name)) {
            return Err(HandshakeError::ReservedHeader(name.clone()));
        }
        let mut all = headers.clone();
        for (name, value) in self.answer(subprotocol, extensions) {
            // Both were checked above, and the rest is ours.
            let malformed = || HandshakeError::InvalidExtensions(Excerpt::new(value.as_bytes()));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed())?;
            all.insert(name, HeaderValue::from_str(&value).map_err(|_| malformed())?);
        }
        Ok(all)
    }

    /// The handshake's own headers.
    fn answer<'a>(
        &self,
        subprotocol: Option<&'a str>,
        extensions: Option<&'a str>,
    ) -> impl Iterator<Item = (&'static str, Cow<'a, str>)> + use<'a> {
        let always = [
            ("Upgrade", Cow::Borrowed("websocket")),
            ("Connection", Cow::Borrowed("Upgrade")),
            ("Sec-WebSocket-Accept", Cow::Owned(key::accept(&self.key))),
        ];
        let subprotocol = subprotocol.map(|chosen| ("Sec-WebSocket-Protocol", Cow::Borrowed(chosen)));
        let extensions = extensions.map(|chosen| ("Sec-WebSocket-Extensions", Cow::Borrowed(chosen)));
        always.into_iter().chain(subprotocol).chain(extensions)
    }

    fn check_chosen(
        &self,
        subprotocol: Option<&str>,
        extensions: Option<&str>,
    ) -> Result<(), HandshakeError> {
        if let Some(chosen) = subprotocol
            && !self.subprotocols.iter().any(|offered| offered == chosen)
        {
            return Err(HandshakeError::SubprotocolNotInRequest(Excerpt::new(chosen.as_bytes())));
        }
        extensions.map_or(Ok(()), |chosen| self.check_chosen_extensions(chosen))
    }

    fn check_chosen_extensions(&self, text: &str) -> Result<(), HandshakeError> {
        let chosen = match parse_extensions(text) {
            Ok(chosen) if !chosen.is_empty() => chosen,
            _ => return Err(HandshakeError::InvalidExtensions(Excerpt::new(text.as_bytes()))),
        };
        for (at, extension) in chosen.iter().enumerate() {
            let same_name = |other: &Extension| other.name == extension.name;
            if !self.extensions.iter().any(same_name) {
                return Err(HandshakeError::ExtensionNotInRequest(Excerpt::new(extension.name.as_bytes())));
            }
            // A client may offer an extension several times with different parameters; one of them is chosen.
            if chosen[..at].iter().any(same_name) {
                return Err(HandshakeError::RepeatedExtension(Excerpt::new(extension.name.as_bytes())));
            }
        }
        Ok(())
    }

    /// RFC 6455 §4.2.1, in an order that gives a plain HTTP client the most useful answer.
    fn judge(head: RequestHead<'_>) -> Result<Self, HandshakeError> {
        let RequestHead { method, target, version, headers } = head;
        if version == 0 {
            return Err(HandshakeError::HttpVersion(Excerpt::new(b"HTTP/1.0")));
        }
        if method != Method::GET.as_str() {
            return Err(HandshakeError::Method(Excerpt::new(method.as_bytes())));
        }
        check_no_body(&headers)?;
        let host = exactly_one(&headers, &header::HOST)?.to_owned();
        let target = origin_form(target, &host)?;
        check_upgrade(&headers)?;
        check_connection(&headers)?;
        let name = &header::SEC_WEBSOCKET_VERSION;
        let version = exactly_one(&headers, name)?;
        if version != VERSION {
            return Err(HandshakeError::value(name, version.as_bytes(), VERSION));
        }
        let name = &header::SEC_WEBSOCKET_KEY;
        let key = exactly_one(&headers, name)?.to_owned();
        if !key::is_valid(&key) {
            return Err(HandshakeError::value(name, key.as_bytes(), "16 bytes in base64"));
        }
        // Two origins would let a check look at one while something else trusts the other.
        at_most_one(&headers, &header::ORIGIN)?;
        let subprotocols = offered_subprotocols(&headers)?;
        let extensions = offered_extensions(&headers)?;
        Ok(Self { target, headers, host, subprotocols, extensions, key })
    }
}

/// Writes a complete HTTP response that refuses the handshake; close the connection after it.
///
/// `headers` may replace `Content-Type`, which is plain text otherwise. Headers that decide where the response
/// ends, or who owns the connection, are left out. A 1xx status would leave the client waiting, or make it believe
/// that it may send frames, so 500 is sent instead.
pub fn refusal(status: StatusCode, headers: &HeaderMap, body: &str) -> Vec<u8> {
    let status = if status.is_informational() { StatusCode::INTERNAL_SERVER_ERROR } else { status };
    let reason = status.canonical_reason().unwrap_or_default();
    let mut out = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    // RFC 9110 §7.8: whoever sends Upgrade lists it in Connection.
    let upgrade = headers.contains_key(header::UPGRADE);
    push_header(&mut out, "Connection", if upgrade { b"close, upgrade" } else { b"close" });
    // RFC 9110 §8.6: no body, and so no length, with these.
    let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    // RFC 9110 §15.3.6: no body with this either, but a length.
    let body = if status == StatusCode::RESET_CONTENT { "" } else { body };
    if !bodiless {
        push_header(&mut out, "Content-Length", body.len().to_string().as_bytes());
        if !headers.contains_key(header::CONTENT_TYPE) {
            push_header(&mut out, "Content-Type", b"text/plain; charset=utf-8");
        }
    }
    for (name, value) in headers {
        if [header::UPGRADE, header::SEC_WEBSOCKET_VERSION].contains(name) || !is_reserved(name) {
            push_header(&mut out, name.as_str(), value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
    if !bodiless {
        out.extend_from_slice(body.as_bytes());
    }
    out
}

/// A body would be read as frames here and as a body by a proxy in front of us: the stuff of request smuggling.
fn check_no_body(headers: &HeaderMap) -> Result<(), HandshakeError> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(HandshakeError::Body(header::TRANSFER_ENCODING));
    }
    match at_most_one(headers, &header::CONTENT_LENGTH)? {
        None | Some("0") => Ok(()),
        Some(_) => Err(HandshakeError::Body(header::CONTENT_LENGTH)),
    }
}

/// `Upgrade` must list `websocket`; others beside it, such as `h2c`, are not what we switch to.
fn check_upgrade(headers: &HeaderMap) -> Result<(), HandshakeError> {
    const EXPECTED: &str = "websocket";
    let name = &header::UPGRADE;
    let protocols = list(headers, name, parse_products, EXPECTED)?
        .ok_or_else(|| HandshakeError::header(name, HeaderProblem::Missing))?;
    if protocols.iter().any(|protocol| protocol.eq_ignore_ascii_case(EXPECTED)) {
        return Ok(());
    }
    Err(HandshakeError::value(name, protocols.join(", ").as_bytes(), EXPECTED))
}

fn offered_subprotocols(headers: &HeaderMap) -> Result<Vec<String>, HandshakeError> {
    const EXPECTED: &str = "a list of tokens, each once";
    let name = &header::SEC_WEBSOCKET_PROTOCOL;
    let Some(offered) = list(headers, name, parse_tokens, EXPECTED)? else {
        return Ok(Vec::new());
    };
    let mut sorted = offered.clone();
    sorted.sort_unstable();
    // RFC 6455 §4.1: at least one, and all of them unique.
    if offered.is_empty() || sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(HandshakeError::value(name, offered.join(", ").as_bytes(), EXPECTED));
    }
    Ok(offered.into_iter().map(str::to_owned).collect())
}

fn offered_extensions(headers: &HeaderMap) -> Result<Vec<Extension>, HandshakeError> {
    let name = &header::SEC_WEBSOCKET_EXTENSIONS;
    match list(headers, name, parse_extensions, EXTENSION_LIST)? {
        Some(offered) if offered.is_empty() => Err(HandshakeError::value(name, b"", EXTENSION_LIST)),
        offered => Ok(offered.unwrap_or_default()),
    }
}

/// Checks target and host, and reduces an absolute target to its path and query (RFC 6455 §4.2.1, item 1).
fn origin_form(target: &str, host: &str) -> Result<String, HandshakeError> {
    let refused = || HandshakeError::Target(Excerpt::of_uri(target.as_bytes()));
    let host_refused = |expected| HandshakeError::value(&header::HOST, host.as_bytes(), expected);
    let host_authority =
        Authority::parse(host).map_err(|_| host_refused("a name or address, with or without a port"))?;
    // A fragment is not part of a target, and programs differ on what to do with one.
    if !target.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Err(refused());
    }
    if target.starts_with('/') {
        return Ok(target.to_owned());
    }
    let (scheme, rest) = target.split_once("://").ok_or_else(refused)?;
    let port = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => default_port(false),
        "https" | "wss" => default_port(true),
        _ => return Err(refused()),
    };
    let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let authority = Authority::parse(authority).map_err(|_| refused())?;
    // Were they to differ, we and a proxy might disagree on which site is meant.
    let same_port = authority.port.unwrap_or(port) == host_authority.port.unwrap_or(port);
    if authority.host != host_authority.host || !same_port {
        return Err(host_refused("the host of the request target"));
    }
    Ok(if resource.starts_with('/') { resource.to_owned() } else { format!("/{resource}") })
}
