//! What can go wrong, as one small opaque type.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use wsduo_proto::handshake::{HandshakeError, Refusal};
use wsduo_proto::uri::UriError;
use wsduo_proto::{CloseCode, CommandError, ProtocolError, TimedOut};

/// Any failure of this crate. One word in size; cloning it copies nothing.
///
/// Its text is one line that says what was seen and what was allowed; what the peer chose is escaped in it.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The URI, a header, a certificate or another setting cannot be used.
    InvalidInput,
    /// The operation does not fit what went before, such as a message begun before the last was finished.
    Misuse,
    /// Messages have to be received before the operation can go on.
    Busy,
    /// The host name could not be resolved.
    Resolve,
    /// No connection could be made, or it was lost before it was open.
    Connect,
    /// The proxy could not be reached, or opened no tunnel to the server; see [`Error::refusal`].
    Proxy,
    /// TLS could not be agreed, or the certificate was not accepted.
    Tls,
    /// The opening handshake failed: not HTTP, a header missing or wrong, a limit passed.
    Handshake,
    /// The server answered the opening handshake with another HTTP status; see [`Error::refusal`].
    Refused,
    /// The peer broke the protocol (RFC 6455).
    Protocol,
    /// The peer's message is over a limit of ours.
    TooLarge,
    /// A timeout passed.
    TimedOut,
    /// The transport failed or ended without a closing handshake.
    Lost,
    /// Nothing more can be sent: the connection is closing or closed.
    Closed,
}

struct Inner {
    kind: ErrorKind,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error(transparent)]
    Uri(#[from] UriError),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// What a proxy did instead of opening a tunnel.
    #[error("{0}: {1}")]
    Tunnel(String, #[source] HandshakeError),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// A refusal, and why the way did not go on behind it.
    #[error("{0}; {1}")]
    Refused(Box<Refusal>, String),
    #[error("{0}")]
    Text(String),
    #[error("{0}: {1}")]
    Source(String, #[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, cause: impl Into<Cause>) -> Self {
        Self(Arc::new(Inner { kind, cause: cause.into() }))
    }

    pub(crate) fn text(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self::new(kind, Cause::Text(text.into()))
    }

    pub(crate) fn source(
        kind: ErrorKind,
        text: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::new(kind, Cause::Source(text.into(), source.into()))
    }

    pub(crate) fn lost(error: io::Error) -> Self {
        Self::source(ErrorKind::Lost, "the connection was lost", error)
    }

    pub(crate) fn ended_without_close() -> Self {
        Self::text(ErrorKind::Lost, "the peer ended the connection without a closing handshake")
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The server's answer, if it [refused](ErrorKind::Refused) the opening handshake: status, headers, the beginning
    /// of the body. Where the kind is [`Proxy`](ErrorKind::Proxy), it is the answer of an HTTP proxy that opened no tunnel.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.0.cause {
            Cause::Handshake(HandshakeError::Refused(refusal))
            | Cause::Tunnel(_, HandshakeError::Refused(refusal))
            | Cause::Refused(refusal, _) => Some(refusal),
            _ => None,
        }
    }

    /// How long the server asks to be left alone (`Retry-After`, RFC 9110 §10.2.3), if it refused and said so.
    ///
    /// A date is counted from the `Date` of the answer, so the clocks need not agree; without one, from now.
    pub fn retry_after(&self) -> Option<Duration> {
        let refusal = self.refusal()?;
        let text = |name| refusal.headers.get(name)?.to_str().ok().map(str::trim);
        let date = |name| text(name).and_then(|text| httpdate::parse_http_date(text).ok());
        let value = text(RETRY_AFTER)?;
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // More seconds than there are numbers for: for ever.
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
        }
        let from = date(DATE).unwrap_or_else(SystemTime::now);
        Some(date(RETRY_AFTER)?.duration_since(from).unwrap_or(Duration::ZERO))
    }

    /// The close code that went to the peer, or will, because of this failure.
    pub fn close_code(&self) -> Option<CloseCode> {
        match &self.0.cause {
            Cause::Protocol(error) => Some(error.close_code()),
            _ => None,
        }
    }
}

impl From<UriError> for Error {
    fn from(error: UriError) -> Self {
        Self::new(ErrorKind::InvalidInput, error)
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        let kind = if error.is_limit() { ErrorKind::TooLarge } else { ErrorKind::Protocol };
        Self::new(kind, error)
    }
}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        let kind = match error {
            CommandError::Closing => ErrorKind::Closed,
            CommandError::MessageUnfinished | CommandError::MessageTypeChanged => ErrorKind::Misuse,
            _ => ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

impl From<TimedOut> for Error {
    fn from(error: TimedOut) -> Self {
        Self::new(ErrorKind::TimedOut, error)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::Misuse => io::ErrorKind::InvalidInput,
            ErrorKind::Protocol | ErrorKind::TooLarge | ErrorKind::Handshake => io::ErrorKind::InvalidData,
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::Lost => io::ErrorKind::ConnectionReset,
            ErrorKind::Closed => io::ErrorKind::BrokenPipe,
            ErrorKind::Refused => io::ErrorKind::ConnectionRefused,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.cause, f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("kind", &self.0.kind).field("cause", &self.0.cause).finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.source()
    }
}
