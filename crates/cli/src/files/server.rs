//! `wsduo serve files`: one folder, for clients to read and, if it was said, to write.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cap_fs_ext::OpenOptionsSyncExt;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, ReadDir};
use tokio::sync::watch;
use wsduo::http::{HeaderMap, StatusCode};
use wsduo::{CloseCode, MessageWebSocket, Request};

use super::link::{Heard, Link, Stage};
use super::name;
use super::partial::{self, Existing};
use super::progress::{self, Progress};
use super::protocol::{Code, Control, Have, SUBPROTOCOL};
use super::receive::{self, Asked, Rules, Target, Transferred};
use super::send::{self, Source};
use super::trouble::Trouble;
use crate::exit::{Failure, beginning};
use crate::terminal::{self, Escaped};

/// Entries of a list that are found at once.
const AT_ONCE: usize = 64;

/// What clients may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    ReadAndWrite,
    WriteOnly,
}

/// What is served, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) folder: PathBuf,
    pub(crate) access: Access,
    /// Clients may replace files.
    pub(crate) overwrite: bool,
    pub(crate) max_size: u64,
}

/// The folder, for all connections.
#[derive(Debug)]
pub(crate) struct Files {
    root: Dir,
    access: Access,
    overwrite: bool,
    max_size: u64,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    /// What its names are relative to.
    folder: String,
    address: String,
}

impl Files {
    pub(crate) fn open(plan: &Plan) -> Result<Self, Failure> {
        let root = Dir::open_ambient_dir(&plan.folder, ambient_authority()).map_err(|error| {
            Failure::Usage(format!("--dir: cannot open {}: {error}", plan.folder.display()))
        })?;
        Ok(Self { root, access: plan.access, overwrite: plan.overwrite, max_size: plan.max_size })
    }

