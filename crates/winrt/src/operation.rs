//! Asynchronous operations: futures, with progress where the original reports it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use wsduo::HResult;

use crate::error::Error;

type Run<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;
/// Told how many bytes have been done so far.
pub(crate) type Progress = Box<dyn FnMut(u32) + Send>;

/// How far an [`AsyncOperation`] is (spec §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum AsyncStatus {
    /// Not over yet.
    Started = 0,
    /// Over, and it gave its result.
    Completed = 1,
    /// Over, by [`cancel`](AsyncOperation::cancel).
    Canceled = 2,
    /// Over, and it failed.
    Error = 3,
}

/// An operation of a stream or socket: await it, or drop it to cancel it.
///
/// The original's `IAsyncAction`, `IAsyncOperation` and `IAsyncOperationWithProgress`. It begins when it is
/// first awaited, as Rust's futures do. Awaiting is the original's `Completed` and `GetResults`, dropping its
/// `Cancel` and `Close`. An operation has no `Id`: two of them are told apart by where they are kept.
#[must_use = "an operation does nothing unless it is awaited"]
pub struct AsyncOperation<T> {
    state: State<T>,
}

enum State<T> {
    New {
        start: Box<dyn FnOnce(Progress) -> Run<T> + Send>,
        progress: Progress,
    },
    Running(Run<T>),
    /// With the number of its failure, if it failed.
    Done(Option<HResult>),
    Canceled,
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

    /// How far it is. Before it is first awaited it is [`Started`](AsyncStatus::Started), as in the original
    /// there is no such time.
    pub fn status(&self) -> AsyncStatus {
        match self.state {
            State::New { .. } | State::Running(_) => AsyncStatus::Started,
            State::Done(None) => AsyncStatus::Completed,
            State::Done(Some(_)) => AsyncStatus::Error,
            State::Canceled => AsyncStatus::Canceled,
        }
    }

    /// What it failed with.
    pub fn error_code(&self) -> Option<HResult> {
        match self.state {
            State::Done(code) => code,
            State::New { .. } | State::Running(_) | State::Canceled => None,
        }
    }

    /// Cancels it, as dropping it does: awaiting it then fails with [`Error::ABORT`]. No effect once it is
    /// over.
    pub fn cancel(&mut self) {
        if self.status() == AsyncStatus::Started {
            self.state = State::Canceled;
        }
    }
}

impl<T> Future for AsyncOperation<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::New { .. } = &self.state
            && let State::New { start, progress } = std::mem::replace(&mut self.state, State::Done(None))
        {
            self.state = State::Running(start(progress));
        }
        let run = match &mut self.state {
            State::Running(run) => run,
            State::Canceled => {
                return Poll::Ready(Err(Error::new(Error::ABORT, "this operation was cancelled")));
            }
            State::New { .. } | State::Done(_) => {
                let message = "this operation is over: its result was taken already";
                return Poll::Ready(Err(Error::new(Error::ILLEGAL_METHOD_CALL, message)));
            }
        };
        let result = std::task::ready!(run.as_mut().poll(cx));
        self.state = State::Done(result.as_ref().err().map(Error::code));
        Poll::Ready(result)
    }
}

impl<T> std::fmt::Debug for AsyncOperation<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncOperation").field("status", &self.status()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_status_follows_the_operation() {
        let mut operation = AsyncOperation::new(async { Ok(5) });
        assert_eq!((operation.status(), operation.error_code()), (AsyncStatus::Started, None));
        assert_eq!((&mut operation).await.unwrap(), 5);
        assert_eq!((operation.status(), operation.error_code()), (AsyncStatus::Completed, None));
        operation.cancel();
        assert_eq!(operation.status(), AsyncStatus::Completed);
        assert_eq!(operation.await.unwrap_err().code(), Error::ILLEGAL_METHOD_CALL);
    }

    #[tokio::test]
    async fn a_failure_leaves_its_number() {
        let mut operation: AsyncOperation<()> =
            AsyncOperation::new(async { Err(Error::new(Error::BOUNDS, "")) });
        assert_eq!((&mut operation).await.unwrap_err().code(), Error::BOUNDS);
        assert_eq!((operation.status(), operation.error_code()), (AsyncStatus::Error, Some(Error::BOUNDS)));
    }

    #[tokio::test]
    async fn a_cancelled_operation_aborts() {
        let mut operation: AsyncOperation<()> = AsyncOperation::new(std::future::pending());
        operation.cancel();
        assert_eq!(operation.status(), AsyncStatus::Canceled);
        assert_eq!(operation.await.unwrap_err().code(), Error::ABORT);
    }
}
