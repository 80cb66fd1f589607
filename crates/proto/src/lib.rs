//! WebSocket (RFC 6455) without I/O, for both ends of a connection.

pub mod close;
pub mod config;
pub mod connection;
pub mod error;
pub mod frame;
pub mod message;
pub mod utf8;

pub use close::{CloseCode, Closed, Initiator, MAX_CLOSE_REASON};
pub use config::{Config, Role};
pub use connection::{Connection, Delivery, Event, Output};
pub use error::{CommandError, ProtocolError, TimedOut};
pub use frame::{MAX_CONTROL_PAYLOAD, MaskingKey, MaskingKeys};
pub use message::{Message, MessagePart, MessageRef, MessageType, Outgoing};
