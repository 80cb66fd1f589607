//! tokio-websockets: messages are gathered before any is sent.
//!
//! Its stream flushes what the sink has queued before it reads on, so the loop of the others would make a
//! system call for each message. Gathering what has arrived gives it one `writev` for a batch.
//!
//! As a client it draws masking keys from `fastrand`, the quickest of the generators that it offers.
#![forbid(unsafe_code)]

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use peers::service::Service;
use peers::{MAX_MESSAGE, Server, Transport, client, run};
use tokio_websockets::{ClientBuilder, Config, Error, Limits, Message, ServerBuilder};

/// Messages gathered at most, two slices for `writev` each.
const BATCH: usize = 32;

fn main() -> std::io::Result<()> {
    if let Some(task) = client::asked()? {
        return client::run(task, |stream, task| {
            let socket = ClientBuilder::new().config(config()).limits(limits()).take_over(stream);
            let is_data = |item: Result<Message, Error>| {
                item.is_ok_and(|message| message.is_text() || message.is_binary())
            };
            client::work(socket, task, is_data, |bytes| Message::binary(bytes.clone()), Message::text)
        });
    }
    run(Echo)
}

fn config() -> Config {
    Config::default().frame_size(MAX_MESSAGE).flush_threshold(64 * 1024)
}

fn limits() -> Limits {
    Limits::default().max_payload_len(Some(MAX_MESSAGE))
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
    let builder = ServerBuilder::new().config(config()).limits(limits());
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
