//! Handlers of events: who is told, one after the other, and what becomes of those that panic.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use crate::core::{Core, Guard};
use crate::error::Error;

/// Names a handler, for its removal (`EventRegistrationToken`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventToken(u64);

type Reaction = Pin<Box<dyn Future<Output = ()> + Send>>;
type Handler<A> = Box<dyn FnMut(Arc<Guard>, A) -> Reaction + Send>;

/// The handlers of one event.
pub(crate) struct Handlers<A> {
    /// Locked while they run; they are added and removed before anything can happen.
    list: tokio::sync::Mutex<List<A>>,
}

struct List<A> {
    next: u64,
    handlers: Vec<(EventToken, Handler<A>)>,
}

impl<A: Clone> Handlers<A> {
    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] while handlers run.
    pub(crate) fn add<F>(
        &self,
        mut handler: impl FnMut(Arc<Guard>, A) -> F + Send + 'static,
    ) -> Result<EventToken, Error>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut list = self.list.try_lock().map_err(|_| busy())?;
        let token = EventToken(list.next);
        list.next += 1;
        list.handlers.push((token, Box::new(move |socket, args| Box::pin(handler(socket, args)))));
        Ok(token)
    }

    /// No effect for a token that names none. A handler is dropped once nothing is locked.
    ///
    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] while handlers run.
    pub(crate) fn remove(&self, token: EventToken) -> Result<(), Error> {
        let mut list = self.list.try_lock().map_err(|_| busy())?;
        let index = list.handlers.iter().position(|(other, _)| *other == token);
        let removed = index.map(|index| list.handlers.remove(index));
        drop(list);
        drop(removed);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.try_lock().is_ok_and(|list| list.handlers.is_empty())
    }

    /// Tells all of them, each when the one before is done. Whether none has panicked.
    ///
    /// No handle of the socket is held meanwhile but those that the handlers hold: what waits for a handler
    /// would keep the socket open.
    pub(crate) async fn raise(&self, core: &Arc<Core>, args: &A) -> bool {
        let mut list = self.list.lock().await;
        let mut all_well = true;
        for (_, handler) in &mut list.handlers {
            // The panic itself was reported by the hook of the process; what is left is not to die of it.
            let begun = catch_unwind(AssertUnwindSafe(|| handler(core.guard(), args.clone())));
            all_well &= match begun {
                Ok(reaction) => outlive(reaction).await.is_ok(),
                Err(_) => false,
            };
        }
        all_well
    }

    /// Forgets all of them: they may own the socket that owns them. No effect while they run.
    pub(crate) fn clear(&self) {
        let forgotten = self.list.try_lock().map(|mut list| std::mem::take(&mut list.handlers));
        // What they own may be the last of the socket, so nothing may be locked.
        drop(forgotten);
    }
}

fn busy() -> Error {
    Error::new(Error::ILLEGAL_METHOD_CALL, "handlers cannot be added or removed while handlers run")
}

/// Runs a future whose panics are no reason to panic.
async fn outlive(reaction: Reaction) -> Result<(), Box<dyn Any + Send>> {
    let mut reaction = pin!(reaction);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| reaction.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

impl<A> Default for Handlers<A> {
    fn default() -> Self {
        Self { list: tokio::sync::Mutex::new(List { next: 1, handlers: Vec::new() }) }
    }
}

impl<A> fmt::Debug for Handlers<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").finish_non_exhaustive()
    }
}
