//! What a reader and a writer have in common: they own a stream, do one thing at a time, and close what they
//! own.
//!
//! This module knows who may do what and when (spec §17.4). What is read and written is for
//! [`DataReader`](crate::DataReader) and [`DataWriter`](crate::DataWriter).

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::streams::{IInputStream, IOutputStream};

/// A stream that can be owned: either of the two kinds.
pub(crate) trait Close {
    fn close(&self);
}

impl Close for dyn IInputStream {
    fn close(&self) {
        IInputStream::close(self);
    }
}

impl Close for dyn IOutputStream {
    fn close(&self) {
        IOutputStream::close(self);
    }
}

/// A stream and the data of its reader or writer. When the last handle of it goes, it closes the stream.
///
/// The lock is held for moments only: never while waiting, and never while a stream's own code runs.
pub(crate) struct Owner<S: Close + ?Sized, D> {
    state: Mutex<State<S, D>>,
    /// Ends the operation under way when the owner is closed.
    closing: CancellationToken,
}

struct State<S: ?Sized, D> {
    stream: Option<Arc<S>>,
    phase: Phase,
    data: D,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Busy,
    Closed,
}

impl<S: Close + ?Sized, D> Owner<S, D> {
    pub(crate) fn new(stream: Option<Arc<S>>, data: D) -> Arc<Self> {
        let state = Mutex::new(State { stream, phase: Phase::Idle, data });
        Arc::new(Self { state, closing: CancellationToken::new() })
    }

    /// What can be done at any time.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut D) -> T) -> T {
        act(&mut self.lock().data)
    }

    /// What can be done while no operation is under way.
    ///
    /// # Errors
    /// [`Error::CLOSED`] and [`Error::INVALID_OPERATION`], and what `act` fails with.
    pub(crate) fn with_idle<T>(&self, act: impl FnOnce(&mut D) -> Result<T, Error>) -> Result<T, Error> {
        let mut state = self.lock();
        state.idle()?;
        act(&mut state.data)
    }

    /// Begins an operation on the stream. It is over when what it returns is dropped.
    ///
    /// # Errors
    /// [`Error::CLOSED`], and [`Error::INVALID_OPERATION`] if an operation is under way or there is no
    /// stream.
    pub(crate) fn begin(self: &Arc<Self>) -> Result<Underway<S, D>, Error> {
        let mut state = self.lock();
        state.idle()?;
        let stream = Arc::clone(state.stream.as_ref().ok_or_else(no_stream)?);
        state.phase = Phase::Busy;
        Ok(Underway { owner: Arc::clone(self), stream })
    }

    /// Gives the stream away, and what `act` takes out of the data.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub(crate) fn detach_stream<T>(&self, act: impl FnOnce(&mut D) -> T) -> Result<Arc<S>, Error> {
        let (stream, _taken) = {
            let mut state = self.lock();
            state.idle()?;
            let stream = state.stream.take().ok_or_else(no_stream)?;
            (stream, act(&mut state.data))
        };
        Ok(stream)
    }

    /// Closes this and the stream; returns what `act` takes out of the data. Again: no effect on either.
    pub(crate) fn close<T>(&self, act: impl FnOnce(&mut D) -> T) -> T {
        let (stream, taken) = {
            let mut state = self.lock();
            state.phase = Phase::Closed;
            (state.stream.take(), act(&mut state.data))
        };
        self.closing.cancel();
        if let Some(stream) = stream {
            stream.close();
        }
        taken
    }

    // A panic while the lock was held can only be one of the allocator: the data is whole.
    fn lock(&self) -> MutexGuard<'_, State<S, D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Close + ?Sized, D> Drop for Owner<S, D> {
    fn drop(&mut self) {
        self.close(|_| ());
    }
}

impl<S: ?Sized, D> State<S, D> {
    fn idle(&self) -> Result<(), Error> {
        match self.phase {
            Phase::Idle => Ok(()),
            Phase::Busy => {
                let message =
                    "an operation is under way on this reader or writer: await it first, or drop it";
                Err(Error::new(Error::INVALID_OPERATION, message))
            }
            Phase::Closed => Err(Error::new(Error::CLOSED, "this reader or writer is closed")),
        }
    }
}

/// An operation under way. Dropped, it is over.
pub(crate) struct Underway<S: Close + ?Sized, D> {
    pub(crate) owner: Arc<Owner<S, D>>,
    pub(crate) stream: Arc<S>,
}

impl<S: Close + ?Sized, D> Underway<S, D> {
    /// Waits for what the stream does, unless the owner is closed meanwhile.
    ///
    /// # Errors
    /// [`Error::ABORT`] if it is, and what the stream fails with.
    pub(crate) async fn wait<T>(&self, act: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let closing = &self.owner.closing;
        match closing.run_until_cancelled(act).await {
            Some(Ok(result)) => Ok(result),
            // The stream may be the first to notice that both were closed.
            Some(Err(error)) if !closing.is_cancelled() => Err(error),
            Some(Err(_)) | None => {
                Err(Error::new(Error::ABORT, "the reader or writer was closed during the operation"))
            }
        }
    }
}

impl<S: Close + ?Sized, D> Drop for Underway<S, D> {
    fn drop(&mut self) {
        let mut state = self.owner.lock();
        if state.phase == Phase::Busy {
            state.phase = Phase::Idle;
        }
    }
}

fn no_stream() -> Error {
    let message = "there is no stream: it was detached, or none was given at the beginning";
    Error::new(Error::INVALID_OPERATION, message)
}
