//! Settings of byte streams.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use wsduo_proto::Role;

use crate::control::{Settings, common_settings};
use crate::error::Error;
use crate::stream_web_socket::StreamWebSocket;

/// Most payload bytes of a frame, unless it is set otherwise.
const FRAME_SIZE: usize = 64 << 10;

/// What the writes of a [`StreamWebSocket`] become on the wire.
///
/// The reader of another `StreamWebSocket` gets the same bytes whatever is chosen here. It matters to peers that look at
/// messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// Each write is a message of its own, as on Windows. Of a write larger than
    /// [`frame_size`](StreamWebSocketControl::frame_size) only so much is taken, and the rest becomes further messages.
    #[default]
    MessagePerWrite,
    /// What is written between two flushes is one message, in frames of its writes.
    MessagePerFlush,
    /// All that is ever written is one message, in frames of its writes. It ends by shutting the stream down; an empty
    /// stream is an empty message.
    OneMessage,
}

/// Settings of a [`StreamWebSocket`], for clients and servers.
///
/// They are fixed when a stream is opened. Those of [`MessageWebSocketControl`](crate::MessageWebSocketControl) are here too,
/// except for the limits on the size of messages: a stream has none, since none of its buffers grows with a message.
///
/// # Examples
/// ```no_run
/// use wsduo::{Framing, StreamWebSocketControl};
///
/// # async fn example() -> Result<(), wsduo::Error> {
/// let control = StreamWebSocketControl::new().framing(Framing::OneMessage).refuse_text(true);
/// let stream = control.connect("wss://example.org/upload").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StreamWebSocketControl {
    pub(crate) settings: Arc<Settings>,
    pub(crate) style: Style,
}

/// How a stream of bytes becomes messages, and the other way round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) framing: Framing,
    pub(crate) frame_size: usize,
    pub(crate) refuse_text: bool,
}

impl Default for StreamWebSocketControl {
    fn default() -> Self {
        Self::new()
    }
}

impl StreamWebSocketControl {
    /// The defaults, which are named at each setting.
    pub fn new() -> Self {
        let style = Style { framing: Framing::default(), frame_size: FRAME_SIZE, refuse_text: false };
        Self { settings: Arc::default(), style }
    }

    /// Connects as a client to a `ws` or `wss` URI.
    ///
    /// # Errors
    /// See [`MessageWebSocketControl::connect`](crate::MessageWebSocketControl::connect).
    ///
    /// # Cancel safety
    /// Dropping the future closes whatever was opened.
    pub async fn connect(&self, uri: &str) -> Result<StreamWebSocket, Error> {
        Ok(StreamWebSocket::over(self.settings.connect(uri).await?, self.style))
    }

    /// Connects as a client over a transport that leads to the server, whatever it is.
    ///
    /// # Errors
    /// See [`MessageWebSocketControl::connect_over`](crate::MessageWebSocketControl::connect_over).
    ///
    /// # Cancel safety
    /// Dropping the future drops the transport.
    pub async fn connect_over<T>(&self, transport: T, uri: &str) -> Result<StreamWebSocket, Error>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Ok(StreamWebSocket::over(self.settings.connect_over(transport, uri).await?, self.style))
    }

    /// A stream on a transport on which the opening handshake is already over.
    ///
    /// The transport may be anything: a Unix socket, a pipe in memory, a stream of another protocol.
    pub fn from_transport<T>(&self, transport: T, role: Role) -> StreamWebSocket<T>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        StreamWebSocket::over(self.settings.open(transport, role), self.style)
    }

    /// What writes become. Default: [`Framing::MessagePerWrite`].
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.style.framing = framing;
        self
    }

    /// Most payload bytes of a frame that is sent, at least 1: a larger write is taken in part. Default 64 KiB.
    #[must_use]
    pub fn frame_size(mut self, bytes: usize) -> Self {
        self.style.frame_size = bytes.max(1);
        self
    }

    /// Whether a text message of the peer fails the connection with 1003. Default `false`: it arrives as its bytes, as on
    /// Windows.
    #[must_use]
    pub fn refuse_text(mut self, refuse: bool) -> Self {
        self.style.refuse_text = refuse;
        self
    }

    common_settings!();
}
