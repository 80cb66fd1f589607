//! `wsduo connect`: opens the connection, hands it to the session, tells how it ended.

use std::fmt::Write as _;
use std::time::Duration;

use wsduo::{MessageWebSocket, MessageWebSocketInformation};

use crate::exit::Failure;
use crate::output::Output;
use crate::plan::{Connect, Input};
use crate::session;
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
    let socket = plan.control.connect(&plan.url).await.map_err(Failure::Connecting)?;
    output.open(&socket.information()).await?;
    let closed = if plan.session.input == Input::Editor {
        converse_at_terminal(&mut plan, socket, output).await
    } else {
        session::run(socket, &plan.session, None, output).await
    };
    let closed = closed?;
    output.closed(&closed).await?;
    Ok(())
}

async fn converse_at_terminal(
    plan: &mut Connect,
    socket: MessageWebSocket,
    output: &mut Output,
) -> Result<wsduo::Closed, Failure> {
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
    let closed = session::run(socket, &plan.session, lines, output).await;
    let _ = tokio::time::timeout(PRINTER_TIMEOUT, output.finish()).await;
    if edits {
        found.restore();
    }
    if let Ok(closed) = &closed {
        terminal::note(closed);
    }
    closed
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
