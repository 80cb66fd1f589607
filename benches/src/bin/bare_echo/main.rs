//! The limit to measure against: a tokio loop that parses frames and sends them back, and nothing else.
//!
//! It has one thread and one task per connection, reads into a buffer that the thread owns, unmasks each
//! payload while moving it to the output, and makes one write for one read. It checks next to nothing,
//! assembles nothing and knows no limits: no library can be this simple, none should be much slower.
//!
//! `bare_echo [ADDRESS] [--tls] [--sink]`: `--sink` counts binary messages and answers a text message with that count.
#![forbid(unsafe_code)]

mod echo;
mod unmask;

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use wsduo_benches::{certificate, handshake};

const MAX_HEAD: usize = 16 * 1024;

/// TCP, or TLS over it.
trait Transport: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Transport for T {}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |option: &str| arguments.iter().any(|argument| argument == option);
    let address = arguments.iter().find(|argument| argument.contains(':'));
    let tls = given("--tls").then(certificate::server).transpose()?.map(TlsAcceptor::from);
    let listener = TcpListener::bind(address.map_or("127.0.0.1:0", String::as_str)).await?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    println!("listening on {scheme}://{}/", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = accept(&listener, tls, given("--sink")) => result,
        _ = terminate.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => result,
    }
}

async fn accept(listener: &TcpListener, tls: Option<TlsAcceptor>, counts: bool) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that fails has told its peer; the server goes on.
        let tls = tls.clone();
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            match tls {
                None => serve(stream, counts).await.ok(),
                // Boxed and dropped, as the handshake below.
                Some(tls) => serve(Box::pin(tls.accept(stream)).await.ok()?, counts).await.ok(),
            }
        });
    }
}

async fn serve(mut stream: impl Transport, counts: bool) -> io::Result<()> {
    // Boxed and dropped, so that what the handshake needs does not stay in the task.
    Box::pin(shake(&mut stream)).await?;
    let mut echo = echo::Echo::new(counts);
    std::future::poll_fn(|context| echo.poll(&mut stream, context)).await
}

/// Expects a request and nothing after it, as a client that waits for the response sends it.
async fn shake(stream: &mut impl Transport) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let response = handshake::respond(&head).ok_or(io::ErrorKind::InvalidData)?;
    stream.write_all(response.as_bytes()).await?;
    stream.flush().await
}
