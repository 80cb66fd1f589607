//! The pump of `wsduo connect`: input to messages, messages to output, until one side is done.
//!
//! Two loops run side by side, so that neither direction waits for the other. Memory is bounded both ways: input is not
//! read while the socket is full, and the socket is not read while the output is.

use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use wsduo::{
    ByteString, Bytes, CloseCode, Closed, Message, MessagePart, MessageReceiver, MessageSender, MessageType,
    MessageWebSocket, Transport,
};

use crate::exit::{self, Failure};
use crate::output::Output;
use crate::plan::{Input, Session};
use crate::signals::Signals;

/// Most input that is read at once, and goes into one binary message.
const PIECE: usize = 64 << 10;

/// How long the peer is given to take our leave when we end because of a failure here.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why receiving ended.
enum End {
    /// The connection is closed.
    Closed(Closed),
    /// As many messages as wanted came, or none for as long as was to be waited.
    Enough,
}

/// What outlives a connection, where another follows.
pub(crate) struct Progress {
    input: Source,
    /// How many messages are still wanted.
    left: Option<u64>,
    /// It was this side that had enough.
    is_done: bool,
}

impl Progress {
    /// `lines` come from the editor, if there is one.
    pub(crate) fn new(plan: &Session, lines: Option<mpsc::Receiver<String>>) -> Self {
        Self { input: Source::new(plan, lines), left: plan.count, is_done: false }
    }

    /// Whether another connection would have nothing to do.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }
}

/// Runs an open connection to its end.
///
/// # Errors
/// However it ended, unless it was closed well.
pub(crate) async fn run(
    socket: MessageWebSocket,
    plan: &Session,
    progress: &mut Progress,
    output: &mut Output,
    signals: &mut Signals,
) -> Result<Closed, Failure> {
    let (receiver, sender) = socket.split();
    let end = pump(receiver, &sender, plan, progress, output, signals).await;
    progress.is_done = matches!(end, Ok(End::Enough));
    match end {
        Ok(End::Closed(closed)) => exit::judge(closed),
        Ok(End::Enough) => tokio::select! {
            closed = sender.close(CloseCode::NORMAL, "") => exit::judge(closed.map_err(Failure::Open)?),
            signal = signals.next() => Err(Failure::Signal(signal)),
        },
        Err(failure) => {
            let leaving = tokio::time::timeout(LEAVE_TIMEOUT, sender.close(failure.close_code(), ""));
            tokio::select! {
                _ = leaving => {}
                _ = signals.next() => {}
            }
            Err(failure)
        }
    }
}

async fn pump(
    receiver: MessageReceiver<Transport>,
    sender: &MessageSender<Transport>,
    plan: &Session,
    progress: &mut Progress,
    output: &mut Output,
    signals: &mut Signals,
) -> Result<End, Failure> {
    let all_sent = Notify::new();
    let Progress { input, left, .. } = progress;
    let mut sending = pin!(send_all(sender, plan, input));
    let mut receiving = pin!(receive_all(receiver, plan, left, &all_sent, output));
    let mut is_sending = true;
    loop {
        tokio::select! {
            end = &mut receiving => return end,
            sent = &mut sending, if is_sending => {
                is_sending = false;
                match sent {
                    Ok(()) => all_sent.notify_one(),
                    // What still came is received first; then the receiver meets the same end.
                    Err(Failure::Open(_)) => {}
                    Err(failure) => return Err(failure),
                }
            }
            signal = signals.next() => return Err(Failure::Signal(signal)),
        }
    }
}

// Sending.

async fn send_all(
    sender: &MessageSender<Transport>,
    plan: &Session,
    input: &mut Source,
) -> Result<(), Failure> {
    for message in &plan.messages {
        let sent = if plan.binary {
            sender.feed(message.as_bytes()).await
        } else {
            sender.feed(message.as_str()).await
        };
        sent.map_err(Failure::Open)?;
    }
    sender.flush().await.map_err(Failure::Open)?;
    // It stays in its place until it is queued, for the next connection if need be.
    while let Some(message) = input.peek().await? {
        sender.feed(message).await.map_err(Failure::Open)?;
        input.take();
        // Lines that were read together leave together.
        if !input.has_more() {
            sender.flush().await.map_err(Failure::Open)?;
        }
    }
    Ok(())
}

/// Where messages to send come from. Whatever is dropped half-way goes on with the next call.
struct Source {
    reader: Reader,
    /// The message that was read and is not queued yet.
    unsent: Option<Message>,
}

enum Reader {
    Nothing,
    Bytes(tokio::io::Stdin),
    Lines(Lines),
    Editor(mpsc::Receiver<String>),
}

impl Source {
    fn new(plan: &Session, lines: Option<mpsc::Receiver<String>>) -> Self {
        let reader = match (plan.input, lines) {
            (Input::Nothing, _) => Reader::Nothing,
            (Input::Bytes, _) => Reader::Bytes(tokio::io::stdin()),
            (Input::Editor, Some(lines)) => Reader::Editor(lines),
            (Input::Lines | Input::Editor, _) => Reader::Lines(Lines::new(plan.max_message)),
        };
        Self { reader, unsent: None }
    }