    /// What is said at the start.
    pub(crate) fn describe(&self) -> &'static str {
        match (self.access, self.overwrite) {
            (Access::ReadOnly, _) => "clients can read files",
            (Access::ReadAndWrite, false) => "clients can read files and write new ones",
            (Access::ReadAndWrite, true) => "clients can read, write and replace files",
            (Access::WriteOnly, false) => "clients can write new files and read none",
            (Access::WriteOnly, true) => "clients can write and replace files and read none",
        }
    }

    /// Lets in whoever speaks the protocol and names a folder; refuses others with a text that helps.
    pub(crate) async fn admit(&self, request: Request) -> Option<(Request, Client)> {
        let none = HeaderMap::new();
        if !request.subprotocols().iter().any(|name| name == SUBPROTOCOL) {
            let text = format!(
                "files are served here: use 'wsduo send' or 'wsduo receive', or offer the subprotocol {SUBPROTOCOL}\n"
            );
            let _ = request.refuse_with(StatusCode::BAD_REQUEST, &none, &text).await;
            return None;
        }
        let folder = name::of_path(request.path()).and_then(|(folder, _)| match folder.as_str() {
            "" => Ok(folder),
            name => name::check(name).map(|()| folder),
        });
        match folder {
            Ok(folder) => {
                // A trusted proxy tells no port.
                let address = match (request.client_address(), request.remote_address()) {
                    (Some(client), Some(peer)) if client == peer.ip() => peer.to_string(),
                    (Some(client), _) => client.to_string(),
                    (None, _) => String::new(),
                };
                Some((request, Client { folder, address }))
            }
            Err(problem) => {
                let text = format!("no folder of this server: {problem}\n");
                let _ = request.refuse_with(StatusCode::NOT_FOUND, &none, &text).await;
                None
            }
        }
    }

    /// Serves one client until it goes.
    pub(crate) async fn serve(
        &self,
        socket: MessageWebSocket,
        client: &Client,
        mut stopping: watch::Receiver<()>,
    ) {
        let mut link = Link::new(socket);
        let sender = link.sender();
        tokio::select! {
            () = self.requests(&mut link, client) => {}
            _ = stopping.changed() => {
                let _ = sender.close(CloseCode::GOING_AWAY, "the server is shutting down").await;
            }
        }
    }

    async fn requests(&self, link: &mut Link, client: &Client) {
        loop {
            let result = match link.next().await {
                Ok(Some(heard)) => self.request(link, client, heard).await,
                Ok(None) | Err(Trouble::Lost(_)) => return,
                Err(trouble) => {
                    client.log(format_args!("failed: {trouble}"));
                    Err(trouble)
                }
            };
            if let Err(trouble) = result
                && !link.fail(&trouble).await
            {
                return;
            }
        }
    }

    /// Does what the client asks for, and says how it went.
    async fn request(&self, link: &mut Link, client: &Client, heard: Heard) -> Result<(), Trouble> {
        let begun = Instant::now();
        link.enter(Stage::Asked);
        let (verb, name, result) = match heard {
            Heard::Control(Control::Put { name, resume, overwrite }) => {
                let result = self.put(link, client, &name, resume, overwrite).await;
                ("received", name, result.map(Some))
            }
            Heard::Control(Control::Get { name, have }) => {
                let result = self.get(link, client, &name, have).await;
                ("sent", name, result.map(Some))
            }
            Heard::Control(Control::List) => {
                ("listed", String::new(), self.list(link, client).await.map(|()| None))
            }
            other => ("done", String::new(), Err(other.unexpected("put, get or list"))),
        };
        let path = match name.as_str() {
            "" => "the folder".to_owned(),
            // Whatever it is, it has one line of the log.
            name if name::check(name).is_err() => beginning(name),
            name => client.path(name),
        };
        match result {
            Ok(Some(transferred)) => {
                let what = progress::describe(&path, &transferred, begun.elapsed());
                client.log(format_args!("{verb} {what}"));
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(trouble) => {
                client.log(format_args!("{path} was not {verb}: {trouble}"));
                Err(trouble)
            }
        }
    }

    async fn put(
        &self,
        link: &mut Link,
        client: &Client,
        name: &str,
        resume: bool,
        overwrite: bool,
    ) -> Result<Transferred, Trouble> {
        if self.access == Access::ReadOnly {
            let text = "this server takes no files; it was started without --write";
            return Err(Trouble::Refused(Code::ReadOnly, text.into()));
        }
        check(name)?;
        let existing = if overwrite && self.overwrite { Existing::Replace } else { Existing::Keep };
        let asked = Asked { resume, existing };
        let root = self.clone_root()?;
        let (path, shown) = (client.path(name), name.to_owned());
        let open = move || {
            let (folder, last) = name::split(&path);
            let folder = match folder {
                Some(folder) => root
                    .create_dir_all(folder)
                    .and_then(|()| root.open_dir(folder))
                    .map_err(Trouble::system(format_args!("cannot open the folder of {shown}")))?,
                None => root,
            };
            Target::open(folder, OsStr::new(last), &shown, asked)
        };
        let mut target = link.tend_blocking(open).await.map_err(|trouble| match trouble {
            Trouble::Refused(Code::Exists, text) if overwrite && !self.overwrite => {
                let text = format!("{text}: this server replaces no files; it was started without it");
                Trouble::Refused(Code::Exists, text)
            }
            trouble => trouble,
        })?;
        if target.is_complete() && self.access == Access::WriteOnly {
            // Whoever may read nothing learns nothing of what is there.
            return Err(partial::exists(name));
        }
        let mut have = Have::default();
        if resume {
            (target, have) = receive::look(link, target).await?;
        }
        link.say(&Control::Ready { have, complete: target.is_complete() }).await?;
        let rules = Rules { max_size: self.max_size, existing };
        receive::receive(link, target, have, rules, &mut Progress::nothing()).await
    }

    async fn get(
        &self,
        link: &mut Link,
        client: &Client,
        name: &str,
        have: Have,
    ) -> Result<Transferred, Trouble> {
        self.check_readable()?;
        check(name)?;
        let root = self.clone_root()?;
        let (path, shown) = (client.path(name), name.to_owned());
        let source = link.tend_blocking(move || {
            // A pipe does not keep us waiting.
            let file = root
                .open_with(path, OpenOptions::new().read(true).nonblock(true))
                .map_err(Trouble::system(format_args!("cannot read {shown}")))?;
            let metadata = file.metadata().map_err(Trouble::system(format_args!("cannot read {shown}")))?;
            if metadata.is_dir() {
                let text = format!("{shown} is a folder; end the URL with '/' to get what is in it");
                return Err(Trouble::Refused(Code::NotFound, text));
            }
            if !metadata.is_file() {
                return Err(Trouble::Refused(Code::NotFound, format!("{shown} is not a file")));
            }
            Source::file(file.into_std(), &shown)
        });
        let source = source.await?;
        send::send(link, source, have, false, &mut Progress::nothing()).await
    }

    async fn list(&self, link: &mut Link, client: &Client) -> Result<(), Trouble> {
        self.check_readable()?;
        let root = self.clone_root()?;
        let mut walk = Walk::new(root, client.folder.clone());
        loop {
            // No thread is kept while the client takes its time.
            let entries;
            (walk, entries) = link.tend_blocking(move || walk.step()).await?;
            if entries.is_empty() {
                break;
            }
            for entry in &entries {
                link.queue(entry).await?;
            }
        }
        link.enter(Stage::Idle);
        link.say(&Control::Listed).await
    }

    fn check_readable(&self) -> Result<(), Trouble> {
        if self.access == Access::WriteOnly {
            let text = "this server gives no files; it was started with --write-only";
            return Err(Trouble::Refused(Code::WriteOnly, text.into()));
        }
        Ok(())
    }

    fn clone_root(&self) -> Result<Dir, Trouble> {
        self.root.try_clone().map_err(Trouble::system(format_args!("cannot open the folder")))
    }
}

