//! Unix sockets: made where none is listened on, and removed afterwards.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs4::TryLockError;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep};

/// How long another server that binds in the same folder is waited for. It takes a moment; whoever takes longer is none.
const PATIENCE: Duration = Duration::from_secs(1);

/// From one look to the next whether it is done.
const PAUSE: Duration = Duration::from_millis(1);

/// A Unix socket that is listened on.
#[derive(Debug)]
pub(super) struct UnixSocket {
    /// Its file, if it is ours to remove. Before the listener, while which lives no other file can be taken for it.
    _file: Option<SocketFile>,
    pub(super) listener: UnixListener,
}

/// Removed when dropped, unless somebody put another one there.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl UnixSocket {
    /// One that listens already.
    pub(super) fn adopt(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, _file: None })
    }

    pub(super) async fn bind(path: PathBuf) -> io::Result<Self> {
        // Or two servers could find the same socket left behind, or one not listened on yet, and the second remove that of the
        // first.
        let _lock = lock(&path).await;
        let listener = match UnixListener::bind(&path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(&path).await?;
                UnixListener::bind(&path)?
            }
            other => other?,
        };
        let file = std::fs::symlink_metadata(&path)?;
        let file = SocketFile { path, device: file.dev(), inode: file.ino() };
        Ok(Self { listener, _file: Some(file) })
    }
}

/// Keeps out others of our kind until it is dropped. Locked is the folder, so that no file has to be made for it.
///
/// `None` where there is no lock to be had: the folder may not be read, the file system has none, or somebody has it for
/// another purpose. That is no reason not to bind.
async fn lock(path: &Path) -> Option<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = File::open(folder).ok()?;
    let until = Instant::now() + PATIENCE;
    loop {
        match fs4::FileExt::try_lock(&folder) {
            Ok(()) => return Some(folder),
            Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(PAUSE).await,
            Err(_) => return None,
        }
    }
}

/// Removes a socket that nobody listens on.
async fn remove_stale(path: &Path) -> io::Result<()> {
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file there is not a socket"));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        // Somebody answers, or it cannot be told.
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = |file: std::fs::Metadata| file.dev() == self.device && file.ino() == self.inode;
        if std::fs::symlink_metadata(&self.path).is_ok_and(ours) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
