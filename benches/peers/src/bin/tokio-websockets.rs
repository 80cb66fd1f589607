//! tokio-websockets: messages are gathered before any is sent.
//!
//! Its stream flushes what the sink has queued before it reads on, so the loop of the others would make a
//! system call for each message. Gathering what has arrived gives it one `writev` for a batch.
#![forbid(unsafe_code)]

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use peers::dialect::{Dialect, serve, work};
use peers::socket::Socket;
use peers::{MAX_MESSAGE, client, run, sink};
use tokio_tungstenite::tungstenite::Bytes;
use tokio_websockets::{ClientBuilder, Config, Error, Limits, Message, ServerBuilder, WebSocketStream};

/// Messages gathered at most, two slices for `writev` each.
const BATCH: usize = 32;

struct Websockets;

impl Dialect for Websockets {
    type Item = Result<Message, Error>;
    type Message = Message;

    fn data(item: Self::Item) -> Option<Message> {
        item.ok().filter(|message| message.is_text() || message.is_binary())
    }

    fn is_text(message: &Message) -> bool {
        message.is_text()
    }

    fn text(text: String) -> Message {
        Message::text(text)
    }

    fn binary(bytes: Bytes) -> Message {
        Message::binary(bytes)
    }
}

fn config() -> Config {
    Config::default().frame_size(MAX_MESSAGE).flush_threshold(64 * 1024)
}

fn limits() -> Limits {
    Limits::default().max_payload_len(Some(MAX_MESSAGE))
}

fn main() -> std::io::Result<()> {
    if let Some(task) = client::asked()? {
        return client::run(task, |stream, task| {
            let socket = ClientBuilder::new().config(config()).limits(limits()).take_over(stream);
            work::<Websockets, _>(socket, task)
        });
    }
    run(|stream| async {
        let builder = ServerBuilder::new().config(config()).limits(limits());
        let Ok((_, socket)) = builder.accept(stream).await else { return };
        if sink() {
            return serve::<Websockets, _>(socket).await;
        }
        // An error is the end of the connection, which is all there is to do about it.
        let _ = echo(socket).await;
    })
}

async fn echo(mut socket: WebSocketStream<Socket>) -> Result<(), Error> {
    while let Some(first) = socket.next().await {
        let mut batch = vec![first?];
        while batch.len() < BATCH
            && let Some(Some(message)) = socket.next().now_or_never()
        {
            batch.push(message?);
        }
        for message in batch.into_iter().filter(|message| message.is_text() || message.is_binary()) {
            socket.feed(message).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}
