//! The two halves of a socket: one receives, any number send.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use wsduo_proto::{CloseCode, Closed, CommandError, Message, MessagePart, MessageType, Outgoing};

use crate::broadcast::Subscription;
use crate::error::Error;
use crate::information::{Facts, MessageWebSocketInformation};
use crate::io::alarm::Alarm;
use crate::io::driver::{Changed, Driver};
use crate::io::tasks::{Half, Tasks};
use crate::message_web_socket::{poll_receive, poll_receive_part};

/// The receiving half of a socket; see [`MessageWebSocket::split`](crate::MessageWebSocket::split).
///
/// The connection stays open until this half and all senders are dropped. Once this half is dropped, messages that arrive
/// are dropped too.
#[derive(Debug)]
pub struct MessageReceiver<T> {
    shared: Arc<Shared<T>>,
    stream_ended: bool,
}

/// The sending half of a socket; clones of it send on the same connection. See
/// [`MessageWebSocket::split`](crate::MessageWebSocket::split).
#[derive(Debug)]
pub struct MessageSender<T> {
    shared: Arc<Shared<T>>,
    /// Tells the senders of a connection apart.
    number: u64,
}

#[derive(Debug)]
pub(crate) struct Shared<T> {
    /// Held within a poll, never across a wait.
    driver: Mutex<Driver<T>>,
    tasks: Tasks,
    facts: Box<Facts>,
    /// How many senders there were.
    senders: AtomicU64,
    /// The sender whose message is under way in parts; 0: none.
    sends_parts: AtomicU64,
}

pub(crate) fn split<T>(driver: Driver<T>, facts: Box<Facts>) -> (MessageReceiver<T>, MessageSender<T>) {
    let shared = Shared::new(driver, facts);
    let sender = MessageSender::new(Arc::clone(&shared));
    (MessageReceiver { shared, stream_ended: false }, sender)
}

