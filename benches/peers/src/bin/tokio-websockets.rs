//! tokio-websockets: a higher flush threshold, so that a burst leaves in one write.
#![forbid(unsafe_code)]

use peers::{MAX_MESSAGE, echo, run};
use tokio_websockets::{Config, Limits, ServerBuilder};

fn main() -> std::io::Result<()> {
    run(|stream| async {
        let builder = ServerBuilder::new()
            .config(
                Config::default()
                    .frame_size(MAX_MESSAGE)
                    .flush_threshold(64 * 1024),
            )
            .limits(Limits::default().max_payload_len(Some(MAX_MESSAGE)));
        if let Ok((_, socket)) = builder.accept(stream).await {
            echo(socket, |message| {
                message
                    .ok()
                    .filter(|message| message.is_text() || message.is_binary())
            })
            .await;
        }
    })
}
