//! A file that is not complete yet: under a temporary name, locked, and renamed in one step once it is whole.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::time::Duration;

use cap_fs_ext::{FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, OpenOptions};
use fs4::TryLockError;

use super::name;
use super::protocol::Code;
use super::trouble::Trouble;

/// How often opening is tried while another transfer has the file, or comes or goes.
const ATTEMPTS: usize = 20;

/// How long is waited in between: one whose connection has just been lost ends in a moment.
const PAUSE: Duration = Duration::from_millis(100);

/// A file that is not complete yet. Nobody else writes to it while this exists.
#[derive(Debug)]
pub(crate) struct Partial {
    folder: Dir,
    name: OsString,
    /// The name for people.
    shown: String,
    file: File,
    is_done: bool,
}

/// Whether a file of the name may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Keep,
    Replace,
}

impl Partial {
    /// Opens or creates the temporary file for `name` in `folder`. Blocks.
    ///
    /// # Errors
    /// [`Code::Busy`] if another transfer has it, or a failure of the system.
    pub(crate) fn open(folder: Dir, name: &OsStr, shown: &str) -> Result<Self, Trouble> {
        let cannot = || Trouble::system(format_args!("cannot write {shown}"));
        let busy = || {
            let text =
                format!("{shown} is being written by another transfer, which is given up when it is cut off");
            Trouble::Refused(Code::Busy, text)
        };
        let partial = name::partial(name);
        let mut options = OpenOptions::new();
        // A link is not followed, and a pipe does not keep us waiting.
        options.read(true).write(true).create(true).follow(FollowSymlinks::No).nonblock(true);
        for _ in 0..ATTEMPTS {
            let file = folder.open_with(&partial, &options).map_err(cannot())?;
            let metadata = file.metadata().map_err(cannot())?;
            if !metadata.is_file() {
                let text = format!("{} is in the way: it is not a file", partial.display());
                return Err(Trouble::Refused(Code::Exists, text));
            }
            let file = file.into_std();
            match fs4::FileExt::try_lock(&file) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                // Some network file systems have no locks.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(cannot()(error)),
            }
            // Whoever had the lock may have given the file its name meanwhile, or another link to it may be a complete file.
            match folder.symlink_metadata(&partial) {
                Ok(now) if (now.dev(), now.ino()) == (metadata.dev(), metadata.ino()) && now.nlink() == 1 => {
                    let (name, shown) = (name.to_owned(), shown.to_owned());
                    return Ok(Self { folder, name, shown, file, is_done: false });
                }
                Ok(now) if now.nlink() > 1 => folder.remove_file(&partial).map_err(cannot())?,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(cannot()(error)),
            }
        }
        Err(busy())
    }

    /// To read and write.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Writes the file to the disk and gives it its name.
    ///
    /// # Errors
    /// [`Code::Exists`] if there is one of this name that may not be replaced, or a failure of the system. The temporary
    /// file stays.
    pub(crate) fn complete(mut self, existing: Existing) -> Result<(), Trouble> {
        let partial = name::partial(&self.name);
        let written = self.file.sync_all().and_then(|()| match existing {
            Existing::Replace => self.folder.rename(&partial, &self.folder, &self.name),
            Existing::Keep => rename_without_replacing(&self.folder, &partial, &self.name),
        });
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists(&self.shown)),
            Err(error) => return Err(Trouble::system(format_args!("cannot complete {}", self.shown))(error)),
        }
        self.is_done = true;
        // The name, too. Where a folder cannot be synchronised, the system does it in its own time.
        #[cfg(unix)]
        if let Ok(folder) = self.folder.try_clone() {
            let _ = folder.into_std_file().sync_all();
        }
        Ok(())
    }

    /// Removes the temporary file: its bytes are known to be wrong.
    pub(crate) fn discard(mut self) {
        self.is_done = true;
        self.remove();
    }

    fn remove(&self) {
        // What cannot be removed is found not to fit when it is resumed.
        let _ = self.folder.remove_file(name::partial(&self.name));
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // A file of which nothing came is not worth keeping.
        if !self.is_done && self.file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            self.remove();
        }
    }
}

