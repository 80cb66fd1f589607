//! Standard output: messages as they are, as JSON events, or for people.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufWriter, Stdout};
use wsduo::{CertificateError, Closed, Initiator, Message, MessageWebSocketInformation};

use crate::exit::Failure;
use crate::plan::Style;
use crate::terminal::{self, Printer};

/// What is written together when messages come fast.
const BUFFER: usize = 64 << 10;

/// Standard output in one of its styles.
///
/// What was written is on its way only after [`flush`](Self::flush).
#[derive(Debug)]
pub(crate) struct Output {
    style: Style,
    stdout: BufWriter<Stdout>,
    /// Takes messages instead of `stdout` while lines are being edited.
    printer: Option<Printer>,
    dirty: bool,
}

impl Output {
    pub(crate) fn new(style: Style) -> Self {
        let stdout = BufWriter::with_capacity(BUFFER, tokio::io::stdout());
        Self { style, stdout, printer: None, dirty: false }
    }

    /// From now on messages are printed above the line being edited.
    pub(crate) fn print_with(&mut self, printer: Printer) {
        self.printer = Some(printer);
    }

    /// Whether messages are written as their bytes come, so that they need not be put together.
    pub(crate) fn is_streaming(&self) -> bool {
        self.style == Style::Raw
    }

    /// Whether something was written since the last flush.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The connection is open.
    pub(crate) async fn open(&mut self, information: &MessageWebSocketInformation) -> io::Result<()> {
        if self.style != Style::Json {
            return Ok(());
        }
        let address = |address: Option<std::net::SocketAddr>| address.map(|address| address.to_string());
        let tls = information.tls().map(|tls| {
            json!({
                "version": tls.version,
                "cipher_suite": tls.cipher_suite,
                "certificate_errors": names(&tls.certificate_errors),
            })
        });
        self.event(json!({
            "event": "open",
            "local_address": address(information.local_address()),
            "remote_address": address(information.remote_address()),
            "status": information.response().map(|response| response.status.as_u16()),
            "subprotocol": information.subprotocol(),
            "tls": tls,
            "compression": information.compression().is_some(),
        }))
        .await?;
        self.flush().await
    }

    /// Some bytes of a message.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.dirty = true;
        self.stdout.write_all(bytes).await
    }

    /// A whole message.
    pub(crate) async fn message(&mut self, message: &Message) -> io::Result<()> {
        match self.style {
            Style::Raw => self.bytes(message.as_bytes()).await,
            Style::Lines => {
                self.bytes(message.as_bytes()).await?;
                self.bytes(b"\n").await
            }
            Style::Json => {
                self.event(match message {
                    Message::Text(text) => json!({ "event": "message", "type": "text", "text": &**text }),
                    Message::Binary(bytes) => {
                        json!({ "event": "message", "type": "binary", "base64": BASE64.encode(bytes) })
                    }
                })
                .await
            }
            Style::Terminal => {
                let shown = terminal::show(message, self.printer.is_some());
                match &self.printer {
                    Some(printer) => {
                        printer.print(shown).await;
                        Ok(())
                    }
                    None => self.bytes(shown.as_bytes()).await,
                }
            }
        }
    }

    /// How the connection was closed.
    pub(crate) async fn closed(&mut self, closed: &Closed) -> io::Result<()> {
        if self.style != Style::Json {
            return Ok(());
        }
        self.event(json!({
            "event": "closed",
            "code": closed.code.number(),
            "reason": closed.reason,
            "by": if closed.initiator == Initiator::Peer { "peer" } else { "local" },
            "clean": closed.clean,
        }))
        .await
    }

    /// What went wrong.
    pub(crate) async fn error(&mut self, failure: &Failure) -> io::Result<()> {
        if self.style != Style::Json {
            return Ok(());
        }
        let mut event = json!({
            "event": "error",
            "kind": failure.kind(),
            "message": failure.to_string(),
            "exit_code": failure.code(),
        });
        if let Failure::Connecting(error) = failure
            && let Some(refusal) = error.refusal()
        {
            event["status"] = refusal.status.as_u16().into();
            event["body"] = String::from_utf8_lossy(&refusal.body).into();
        }
        if let Failure::Connecting(error) = failure
            && !error.certificate_errors().is_empty()
        {
            event["certificate_errors"] = names(error.certificate_errors());
        }
        self.event(event).await
    }

    /// Makes sure that all that was written has left.
    ///
    /// # Cancel safety
    /// Safe: the next call goes on.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush().await?;
        self.dirty = false;
        Ok(())
    }

    /// Flushes, and waits for what is printed beside the editor.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        if let Some(printer) = self.printer.take() {
            printer.finish().await;
        }
        self.flush().await
    }

    async fn event(&mut self, event: Value) -> io::Result<()> {
        let line = terminal::harmless_json(&event.to_string()) + "\n";
        self.bytes(line.as_bytes()).await
    }
}

fn names(errors: &[CertificateError]) -> Value {
    errors.iter().map(ToString::to_string).collect()
}
