//! Asynchronous operations: futures, with progress where the original reports it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::Error;

type Run<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;
/// Told how many bytes have been done so far.
pub(crate) type Progress = Box<dyn FnMut(u32) + Send>;

/// An operation of a stream or socket: await it, or drop it to cancel it.
///
/// The original's `IAsyncAction`, `IAsyncOperation` and `IAsyncOperationWithProgress`. It begins when it is first awaited,
/// as Rust's futures do.
#[must_use = "an operation does nothing unless it is awaited"]
pub struct AsyncOperation<T> {
    state: State<T>,
}

enum State<T> {
    New { start: Box<dyn FnOnce(Progress) -> Run<T> + Send>, progress: Progress },
    Running(Run<T>),
    Done,
}

impl<T> AsyncOperation<T> {
    /// An operation that runs this future.
    pub fn new(run: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self::with_progress(|_| run)
    }

    /// An operation that tells its progress, in bytes.
    pub fn with_progress<F>(start: impl FnOnce(Box<dyn FnMut(u32) + Send>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let start = Box::new(move |progress| Box::pin(start(progress)) as Run<T>);
        Self { state: State::New { start, progress: Box::new(|_| ()) } }
    }

    /// Sets who is told how many bytes have been done so far. No effect once the operation has begun.
    pub fn progress(mut self, handler: impl FnMut(u32) + Send + 'static) -> Self {
        if let State::New { progress, .. } = &mut self.state {
            *progress = Box::new(handler);
        }
        self
    }
}

impl<T> Future for AsyncOperation<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::New { .. } = &self.state
            && let State::New { start, progress } = std::mem::replace(&mut self.state, State::Done)
        {
            self.state = State::Running(start(progress));
        }
        let State::Running(run) = &mut self.state else {
            let message = "this operation is over: its result was taken already";
            return Poll::Ready(Err(Error::new(Error::ILLEGAL_METHOD_CALL, message)));
        };
        let result = std::task::ready!(run.as_mut().poll(cx));
        self.state = State::Done;
        Poll::Ready(result)
    }
}

impl<T> std::fmt::Debug for AsyncOperation<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncOperation").finish_non_exhaustive()
    }
}
