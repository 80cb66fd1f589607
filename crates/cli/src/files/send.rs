//! The sender of a file, be it client or server.

use std::fs::File;
use std::io::{self, Read, Seek};

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::link::{Heard, Link, Stage, joined};
use super::progress::Progress;
use super::protocol::{Code, Control, Digest, Have};
use super::receive::Transferred;
use super::trouble::Trouble;

/// What is read at once, and sent as one message.
pub(crate) const PIECE: usize = 256 << 10;

/// A file to send, and the SHA-256 of what was read of it.
#[derive(Debug)]
pub(crate) struct Source {
    input: Input,
    /// The name for people.
    shown: String,
    /// `None` for what is read until it ends.
    size: Option<u64>,
    hasher: Sha256,
    /// How much was read.
    total: u64,
}

#[derive(Debug)]
enum Input {
    File(File),
    Stdin(io::Stdin),
}

impl Source {
    /// A file, or something else that can be read. Blocks.
    pub(crate) fn file(file: File, shown: &str) -> Result<Self, Trouble> {
        let metadata = file.metadata().map_err(Trouble::system(format_args!("cannot read {shown}")))?;
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self::new(Input::File(file), shown, size))
    }

    /// Standard input.
    pub(crate) fn stdin() -> Self {
        Self::new(Input::Stdin(io::stdin()), "standard input", None)
    }

    fn new(input: Input, shown: &str, size: Option<u64>) -> Self {
        Self { input, shown: shown.to_owned(), size, hasher: Sha256::new(), total: 0 }
    }

    /// The next bytes; none at the end. Blocks.
    fn read(&mut self) -> Result<Vec<u8>, Trouble> {
        // What was appended since the size was told is not sent.
        let left = self.size.map_or(u64::MAX, |size| size - self.total);
        let piece = self.piece(left)?;
        if let Some(size) = self.size.filter(|size| piece.is_empty() && *size != self.total) {
            let text = format!("{} had {size} bytes, and ends after {}", self.shown, self.total);
            return Err(Trouble::Refused(Code::Changed, text));
        }
        Ok(piece)
    }

    /// Goes to where the receiver's bytes end, if they are the beginning of this file and as long as anybody waits for it.
    /// Otherwise stays at the beginning. Blocks.
    fn agree(&mut self, have: Have, is_wanted: impl Fn() -> bool) -> Result<(), Trouble> {
        let Have { offset, sha256: Some(sha256) } = have else { return Ok(()) };
        if offset == 0 || self.size.is_none_or(|size| size < offset) {
            return Ok(());
        }
        while self.total < offset && is_wanted() {
            if self.piece(offset - self.total)?.is_empty() {
                break;
            }
        }
        if self.total == offset && self.sha256() == sha256 {
            return Ok(());
        }
        (self.hasher, self.total) = (Sha256::new(), 0);
        self.input.rewind().map_err(self.cannot_read())
    }

    fn piece(&mut self, most: u64) -> Result<Vec<u8>, Trouble> {
        let piece = self.input.piece(most).map_err(self.cannot_read())?;
        self.hasher.update(&piece);
        self.total += piece.len() as u64;
        Ok(piece)
    }

    fn sha256(&self) -> Digest {
        Digest(self.hasher.clone().finalize().into())
    }

    fn cannot_read(&self) -> impl FnOnce(io::Error) -> Trouble + use<> {
        Trouble::system(format_args!("cannot read {}", self.shown))
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
    mut source: Source,
    have: Have,
    is_complete: bool,
    progress: &mut Progress,
) -> Result<Transferred, Trouble> {
    // Closed as soon as nobody waits here any more.
    let (wanted, _waiting) = mpsc::channel::<()>(1);
    let agreeing = link.tend_blocking(move || {
        source.agree(have, || !wanted.is_closed())?;
        Ok(source)
    });
    let source = agreeing.await?;
    let (offset, size) = (source.total, source.size);
    if is_complete && (offset != have.offset || size != Some(offset)) {
        let text =
            format!("the other end has another file in the place of {}; see --overwrite", source.shown);
        return Err(Trouble::Refused(Code::Exists, text));
    }
    link.enter(Stage::Data);
    progress.begin(offset, size);
    let sender = link.sender();
    let sending = link.tend(async {
        let say = async |control: Control| sender.send(control.to_text()).await.map_err(Trouble::Lost);
        say(Control::Data { offset, size }).await?;
        let mut reading = read(source);
        loop {
            let (source, piece) = joined(reading).await?;
            if piece.is_empty() {
                let (size, sha256) = (source.total, source.sha256());
                say(Control::End { size, sha256 }).await?;
                return Ok((size, sha256));
            }
            // The next one is read while this one is on its way.
            reading = read(source);
            let n = piece.len() as u64;
            sender.send(piece).await.map_err(Trouble::Lost)?;
            progress.advance(n);
        }
    });
    let (size, sha256) = sending.await?;
    match link.hear().await? {
        Heard::Control(Control::Done) => {}
        other => return Err(other.unexpected("done")),
    }
    link.enter(Stage::Idle);
    Ok(Transferred { size, sha256, offset })
}

/// Reads a piece in a thread. No thread is kept: transfers may be slow, and many.
fn read(mut source: Source) -> JoinHandle<Result<(Source, Vec<u8>), Trouble>> {
    tokio::task::spawn_blocking(move || {
        let piece = source.read()?;
        Ok((source, piece))
    })
}
