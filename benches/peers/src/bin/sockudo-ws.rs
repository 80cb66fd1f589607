//! sockudo-ws: its own stream, without the pings and idle deadline that no other server here has.
#![forbid(unsafe_code)]

use peers::deflate::{Deflate, FORGETTING};
use peers::dialect::{Dialect, serve, work};
use peers::{MAX_MESSAGE, client, run, shake_with};
use sockudo_ws::deflate::DeflateConfig;
use sockudo_ws::protocol::Message;
use sockudo_ws::{CompressedWebSocketStream, Config, WebSocketStream};
use tokio_tungstenite::tungstenite::Bytes;

struct Sockudo;

impl Dialect for Sockudo {
    type Item = sockudo_ws::error::Result<Message>;
    type Message = Message;

    fn data(item: Self::Item) -> Option<Message> {
        match item {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => Some(message),
            Ok(_) | Err(_) => None,
        }
    }

    fn is_text(message: &Message) -> bool {
        matches!(message, Message::Text(_))
    }

    fn text(text: String) -> Message {
        Message::text(text)
    }

    fn binary(bytes: Bytes) -> Message {
        Message::Binary(bytes)
    }
}

fn config() -> Config {
    Config::builder()
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .auto_ping(false)
        .idle_timeout(0)
        .build()
}

fn main() -> std::io::Result<()> {
    if let Some(task) = client::asked()? {
        return client::run(task, |stream, task| {
            work::<Sockudo, _>(WebSocketStream::client(stream, config()), task)
        });
    }
    let deflate = Deflate::from_arguments();
    run(move |stream| async move {
        let Ok((stream, agreement)) = shake_with(stream, deflate).await else { return };
        let (Some(deflate), Some(agreement)) = (deflate, agreement) else {
            return serve::<Sockudo, _>(WebSocketStream::server(stream, config())).await;
        };
        let deflate = DeflateConfig {
            server_no_context_takeover: !deflate.keeps_context,
            client_no_context_takeover: agreement.contains(FORGETTING),
            compression_level: deflate.level.into(),
            ..DeflateConfig::default()
        };
        serve::<Sockudo, _>(CompressedWebSocketStream::server(stream, config(), deflate)).await;
    })
}
