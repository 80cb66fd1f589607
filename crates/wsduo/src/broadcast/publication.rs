//! What is published, and what came of it.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use wsduo_proto::{Message, MessageRef, PreparedMessage};

use super::queue::Item;
use super::subscription::SubscriptionId;

/// A message with what a [`Broadcaster`](crate::Broadcaster) should know about it: made by `From` of whatever can be a message.
///
/// # Examples
/// ```
/// use wsduo::Publication;
///
/// let quote = Publication::new("ACME 12.50").key("ACME");
/// # let _ = quote;
/// ```
#[derive(Clone, Debug)]
pub struct Publication {
    message: PreparedMessage,
    key: Option<Arc<str>>,
    pub(super) except: Option<SubscriptionId>,
}

/// What came of publishing a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// How many queues it was put into.
    pub receivers: usize,
    /// How many messages it displaced in them, and how many were lost with receivers that were let go.
    pub dropped: usize,
    /// How many receivers were let go, as too slow.
    pub disconnected: usize,
}

impl Publication {
    /// As `From`.
    pub fn new(message: impl Into<Self>) -> Self {
        message.into()
    }

    /// What the message is about: of a key, only the newest message waits under
    /// [`SlowConsumer::LatestOnly`](crate::SlowConsumer::LatestOnly). Default: none.
    #[must_use]
    pub fn key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Goes to all but this subscription: the one of whoever sent the message, say. Default: to all.
    #[must_use]
    pub fn except(mut self, subscription: SubscriptionId) -> Self {
        self.except = Some(subscription);
        self
    }

    pub(super) fn into_item(self, topic: &Arc<str>) -> Arc<Item> {
        Arc::new(Item { message: self.message, slot: (Arc::clone(topic), self.key) })
    }
}

impl From<PreparedMessage> for Publication {
    fn from(message: PreparedMessage) -> Self {
        Self { message, key: None, except: None }
    }
}

impl From<&PreparedMessage> for Publication {
    fn from(message: &PreparedMessage) -> Self {
        message.clone().into()
    }
}

impl From<&Message> for Publication {
    fn from(message: &Message) -> Self {
        message.clone().into()
    }
}

macro_rules! messages {
    ($($message:ty),*) => {$(
        impl From<$message> for Publication {
            fn from(message: $message) -> Self {
                PreparedMessage::new(message).into()
            }
        }
    )*};
}

messages!(Message, MessageRef<'_>, &str, String, ByteString, &[u8], Vec<u8>, Bytes);
