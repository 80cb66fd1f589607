//! How a subscription keeps what its receiver has not taken yet.

use std::time::Duration;

/// What happens when a message is published and the queue of a receiver is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// The receiver is let go: its queue is dropped, and its connection closed with
    /// [`CloseCode::TRY_AGAIN_LATER`](crate::CloseCode::TRY_AGAIN_LATER) (1013). The default: nobody waits, and nobody
    /// misses a message without being told.
    #[default]
    Disconnect,
    /// Publishing waits for room. A receiver that takes nothing for the [wait timeout](SubscriptionControl::wait_timeout), while it
    /// is waited for, is let go as by [`Disconnect`](Self::Disconnect).
    ///
    /// Other receivers of the topic wait meanwhile. Who publishes must not be who has to empty the queue: take from it in another
    /// task, or by [`MessageSender::forward`](crate::MessageSender::forward) beside the publishing.
    Wait,
    /// The oldest messages of the queue make room. They are counted.
    DropOldest,
    /// A message takes the place of the one of the same topic and [key](crate::Publication::key) that still waits; those without
    /// a key count as having the same. Where there are more keys than places, the oldest make room. What was replaced is
    /// counted as dropped.
    ///
    /// As the place is kept, no key has to wait for others that change more often. So messages of different keys may change
    /// their order; those of one key never do.
    LatestOnly,
}

impl SlowConsumer {
    /// The value of the label `policy`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::Wait => "wait",
            Self::DropOldest => "drop_oldest",
            Self::LatestOnly => "latest_only",
        }
    }
}

/// Settings of a [`Subscription`](crate::Subscription).
///
/// # Examples
/// ```
/// use wsduo::{Broadcaster, SlowConsumer, SubscriptionControl};
///
/// let control = SubscriptionControl::new().slow_consumer(SlowConsumer::DropOldest).max_messages(100);
/// let broadcaster = Broadcaster::with(control);
/// # let _ = broadcaster;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionControl {
    pub(super) slow_consumer: SlowConsumer,
    pub(super) max_messages: usize,
    pub(super) max_bytes: usize,
    pub(super) max_topics: usize,
    pub(super) wait_timeout: Duration,
}

impl Default for SubscriptionControl {
    fn default() -> Self {
        Self::new()
    }
}

impl SubscriptionControl {
    /// The defaults, which are named at each setting.
    pub const fn new() -> Self {
        Self {
            slow_consumer: SlowConsumer::Disconnect,
            max_messages: 1024,
            max_bytes: 1 << 20,
            max_topics: 1024,
            wait_timeout: Duration::from_secs(30),
        }
    }

    /// What happens when the queue is full. Default [`SlowConsumer::Disconnect`].
    #[must_use]
    pub const fn slow_consumer(mut self, slow_consumer: SlowConsumer) -> Self {
        self.slow_consumer = slow_consumer;
        self
    }

    /// Most messages that wait in the queue, one at least. Default 1,024.
    #[must_use]
    pub const fn max_messages(mut self, messages: usize) -> Self {
        self.max_messages = if messages == 0 { 1 } else { messages };
        self
    }

    /// Most bytes that wait in the queue: payloads, before they are compressed, and their keys. A message that is larger may
    /// wait alone. Default 1 MiB.
    ///
    /// Payloads are shared: however many receivers they wait for, they are in memory once.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Most topics of one subscription. Default 1,024.
    #[must_use]
    pub const fn max_topics(mut self, topics: usize) -> Self {
        self.max_topics = topics;
        self
    }

    /// How long publishing waits for a receiver that takes nothing, under [`SlowConsumer::Wait`]: from when it was found to have no
    /// room. Default 30 s, as the [send timeout](crate::MessageWebSocketControl::send_timeout).
    #[must_use]
    pub const fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait_timeout = timeout;
        self
    }
}