impl Client {
    /// Where a name leads, from the folder that is served.
    fn path(&self, name: &str) -> String {
        if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }

    /// Says on standard error what happened.
    fn log(&self, text: fmt::Arguments<'_>) {
        // Names are the client's choice.
        terminal::note(&format_args!("{}: {}", self.address, Escaped(&text.to_string())));
    }
}

fn check(name: &str) -> Result<(), Trouble> {
    name::check(name).map_err(|problem| Trouble::Refused(Code::BadName, problem))
}

/// Finds every file below a folder, some at a time.
struct Walk {
    root: Dir,
    base: String,
    /// Names relative to the base, yet to be looked into; the base itself is the first.
    folders: Vec<String>,
    /// The folder that is being looked into.
    open: Option<(String, ReadDir)>,
}

impl Walk {
    fn new(root: Dir, base: String) -> Self {
        Self { root, base, folders: vec![String::new()], open: None }
    }

    /// The next files; none: that was all. Blocks.
    fn step(mut self) -> Result<(Self, Vec<Control>), Trouble> {
        let mut found = Vec::new();
        while found.len() < AT_ONCE {
            let Some((folder, entries)) = &mut self.open else {
                let Some(folder) = self.folders.pop() else { break };
                self.open = self.look_into(&folder)?.map(|entries| (folder, entries));
                continue;
            };
            let Some(entry) = entries.next() else {
                self.open = None;
                continue;
            };
            let entry = entry.map_err(cannot_list(folder))?;
            let Ok(last) = entry.file_name().into_string() else { continue };
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if is_not_for_us(&error) => continue,
                Err(error) => return Err(cannot_list(folder)(error)),
            };
            let name = if folder.is_empty() { last } else { format!("{folder}/{last}") };
            if name::check(&name).is_err() {
                continue;
            }
            if metadata.is_dir() {
                self.folders.push(name);
            } else if metadata.is_file() {
                found.push(Control::Entry { name, size: metadata.len() });
            }
        }
        Ok((self, found))
    }

    /// What is in a folder. One below the base that has gone, or may not be read, has nothing.
    fn look_into(&self, folder: &str) -> Result<Option<ReadDir>, Trouble> {
        let path = match (self.base.as_str(), folder) {
            ("", "") => Path::new(".").to_owned(),
            (base, folder) => Path::new(base).join(folder),
        };
        match self.root.read_dir(path) {
            Ok(entries) => Ok(Some(entries)),
            Err(error) if !folder.is_empty() && is_not_for_us(&error) => Ok(None),
            Err(error) => Err(cannot_list(folder)(error)),
        }
    }
}

/// It has gone meanwhile, or may not be read.
fn is_not_for_us(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

fn cannot_list(folder: &str) -> impl FnOnce(io::Error) -> Trouble {
    Trouble::system(format_args!("cannot list the folder {folder:?}"))
}
