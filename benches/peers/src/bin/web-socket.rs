//! web-socket: with a buffer each way, as its benchmark recommends, since its own reads are of two bytes and its writes of one frame.
//!
//! It leaves UTF-8 to the caller, who checks it here as every other library does. Replies leave when the input buffer is empty.
#![forbid(unsafe_code)]

use peers::client::{self, BATCH, DONE, Task};
use peers::service::Service;
use peers::{MAX_MESSAGE, Server, Transport, lean, run, shake};
use std::io;
use tokio::io::{AsyncWriteExt as _, BufReader, BufWriter};
use web_socket::{DataType, Event, Frame, MessageType, WebSocket};

fn main() -> io::Result<()> {
    let buffer = if lean() { 1024 } else { 64 * 1024 };
    if let Some(task) = client::asked()? {
        return client::run(task, |stream, task| async move {
            let _ = work(stream, task, buffer).await;
        });
    }
    run(Echo { buffer })
}

#[derive(Clone)]
struct Echo {
    /// Bytes each way.
    buffer: usize,
}

impl Server for Echo {
    async fn serve(self, stream: impl Transport) {
        // How one connection ends is of no interest here.
        let _ = serve(stream, self.buffer).await;
    }
}

async fn serve(stream: impl Transport, buffer: usize) -> io::Result<()> {
    let writer = BufWriter::with_capacity(buffer, shake(stream).await?);
    let mut socket = WebSocket::server(BufReader::with_capacity(buffer, writer));
    socket.max_payload_len = MAX_MESSAGE;
    let mut service = Service::from_arguments();
    loop {
        if socket.stream.buffer().is_empty() {
            socket.stream.flush().await?;
        }
        let (kind, data) = match socket.recv().await? {
            Event::Data { ty: DataType::Complete(kind), data } => (kind, data),
            Event::Ping(data) => {
                socket.send_pong(data).await?;
                continue;
            }
            Event::Pong(_) => continue,
            // No measurement sends fragments.
            Event::Data { .. } | Event::Error(_) | Event::Close { .. } => return Ok(()),
        };
        let is_text = kind == MessageType::Text;
        if is_text && std::str::from_utf8(&data).is_err() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if let Some(data) = service.reply(data, is_text, |count| count.into_bytes().into()) {
            socket.send(Frame { fin: true, opcode: kind as u8, data: &data }).await?;
        }
    }
}

async fn work(stream: impl Transport, task: Task, buffer: usize) -> io::Result<()> {
    let writer = BufWriter::with_capacity(buffer, stream);
    let mut socket = WebSocket::client(BufReader::with_capacity(buffer, writer));
    socket.max_payload_len = MAX_MESSAGE;
    if task.sends {
        let payload = task.payload();
        for index in 1..=task.messages {
            socket.send(&*payload).await?;
            if index % BATCH == 0 {
                socket.stream.flush().await?;
            }
        }
    } else {
        for _ in 0..task.messages {
            socket.recv().await?;
        }
        socket.send(DONE).await?;
    }
    socket.stream.flush().await?;
    socket.recv().await.map(drop)
}