impl<T> Shared<T> {
    pub(crate) fn new(driver: Driver<T>, facts: Box<Facts>) -> Arc<Self> {
        Arc::new(Self {
            driver: Mutex::new(driver),
            tasks: Tasks::default(),
            facts,
            senders: AtomicU64::new(0),
            sends_parts: AtomicU64::new(0),
        })
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Shared<T> {
    /// Polls the connection for one half; the others are woken if something happened that they may wait for.
    pub(crate) fn poll<R>(
        &self,
        half: Half,
        cx: &mut Context<'_>,
        operation: impl FnOnce(&mut Driver<T>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        self.tasks.poll(half, cx, |cx| {
            let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
            let result = operation(&mut driver, cx);
            (result, driver.take_changed())
        })
    }

    pub(crate) fn with<R>(&self, operation: impl FnOnce(&mut Driver<T>) -> R) -> R {
        operation(&mut self.driver.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn information(&self) -> MessageWebSocketInformation {
        self.with(|driver| MessageWebSocketInformation::new((*self.facts).clone(), driver))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> MessageReceiver<T> {
    /// As [`MessageWebSocket::receive`](crate::MessageWebSocket::receive).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Safe: what has arrived stays in the socket.
    pub async fn receive(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.shared.poll(Half::Receiver, cx, poll_receive)).await
    }

    /// As [`MessageWebSocket::receive_part`](crate::MessageWebSocket::receive_part).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Safe: what has arrived stays in the socket.
    pub async fn receive_part(&mut self) -> Result<Option<MessagePart>, Error> {
        poll_fn(|cx| self.shared.poll(Half::Receiver, cx, poll_receive_part)).await
    }

    /// Waits for something else and keeps the connection going meanwhile: what is queued leaves, pings are answered, the
    /// keepalive goes on and deadlines hold.
    ///
    /// Messages are read ahead to find what is behind them, up to 64 KiB, and kept for the next receiving operation. So
    /// whoever handles one message at a time holds the peer back, and looks alive all the same.
    ///
    /// # Cancel safety
    /// As safe as the future given.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example() -> Result<(), wsduo::Error> {
    /// # async fn store(message: wsduo::Message) {}
    /// let (mut receiver, sender) = wsduo::MessageWebSocket::connect("wss://example.org").await?.split();
    /// while let Some(message) = receiver.receive().await? {
    ///     receiver.tend(store(message)).await;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn tend<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(output),
            // The task is about to sleep: nothing may stay behind.
            Poll::Pending => self.shared.poll(Half::Receiver, cx, |driver, cx| {
                driver.poll_tend(cx);
                Poll::Pending
            }),
        })
        .await
    }

    /// How the connection was closed; `None` while it is open.
    pub fn closed(&self) -> Option<Closed> {
        self.shared.with(|driver| driver.closed().cloned())
    }

    /// What is known of the connection.
    pub fn information(&self) -> MessageWebSocketInformation {
        self.shared.information()
    }
}

impl<T> Drop for MessageReceiver<T> {
    fn drop(&mut self) {
        // Messages that nobody can receive would keep senders from seeing what comes behind them.
        self.shared.driver.lock().unwrap_or_else(PoisonError::into_inner).discard();
        self.shared.tasks.wake(Changed { for_receiver: false, for_senders: true });
    }
}

/// As the stream of [`MessageWebSocket`](crate::MessageWebSocket).
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for MessageReceiver<T> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.stream_ended {
            return Poll::Ready(None);
        }
        self.shared.poll(Half::Receiver, cx, poll_receive).map(|result| {
            self.stream_ended = !matches!(result, Ok(Some(_)));
            result.transpose()
        })
    }
}

impl<T> Clone for MessageSender<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl<T> MessageSender<T> {
    fn new(shared: Arc<Shared<T>>) -> Self {
        let number = shared.senders.fetch_add(1, Ordering::Relaxed) + 1;
        Self { shared, number }
    }
}

impl<T> Drop for MessageSender<T> {
    fn drop(&mut self) {
        // Another may go on with the message.
        let owner = &self.shared.sends_parts;
        let _ = owner.compare_exchange(self.number, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> MessageSender<T> {
    /// As [`MessageWebSocket::send`](crate::MessageWebSocket::send); messages of one task keep their order.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Safe: dropped before the message is queued, nothing is sent; dropped later, any half goes on writing it.
    pub async fn send(&self, message: impl Into<Outgoing<'_>>) -> Result<(), Error> {
        self.queue(message.into()).await?;
        self.flush().await
    }

    /// As [`MessageWebSocket::feed`](crate::MessageWebSocket::feed). A receiver that waits in another task writes what is
    /// queued; without one, [`flush`](Self::flush) has to.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Safe: dropped before it returns, the message is not sent.
    pub async fn feed(&self, message: impl Into<Outgoing<'_>>) -> Result<(), Error> {
        self.queue(message.into()).await?;
        self.shared.tasks.wake(Changed { for_receiver: true, for_senders: false });
        Ok(())
    }

    /// As [`feed`](Self::feed), but never waits: for those who rather drop a message than wait for a slow peer.
    ///
    /// # Errors
    /// As [`feed`](Self::feed), and [`ErrorKind::Busy`](crate::ErrorKind::Busy) if
    /// [`max_queued`](crate::MessageWebSocketControl::max_queued) bytes wait already; the message is not sent then.
    pub fn try_feed<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), Error> {
        let message = message.into();
        self.shared.with(|driver| driver.try_queue(message))?;
        self.shared.tasks.wake(Changed { for_receiver: true, for_senders: false });
        Ok(())
    }

    /// How many bytes are queued and not in the hands of the transport yet; little more than
    /// [`max_queued`](crate::MessageWebSocketControl::max_queued) and the largest message.
    pub fn queued_bytes(&self) -> usize {
        self.shared.with(|driver| driver.queued())
    }

    /// Sends what a subscription brings, until the connection ends: for a task, or a branch of one, beside another that
    /// receives. [`MessageWebSocket::receive_with`](crate::MessageWebSocket::receive_with) does both in one.
    ///
    /// Returns if the receiver was let go as too slow: then it has closed the connection, with
    /// [`TRY_AGAIN_LATER`](CloseCode::TRY_AGAIN_LATER).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// Safe: what was taken from the subscription is queued, and any half goes on writing it.
    pub async fn forward(&self, subscription: &mut Subscription) -> Result<Closed, Error> {
        poll_fn(|cx| {
            // The subscription wakes who sends, not all halves.
            let waker = cx.waker().clone();
            self.shared.poll(Half::Sender, cx, |driver, cx| driver.poll_forward(cx, &waker, subscription))
        })
        .await
    }

    /// Sends a part of a message as a frame of its own: the first part begins the message, the one with `is_complete` ends
    /// it. Text may be cut anywhere between parts, but has to be UTF-8 in the end.
    ///
    /// Returns once the part, and what was queued before it, is in the hands of the transport. While the message is under
    /// way, nothing but its parts can be sent: not by this sender, and by no clone of it. Should this one be dropped, another
    /// may go on with the message.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`ErrorKind::Misuse`](crate::ErrorKind::Misuse) while a message of another sender is under
    /// way, or if the type is not that of the message begun; [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput)
    /// for text that is not UTF-8. Nothing was sent then.
    ///
    /// # Cancel safety
    /// Safe: dropped before the part is queued, nothing is sent; dropped later, any half goes on writing it.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example() -> Result<(), wsduo::Error> {
    /// use wsduo::{MessageType, MessageWebSocket};
    ///
    /// let (_receiver, sender) = MessageWebSocket::connect("wss://example.org").await?.split();
    /// sender.send_part(MessageType::Text, b"Hello, ", false).await?;
    /// sender.send_part(MessageType::Text, b"World!", true).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_part(
        &self,
        message_type: MessageType,
        bytes: &[u8],
        is_complete: bool,
    ) -> Result<(), Error> {
        self.feed_part(message_type, bytes, is_complete).await?;
        self.flush().await
    }

    /// As [`send_part`](Self::send_part), but returns once the part is queued, as [`feed`](Self::feed) does: for those who
    /// have to know that it is.
    ///
    /// # Errors
    /// As [`send_part`](Self::send_part).
    ///
    /// # Cancel safety
    /// Safe: dropped before it returns, the part is not sent.
    pub async fn feed_part(
        &self,
        message_type: MessageType,
        bytes: &[u8],
        is_complete: bool,
    ) -> Result<(), Error> {
        let owner = &self.shared.sends_parts;
        poll_fn(|cx| {
            self.shared.poll(Half::Sender, cx, |driver, cx| {
                ready!(driver.poll_room(cx))?;
                let by = owner.load(Ordering::Relaxed);
                if by != 0 && by != self.number {
                    return Poll::Ready(Err(Error::from(CommandError::MessageUnfinished)));
                }
                driver.queue_part(message_type, bytes, is_complete, true)?;
                owner.store(if is_complete { 0 } else { self.number }, Ordering::Relaxed);
                Poll::Ready(Ok(()))
            })
        })
        .await?;
        self.shared.tasks.wake(Changed { for_receiver: true, for_senders: false });
        Ok(())
    }

    async fn queue(&self, message: Outgoing<'_>) -> Result<(), Error> {
        let mut message = Some(message);
        poll_fn(|cx| {
            self.shared.poll(Half::Sender, cx, |driver, cx| {
                // Room and queueing under one lock, or another sender could take the room.
                driver.poll_room(cx).map(|room| {
                    room.and_then(|()| message.take().map_or(Ok(()), |message| driver.queue(message)))
                })
            })
        })
        .await
    }

    /// As [`MessageWebSocket::flush`](crate::MessageWebSocket::flush): writes what all senders have queued.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Safe: any half goes on.
    pub async fn flush(&self) -> Result<(), Error> {
        poll_fn(|cx| self.shared.poll(Half::Sender, cx, Driver::poll_flush)).await
    }

    /// As [`MessageWebSocket::ping`](crate::MessageWebSocket::ping), but where many messages come before the answer, waits
    /// for the receiver to take them.
    ///
    /// # Errors
    /// As there, without [`ErrorKind::Busy`](crate::ErrorKind::Busy).
    ///
    /// # Cancel safety
    /// Safe: the ping may have been sent, and its answer will be taken note of.
    pub async fn ping(&self) -> Result<Duration, Error> {
        let ping = self.shared.with(Driver::queue_ping)?;
        let mut patience = Alarm::default();
        poll_fn(|cx| {
            self.shared.poll(Half::Sender, cx, |driver, cx| driver.poll_pong(cx, ping, true, &mut patience))
        })
        .await
    }

    /// As [`MessageWebSocket::close`](crate::MessageWebSocket::close). The receiver gets what had arrived before, then `None`.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Safe: the closing handshake has begun, and any half goes on with it.
    pub async fn close(&self, code: CloseCode, reason: &str) -> Result<Closed, Error> {
        poll_fn(|cx| self.shared.poll(Half::Sender, cx, |driver, cx| driver.poll_close(cx, code, reason)))
            .await
    }

    /// What is known of the connection.
    pub fn information(&self) -> MessageWebSocketInformation {
        self.shared.information()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use wsduo_proto::Role;

    use crate::{ErrorKind, MessageWebSocketControl};

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_not_being_read_is_not_called_silent() {
        let (ours, mut theirs) = tokio::io::duplex(256 << 10);
        let (mut receiver, sender) =
            MessageWebSocketControl::new().from_transport(ours, Role::Client).split();
        // More than is read ahead.
        for _ in 0..3 {
            theirs.write_all(&[0x82, 0x7e, 0xff, 0xff]).await.unwrap();
            theirs.write_all(&[b'x'; 0xffff]).await.unwrap();
        }
        // Takes what we send, pings included, but slowly.
        let slow = tokio::spawn(async move {
            let mut taken = [0; 4 << 10];
            while theirs.read(&mut taken).await.unwrap() > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });

        for _ in 0..100 {
            sender.send(vec![b'x'; 8 << 10]).await.unwrap();
        }

        for _ in 0..3 {
            assert_eq!(receiver.receive().await.unwrap().unwrap().len(), 0xffff);
        }
        slow.abort();
    }
    #[test]
    fn a_lost_peer_whose_data_is_unread_is_told_to_every_sender() {
        let (tell, told) = std::sync::mpsc::channel();
        // In a thread of its own, since what this guards against is a poll that never returns.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (ours, mut theirs) = tokio::io::duplex(256 << 10);
                let (mut receiver, sender) =
                    MessageWebSocketControl::new().from_transport(ours, Role::Client).split();
                for _ in 0..3 {
                    theirs.write_all(&[0x82, 0x7e, 0xff, 0xff]).await.unwrap();
                    theirs.write_all(&[b'x'; 0xffff]).await.unwrap();
                }
                drop(theirs);
                for _ in 0..3 {
                    assert_eq!(sender.send("x").await.unwrap_err().kind(), ErrorKind::Lost);
                }
                for _ in 0..3 {
                    assert_eq!(receiver.receive().await.unwrap().unwrap().len(), 0xffff);
                }
                assert_eq!(receiver.receive().await.unwrap_err().kind(), ErrorKind::Lost);
            });
            tell.send(()).unwrap();
        });
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(()));
    }
}
