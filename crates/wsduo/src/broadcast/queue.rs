//! The queue of one receiver: what waits in it, and what happens when it is full.
//!
//! Its lock is held for a push or a take, never while anybody waits, so that a receiver that stands still holds nothing up.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tokio::sync::Notify;
use tokio::time::Instant;
use wsduo_proto::PreparedMessage;

use super::control::{SlowConsumer, SubscriptionControl};
use super::subscription::TooSlow;
use crate::observe;

/// A queue that was emptied gives back the memory of more places than this.
const KEPT_PLACES: usize = 64;

/// What a message is about: its topic, and its key.
pub(super) type Slot = (Arc<str>, Option<Arc<str>>);

/// A message that waits, in any number of queues.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) message: PreparedMessage,
    pub(super) slot: Slot,
}

impl Item {
    fn size(&self) -> usize {
        self.message.as_bytes().len() + self.slot.1.as_ref().map_or(0, |key| key.len())
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) control: SubscriptionControl,
    state: Mutex<State>,
    /// Told when there may be room, if a publisher waits for it.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Arc<Item>>,
    /// The size of all `items`.
    bytes: usize,
    /// How many have left at the front: the number of the first item. An item keeps its number while it waits.
    left: u64,
    /// Under `LatestOnly`, the number of the item of each slot.
    latest: HashMap<Slot, u64>,
    receiver: Option<Waker>,
    /// The receiver has no room for a message, and wants to know only when it is let go.
    only_end: bool,
    publisher_waits: bool,
    too_slow: bool,
    dropped: u64,
}

/// What became of a message that was offered to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// It waits, and displaced so many others.
    Queued { dropped: usize },
    /// The receiver was let go, and misses so many messages.
    LetGo { dropped: usize },
    /// The receiver had been let go before.
    Gone,
}

impl Queue {
    pub(super) fn new(control: SubscriptionControl) -> Self {
        Self { control, state: Mutex::default(), room: Notify::new() }
    }

