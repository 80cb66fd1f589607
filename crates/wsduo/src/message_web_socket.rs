//! The socket for whole messages.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};
use wsduo_proto::{
    CloseCode, Closed, Connection, Delivery, Event, Message, MessagePart, MessageType, Outgoing,
};

use crate::broadcast::Subscription;
use crate::control::MessageWebSocketControl;
use crate::error::{Error, ErrorKind};
use crate::information::{Facts, MessageWebSocketInformation};
use crate::io::alarm::Alarm;
use crate::io::driver::Driver;
use crate::io::tasks::{Half, Tasks};
use crate::io::transport::Transport;
use crate::observe::Asked;
use crate::parts::{MessageReader, MessageWriter};
use crate::server::registry::Seat;
use crate::split::{self, MessageReceiver, MessageSender};

/// A WebSocket for whole messages, as client or as server, on any transport.
///
/// It is driven by whoever calls it: there is no task behind it. While any of its futures is waiting, pings are answered,
/// the keepalive goes on and deadlines hold.
///
/// # Cancel safety
/// Every `async fn` of this type may be dropped at any time: no message is lost, torn or repeated.
///
/// # Examples
/// ```no_run
/// use wsduo::{CloseCode, Message, MessageWebSocket};
///
/// # async fn example() -> Result<(), wsduo::Error> {
/// let mut socket = MessageWebSocket::connect("wss://example.org/chat").await?;
/// socket.send("Hello, World!").await?;
/// while let Some(message) = socket.receive().await? {
///     match message {
///         Message::Text(text) => println!("{text}"),
///         Message::Binary(bytes) => println!("{} bytes", bytes.len()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MessageWebSocket<T = Transport> {
    /// Boxed: a socket moves through many futures, and should be small in all of them.
    pub(crate) inner: Box<Inner<T>>,
}

#[derive(Debug)]
pub(crate) struct Inner<T> {
    pub(crate) driver: Driver<T>,
    /// Apart: nobody looks at them while messages come and go.
    pub(crate) facts: Box<Facts>,
    /// Only if it is used as a stream or as a sink.
    streaming: Option<Box<Streaming>>,
}

/// What a stream and a sink need.
#[derive(Debug, Default)]
struct Streaming {
    /// Those that use the one and the other: these may be two.
    tasks: Tasks,
    /// The stream has told of its end.
    ended: bool,
}

impl MessageWebSocket {
    /// Connects as a client to a `ws` or `wss` URI, with the default settings of [`MessageWebSocketControl`].
    ///
    /// # Errors
    /// See [`MessageWebSocketControl::connect`].
    ///
    /// # Cancel safety
    /// Dropping the future closes whatever was opened.
    pub async fn connect(uri: &str) -> Result<Self, Error> {
        MessageWebSocketControl::new().connect(uri).await
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> MessageWebSocket<T> {
    pub(crate) fn open(
        transport: T,
        connection: Connection,
        facts: Facts,
        behind_handshake: Vec<u8>,
    ) -> Self {
        Self::open_asked(transport, connection, facts, behind_handshake, &Asked::default())
    }

    /// A socket that a client has asked for.
    pub(crate) fn open_asked(
        transport: T,
        connection: Connection,
        facts: Facts,
        behind_handshake: Vec<u8>,
        asked: &Asked,
    ) -> Self {
        let mut driver = Driver::new(transport, connection, behind_handshake);
        driver.begin_watch(&facts, asked);
        Self { inner: Box::new(Inner { driver, facts: Box::new(facts), streaming: None }) }
    }

    /// The socket counts among those of its listener, and closes when that shuts down.
    pub(crate) fn take_seat(&mut self, seat: Seat) {
        self.inner.driver.take_seat(seat);
    }

    /// Waits for the next message and returns it whole.
    ///
    /// `None` means that the connection was closed cleanly; [`closed`](Self::closed) tells by whom and why. Messages that
    /// were queued by [`feed`](Self::feed) leave before this waits.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] if the peer broke the rules (it was told by a close frame), [`ErrorKind::TooLarge`] past a
    /// limit, [`ErrorKind::TimedOut`], [`ErrorKind::Lost`] if the transport failed or ended without a closing handshake,
    /// [`ErrorKind::Misuse`] in the middle of a message received in parts.
    ///
    /// # Cancel safety
    /// Safe: what has arrived stays in the socket.
    pub async fn receive(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// [`receive`](Self::receive) as a poll function.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        poll_receive(&mut self.inner.driver, cx)
    }

    /// As [`receive`](Self::receive), and meanwhile sends what a subscription brings: all that the one task of a connection to a
    /// [`Broadcaster`](crate::Broadcaster) has to do.
    ///
    /// Messages are taken from the subscription while fewer than [`max_queued`](MessageWebSocketControl::max_queued) bytes wait
    /// to be written, and leave together. If the receiver is let go as too slow, the connection is closed with
    /// [`TRY_AGAIN_LATER`](CloseCode::TRY_AGAIN_LATER); then `None` comes out, or [`ErrorKind::TimedOut`] where the peer does
    /// not even take that.
    ///
    /// # Errors
    /// As [`receive`](Self::receive), and [`ErrorKind::Misuse`] where there is something to send while a message is begun by
    /// [`message_writer`](Self::message_writer); it waits on in the subscription.
    ///
    /// # Cancel safety
    /// Safe: what was taken from the subscription is queued, and the next operation writes it.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(mut socket: wsduo::MessageWebSocket, rooms: wsduo::Broadcaster) -> Result<(), wsduo::Error> {
    /// let mut subscription = rooms.subscribe("lobby")?;
    /// while let Some(message) = socket.receive_with(&mut subscription).await? {
    ///     rooms.publish("lobby", message).await;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn receive_with(&mut self, subscription: &mut Subscription) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.inner.driver.poll_receive_with(cx, subscription)).await
    }

    /// Waits for the next bytes of a message, whatever its size: the original's partial messages.
    ///
    /// The parts of a message come in order and the last has [`is_complete`](MessagePart::is_complete) set; how a message
    /// is cut depends on how it arrives. A part of a text message may end inside a character. `None` as in
    /// [`receive`](Self::receive).
    ///
    /// # Errors
    /// As [`receive`](Self::receive), but no limit applies to the size.
    ///
    /// # Cancel safety
    /// Safe: what has arrived stays in the socket.
    pub async fn receive_part(&mut self) -> Result<Option<MessagePart>, Error> {
        poll_fn(|cx| poll_receive_part(&mut self.inner.driver, cx)).await
    }

    /// Waits for the next message to begin and returns a reader of its bytes.
    ///
    /// Within a message that was begun in parts, the reader goes on with it. Dropping the reader skips the rest of the
    /// message. `None` as in [`receive`](Self::receive).
    ///
    /// # Errors
    /// As [`receive_part`](Self::receive_part).
    ///
    /// # Cancel safety
    /// Safe: what has arrived stays in the socket.
    pub async fn next_reader(&mut self) -> Result<Option<MessageReader<'_, T>>, Error> {
        let part = self.receive_part().await?;
        Ok(part.map(|part| MessageReader::new(self, part)))
    }

