//! A transport that is well until its n-th operation.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What happens to a [`Faulty`] transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Everything fails.
    Error,
    /// Reading ends, and writing fails.
    End,
    /// Nothing comes in and nothing is taken any more: a cable was pulled.
    Silence,
    /// Writing fails; reading waits.
    WritesFail,
}

/// Passes everything on, up to the operation where its [`Fault`] begins.
#[derive(Debug)]
pub struct Faulty<T> {
    transport: T,
    fault: Fault,
    good_operations: usize,
}

impl<T> Faulty<T> {
    /// The first `good_operations` polls are passed on.
    pub fn new(transport: T, fault: Fault, good_operations: usize) -> Self {
        Self { transport, fault, good_operations }
    }

    /// The fault, if it has begun.
    fn next(&mut self) -> Option<Fault> {
        match self.good_operations.checked_sub(1) {
            Some(left) => {
                self.good_operations = left;
                None
            }
            None => Some(self.fault),
        }
    }

    fn write_fault<R>(&mut self) -> Option<Poll<io::Result<R>>> {
        Some(match self.next()? {
            Fault::Silence => Poll::Pending,
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        })
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Faulty<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.next() {
            None => Pin::new(&mut self.transport).poll_read(cx, buffer),
            Some(Fault::Error) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Fault::End) => Poll::Ready(Ok(())),
            Some(Fault::Silence | Fault::WritesFail) => Poll::Pending,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Faulty<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.write_fault() {
            Some(fault) => fault,
            None => Pin::new(&mut self.transport).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.write_fault() {
            Some(fault) => fault,
            None => Pin::new(&mut self.transport).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.write_fault() {
            Some(fault) => fault,
            None => Pin::new(&mut self.transport).poll_shutdown(cx),
        }
    }
}
