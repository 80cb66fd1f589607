//! What can go wrong, as one small opaque type.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use wsduo_proto::handshake::{HandshakeError, Refusal};
use wsduo_proto::uri::UriError;
use wsduo_proto::{CloseCode, CommandError, ProtocolError, TimedOut};

use crate::certificate::CertificateError;
use crate::status::{Failure, HResult, WebErrorStatus};

/// Any failure of this crate. One word in size; cloning it copies nothing.
///
/// Its text is one line that says all there is to say: what was seen, what was allowed, what to do. What the peer chose is
/// escaped in it. [`source`](std::error::Error::source) gives the error of the system or of a library where there is one whose
/// own words are not in that line: nothing is told twice by printing the whole chain, and nothing is missed by not doing so.
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
    /// TLS could not be agreed, or the certificate of the server is not good: see [`Error::certificate_errors`].
    Tls,
    /// The certificate of the server was rejected by a pin or a validation that the settings of TLS ask for.
    CertificateRejected,
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
    /// The address could not be listened on.
    Listen,
}

struct Inner {
    kind: ErrorKind,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(feature = "__tls"), allow(dead_code, reason = "some causes are of TLS alone"))]
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
    #[error("{refusal}; {why}")]
    Refused {
        refusal: Box<Refusal>,
        why: String,
        /// What that is for Windows, where it is not the status.
        failure: Option<Failure>,
    },
    #[error("{0}")]
    Text(String),
    /// The peer ended the transport without a word.
    #[error("{0}")]
    Ended(String),
    /// What another error says is in the line, so that it is not the source: what is behind it is.
    #[error("{0}: {1}")]
    Told(String, Box<dyn std::error::Error + Send + Sync>),
    /// What the other error says is in the line in other words.
    #[error("{0}")]
    Source(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{text}: {}", in_words(.error))]
    Io { text: String, error: io::Error },
    #[error("{0}")]
    Certificate(BadCertificate),
}

/// Why the certificate of a server was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
#[cfg_attr(not(feature = "__tls"), allow(dead_code))]
pub(crate) struct BadCertificate {
    pub(crate) text: String,
    /// All that was found, the worst first, and what of it was to be ignored.
    pub(crate) errors: Vec<CertificateError>,
    /// Of those the first that was not to be ignored; `None` if it was rejected for another reason.
    pub(crate) decisive: Option<CertificateError>,
    /// What the server showed, in DER form, its own first.
    pub(crate) certificates: Vec<Vec<u8>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, cause: impl Into<Cause>) -> Self {
        Self(Arc::new(Inner { kind, cause: cause.into() }))
    }

    pub(crate) fn text(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self::new(kind, Cause::Text(text.into()))
    }

    /// An error because of another one, which is told behind a colon.
    pub(crate) fn source(
        kind: ErrorKind,
        text: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let text = text.into();
        match source.into().downcast::<io::Error>() {
            Ok(error) => Self::new(kind, Cause::Io { text, error: *error }),
            Err(other) => Self::new(kind, Cause::Told(text, other)),
        }
    }

    /// An error because of another one, of which `text` says all.
    #[cfg_attr(not(feature = "__tls"), allow(dead_code))]
    pub(crate) fn because_of(
        kind: ErrorKind,
        text: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::new(kind, Cause::Source(text.into(), source.into()))
    }

    /// The peer ended the transport without a word.
    pub(crate) fn ended(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self::new(kind, Cause::Ended(text.into()))
    }

    pub(crate) fn lost(error: io::Error) -> Self {
        Self::source(ErrorKind::Lost, "the connection was lost", error)
    }

    pub(crate) fn ended_without_close() -> Self {
        Self::ended(ErrorKind::Lost, "the peer ended the connection without a closing handshake")
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
            | Cause::Refused { refusal, .. } => Some(refusal),
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

    /// All that is wrong with the certificate of the server, if that is what failed, the worst first. Where the kind is
    /// [`Proxy`](ErrorKind::Proxy), it is the certificate of the proxy.
    ///
    /// What was to be ignored is among it. Empty if another thing failed.
    pub fn certificate_errors(&self) -> &[CertificateError] {
        match &self.0.cause {
            Cause::Certificate(bad) => &bad.errors,
            _ => self.behind().map_or(&[], Self::certificate_errors),
        }
    }

    /// The certificates that the server showed, in DER form, its own first, if they are what failed.
    ///
    /// Nothing vouches for them: they are to be shown to people, not to be relied on. Empty if another thing failed.
    pub fn certificates(&self) -> &[Vec<u8>] {
        match &self.0.cause {
            Cause::Certificate(bad) => &bad.certificates,
            _ => &[],
        }
    }

    /// What Windows would call it: a view that keeps less than this error does.
    pub fn web_error_status(&self) -> WebErrorStatus {
        self.failure().in_windows().0
    }

    /// The number that Windows would give it, for those who port programs from there.
    pub fn hresult(&self) -> HResult {
        self.failure().in_windows().1
    }

    /// The error of ours that this one tells of, such as what happened on the way to a proxy.
    fn behind(&self) -> Option<&Self> {
        match &self.0.cause {
            Cause::Told(_, error) => error.downcast_ref(),
            _ => None,
        }
    }

    fn failure(&self) -> Failure {
        let by_kind = match self.0.kind {
            ErrorKind::InvalidInput => Failure::InvalidInput,
            ErrorKind::Misuse | ErrorKind::Busy => Failure::Misuse,
            ErrorKind::Resolve => Failure::NameNotResolved,
            ErrorKind::Connect | ErrorKind::Proxy => Failure::CannotConnect,
            ErrorKind::Tls => Failure::Tls,
            ErrorKind::CertificateRejected => Failure::Rejected,
            ErrorKind::Handshake => Failure::InvalidResponse,
            ErrorKind::Refused => Failure::OtherStatus,
            ErrorKind::Protocol | ErrorKind::TooLarge => Failure::Protocol,
            ErrorKind::TimedOut => Failure::TimedOut,
            ErrorKind::Lost => Failure::Aborted,
            ErrorKind::Closed => Failure::Closed,
            ErrorKind::Listen => Failure::CannotListen,
        };
        match (&self.0.cause, self.0.kind) {
            (
                Cause::Handshake(HandshakeError::Refused(refusal))
                | Cause::Tunnel(_, HandshakeError::Refused(refusal))
                | Cause::Refused { refusal, failure: None, .. },
                _,
            ) => Failure::Http(refusal.status.as_u16()),
            (Cause::Refused { failure: Some(failure), .. }, _) => *failure,
            (Cause::Tunnel(..), _) => Failure::InvalidResponse,
            (Cause::Certificate(bad), _) => bad.decisive.map_or(Failure::Rejected, Failure::from),
            (Cause::Ended(_), _) => Failure::Aborted,
            (
                Cause::Io { error, .. },
                ErrorKind::Connect | ErrorKind::Proxy | ErrorKind::Tls | ErrorKind::Lost,
            ) => of_io(error.kind()).unwrap_or(by_kind),
            (Cause::Told(..), _) => self.behind().map_or(by_kind, Self::failure),
            #[cfg(feature = "__tls")]
            (Cause::Source(_, error), ErrorKind::Tls) if crate::tls::wants_certificate(&**error) => {
                Failure::ClientCertificateNeeded
            }
            _ => by_kind,
        }
    }
}

