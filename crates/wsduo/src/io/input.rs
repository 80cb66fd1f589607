//! Bytes that were read and not yet consumed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::scratch;

/// The unread input of a connection: within a poll in the thread's read buffer, between polls in memory of its own that
/// is no larger than what it holds.
#[derive(Debug, Default)]
pub(crate) struct Input {
    buffer: Vec<u8>,
    /// Unconsumed bytes lie in `start..end`; `start <= end <= buffer.len()`. No buffer here is anywhere near 4 GiB.
    start: u32,
    end: u32,
    /// Whether `buffer` is the thread's and has to be given back before the poll ends.
    is_shared: bool,
}

impl Input {
    /// Input that came before there was a connection: behind the opening handshake.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { start: 0, end: bytes.len() as u32, buffer: bytes, is_shared: false }
    }

    /// The unread bytes, and where they start, which is to be moved on by what is consumed of them: so that this can be
    /// done while something still borrows them.
    #[inline]
    pub(crate) fn cursor(&mut self) -> (&mut [u8], &mut u32) {
        (&mut self.buffer[self.start as usize..self.end as usize], &mut self.start)
    }

    #[inline]
    pub(crate) fn unread(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start as usize..self.end as usize]
    }

    /// Memory of its own.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[inline]
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n as u32;
    }

    /// Reads more behind what is there: the number of bytes, zero at the end of the transport.
    ///
    /// What is there must be short: a header or a control frame that is not complete.
    pub(crate) fn poll_fill<T: AsyncRead + Unpin>(
        &mut self,
        transport: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.poll_fill_some(transport, cx, usize::MAX)
    }

    /// [`poll_fill`](Self::poll_fill), but reads at most so many bytes.
    #[inline]
    pub(crate) fn poll_fill_some<T: AsyncRead + Unpin>(
        &mut self,
        transport: &mut T,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let start = self.end as usize;
        let end = self.buffer.len().min(start.saturating_add(most));
        let mut read = ReadBuf::new(&mut self.buffer[start..end]);
        let result = ready!(Pin::new(transport).poll_read(cx, &mut read));
        let n = read.filled().len();
        self.end += n as u32;
        Poll::Ready(result.map(|()| n))
    }

    /// Moves what is unread to the front of the thread's buffer.
    #[inline]
    fn make_room(&mut self) {
        let (start, end) = (self.start as usize, self.end as usize);
        if !self.is_shared {
            let rest = std::mem::replace(&mut self.buffer, scratch::take_read_buffer());
            let unread = &rest[start..end];
            if self.buffer.len() < unread.len() + scratch::READ_BUFFER / 2 {
                self.buffer.resize(unread.len() + scratch::READ_BUFFER, 0);
            }
            self.buffer[..unread.len()].copy_from_slice(unread);
            self.is_shared = true;
        } else if start > 0 {
            self.buffer.copy_within(start..end, 0);
        }
        self.start = 0;
        self.end = (end - start) as u32;
    }

    /// Gives the thread's buffer back; what is unread moves to memory of its own. Has to be called before a poll ends.
    #[inline]
    pub(crate) fn park(&mut self) {
        if self.is_shared {
            self.park_shared();
        } else if self.start == self.end && self.end > 0 {
            *self = Self::default();
        }
    }

    fn park_shared(&mut self) {
        let rest = self.unread().to_vec();
        let shared = std::mem::replace(self, Self::new(rest)).buffer;
        scratch::give_read_buffer(shared);
    }
}
