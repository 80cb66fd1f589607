//! sockudo-ws: its own stream, without the pings and idle deadline that no other server here has.
#![forbid(unsafe_code)]

use peers::{MAX_MESSAGE, echo, run, shake};
use sockudo_ws::protocol::Message;
use sockudo_ws::{Config, WebSocketStream};

fn main() -> std::io::Result<()> {
    run(|stream| async {
        let config = Config::builder()
            .max_message_size(MAX_MESSAGE)
            .max_frame_size(MAX_MESSAGE)
            .auto_ping(false)
            .idle_timeout(0)
            .build();
        let Ok(stream) = shake(stream).await else { return };
        let reply = |message: sockudo_ws::error::Result<Message>| match message {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => Some(message),
            Ok(_) | Err(_) => None,
        };
        echo(WebSocketStream::server(stream, config), reply).await;
    })
}
