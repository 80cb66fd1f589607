//! A transport without a network: it says what it was told to, in the pieces that it was told, and keeps what it hears.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The pieces come one by one, each after a wait, and the end behind them.
pub(crate) struct Scripted<'a> {
    pieces: VecDeque<&'a [u8]>,
    has_waited: bool,
    pub(crate) written: Vec<u8>,
}

impl<'a> Scripted<'a> {
    pub(crate) fn new(pieces: &[&'a [u8]]) -> Self {
        let pieces = pieces.iter().copied().filter(|piece| !piece.is_empty()).collect();
        Self { pieces, has_waited: false, written: Vec::new() }
    }

    /// How many bytes nobody has read.
    pub(crate) fn unread(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }
}

impl AsyncRead for Scripted<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.has_waited = !self.has_waited;
        if self.has_waited {
            return Poll::Pending;
        }
        if let Some(piece) = self.pieces.front_mut() {
            let (now, later) = piece.split_at(piece.len().min(buffer.remaining()));
            buffer.put_slice(now);
            *piece = later;
            if later.is_empty() {
                self.pieces.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What becomes of a future that waits for nothing but a [`Scripted`].
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
}
