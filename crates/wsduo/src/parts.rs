//! One message as a stream of bytes, in either direction.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use wsduo_proto::{MessagePart, MessageType};

use crate::error::Error;
use crate::message_web_socket::{MessageWebSocket, poll_receive_part};

/// Most bytes of a frame that a [`MessageWriter`] sends.
const FRAME: usize = 64 << 10;

/// Reads one message; see [`MessageWebSocket::next_reader`].
///
/// The end of the message is the end of the reader. A connection that ends within the message is an error, never an end.
/// Dropping the reader skips the rest of the message: the next receiving operation drops what still arrives of it.
#[derive(Debug)]
pub struct MessageReader<'a, T: AsyncRead + AsyncWrite + Unpin> {
    socket: &'a mut MessageWebSocket<T>,
    message_type: MessageType,
    bytes: Bytes,
    is_complete: bool,
}

impl<'a, T: AsyncRead + AsyncWrite + Unpin> MessageReader<'a, T> {
    pub(crate) fn new(socket: &'a mut MessageWebSocket<T>, first: MessagePart) -> Self {
        let MessagePart { bytes, message_type, is_complete } = first;
        Self { socket, message_type, bytes, is_complete }
    }

    /// The type of the message.
    pub fn message_type(&self) -> MessageType {
        self.message_type
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncBufRead for MessageReader<'_, T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.bytes.is_empty() && !this.is_complete {
            match ready!(poll_receive_part(&mut this.socket.inner.driver, cx))? {
                Some(part) => {
                    this.bytes = part.bytes;
                    this.is_complete = part.is_complete;
                }
                None => {
                    let error = io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the connection was closed in the middle of a message",
                    );
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(&this.bytes))
    }

    fn consume(self: Pin<&mut Self>, n: usize) {
        let this = self.get_mut();
        this.bytes.advance(n.min(this.bytes.len()));
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for MessageReader<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let available = ready!(self.as_mut().poll_fill_buf(cx))?;
        let n = available.len().min(buffer.remaining());
        buffer.put_slice(&available[..n]);
        self.consume(n);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Drop for MessageReader<'_, T> {
    fn drop(&mut self) {
        if !self.is_complete {
            self.socket.inner.driver.skip_message();
        }
    }
}

/// Writes one message; see [`MessageWebSocket::message_writer`].
///
/// Each write becomes a frame of at most 64 KiB. The message ends with [`finish`](Self::finish); shutting the writer down
/// does the same. Text may be cut anywhere between writes, but has to be UTF-8 in the end.
#[derive(Debug)]
pub struct MessageWriter<'a, T: AsyncRead + AsyncWrite + Unpin> {
    socket: &'a mut MessageWebSocket<T>,
    message_type: MessageType,
    compress: bool,
    finished: bool,
}

impl<'a, T: AsyncRead + AsyncWrite + Unpin> MessageWriter<'a, T> {
    pub(crate) fn new(socket: &'a mut MessageWebSocket<T>, message_type: MessageType) -> Self {
        Self { socket, message_type, compress: true, finished: false }
    }

    /// Does not compress the message, unless it was begun already: for what is compressed as it is, and for secrets next to
    /// text that someone else chose (see [`Compression`](crate::Compression)).
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.compress = false;
        self
    }

    /// Ends the message and writes all that is queued.
    ///
    /// # Errors
    /// As [`MessageWebSocket::send`]; [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if text ends inside a
    /// character.
    ///
    /// # Cancel safety
    /// Safe: once it has been polled the message is ended, and leaves with the next operation if it has not yet.
    pub async fn finish(mut self) -> Result<(), Error> {
        std::future::poll_fn(|cx| self.poll_finish(cx)).await
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let driver = &mut self.socket.inner.driver;
        if !self.finished {
            // Without waiting for room, or whoever drops the future could not tell whether the message is ended.
            driver.queue_part(self.message_type, &[], true, self.compress)?;
            self.finished = true;
        }
        driver.poll_flush(cx)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MessageWriter<'_, T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.finished {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the message is finished")));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let driver = &mut this.socket.inner.driver;
        ready!(driver.poll_room(cx))?;
        let frame = &bytes[..bytes.len().min(FRAME)];
        driver.queue_part(this.message_type, frame, false, this.compress)?;
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().socket.inner.driver.poll_flush(cx).map_err(Into::into)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_finish(cx).map_err(Into::into)
    }
}
