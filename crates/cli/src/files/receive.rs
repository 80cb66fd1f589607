//! The receiver of a file, be it client or server.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::time::Duration;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, OpenOptions};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wsduo::Bytes;

use super::link::{Heard, Link, Stage, joined};
use super::partial::{self, Existing, Partial};
use super::progress::Progress;
use super::protocol::{Code, Control, Digest, Have, MAX_SIZE};
use super::send::PIECE;
use super::trouble::Trouble;

/// Bytes that may wait for the disk, give or take a message.
const QUEUE: usize = 1 << 20;

/// How long what still waits may take to be written after a failure, so that it need not be sent again.
const SAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A file that has arrived, or was there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transferred {
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
    /// How much of it did not have to be sent.
    pub(crate) offset: u64,
}

/// What is to be done about what is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) resume: bool,
    pub(crate) existing: Existing,
}

/// Where bytes go, with the SHA-256 of those that are there.
#[derive(Debug)]
pub(crate) struct Target {
    place: Place,
    /// The name for people.
    shown: String,
    hasher: Sha256,
    len: u64,
}

enum Place {
    Partial(Partial),
    /// Not a file: standard output, a device.
    Stream(Box<dyn Write + Send>),
    /// A complete file, which is only looked at.
    Complete(File),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Partial(_) => "Partial",
            Self::Stream(_) => "Stream",
            Self::Complete(_) => "Complete",
        })
    }
}

impl Target {
    /// The file `name` in `folder`: what is to become it, or itself if it is there and only to be compared. Blocks.
    ///
    /// # Errors
    /// [`Code::Exists`] if it is there and may be neither replaced nor compared.
    pub(crate) fn open(folder: Dir, name: &OsStr, shown: &str, asked: Asked) -> Result<Self, Trouble> {
        let cannot = || Trouble::system(format_args!("cannot write {shown}"));
        match folder.symlink_metadata(name) {
            Ok(there) if there.is_dir() => {
                let text = format!("{shown} is a folder; end the URL with '/' to mean what is in it");
                return Err(Trouble::Refused(Code::Exists, text));
            }
            Ok(there) if asked.existing == Existing::Keep => {
                if !asked.resume || !there.is_file() {
                    return Err(partial::exists(shown));
                }
                let mut options = OpenOptions::new();
                options.read(true).follow(FollowSymlinks::No).nonblock(true);
                let file = folder.open_with(name, &options).map_err(cannot())?;
                return Ok(Self::new(Place::Complete(file.into_std()), shown));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(cannot()(error)),
        }
        Ok(Self::new(Place::Partial(Partial::open(folder, name, shown)?), shown))
    }

    /// Anything that is written once and never looked at.
    pub(crate) fn stream(out: Box<dyn Write + Send>, shown: &str) -> Self {
        Self::new(Place::Stream(out), shown)
    }

    fn new(place: Place, shown: &str) -> Self {
        Self { place, shown: shown.to_owned(), hasher: Sha256::new(), len: 0 }
    }

    /// Looks at what is there, as long as anybody waits for it. Blocks.
    fn look(&mut self, is_wanted: impl Fn() -> bool) -> Result<Have, Trouble> {
        let cannot = Trouble::system(format_args!("cannot read what there is of {}", self.shown));
        let mut file = match &self.place {
            Place::Partial(partial) => partial.file(),
            Place::Complete(file) => file,
            Place::Stream(_) => return Ok(Have::default()),
        };
        let mut piece = vec![0; PIECE];
        while is_wanted() {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => {
                    self.hasher.update(&piece[..n]);
                    self.len += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cannot(error)),
            }
        }
        if self.len == 0 {
            return Ok(Have::default());
        }
        Ok(Have { offset: self.len, sha256: Some(self.sha256()) })
    }

