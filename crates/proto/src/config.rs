//! Everything about an open connection that is decided before it opens: limits and timeouts.

use std::time::Duration;

/// Which end of the connection this is (RFC 6455 §5.1: the client masks, the server does not).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that opened the connection.
    Client,
    /// The end that accepted it.
    Server,
}

/// Limits and timeouts of a connection.
///
/// Sizes are in bytes. The limits on what is received hold for messages delivered whole; parts are handed
/// out as they arrive and take no memory that grows, so no limit is put on them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Largest message delivered whole; a larger one fails the connection with 1009. Default 64 MiB.
    pub max_message_size: usize,
    /// Largest frame of such a message. Default 64 MiB.
    pub max_frame_size: usize,
    /// Most fragments of such a message, empty ones included; more fail it with 1008. Default 131,072.
    pub max_fragments: u32,
    /// How many bytes may be queued before more are refused room; a single message may go beyond. Default 128 KiB.
    pub max_queued: usize,
    /// Send a ping when nothing was heard for this long, give or take a half: activity is looked at,
    /// never timed. `None`: no pings. Default 20 s.
    pub keepalive: Option<Duration>,
    /// Send a pong that nobody asked for this often (RFC 6455 §5.5.3): a sign of life in one direction, which is not answered.
    /// None is queued while other bytes wait. `None`: never, the default.
    pub unsolicited_pong: Option<Duration>,
    /// How long the peer may be silent in the middle of a data frame, once its header is there, or with a ping
    /// unanswered, once that is written and as long as no output that was stuck goes on; an idle connection never runs
    /// into it. `None`: for ever. Default 30 s.
    pub receive_timeout: Option<Duration>,
    /// How long queued bytes may wait without any of them being taken. `None`: for ever. Default 30 s.
    pub send_timeout: Option<Duration>,
    /// How long the closing handshake may take. Default 10 s.
    pub close_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message_size: 64 << 20,
            max_frame_size: 64 << 20,
            max_fragments: 128 << 10,
            max_queued: 128 << 10,
            keepalive: Some(Duration::from_secs(20)),
            unsolicited_pong: None,
            receive_timeout: Some(Duration::from_secs(30)),
            send_timeout: Some(Duration::from_secs(30)),
            close_timeout: Duration::from_secs(10),
        }
    }
}
