//! The socket for streams of bytes.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use wsduo_proto::{CloseCode, Closed, MessageType, Outgoing};

use crate::error::{Error, ErrorKind};
use crate::information::{Facts, StreamWebSocketInformation};
use crate::io::driver::Driver;
use crate::io::tasks::{Half, Tasks};
use crate::io::transport::Transport;
use crate::message_web_socket::{Inner, MessageWebSocket};
use crate::stream_control::{Framing, StreamWebSocketControl, Style};
use crate::stream_split::{self, StreamReader, StreamWriter};

/// How many bytes [`AsyncBufRead`] offers at most.
const CHUNK: usize = 64 << 10;

/// A stream of bytes over the binary messages of a WebSocket, as client or as server, on any transport.
///
/// For what does not fit in memory: the parts of a message can be read while the rest is on its way, and no limit applies
/// to its size. Where messages begin and end cannot be seen.
///
/// It is driven by whoever calls it: there is no task behind it. While a read, a write or a flush waits, pings are answered,
/// the keepalive goes on and deadlines hold.
///
/// # Reading
/// The end of the stream is a closing handshake: [`closed`](Self::closed) tells the code. A connection that is lost, a broken
/// rule, a timeout or an end within a message is an [`io::Error`] with an [`Error`] inside, and never looks like the end.
/// Where the reader's buffer takes 4 KiB or more of a large message, they are received right there.
///
/// Whoever stops reading stops the sender, which waits for at most its
/// [`send_timeout`](StreamWebSocketControl::send_timeout) without progress.
///
/// # Writing
/// What a write becomes is told by [`Framing`]; an empty write becomes nothing. Written bytes are queued. They leave when the
/// stream is flushed, when [`max_queued`](StreamWebSocketControl::max_queued) bytes wait, and when a read is about to wait.
///
/// # Shutting down
/// `shutdown` ([`AsyncWrite`]) writes what is queued, ends the message begun and goes through the closing handshake. Its
/// success means that the peer has received everything. It takes at most
/// [`close_timeout`](StreamWebSocketControl::close_timeout).
///
/// A WebSocket cannot be closed in one direction alone: the peer answers a close frame with its own as soon as it sees it
/// (RFC 6455 §5.5.1), and sends nothing more. What it sent before is not lost: it is kept for reads during and after the
/// shutdown. No more than some 64 KiB are kept without a reader, however, and then the shutdown waits for one. So read
/// to the end first, or [split](Self::split) the stream, or [`close`](Self::close) it, which drops what still arrives.
/// Protocols that need one direction to stay open have to say in their own words that the other is done.
///
/// # Cancel safety
/// Every `async fn` of this type, and reads, writes, flushes and shutdowns, may be dropped at any time: no byte is lost, torn
/// or repeated.
///
/// # Examples
/// ```no_run
/// use tokio::io::AsyncWriteExt;
/// use wsduo::StreamWebSocket;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut file = tokio::fs::File::open("holiday.mp4").await?;
/// let mut stream = StreamWebSocket::connect("wss://example.org/upload").await?;
/// tokio::io::copy(&mut file, &mut stream).await?;
/// stream.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StreamWebSocket<T = Transport> {
    inner: Box<StreamInner<T>>,
}

#[derive(Debug)]
struct StreamInner<T> {
    driver: Driver<T>,
    /// Reader and writer may be in the hands of different tasks.
    tasks: Tasks,
    facts: Box<Facts>,
    reading: Reading,
    writing: Writing,
}

