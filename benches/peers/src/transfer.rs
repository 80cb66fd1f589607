//! The two ends of a measured transfer; `end` tells what they are asked for and what they say.

#[path = "../../src/end.rs"]
pub mod end;

use crate::handshake;
pub use end::End;
use std::io;
use tokio::net::{TcpListener, TcpStream};

/// What `PROGRAM stream …` is asked for; `None` for a program that is to echo.
///
/// # Errors
/// If the words behind it make no sense, or ask for one message: none of these libraries sends a message in pieces
/// without being told where each frame ends.
pub fn asked() -> io::Result<Option<End>> {
    if std::env::args().nth(1).as_deref() != Some("stream") {
        return Ok(None);
    }
    let end = End::from_arguments(1)?;
    if end.one_message {
        return Err(io::Error::other("one message is not measured with this library"));
    }
    Ok(Some(end))
}

/// Runs `transfer` with the stream right after the opening handshake; it returns how many bytes there were.
///
/// # Errors
/// If anything fails.
pub fn run<F, E>(end: &End, transfer: impl FnOnce(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = Result<u64, E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stream = connect(end).await?;
        end.ready()?;
        let bytes = transfer(stream).await.map_err(io::Error::other)?;
        end.done(bytes)
    })
}

async fn connect(end: &End) -> io::Result<TcpStream> {
    let Some(authority) = end.authority() else {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on ws://{}/", listener.local_addr()?);
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        return crate::shake(stream).await;
    };
    let address = authority.parse().map_err(io::Error::other)?;
    let mut stream = handshake::dial(address)?;
    handshake::request(&mut stream, address, None)?;
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}
