//! tokio-tungstenite: large buffers as its configuration's documentation advises for high load.
#![forbid(unsafe_code)]

use futures_util::{SinkExt as _, StreamExt as _};
use peers::dialect::{Dialect, serve, work};
use peers::transfer::{self, End};
use peers::{MAX_MESSAGE, client, lean, run};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

struct Tungstenite;

impl Dialect for Tungstenite {
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
        Message::Binary(bytes)
    }
}

fn main() -> std::io::Result<()> {
    let buffer = if lean() { 4 * 1024 } else { 128 * 1024 };
    let config = WebSocketConfig::default()
        .read_buffer_size(buffer)
        .write_buffer_size(buffer)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    if let Some(end) = transfer::asked()? {
        return transfer::run(&end, |stream| stream_messages(stream, &end, config));
    }
    if let Some(task) = client::asked()? {
        return client::run(task, |stream, task| async move {
            let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
            work::<Tungstenite, _>(socket, task).await;
        });
    }
    run(move |stream| async move {
        if let Ok(socket) = accept_async_with_config(stream, Some(config)).await {
            serve::<Tungstenite, _>(socket).await;
        }
    })
}

/// Fed without flushing, so that what fits the buffer leaves together.
async fn stream_messages(stream: TcpStream, end: &End, config: WebSocketConfig) -> Result<u64, Error> {
    let role = if end.url.is_some() { Role::Client } else { Role::Server };
    let mut socket = WebSocketStream::from_raw_socket(stream, role, Some(config)).await;
    let mut total = 0;
    if end.sends {
        let bytes = Bytes::from(vec![7; end.chunk]);
        for len in end.writes() {
            socket.feed(Message::Binary(bytes.slice(..len))).await?;
            total += len as u64;
        }
        socket.close(None).await?;
    }
    // To the end of the closing handshake.
    while let Some(message) = socket.next().await {
        if let Message::Binary(bytes) = message? {
            total += bytes.len() as u64;
        }
    }
    Ok(total)
}