    /// The next message, until it is taken. `None`: there is no more.
    async fn peek(&mut self) -> Result<Option<Message>, Failure> {
        if self.unsent.is_none() {
            self.unsent = match &mut self.reader {
                Reader::Nothing => None,
                Reader::Bytes(stdin) => {
                    let mut bytes = Vec::with_capacity(PIECE);
                    let n = stdin.read_buf(&mut bytes).await.map_err(cannot_read)?;
                    (n > 0).then(|| Message::Binary(bytes.into()))
                }
                Reader::Lines(lines) => lines.next().await?.map(Message::Text),
                Reader::Editor(lines) => lines.recv().await.map(|line| Message::Text(line.into())),
            };
        }
        Ok(self.unsent.clone())
    }

    /// The message that was seen has been queued.
    fn take(&mut self) {
        self.unsent = None;
    }

    /// Whether there is another message without waiting.
    fn has_more(&self) -> bool {
        matches!(&self.reader, Reader::Lines(lines) if lines.stdin.buffer().contains(&b'\n'))
    }
}

/// Standard input by lines.
struct Lines {
    stdin: BufReader<tokio::io::Stdin>,
    limit: usize,
    number: u64,
    /// The line under way, if one has begun.
    line: Option<Vec<u8>>,
}

impl Lines {
    fn new(limit: usize) -> Self {
        Self { stdin: BufReader::with_capacity(PIECE, tokio::io::stdin()), limit, number: 1, line: None }
    }

    /// The next line without its end. The last one may have none.
    async fn next(&mut self) -> Result<Option<ByteString>, Failure> {
        loop {
            let bytes = self.stdin.fill_buf().await.map_err(cannot_read)?;
            if bytes.is_empty() {
                return self.line.take().map(|line| self.text(line)).transpose();
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(bytes.len());
            let line = self.line.get_or_insert_default();
            if line.len() + taken > self.limit {
                return Err(Failure::Usage(format!(
                    "line {} of the input is longer than {} bytes; see --max-message, or use --binary",
                    self.number, self.limit
                )));
            }
            line.extend_from_slice(&bytes[..taken]);
            self.stdin.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                return self.line.take().map(|line| self.text(line)).transpose();
            }
        }
    }

    fn text(&mut self, line: Vec<u8>) -> Result<ByteString, Failure> {
        let number = self.number;
        self.number += 1;
        ByteString::try_from(line).map_err(|_| {
            Failure::Usage(format!(
                "line {number} of the input is not UTF-8, as text has to be; use --binary to send bytes as they are"
            ))
        })
    }
}

fn cannot_read(error: std::io::Error) -> Failure {
    Failure::Io("cannot read the input", error)
}

// Receiving.

async fn receive_all(
    mut receiver: MessageReceiver<Transport>,
    plan: &Session,
    left: &mut Option<u64>,
    all_sent: &Notify,
    output: &mut Output,
) -> Result<End, Failure> {
    let mut assembler = Assembler { limit: plan.max_message, bytes: Vec::new() };
    let mut is_done_sending = false;
    // Since when nothing has come.
    let mut quiet_since = Instant::now();
    while *left != Some(0) {
        let part = tokio::select! {
            biased;
            part = receiver.receive_part() => part.map_err(Failure::Open)?,
            flushed = output.flush(), if output.is_dirty() => {
                flushed?;
                continue;
            }
            () = all_sent.notified(), if !is_done_sending => {
                is_done_sending = true;
                quiet_since = Instant::now();
                continue;
            }
            () = quiet(quiet_since, plan.wait), if is_done_sending => break,
        };
        let Some(part) = part else {
            output.flush().await?;
            // `None` means closed.
            return Ok(receiver.closed().map_or(End::Enough, End::Closed));
        };
        let is_complete = part.is_complete;
        if output.is_streaming() {
            output.bytes(&part.bytes).await?;
        } else if let Some(message) = assembler.push(part)? {
            output.message(&message).await?;
        }
        if is_complete {
            *left = left.map(|left| left - 1);
        }
        // Now, and not when it came: the output may have taken its time.
        quiet_since = Instant::now();
    }
    output.flush().await?;
    Ok(End::Enough)
}

async fn quiet(since: Instant, wait: Duration) {
    match since.checked_add(wait) {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Puts messages together from their parts.
///
/// Receiving in parts is what tells that a large message is still coming, and that it is not time to leave.
struct Assembler {
    limit: usize,
    bytes: Vec<u8>,
}

impl Assembler {
    fn push(&mut self, part: MessagePart) -> Result<Option<Message>, Failure> {
        let len = self.bytes.len() + part.bytes.len();
        if len > self.limit {
            return Err(Failure::TooLarge { len, max: self.limit });
        }
        if !part.is_complete {
            self.bytes.extend_from_slice(&part.bytes);
            return Ok(None);
        }
        let bytes = if self.bytes.is_empty() {
            part.bytes
        } else {
            self.bytes.extend_from_slice(&part.bytes);
            Bytes::from(std::mem::take(&mut self.bytes))
        };
        Ok(Some(match part.message_type {
            MessageType::Binary => Message::Binary(bytes),
            // The library has checked it; if it had not, the bytes would still not be lost.
            MessageType::Text => {
                ByteString::try_from(bytes.clone()).map_or(Message::Binary(bytes), Message::Text)
            }
        }))
    }
}
