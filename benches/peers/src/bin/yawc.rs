//! yawc: buffers as in its own benchmark, and UTF-8 checked as every other server here does; its pool of compressors where no
//! context is kept.
#![forbid(unsafe_code)]

use peers::deflate::Deflate;
use peers::service::Service;
use peers::upgrade;
use peers::{MAX_MESSAGE, Server, Transport, client, echo, lean, own_handshake, run, shake_with};
use tokio::io::{AsyncRead, AsyncWrite};
use yawc::{CompressionLevel, DeflateOptions, DeflatePool, Frame, OpCode, Options, Role, WebSocket};

/// Compressors and inflaters that its pool keeps.
const POOLED: usize = 16;

fn main() -> std::io::Result<()> {
    let deflate = Deflate::from_arguments();
    let compression = deflate.map(|deflate| DeflateOptions {
        level: CompressionLevel::new(deflate.level.into()),
        server_no_context_takeover: !deflate.keeps_context,
        client_no_context_takeover: !deflate.keeps_context,
        pool: Some(DeflatePool::new(POOLED)),
        ..DeflateOptions::default()
    });
    let options =
        Options { compression, ..Options::default().with_limits(MAX_MESSAGE, 2 * MAX_MESSAGE).with_utf8() };
    let options = if lean() {
        options.with_read_buffer_capacity(1024).with_write_buffer_capacity(1024)
    } else {
        options.with_read_buffer_capacity(128 * 1024).with_backpressure_boundary(64 * 1024)
    };
    if let Some(task) = client::asked()? {
        return client::run(task, |stream, task| async move {
            let is_data = |frame: Frame| matches!(frame.opcode(), OpCode::Text | OpCode::Binary);
            if let Ok(socket) = WebSocket::from_stream_with_extensions(stream, Role::Client, None, options) {
                client::work(socket, task, is_data, |bytes| Frame::binary(bytes.clone()), Frame::text).await;
            }
        });
    }
    run(Echo { deflate, options })
}

#[derive(Clone)]
struct Echo {
    deflate: Option<Deflate>,
    options: Options,
}

impl Server for Echo {
    async fn serve(self, stream: impl Transport) {
        if own_handshake() {
            return upgrade::serve(stream, |request| {
                let options = self.options.clone();
                let (response, upgraded) = WebSocket::upgrade_with_options(request, options).ok()?;
                tokio::spawn(async move {
                    if let Ok(socket) = upgraded.await {
                        serve(socket).await;
                    }
                });
                Some(response)
            })
            .await;
        }
        let Ok((stream, agreement)) = shake_with(stream, self.deflate).await else { return };
        if let Ok(socket) =
            WebSocket::from_stream_with_extensions(stream, Role::Server, agreement, self.options)
        {
            serve(socket).await;
        }
    }
}

async fn serve(socket: WebSocket<impl AsyncRead + AsyncWrite + Unpin>) {
    let mut service = Service::from_arguments();
    echo(socket, |frame: Frame| {
        let is_text = frame.opcode() == OpCode::Text;
        let is_data = is_text || frame.opcode() == OpCode::Binary;
        is_data.then(|| service.reply(frame, is_text, Frame::text)).flatten()
    })
    .await;
}
