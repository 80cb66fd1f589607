//! Handler loops: a function is called for each message, and replies leave in batches by themselves.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use wsduo_proto::{CloseCode, Closed, Connection, Delivery, Event, Message, MessageRef, Outgoing};

use crate::error::Error;
use crate::io::driver::Driver;
use crate::io::keys::Keys;
use crate::io::scratch;
use crate::io::tasks::{Half, Tasks};
use crate::message_web_socket::{MessageWebSocket, check_between_messages, poll_receive};

/// Where a handler of [`MessageWebSocket::run`] puts its replies.
#[derive(Debug)]
pub struct Replies<'a> {
    connection: &'a mut Connection,
}

impl Replies<'_> {
    /// Queues a message. It leaves, together with others, as soon as there is no more input to handle.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after [`close`](Self::close).
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), Error> {
        self.connection.lend_buffer(scratch::take_write_buffer);
        Ok(self.connection.send(message.into(), &mut Keys)?)
    }

    /// Begins the closing handshake, after all that is queued. The handler is not called any more.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a code that may not be sent or a reason over 123 bytes.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        Ok(self.connection.close(code, reason)?)
    }
}

/// Where an asynchronous handler of [`MessageWebSocket::run_async`] puts its replies.
pub struct AsyncReplies<'a, T> {
    /// For one task alone: the lock is free whenever it is wanted.
    driver: &'a Mutex<&'a mut Driver<T>>,
    /// A handler may wait in several places at once.
    tasks: &'a Tasks,
}

impl<T> std::fmt::Debug for AsyncReplies<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncReplies").finish_non_exhaustive()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncReplies<'_, T> {
    /// Queues a message; waits only while too much is queued. It leaves as soon as the handler waits for anything, or there
    /// is no more input to handle.
    ///
    /// # Errors
    /// As [`MessageWebSocket::send`].
    ///
    /// # Cancel safety
    /// Safe: dropped before it returns, the message is not sent.
    pub async fn send(&self, message: impl Into<Outgoing<'_>>) -> Result<(), Error> {
        let message = message.into();
        poll_fn(|cx| poll(self.driver, self.tasks, Half::Sender, cx, Driver::poll_room)).await?;
        with(self.driver, |driver| driver.queue(message))
    }

    /// Begins the closing handshake, after all that is queued. The handler is not called any more.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a code that may not be sent or a reason over 123 bytes.
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<(), Error> {
        with(self.driver, |driver| driver.begin_close(code, reason))
    }
}

fn with<D, R>(driver: &Mutex<D>, f: impl FnOnce(&mut D) -> R) -> R {
    // A handler that panicked did not do so with the lock held.
    f(&mut driver.lock().unwrap_or_else(PoisonError::into_inner))
}

fn poll<T: AsyncRead + AsyncWrite + Unpin, R>(
    driver: &Mutex<&mut Driver<T>>,
    tasks: &Tasks,
    half: Half,
    cx: &mut Context<'_>,
    operation: impl FnOnce(&mut Driver<T>, &mut Context<'_>) -> Poll<R>,
) -> Poll<R> {
    tasks.poll(half, cx, |cx| {
        with(driver, |driver| {
            let result = operation(driver, cx);
            (result, driver.take_changed())
        })
    })
}

/// Why the inner loop of `run` stopped.
enum Stop {
    /// Too much is queued.
    Full,
    /// The handler closes.
    Closing,
    Failed(Error),
}

impl<T: AsyncRead + AsyncWrite + Unpin> MessageWebSocket<T> {
    /// Calls `handler` for each message until the connection is closed: the fastest way to use a socket.
    ///
    /// Messages are lent from the read buffer. All that came by one read is handled before the replies leave by one write,
    /// and no reply waits longer than the task would have to. While replies cannot be written, no messages are handled.
    ///
    /// # Errors
    /// As [`receive`](Self::receive) and [`send`](Self::send), and whatever `handler` returns: then the socket is as it
    /// was after the message, and may be used further.
    ///
    /// # Cancel safety
    /// Safe: the handler is called once for each message, and what it has queued will be written by the next operation.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(mut socket: wsduo::MessageWebSocket) -> Result<(), wsduo::Error> {
    /// let closed = socket.run(|message, replies| replies.send(message)).await?;
    /// println!("{closed}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run<F>(&mut self, mut handler: F) -> Result<Closed, Error>
    where
        F: FnMut(MessageRef<'_>, &mut Replies<'_>) -> Result<(), Error>,
    {
        let driver = &mut self.inner.driver;
        check_between_messages(driver)?;
        loop {
            let stop = poll_fn(|cx| {
                driver.poll_take(cx, Delivery::Whole, |connection, event| {
                    let Event::Message(message) = event else { return None };
                    match handler(message, &mut Replies { connection }) {
                        Err(error) => Some(Stop::Failed(error)),
                        Ok(()) if !connection.is_open() => Some(Stop::Closing),
                        Ok(()) => connection.is_full().then_some(Stop::Full),
                    }
                })
            })
            .await?;
            match stop {
                None => return Ok(how_closed(driver)),
                Some(Stop::Failed(error)) => return Err(error),
                Some(Stop::Closing) => driver.discard(),
                Some(Stop::Full) => {
                    // If it cannot be written, `poll_take` will find out why.
                    let _ = poll_fn(|cx| driver.poll_flush(cx)).await;
                }
            }
        }
    }

    /// Calls an asynchronous `handler` for each message, one after the other, until the connection is closed.
    ///
    /// Replies leave in batches: as soon as the handler waits for anything, or there is no more input. While the handler
    /// waits, no further messages are taken from the network beyond a small read-ahead, pings are answered and deadlines
    /// hold.
    ///
    /// To be spawned, a handler has to own what it uses (`async move`, an `Arc`): of one that borrows from its surroundings
    /// the compiler cannot tell yet that it is `Send`.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    /// The message that the handler was working on is not handed out again; nothing else is lost.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn look_up(key: &str) -> String { key.to_owned() }
    /// # async fn example(mut socket: wsduo::MessageWebSocket) -> Result<(), wsduo::Error> {
    /// socket.run_async(async |message, replies| {
    ///     let answer = look_up(message.as_text().unwrap_or_default()).await;
    ///     replies.send(answer).await
    /// }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_async<F>(&mut self, mut handler: F) -> Result<Closed, Error>
    where
        F: AsyncFnMut(Message, &AsyncReplies<'_, T>) -> Result<(), Error>,
    {
        let driver = Mutex::new(&mut self.inner.driver);
        let tasks = Tasks::default();
        let replies = AsyncReplies { driver: &driver, tasks: &tasks };
        while let Some(message) =
            poll_fn(|cx| poll(&driver, &tasks, Half::Receiver, cx, poll_receive)).await?
        {
            let mut handling = pin!(handler(message, &replies));
            poll_fn(|cx| match handling.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(result),
                // The task is about to sleep: nothing may stay behind.
                Poll::Pending => poll(&driver, &tasks, Half::Receiver, cx, |driver, cx| {
                    driver.poll_tend(cx);
                    Poll::Pending
                }),
            })
            .await?;
        }
        Ok(with(&driver, |driver| how_closed(driver)))
    }
}

fn how_closed<T: AsyncRead + AsyncWrite + Unpin>(driver: &Driver<T>) -> Closed {
    // `poll_take` says "closed" only when there is something to say about it.
    driver.closed().cloned().unwrap_or(Closed {
        code: CloseCode::ABNORMAL,
        reason: String::new(),
        initiator: wsduo_proto::Initiator::Peer,
        clean: false,
    })
}