    /// Sends a message: text from `&str` and `String`, binary from bytes, or a [`Message`].
    ///
    /// Returns once the message, and what was queued before it, is in the hands of the transport.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] if the connection was closed, otherwise why it ended. The message was not sent then, or at
    /// least not wholly.
    ///
    /// # Cancel safety
    /// Safe: dropped before the message is queued, nothing is sent; dropped later, the next operation goes on writing it.
    pub async fn send(&mut self, message: impl Into<Outgoing<'_>>) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Queues a message without writing it, unless [`max_queued`](MessageWebSocketControl::max_queued) bytes wait already:
    /// then they are written first.
    ///
    /// Queued messages leave by [`flush`](Self::flush), and when [`receive`](Self::receive) is about to wait.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// Safe: dropped before it returns, the message is not sent.
    pub async fn feed(&mut self, message: impl Into<Outgoing<'_>>) -> Result<(), Error> {
        let message = message.into();
        poll_fn(|cx| self.inner.driver.poll_room(cx)).await?;
        self.inner.driver.queue(message)
    }

    /// Writes all that is queued.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// Safe: the next operation goes on.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.inner.driver.poll_flush(cx)).await
    }

    /// Begins a message, or goes on with the one begun, as a writer of bytes.
    ///
    /// What is written leaves in frames of its own; [`MessageWriter::finish`] ends the message. A writer that is dropped
    /// before that leaves the message unfinished: another writer may go on with it, and nothing else can be sent.
    pub fn message_writer(&mut self, message_type: MessageType) -> MessageWriter<'_, T> {
        MessageWriter::new(self, message_type)
    }

    /// Sends a ping and waits for the answer: the round-trip time. If a ping is under way already, waits for its answer.
    ///
    /// Messages that arrive before the answer are kept for [`receive`](Self::receive).
    ///
    /// # Errors
    /// As [`send`](Self::send); [`ErrorKind::TimedOut`] if the answer does not come within the
    /// [receive timeout](MessageWebSocketControl::receive_timeout), counted from when the ping was written: the connection
    /// lives on then, unless nothing else came either; [`ErrorKind::Busy`] if more than 64 KiB of messages come before the
    /// answer: receive them first.
    ///
    /// # Cancel safety
    /// Safe: the ping may have been sent, and its answer will be taken note of.
    pub async fn ping(&mut self) -> Result<Duration, Error> {
        let ping = self.inner.driver.queue_ping()?;
        let mut patience = Alarm::default();
        poll_fn(|cx| self.inner.driver.poll_pong(cx, ping, false, &mut patience)).await
    }

    /// Closes the connection: sends a close frame after all that is queued and waits for the peer's (RFC 6455 §7).
    ///
    /// Messages that arrive meanwhile are dropped; those that had arrived can still be received, up to 256 KiB of them. If the
    /// connection is closed already, tells how it was closed. Takes no longer than
    /// [`close_timeout`](MessageWebSocketControl::close_timeout); whether the peer answered is told by [`Closed::clean`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a code that may not be sent or a reason over 123 bytes; nothing has happened then.
    ///
    /// # Cancel safety
    /// Safe: the closing handshake has begun, and the next `close` or `receive` goes on with it.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<Closed, Error> {
        poll_fn(|cx| self.inner.driver.poll_close(cx, code, reason)).await
    }

    /// How the connection was closed; `None` while it is open.
    pub fn closed(&self) -> Option<&Closed> {
        self.inner.driver.closed()
    }

    /// What is known of the connection.
    pub fn information(&self) -> MessageWebSocketInformation {
        MessageWebSocketInformation::new((*self.inner.facts).clone(), &self.inner.driver)
    }

    /// Splits the socket into a receiver and a sender, for two tasks or more: the sender can be cloned.
    pub fn split(self) -> (MessageReceiver<T>, MessageSender<T>) {
        let Inner { driver, facts, .. } = *self.inner;
        split::split(driver, facts)
    }
}

