//! How the command can end, and the exit code of each way.

use std::fmt;
use std::io;

use wsduo::{CloseCode, Closed, Error, ErrorKind};

/// Why the command did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the input cannot be used.
    Usage(String),
    /// No connection came about.
    Connecting(Error),
    /// No address to listen on: what was asked for, and why not.
    Listening(String, Error),
    /// None of our pings was answered.
    NoPong,
    /// An open connection failed.
    Open(Error),
    /// The connection was closed, but not well.
    Closed(Closed),
    /// A message from the peer is over our limit.
    TooLarge { len: usize, max: usize },
    /// What came is not what had to come.
    Check(String),
    /// The peer does not keep to the subprotocol.
    Protocol(String),
    /// Reading or writing on this side failed: what, and why.
    Io(&'static str, io::Error),
    /// The same, of something with a name.
    System(String, io::Error),
    /// Whoever read our output has stopped: nobody is left to tell.
    BrokenPipe,
    /// A signal, by its number.
    Signal(u8),
    /// What has been told already.
    Reported(Box<Failure>),
}

impl Failure {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Connecting(error) => match error.kind() {
                // Nothing is open yet that could be lost: what ran out is the time to connect.
                ErrorKind::TimedOut => 4,
                kind => code_of(kind),
            },
            Self::Listening(_, error) => code_of(error.kind()),
            Self::NoPong => 4,
            Self::Open(error) => code_of(error.kind()),
            Self::TooLarge { .. } | Self::Protocol(_) => 7,
            Self::Closed(_) => 8,
            Self::Check(_) => 9,
            Self::Io(..) | Self::System(..) => 1,
            Self::BrokenPipe => 0,
            Self::Signal(number) => 128 + number,
            Self::Reported(failure) => failure.code(),
        }
    }

    /// One word for scripts.
    pub(crate) fn kind(&self) -> &'static str {
        match self.code() {
            2 => "usage",
            3 => "resolve",
            4 => "connect",
            5 => "tls",
            6 => "http",
            7 => "protocol",
            8 => "closed",
            9 => "check",
            _ => "other",
        }
    }

    /// Whether there is anything to say about it.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self, Self::BrokenPipe | Self::Signal(_) | Self::Reported(_))
    }

    /// What the peer is told by our close frame.
    pub(crate) fn close_code(&self) -> CloseCode {
        match self {
            Self::BrokenPipe => CloseCode::NORMAL,
            Self::TooLarge { .. } => CloseCode::TOO_BIG,
            _ => CloseCode::GOING_AWAY,
        }
    }
}

fn code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidInput => 2,
        ErrorKind::Resolve => 3,
        ErrorKind::Connect | ErrorKind::Listen | ErrorKind::Proxy => 4,
        ErrorKind::Tls | ErrorKind::CertificateRejected => 5,
        ErrorKind::Refused => 6,
        ErrorKind::Handshake | ErrorKind::Protocol | ErrorKind::TooLarge => 7,
        ErrorKind::TimedOut | ErrorKind::Lost | ErrorKind::Closed => 8,
        _ => 1,
    }
}

/// Judges how a connection ended.
///
/// # Errors
/// If it was not closed cleanly, or with a code that tells of an error. A close frame without a code is as good as 1000.
pub(crate) fn judge(closed: Closed) -> Result<Closed, Failure> {
    let well = [CloseCode::NORMAL, CloseCode::GOING_AWAY, CloseCode::NO_STATUS].contains(&closed.code);
    if well && closed.clean { Ok(closed) } else { Err(Failure::Closed(closed)) }
}

impl From<io::Error> for Failure {
    /// An error of standard output.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Io("cannot write the output", error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Check(text) | Self::Protocol(text) => f.write_str(text),
            Self::Connecting(error) | Self::Open(error) => {
                write!(f, "{error}")?;
                match error.refusal().map(|refusal| String::from_utf8_lossy(&refusal.body)) {
                    Some(body) if !body.trim().is_empty() => write!(f, ": {}", beginning(body.trim())),
                    _ => Ok(()),
                }
            }
            Self::Listening(place, error) => write!(f, "{place}: {error}"),
            Self::NoPong => f.write_str("no ping was answered"),
            Self::Closed(closed) => write!(f, "{closed}"),
            Self::TooLarge { len, max } => {
                write!(f, "a message reaches {len} bytes; the limit is {max}, see --max-message")
            }
            Self::Io(what, error) => write!(f, "{what}: {error}"),
            Self::System(what, error) => write!(f, "{what}: {error}"),
            Self::BrokenPipe => f.write_str("nobody reads the output"),
            Self::Signal(number) => write!(f, "ended by signal {number}"),
            Self::Reported(failure) => write!(f, "{failure}"),
        }
    }
}

/// The beginning of a text that the peer chose, on one line and without control characters.
pub(crate) fn beginning(text: &str) -> String {
    const SHOWN: usize = 200;
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(at, _)| at);
    let cut = if end < text.len() { "…" } else { "" };
    format!("\"{}{cut}\"", text[..end].escape_debug())
}

#[cfg(test)]
mod tests {
    use wsduo::Initiator;

    use super::*;

    fn closed(code: u16, clean: bool) -> Closed {
        Closed { code: CloseCode::new(code), reason: String::new(), initiator: Initiator::Peer, clean }
    }

    #[test]
    fn only_a_clean_close_without_an_error_code_is_well() {
        for code in [1000, 1001, 1005] {
            assert!(judge(closed(code, true)).is_ok(), "{code}");
        }
        for (code, clean) in [(1000, false), (1006, false), (1002, true), (1011, true), (4000, true)] {
            assert_eq!(judge(closed(code, clean)).map_err(|failure| failure.code()), Err(8), "{code}");
        }
    }

    #[test]
    fn a_broken_pipe_is_not_a_failure() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).code(), 0);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).code(), 1);
    }
}
