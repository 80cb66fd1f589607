//! Streams to test readers and writers with.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use wsduo_winrt::{AsyncOperation, Buffer, Error, HResult, IInputStream, IOutputStream, InputStreamOptions};

/// Gives what it was told to give, one piece for each read, whatever was asked for; then waits or ends.
#[derive(Default)]
pub(crate) struct Source(Mutex<SourceState>);

#[derive(Default)]
struct SourceState {
    pieces: VecDeque<Vec<u8>>,
    ended: bool,
    asked: Vec<(u32, InputStreamOptions)>,
    closed: bool,
}

impl Source {
    /// Gives these and ends.
    pub(crate) fn of(pieces: &[&[u8]]) -> Arc<Self> {
        let source = Self::open(pieces);
        source.0.lock().unwrap().ended = true;
        source
    }

    /// Gives these and waits for more, which [`push`](Self::push) brings.
    pub(crate) fn open(pieces: &[&[u8]]) -> Arc<Self> {
        let source = Arc::new(Self::default());
        source.0.lock().unwrap().pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
        source
    }

    pub(crate) fn push(&self, piece: &[u8]) {
        self.0.lock().unwrap().pieces.push_back(piece.to_vec());
    }

    /// What was asked for, oldest first.
    pub(crate) fn asked(&self) -> Vec<(u32, InputStreamOptions)> {
        self.0.lock().unwrap().asked.clone()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().unwrap().closed
    }
}

impl IInputStream for Source {
    fn read(&self, count: u32, options: InputStreamOptions) -> AsyncOperation<Buffer> {
        let mut state = self.0.lock().unwrap();
        state.asked.push((count, options));
        if state.closed {
            return AsyncOperation::new(async { Err(Error::new(Error::CLOSED, "closed")) });
        }
        match state.pieces.pop_front() {
            Some(piece) => AsyncOperation::new(async { Ok(piece.into()) }),
            None if state.ended => AsyncOperation::new(async { Ok(Buffer::default()) }),
            None => AsyncOperation::new(pending()),
        }
    }

    fn close(&self) {
        self.0.lock().unwrap().closed = true;
    }
}

/// Keeps what is written; takes nothing while it is full.
#[derive(Default)]
pub(crate) struct Sink(Arc<Mutex<SinkState>>);

#[derive(Default)]
struct SinkState {
    written: Vec<Vec<u8>>,
    full: bool,
    broken: bool,
    closed: bool,
}

impl Sink {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.0.lock().unwrap().full = full;
    }

    /// From now on nothing that was written leaves.
    pub(crate) fn set_broken(&self) {
        self.0.lock().unwrap().broken = true;
    }

    /// What was written, a piece for each write.
    pub(crate) fn written(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().written.clone()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().unwrap().closed
    }
}

impl IOutputStream for Sink {
    fn write(&self, buffer: Buffer) -> AsyncOperation<u32> {
        let state = Arc::clone(&self.0);
        AsyncOperation::new(poll_fn(move |_| {
            let mut state = state.lock().unwrap();
            if state.closed {
                return Poll::Ready(Err(Error::new(Error::CLOSED, "closed")));
            }
            if state.full {
                return Poll::Pending;
            }
            state.written.push(buffer.as_ref().to_vec());
            Poll::Ready(Ok(buffer.length()))
        }))
    }

    fn flush(&self) -> AsyncOperation<bool> {
        let state = Arc::clone(&self.0);
        AsyncOperation::new(async move { Ok(!state.lock().unwrap().broken) })
    }

    fn close(&self) {
        self.0.lock().unwrap().closed = true;
    }
}

/// Polls once, without anybody to wake.
pub(crate) fn poll<T>(operation: &mut AsyncOperation<T>) -> Poll<Result<T, Error>> {
    Future::poll(Pin::new(operation), &mut Context::from_waker(Waker::noop()))
}

/// Polls an operation that is not to be over yet.
#[track_caller]
pub(crate) fn begin<T: std::fmt::Debug>(mut operation: AsyncOperation<T>) -> AsyncOperation<T> {
    if let Poll::Ready(result) = poll(&mut operation) {
        panic!("over at once: {result:?}");
    }
    operation
}

/// What an operation gives that needs nothing more.
#[track_caller]
pub(crate) fn done<T>(mut operation: AsyncOperation<T>) -> Result<T, Error> {
    match poll(&mut operation) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("not over"),
    }
}

/// The number of a failure.
#[track_caller]
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> HResult {
    result.unwrap_err().code()
}
