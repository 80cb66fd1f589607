//! fastwebsockets: the loop of its own echo example, unconstrained as there, on the plain stream.
//!
//! It writes each frame by itself: there is nothing to batch with.
#![forbid(unsafe_code)]

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
use peers::client::{self, DONE, Task};
use peers::socket::Socket;
use peers::transfer::{self, End};
use peers::{MAX_MESSAGE, run, shake, sink};
use tokio::net::TcpStream;

fn main() -> std::io::Result<()> {
    if let Some(end) = transfer::asked()? {
        return transfer::run(&end, |stream| tokio::task::unconstrained(stream_messages(stream, &end)));
    }
    if let Some(task) = client::asked()? {
        return client::run(task, |stream, task| async move {
            let _ = tokio::task::unconstrained(work(stream, task)).await;
        });
    }
    run(|stream| async {
        // An error is the end of the connection, which is all there is to do about it.
        let _ = tokio::task::unconstrained(serve(stream)).await;
    })
}

async fn serve(stream: Socket) -> Result<(), WebSocketError> {
    let mut socket = WebSocket::after_handshake(shake(stream).await?, Role::Server);
    socket.set_max_message_size(MAX_MESSAGE);
    let mut socket = FragmentCollector::new(socket);
    let counts = sink();
    let mut counted = 0_u64;
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Binary if counts => counted += 1,
            OpCode::Text if counts => {
                let answer = counted.to_string().into_bytes();
                socket.write_frame(Frame::text(Payload::Owned(answer))).await?;
            }
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn work(stream: TcpStream, task: Task) -> Result<(), WebSocketError> {
    let mut socket = WebSocket::after_handshake(stream, Role::Client);
    socket.set_max_message_size(MAX_MESSAGE);
    if task.sends {
        let payload = task.payload();
        for _ in 0..task.messages {
            socket.write_frame(Frame::binary(Payload::Borrowed(&payload))).await?;
        }
    } else {
        for _ in 0..task.messages {
            socket.read_frame().await?;
        }
        socket.write_frame(Frame::text(Payload::Borrowed(DONE.as_bytes()))).await?;
    }
    socket.read_frame().await.map(drop)
}

async fn stream_messages(stream: TcpStream, end: &End) -> Result<u64, WebSocketError> {
    let role = if end.url.is_some() { Role::Client } else { Role::Server };
    let mut socket = WebSocket::after_handshake(stream, role);
    socket.set_max_message_size(MAX_MESSAGE);
    let mut total = 0;
    if end.sends {
        let bytes = vec![7; end.chunk];
        for len in end.writes() {
            socket.write_frame(Frame::binary(Payload::Borrowed(&bytes[..len]))).await?;
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
