//! Unix sockets: made where none is listened on, and removed afterwards.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

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
