//! sockudo-ws: its own stream, without the pings and idle deadline that no other server here has.
#![forbid(unsafe_code)]

use peers::deflate::{Deflate, FORGETTING};
use peers::{MAX_MESSAGE, echo, run, shake_with};
use sockudo_ws::deflate::DeflateConfig;
use sockudo_ws::protocol::Message;
use sockudo_ws::{CompressedWebSocketStream, Config, WebSocketStream};

fn main() -> std::io::Result<()> {
    let deflate = Deflate::from_arguments();
    run(move |stream| async move {
        let config = Config::builder()
            .max_message_size(MAX_MESSAGE)
            .max_frame_size(MAX_MESSAGE)
            .auto_ping(false)
            .idle_timeout(0)
            .build();
        let Ok((stream, agreement)) = shake_with(stream, deflate).await else { return };
        let reply = |message: sockudo_ws::error::Result<Message>| match message {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => Some(message),
            Ok(_) | Err(_) => None,
        };
        let (Some(deflate), Some(agreement)) = (deflate, agreement) else {
            return echo(WebSocketStream::server(stream, config), reply).await;
        };
        let deflate = DeflateConfig {
            server_no_context_takeover: !deflate.keeps_context,
            client_no_context_takeover: agreement.contains(FORGETTING),
            compression_level: deflate.level.into(),
            ..DeflateConfig::default()
        };
        echo(CompressedWebSocketStream::server(stream, config, deflate), reply).await;
    })
}
