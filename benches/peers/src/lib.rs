//! What the servers of all libraries share: one thread, one listener, one way to batch, and an end on SIGTERM.
//!
//! `SERVER [ADDRESS] [--lean]`: with `--lean` a library that has a setting for it keeps small buffers,
//! which is right for many idle connections and wrong for speed.
//!
//! `--deflate [--level N] [--no-context-takeover]`: those that can compress do; see [`deflate`].
//!
//! `--sink` counts binary messages without answering them, and answers a text message with that count in decimal; `--tls`
//! serves `wss`, TLS 1.3 alone, with a certificate made on the spot.
//!
//! `--own-handshake`: a library that can start after the opening handshake makes it all the same, as its documentation does.
//!
//! Called as `SERVER client …`, it is a client instead; see [`client`].
//!
//! Two of them are an end of a measured transfer instead if they are called as `SERVER stream …`; see [`transfer`].
#![forbid(unsafe_code)]

#[path = "../../src/certificate.rs"]
pub mod certificate;
pub mod client;
pub mod deflate;
#[path = "../../src/handshake.rs"]
pub mod handshake;
pub mod service;
pub mod transfer;
pub mod upgrade;

use deflate::Deflate;
use futures_util::{Sink, Stream};
use std::fmt::Debug;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

/// No message of a measurement is larger. Where a library has a limit, it is set to this.
pub const MAX_MESSAGE: usize = 256 << 20;

/// Whether memory matters more than speed.
pub fn lean() -> bool {
    given("--lean")
}

/// Whether to shake hands as the library's documentation does, rather than in the short way that leaves the plain stream to
/// its messages.
pub fn own_handshake() -> bool {
    given("--own-handshake")
}

/// Whether the command line has `option`.
pub fn given(option: &str) -> bool {
    std::env::args().any(|argument| argument == option)
}

/// What a connection runs over: TCP, or TLS over it.
pub trait Transport: AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static> Transport for T {}

/// What a library does with a connection. It is compiled once for each transport, as its users would have it.
pub trait Server: Clone + Send + Sync + 'static {
    /// From the opening handshake to the end. How a connection ends is of no interest.
    fn serve(self, stream: impl Transport) -> impl Future<Output = ()> + Send;
}

/// Accepts connections on a current-thread runtime and spawns `server` for each, behind TLS with `--tls`.
///
/// # Errors
/// If it cannot listen.
pub fn run(server: impl Server) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = std::env::args().skip(1).find(|argument| argument.contains(':'));
    let tls = given("--tls").then(certificate::server).transpose()?.map(TlsAcceptor::from);
    runtime.block_on(async {
        let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        println!("listening on {scheme}://{}/", listener.local_addr()?);
        let mut terminate = signal(SignalKind::terminate())?;
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    stream.set_nodelay(true)?;
                    let server = server.clone();
                    match tls.clone() {
                        None => drop(tokio::spawn(server.serve(stream))),
                        Some(tls) => drop(tokio::spawn(async move {
                            // Boxed and dropped, so that what the TLS handshake needs does not stay in the task.
                            if let Ok(stream) = Box::pin(tls.accept(stream)).await {
                                server.serve(stream).await;
                            }
                        })),
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
pub async fn shake<S: Transport>(stream: S) -> io::Result<S> {
    shake_with(stream, None).await.map(|(stream, _)| stream)
}

/// As [`shake`], with what was agreed on if `deflate` is wanted.
///
/// # Errors
/// As [`shake`].
pub async fn shake_with<S: Transport>(
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

/// Sends back what `reply` makes of each item, and flushes when nothing is left to read.
///
/// This is `StreamExt::forward` for a socket in one piece: the best batching that `Stream` and `Sink` allow.
pub async fn echo<S, Item, Message>(mut socket: S, mut reply: impl FnMut(Item) -> Option<Message>)
where
    S: Stream<Item = Item> + Sink<Message> + Unpin,
{
    let mut waiting = None;
    poll_fn(|context| {
        loop {
            if waiting.is_some() {
                if ready!(Pin::new(&mut socket).poll_ready(context)).is_err() {
                    return Poll::Ready(());
                }
                if let Some(message) = waiting.take()
                    && Pin::new(&mut socket).start_send(message).is_err()
                {
                    return Poll::Ready(());
                }
            }
            match Pin::new(&mut socket).poll_next(context) {
                Poll::Ready(Some(item)) => waiting = reply(item),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {
                    return match Pin::new(&mut socket).poll_flush(context) {
                        Poll::Ready(Err(_)) => Poll::Ready(()),
                        _ => Poll::Pending,
                    };
                }
            }
        }
    })
    .await;
}
