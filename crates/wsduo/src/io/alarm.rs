//! One timer per connection, which traffic does not touch.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::task::coop::unconstrained;
use tokio::time::Sleep;

/// Wakes the task that last waited, once a moment has come.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom `sleep` wakes; `None` after it was set anew.
    waker: Option<Waker>,
}

impl Alarm {
    /// The time: that of tokio, which tests can stop and turn.
    pub(crate) fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    pub(crate) fn set(&mut self, at: Option<Instant>) {
        self.waker = None;
        match (at.map(tokio::time::Instant::from_std), &mut self.sleep) {
            (Some(at), Some(sleep)) => sleep.as_mut().reset(at),
            (Some(at), sleep) => *sleep = Some(Box::pin(tokio::time::sleep_until(at))),
            (None, sleep) => *sleep = None,
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.sleep.is_some()
    }

    /// Whether the moment has come. Otherwise `cx` will be woken.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(sleep) = &mut self.sleep else { return false };
        if sleep.is_elapsed() {
            return true;
        }
        // To ask a timer costs more than all else here; it is enough to ask once for each task that waits.
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return false;
        }
        // Not subject to the budget of the task: a timer that was not asked for want of it would never wake anyone.
        match pin!(unconstrained(sleep.as_mut())).poll(cx) {
            Poll::Ready(()) => true,
            Poll::Pending => {
                self.waker = Some(cx.waker().clone());
                false
            }
        }
    }
}
