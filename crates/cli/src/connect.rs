//! `wsduo connect`: opens the connection, hands it to the session, tells how it ended.

use std::fmt::Write as _;
use std::time::Duration;

use wsduo::{Closed, MessageWebSocket, MessageWebSocketControl, MessageWebSocketInformation, Reconnect};

use crate::exit::Failure;
use crate::output::Output;
use crate::plan::{Connect, Input};
use crate::session::{self, Progress};
use crate::signals::Signals;
use crate::terminal::{self, Found};

/// How long a printer is waited for that may have lost its terminal.
const PRINTER_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) fn run(plan: Connect) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Io("cannot start", error))?;
    let result = runtime.block_on(connect(plan));
    // A thread may be waiting for standard input, and would be waited for.
    runtime.shutdown_background();
    result
}

async fn connect(plan: Connect) -> Result<(), Failure> {
    let mut output = Output::new(plan.style);
    let result = converse(plan, &mut output).await;
    if let Err(failure) = &result
        && !failure.is_quiet()
    {
        output.error(failure).await?;
    }
    output.flush().await?;
    result
}

async fn converse(mut plan: Connect, output: &mut Output) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let mut opener = Opener::new(&plan);
    let socket = opener.next(&mut signals).await?;
    output.open(&socket.information()).await?;
    let closed = if plan.session.input == Input::Editor {
        converse_at_terminal(&mut plan, socket, &mut opener, output, &mut signals).await
    } else {
        let mut progress = Progress::new(&plan.session, None);
        sessions(&plan, socket, &mut opener, &mut progress, output, &mut signals).await
    };
    let closed = closed?;
    output.closed(&closed).await?;
    Ok(())
}

async fn converse_at_terminal(
    plan: &mut Connect,
    socket: MessageWebSocket,
    opener: &mut Opener,
    output: &mut Output,
    signals: &mut Signals,
) -> Result<Closed, Failure> {
    terminal::note(&describe(&socket.information(), plan.insecure));
    let found = Found::new();
    let mut lines = None;
    // A terminal that is too simple for editing can still be read line by line.
    match terminal::line_editor() {
        Ok((read, printer)) => {
            lines = Some(read);
            output.print_with(printer);
        }
        Err(_) => plan.session.input = Input::Lines,
    }
    let edits = lines.is_some();
    let mut progress = Progress::new(&plan.session, lines);
    let closed = sessions(plan, socket, opener, &mut progress, output, signals).await;
    let _ = tokio::time::timeout(PRINTER_TIMEOUT, output.finish()).await;
    if edits {
        found.restore();
    }
    if let Ok(closed) = &closed {
        terminal::note(closed);
    }
    closed
}

/// Runs one connection, and with `--reconnect` the next, until this side has enough.
async fn sessions(
    plan: &Connect,
    mut socket: MessageWebSocket,
    opener: &mut Opener,
    progress: &mut Progress,
    output: &mut Output,
    signals: &mut Signals,
) -> Result<Closed, Failure> {
    loop {
        let ended = session::run(socket, &plan.session, progress, output, signals).await;
        if !plan.reconnect || progress.is_done() {
            return ended;
        }
        match &ended {
            Ok(closed) | Err(Failure::Closed(closed)) => {
                output.closed(closed).await?;
                terminal::note(closed);
            }
            Err(failure @ Failure::Open(_)) => {
                output.error(failure).await?;
                terminal::note(failure);
            }
            Err(_) => return ended,
        }
        output.flush().await?;
        socket = opener.next(signals).await?;
        output.open(&socket.information()).await?;
        terminal::note(&"connected again");
    }
}

/// Opens the connection, or one after the other.
enum Opener {
    Once(MessageWebSocketControl, String),
    Again(Reconnect),
}

impl Opener {
    fn new(plan: &Connect) -> Self {
        if !plan.reconnect {
            return Self::Once(plan.control.clone(), plan.url.clone());
        }
        let reconnect = Reconnect::new(plan.control.clone(), plan.url.clone());
        Self::Again(reconnect.on_wait(|waiting| {
            if let Some(error) = &waiting.error {
                terminal::note(error);
            }
            terminal::note(&format!("connecting again in {:.1} s", waiting.delay.as_secs_f64()));
        }))
    }

    async fn next(&mut self, signals: &mut Signals) -> Result<MessageWebSocket, Failure> {
        let opening = async {
            match self {
                Self::Once(control, url) => control.connect(url).await,
                Self::Again(reconnect) => reconnect.next().await,
            }
        };
        tokio::select! {
            socket = opening => socket.map_err(Failure::Connecting),
            signal = signals.next() => Err(Failure::Signal(signal)),
        }
    }
}

/// What a person wants to know first.
fn describe(information: &MessageWebSocketInformation, insecure: bool) -> String {
    let mut text = String::from("connected");
    if let Some(address) = information.remote_address() {
        let _ = write!(text, " to {address}");
    }
    if let Some(tls) = information.tls() {
        let _ = write!(text, ", {}", tls.version);
        if insecure {
            text.push_str(" with the certificate not checked");
        }
    }
    if let Some(subprotocol) = information.subprotocol() {
        let _ = write!(text, ", subprotocol {}", subprotocol.escape_debug());
    }
    text.push_str("; Ctrl-D ends");
    text
}
