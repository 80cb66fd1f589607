//! `wsduo serve files`: one folder, for clients to read and, if it was said, to write.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cap_fs_ext::OpenOptionsSyncExt;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use tokio::sync::{mpsc, watch};
use wsduo::http::{HeaderMap, StatusCode};
use wsduo::{CloseCode, MessageWebSocket, Request};

use super::link::{Heard, Link, Stage};
use super::name;
use super::partial::Existing;
use super::progress::{self, Progress};
use super::protocol::{Code, Control, Have, SUBPROTOCOL};
use super::receive::{self, Asked, Rules, Target, Transferred};
use super::send::{self, Source};
use super::trouble::Trouble;
use crate::exit::Failure;
use crate::terminal::{self, Escaped};

/// Entries of a list that may wait to be sent.
const QUEUE: usize = 64;

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
                let address =
                    request.remote_address().map_or_else(String::new, |address| address.to_string());
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
        let path = if name.is_empty() { "the folder".to_owned() } else { client.path(&name) };
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
        let mut target = link.tend_blocking(open).await?;
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
        let folder = client.folder.clone();
        let (entries, mut queue) = mpsc::channel(QUEUE);
        let walking = tokio::task::spawn_blocking(move || walk(&root, &folder, &entries));
        while let Some(entry) = link.tend(async { Ok(queue.recv().await) }).await? {
            link.queue(&entry).await?;
        }
        super::link::joined(walking).await?;
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

/// Finds every file below a folder, as long as anybody wants to know. Blocks.
fn walk(root: &Dir, base: &str, entries: &mpsc::Sender<Control>) -> Result<(), Trouble> {
    // Names relative to the base; the base itself is the first.
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = match (base, folder.as_str()) {
            ("", "") => Path::new(".").to_owned(),
            (base, folder) => Path::new(base).join(folder),
        };
        let cannot = || Trouble::system(format_args!("cannot list the folder {folder:?}"));
        for entry in root.read_dir(path).map_err(cannot())? {
            let entry = entry.map_err(cannot())?;
            let Ok(last) = entry.file_name().into_string() else { continue };
            let name = if folder.is_empty() { last } else { format!("{folder}/{last}") };
            let kind = entry.file_type().map_err(cannot())?;
            if name::check(&name).is_err() || !(kind.is_dir() || kind.is_file()) {
                continue;
            }
            if kind.is_dir() {
                folders.push(name);
                continue;
            }
            // One that has gone meanwhile is not there.
            let Ok(metadata) = entry.metadata() else { continue };
            if entries.blocking_send(Control::Entry { name, size: metadata.len() }).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
