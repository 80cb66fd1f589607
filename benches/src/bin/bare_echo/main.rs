//! The limit to measure against: a tokio loop that parses frames and sends them back, and nothing else.
//!
//! It has one thread and one task per connection, reads into a buffer that the thread owns, unmasks each
//! payload while moving it to the output, and makes one write for one read. It checks next to nothing,
//! assembles nothing and knows no limits: no library can be this simple, none should be much slower.
#![forbid(unsafe_code)]

mod echo;
mod unmask;

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use wsduo_benches::{acceptor, handshake};

const MAX_HEAD: usize = 16 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = std::env::args().skip(1).find(|argument| argument.contains(':'));
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let tls = std::env::args().any(|argument| argument == "--tls").then(acceptor::acceptor).transpose()?;
    println!("listening on {}://{}/", if tls.is_some() { "wss" } else { "ws" }, listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = accept(&listener, tls) => result,
        _ = terminate.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => result,
    }
}

async fn accept(listener: &TcpListener, tls: Option<TlsAcceptor>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection that fails has told its peer; the server goes on.
        match tls.clone() {
            None => tokio::spawn(async move { serve(stream).await.ok() }),
            Some(tls) => tokio::spawn(async move { serve(tls.accept(stream).await.ok()?).await.ok() }),
        };
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    // Boxed and dropped, so that what the handshake needs does not stay in the task.
    Box::pin(shake(&mut stream)).await?;
    let mut echo = echo::Echo::default();
    std::future::poll_fn(|context| echo.poll(&mut stream, context)).await
}

/// Expects a request and nothing after it, as a client that waits for the response sends it.
async fn shake(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
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
