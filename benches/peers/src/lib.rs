//! What the servers of all libraries share: one thread, one listener, one way to batch, and an end on SIGTERM.
//!
//! `SERVER [ADDRESS] [--lean]`: with `--lean` a library that has a setting for it keeps small buffers,
//! which is right for many idle connections and wrong for speed.
//!
//! `--sink`: it counts binary messages, and answers a text message with the count. `--tls`: it speaks TLS 1.3, where the library
//! can.
//!
//! `--deflate [--level N] [--no-context-takeover]`: those that can compress do; see [`deflate`].
//!
//! Called as `SERVER client …`, it is a client; see [`client`].
//!
//! Two of them are an end of a measured transfer instead if they are called as `SERVER stream …`; see [`transfer`].
#![forbid(unsafe_code)]

#[path = "../../src/acceptor.rs"]
mod acceptor;
pub mod client;
pub mod deflate;
pub mod dialect;
#[path = "../../src/handshake.rs"]
pub mod handshake;
pub mod socket;
pub mod transfer;

use deflate::Deflate;
use socket::Socket;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// No message of a measurement is larger. Where a library has a limit, it is set to this.
pub const MAX_MESSAGE: usize = 256 << 20;

/// Whether memory matters more than speed.
pub fn lean() -> bool {
    std::env::args().any(|argument| argument == "--lean")
}

/// Whether messages are to be counted instead of echoed.
pub fn sink() -> bool {
    std::env::args().any(|argument| argument == "--sink")
}

/// Accepts connections on a current-thread runtime and spawns `serve` for each.
///
/// # Errors
/// If it cannot listen.
pub fn run<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(Socket) -> F) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = std::env::args().skip(1).find(|argument| argument.contains(':'));
    runtime.block_on(async {
        let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
        let tls =
            std::env::args().any(|argument| argument == "--tls").then(acceptor::acceptor).transpose()?;
        println!("listening on {}://{}/", if tls.is_some() { "wss" } else { "ws" }, listener.local_addr()?);
        let mut terminate = signal(SignalKind::terminate())?;
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    stream.set_nodelay(true)?;
                    match &tls {
                        None => drop(tokio::spawn(serve(Socket::Plain(stream)))),
                        // One after the other: only the work afterwards is measured.
                        Some(tls) => if let Ok(stream) = tls.accept(stream).await {
                            tokio::spawn(serve(Socket::Tls(Box::new(stream))));
                        },
                    }
                }
                _ = terminate.recv() => return Ok(()),
            }
        }
    })
}

/// The opening handshake for libraries that can start after it, and so own the plain stream.
///
/// # Errors
/// If the peer does not ask for a WebSocket.
pub async fn shake<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> io::Result<S> {
    shake_with(stream, None).await.map(|(stream, _)| stream)
}

/// As [`shake`], with what was agreed on if `deflate` is wanted.
///
/// # Errors
/// As [`shake`].
pub async fn shake_with<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    deflate: Option<Deflate>,
) -> io::Result<(S, Option<&'static str>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let agreement = deflate.map(|deflate| deflate.agreement(&head));
    let response = handshake::respond_with(&head, agreement).ok_or(io::ErrorKind::InvalidData)?;
    stream.write_all(response.as_bytes()).await?;
    stream.flush().await?;
    Ok((stream, agreement))
}
