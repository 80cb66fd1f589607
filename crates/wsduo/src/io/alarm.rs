//! What wakes a connection beside its transport: one timer, which traffic does not touch, and the call of its listener.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::runtime::{Handle, Id};
use tokio::task::coop::unconstrained;
use tokio::time::Sleep;

use crate::server::registry::{Call, Seat};

/// Wakes the task that last waited, once a moment has come or the listener calls.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// The runtime that `sleep` is of. A socket may be moved to another, and that one does not drive it.
    runtime: Option<Id>,
    /// Whom `sleep` and `seat` wake; `None` after one of them was set anew.
    waker: Option<Waker>,
    /// The connection's place in its listener, if it has one.
    seat: Option<Seat>,
}

impl Alarm {
    /// The time: that of tokio, which tests can stop and turn.
    pub(crate) fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    pub(crate) fn set(&mut self, at: Option<Instant>) {
        self.waker = None;
        match (at.map(tokio::time::Instant::from_std), &mut self.sleep) {
            (Some(at), Some(sleep)) if self.runtime == here() => sleep.as_mut().reset(at),
            (Some(at), sleep) => {
                *sleep = Some(Box::pin(tokio::time::sleep_until(at)));
                self.runtime = here();
            }
            (None, sleep) => *sleep = None,
        }
    }

    /// From now on rings when the listener calls, too.
    pub(crate) fn take_seat(&mut self, seat: Seat) {
        self.waker = None;
        self.seat = Some(seat);
    }

    /// What the listener asks for, if it is new.
    pub(crate) fn heed(&mut self) -> Option<Call> {
        self.seat.as_mut()?.heed()
    }

    pub(crate) fn is_set(&self) -> bool {
        self.sleep.is_some()
    }

    /// Whether the moment has come. Otherwise `cx` will be woken.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_due() {
            return true;
        }
        // To ask a timer costs more than all else here; it is enough to ask once for each task that waits.
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return false;
        }
        self.ask(cx)
    }

    #[inline]
    fn is_due(&mut self) -> bool {
        self.sleep.as_ref().is_some_and(|sleep| sleep.is_elapsed()) && self.has_come()
            || self.seat.as_ref().is_some_and(Seat::is_called)
    }

    /// Whether the timer did not only end because its runtime did. If so, it goes on in this one.
    #[cold]
    fn has_come(&mut self) -> bool {
        let Some(at) = self.sleep.as_ref().map(|sleep| sleep.deadline()) else { return false };
        let has_come = at <= tokio::time::Instant::now();
        if !has_come {
            self.set(Some(at.into_std()));
        }
        has_come
    }

    fn ask(&mut self, cx: &mut Context<'_>) -> bool {
        if self.sleep.is_none() && self.seat.is_none() {
            return false;
        }
        if let Some(at) = self.sleep.as_ref().map(|sleep| sleep.deadline())
            && self.runtime != here()
        {
            self.set(Some(at.into_std()));
        }
        if let Some(sleep) = &mut self.sleep {
            // Not subject to the budget of the task: a timer that was not asked for want of it would never wake anyone.
            if pin!(unconstrained(sleep.as_mut())).poll(cx) == Poll::Ready(()) {
                return true;
            }
        }
        if let Some(seat) = &self.seat {
            seat.watch(cx.waker());
            // It may have called just before.
            if seat.is_called() {
                return true;
            }
        }
        self.waker = Some(cx.waker().clone());
        false
    }
}

fn here() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}
