//! The threads that serve: each has a runtime of its own, and a connection stays with the thread that it was given to.
//!
//! One loop accepts, so the limits of the listener hold for all threads together, on every system; the connections go to whichever
//! thread has fewest. Nothing of a connection is handed from thread to thread afterwards, as it would be by a runtime that steals work.

use std::future::poll_fn;
use std::io;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::task::Poll;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

/// All threads that serve.
#[derive(Debug)]
pub(super) struct Workers {
    /// That of the thread that accepts comes first.
    handles: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    /// Dropped when the others are to end.
    over: watch::Sender<()>,
}

impl Workers {
    /// Starts so many threads, or one for each processor: this one, whose runtime is returned too, and the others.
    ///
    /// # Errors
    /// If the system has no room for so many.
    pub(super) fn start(threads: Option<NonZeroUsize>) -> io::Result<(Self, Runtime)> {
        let threads = match threads {
            Some(threads) => threads,
            // Where the system does not tell, one does.
            None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        };
        let runtime = || Builder::new_current_thread().enable_all().build();
        let first = runtime()?;
        let (over, watched) = watch::channel(());
        let mut workers = Self { handles: vec![first.handle().clone()], threads: Vec::new(), over };
        for number in 1..threads.get() {
            let runtime = runtime()?;
            let mut over = watched.clone();
            workers.handles.push(runtime.handle().clone());
            let thread = std::thread::Builder::new().name(format!("serve-{number}")).spawn(move || {
                // An error is what there is to wait for.
                let _ = runtime.block_on(over.changed());
                runtime.shutdown_background();
            })?;
            workers.threads.push(thread);
        }
        Ok((workers, first))
    }

    /// Waits for something as the thread that has least to do would: what is opened when it is there belongs to that thread, which
    /// is returned too.
    ///
    /// # Cancel safety
    /// That of the future.
    pub(super) async fn for_idlest<T>(&self, future: impl Future<Output = T>) -> (T, &Handle) {
        let mut future = pin!(future);
        poll_fn(|context| {
            let idlest = self.idlest();
            let _inside = idlest.enter();
            match future.as_mut().poll(context) {
                Poll::Ready(value) => Poll::Ready((value, idlest)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn idlest(&self) -> &Handle {
        let tasks = |handle: &&Handle| handle.metrics().num_alive_tasks();
        // There is always the first.
        self.handles.iter().min_by_key(tasks).unwrap_or(&self.handles[0])
    }

    /// Ends the other threads, with what connections are left there.
    pub(super) fn end(self) {
        drop(self.over);
        for thread in self.threads {
            // A panic has been told already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_to_the_thread_that_has_fewest() {
        let (workers, runtime) = Workers::start(NonZeroUsize::new(3)).unwrap();
        let tasks = || workers.handles.iter().map(|it| it.metrics().num_alive_tasks()).collect::<Vec<_>>();
        let (end, mut ended) = watch::channel(());
        runtime.block_on(async {
            for _ in 0..7 {
                let (mut ended, worker) = workers.for_idlest(async { ended.clone() }).await;
                worker.spawn(async move { ended.changed().await });
            }
            assert_eq!(tasks(), [3, 2, 2]);
            let (id, worker) = workers.for_idlest(async { Handle::current().id() }).await;
            assert_eq!((id, worker.id()), (workers.handles[1].id(), workers.handles[1].id()));
            drop(end);
            let _ = ended.changed().await;
        });
        workers.end();
    }
}
