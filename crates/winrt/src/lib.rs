//! The WebSockets that Microsoft documents for UWP (`Windows.Networking.Sockets`), by their own names and with their own
//! rules, on every platform: a thin face over [`wsduo`].

mod certificate;
mod client;
mod control;
mod core;
mod enums;
mod error;
mod events;
mod handlers;
mod information;
mod input;
mod message_web_socket;
mod names;
mod operation;
mod output;
mod platform;
mod receiving;
mod server;
mod settings;
mod stream_web_socket;
mod streams;
mod validation;
mod web_socket;

pub use certificate::Certificate;
pub use control::{MessageWebSocketControl, StreamWebSocketControl, Vector};
pub use enums::{
    ChainValidationResult, HostNameType, MessageWebSocketReceiveMode, SocketMessageType,
    SocketSslErrorSeverity,
};
pub use error::Error;
pub use events::{MessageWebSocketMessageReceivedEventArgs, WebSocketClosedEventArgs};
pub use handlers::EventToken;
pub use information::{
    BandwidthStatistics, MessageWebSocketInformation, ServerMessageWebSocketInformation,
    ServerStreamWebSocketInformation, StreamWebSocketInformation,
};
pub use message_web_socket::MessageWebSocket;
pub use names::{HostName, PasswordCredential};
pub use operation::AsyncOperation;
pub use platform::Platform;
pub use server::{
    ServerMessageWebSocket, ServerMessageWebSocketControl, ServerMessageWebSocketOptions,
    ServerStreamWebSocket, ServerStreamWebSocketOptions,
};
pub use stream_web_socket::StreamWebSocket;
pub use streams::{Buffer, IInputStream, IOutputStream, InputStreamOptions};
pub use validation::{Deferral, WebSocketServerCustomValidationRequestedEventArgs};
pub use web_socket::{IWebSocket, IWebSocketControl, IWebSocketInformation, WebSocketError};
pub use wsduo::{HResult, Identity, WebErrorStatus};