/// What an error of the system means, where it means something of its own.
fn of_io(kind: io::ErrorKind) -> Option<Failure> {
    Some(match kind {
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Failure::Unreachable,
        io::ErrorKind::NetworkDown => Failure::NetworkDown,
        io::ErrorKind::ConnectionReset => Failure::Reset,
        io::ErrorKind::TimedOut => Failure::TimedOut,
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::WriteZero => Failure::Aborted,
        _ => return None,
    })
}

/// What an error of the system says, in the same words on every system where there are words for it.
fn in_words(error: &io::Error) -> String {
    let words = match error.kind() {
        // TLS adds a text of its own here, which explains TLS.
        io::ErrorKind::UnexpectedEof => "the peer ended it",
        // Whoever made it knows more than its kind says.
        _ if error.get_ref().is_some() => return error.to_string(),
        io::ErrorKind::ConnectionRefused => "it was refused; is the server running, and is the port right?",
        io::ErrorKind::ConnectionReset => "the peer reset it",
        io::ErrorKind::ConnectionAborted => "it was aborted",
        io::ErrorKind::BrokenPipe | io::ErrorKind::WriteZero => "the peer takes nothing any more",
        io::ErrorKind::TimedOut => "the peer did not answer in time",
        io::ErrorKind::NetworkUnreachable => {
            "there is no route to its network; check the network of this machine"
        }
        io::ErrorKind::HostUnreachable => "there is no route to the host; check its address",
        io::ErrorKind::NetworkDown => "the network is down; check the network of this machine",
        io::ErrorKind::AddrInUse => "the address is in use; stop the other program or choose another port",
        io::ErrorKind::AddrNotAvailable => {
            "the address is not one of this machine, or all its ports are taken"
        }
        io::ErrorKind::PermissionDenied => "the system does not permit it",
        _ => return error.to_string(),
    };
    words.to_owned()
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
        match &self.0.cause {
            Cause::Told(_, error) => error.source(),
            Cause::Io { error, .. } if in_words(error) == error.to_string() => error.source(),
            Cause::Io { error, .. } => Some(error),
            cause => cause.source(),
        }
    }
}
