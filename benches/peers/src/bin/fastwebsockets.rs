//! fastwebsockets: the loop of its own echo example, unconstrained as there, on the plain stream.
//!
//! It writes each frame by itself: there is nothing to batch with.
#![forbid(unsafe_code)]

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
use peers::transfer::{self, End};
use peers::{MAX_MESSAGE, run, shake};
use tokio::net::TcpStream;

fn main() -> std::io::Result<()> {
    if let Some(end) = transfer::asked()? {
        return transfer::run(&end, |stream| tokio::task::unconstrained(stream_messages(stream, &end)));
    }
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

async fn stream_messages(stream: TcpStream, end: &End) -> Result<u64, WebSocketError> {
    let role = if end.url.is_some() { Role::Client } else { Role::Server };
    let mut socket = WebSocket::after_handshake(stream, role);
    socket.set_max_message_size(MAX_MESSAGE);
    let mut total = 0;
    if end.sends {
        let bytes = vec![7; end.chunk];
        for len in end.writes() {
            socket
                .write_frame(Frame::binary(Payload::Borrowed(&bytes[..len])))
                .await?;
            total += len as u64;
        }
        socket.write_frame(Frame::close(1000, b"")).await?;
        socket.flush().await?;
    }
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(total),
            OpCode::Binary => total += frame.payload.len() as u64,
            _ => {}
        }
    }
}
