//! yawc: buffers as in its own benchmark, and UTF-8 checked as every other server here does.
#![forbid(unsafe_code)]

use peers::{MAX_MESSAGE, echo, lean, run, shake};
use yawc::{Frame, OpCode, Options, Role, WebSocket};

fn main() -> std::io::Result<()> {
    let lean = lean();
    run(move |stream| async move {
        let options = Options::default()
            .with_limits(MAX_MESSAGE, 2 * MAX_MESSAGE)
            .with_utf8()
            .without_compression();
        let options = if lean {
            options
                .with_read_buffer_capacity(1024)
                .with_write_buffer_capacity(1024)
        } else {
            options
                .with_read_buffer_capacity(128 * 1024)
                .with_backpressure_boundary(64 * 1024)
        };
        let Ok(stream) = shake(stream).await else { return };
        if let Ok(socket) = WebSocket::from_stream(stream, Role::Server, options) {
            echo(socket, |frame: Frame| {
                matches!(frame.opcode(), OpCode::Text | OpCode::Binary).then_some(frame)
            })
            .await;
        }
    })
}
