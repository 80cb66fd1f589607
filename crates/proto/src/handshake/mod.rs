//! The opening handshake (RFC 6455 §4), both sides, without I/O.
//!
//! ```text
//! client                                      server
//! ClientHandshake::new ── request bytes ────▶ ServerHandshake::receive ──▶ Request
//! ClientHandshake::receive ◀─ response bytes ─ Request::accept  or  refusal
//! ```
//!
//! Bytes may arrive in pieces of any size: each is looked at once, and what is kept is bounded by
//! [`HeadLimits`]. Both `receive` functions say how many of the bytes they were given belong to the handshake;
//! the rest are the first frames. Deadlines are for the I/O layer, and so is the nonce, which must come from
//! an unpredictable source.
//!
//! | module | knows |
//! | --- | --- |
//! | [`client`] | the request to send, and how the response is judged |
//! | [`server`] | how the request is judged, and the answers to send |
//! | `head` | where a head ends, and its limits |
//! | `body` | how long the body of a refusal is |
//! | [`tunnel`] | how a proxy is asked for a way to the server, before all that |
//! | [`headers`] | the grammar of header values |
//! | [`deflate`] | the negotiation of permessage-deflate |
//! | [`key`] | `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` |

mod body;
pub mod client;
pub mod deflate;
mod error;
mod head;
pub mod headers;
pub mod key;
pub mod server;
pub mod tunnel;

pub use client::{ClientHandshake, ClientOutcome, ClientRequest, Refusal, Response};
pub use deflate::{DeflateAgreement, DeflateProblem, DeflateSettings};
pub use error::{Excerpt, Fault, ForeignProtocol, HandshakeError, HeaderProblem};
pub use head::HeadLimits;
pub use headers::Extension;
pub use server::{Request, ServerHandshake, ServerOutcome, refusal};
pub use tunnel::TunnelHandshake;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The only version of the protocol there is (RFC 6455 §4.1).
const VERSION: &str = "13";

/// What `Sec-WebSocket-Extensions` must be (RFC 6455 §9.1).
const EXTENSION_LIST: &str = "a list of the form name; param=value";

/// Appends one header line.
fn push_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Appends the caller's headers, unless one of them is ours to write.
fn push_own_headers(out: &mut Vec<u8>, headers: &HeaderMap) -> Result<(), HandshakeError> {
    for (name, value) in headers {
        if is_reserved(name) {
            return Err(HandshakeError::ReservedHeader(name.clone()));
        }
        push_header(out, name.as_str(), value.as_bytes());
    }
    Ok(())
}

/// Whether the handshake itself writes this header, or its presence would change where the head ends.
fn is_reserved(name: &HeaderName) -> bool {
    [header::HOST, header::UPGRADE, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING]
        .contains(name)
        || name.as_str().starts_with("sec-websocket-")
}

/// The value of a header that may appear once at most, as text.
fn at_most_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, HandshakeError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => text(name, value).map(Some),
        (Some(_), Some(_)) => Err(HandshakeError::header(name, HeaderProblem::Repeated)),
    }
}

/// The value of a header that must appear exactly once, as text.
fn exactly_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, HandshakeError> {
    at_most_one(headers, name)?.ok_or_else(|| HandshakeError::header(name, HeaderProblem::Missing))
}

/// The elements of a list that may be spread over several headers of the same name (RFC 9110 §5.3).
/// `None` if there is no such header.
fn list<'a, T>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    parse: impl Fn(&'a str) -> Result<Vec<T>, headers::Malformed>,
    expected: &'static str,
) -> Result<Option<Vec<T>>, HandshakeError> {
    let mut elements = None::<Vec<T>>;
    for value in headers.get_all(name) {
        let parsed =
            parse(text(name, value)?).map_err(|_| HandshakeError::value(name, value.as_bytes(), expected))?;
        match &mut elements {
            None => elements = Some(parsed),
            Some(elements) => elements.extend(parsed),
        }
    }
    Ok(elements)
}

fn text<'a>(name: &HeaderName, value: &'a HeaderValue) -> Result<&'a str, HandshakeError> {
    value.to_str().map_err(|_| HandshakeError::value(name, value.as_bytes(), "ASCII text"))
}

/// RFC 6455 §4.1 and §4.2.1: the `Connection` headers must list `upgrade`, in any case, among others or not.
fn check_connection(headers: &HeaderMap) -> Result<(), HandshakeError> {
    const EXPECTED: &str = "a list of tokens that contains upgrade";
    let name = &header::CONNECTION;
    let options = list(headers, name, headers::parse_tokens, EXPECTED)?
        .ok_or_else(|| HandshakeError::header(name, HeaderProblem::Missing))?;
    if options.iter().any(|option| option.eq_ignore_ascii_case("upgrade")) {
        return Ok(());
    }
    Err(HandshakeError::value(name, options.join(", ").as_bytes(), EXPECTED))
}
