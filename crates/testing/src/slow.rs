//! A transport that lets its task wait before every operation, and then moves a few bytes only.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Each operation is pending once, with the task woken at once, and then moves at most `chunk` bytes: so there is a place
/// to be interrupted before every byte.
#[derive(Debug)]
pub struct Slow<T> {
    transport: T,
    read_chunk: usize,
    write_chunk: usize,
    /// For reading, writing, flushing and shutting down: whether the next operation has waited.
    waited: [bool; 4],
}

impl<T> Slow<T> {
    /// One byte at a time.
    pub fn new(transport: T) -> Self {
        Self::with_chunks(transport, 1, 1)
    }

    /// So many bytes at a time.
    pub fn with_chunks(transport: T, read_chunk: usize, write_chunk: usize) -> Self {
        Self { transport, read_chunk, write_chunk, waited: [false; 4] }
    }

    /// Waits before each operation, once.
    fn poll_turn(&mut self, operation: usize, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waited[operation] {
            self.waited[operation] = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// The operation is done: before the next there is a wait again.
    fn done<R>(&mut self, operation: usize, result: R) -> Poll<R> {
        self.waited[operation] = false;
        Poll::Ready(result)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Slow<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(0, cx));
        let mut piece = vec![0; self.read_chunk.min(buffer.remaining())];
        let mut piece = ReadBuf::new(&mut piece);
        let result = ready!(Pin::new(&mut self.transport).poll_read(cx, &mut piece));
        buffer.put_slice(piece.filled());
        self.done(0, result)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Slow<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(1, cx));
        let piece = &bytes[..bytes.len().min(self.write_chunk)];
        let result = ready!(Pin::new(&mut self.transport).poll_write(cx, piece));
        self.done(1, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(2, cx));
        let result = ready!(Pin::new(&mut self.transport).poll_flush(cx));
        self.done(2, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(3, cx));
        let result = ready!(Pin::new(&mut self.transport).poll_shutdown(cx));
        self.done(3, result)
    }
}
