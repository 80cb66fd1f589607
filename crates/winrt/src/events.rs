//! What handlers of events are told.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use wsduo::MessageType;

use crate::buffer::Buffer;
use crate::data_reader::DataReader;
use crate::enums::SocketMessageType;
use crate::error::Error;
use crate::operation::AsyncOperation;
use crate::streams::{IInputStream, InputStreamOptions};

/// How a socket was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketClosedEventArgs {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl WebSocketClosedEventArgs {
    /// The code: of the close frame that began the closing handshake; 1005 where that had none; 1006 where
    /// the connection was lost, or the peer did not answer a close frame; after a broken rule or limit the
    /// code that told the peer.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The reason beside the code. The peer may have chosen it: escape it before it reaches a terminal.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// What arrived: a message, a piece of one, or why nothing more comes.
#[derive(Clone, Debug)]
pub struct MessageWebSocketMessageReceivedEventArgs {
    received: Received,
}

/// What the task that receives passes on, whatever the kind of socket.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    message_type: SocketMessageType,
    is_complete: bool,
    content: Arc<Mutex<Content>>,
}

enum Content {
    Bytes(Bytes),
    /// It was handed out.
    Taken,
    Error(Error),
}

impl Received {
    pub(crate) fn message(message_type: MessageType, bytes: Bytes, is_complete: bool) -> Self {
        let content = Arc::new(Mutex::new(Content::Bytes(bytes)));
        Self { message_type: message_type.into(), is_complete, content }
    }

    pub(crate) fn error(error: Error) -> Self {
        let content = Arc::new(Mutex::new(Content::Error(error)));
        Self { message_type: SocketMessageType::Binary, is_complete: true, content }
    }
}

impl From<Received> for MessageWebSocketMessageReceivedEventArgs {
    fn from(received: Received) -> Self {
        Self { received }
    }
}

impl MessageWebSocketMessageReceivedEventArgs {
    /// The type of the message.
    pub fn message_type(&self) -> SocketMessageType {
        self.received.message_type
    }

    /// Whether the message ends here. Always, where messages are received whole.
    pub fn is_message_complete(&self) -> bool {
        self.received.is_complete
    }

    /// The content in a reader that has it loaded. It can be had once, in one way: a second call, of this or
    /// of another of these methods, is an [`Error::ILLEGAL_METHOD_CALL`].
    ///
    /// # Errors
    /// As [`get_data_stream`](Self::get_data_stream).
    pub fn get_data_reader(&self) -> Result<DataReader, Error> {
        self.take().map(DataReader::from_buffer)
    }

    /// The content as a stream. As [`get_data_reader`](Self::get_data_reader).
    ///
    /// # Errors
    /// Where the event stands for an error, that error: its [`code`](Error::code) tells what happened to the
    /// connection. Nothing more is received then.
    pub fn get_data_stream(&self) -> Result<Arc<dyn IInputStream>, Error> {
        let rest = Mutex::new(Some(self.take()?));
        Ok(Arc::new(MemoryStream { rest }))
    }

    /// The content, all at once: what the original has no name for. As
    /// [`get_data_stream`](Self::get_data_stream).
    ///
    /// # Errors
    /// As there.
    pub fn get_data(&self) -> Result<Buffer, Error> {
        self.take().map(Buffer::from)
    }

    fn take(&self) -> Result<Bytes, Error> {
        let mut content = self.received.content.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *content, Content::Taken) {
            Content::Bytes(bytes) => Ok(bytes),
            Content::Taken => {
                let text = "the content of this message was handed out already; it can be had once";
                Err(Error::new(Error::ILLEGAL_METHOD_CALL, text))
            }
            Content::Error(error) => {
                *content = Content::Error(error.clone());
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Taken => f.write_str("Taken"),
            Self::Error(error) => fmt::Debug::fmt(error, f),
        }
    }
}

/// A message as a stream. `None` once it is closed.
#[derive(Debug)]
struct MemoryStream {
    rest: Mutex<Option<Bytes>>,
}

impl MemoryStream {
    fn read(&self, count: u32) -> Result<Buffer, Error> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rest) = rest.as_mut() else {
            return Err(Error::new(Error::CLOSED, "the stream is closed; nothing more can be read"));
        };
        let n = rest.len().min(count as usize);
        Ok(Buffer::from(rest.split_to(n)))
    }
}

impl IInputStream for MemoryStream {
    fn read(&self, count: u32, _: InputStreamOptions) -> AsyncOperation<Buffer> {
        let read = self.read(count);
        AsyncOperation::new(async { read })
    }

    fn close(&self) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
