//! web-socket: with buffers around the stream, without which it makes a system call for each field of a header. It checks no UTF-8.
#![forbid(unsafe_code)]

use peers::client::{self, BATCH, DONE, Task};
use peers::{MAX_MESSAGE, run, shake, sink};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};
use web_socket::{DataType, Event, MessageType, WebSocket};

/// Of each of the two buffers.
const BUFFER: usize = 128 * 1024;

type Buffered<S> = BufReader<BufWriter<S>>;

fn buffered<S: AsyncRead + AsyncWrite>(stream: S) -> Buffered<S> {
    BufReader::with_capacity(BUFFER, BufWriter::with_capacity(BUFFER, stream))
}

fn main() -> io::Result<()> {
    if let Some(task) = client::asked()? {
        return client::run(task, |stream, task| async move {
            let _ = work(WebSocket::client(buffered(stream)), task).await;
        });
    }
    run(|stream| async {
        if let Ok(stream) = shake(stream).await {
            // An error is the end of the connection, which is all there is to do about it.
            let _ = serve(WebSocket::server(buffered(stream))).await;
        }
    })
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocket<Buffered<S>>) -> io::Result<()> {
    socket.max_payload_len = MAX_MESSAGE;
    let counts = sink();
    let mut counted = 0_u64;
    loop {
        match socket.recv_event().await? {
            Event::Data { ty: DataType::Complete(MessageType::Binary), .. } if counts => counted += 1,
            Event::Data { .. } if counts => socket.send(counted.to_string().as_str()).await?,
            Event::Data { ty: DataType::Complete(MessageType::Text), data } => {
                socket.send(std::str::from_utf8(&data).map_err(io::Error::other)?).await?;
            }
            Event::Data { data, .. } => socket.send(&*data).await?,
            Event::Ping(data) => socket.send_pong(data).await?,
            Event::Pong(_) => {}
            Event::Error(_) | Event::Close { .. } => return Ok(()),
        }
        // Nothing is left to read without waiting.
        if socket.stream.buffer().is_empty() {
            socket.flash().await?;
        }
    }
}

async fn work<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocket<Buffered<S>>,
    task: Task,
) -> io::Result<()> {
    socket.max_payload_len = MAX_MESSAGE;
    if task.sends {
        let payload = task.payload();
        for index in 1..=task.messages {
            socket.send(&*payload).await?;
            if index % BATCH == 0 {
                socket.flash().await?;
            }
        }
    } else {
        for _ in 0..task.messages {
            socket.recv_event().await?;
        }
        socket.send(DONE).await?;
    }
    socket.flash().await?;
    socket.recv_event().await.map(drop)
}
