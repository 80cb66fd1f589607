//! `wsduo send` and `wsduo receive`.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use wsduo::{CloseCode, MessageWebSocketControl};

use super::link::{Heard, Link, Stage};
use super::name;
use super::partial::{self, Existing};
use super::progress::{self, Progress, Show, Way};
use super::protocol::{Control, Have, MAX_SIZE, SUBPROTOCOL};
use super::receive::{self, Asked, Rules, Target, Transferred};
use super::send::{self, Source};
use super::trouble::Trouble;
use crate::exit::{self, Failure};
use crate::signals::Signals;
use crate::terminal::{self, Escaped};

/// Most bytes of names that a server may list.
const MAX_LIST: usize = 64 << 20;

/// How long the peer is given to take our leave when we are told to end.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// What to send or receive, and how.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) url: String,
    pub(crate) control: MessageWebSocketControl,
    pub(crate) what: What,
    pub(crate) asked: Asked,
    pub(crate) show: Show,
}

#[derive(Debug)]
pub(crate) enum What {
    Send(Vec<Outgoing>),
    /// One file, by its name in the folder of the URL.
    Receive(String, To),
    /// All that is in the folder of the URL.
    ReceiveAll(PathBuf),
}

/// A file to send.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// Standard input, if there is none.
    pub(crate) path: Option<PathBuf>,
    /// What it is called at the other end.
    pub(crate) name: String,
}

/// Where one file goes.
#[derive(Clone, Debug)]
pub(crate) enum To {
    /// Into this folder, by its own name.
    Folder(PathBuf),
    File(PathBuf),
    Stdout,
}

pub(crate) fn run(plan: Transfer) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Io("cannot start", error))?;
    let show = plan.show;
    let result = runtime.block_on(transfer(plan));
    // A thread may be waiting for standard input, and would be waited for.
    runtime.shutdown_background();
    if let Err(failure) = &result
        && !failure.is_quiet()
        && show == Show::Json
    {
        progress::failed(None, failure);
    }
    result
}

async fn transfer(plan: Transfer) -> Result<(), Failure> {
    let control = super::link::control(plan.control.clone()).subprotocols([SUBPROTOCOL]);
    let socket = control.connect(&plan.url).await.map_err(Failure::Connecting)?;
    let mut signals = Signals::new()?;
    let agreed = socket.information().subprotocol() == Some(SUBPROTOCOL);
    let mut link = Link::new(socket);
    let sender = link.sender();
    if !agreed {
        let _ = sender.close(CloseCode::NORMAL, "").await;
        return Err(Failure::Protocol(format!(
            "the server does not serve files: it did not agree to the subprotocol {SUBPROTOCOL}"
        )));
    }
    let work = async {
        let result = match &plan.what {
            What::Send(files) => send_all(&mut link, &plan, files).await,
            What::Receive(name, to) => {
                let files = [(name.clone(), None)];
                receive_all(&mut link, &plan, &files, to).await
            }
            What::ReceiveAll(folder) => match list(&mut link).await {
                Ok(files) => receive_all(&mut link, &plan, &files, &To::Folder(folder.clone())).await,
                Err(trouble) => {
                    link.fail(&trouble).await;
                    Err(trouble.into())
                }
            },
        };
        let closed = link.close().await;
        result?;
        exit::judge(closed.map_err(Failure::from)?).map(drop)
    };
    tokio::select! {
        result = work => result,
        signal = signals.next() => {
            let leaving = tokio::time::timeout(LEAVE_TIMEOUT, sender.close(CloseCode::GOING_AWAY, ""));
            tokio::select! {
                _ = leaving => {}
                _ = signals.next() => {}
            }
            Err(Failure::Signal(signal))
        }
    }
}

async fn send_all(link: &mut Link, plan: &Transfer, files: &[Outgoing]) -> Result<(), Failure> {
    let mut tally = Tally::new(plan.show, files.len());
    for file in files {
        let mut progress = tally.next(Way::Sent, &file.name);
        let result = send(link, plan, file, &mut progress).await;
        tally.ended(link, &progress, result).await?;
    }
    tally.end()
}

async fn send(
    link: &mut Link,
    plan: &Transfer,
    file: &Outgoing,
    progress: &mut Progress,
) -> Result<Transferred, Trouble> {
    let source = match &file.path {
        Some(path) => {
            let (path, shown) = (path.clone(), path.display().to_string());
            let open = move || {
                let file = File::open(path).map_err(Trouble::system(format_args!("cannot read {shown}")))?;
                Source::file(file, &shown)
            };
            link.tend_blocking(open).await?
        }
        None => Source::stdin(),
    };
    let overwrite = plan.asked.existing == Existing::Replace;
    link.enter(Stage::Asked);
    link.say(&Control::Put { name: file.name.clone(), resume: plan.asked.resume, overwrite }).await?;
    let (have, is_complete) = match link.hear().await? {
        Heard::Control(Control::Ready { have, complete }) => (have, complete),
        other => return Err(other.unexpected("ready")),
    };
    send::send(link, source, have, is_complete, progress).await
}