pub(crate) fn poll_receive<T: AsyncRead + AsyncWrite + Unpin>(
    driver: &mut Driver<T>,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Message>, Error>> {
    check_between_messages(driver)?;
    driver.poll_take(cx, Delivery::Whole, |_, event| match event {
        Event::Message(message) => Some(message.into_owned()),
        _ => None,
    })
}

/// # Errors
/// [`ErrorKind::Misuse`] if the message under way cannot be received whole.
#[inline]
pub(crate) fn check_between_messages<T: AsyncRead + AsyncWrite + Unpin>(
    driver: &Driver<T>,
) -> Result<(), Error> {
    if driver.is_in_parts() {
        return Err(Error::text(
            ErrorKind::Misuse,
            "the message under way is being received in parts; receive them to the end before the next message",
        ));
    }
    Ok(())
}

pub(crate) fn poll_receive_part<T: AsyncRead + AsyncWrite + Unpin>(
    driver: &mut Driver<T>,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<MessagePart>, Error>> {
    driver.poll_take(cx, Delivery::Parts, |_, event| match event {
        Event::Part { bytes, message_type, is_complete } => {
            Some(MessagePart { bytes: Bytes::from(bytes.into_owned()), message_type, is_complete })
        }
        Event::Message(message) => {
            let message = message.into_owned();
            let message_type = message.message_type();
            Some(MessagePart { bytes: message.into_bytes(), message_type, is_complete: true })
        }
        _ => None,
    })
}

impl<T: AsyncRead + AsyncWrite + Unpin> Inner<T> {
    /// Polls for the stream or for the sink, which may be in the hands of different tasks.
    fn poll_half<R>(
        &mut self,
        half: Half,
        cx: &mut Context<'_>,
        operation: impl FnOnce(&mut Driver<T>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        let Self { driver, streaming, .. } = self;
        streaming.get_or_insert_default().tasks.drive(driver, half, cx, operation)
    }

    fn stream_ended(&self) -> bool {
        self.streaming.as_ref().is_some_and(|streaming| streaming.ended)
    }
}

/// The messages, then an error if the connection was not closed cleanly, then the end.
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for MessageWebSocket<T> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.inner.stream_ended() {
            return Poll::Ready(None);
        }
        self.inner.poll_half(Half::Receiver, cx, poll_receive).map(|result| {
            self.inner.streaming.get_or_insert_default().ended = !matches!(result, Ok(Some(_)));
            result.transpose()
        })
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> FusedStream for MessageWebSocket<T> {
    fn is_terminated(&self) -> bool {
        self.inner.stream_ended()
    }
}

/// Closing the sink closes the connection with [`CloseCode::NORMAL`], and fails unless the end is clean: what was sent may
/// not have arrived then.
impl<T: AsyncRead + AsyncWrite + Unpin> Sink<Message> for MessageWebSocket<T> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_half(Half::Sender, cx, Driver::poll_room)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.inner.driver.queue(message.into())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_half(Half::Sender, cx, Driver::poll_flush)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_half(Half::Sender, cx, |driver, cx| {
            ready!(driver.poll_close(cx, CloseCode::NORMAL, ""))?;
            Poll::Ready(driver.outcome())
        })
    }
}
