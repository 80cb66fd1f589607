//! What the servers of all libraries share: one thread, one listener, one way to batch, and an end on SIGTERM.
//!
//! `SERVER [ADDRESS] [--lean]`: with `--lean` a library that has a setting for it keeps small buffers,
//! which is right for many idle connections and wrong for speed.
//!
//! `--deflate [--level N] [--no-context-takeover]`: those that can compress do; see [`deflate`].
//!
//! Two of them are an end of a measured transfer instead if they are called as `SERVER stream …`; see [`transfer`].
#![forbid(unsafe_code)]

pub mod deflate;
#[path = "../../src/handshake.rs"]
pub mod handshake;
pub mod transfer;

use deflate::Deflate;
use futures_util::{Sink, Stream};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

/// No message of a measurement is larger. Where a library has a limit, it is set to this.
pub const MAX_MESSAGE: usize = 256 << 20;

/// Whether memory matters more than speed.
pub fn lean() -> bool {
    std::env::args().any(|argument| argument == "--lean")
}

/// Accepts connections on a current-thread runtime and spawns `serve` for each.
///
/// # Errors
/// If it cannot listen.
pub fn run<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = std::env::args().skip(1).find(|argument| argument.contains(':'));
    runtime.block_on(async {
        let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
        println!("listening on ws://{}/", listener.local_addr()?);
        let mut terminate = signal(SignalKind::terminate())?;
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    stream.set_nodelay(true)?;
                    tokio::spawn(serve(stream));
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
pub async fn shake(stream: TcpStream) -> io::Result<TcpStream> {
    shake_with(stream, None).await.map(|(stream, _)| stream)
}

/// As [`shake`], with what was agreed on if `deflate` is wanted.
///
/// # Errors
/// As [`shake`].
pub async fn shake_with(
    mut stream: TcpStream,
    deflate: Option<Deflate>,
) -> io::Result<(TcpStream, Option<&'static str>)> {
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
    Ok((stream, agreement))
}

/// Sends back what `reply` makes of each item, and flushes when nothing is left to read.
///
/// This is `StreamExt::forward` for a socket in one piece: the best batching that `Stream` and `Sink` allow.
pub async fn echo<S, Item, Message>(mut socket: S, reply: impl Fn(Item) -> Option<Message>)
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
