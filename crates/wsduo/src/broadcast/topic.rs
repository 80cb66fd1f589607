//! A topic: the queues that its messages go to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::publication::Published;
use super::queue::{Item, Offered, Queue};
use super::subscription::SubscriptionId;

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    /// Held by the publisher whose turn it is, also while it waits for room: so messages get into all queues in the order in
    /// which they were published. Others queue for it in order.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// In the order of subscription. Its lock is held while a message goes into the queues, and never while anybody waits.
    queues: Mutex<BTreeMap<SubscriptionId, Arc<Queue>>>,
}

/// A queue that has to be waited for.
pub(super) struct Full {
    pub(super) id: SubscriptionId,
    pub(super) queue: Arc<Queue>,
    /// How many messages had left it.
    pub(super) left: u64,
}

impl Topic {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self { name, turn: tokio::sync::Mutex::const_new(()), queues: Mutex::default() }
    }

    pub(super) fn add(&self, id: SubscriptionId, queue: Arc<Queue>) {
        self.lock().insert(id, queue);
    }

    /// Whether nobody is left.
    pub(super) fn remove(&self, id: SubscriptionId) -> bool {
        let mut queues = self.lock();
        queues.remove(&id);
        queues.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(super) fn contains(&self, id: SubscriptionId) -> bool {
        self.lock().contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Puts an item into all queues but one, unless one of them has no room and is to be waited for.
    ///
    /// # Errors
    /// All queues to wait for; the item is in no queue.
    pub(super) fn fan_out(
        &self,
        item: &Arc<Item>,
        except: Option<SubscriptionId>,
    ) -> Result<Published, Vec<Full>> {
        let mut published = Published::default();
        // Woken at the end, since nobody knows what a waker does.
        let mut wakers: Vec<Waker> = Vec::new();
        let mut queues = self.lock();
        let is_meant = |id: &SubscriptionId| Some(*id) != except;
        let mut full = Vec::new();
        for (id, queue) in queues.iter().filter(|(id, _)| is_meant(id)) {
            if let Some(left) = queue.makes_wait(item) {
                full.push(Full { id: *id, queue: Arc::clone(queue), left });
            }
        }
        if !full.is_empty() {
            return Err(full);
        }
        let mut gone = Vec::new();
        for (id, queue) in queues.iter().filter(|(id, _)| is_meant(id)) {
            let (offered, waker) = queue.offer(item);
            wakers.extend(waker);
            match offered {
                Offered::Queued { dropped } => {
                    published.receivers += 1;
                    published.dropped += dropped;
                }
                Offered::LetGo { dropped } => {
                    published.disconnected += 1;
                    published.dropped += dropped;
                    gone.push(*id);
                }
                Offered::Gone => gone.push(*id),
            }
        }
        for id in gone {
            queues.remove(&id);
        }
        drop(queues);
        wakers.into_iter().for_each(Waker::wake);
        Ok(published)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SubscriptionId, Arc<Queue>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
