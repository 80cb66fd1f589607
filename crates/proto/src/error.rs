//! What can go wrong once the connection is open, by whose fault it is.

use crate::close::{CloseCode, MAX_CLOSE_REASON};
use crate::frame::MAX_CONTROL_PAYLOAD;

/// The peer broke the protocol or a limit of ours: the connection has failed (RFC 6455 §7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// §5.2
    #[error("opcode {0:#x} is reserved; expected 0x0, 0x1, 0x2, 0x8, 0x9 or 0xa")]
    ReservedOpcode(u8),
    /// §5.2
    #[error("reserved bits {0:#05b} are set and no extension that uses them was agreed")]
    ReservedBits(u8),
    /// §5.5
    #[error("a control frame is fragmented; it must be whole")]
    FragmentedControl,
    /// §5.5
    #[error("a control frame announces {0} bytes; at most {MAX_CONTROL_PAYLOAD} are allowed")]
    ControlTooLong(u64),
    /// §5.2
    #[error("payload length {0} is not encoded in the fewest bytes")]
    LengthNotMinimal(u64),
    /// §5.2
    #[error("payload length {0:#x} has its highest bit set; at most 2^63-1 is allowed")]
    LengthTooLong(u64),
    /// §5.1
    #[error("a frame from the client is not masked")]
    NotMasked,
    /// §5.1
    #[error("a frame from the server is masked")]
    Masked,
    /// §5.4
    #[error("a continuation frame came with no message begun")]
    UnexpectedContinuation,
    /// §5.4
    #[error("a new message began before the last one ended; expected a continuation frame")]
    ExpectedContinuation,
    /// §8.1
    #[error("a text message is not valid UTF-8")]
    InvalidUtf8,
    /// §5.5.1
    #[error("a close frame has a body of one byte; expected none, or a code of two bytes and a reason")]
    TruncatedCloseCode,
    /// §7.4
    #[error("close code {0} may not be sent")]
    InvalidCloseCode(u16),
    /// §5.5.1
    #[error("the reason in a close frame is not valid UTF-8")]
    InvalidCloseReason,
    /// RFC 7692 §7.2.2
    #[error("a compressed message is not valid deflate data")]
    InvalidDeflate,
    /// RFC 7692 §7.2.2
    #[error("a compressed message ends inside a block of deflate data")]
    TruncatedDeflate,
    /// RFC 7692 §7.2.3.4 allows final blocks within a message; nobody needs one every few bytes.
    #[error("a compressed message has too many final blocks; one for 256 bytes is allowed")]
    TooManyFinalBlocks,
    /// [`Connection::refuse_text`](crate::Connection::refuse_text)
    #[error("a text message came; only binary messages are accepted here")]
    TextRefused,
    /// [`Config::max_frame_size`](crate::Config::max_frame_size)
    #[error("a frame announces {len} bytes; the limit is {max}")]
    FrameTooLarge {
        /// What the header announces.
        len: u64,
        /// The limit.
        max: usize,
    },
    /// [`Config::max_message_size`](crate::Config::max_message_size), also of what comes of a compressed message
    #[error("a message reaches {len} bytes; the limit is {max}")]
    MessageTooLarge {
        /// What the message would reach with the frame just announced, or has reached so far.
        len: u64,
        /// The limit.
        max: usize,
    },
    /// [`Config::max_fragments`](crate::Config::max_fragments)
    #[error("a message has more than {max} fragments, the limit")]
    TooManyFragments {
        /// The limit.
        max: u32,
    },
}

impl ProtocolError {
    /// The close code that tells the peer (§7.4.1).
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::InvalidCloseReason | Self::InvalidDeflate | Self::TruncatedDeflate => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::TextRefused => CloseCode::UNSUPPORTED_DATA,
            Self::FrameTooLarge { .. } | Self::MessageTooLarge { .. } => CloseCode::TOO_BIG,
            Self::TooManyFragments { .. } | Self::TooManyFinalBlocks => CloseCode::POLICY_VIOLATION,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// Whether a limit of ours, rather than a rule of the RFC, was passed.
    pub const fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::FrameTooLarge { .. } | Self::MessageTooLarge { .. } | Self::TooManyFragments { .. }
        )
    }
}

/// A command that cannot be carried out: the caller's mistake, or too late. The connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A close frame was sent or the connection has ended.
    #[error("the connection is closing or closed; nothing more can be sent")]
    Closing,
    /// A message begun in parts has to be finished first.
    #[error("a message sent in parts is not finished; finish it before the next one")]
    MessageUnfinished,
    /// A part of another type than the message begun.
    #[error("a message sent in parts cannot change its type; finish it before the next one")]
    MessageTypeChanged,
    /// Bytes sent as parts of a text message.
    #[error("the parts of a text message are not valid UTF-8; send them as binary")]
    InvalidUtf8,
    /// See [`CloseCode::is_sendable`].
    #[error("close code {0} may not be sent; use 1000-1003, 1007-1014 or 3000-4999")]
    CloseCode(CloseCode),
    /// Over [`MAX_CLOSE_REASON`].
    #[error("a close reason of {0} bytes; at most {MAX_CLOSE_REASON} are allowed")]
    CloseReasonTooLong(usize),
    /// The compressor failed, which it never should.
    #[error("the message could not be compressed; this is a bug in the compressor")]
    Compression,
}

/// A deadline that passed: the connection has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimedOut {
    /// [`Config::receive_timeout`](crate::Config::receive_timeout)
    #[error("the peer sent nothing within the receive timeout though a frame was begun or a ping unanswered")]
    Receive,
    /// [`Config::send_timeout`](crate::Config::send_timeout)
    #[error("the peer took nothing of what is queued within the send timeout")]
    Send,
    /// [`Config::close_timeout`](crate::Config::close_timeout)
    #[error("the peer did not finish the closing handshake within the close timeout")]
    Close,
}