impl StreamWebSocket {
    /// Connects as a client to a `ws` or `wss` URI, with the default settings of [`StreamWebSocketControl`].
    ///
    /// # Errors
    /// See [`MessageWebSocketControl::connect`](crate::MessageWebSocketControl::connect).
    ///
    /// # Cancel safety
    /// Dropping the future closes whatever was opened.
    pub async fn connect(uri: &str) -> Result<Self, Error> {
        StreamWebSocketControl::new().connect(uri).await
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> StreamWebSocket<T> {
    /// Makes a stream of a socket that is between messages.
    pub(crate) fn over(socket: MessageWebSocket<T>, style: Style) -> Self {
        let Inner { mut driver, facts, .. } = *socket.inner;
        driver.begin_stream();
        let (reading, writing) = (Reading::new(style), Writing::new(style));
        Self { inner: Box::new(StreamInner { driver, tasks: Tasks::default(), facts, reading, writing }) }
    }

    /// Closes the connection: sends a close frame after all that is queued and waits for the peer's (RFC 6455 §7).
    ///
    /// Bytes that have arrived and were not read are dropped, and so are those that still arrive. If the connection is closed
    /// already, tells how it was closed. Takes no longer than [`close_timeout`](StreamWebSocketControl::close_timeout);
    /// whether the peer answered is told by [`Closed::clean`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a code that may not be sent or a reason over 123 bytes; nothing has happened then.
    ///
    /// # Cancel safety
    /// Safe: the closing handshake has begun, and the next `close`, `shutdown` or read goes on with it.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<Closed, Error> {
        let StreamInner { driver, reading, .. } = &mut *self.inner;
        driver.begin_close(code, reason)?;
        let closed = poll_fn(|cx| driver.poll_close(cx, code, reason)).await?;
        reading.drop_chunk();
        Ok(closed)
    }

    /// How the connection was closed; `None` while it is open.
    pub fn closed(&self) -> Option<&Closed> {
        self.inner.driver.closed()
    }

    /// What is known of the connection.
    pub fn information(&self) -> StreamWebSocketInformation {
        StreamWebSocketInformation::new((*self.inner.facts).clone(), &self.inner.driver)
    }

    /// Splits the stream into a reader and a writer, for two tasks.
    pub fn split(self) -> (StreamReader<T>, StreamWriter<T>) {
        let StreamInner { driver, facts, reading, writing, .. } = *self.inner;
        stream_split::split(driver, facts, reading, writing)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for StreamWebSocket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let StreamInner { driver, tasks, reading, .. } = &mut *self.inner;
        reading.poll_read(room, |room, refuse_text| {
            tasks.drive(driver, Half::Receiver, cx, |driver, cx| driver.poll_payload(cx, room, refuse_text))
        })
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncBufRead for StreamWebSocket<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let StreamInner { driver, tasks, reading, .. } = &mut *self.get_mut().inner;
        reading.poll_fill_buf(|room, refuse_text| {
            tasks.drive(driver, Half::Receiver, cx, |driver, cx| driver.poll_payload(cx, room, refuse_text))
        })
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        self.inner.reading.consume(n);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for StreamWebSocket<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let StreamInner { driver, tasks, writing, .. } = &mut *self.inner;
        let written =
            tasks.drive(driver, Half::Sender, cx, |driver, cx| writing.poll_write(driver, cx, bytes));
        written.map_err(Into::into)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let StreamInner { driver, tasks, writing, .. } = &mut *self.inner;
        let flushed = tasks.drive(driver, Half::Sender, cx, |driver, cx| writing.poll_flush(driver, cx));
        flushed.map_err(Into::into)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let StreamInner { driver, tasks, writing, .. } = &mut *self.inner;
        let ended = tasks.drive(driver, Half::Sender, cx, |driver, cx| writing.poll_shutdown(driver, cx));
        ended.map_err(Into::into)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> MessageWebSocket<T> {
    /// Makes a stream of bytes of a socket that is between messages: what arrives from here on is read as bytes.
    ///
    /// Of `control`, the settings that only streams have apply; the others were settled when the socket was opened.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] if a message was received or sent in part. The socket comes back with the error.
    pub fn into_stream(
        self,
        control: &StreamWebSocketControl,
    ) -> Result<StreamWebSocket<T>, IntoStreamError<T>> {
        if self.inner.driver.is_mid_message() {
            return Err(IntoStreamError { socket: self });
        }
        Ok(StreamWebSocket::over(self, control.style))
    }
}

/// A socket that could not become a stream: it is in the middle of a message.
pub struct IntoStreamError<T> {
    socket: MessageWebSocket<T>,
}

impl<T> IntoStreamError<T> {
    /// The socket as it was.
    pub fn into_socket(self) -> MessageWebSocket<T> {
        self.socket
    }
}

impl<T> From<IntoStreamError<T>> for Error {
    fn from(error: IntoStreamError<T>) -> Self {
        Self::text(ErrorKind::Misuse, error.to_string())
    }
}

impl<T> fmt::Debug for IntoStreamError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoStreamError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for IntoStreamError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message was received or sent in part; finish it before the socket becomes a stream")
    }
}

impl<T> std::error::Error for IntoStreamError<T> {}

/// The reading side of a stream: what was read for [`AsyncBufRead`] and not consumed.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Empty, or [`CHUNK`] bytes of which `start..end` are to be consumed.
    chunk: Vec<u8>,
    start: usize,
    end: usize,
    refuse_text: bool,
}

