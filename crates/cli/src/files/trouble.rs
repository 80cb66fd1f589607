//! Why a transfer failed, what the other end is told of it, and how the command ends.

use std::fmt;
use std::io;

use wsduo::{CloseCode, Closed, Error};

use super::protocol::{Code, Control};
use crate::exit::{self, Failure};

/// Why a transfer failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The other end said so.
    Told(Code, String),
    /// We do not want to go on.
    Refused(Code, String),
    /// The system did not let us: what, and why.
    System(String, io::Error),
    /// The other end broke the protocol.
    Broken(String),
    /// The connection failed.
    Lost(Error),
    /// The connection was closed before the end.
    Closed(Closed),
}

impl Trouble {
    /// What the other end is told, if there is anything to tell that it does not know.
    pub(crate) fn to_tell(&self) -> Option<Control> {
        let code = match self {
            Self::Refused(code, _) => *code,
            Self::System(_, error) => Code::of(error),
            Self::Broken(_) => Code::Protocol,
            Self::Told(..) | Self::Lost(_) | Self::Closed(_) => return None,
        };
        Some(Control::Error { code, message: self.to_string() })
    }

    /// Whether the connection is of no use any more, wherever in a transfer this happened.
    pub(crate) fn ends_connection(&self) -> bool {
        matches!(self, Self::Told(Code::Protocol, _) | Self::Broken(_) | Self::Lost(_) | Self::Closed(_))
    }

    /// How the connection is closed because of it.
    pub(crate) fn close_code(&self) -> CloseCode {
        match self {
            Self::System(..) => CloseCode::INTERNAL_ERROR,
            Self::Refused(code, _) if code.is_own_trouble() => CloseCode::INTERNAL_ERROR,
            Self::Told(..) => CloseCode::NORMAL,
            _ => CloseCode::POLICY_VIOLATION,
        }
    }

    /// A failure of the system in doing this.
    pub(crate) fn system(what: fmt::Arguments<'_>) -> impl FnOnce(io::Error) -> Self + use<> {
        let what = what.to_string();
        move |error| Self::System(what, error)
    }

    /// A message that is not allowed where it came.
    pub(crate) fn unexpected(what: &str, wanted: &str) -> Self {
        Self::Broken(format!("the other end sent {what} where {wanted} was expected"))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(code, message) if message.is_empty() => write!(f, "the other end says: {code:?}"),
            Self::Told(_, message) => write!(f, "the other end says: {}", exit::beginning(message)),
            Self::Refused(_, text) | Self::Broken(text) => f.write_str(text),
            Self::System(what, error) => write!(f, "{what}: {error}"),
            Self::Lost(error) => write!(f, "{error}"),
            Self::Closed(closed) => write!(f, "the connection was closed in between: {closed}"),
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Told(..) | Trouble::Refused(..) => Self::Check(trouble.to_string()),
            // Only a pipe can be broken, and whoever has read enough of it is right to go.
            Trouble::System(_, error) if error.kind() == io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            Trouble::System(what, error) => Self::System(what, error),
            Trouble::Broken(text) => Self::Protocol(text),
            Trouble::Lost(error) => Self::Open(error),
            Trouble::Closed(closed) => Self::Closed(closed),
        }
    }
}
