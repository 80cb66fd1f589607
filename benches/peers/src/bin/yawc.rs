//! yawc: buffers as in its own benchmark, and UTF-8 checked as every other server here does; its pool of compressors where no
//! context is kept.
#![forbid(unsafe_code)]

use peers::deflate::Deflate;
use peers::{MAX_MESSAGE, echo, lean, run, shake_with};
use yawc::{CompressionLevel, DeflateOptions, DeflatePool, Frame, OpCode, Options, Role, WebSocket};

/// Compressors and inflaters that its pool keeps.
const POOLED: usize = 16;

fn main() -> std::io::Result<()> {
    let lean = lean();
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
    run(move |stream| {
        let options = options.clone();
        async move {
            let options = if lean {
                options.with_read_buffer_capacity(1024).with_write_buffer_capacity(1024)
            } else {
                options.with_read_buffer_capacity(128 * 1024).with_backpressure_boundary(64 * 1024)
            };
            let Ok((stream, agreement)) = shake_with(stream, deflate).await else { return };
            if let Ok(socket) =
                WebSocket::from_stream_with_extensions(stream, Role::Server, agreement, options)
            {
                echo(socket, |frame: Frame| {
                    matches!(frame.opcode(), OpCode::Text | OpCode::Binary).then_some(frame)
                })
                .await;
            }
        }
    })
}
