//! The answer to a request that does not become a WebSocket.

use std::fmt;

use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, UPGRADE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use wsduo_proto::handshake::HandshakeError;

use crate::error::{Error, ErrorKind};
use crate::io::handshake::handshake_error;

/// Why a request is not accepted, and the response that tells the client.
///
/// 400, 403, 405, 426 or 505 as the client's mistake is; 503 where there is [no place](super::Sockets); 500 for one of ours, of which the client learns nothing.
#[derive(Clone)]
pub struct Refusal {
    /// Boxed: it is returned where nearly always something else is.
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    error: Error,
}

impl Refusal {
    fn new(status: StatusCode, headers: HeaderMap, body: String, error: Error) -> Self {
        Self { inner: Box::new(Inner { status, headers, body, error }) }
    }

    /// The client's request is not in order, or what we would answer is not.
    pub(crate) fn handshake(error: HandshakeError) -> Self {
        let (status, headers, body) = error.refusal_parts();
        Self::new(status, headers, body, handshake_error(error))
    }

    /// The client is told what the error says.
    pub(crate) fn told(status: StatusCode, error: Error) -> Self {
        let body = format!("{error}\n");
        Self::new(status, HeaderMap::new(), body, error)
    }

    /// There is no place at present, for this reason.
    pub(super) fn busy(why: &str) -> Self {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("10"))]);
        let body = format!("{why}; try again in 10 seconds\n");
        let error = Error::text(ErrorKind::Closed, why);
        Self::new(StatusCode::SERVICE_UNAVAILABLE, headers, body, error)
    }

    /// A mistake of ours.
    pub(crate) fn internal(error: Error) -> Self {
        let body = "internal server error\n".to_owned();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new(), body, error)
    }

    pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self::told(status, Error::text(ErrorKind::Handshake, text))
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.inner.status
    }

    /// Why: for the log of the server. What the client chose is escaped in it.
    pub fn error(&self) -> &Error {
        &self.inner.error
    }

    /// The response to send.
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let Inner { status, headers, body, .. } = *self.inner;
        let mut response = Response::new(B::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        let headers = response.headers_mut();
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
        // RFC 9110 §7.8: whoever sends Upgrade lists it in Connection.
        if headers.contains_key(UPGRADE) {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        response
    }
}

impl<B: From<String>> From<Refusal> for Response<B> {
    fn from(refusal: Refusal) -> Self {
        refusal.into_response()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.inner.error
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner.error, f)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { status, error, .. } = &*self.inner;
        f.debug_struct("Refusal").field("status", status).field("error", error).finish()
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.inner.error)
    }
}
