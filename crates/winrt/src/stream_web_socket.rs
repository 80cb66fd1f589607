//! The client socket for streams of bytes.

use std::sync::Arc;

use crate::client::client_members;
use crate::control::StreamWebSocketControl;
use crate::core::Guard;
use crate::information::StreamWebSocketInformation;
use crate::input::InputStream;
use crate::receiving::Delivery;
use crate::streams::IInputStream;

/// A client for streams of bytes of any length, over binary messages.
///
/// A handle, as [`MessageWebSocket`](crate::MessageWebSocket) is. Each write is a message; a text message of
/// the peer is read as its bytes.
///
/// # Examples
/// ```no_run
/// use wsduo_winrt::{InputStreamOptions, StreamWebSocket};
///
/// # async fn example() -> Result<(), wsduo_winrt::Error> {
/// let socket = StreamWebSocket::new();
/// socket.connect("wss://example.org/photo").await?;
/// socket.output_stream().write("the first".into()).await?;
/// let input = socket.input_stream();
/// loop {
///     let bytes = input.read(64 << 10, InputStreamOptions::PARTIAL).await?;
///     if bytes.length() == 0 {
///         break; // the server has closed the connection
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StreamWebSocket {
    guard: Arc<Guard>,
}

client_members!(StreamWebSocket, StreamWebSocketControl, StreamWebSocketInformation, |_| Delivery::Bytes);

impl StreamWebSocket {
    /// Where to read. It is the same stream each time: closed once, it stays closed.
    ///
    /// A read of no bytes is the end: the server has closed the connection. A lost connection is an error of
    /// the read. One read at a time; a second fails with
    /// [`Error::INVALID_OPERATION`](crate::Error::INVALID_OPERATION). Reads that wait when the socket is
    /// closed fail with [`Error::ABORT`](crate::Error::ABORT), later ones with
    /// [`Error::CLOSED`](crate::Error::CLOSED). A read that is dropped loses nothing.
    ///
    /// Some 64 KiB are received before they are asked for, and no more: whoever does not read holds the
    /// server back, and hears of what is behind it, the closing too, only then.
    pub fn input_stream(&self) -> Arc<dyn IInputStream> {
        Arc::new(InputStream { core: Arc::clone(&self.guard.core) })
    }
}
