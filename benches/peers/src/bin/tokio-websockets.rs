//! tokio-websockets: messages are gathered before any is sent.
//!
//! Its stream flushes what the sink has queued before it reads on, so the loop of the others would make a
//! system call for each message. Gathering what has arrived gives it one `writev` for a batch.
#![forbid(unsafe_code)]

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use peers::service::Service;
use peers::{MAX_MESSAGE, Server, Transport, run};
use tokio_websockets::{Config, Error, Limits, Message, ServerBuilder};

/// Messages gathered at most, two slices for `writev` each.
const BATCH: usize = 32;

fn main() -> std::io::Result<()> {
    run(Echo)
}

#[derive(Clone)]
struct Echo;

impl Server for Echo {
    async fn serve(self, stream: impl Transport) {
        // An error is the end of the connection, which is all there is to do about it.
        let _ = serve(stream).await;
    }
}

async fn serve(stream: impl Transport) -> Result<(), Error> {
    let builder = ServerBuilder::new()
        .config(Config::default().frame_size(MAX_MESSAGE).flush_threshold(64 * 1024))
        .limits(Limits::default().max_payload_len(Some(MAX_MESSAGE)));
    let (_, mut socket) = builder.accept(stream).await?;
    let mut service = Service::from_arguments();
    while let Some(first) = socket.next().await {
        let mut batch = vec![first?];
        while batch.len() < BATCH
            && let Some(Some(message)) = socket.next().now_or_never()
        {
            batch.push(message?);
        }
        for message in batch {
            let is_text = message.is_text();
            if (is_text || message.is_binary())
                && let Some(reply) = service.reply(message, is_text, Message::text)
            {
                socket.feed(reply).await?;
            }
        }
        socket.flush().await?;
    }
    Ok(())
}
