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
    /// For reading, writing, flushing and shutting down: whether it is the time to wait.
    waits: [bool; 4],
}

impl<T> Slow<T> {
    /// One byte at a time.
    pub fn new(transport: T) -> Self {
        Self::with_chunks(transport, 1, 1)
    }

    /// So many bytes at a time.
    pub fn with_chunks(transport: T, read_chunk: usize, write_chunk: usize) -> Self {
        Self { transport, read_chunk, write_chunk, waits: [true; 4] }
    }

    /// Waits every other time.
    fn poll_turn(&mut self, operation: usize, cx: &mut Context<'_>) -> Poll<()> {
        let waits = self.waits[operation];
        self.waits[operation] = !waits;
        if waits {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
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
        Poll::Ready(result)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Slow<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(1, cx));
        let piece = &bytes[..bytes.len().min(self.write_chunk)];
        Pin::new(&mut self.transport).poll_write(cx, piece)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(2, cx));
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(3, cx));
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
