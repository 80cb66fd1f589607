//! fastwebsockets: the loop of its own echo example, unconstrained as there, on the plain stream.
//!
//! It writes each frame by itself: there is nothing to batch with.
#![forbid(unsafe_code)]

use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
use peers::client::{self, DONE, Task};
use peers::service::Service;
use peers::transfer::{self, End};
use peers::upgrade;
use peers::{MAX_MESSAGE, Server, Transport, own_handshake, run, shake};
use tokio::io::{AsyncRead, AsyncWrite};
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
    run(Echo)
}

#[derive(Clone)]
struct Echo;

impl Server for Echo {
    async fn serve(self, stream: impl Transport) {
        if own_handshake() {
            return upgrade::serve(stream, |request| {
                let (response, upgraded) = fastwebsockets::upgrade::upgrade(request).ok()?;
                tokio::spawn(tokio::task::unconstrained(async move { echo(upgraded.await?).await }));
                Some(response)
            })
            .await;
        }
        // An error is the end of the connection, which is all there is to do about it.
        let _ = tokio::task::unconstrained(async move {
            echo(WebSocket::after_handshake(shake(stream).await?, Role::Server)).await
        })
        .await;
    }
}

async fn echo<S>(mut socket: WebSocket<S>) -> Result<(), WebSocketError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.set_max_message_size(MAX_MESSAGE);
    let mut socket = FragmentCollector::new(socket);
    let mut service = Service::from_arguments();
    loop {
        let frame = socket.read_frame().await?;
        let is_text = match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text => true,
            OpCode::Binary => false,
            _ => continue,
        };
        let text = |count: String| Frame::text(Payload::Owned(count.into_bytes()));
        if let Some(reply) = service.reply(frame, is_text, text) {
            socket.write_frame(reply).await?;
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
