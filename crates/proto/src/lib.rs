//! WebSocket (RFC 6455) without I/O, for both ends of a connection.
//!
//! ```text
//!                 ┌──────────────────────────────┐
//!  bytes read ───▶│                              │───▶ events: messages, parts, the end
//!                 │  handshake, then Connection  │
//!    commands ───▶│                              │───▶ bytes to write, the next deadline
//!                 └──────────────────────────────┘
//! ```
//!
//! Nothing in here opens a socket, asks for the time or draws a random number: bytes, [`Instant`](std::time::Instant)s
//! and [masking keys](MaskingKeys) come in as arguments. So it runs under any runtime or none, and every timeout and
//! every interleaving can be tested without sleeping. The crate `wsduo` drives it with tokio.
//!
//! # The drive contract
//!
//! 1. **Opening handshake.** A client makes a [`ClientHandshake`](handshake::ClientHandshake), writes its request and feeds
//!    it what comes back; a server feeds a [`ServerHandshake`](handshake::ServerHandshake) and writes the answer. Both
//!    say how many bytes belong to the handshake. What lies behind them are the first frames.
//! 2. **Open.** Make a [`Connection`]. After each input or command:
//!    * call [`Connection::receive`] with the unread bytes until it brings no event; keep what it did not consume, and
//!      offer that again with more behind it;
//!    * take [`Connection::output`], write what it shows, and tell it how much was written;
//!    * before waiting, if [`Connection::wants_look`] or the moment of [`Connection::next_look`] has come, call
//!      [`Connection::look_at_clock`], which may queue a ping (so write again) or say that a timeout has passed.
//!
//!    After each read call [`Connection::heard`], after each write [`Connection::wrote`]: timers notice traffic by that.
//! 3. **The end.** [`Event::Closed`] and [`Event::Failed`] come once; no input is looked at afterwards. Write what is
//!    queued, for it ends with our close frame. Then a server ends the transport at once; a client waits for the server
//!    to do so (§7.1.1), reading and dropping what still comes; after a failure the server waits too, or unread input
//!    would reset the transport and lose the close frame. `next_look` bounds that wait. If the transport ends before
//!    all this, call [`Connection::receive_end`]; [`Connection::closed`] tells how it went.
//!
//! Inputs never fail for the peer's sins; those arrive as an event, after the close frame is already queued. Commands
//! fail only for the caller's mistakes, and then nothing is queued.
//!
//! What the peer announces costs nothing: memory follows the bytes that arrived, within the limits of [`Config`].

pub mod close;
pub mod config;
pub mod connection;
pub mod deflate;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod message;
pub mod uri;
pub mod utf8;

pub use close::{CloseCode, Closed, Initiator, MAX_CLOSE_REASON};
pub use config::{Config, Role};
pub use connection::{Connection, Delivery, Event, Output};
pub use deflate::{Compression, CompressionStatistics, InvalidCompression, PreparedMessage};
pub use error::{CommandError, ProtocolError, TimedOut};
pub use frame::{MAX_CONTROL_PAYLOAD, MaskingKey, MaskingKeys};
pub use message::{Message, MessagePart, MessageRef, MessageType, Outgoing};
pub use uri::WebSocketUri;
