//! WebSocket clients and servers.

mod control;
mod error;
mod handler;
mod information;
mod io;
mod message_web_socket;
mod origin;
mod parts;
mod server;
mod split;
mod tls;

pub use control::MessageWebSocketControl;
pub use error::{Error, ErrorKind};
pub use handler::{AsyncReplies, Replies};
pub use information::{MessageWebSocketInformation, Statistics, TlsInformation};
pub use io::transport::Transport;
pub use message_web_socket::MessageWebSocket;
pub use parts::{MessageReader, MessageWriter};
pub use server::{Incoming, Listener, ListenerBuilder, Request, RequestControl};
pub use split::{MessageReceiver, MessageSender};
pub use tls::ClientTls;
#[cfg(feature = "__tls")]
pub use tls::Identity;

pub use bytes::Bytes;
pub use bytestring::ByteString;
pub use http;
pub use wsduo_proto::handshake::{Refusal, Response};
pub use wsduo_proto::{
    CloseCode, Closed, CommandError, Initiator, Message, MessagePart, MessageRef, MessageType, Outgoing,
    ProtocolError, Role, TimedOut,
};