    /// Messages and bytes that wait.
    pub(super) fn len(&self) -> (usize, usize) {
        let state = self.lock();
        (state.items.len(), state.bytes)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    pub(super) fn is_gone(&self) -> bool {
        self.lock().too_slow
    }

    /// Whether publishers have to wait before this item can be queued: then how many messages have left so far.
    pub(super) fn makes_wait(&self, item: &Item) -> Option<u64> {
        if self.control.slow_consumer != SlowConsumer::Wait {
            return None;
        }
        let state = self.lock();
        let has_room = state.too_slow || state.has_room(item.size(), &self.control);
        (!has_room).then_some(state.left)
    }

    /// Puts an item into the queue, as its policy says. Whoever waits for it is to be woken.
    pub(super) fn offer(&self, item: &Arc<Item>) -> (Offered, Option<Waker>) {
        let mut state = self.lock();
        if state.too_slow {
            return (Offered::Gone, None);
        }
        let has_room = state.has_room(item.size(), &self.control);
        let offered = match self.control.slow_consumer {
            SlowConsumer::Disconnect if !has_room => Offered::LetGo { dropped: state.let_go() },
            // Publishers have waited.
            SlowConsumer::Disconnect | SlowConsumer::Wait => {
                state.push(item);
                Offered::Queued { dropped: 0 }
            }
            SlowConsumer::DropOldest => {
                let dropped = state.make_room(item.size(), &self.control);
                state.push(item);
                Offered::Queued { dropped }
            }
            SlowConsumer::LatestOnly => Offered::Queued { dropped: state.put_latest(item, &self.control) },
        };
        let (Offered::Queued { dropped } | Offered::LetGo { dropped }) = offered else {
            return (offered, None);
        };
        self.tell_dropped(dropped);
        let is_told = !state.only_end || state.too_slow;
        (offered, if is_told { state.receiver.take() } else { None })
    }

    /// Gives the receiver up for want of room for a message. How many messages it misses, and who is to be woken; `None` if it
    /// had been given up before.
    pub(super) fn let_go(&self) -> Option<(usize, Option<Waker>)> {
        let mut state = self.lock();
        if state.too_slow {
            return None;
        }
        let dropped = state.let_go();
        let receiver = state.receiver.take();
        drop(state);
        self.tell_dropped(dropped);
        // The publishers of its other topics need not wait any more.
        self.tell_publishers();
        Some((dropped, receiver))
    }

    fn tell_dropped(&self, messages: usize) {
        if messages > 0 {
            observe::dropped_messages(self.control.slow_consumer.name(), messages as u64);
        }
    }

    /// Takes the next item, or has `waker` woken when there is one. Without `has_room` for one, `waker` is woken only when the
    /// receiver is let go.
    pub(super) fn poll_take(&self, waker: &Waker, has_room: bool) -> Poll<Result<Arc<Item>, TooSlow>> {
        let mut state = self.lock();
        if state.too_slow {
            return Poll::Ready(Err(TooSlow { dropped: state.dropped }));
        }
        let item = if has_room { state.take() } else { None };
        let Some(item) = item else {
            Self::wait(state, waker, !has_room);
            return Poll::Pending;
        };
        if self.control.slow_consumer == SlowConsumer::LatestOnly {
            state.latest.remove(&item.slot);
        }
        let wake = std::mem::take(&mut state.publisher_waits);
        state.give_back();
        drop(state);
        if wake {
            self.room.notify_waiters();
        }
        Poll::Ready(Ok(item))
    }

    /// Whether there is an item to take. Otherwise `waker` is woken when there is one.
    pub(super) fn poll_ready(&self, waker: &Waker) -> Poll<Result<(), TooSlow>> {
        let state = self.lock();
        if state.too_slow {
            return Poll::Ready(Err(TooSlow { dropped: state.dropped }));
        }
        if state.items.is_empty() {
            Self::wait(state, waker, false);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Has `waker` woken by the next message, or only at the end.
    fn wait(mut state: MutexGuard<'_, State>, waker: &Waker, only_end: bool) {
        state.only_end = only_end;
        let is_known = state.receiver.as_ref().is_some_and(|known| known.will_wake(waker));
        let old = if is_known { None } else { state.receiver.replace(waker.clone()) };
        // Without the lock: a waker may drop anything, a subscription too.
        drop(state);
        drop(old);
    }

    /// Waits until there may be room for the item: until a message leaves after `left` others, or its topic does not contain the
    /// queue any more. `false`: nothing was taken until the deadline.
    pub(super) async fn wait_for_room(
        &self,
        item: &Item,
        left: u64,
        deadline: Instant,
        is_contained: impl FnOnce() -> bool,
    ) -> bool {
        let mut told = std::pin::pin!(self.room.notified());
        // Before the look, or room made in between would go unnoticed.
        told.as_mut().enable();
        if !is_contained() {
            return true;
        }
        {
            let mut state = self.lock();
            if state.too_slow || state.left != left || state.has_room(item.size(), &self.control) {
                return true;
            }
            state.publisher_waits = true;
        }
        tokio::time::timeout_at(deadline, told).await.is_ok()
    }

    /// Lets publishers that wait look again: the receiver may have left their topic, or be gone.
    pub(super) fn tell_publishers(&self) {
        self.room.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, size: usize, control: &SubscriptionControl) -> bool {
        // A message that is larger than the queue may wait in it alone.
        self.items.is_empty()
            || (self.items.len() < control.max_messages
                && self.bytes.saturating_add(size) <= control.max_bytes)
    }

    fn push(&mut self, item: &Arc<Item>) {
        self.bytes += item.size();
        self.items.push_back(Arc::clone(item));
    }

    fn take(&mut self) -> Option<Arc<Item>> {
        let item = self.items.pop_front()?;
        self.bytes -= item.size();
        self.left += 1;
        Some(item)
    }

    /// Drops the oldest until there is room, and counts them.
    fn make_room(&mut self, size: usize, control: &SubscriptionControl) -> usize {
        let mut dropped = 0;
        while !self.has_room(size, control) {
            let Some(oldest) = self.take() else { break };
            self.latest.remove(&oldest.slot);
            dropped += 1;
        }
        self.dropped += dropped as u64;
        dropped
    }

    /// Puts an item into the place of the one of its slot, or behind all others. How many were dropped for it.
    fn put_latest(&mut self, item: &Arc<Item>, control: &SubscriptionControl) -> usize {
        let place = self.latest.get(&item.slot).map(|number| (number - self.left) as usize);
        let Some(older) = place.and_then(|place| self.items.get_mut(place)) else {
            return self.append_latest(item, control);
        };
        self.bytes = self.bytes - older.size() + item.size();
        *older = Arc::clone(item);
        let mut dropped = 1;
        self.dropped += 1;
        // It may be larger than the one it replaced.
        while self.bytes > control.max_bytes && self.items.len() > 1 {
            let Some(oldest) = self.take() else { break };
            self.latest.remove(&oldest.slot);
            if Arc::ptr_eq(&oldest, item) {
                return dropped + self.append_latest(item, control);
            }
            dropped += 1;
            self.dropped += 1;
        }
        dropped
    }

    fn append_latest(&mut self, item: &Arc<Item>, control: &SubscriptionControl) -> usize {
        let dropped = self.make_room(item.size(), control);
        self.latest.insert(item.slot.clone(), self.left + self.items.len() as u64);
        self.push(item);
        dropped
    }

    /// Drops everything, and counts it with the message there is no room for: there will be nothing more.
    fn let_go(&mut self) -> usize {
        let dropped = self.items.len() + 1;
        self.dropped += dropped as u64;
        self.too_slow = true;
        self.bytes = 0;
        self.items = VecDeque::new();
        self.latest = HashMap::new();
        dropped
    }

    fn give_back(&mut self) {
        if self.items.is_empty() && self.items.capacity() > KEPT_PLACES {
            self.items = VecDeque::new();
            self.latest = HashMap::new();
        }
    }
}