    /// Whether this is a complete file, to be compared with the sender's.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.place, Place::Complete(_))
    }

    /// The size of what is there. Blocks.
    pub(crate) fn size(&self) -> Option<u64> {
        let metadata = match &self.place {
            Place::Partial(partial) => partial.file().metadata(),
            Place::Complete(file) => file.metadata(),
            Place::Stream(_) => return None,
        };
        metadata.ok().map(|metadata| metadata.len())
    }

    fn sha256(&self) -> Digest {
        Digest(self.hasher.clone().finalize().into())
    }

    /// Writes bytes. Blocks.
    fn write(&mut self, bytes: &[Bytes]) -> Result<(), Trouble> {
        let cannot = || Trouble::system(format_args!("cannot write {}", self.shown));
        for bytes in bytes {
            match &mut self.place {
                Place::Partial(partial) => partial.file().write_all(bytes).map_err(cannot())?,
                Place::Stream(out) => out.write_all(bytes).and_then(|()| out.flush()).map_err(cannot())?,
                Place::Complete(_) => return Err(partial::exists(&self.shown)),
            }
            self.hasher.update(bytes);
            self.len += bytes.len() as u64;
        }
        Ok(())
    }

    /// Makes ready for bytes from `offset` on: the end of what is there, or the beginning.
    fn begin(&mut self, offset: u64) -> Result<(), Trouble> {
        if matches!(self.place, Place::Complete(_)) && offset != self.len {
            return Err(partial::exists(&self.shown));
        }
        if offset != self.len {
            self.hasher = Sha256::new();
            self.len = 0;
        }
        match &self.place {
            // Even without having looked, there may be something.
            Place::Partial(partial) => {
                let mut file = partial.file();
                let begun = file.set_len(offset).and_then(|()| file.seek(io::SeekFrom::Start(offset)));
                begun.map_err(Trouble::system(format_args!("cannot write {}", self.shown)))?;
            }
            Place::Complete(_) | Place::Stream(_) => {}
        }
        Ok(())
    }

    /// Gives the file its name. Blocks.
    fn finish(self, existing: Existing) -> Result<(), Trouble> {
        match self.place {
            Place::Partial(partial) => partial.complete(existing),
            Place::Stream(_) | Place::Complete(_) => Ok(()),
        }
    }

    fn discard(self) {
        if let Place::Partial(partial) = self.place {
            partial.discard();
        }
    }
}

/// Looks at what is there, while the link is tended.
pub(crate) async fn look(link: &mut Link, mut target: Target) -> Result<(Target, Have), Trouble> {
    // Closed as soon as nobody waits here any more.
    let (wanted, _waiting) = mpsc::channel::<()>(1);
    link.tend_blocking(move || {
        let have = target.look(|| !wanted.is_closed())?;
        Ok((target, have))
    })
    .await
}

/// What a receiver insists on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Most bytes of a file.
    pub(crate) max_size: u64,
    pub(crate) existing: Existing,
}

/// Receives a file, once the sender was told what we have of it.
pub(crate) async fn receive(
    link: &mut Link,
    mut target: Target,
    have: Have,
    rules: Rules,
    progress: &mut Progress,
) -> Result<Transferred, Trouble> {
    let (offset, size) = match link.hear().await? {
        Heard::Control(Control::Data { offset, size }) => (offset, size),
        other => return Err(other.unexpected("data")),
    };
    link.enter(Stage::Data);
    if offset != 0 && offset != have.offset {
        let text = format!("the other end begins at byte {offset}; it could at 0 or {}", have.offset);
        return Err(Trouble::Broken(text));
    }
    let limit = Limit { size, max: rules.max_size, shown: target.shown.clone() };
    limit.check(size.unwrap_or(offset).max(offset))?;
    progress.begin(offset, size);

    // The link is not tended: bytes may come already.
    let beginning = tokio::task::spawn_blocking(move || {
        target.begin(offset)?;
        Ok(target)
    });
    let mut writer = Writer { idle: Some(joined(beginning).await?), ..Writer::default() };
    let end = receive_bytes(link, offset, &limit, &mut writer, progress).await;
    let (size, expected, total) = match end {
        Ok(end) => end,
        Err(trouble) => {
            let _ = tokio::time::timeout(SAVE_TIMEOUT, writer.finish()).await;
            return Err(trouble);
        }
    };
    let target = link.tend(writer.finish()).await?;
    let sha256 = target.sha256();
    if size != total || sha256 != expected {
        let shown = &target.shown;
        let text = if size == total {
            format!("{shown} has SHA-256 {sha256}; {expected} was announced")
        } else {
            format!("{shown} has {total} bytes; {size} were announced")
        };
        target.discard();
        return Err(Trouble::Refused(Code::Mismatch, text));
    }
    link.tend_blocking(move || target.finish(rules.existing)).await?;
    link.enter(Stage::Idle);
    // The file is there, whether the other end gets to know it or not; if it is gone, the next wait for it tells.
    let _ = link.say(&Control::Done).await;
    Ok(Transferred { size, sha256, offset })
}

