//! The bytes of a stream socket that have arrived and were not read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::buffer::Buffer;
use crate::core::Core;
use crate::error::Error;
use crate::operation::AsyncOperation;
use crate::streams::{IInputStream, InputStreamOptions};

/// How much is received before it is asked for.
const AHEAD: usize = 64 << 10;

/// What a piece costs beside its bytes, so that small ones are not free.
const PIECE: usize = 64;

/// Bytes between the task that receives and whoever reads.
#[derive(Debug, Default)]
pub(crate) struct Input {
    state: Mutex<State>,
    /// There is more to read, or an end.
    arrived: Notify,
    /// There is room, or nobody reads any more.
    taken: Notify,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Bytes>,
    /// Bytes of the pieces, and what they cost.
    len: usize,
    cost: usize,
    /// What the read that waits wants.
    wanted: Option<usize>,
    end: Option<End>,
    is_closed: bool,
}

/// What comes behind the last byte.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The peer has closed the connection.
    Clean,
    Failed(Error),
    /// The socket was closed on this side: what was not read is gone.
    Closed,
}

impl Input {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until more may be received.
    pub(crate) async fn room(&self) {
        loop {
            {
                let state = self.lock();
                if state.cost < AHEAD || state.wanted.is_some_and(|wanted| state.len < wanted) {
                    return;
                }
            }
            self.taken.notified().await;
        }
    }

    pub(crate) fn push(&self, bytes: Bytes) {
        let mut state = self.lock();
        if !bytes.is_empty() && !state.is_closed && state.end.is_none() {
            state.len += bytes.len();
            state.cost += bytes.len() + PIECE;
            state.pieces.push_back(bytes);
            self.arrived.notify_one();
        }
    }

    /// Nothing more comes. The first end is the end.
    pub(crate) fn end(&self, end: End) {
        let mut state = self.lock();
        if matches!(end, End::Closed) {
            state.clear();
        }
        state.end.get_or_insert(end);
        self.arrived.notify_one();
        self.taken.notify_one();
    }

    /// The stream was closed: what arrives is dropped.
    fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.clear();
        self.arrived.notify_one();
        self.taken.notify_one();
    }

    async fn read(&self, count: usize, options: InputStreamOptions) -> Result<Bytes, Error> {
        {
            let mut state = self.lock();
            if state.is_closed || matches!(state.end, Some(End::Closed)) {
                return Err(Error::new(Error::CLOSED, "the stream is closed; nothing more can be read"));
            }
            if state.wanted.is_some() {
                let text = "another read of this stream is under way; wait for it first";
                return Err(Error::new(Error::INVALID_OPERATION, text));
            }
            state.wanted = Some(count);
        }
        let _reading = Reading { input: self };
        self.taken.notify_one();
        let enough = if options.0 & InputStreamOptions::PARTIAL.0 == 0 { count } else { count.min(1) };
        loop {
            {
                let mut state = self.lock();
                if state.is_closed {
                    return Err(aborted());
                }
                if state.len >= enough || (state.end.is_some() && state.len > 0) {
                    return Ok(state.take(count));
                }
                match &state.end {
                    None => {}
                    Some(End::Clean) => return Ok(Bytes::new()),
                    Some(End::Failed(error)) => return Err(error.clone()),
                    Some(End::Closed) => return Err(aborted()),
                }
            }
            self.arrived.notified().await;
        }
    }
}

fn aborted() -> Error {
    Error::new(Error::ABORT, "the read was cancelled: the stream was closed on this side")
}

impl State {
    fn take(&mut self, count: usize) -> Bytes {
        let mut taken = Bytes::new();
        let mut gathered = BytesMut::new();
        while taken.len() + gathered.len() < count {
            let Some(piece) = self.pieces.front_mut() else { break };
            let n = piece.len().min(count - taken.len() - gathered.len());
            let bytes = piece.split_to(n);
            if piece.is_empty() {
                self.pieces.pop_front();
                self.cost -= PIECE;
            }
            self.len -= n;
            self.cost -= n;
            if taken.is_empty() && gathered.is_empty() {
                // Usually there is but one.
                taken = bytes;
            } else {
                gathered.extend_from_slice(&std::mem::take(&mut taken));
                gathered.extend_from_slice(&bytes);
            }
        }
        if gathered.is_empty() { taken } else { gathered.freeze() }
    }

    fn clear(&mut self) {
        (self.pieces, self.len, self.cost) = (VecDeque::new(), 0, 0);
    }
}

/// A read that waits; dropped with it, so that another may come.
struct Reading<'a> {
    input: &'a Input,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.input.lock().wanted = None;
        // What was taken leaves room.
        self.input.taken.notify_one();
    }
}

/// The `InputStream` of a socket.
#[derive(Debug)]
pub(crate) struct InputStream {
    pub(crate) core: Arc<Core>,
}

impl IInputStream for InputStream {
    fn read(&self, count: u32, options: InputStreamOptions) -> AsyncOperation<Buffer> {
        let core = Arc::clone(&self.core);
        AsyncOperation::with_progress(move |mut progress| async move {
            core.check_was_opened()?;
            let bytes = core.input.read(count as usize, options).await?;
            progress(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            Ok(Buffer::from(bytes))
        })
    }

    fn close(&self) {
        self.core.input.close();
    }
}
