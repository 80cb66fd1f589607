//! Close codes and close reasons: RFC 6455 §7.1.5, §7.1.6 and §7.4.

use std::fmt;

/// Longest close reason in bytes: a control payload (§5.5) less the two bytes of the code.
pub const MAX_CLOSE_REASON: usize = crate::frame::MAX_CONTROL_PAYLOAD - 2;

/// The status code of a close frame (RFC 6455 §7.4).
///
/// Any number can be held, so that codes this crate does not know survive; which ones may be sent is
/// told by [`is_sendable`](Self::is_sendable).
///
/// # Examples
/// ```
/// use wsduo_proto::CloseCode;
///
/// assert_eq!(CloseCode::NORMAL.to_string(), "1000 (normal closure)");
/// assert!(CloseCode::new(4000).is_sendable());
/// assert!(!CloseCode::NO_STATUS.is_sendable());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $description:literal;)*) => {
        impl CloseCode {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// What the registry calls this code, if it knows it.
            pub const fn description(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($description),)*
                    _ => None,
                }
            }
        }
    };
}

close_codes! {
    /// The purpose of the connection is fulfilled.
    NORMAL = 1000, "normal closure";
    /// The endpoint goes away: a server shuts down, or a browser leaves the page.
    GOING_AWAY = 1001, "going away";
    /// The peer broke the protocol.
    PROTOCOL_ERROR = 1002, "protocol error";
    /// Data of a type that the endpoint does not take, such as text where only binary is understood.
    UNSUPPORTED_DATA = 1003, "unsupported data";
    /// Never on the wire: the close frame had no code.
    NO_STATUS = 1005, "no status received";
    /// Never on the wire: the connection ended without a close frame.
    ABNORMAL = 1006, "abnormal closure";
    /// Data that does not fit the type of its message, such as text that is not UTF-8.
    INVALID_PAYLOAD = 1007, "invalid payload data";
    /// A rule of the endpoint was broken; for when no other code fits.
    POLICY_VIOLATION = 1008, "policy violation";
    /// A message or frame over the endpoint's limit.
    TOO_BIG = 1009, "message too big";
    /// A client misses an extension that the server did not agree to.
    MANDATORY_EXTENSION = 1010, "mandatory extension missing";
    /// The endpoint met a condition that keeps it from going on.
    INTERNAL_ERROR = 1011, "internal error";
    /// The service restarts (IANA registry).
    SERVICE_RESTART = 1012, "service restart";
    /// Try again later (IANA registry).
    TRY_AGAIN_LATER = 1013, "try again later";
    /// A gateway got a bad answer from upstream (IANA registry).
    BAD_GATEWAY = 1014, "bad gateway";
    /// Never on the wire: the TLS handshake failed.
    TLS_FAILED = 1015, "TLS handshake failed";
}

impl CloseCode {
    /// A close code of that number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether a close frame may carry this code: §7.4.1, the codes registered since, and the ranges of
    /// §7.4.2 for libraries (3000–3999) and applications (4000–4999).
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> u16 {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.description() {
            Some(description) => write!(f, "{} ({description})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The code of the close frame that began the closing handshake; [`CloseCode::NO_STATUS`] where it
    /// had none, [`CloseCode::ABNORMAL`] where there was no close frame.
    pub code: CloseCode,
    /// The reason beside the code; often empty. Chosen by [`initiator`](Self::initiator): escape it
    /// before it reaches a terminal.
    pub reason: String,
    /// Who began the closing handshake.
    pub initiator: Initiator,
    /// Whether both close frames were exchanged (§7.1.4).
    pub clean: bool,
}

/// A side of the connection, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// This endpoint.
    Local,
    /// The other one.
    Peer,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.initiator {
            Initiator::Local => "this side",
            Initiator::Peer => "the peer",
        };
        write!(f, "closed by {who} with {}", self.code)?;
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason.escape_debug())?;
        }
        if !self.clean {
            f.write_str(", not cleanly")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_be_sent_are_those_of_the_registry_and_the_open_ranges() {
        let sendable = |n: u16| CloseCode::new(n).is_sendable();
        for n in
            [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
        {
            assert!(sendable(n), "{n}");
        }
        for n in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert!(!sendable(n), "{n}");
        }
    }

    #[test]
    fn a_peers_reason_is_escaped_for_display() {
        let closed = Closed {
            code: CloseCode::new(4001),
            reason: "\u{1b}[2J".into(),
            initiator: Initiator::Peer,
            clean: true,
        };
        assert_eq!(closed.to_string(), r"closed by the peer with 4001: \u{1b}[2J");
    }
}
