//! One message for many receivers: topics, and a bounded queue for each receiver.
//!
//! A message is published into the queues of a topic; the task of each connection takes it from there. So publishing touches no
//! socket, and a receiver that stands still fills its own queue and nothing else.

mod control;
mod publication;
mod queue;
mod subscription;
mod topic;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::time::Instant;

pub use control::{SlowConsumer, SubscriptionControl};
pub use publication::{Publication, Published};
pub use subscription::{Subscription, SubscriptionId, TooSlow};

use self::queue::Queue;
use self::topic::{Full, Topic};
use crate::error::{Error, ErrorKind};

/// Sends messages to all who have subscribed to a topic. Clones of it are the same broadcaster.
///
/// A message is encoded once, and compressed once for each set of parameters that receivers have agreed on
/// ([`PreparedMessage`](crate::PreparedMessage)). Every receiver has a queue of its own, bounded in messages and bytes;
/// [`SlowConsumer`] says what happens when it is full. Publishing waits for nobody but under [`SlowConsumer::Wait`].
///
/// All receivers get the messages of a topic in the order in which they were published, by whomever. A topic is there while
/// somebody is subscribed to it.
///
/// # Examples
/// One task for each connection, which receives and sends:
/// ```no_run
/// use wsduo::{Broadcaster, MessageWebSocket, Publication};
///
/// # async fn example() -> Result<(), wsduo::Error> {
/// let broadcaster = Broadcaster::new();
///
/// async fn connection(mut socket: MessageWebSocket, room: Broadcaster) -> Result<(), wsduo::Error> {
///     let mut subscription = room.subscribe("lobby")?;
///     while let Some(message) = socket.receive_with(&mut subscription).await? {
///         room.publish("lobby", Publication::new(message).except(subscription.id())).await;
///     }
///     Ok(())
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Broadcaster {
    shared: Arc<Shared>,
    control: SubscriptionControl,
}

/// What a [`Broadcaster`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastStatistics {
    /// Topics that somebody is subscribed to.
    pub topics: usize,
    /// Subscriptions there are.
    pub subscriptions: usize,
    /// Messages published to a topic that had receivers.
    pub published: u64,
    /// Messages put into queues: each counts once for each receiver.
    pub queued: u64,
    /// Messages that receivers missed, because their queue was full.
    pub dropped: u64,
    /// Receivers that were let go, because their queue was full.
    pub disconnected: u64,
}

#[derive(Debug, Default)]
struct Shared {
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    ids: AtomicU64,
    subscriptions: AtomicUsize,
    published: AtomicU64,
    queued: AtomicU64,
    dropped: AtomicU64,
    disconnected: AtomicU64,
}

impl Broadcaster {
    /// Longest name of a topic, in bytes.
    pub const MAX_TOPIC_NAME: usize = 256;

    /// Subscriptions have the defaults of [`SubscriptionControl`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Subscriptions have these settings, unless they are made by [`subscribe_with`](Self::subscribe_with).
    pub fn with(control: SubscriptionControl) -> Self {
        Self { shared: Arc::default(), control }
    }

    /// Subscribes to a topic: its messages from now on. [`Subscription::add`] adds further ones.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a name over [`MAX_TOPIC_NAME`](Self::MAX_TOPIC_NAME).
    pub fn subscribe(&self, topic: impl Into<Arc<str>>) -> Result<Subscription, Error> {
        self.subscribe_with(topic, self.control)
    }

    /// [`subscribe`](Self::subscribe) with settings for this receiver.
    ///
    /// # Errors
    /// As there.
    pub fn subscribe_with(
        &self,
        topic: impl Into<Arc<str>>,
        control: SubscriptionControl,
    ) -> Result<Subscription, Error> {
        let mut subscription = Subscription::new(Arc::clone(&self.shared), control);
        subscription.add(topic)?;
        Ok(subscription)
    }

    /// Publishes a message: puts it into the queue of each subscription to the topic.
    ///
    /// It goes into all of them at once. Where receivers under [`SlowConsumer::Wait`] have no room, they are waited for first, all at
    /// the same time; one that takes nothing for its [wait timeout](SubscriptionControl::wait_timeout) is let go. Otherwise nothing
    /// is waited for.
    ///
    /// # Cancel safety
    /// Safe: dropped before it returns, the message was published to nobody.
    pub async fn publish(&self, topic: &str, message: impl Into<Publication>) -> Published {
        let Some(topic) = self.shared.topic(topic) else { return Published::default() };
        let publication = message.into();
        let except = publication.except;
        let item = publication.into_item(&topic.name);
        let _turn = topic.turn.lock().await;
        let mut given_up = Published::default();
        loop {
            let full = match topic.fan_out(&item, except) {
                Ok(published) => return self.shared.count(published, given_up),
                Err(full) => full,
            };
            // One beginning for all that are full now, or those who are stuck would be waited for one after the other. Who took
            // something meanwhile and is full again is found the next time, and begins anew.
            let began = Instant::now();
            for Full { id, queue, left } in full {
                let deadline =
                    began.checked_add(queue.control.wait_timeout).unwrap_or_else(|| began + FOREVER);
                if !queue.wait_for_room(&item, left, deadline, || topic.contains(id)).await
                    && let Some((dropped, waker)) = queue.let_go()
                {
                    // At once, since this future may be dropped.
                    let dropped = self.shared.count_let_go(dropped);
                    given_up.dropped += dropped;
                    given_up.disconnected += 1;
                    waker.into_iter().for_each(std::task::Waker::wake);
                }
            }
        }
    }

