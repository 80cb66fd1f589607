//! sockudo-ws: its own stream, fed and then flushed when nothing is left to read, which is the batching its benchmarks measure;
//! without the pings and idle deadline that no other server here has.
#![forbid(unsafe_code)]

use peers::deflate::{Deflate, FORGETTING};
use peers::service::Service;
use peers::{MAX_MESSAGE, Server, Transport, client, echo, own_handshake, run, shake_with};
use sockudo_ws::deflate::DeflateConfig;
use sockudo_ws::handshake::server_handshake;
use sockudo_ws::protocol::Message;
use sockudo_ws::{CompressedWebSocketStream, Config, WebSocketStream};

fn main() -> std::io::Result<()> {
    if let Some(task) = client::asked()? {
        return client::run(task, |stream, task| {
            let is_data = |item: sockudo_ws::error::Result<Message>| {
                matches!(item, Ok(Message::Text(_) | Message::Binary(_)))
            };
            let socket = WebSocketStream::client(stream, config());
            client::work(socket, task, is_data, |bytes| Message::Binary(bytes.clone()), Message::text)
        });
    }
    run(Echo { deflate: Deflate::from_arguments() })
}

fn config() -> Config {
    Config::builder()
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .auto_ping(false)
        .idle_timeout(0)
        .build()
}

#[derive(Clone)]
struct Echo {
    deflate: Option<Deflate>,
}

impl Server for Echo {
    async fn serve(self, mut stream: impl Transport) {
        let config = config();
        let mut service = Service::from_arguments();
        let reply = move |message: sockudo_ws::error::Result<Message>| {
            let message = message.ok()?;
            let is_text = matches!(message, Message::Text(_));
            let is_data = is_text || matches!(message, Message::Binary(_));
            is_data.then(|| service.reply(message, is_text, Message::text)).flatten()
        };
        if own_handshake() {
            if server_handshake(&mut stream).await.is_ok() {
                echo(WebSocketStream::server(stream, config), reply).await;
            }
            return;
        }
        let Ok((stream, agreement)) = shake_with(stream, self.deflate).await else { return };
        let (Some(deflate), Some(agreement)) = (self.deflate, agreement) else {
            return echo(WebSocketStream::server(stream, config), reply).await;
        };
        let deflate = DeflateConfig {
            server_no_context_takeover: !deflate.keeps_context,
            client_no_context_takeover: agreement.contains(FORGETTING),
            compression_level: deflate.level.into(),
            ..DeflateConfig::default()
        };
        echo(CompressedWebSocketStream::server(stream, config, deflate), reply).await;
    }
}
