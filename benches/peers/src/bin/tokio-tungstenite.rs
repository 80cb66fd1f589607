//! tokio-tungstenite: large buffers as its configuration's documentation advises for high load.
#![forbid(unsafe_code)]

use peers::{MAX_MESSAGE, echo, lean, run};
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

fn main() -> std::io::Result<()> {
    let buffer = if lean() { 4 * 1024 } else { 128 * 1024 };
    let config = WebSocketConfig::default()
        .read_buffer_size(buffer)
        .write_buffer_size(buffer)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    run(move |stream| async move {
        if let Ok(socket) = accept_async_with_config(stream, Some(config)).await {
            echo(socket, |message| {
                message
                    .ok()
                    .filter(|message| message.is_text() || message.is_binary())
            })
            .await;
        }
    })
}
