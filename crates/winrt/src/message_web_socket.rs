//! The client socket for messages.

use std::sync::Arc;

use crate::buffer::Buffer;
use crate::client::{client_members, message_received_members};
use crate::control::MessageWebSocketControl;
use crate::core::Guard;
use crate::information::MessageWebSocketInformation;
use crate::operation::AsyncOperation;
use crate::output;
use crate::receiving::Delivery;

/// A client for messages: binary ones and UTF-8.
///
/// A handle: clones of it are the same socket, in any thread. Dropping the last closes the connection as
/// [`close`](Self::close) does. Handlers may own clones; they are dropped after the last of them was told
/// that the socket is closed. A socket that never connects, or fails to, and whose handlers own clones of it
/// has to be closed, or it stays in memory.
///
/// # Examples
/// ```no_run
/// use wsduo_winrt::{DataWriter, MessageWebSocket, SocketMessageType};
///
/// # async fn example() -> Result<(), wsduo_winrt::Error> {
/// let socket = MessageWebSocket::new();
/// socket.control().set_message_type(SocketMessageType::Utf8);
/// socket.message_received(|socket, args| async move {
///     match args.get_data_reader().and_then(|reader| reader.read_string(reader.unconsumed_buffer_length())) {
///         Ok(text) => println!("{text}"),
///         Err(error) => println!("the connection failed: {error}"),
///     }
///     let _ = socket.close_with_status(1000, "thank you");
/// })?;
/// socket.closed(|_, args| async move { println!("closed: {}", args.code()) })?;
/// socket.connect("wss://example.org/echo").await?;
/// let writer = DataWriter::with_stream(socket.output_stream());
/// writer.write_string("Hello, World!")?;
/// writer.store().await?;
/// writer.detach_stream()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MessageWebSocket {
    guard: Arc<Guard>,
}

client_members!(MessageWebSocket, MessageWebSocketControl, MessageWebSocketInformation, |settings| {
    Delivery::Messages(settings.receive_mode, settings.limit())
});

impl MessageWebSocket {
    message_received_members!();

    /// Sends a frame of a message and does not end it. Its result is the length of the frame, and its
    /// progress too.
    ///
    /// The first frame gives the message its [type](MessageWebSocketControl::message_type). Text may be cut
    /// anywhere between frames. Until the message is [ended](Self::send_final_frame), nothing else can be
    /// sent.
    ///
    /// # Errors
    /// As writing to the [`output_stream`](Self::output_stream):
    /// [`Error::ILLEGAL_METHOD_CALL`](crate::Error::ILLEGAL_METHOD_CALL) before the socket is connected,
    /// [`Error::CLOSED`](crate::Error::CLOSED) after it was closed,
    /// [`Error::INVALID_ARGUMENT`](crate::Error::INVALID_ARGUMENT) for text that is not UTF-8, what the
    /// connection failed of.
    pub fn send_nonfinal_frame(&self, data: Buffer) -> AsyncOperation<u32> {
        output::send_frame(Arc::clone(&self.guard.core), data, false)
    }

    /// Sends the last frame of a message. As [`send_nonfinal_frame`](Self::send_nonfinal_frame).
    ///
    /// # Errors
    /// As there.
    pub fn send_final_frame(&self, data: Buffer) -> AsyncOperation<u32> {
        output::send_frame(Arc::clone(&self.guard.core), data, true)
    }
}
