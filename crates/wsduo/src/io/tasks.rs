//! Several tasks on one connection: each waits in its own slot, and whatever the connection waits for wakes them all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncRead, AsyncWrite};

use super::driver::{Changed, Driver};

/// The tasks that share a connection.
#[derive(Debug)]
pub(crate) struct Tasks {
    waiting: Arc<Waiting>,
    /// Wakes all of `waiting`: what is given to the transport and to the alarm, since any task may be the one that has to
    /// go on.
    waker: Waker,
}

/// What a task does with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Receiver,
    Sender,
}

#[derive(Debug, Default)]
struct Waiting {
    /// How often tasks were woken. Changes with `wakers` locked.
    wakes: AtomicU64,
    wakers: Mutex<Wakers>,
}

#[derive(Debug, Default)]
struct Wakers {
    receiver: Option<Waker>,
    senders: Vec<Waker>,
}

impl Default for Tasks {
    fn default() -> Self {
        let waiting = Arc::new(Waiting::default());
        Self { waker: Waker::from(Arc::clone(&waiting)), waiting }
    }
}

impl Tasks {
    /// Polls the connection for one task; others are woken if something happened that they may wait for.
    pub(crate) fn poll<R>(
        &self,
        half: Half,
        cx: &mut Context<'_>,
        operation: impl FnOnce(&mut Context<'_>) -> (Poll<R>, Changed),
    ) -> Poll<R> {
        let mut wakes = self.waiting.wakes();
        let (result, changed) = operation(&mut Context::from_waker(&self.waker));
        if (changed.for_receiver || changed.for_senders) && self.waiting.wake_those(changed) == wakes {
            wakes += 1;
        }
        // Only who waits is remembered, and not if there may be something new already: then nobody else would tell.
        if result.is_pending() && !self.waiting.register(half, cx.waker(), wakes) {
            cx.waker().wake_by_ref();
        }
        result
    }

    /// [`poll`](Self::poll) for a driver that is at hand.
    pub(crate) fn drive<T: AsyncRead + AsyncWrite + Unpin, R>(
        &self,
        driver: &mut Driver<T>,
        half: Half,
        cx: &mut Context<'_>,
        operation: impl FnOnce(&mut Driver<T>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        self.poll(half, cx, |cx| {
            let result = operation(driver, cx);
            (result, driver.take_changed())
        })
    }

    /// Wakes those that may wait for the change.
    pub(crate) fn wake(&self, changed: Changed) {
        self.waiting.wake_those(changed);
    }
}

impl Waiting {
    fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Acquire)
    }

    /// `false`, and nothing is done, if tasks were woken since there were so many `wakes`.
    fn register(&self, half: Half, waker: &Waker, wakes: u64) -> bool {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        if self.wakes() != wakes {
            return false;
        }
        let Wakers { receiver, senders } = &mut *wakers;
        let is_known = |known: &Waker| known.will_wake(waker);
        let replaced = match half {
            Half::Receiver if receiver.as_ref().is_some_and(is_known) => None,
            Half::Receiver => receiver.replace(waker.clone()),
            Half::Sender if senders.iter().any(is_known) => None,
            Half::Sender => {
                senders.push(waker.clone());
                None
            }
        };
        // Without the lock: a waker that is dropped may run anything.
        drop(wakers);
        drop(replaced);
        true
    }

    /// Returns how often tasks had been woken before.
    fn wake_those(&self, changed: Changed) -> u64 {
        let (receiver, senders, wakes) = {
            let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
            let receiver = if changed.for_receiver { wakers.receiver.take() } else { None };
            let senders = if changed.for_senders { std::mem::take(&mut wakers.senders) } else { Vec::new() };
            (receiver, senders, self.wakes.fetch_add(1, Ordering::AcqRel))
        };
        for waker in receiver.into_iter().chain(senders) {
            waker.wake();
        }
        wakes
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_those(Changed { for_receiver: true, for_senders: true });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// What a waker belongs to: finds out, when it is dropped, whether the lock is free.
    struct Task(Arc<Waiting>, Arc<AtomicBool>);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Task {
        fn drop(&mut self) {
            self.1.store(self.0.wakers.try_lock().is_ok(), Ordering::Relaxed);
        }
    }

    #[test]
    fn a_waker_that_is_replaced_is_dropped_without_the_lock() {
        let waiting = Arc::new(Waiting::default());
        let was_free = Arc::new(AtomicBool::new(false));
        let task = Waker::from(Arc::new(Task(Arc::clone(&waiting), Arc::clone(&was_free))));
        assert!(waiting.register(Half::Receiver, &task, 0));
        drop(task);
        assert!(waiting.register(Half::Receiver, Waker::noop(), 0));
        assert!(was_free.load(Ordering::Relaxed));
    }
}
