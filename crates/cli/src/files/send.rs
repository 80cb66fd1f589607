//! The sender of a file, be it client or server.

use std::fs::File;
use std::io::{self, Read, Seek};

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::link::{Heard, Link, Stage, joined};
use super::progress::Progress;
use super::protocol::{Code, Control, Digest, Have};
use super::receive::Transferred;
use super::trouble::Trouble;

/// What is read at once, and sent as one message.
pub(crate) const PIECE: usize = 256 << 10;

/// Pieces that may wait to be sent.
const QUEUE: usize = 4;

/// A file to send.
#[derive(Debug)]
pub(crate) struct Source {
    input: Input,
    /// The name for people.
    shown: String,
    /// `None` for what is read until it ends.
    size: Option<u64>,
}

#[derive(Debug)]
enum Input {
    File(File),
    Stdin(io::Stdin),
}

/// What the reading thread has to say.
#[derive(Debug)]
enum Piece {
    Begin { offset: u64 },
    Bytes(Vec<u8>),
    End { size: u64, sha256: Digest },
}

impl Source {
    /// A file, or something else that can be read. Blocks.
    pub(crate) fn file(file: File, shown: &str) -> Result<Self, Trouble> {
        let metadata = file.metadata().map_err(Trouble::system(format_args!("cannot read {shown}")))?;
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self { input: Input::File(file), shown: shown.to_owned(), size })
    }

    /// Standard input.
    pub(crate) fn stdin() -> Self {
        Self { input: Input::Stdin(io::stdin()), shown: "standard input".into(), size: None }
    }

    /// Reads all that the receiver does not have, and hashes the whole, as long as anybody takes it. Blocks.
    fn read(mut self, have: Have, is_complete: bool, pieces: &mpsc::Sender<Piece>) -> Result<(), Trouble> {
        let shown = std::mem::take(&mut self.shown);
        let cannot = || Trouble::system(format_args!("cannot read {shown}"));
        let mut hasher = Sha256::new();
        let offset = self.agree(have, &mut hasher, || !pieces.is_closed()).map_err(cannot())?;
        if is_complete && (offset != have.offset || self.size != Some(offset)) {
            let text = format!("the other end has another file in the place of {shown}; see --overwrite");
            return Err(Trouble::Refused(Code::Exists, text));
        }
        let mut goes_on = pieces.blocking_send(Piece::Begin { offset }).is_ok();
        let mut total = offset;
        while goes_on {
            // What was appended since the size was told is not sent.
            let left = self.size.map_or(u64::MAX, |size| size - total);
            let piece = self.input.piece(left).map_err(cannot())?;
            if piece.is_empty() {
                break;
            }
            total += piece.len() as u64;
            hasher.update(&piece);
            goes_on = pieces.blocking_send(Piece::Bytes(piece)).is_ok();
        }
        if let Some(size) = self.size.filter(|size| goes_on && *size != total) {
            let text = format!("{shown} had {size} bytes, and ends after {total}");
            return Err(Trouble::Refused(Code::Changed, text));
        }
        // Nobody takes it if nobody took the bytes.
        let _ = pieces.blocking_send(Piece::End { size: total, sha256: Digest(hasher.finalize().into()) });
        Ok(())
    }

    /// How much of what the receiver has is the beginning of this file: all or nothing.
    fn agree(&mut self, have: Have, hasher: &mut Sha256, is_wanted: impl Fn() -> bool) -> io::Result<u64> {
        let Have { offset, sha256: Some(sha256) } = have else { return Ok(0) };
        if offset == 0 || self.size.is_none_or(|size| size < offset) {
            return Ok(0);
        }
        let mut left = offset;
        while left > 0 && is_wanted() {
            let piece = self.input.piece(left)?;
            if piece.is_empty() {
                break;
            }
            hasher.update(&piece);
            left -= piece.len() as u64;
        }
        if left == 0 && Digest(hasher.clone().finalize().into()) == sha256 {
            return Ok(offset);
        }
        *hasher = Sha256::new();
        self.input.rewind()?;
        Ok(0)
    }
}

impl Input {
    /// The next bytes, at most this many; none at the end.
    fn piece(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let mut piece = vec![0; usize::try_from(most).unwrap_or(PIECE).min(PIECE)];
        loop {
            let read = match self {
                Self::File(file) => file.read(&mut piece),
                Self::Stdin(stdin) => stdin.lock().read(&mut piece),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(n) => {
                    piece.truncate(n);
                    return Ok(piece);
                }
            }
        }
    }

    fn rewind(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.rewind(),
            Self::Stdin(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Sends a file, once the receiver has told what it has of it. `is_complete` if that is a file that may not be replaced.
pub(crate) async fn send(
    link: &mut Link,
    source: Source,
    have: Have,
    is_complete: bool,
    progress: &mut Progress,
) -> Result<Transferred, Trouble> {
    let size = source.size;
    let (pieces, mut queue) = mpsc::channel(QUEUE);
    let reading = tokio::task::spawn_blocking(move || source.read(have, is_complete, &pieces));

    // Hashing what the receiver has may take its time.
    let first = link.tend(async { Ok(queue.recv().await) }).await?;
    let Some(Piece::Begin { offset }) = first else {
        return Err(failed(joined(reading).await));
    };
    link.enter(Stage::Data);
    progress.begin(offset, size);
    let sender = link.sender();
    let end = link.tend(async {
        let data = Control::Data { offset, size };
        sender.send(data.to_text()).await.map_err(Trouble::Lost)?;
        loop {
            match queue.recv().await {
                Some(Piece::Bytes(bytes)) => {
                    let n = bytes.len() as u64;
                    sender.send(bytes).await.map_err(Trouble::Lost)?;
                    progress.advance(n);
                }
                Some(Piece::End { size, sha256 }) => {
                    let end = Control::End { size, sha256 };
                    sender.send(end.to_text()).await.map_err(Trouble::Lost)?;
                    return Ok((size, sha256));
                }
                _ => return Err(failed(joined(reading).await)),
            }
        }
    });
    let (size, sha256) = end.await?;
    match link.hear().await? {
        Heard::Control(Control::Done) => {}
        other => return Err(other.unexpected("done")),
    }
    link.enter(Stage::Idle);
    Ok(Transferred { size, sha256, offset })
}

/// Why reading ended early.
fn failed(result: Result<(), Trouble>) -> Trouble {
    result.err().unwrap_or_else(|| Trouble::Refused(Code::Io, "reading ended before the end".into()))
}
