//! WebSocket clients and servers: correct first, then fast, and hard to misuse.
//!
//! # A client
//! ```no_run
//! use wsduo::{CloseCode, MessageWebSocket};
//!
//! # async fn example() -> Result<(), wsduo::Error> {
//! let mut socket = MessageWebSocket::connect("wss://example.org/chat").await?;
//! socket.send("Hello, World!").await?;
//! while let Some(message) = socket.receive().await? {
//!     println!("{message:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # A server
//! ```no_run
//! use wsduo::{Listener, MessageWebSocketControl};
//!
//! # async fn example() -> Result<(), wsduo::Error> {
//! let listener = Listener::bind("127.0.0.1:8080").await?;
//! let control = MessageWebSocketControl::new();
//! loop {
//!     let incoming = listener.accept().await;
//!     let control = control.clone();
//!     tokio::spawn(async move {
//!         let mut socket = incoming.request().await?.accept_message(&control).await?;
//!         socket.run(|message, replies| replies.send(message)).await
//!     });
//! }
//! # }
//! ```
//!
//! # Which way to use a socket
//!
//! | For | Use |
//! |---|---|
//! | one message after the other | [`receive`](MessageWebSocket::receive) and [`send`](MessageWebSocket::send) |
//! | answering as fast as can be | [`run`](MessageWebSocket::run), or [`run_async`](MessageWebSocket::run_async) where the answer needs waiting |
//! | sending many at once | [`feed`](MessageWebSocket::feed) and [`flush`](MessageWebSocket::flush) |
//! | receiving and sending in different tasks | [`split`](MessageWebSocket::split) |
//! | messages that do not fit in memory | [`next_reader`](MessageWebSocket::next_reader) and [`message_writer`](MessageWebSocket::message_writer) |
//! | bytes, however many: `AsyncRead`, `AsyncBufRead` and `AsyncWrite` | [`StreamWebSocket`] |
//! | one message for many receivers: topics, chats, feeds | [`Broadcaster`] with [`receive_with`](MessageWebSocket::receive_with) |
//! | connecting again after a loss | [`Reconnect`] |
//! | any transport but TCP and TLS | [`connect_over`](MessageWebSocketControl::connect_over), [`Request::from_transport`]; after the handshake [`from_transport`](MessageWebSocketControl::from_transport) |
//! | a connection of another HTTP server: hyper, axum, tower | the features `hyper` and `axum` |
//! | a Unix socket, an own resolver or connector, a proxy | the settings of [`MessageWebSocketControl`] |
//! | combinators | `Stream` and `Sink` |
//!
//! # What holds for all of it
//!
//! * Every `async fn` may be dropped at any time: nothing is lost, torn or sent twice.
//! * A clean end is `Ok(None)`, of a stream its end; a lost connection is an error.
//! * While any operation of a socket waits, pings are answered, the keepalive goes on and deadlines hold. There is no task
//!   behind a socket: while nothing is called, nothing happens. While only a sender waits, messages are read ahead to find
//!   what is behind them, up to 64 KiB.
//! * Memory follows the bytes that arrived, within the limits of [`MessageWebSocketControl`].
//! * An [`Error`] is one line that says what was seen, what was allowed and what to do.
//! * It runs on [tokio](https://docs.rs/tokio) with its time driver enabled, as `#[tokio::main]` has it. Without one,
//!   whatever needs a timer panics, as tokio's own timers do. A socket may be moved from one runtime to another: its timers
//!   go along; a TCP connection is lost with the runtime that it was opened in.
//!
//! # Features
//!
//! `aws-lc-rs` (default): TLS with that cryptographic provider. `ring`: TLS with that one. With neither, `wss` is refused.
//! `hyper`: WebSockets on connections of hyper's and whatever is built on it, such as tower services: module `upgrade`.
//! `axum`: the same as an extractor: module `axum`.
//! `pkcs12`: client and server certificates from PKCS#12 files. `self-signed`: certificates made on the spot, for tests and demonstrations.
//! `tracing`: a span and events for each connection. `metrics`: counters, gauges and histograms by the crate of that name.
//! Neither does anything for a message. `docs/observability.md` in the repository lists all that they tell.

mod answer;
#[cfg(feature = "axum")]
pub mod axum;
mod broadcast;
mod certificate;
mod connecting;
mod control;
mod credential;
mod dialling;
mod error;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod information;
mod io;
mod message_web_socket;
mod observe;
mod parts;
mod proxy;
mod reconnect;
mod server;
mod split;
mod status;
mod stream_control;
mod stream_split;
mod stream_web_socket;
mod tls;
#[cfg(feature = "hyper")]
pub mod upgrade;

pub use broadcast::{
    BroadcastStatistics, Broadcaster, Publication, Published, SlowConsumer, Subscription,
    SubscriptionControl, SubscriptionId, TooSlow,
};
pub use certificate::{CertificateError, CertificateErrorSeverity};
pub use connecting::Connecting;
pub use control::MessageWebSocketControl;
pub use credential::Credential;
pub use dialling::{BoxFuture, BoxedStream, Connector, Resolver};
pub use error::{Error, ErrorKind};
pub use handler::{AsyncReplies, Replies};
pub use information::{
    CompressionInformation, MessageWebSocketInformation, Statistics, StreamWebSocketInformation,
    TlsInformation,
};
pub use io::transport::Transport;
pub use message_web_socket::MessageWebSocket;
#[cfg(feature = "metrics")]
pub use observe::meters::describe_metrics;
pub use parts::{MessageReader, MessageWriter};
pub use proxy::Proxy;
pub use reconnect::{Reconnect, Waiting};
pub use server::{
    Denial, Endpoint, ForwardedHeader, Incoming, Listener, ListenerBuilder, Request, RequestControl,
    is_same_secret,
};
pub use split::{MessageReceiver, MessageSender};
pub use status::{HResult, WebErrorStatus};
pub use stream_control::{Framing, StreamWebSocketControl};
pub use stream_split::{StreamReader, StreamWriter};
pub use stream_web_socket::{IntoStreamError, StreamWebSocket};
pub use tls::{ClientTls, TlsVersion};
#[cfg(feature = "__tls")]
pub use tls::{Identity, ServerCertificate, ServerTls};

pub use bytes::Bytes;
pub use bytestring::ByteString;
pub use http;
pub use wsduo_proto::handshake::{DeflateAgreement, Refusal, Response};
pub use wsduo_proto::{
    CloseCode, Closed, CommandError, Compression, CompressionStatistics, Initiator, Message, MessagePart,
    MessageRef, MessageType, Outgoing, PreparedMessage, ProtocolError, Role, TimedOut,
};

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// Compiles what the page shows.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/migrating-from-axum-ws.md")]
struct MigratingFromAxum;

/// Compiles what the page shows.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/migrating-from-tokio-tungstenite.md")]
struct MigratingFromTokioTungstenite;
