//! tokio-tungstenite: large buffers as its configuration's documentation advises for high load.
#![forbid(unsafe_code)]

use futures_util::{SinkExt as _, StreamExt as _};
use peers::service::Service;
use peers::transfer::{self, End};
use peers::{MAX_MESSAGE, Server, Transport, client, echo, lean, run};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

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
            let is_data = |item: Result<Message, Error>| {
                item.is_ok_and(|message| message.is_text() || message.is_binary())
            };
            client::work(socket, task, is_data, |bytes| Message::Binary(bytes.clone()), Message::text).await;
        });
    }
    run(Echo { config })
}

#[derive(Clone)]
struct Echo {
    config: WebSocketConfig,
}

impl Server for Echo {
    async fn serve(self, stream: impl Transport) {
        let mut service = Service::from_arguments();
        if let Ok(socket) = accept_async_with_config(stream, Some(self.config)).await {
            echo(socket, |message| {
                let message = message.ok()?;
                let is_text = message.is_text();
                let is_data = is_text || message.is_binary();
                is_data.then(|| service.reply(message, is_text, Message::text)).flatten()
            })
            .await;
        }
    }
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