/// Receives bytes up to the end: the size and the SHA-256 that were announced, and how many bytes there are.
async fn receive_bytes(
    link: &mut Link,
    offset: u64,
    limit: &Limit,
    writer: &mut Writer,
    progress: &mut Progress,
) -> Result<(u64, Digest, u64), Trouble> {
    let mut total = offset;
    loop {
        let heard = tokio::select! {
            heard = link.hear(), if writer.has_room() => heard?,
            written = writer.written() => {
                written?;
                continue;
            }
        };
        match heard {
            Heard::Bytes(bytes) => {
                let n = bytes.len() as u64;
                total += n;
                limit.check(total)?;
                writer.push(bytes);
                progress.advance(n);
            }
            Heard::Control(Control::End { size, sha256 }) => {
                // Both are to be true.
                let size = limit.size.filter(|announced| *announced != total).unwrap_or(size);
                return Ok((size, sha256, total));
            }
            other => return Err(other.unexpected("bytes or end")),
        }
    }
}

/// Writes in a thread what comes in, and lets more come in meanwhile. No thread is kept: transfers may be slow, and many.
#[derive(Default)]
struct Writer {
    /// While nothing is being written.
    idle: Option<Target>,
    writing: Option<JoinHandle<Result<Target, Trouble>>>,
    queue: Vec<Bytes>,
    queued: usize,
}

impl Writer {
    fn has_room(&self) -> bool {
        self.queued < QUEUE
    }

    fn push(&mut self, bytes: Bytes) {
        // What keeping it costs counts too.
        self.queued += bytes.len() + size_of::<Bytes>();
        self.queue.push(bytes);
        self.start();
    }

    /// Begins to write what waits, unless something is being written.
    fn start(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let Some(mut target) = self.idle.take() else { return };
        let bytes = std::mem::take(&mut self.queue);
        self.queued = 0;
        self.writing = Some(tokio::task::spawn_blocking(move || {
            target.write(&bytes)?;
            Ok(target)
        }));
    }

    /// Waits until something was written; for ever if nothing is.
    ///
    /// # Cancel safety
    /// Safe: writing goes on, and the next call waits for it.
    async fn written(&mut self) -> Result<(), Trouble> {
        let Some(writing) = &mut self.writing else { return std::future::pending().await };
        let target = joined(writing).await;
        self.writing = None;
        self.idle = Some(target?);
        self.start();
        Ok(())
    }

    /// Waits until everything was written.
    async fn finish(&mut self) -> Result<Target, Trouble> {
        while self.writing.is_some() {
            self.written().await?;
        }
        let gone = || Trouble::Refused(Code::Io, "writing has failed".into());
        self.idle.take().ok_or_else(gone)
    }
}

/// How far a file may go.
struct Limit {
    /// What was announced.
    size: Option<u64>,
    max: u64,
    shown: String,
}

impl Limit {
    fn check(&self, total: u64) -> Result<(), Trouble> {
        let Self { size, max, shown } = self;
        let max = (*max).min(MAX_SIZE - 1);
        if total > max {
            let text = format!("{shown} is over the limit of {max} bytes");
            return Err(Trouble::Refused(Code::TooLarge, text));
        }
        match size {
            Some(size) if total > *size => {
                let text = format!("{shown} goes on beyond the {size} bytes that were announced");
                Err(Trouble::Refused(Code::Mismatch, text))
            }
            _ => Ok(()),
        }
    }
}
