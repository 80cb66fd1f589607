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

/// Runs an open connection to its end. `lines` come from the editor, if there is one.
///
/// # Errors
/// However it ended, unless it was closed well.
pub(crate) async fn run(
    socket: MessageWebSocket,
    plan: &Session,
    lines: Option<mpsc::Receiver<String>>,
    output: &mut Output,
) -> Result<Closed, Failure> {
    let mut signals = Signals::new()?;
    let (receiver, sender) = socket.split();
    let end = pump(receiver, &sender, plan, lines, output, &mut signals).await;
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
    lines: Option<mpsc::Receiver<String>>,
    output: &mut Output,
    signals: &mut Signals,
) -> Result<End, Failure> {
    let all_sent = Notify::new();
    let mut sending = pin!(send_all(sender, plan, lines));
    let mut receiving = pin!(receive_all(receiver, plan, &all_sent, output));
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
    lines: Option<mpsc::Receiver<String>>,
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
    match (plan.input, lines) {
        (Input::Nothing, _) => Ok(()),
        (Input::Bytes, _) => send_bytes(sender).await,
        (Input::Editor, Some(mut lines)) => {
            while let Some(line) = lines.recv().await {
                sender.send(line).await.map_err(Failure::Open)?;
            }
            Ok(())
        }
        (Input::Lines | Input::Editor, _) => send_lines(sender, plan.max_message).await,
    }
}

async fn send_bytes(sender: &MessageSender<Transport>) -> Result<(), Failure> {
    let mut stdin = tokio::io::stdin();
    loop {
        let mut bytes = Vec::with_capacity(PIECE);
        if stdin.read_buf(&mut bytes).await.map_err(cannot_read)? == 0 {
            return Ok(());
        }
        sender.send(bytes).await.map_err(Failure::Open)?;
    }
}

async fn send_lines(sender: &MessageSender<Transport>, limit: usize) -> Result<(), Failure> {
    let mut stdin = BufReader::with_capacity(PIECE, tokio::io::stdin());
    let mut number: u64 = 0;
    while let Some(line) = next_line(&mut stdin, limit, number + 1).await? {
        number += 1;
        let line = ByteString::try_from(line).map_err(|_| {
            Failure::Usage(format!(
                "line {number} of the input is not UTF-8, as text has to be; use --binary to send bytes as they are"
            ))
        })?;
        sender.feed(line).await.map_err(Failure::Open)?;
        // Lines that were read together leave together.
        if !stdin.buffer().contains(&b'\n') {
            sender.flush().await.map_err(Failure::Open)?;
        }
    }
    Ok(())
}

/// The next line without its end. The last one may have none.
async fn next_line(
    stdin: &mut BufReader<tokio::io::Stdin>,
    limit: usize,
    number: u64,
) -> Result<Option<Vec<u8>>, Failure> {
    let mut line = Vec::new();
    let mut began = false;
    loop {
        let bytes = stdin.fill_buf().await.map_err(cannot_read)?;
        if bytes.is_empty() {
            return Ok(began.then_some(line));
        }
        began = true;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(bytes.len());
        if line.len() + taken > limit {
            return Err(Failure::Usage(format!(
                "line {number} of the input is longer than {limit} bytes; see --max-message, or use --binary"
            )));
        }
        line.extend_from_slice(&bytes[..taken]);
        stdin.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

fn cannot_read(error: std::io::Error) -> Failure {
    Failure::Io("cannot read the input", error)
}

// Receiving.

async fn receive_all(
    mut receiver: MessageReceiver<Transport>,
    plan: &Session,
    all_sent: &Notify,
    output: &mut Output,
) -> Result<End, Failure> {
    let mut assembler = Assembler { limit: plan.max_message, bytes: Vec::new() };
    let mut is_done_sending = false;
    // Since when nothing has come.
    let mut quiet_since = Instant::now();
    let mut left = plan.count;
    while left != Some(0) {
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
            left = left.map(|left| left - 1);
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
