//! The work that is measured, for libraries whose sockets are a `Stream` and a `Sink`.

use crate::{client, sink};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use tokio_tungstenite::tungstenite::Bytes;

/// What a library calls things.
pub trait Dialect {
    /// What its stream has.
    type Item;
    /// What its sink takes.
    type Message;

    /// A message of data.
    fn data(item: Self::Item) -> Option<Self::Message>;
    /// Whether it is text.
    fn is_text(message: &Self::Message) -> bool;
    /// A message of text.
    fn text(text: String) -> Self::Message;
    /// A message of bytes.
    fn binary(bytes: Bytes) -> Self::Message;
}

/// What the server was started for: to echo, or to count.
pub async fn serve<D: Dialect, S>(socket: S)
where
    S: Stream<Item = D::Item> + Sink<D::Message> + Unpin,
{
    if sink() { count::<D, S>(socket).await } else { echo::<D, S>(socket).await }
}

/// Counts binary messages, and answers a text message with the count.
async fn count<D: Dialect, S>(mut socket: S)
where
    S: Stream<Item = D::Item> + Sink<D::Message> + Unpin,
{
    let mut counted = 0_u64;
    while let Some(item) = socket.next().await {
        let Some(message) = D::data(item) else { continue };
        if !D::is_text(&message) {
            counted += 1;
        } else if socket.send(D::text(counted.to_string())).await.is_err() {
            return;
        }
    }
}

/// Sends back each message, and flushes when nothing is left to read.
///
/// This is `StreamExt::forward` for a socket in one piece: the best batching that `Stream` and `Sink` allow.
async fn echo<D: Dialect, S>(mut socket: S)
where
    S: Stream<Item = D::Item> + Sink<D::Message> + Unpin,
{
    let mut waiting = None;
    poll_fn(|context| {
        loop {
            if waiting.is_some() {
                if ready!(Pin::new(&mut socket).poll_ready(context)).is_err() {
                    return Poll::Ready(());
                }
                if let Some(message) = waiting.take()
                    && Pin::new(&mut socket).start_send(message).is_err()
                {
                    return Poll::Ready(());
                }
            }
            match Pin::new(&mut socket).poll_next(context) {
                Poll::Ready(Some(item)) => waiting = D::data(item),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {
                    return match Pin::new(&mut socket).poll_flush(context) {
                        Poll::Ready(Err(_)) => Poll::Ready(()),
                        _ => Poll::Pending,
                    };
                }
            }
        }
    })
    .await;
}

/// What the client was started for.
pub async fn work<D: Dialect, S>(mut socket: S, task: client::Task)
where
    S: Stream<Item = D::Item> + Sink<D::Message> + Unpin,
{
    if task.sends {
        let payload = Bytes::from(task.payload());
        for index in 1..=task.messages {
            if socket.feed(D::binary(payload.clone())).await.is_err()
                || (index % client::BATCH == 0 && socket.flush().await.is_err())
            {
                return;
            }
        }
        let _ = socket.flush().await;
    } else {
        let mut left = task.messages;
        while left > 0
            && let Some(item) = socket.next().await
        {
            left -= u64::from(D::data(item).is_some());
        }
        let _ = socket.send(D::text(client::DONE.to_owned())).await;
    }
    // Until the other end has seen all.
    while socket.next().await.is_some_and(|item| D::data(item).is_some()) {}
}
