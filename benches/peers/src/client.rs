//! `PROGRAM client URL send|receive SIZE MESSAGES`: the end of a connection whose CPU time is measured by whoever started it.
//!
//! A client that receives says so with a text message at the end; one that sends is done when all has arrived. Both wait for
//! the other end to close.

use crate::handshake;
use std::io;
use tokio::net::TcpStream;

/// How many messages go between two flushes.
pub const BATCH: u64 = 32;

/// What a client says when it has received everything.
pub const DONE: &str = "done";

/// What a client is to do.
#[derive(Clone, Debug)]
pub struct Task {
    authority: String,
    /// Send, or else receive.
    pub sends: bool,
    /// Bytes of a message.
    pub size: usize,
    /// How many.
    pub messages: u64,
}

impl Task {
    /// What is sent.
    pub fn payload(&self) -> Vec<u8> {
        vec![7; self.size]
    }
}

/// The task in the arguments; `None` for a program that is to serve.
///
/// # Errors
/// If the arguments make no sense.
pub fn asked() -> io::Result<Option<Task>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [first, url, way, size, messages] = words.as_slice() else { return Ok(None) };
    if first != "client" {
        return Ok(None);
    }
    let wrong = || io::Error::other("expected client ws://HOST:PORT/ send|receive SIZE MESSAGES");
    let authority = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).ok_or_else(wrong)?;
    Ok(Some(Task {
        authority: authority.to_owned(),
        sends: match way.as_str() {
            "send" => true,
            "receive" => false,
            _ => return Err(wrong()),
        },
        size: size.parse().map_err(|_| wrong())?,
        messages: messages.parse().map_err(|_| wrong())?,
    }))
}

/// Opens the WebSocket and does the work on a current-thread runtime.
///
/// # Errors
/// If it cannot be opened.
pub fn run<F: Future<Output = ()>>(task: Task, work: impl FnOnce(TcpStream, Task) -> F) -> io::Result<()> {
    let address = task.authority.parse().map_err(io::Error::other)?;
    let mut stream = handshake::dial(address)?;
    handshake::request(&mut stream, address, None)?;
    stream.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        work(TcpStream::from_std(stream)?, task).await;
        Ok(())
    })
}