    /// [`publish`](Self::publish) where nothing may be waited for, such as in a handler of
    /// [`MessageWebSocket::run`](crate::MessageWebSocket::run).
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] where `publish` would wait; the message was published to nobody.
    pub fn try_publish(&self, topic: &str, message: impl Into<Publication>) -> Result<Published, Error> {
        let Some(topic) = self.shared.topic(topic) else { return Ok(Published::default()) };
        let publication = message.into();
        let except = publication.except;
        let item = publication.into_item(&topic.name);
        let busy = |what: &str| Error::text(ErrorKind::Busy, format!("nothing was published: {what}"));
        let Ok(_turn) = topic.turn.try_lock() else {
            return Err(busy("another message waits for its turn; publish waits too"));
        };
        match topic.fan_out(&item, except) {
            Ok(published) => Ok(self.shared.count(published, Published::default())),
            Err(full) => {
                let (messages, bytes) = full.first().map(|full| full.queue.len()).unwrap_or_default();
                Err(busy(&format!(
                    "{messages} messages of {bytes} bytes wait for a receiver that is to be waited for; publish waits"
                )))
            }
        }
    }

    /// How many are subscribed to a topic.
    pub fn subscribers(&self, topic: &str) -> usize {
        self.shared.topic(topic).map_or(0, |topic| topic.len())
    }

    /// What it has done so far.
    pub fn statistics(&self) -> BroadcastStatistics {
        let Shared { topics, ids: _, subscriptions, published, queued, dropped, disconnected } =
            &*self.shared;
        BroadcastStatistics {
            topics: topics.read().unwrap_or_else(PoisonError::into_inner).len(),
            subscriptions: subscriptions.load(Ordering::Relaxed),
            published: published.load(Ordering::Relaxed),
            queued: queued.load(Ordering::Relaxed),
            dropped: dropped.load(Ordering::Relaxed),
            disconnected: disconnected.load(Ordering::Relaxed),
        }
    }
}

/// For timeouts past what a clock can tell.
const FOREVER: std::time::Duration = std::time::Duration::from_secs(1 << 30);

impl Shared {
    fn next_id(&self) -> SubscriptionId {
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
        SubscriptionId(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    fn gone(&self) {
        self.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }

    fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn join(&self, name: &Arc<str>, id: SubscriptionId, queue: &Arc<Queue>) -> Arc<Topic> {
        {
            // While this is held, the topic cannot be taken away.
            let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(topic) = topics.get(name) {
                topic.add(id, Arc::clone(queue));
                return Arc::clone(topic);
            }
        }
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let topic = topics.entry(Arc::clone(name)).or_insert_with(|| Arc::new(Topic::new(Arc::clone(name))));
        topic.add(id, Arc::clone(queue));
        Arc::clone(topic)
    }

    fn leave(&self, topic: &Arc<Topic>, id: SubscriptionId) {
        if !topic.remove(id) {
            return;
        }
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have joined meanwhile, or the name be that of another topic by now.
        if topics.get(&topic.name).is_some_and(|known| Arc::ptr_eq(known, topic)) && topic.is_empty() {
            topics.remove(&topic.name);
            // As a map does not by itself.
            if topics.len() < topics.capacity() / 4 {
                topics.shrink_to_fit();
            }
        }
    }

    fn count(&self, published: Published, given_up: Published) -> Published {
        self.published.fetch_add(1, Ordering::Relaxed);
        self.queued.fetch_add(published.receivers as u64, Ordering::Relaxed);
        self.dropped.fetch_add(published.dropped as u64, Ordering::Relaxed);
        self.disconnected.fetch_add(published.disconnected as u64, Ordering::Relaxed);
        Published {
            receivers: published.receivers,
            dropped: published.dropped + given_up.dropped,
            disconnected: published.disconnected + given_up.disconnected,
        }
    }

    fn count_let_go(&self, dropped: usize) -> usize {
        self.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
        self.disconnected.fetch_add(1, Ordering::Relaxed);
        dropped
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let most = Broadcaster::MAX_TOPIC_NAME;
    if name.len() > most {
        return Err(invalid(format!(
            "the name of a topic has {} bytes; {most} are allowed, shorten it",
            name.len()
        )));
    }
    Ok(())
}

fn invalid(text: String) -> Error {
    Error::text(ErrorKind::InvalidInput, text)
}
