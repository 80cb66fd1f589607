//! yawc: buffers as in its own benchmark, and UTF-8 checked as every other server here does; its pool of compressors where no
//! context is kept.
#![forbid(unsafe_code)]

use peers::deflate::Deflate;
use peers::dialect::{Dialect, serve, work};
use peers::{MAX_MESSAGE, client, lean, run, shake_with};
use tokio_tungstenite::tungstenite::Bytes;
use yawc::{CompressionLevel, DeflateOptions, DeflatePool, Frame, OpCode, Options, Role, WebSocket};

/// Compressors and inflaters that its pool keeps.
const POOLED: usize = 16;

struct Yawc;

impl Dialect for Yawc {
    type Item = Frame;
    type Message = Frame;

    fn data(frame: Frame) -> Option<Frame> {
        matches!(frame.opcode(), OpCode::Text | OpCode::Binary).then_some(frame)
    }

    fn is_text(frame: &Frame) -> bool {
        frame.opcode() == OpCode::Text
    }

    fn text(text: String) -> Frame {
        Frame::text(text)
    }

    fn binary(bytes: Bytes) -> Frame {
        Frame::binary(bytes)
    }
}

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
            if let Ok(socket) = WebSocket::from_stream_with_extensions(stream, Role::Client, None, options) {
                work::<Yawc, _>(socket, task).await;
            }
        });
    }
    run(move |stream| {
        let options = options.clone();
        async move {
            let Ok((stream, agreement)) = shake_with(stream, deflate).await else { return };
            if let Ok(socket) =
                WebSocket::from_stream_with_extensions(stream, Role::Server, agreement, options)
            {
                serve::<Yawc, _>(socket).await;
            }
        }
    })
}
