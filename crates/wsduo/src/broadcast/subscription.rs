//! The receiving end: the messages of some topics, for one receiver.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use wsduo_proto::{CloseCode, PreparedMessage};

use super::Shared;
use super::control::SubscriptionControl;
use super::queue::Queue;
use super::topic::Topic;
use crate::error::Error;

/// The messages of one topic or several, for one receiver, in the order in which they were published.
///
/// It is made by [`Broadcaster::subscribe`](crate::Broadcaster::subscribe). What it brings is sent by
/// [`MessageWebSocket::receive_with`](crate::MessageWebSocket::receive_with) or
/// [`MessageSender::forward`](crate::MessageSender::forward); or take it by [`next`](Self::next). Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    id: SubscriptionId,
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    topics: HashMap<Arc<str>, Arc<Topic>>,
}

/// Which subscription of a [`Broadcaster`](crate::Broadcaster) it is; for [`Publication::except`](crate::Publication::except).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub(super) u64);

/// The receiver did not take its messages fast enough and was let go; see [`SlowConsumer`](crate::SlowConsumer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "too slow: the queue of the subscription was full, and it was ended; {dropped} messages were dropped"
)]
#[non_exhaustive]
pub struct TooSlow {
    /// How many messages the receiver missed in all.
    pub dropped: u64,
}

impl TooSlow {
    /// What to close the connection with: 1013, since a client may come back. (1008 would tell it not to.)
    pub const CLOSE_CODE: CloseCode = CloseCode::TRY_AGAIN_LATER;

    /// What to say in the close frame.
    pub const REASON: &str = "too slow to follow";
}

impl Subscription {
    pub(super) fn new(shared: Arc<Shared>, control: SubscriptionControl) -> Self {
        let id = shared.next_id();
        Self { id, shared, queue: Arc::new(Queue::new(control)), topics: HashMap::new() }
    }

    /// Which one it is.
    pub fn id(&self) -> SubscriptionId {
        self.id
    }

    /// Adds a topic: its messages from now on. Nothing happens if it is there already.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a name over
    /// [`MAX_TOPIC_NAME`](crate::Broadcaster::MAX_TOPIC_NAME), and past [`max_topics`](SubscriptionControl::max_topics).
    pub fn add(&mut self, topic: impl Into<Arc<str>>) -> Result<(), Error> {
        let name = topic.into();
        if self.topics.contains_key(&name) {
            return Ok(());
        }
        super::check_name(&name)?;
        let most = self.queue.control.max_topics;
        if self.topics.len() >= most {
            return Err(super::invalid(format!(
                "a subscription to more than {most} topics; allow more by max_topics, or make another subscription"
            )));
        }
        let topic = self.shared.join(&name, self.id, &self.queue);
        self.topics.insert(name, topic);
        Ok(())
    }

    /// Leaves a topic. Messages of it that wait already still come. Whether it was there.
    pub fn remove(&mut self, topic: &str) -> bool {
        let Some(topic) = self.topics.remove(topic) else { return false };
        self.shared.leave(&topic, self.id);
        // A publisher need not wait for us any more.
        self.queue.tell_publishers();
        true
    }

    /// The topics.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.keys().map(|name| &**name)
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// [`TooSlow`], from then on always.
    ///
    /// # Cancel safety
    /// Safe: a message is taken out only to be returned.
    pub async fn next(&mut self) -> Result<PreparedMessage, TooSlow> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next) as a poll function.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<PreparedMessage, TooSlow>> {
        self.poll_take(cx.waker(), true)
    }

    /// Without `has_room` for a message, `waker` is woken only when the receiver is let go.
    pub(crate) fn poll_take(
        &mut self,
        waker: &Waker,
        has_room: bool,
    ) -> Poll<Result<PreparedMessage, TooSlow>> {
        self.queue.poll_take(waker, has_room).map_ok(|item| item.message.clone())
    }

    /// Whether a message waits. Otherwise `waker` is woken when one does.
    pub(crate) fn poll_ready(&self, waker: &Waker) -> Poll<Result<(), TooSlow>> {
        self.queue.poll_ready(waker)
    }

    /// How many messages wait.
    pub fn queued(&self) -> usize {
        self.queue.len().0
    }

    /// How many bytes wait: payloads and keys.
    pub fn queued_bytes(&self) -> usize {
        self.queue.len().1
    }

    /// How many messages the receiver missed so far: dropped, replaced by newer ones, or lost when it was let go.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// Whether the receiver was let go as too slow.
    pub fn is_too_slow(&self) -> bool {
        self.queue.is_gone()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        for topic in self.topics.values() {
            self.shared.leave(topic, self.id);
        }
        self.queue.tell_publishers();
        self.shared.gone();
    }
}