impl Reading {
    fn new(style: Style) -> Self {
        Self { chunk: Vec::new(), start: 0, end: 0, refuse_text: style.refuse_text }
    }

    /// Reads into `room`, by `fill` unless there is something left.
    pub(crate) fn poll_read(
        &mut self,
        room: &mut ReadBuf<'_>,
        fill: impl FnOnce(&mut ReadBuf<'_>, bool) -> Poll<Result<(), Error>>,
    ) -> Poll<io::Result<()>> {
        if self.start < self.end {
            let n = room.remaining().min(self.end - self.start);
            room.put_slice(&self.chunk[self.start..self.start + n]);
            self.consume(n);
            return Poll::Ready(Ok(()));
        }
        self.drop_chunk();
        if room.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        fill(room, self.refuse_text).map_err(Into::into)
    }

    pub(crate) fn poll_fill_buf(
        &mut self,
        fill: impl FnOnce(&mut ReadBuf<'_>, bool) -> Poll<Result<(), Error>>,
    ) -> Poll<io::Result<&[u8]>> {
        if self.start == self.end {
            if self.chunk.is_empty() {
                self.chunk = vec![0; CHUNK];
            }
            let mut room = ReadBuf::new(&mut self.chunk);
            let result = fill(&mut room, self.refuse_text);
            (self.start, self.end) = (0, room.filled().len());
            if self.end == 0 {
                // An idle stream owns no buffer.
                self.drop_chunk();
            }
            ready!(result)?;
        }
        Poll::Ready(Ok(&self.chunk[self.start..self.end]))
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n.min(self.end - self.start);
    }

    fn drop_chunk(&mut self) {
        (self.chunk, self.start, self.end) = (Vec::new(), 0, 0);
    }
}

/// The writing side of a stream: how writes become messages.
#[derive(Debug)]
pub(crate) struct Writing {
    framing: Framing,
    frame_size: usize,
    /// The one message of [`Framing::OneMessage`] was ended.
    ended: bool,
}

impl Writing {
    fn new(style: Style) -> Self {
        Self { framing: style.framing, frame_size: style.frame_size, ended: false }
    }

    pub(crate) fn poll_write<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        driver: &mut Driver<T>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(driver.poll_room(cx))?;
        let frame = &bytes[..bytes.len().min(self.frame_size)];
        match self.framing {
            Framing::MessagePerWrite => driver.queue(Outgoing::from(frame))?,
            Framing::MessagePerFlush | Framing::OneMessage => {
                driver.queue_part(MessageType::Binary, frame, false, true)?;
            }
        }
        Poll::Ready(Ok(frame.len()))
    }

    pub(crate) fn poll_flush<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        driver: &mut Driver<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if self.framing == Framing::MessagePerFlush && driver.is_unfinished() && driver.is_open() {
            driver.queue_part(MessageType::Binary, &[], true, true)?;
        }
        driver.poll_flush(cx)
    }

    pub(crate) fn poll_shutdown<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        driver: &mut Driver<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if driver.is_open() {
            let one = self.framing == Framing::OneMessage && !self.ended;
            if one || driver.is_unfinished() {
                driver.queue_part(MessageType::Binary, &[], true, true)?;
                self.ended = true;
            }
        }
        driver.poll_shutdown(cx)
    }
}
