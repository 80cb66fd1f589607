//! fastwebsockets: the loop of its own echo example, unconstrained as there, on the plain stream.
//!
//! It writes each frame by itself: there is nothing to batch with.
#![forbid(unsafe_code)]

use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket, WebSocketError};
use peers::{MAX_MESSAGE, run, shake};
use tokio::net::TcpStream;

fn main() -> std::io::Result<()> {
    run(|stream| async {
        // An error is the end of the connection, which is all there is to do about it.
        let _ = tokio::task::unconstrained(serve(stream)).await;
    })
}

async fn serve(stream: TcpStream) -> Result<(), WebSocketError> {
    let mut socket = WebSocket::after_handshake(shake(stream).await?, Role::Server);
    socket.set_max_message_size(MAX_MESSAGE);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}
