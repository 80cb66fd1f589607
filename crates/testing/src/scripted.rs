//! A transport whose other end is the test: input is laid down, output is looked at, and every operation is counted.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One end of a connection; see the module.
#[derive(Debug)]
pub struct Scripted {
    script: Arc<Mutex<Script>>,
}

/// The other end: for the test.
#[derive(Clone, Debug)]
pub struct Handle {
    script: Arc<Mutex<Script>>,
}

#[derive(Debug)]
struct Script {
    input: VecDeque<u8>,
    /// What reading brings once the input is used up; `None`: it waits.
    end: Option<End>,
    written: Vec<u8>,
    /// How many more bytes are taken.
    room: usize,
    write_error: Option<io::ErrorKind>,
    flush_waits: bool,
    counts: Counts,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Eof,
    Error(io::ErrorKind),
}

/// What was asked of a transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads that brought something.
    pub reads: usize,
    /// Writes that took something.
    pub writes: usize,
    /// Flushes.
    pub flushes: usize,
    /// Whether the sending side was shut down.
    pub is_shut_down: bool,
    /// Whether the transport was dropped.
    pub is_dropped: bool,
}

impl Scripted {
    /// A transport with this to be read, which then waits for more.
    pub fn new(input: impl Into<Vec<u8>>) -> (Self, Handle) {
        let script = Script {
            input: input.into().into(),
            end: None,
            written: Vec::new(),
            room: usize::MAX,
            write_error: None,
            flush_waits: false,
            counts: Counts::default(),
            reader: None,
            writer: None,
        };
        let script = Arc::new(Mutex::new(script));
        (Self { script: Arc::clone(&script) }, Handle { script })
    }
}

impl Handle {
    fn with<R>(&self, f: impl FnOnce(&mut Script) -> R) -> R {
        let (result, wakers) = {
            let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
            (f(&mut script), [script.reader.take(), script.writer.take()])
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
        result
    }

    /// More to be read.
    pub fn push(&self, input: impl AsRef<[u8]>) {
        self.with(|script| script.input.extend(input.as_ref()));
    }

    /// The input ends here.
    pub fn end(&self) {
        self.with(|script| script.end = Some(End::Eof));
    }

    /// Reading fails here.
    pub fn fail_reads(&self, kind: io::ErrorKind) {
        self.with(|script| script.end = Some(End::Error(kind)));
    }

    /// Writing fails from now on.
    pub fn fail_writes(&self, kind: io::ErrorKind) {
        self.with(|script| script.write_error = Some(kind));
    }

    /// No more than `room` further bytes are taken.
    pub fn set_room(&self, room: usize) {
        self.with(|script| script.room = room);
    }

    /// Whether flushing waits.
    pub fn set_flush_waits(&self, waits: bool) {
        self.with(|script| script.flush_waits = waits);
    }

    /// What was written so far.
    pub fn written(&self) -> Vec<u8> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).written.clone()
    }

    /// What was written since this was last asked.
    pub fn take_written(&self) -> Vec<u8> {
        std::mem::take(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner).written)
    }

    /// Gives back the memory of what was read and written.
    pub fn shrink(&self) {
        self.with(|script| {
            script.input.shrink_to_fit();
            script.written.shrink_to_fit();
        });
    }

    /// How much input is left.
    pub fn unread(&self) -> usize {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).input.len()
    }

    /// What was asked of the transport so far.
    pub fn counts(&self) -> Counts {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).counts
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).counts.is_dropped = true;
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        if script.input.is_empty() {
            return match script.end {
                Some(End::Eof) => Poll::Ready(Ok(())),
                Some(End::Error(kind)) => Poll::Ready(Err(kind.into())),
                None => {
                    script.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        let n = script.input.len().min(buffer.remaining());
        buffer.put_slice(&script.input.make_contiguous()[..n]);
        script.input.drain(..n);
        script.counts.reads += 1;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = script.write_error {
            return Poll::Ready(Err(kind.into()));
        }
        if script.room == 0 {
            script.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut taken = 0;
        for slice in slices {
            let n = slice.len().min(script.room);
            script.written.extend_from_slice(&slice[..n]);
            script.room -= n;
            taken += n;
        }
        script.counts.writes += 1;
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        if script.flush_waits {
            script.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        script.counts.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).counts.is_shut_down = true;
        Poll::Ready(Ok(()))
    }
}
