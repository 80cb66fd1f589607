//! The limit to measure against: a tokio loop that parses frames and sends them back, and nothing else.
//!
//! It has one thread and one task per connection, reads into a buffer that the thread owns, unmasks each
//! payload while moving it to the output, and makes one write for one read. It checks next to nothing,
//! assembles nothing and knows no limits: no library can be this simple, none should be much slower.
#![forbid(unsafe_code)]

mod echo;
mod unmask;

use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use wsduo_benches::handshake;

const MAX_HEAD: usize = 16 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}/", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = accept(&listener) => result,
        _ = terminate.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => result,
    }
}

async fn accept(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that fails has told its peer; the server goes on.
        tokio::spawn(async move { serve(stream).await.ok() });
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Boxed and dropped, so that what the handshake needs does not stay in the task.
    Box::pin(shake(&mut stream)).await?;
    let mut echo = echo::Echo::default();
    std::future::poll_fn(|context| echo.poll(&mut stream, context)).await
}

/// Expects a request and nothing after it, as a client that waits for the response sends it.
async fn shake(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let response = handshake::respond(&head).ok_or(io::ErrorKind::InvalidData)?;
    stream.write_all(response.as_bytes()).await
}