/// All that there is to receive, with its sizes.
async fn list(link: &mut Link) -> Result<Vec<(String, Option<u64>)>, Trouble> {
    link.enter(Stage::Asked);
    link.say(&Control::List).await?;
    let mut files = Vec::new();
    let mut total = 0;
    loop {
        match link.hear().await? {
            Heard::Control(Control::Entry { name, size }) => {
                name::check(&name).map_err(Trouble::Broken)?;
                total += name.len() + size_of::<(String, Option<u64>)>();
                if total > MAX_LIST {
                    let text = format!("the server lists more than {} files, which is too many", files.len());
                    return Err(Trouble::Broken(text));
                }
                files.push((name, Some(size)));
            }
            Heard::Control(Control::Listed) => {
                link.enter(Stage::Idle);
                break;
            }
            other => return Err(other.unexpected("entry or listed")),
        }
    }
    files.sort();
    Ok(files)
}

async fn receive_all(
    link: &mut Link,
    plan: &Transfer,
    files: &[(String, Option<u64>)],
    to: &To,
) -> Result<(), Failure> {
    let mut tally = Tally::new(plan.show, files.len());
    for (name, size) in files {
        let mut progress = tally.next(Way::Received, name);
        let result = receive(link, plan, name, *size, to, &mut progress).await;
        tally.ended(link, &progress, result).await?;
    }
    tally.end()
}

async fn receive(
    link: &mut Link,
    plan: &Transfer,
    name: &str,
    size: Option<u64>,
    to: &To,
    progress: &mut Progress,
) -> Result<Transferred, Trouble> {
    let asked = plan.asked;
    let (to, own_name) = (to.clone(), name.to_owned());
    let mut target = link.tend_blocking(move || open(&to, &own_name, asked)).await?;
    let mut have = Have::default();
    if asked.resume {
        // Another size is another file: there is no need to look at it.
        if target.is_complete() && size.is_some() && size != target.size() {
            return Err(partial::exists(name));
        }
        (target, have) = receive::look(link, target).await?;
    }
    link.enter(Stage::Asked);
    link.say(&Control::Get { name: name.to_owned(), have }).await?;
    let rules = Rules { max_size: MAX_SIZE, existing: asked.existing };
    receive::receive(link, target, have, rules, progress).await
}

/// Opens what a file is written to. Blocks.
fn open(to: &To, name: &str, asked: Asked) -> Result<Target, Trouble> {
    let folder = |path: &Path| {
        Dir::open_ambient_dir(path, ambient_authority())
            .map_err(Trouble::system(format_args!("cannot open the folder {}", path.display())))
    };
    match to {
        To::Folder(path) => {
            let root = folder(path)?;
            let (inner, last) = name::split(name);
            let root = match inner {
                Some(inner) => root
                    .create_dir_all(inner)
                    .and_then(|()| root.open_dir(inner))
                    .map_err(Trouble::system(format_args!("cannot open the folder {inner}")))?,
                None => root,
            };
            Target::open(root, OsStr::new(last), name, asked)
        }
        To::File(path) => {
            let shown = path.display().to_string();
            let cannot = Trouble::system(format_args!("cannot write {shown}"));
            // A device or a pipe is written to as it is.
            if path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
                let out = File::options().write(true).open(path).map_err(cannot)?;
                return Ok(Target::stream(Box::new(out), &shown));
            }
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let Some(last) = path.file_name() else {
                return Err(cannot(std::io::ErrorKind::InvalidInput.into()));
            };
            Target::open(folder(parent.unwrap_or(Path::new(".")))?, last, &shown, asked)
        }
        To::Stdout => Ok(Target::stream(Box::new(std::io::stdout()), "standard output")),
    }
}

/// How a list of files is coming along.
struct Tally {
    show: Show,
    of: usize,
    begun: usize,
    first_failure: Option<Failure>,
}

impl Tally {
    fn new(show: Show, of: usize) -> Self {
        Self { show, of, begun: 0, first_failure: None }
    }

    fn next(&mut self, way: Way, name: &str) -> Progress {
        self.begun += 1;
        Progress::new(self.show, way, name, (self.of > 1).then_some((self.begun, self.of)))
    }

    /// Takes note of how a file ended.
    ///
    /// # Errors
    /// If the others cannot be tried.
    async fn ended(
        &mut self,
        link: &mut Link,
        progress: &Progress,
        result: Result<Transferred, Trouble>,
    ) -> Result<(), Failure> {
        let trouble = match result {
            Ok(transferred) => {
                progress.finished(&transferred);
                return Ok(());
            }
            Err(trouble) => trouble,
        };
        let can_go_on = link.fail(&trouble).await;
        let is_lost = matches!(trouble, Trouble::Lost(_) | Trouble::Closed(_));
        let failure = Failure::from(trouble);
        if !failure.is_quiet() {
            progress.failed(&failure);
            let text = failure.to_string();
            let prefix = if text.contains(progress.name()) { "" } else { &format!("{}: ", progress.name()) };
            // Names may be the server's choice.
            terminal::complain(&Escaped(&format!("{prefix}{text}")));
            if is_lost && self.show == Show::People {
                terminal::note(&"what has arrived is kept; --resume goes on from there");
            }
        }
        let first = self.first_failure.take().unwrap_or(failure);
        if can_go_on {
            self.first_failure = Some(first);
            return Ok(());
        }
        if self.begun < self.of {
            terminal::complain(&format_args!("{} of {} files were not tried", self.of - self.begun, self.of));
        }
        Err(Failure::Reported(Box::new(first)))
    }

    fn end(self) -> Result<(), Failure> {
        match self.first_failure {
            Some(failure) => Err(Failure::Reported(Box::new(failure))),
            None => Ok(()),
        }
    }
}
