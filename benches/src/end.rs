//! What a program does to be one end of a measured transfer: its arguments, and what it says when.
//!
//! ```text
//! PROGRAM server send|receive BYTES CHUNK messages|one         prints `listening on ws://HOST:PORT/`
//! PROGRAM client send|receive BYTES CHUNK messages|one URL
//! ```
//!
//! It connects, prints `ready`, waits for a line, transfers the bytes in writes of CHUNK bytes, prints `done`, and ends when
//! its standard input does: so whoever measures can look at the process before and after.

use std::io::{self, BufRead as _};

/// How many bytes a receiver asks for at a time.
pub const BUFFER: usize = 64 << 10;

/// Which end this is, and what it has to do.
#[derive(Clone, Debug)]
pub struct End {
    /// The peer to connect to; a server has none.
    pub url: Option<String>,
    /// Whether this end sends.
    pub sends: bool,
    /// How many bytes there are.
    pub bytes: u64,
    /// How many are written at a time.
    pub chunk: usize,
    /// Whether all of them are one message, instead of a message for each write.
    pub one_message: bool,
}

impl End {
    /// Of the arguments of this program, behind `skip` of its own.
    ///
    /// # Errors
    /// If they are not as above.
    pub fn from_arguments(skip: usize) -> io::Result<Self> {
        let words: Vec<String> = std::env::args().skip(1 + skip).collect();
        let usage =
            || io::Error::other("usage: (server|client) (send|receive) BYTES CHUNK (messages|one) [URL]");
        let [role, direction, bytes, chunk, framing, url @ ..] = &words[..] else { return Err(usage()) };
        let url = match (&**role, url) {
            ("server", []) => None,
            ("client", [url]) => Some(url.clone()),
            _ => return Err(usage()),
        };
        Ok(Self {
            url,
            sends: match &**direction {
                "send" => true,
                "receive" => false,
                _ => return Err(usage()),
            },
            bytes: bytes.parse().map_err(|_| usage())?,
            chunk: chunk.parse().ok().filter(|&chunk| chunk > 0).ok_or_else(usage)?,
            one_message: match &**framing {
                "one" => true,
                "messages" => false,
                _ => return Err(usage()),
            },
        })
    }

    /// `HOST:PORT` of the peer.
    pub fn authority(&self) -> Option<&str> {
        self.url.as_deref().map(|url| url.trim_start_matches("ws://").trim_end_matches('/'))
    }

    /// The sizes of the writes, which add up to all bytes.
    pub fn writes(&self) -> impl Iterator<Item = usize> + use<> {
        let (chunk, mut left) = (self.chunk, self.bytes);
        std::iter::from_fn(move || {
            let next = usize::try_from(left).unwrap_or(usize::MAX).min(chunk);
            left -= next as u64;
            (next > 0).then_some(next)
        })
    }

    /// Says that the connection is open, and waits for the word to begin. Nothing else runs meanwhile.
    ///
    /// # Errors
    /// If nobody is there to give the word.
    pub fn ready(&self) -> io::Result<()> {
        println!("ready");
        wait()
    }

    /// Says that the transfer is over, and waits until it was looked at. `bytes` were sent or received.
    ///
    /// # Errors
    /// If that is not what there was to transfer.
    pub fn done(&self, bytes: u64) -> io::Result<()> {
        if bytes != self.bytes {
            return Err(io::Error::other(format!("{bytes} bytes instead of {}", self.bytes)));
        }
        println!("done");
        wait()
    }
}

fn wait() -> io::Result<()> {
    io::stdin().lock().read_line(&mut String::new()).map(drop)
}
