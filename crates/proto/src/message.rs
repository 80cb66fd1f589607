//! Messages: what the application sends and gets (RFC 6455 §5.6).

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;

use crate::deflate::PreparedMessage;

/// The type of a message (§5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// UTF-8 text. The original calls it Utf8.
    Text,
    /// Bytes of any kind.
    Binary,
}

/// A whole message. Cloning it copies no payload.
///
/// # Examples
/// ```
/// use wsduo_proto::Message;
///
/// let message = Message::from("hello");
/// assert_eq!(message.as_text(), Some("hello"));
/// assert_eq!(message.len(), 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// UTF-8 text.
    Text(ByteString),
    /// Bytes of any kind.
    Binary(Bytes),
}

/// A message lent for the length of a call.
///
/// Where it arrived whole, it is borrowed from the read buffer; where it had to be put together, it is owned,
/// and [`into_owned`](Self::into_owned) copies nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MessageRef<'a> {
    /// UTF-8 text.
    Text(Cow<'a, str>),
    /// Bytes of any kind.
    Binary(Cow<'a, [u8]>),
}

/// Some bytes of a message, handed out as they arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePart {
    /// The bytes; of a text message too, where they may end inside a character. May be empty.
    pub bytes: Bytes,
    /// The type of the message that the part belongs to.
    pub message_type: MessageType,
    /// Whether the message ends with this part.
    pub is_complete: bool,
}

/// What can be sent as a message: made by `From`, `&str` and `String` being text, bytes being binary.
///
/// Borrowed payloads are copied when they are queued. Owned ones of some size are queued without a copy.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    pub(crate) message_type: MessageType,
    pub(crate) payload: Payload<'a>,
    /// Whether it may be compressed.
    pub(crate) compress: bool,
}

/// Bytes to send.
#[derive(Clone, Debug)]
pub(crate) enum Payload<'a> {
    Borrowed(&'a [u8]),
    Shared(Bytes),
    Prepared(&'a PreparedMessage),
}

impl Payload<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Prepared(message) => message.as_bytes(),
        }
    }
}

impl Message {
    /// The type.
    pub const fn message_type(&self) -> MessageType {
        match self {
            Self::Text(_) => MessageType::Text,
            Self::Binary(_) => MessageType::Binary,
        }
    }

    /// The payload, whatever the type.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The payload, whatever the type, without a copy.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text of a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl MessageRef<'_> {
    /// The type.
    pub const fn message_type(&self) -> MessageType {
        match self {
            Self::Text(_) => MessageType::Text,
            Self::Binary(_) => MessageType::Binary,
        }
    }

    /// The payload, whatever the type.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text of a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The message to keep, as it is: copied where it was borrowed, moved where it was owned.
    pub fn into_static(self) -> MessageRef<'static> {
        match self {
            Self::Text(text) => MessageRef::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => MessageRef::Binary(Cow::Owned(bytes.into_owned())),
        }
    }

    /// The message to keep: copied where it was borrowed, moved where it was owned.
    pub fn into_owned(self) -> Message {
        match self {
            Self::Text(Cow::Borrowed(text)) => Message::Text(text.into()),
            Self::Text(Cow::Owned(text)) => Message::Text(text.into()),
            Self::Binary(Cow::Borrowed(bytes)) => Message::Binary(Bytes::copy_from_slice(bytes)),
            Self::Binary(Cow::Owned(bytes)) => Message::Binary(bytes.into()),
        }
    }
}

impl<'a> Outgoing<'a> {
    /// Private: whoever calls it knows that text is UTF-8.
    #[inline]
    fn shared(message_type: MessageType, payload: impl Into<Bytes>) -> Self {
        Self { message_type, payload: Payload::Shared(payload.into()), compress: true }
    }

    /// The same message, never to be compressed: for what is compressed already, and for secrets next to text that someone
    /// else chose (see [`Compression`](crate::Compression)).
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.compress = false;
        self
    }

    /// The type.
    pub const fn message_type(&self) -> MessageType {
        self.message_type
    }

    /// Length of the payload in bytes.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> usize {
        self.payload.as_slice().len()
    }

    #[inline]
    const fn borrowed(message_type: MessageType, bytes: &'a [u8]) -> Self {
        Self { message_type, payload: Payload::Borrowed(bytes), compress: true }
    }
}

macro_rules! text_and_binary {
    ($($text:ty, $binary:ty;)*) => {$(
        impl From<$text> for Message {
            fn from(text: $text) -> Self {
                Self::Text(text.into())
            }
        }
        impl From<$binary> for Message {
            fn from(bytes: $binary) -> Self {
                Self::Binary(bytes.into())
            }
        }
        impl From<$text> for Outgoing<'_> {
            fn from(text: $text) -> Self {
                Self::shared(MessageType::Text, ByteString::from(text).into_bytes())
            }
        }
        impl From<$binary> for Outgoing<'_> {
            fn from(bytes: $binary) -> Self {
                Self::shared(MessageType::Binary, bytes)
            }
        }
    )*};
}

text_and_binary! {
    String, Vec<u8>;
    ByteString, Bytes;
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl<'a> From<&'a str> for Outgoing<'a> {
    fn from(text: &'a str) -> Self {
        Self::borrowed(MessageType::Text, text.as_bytes())
    }
}

impl<'a> From<&'a String> for Outgoing<'a> {
    fn from(text: &'a String) -> Self {
        text.as_str().into()
    }
}

impl<'a> From<&'a [u8]> for Outgoing<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::borrowed(MessageType::Binary, bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Outgoing<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        bytes.as_slice().into()
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Outgoing<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

impl From<Message> for Outgoing<'_> {
    fn from(message: Message) -> Self {
        Self::shared(message.message_type(), message.into_bytes())
    }
}

impl From<&Message> for Outgoing<'_> {
    fn from(message: &Message) -> Self {
        message.clone().into()
    }
}

impl<'a> From<&'a PreparedMessage> for Outgoing<'a> {
    fn from(message: &'a PreparedMessage) -> Self {
        Self { message_type: message.message_type(), payload: Payload::Prepared(message), compress: true }
    }
}

impl<'a> From<MessageRef<'a>> for Outgoing<'a> {
    #[inline]
    fn from(message: MessageRef<'a>) -> Self {
        match message {
            MessageRef::Text(Cow::Borrowed(text)) => text.into(),
            MessageRef::Text(Cow::Owned(text)) => text.into(),
            MessageRef::Binary(Cow::Borrowed(bytes)) => bytes.into(),
            MessageRef::Binary(Cow::Owned(bytes)) => bytes.into(),
        }
    }
}

impl<'a> From<&'a MessageRef<'_>> for Outgoing<'a> {
    fn from(message: &'a MessageRef<'_>) -> Self {
        Self::borrowed(message.message_type(), message.as_bytes())
    }
}

impl From<MessageRef<'_>> for Message {
    fn from(message: MessageRef<'_>) -> Self {
        message.into_owned()
    }
}