/// There is a file of this name.
pub(crate) fn exists(shown: &str) -> Trouble {
    Trouble::Refused(Code::Exists, format!("{shown} exists already; see --overwrite"))
}

fn rename_without_replacing(folder: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    match rename_exclusively(folder, from, to) {
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) => {
            rename_by_link(folder, from, to)
        }
        result => result,
    }
}

fn rename_by_link(folder: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    match folder.hard_link(from, folder, to) {
        // It has its name; that it has another one too does no harm.
        Ok(()) => {
            let _ = folder.remove_file(from);
            Ok(())
        }
        // A file system without links: the name is taken by an empty file first, which is ours to replace.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) =>
        {
            folder.open_with(to, OpenOptions::new().write(true).create_new(true))?;
            folder.rename(from, folder, to).inspect_err(|_| {
                let _ = folder.remove_file(to);
            })
        }
        Err(error) => Err(error),
    }
}

/// Renames in one step, where the system can.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_exclusively(folder: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    use std::path::Path;

    use rustix::fs::{RenameFlags, renameat_with};

    // Both are single parts of a name, so nothing leads out of the folder.
    Ok(renameat_with(folder, Path::new(from), folder, Path::new(to), RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_exclusively(_: &Dir, _: &OsStr, _: &OsStr) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;

    use super::*;

    const PARTIAL: &str = ".a.wsduo-part";

    /// A folder of a test's own.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("wsduo-{}-{test}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn open(&self) -> Result<Partial, Trouble> {
            let folder = Dir::open_ambient_dir(&self.0, cap_std::ambient_authority()).unwrap();
            Partial::open(folder, OsStr::new("a"), "a")
        }

        fn content(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.0.join(name)).ok()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_that_came_meanwhile_is_not_replaced() {
        let folder = Folder::new("meanwhile");
        let partial = folder.open().unwrap();
        partial.file().write_all(b"new").unwrap();
        fs::write(folder.0.join("a"), "old").unwrap();
        let trouble = partial.complete(Existing::Keep).unwrap_err();
        assert!(matches!(trouble, Trouble::Refused(Code::Exists, _)), "{trouble}");
        assert_eq!(folder.content("a").as_deref(), Some("old"));
        // What arrived is kept, and may replace it if that is asked for.
        let partial = folder.open().unwrap();
        partial.complete(Existing::Replace).unwrap();
        assert_eq!(folder.content("a").as_deref(), Some("new"));
        assert_eq!(folder.content(PARTIAL), None);
    }

    #[test]
    fn only_one_writes_and_an_empty_file_is_not_kept() {
        let folder = Folder::new("one");
        let partial = folder.open().unwrap();
        let trouble = folder.open().unwrap_err();
        assert!(matches!(trouble, Trouble::Refused(Code::Busy, _)), "{trouble}");
        drop(partial);
        assert_eq!(folder.content(PARTIAL), None);
        assert!(folder.open().is_ok());
    }

    #[test]
    fn a_complete_file_is_not_written_to_by_another_name() {
        let folder = Folder::new("link");
        fs::write(folder.0.join("complete"), "complete").unwrap();
        fs::hard_link(folder.0.join("complete"), folder.0.join(PARTIAL)).unwrap();
        let partial = folder.open().unwrap();
        partial.file().write_all(b"x").unwrap();
        assert_eq!(folder.content("complete").as_deref(), Some("complete"));
        assert_eq!(folder.content(PARTIAL).as_deref(), Some("x"));
    }

    #[test]
    fn without_an_exclusive_rename_a_link_does_the_same() {
        let folder = Folder::new("fallback");
        let dir = Dir::open_ambient_dir(&folder.0, cap_std::ambient_authority()).unwrap();
        fs::write(folder.0.join("from"), "from").unwrap();
        fs::write(folder.0.join("to"), "to").unwrap();
        let error = rename_by_link(&dir, OsStr::new("from"), OsStr::new("to")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        rename_by_link(&dir, OsStr::new("from"), OsStr::new("new")).unwrap();
        assert_eq!((folder.content("from"), folder.content("new").as_deref()), (None, Some("from")));
    }
}
