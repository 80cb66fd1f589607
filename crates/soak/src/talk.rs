//! One connection from its opening to its end, in either role.

use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use wsduo::{
    CloseCode, Closed, Error, ErrorKind, Message, MessageReceiver, MessageSender, MessageWebSocket, Role,
};

use crate::body::{self, Expected};
use crate::counts::COUNTS;
use crate::dice::Dice;
use crate::plan::{Plan, Style};
use crate::{stream, whole};

/// Why a conversation did not go as it should.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection failed, which may have been planned.
    Connection(Error),
    /// Something that must never be.
    Violation(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        // Readers and writers wrap the errors of the library; others do not belong here.
        error.downcast::<Error>().map_or_else(|error| Self::Violation(error.to_string()), Self::Connection)
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Self::Violation(text)
    }
}

/// Whether to come to an end soon.
pub(crate) type Ending = watch::Receiver<bool>;

/// A socket of either kind.
#[derive(Debug)]
pub(crate) enum Socket {
    Messages(MessageWebSocket),
    Bytes(wsduo::StreamWebSocket),
}

/// Has the conversation that was planned and counts how it went. The text is a violation.
pub(crate) async fn hold(socket: Socket, plan: &Plan, role: Role, ending: Ending) -> Result<(), String> {
    let outcome = match plan.cut_after(role) {
        None => converse(socket, plan, role, ending).await,
        Some(moment) => tokio::select! {
            outcome = converse(socket, plan, role, ending) => outcome,
            () = sleep(moment) => {
                COUNTS.cut.add(1);
                return Ok(());
            }
        },
    };
    match outcome {
        Ok(()) => COUNTS.clean.add(1),
        Err(Fault::Connection(error)) if plan.may_be_cut() && is_cut(&error) => COUNTS.cut.add(1),
        Err(Fault::Connection(error)) => return Err(format!("{:?}: {error}", error.kind())),
        Err(Fault::Violation(text)) => return Err(text),
    }
    Ok(())
}

/// What a connection that was cut looks like.
pub(crate) fn is_cut(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Lost | ErrorKind::Closed | ErrorKind::Connect)
}

async fn converse(socket: Socket, plan: &Plan, role: Role, ending: Ending) -> Result<(), Fault> {
    match socket {
        Socket::Bytes(stream) => stream::converse(stream, plan, role, ending).await,
        Socket::Messages(mut socket) => match (plan.style, role) {
            (Style::Echo, Role::Server) => {
                check_closed(plan, &socket.run(|message, replies| replies.send(message)).await?)
            }
            (Style::WholeClient, Role::Client) | (Style::WholeServer, Role::Server) => {
                whole::converse(socket, plan, role, ending).await
            }
            _ => halves(socket, plan, role, ending).await,
        },
    }
}

async fn halves(socket: MessageWebSocket, plan: &Plan, role: Role, ending: Ending) -> Result<(), Fault> {
    let (mut receiver, sender) = socket.split();
    let mut dice = plan.dice(role);
    let receiving_dice = dice.another();
    let (told, all_came) = oneshot::channel();
    // The receiver is polled to the very end: while nobody waits on a socket, a frame that was begun is not gone on with and
    // no ping is answered, and the peer is right to give up.
    let receiving = async {
        receive_all(&mut receiver, receiving_dice).await?;
        // Only a side that is being dropped has stopped waiting for this.
        let _ = told.send(());
        match receiver.receive().await? {
            None => Ok(()),
            Some(message) => {
                Err(Fault::from(format!("{} bytes came behind the last message", len(&message))))
            }
        }
    };
    let sending = async {
        send_all(&sender, plan, dice, ending).await?;
        if role == Role::Client && all_came.await.is_ok() {
            check_closed(plan, &sender.close(CloseCode::NORMAL, "done").await?)?;
        }
        Ok(())
    };
    tokio::try_join!(receiving, sending)?;
    Ok(())
}

/// Whether the end that this side asked for is as it should be.
pub(crate) fn check_closed(plan: &Plan, closed: &Closed) -> Result<(), Fault> {
    if closed.clean || plan.may_be_cut() {
        return Ok(());
    }
    Err(format!("the closing handshake was not clean: {closed}").into())
}

async fn receive_all(receiver: &mut MessageReceiver<wsduo::Transport>, mut dice: Dice) -> Result<(), Fault> {
    let mut expected = Expected::default();
    while !expected.ended() {
        if dice.one_in(40) {
            // A slow reader.
            sleep(Duration::from_millis(dice.below(2000))).await;
        }
        let bytes = match dice.below(4) {
            0 => in_parts(receiver).await?,
            1 => loop {
                // Dropping the future must not lose anything.
                match timeout(moment(&mut dice), receiver.receive()).await {
                    Ok(message) => break message?.map(Message::into_bytes),
                    Err(_) => COUNTS.dropped_futures.add(1),
                }
            },
            _ => receiver.receive().await?.map(Message::into_bytes),
        };
        received(&mut expected, bytes.as_deref())?;
    }
    Ok(())
}

async fn in_parts(receiver: &mut MessageReceiver<wsduo::Transport>) -> Result<Option<wsduo::Bytes>, Error> {
    let mut whole = Vec::new();
    while let Some(part) = receiver.receive_part().await? {
        whole.extend_from_slice(&part.bytes);
        if part.is_complete {
            return Ok(Some(whole.into()));
        }
    }
    Ok(None)
}

/// Counts and checks one message; the end of the connection comes too early here.
pub(crate) fn received(expected: &mut Expected, bytes: Option<&[u8]>) -> Result<(), Fault> {
    let bytes = bytes.ok_or_else(|| "the peer closed the connection before it had sent all".to_owned())?;
    COUNTS.received.add(1);
    COUNTS.received_bytes.add(bytes.len() as u64);
    Ok(expected.check(bytes)?)
}

pub(crate) fn count_sent(message: &Message) {
    COUNTS.sent.add(1);
    COUNTS.sent_bytes.add(len(message));
}

fn len(message: &Message) -> u64 {
    message.as_bytes().len() as u64
}

async fn send_all(
    sender: &MessageSender<wsduo::Transport>,
    plan: &Plan,
    mut dice: Dice,
    ending: Ending,
) -> Result<(), Fault> {
    let mut sequence = 0;
    while sequence < plan.messages && !*ending.borrow() {
        pause(plan, &mut dice, &ending).await;
        let message = body::message(sequence, &mut dice);
        match dice.below(8) {
            0 => loop {
                match timeout(moment(&mut dice), sender.feed(&message)).await {
                    Ok(fed) => break fed?,
                    // It was not queued: it is sent again.
                    Err(_) => COUNTS.dropped_futures.add(1),
                }
            },
            1 => {
                sender.feed(&message).await?;
                if timeout(moment(&mut dice), sender.flush()).await.is_err() {
                    COUNTS.dropped_futures.add(1);
                }
            }
            2 => {
                sender.send(message.clone()).await?;
                sender.ping().await?;
                COUNTS.pings.add(1);
            }
            3 => sender.feed(message.clone()).await?,
            _ => sender.send(&message).await?,
        }
        count_sent(&message);
        sequence += 1;
    }
    let end = body::end(sequence);
    count_sent(&end);
    Ok(sender.send(end).await?)
}

/// The time between two messages: often none, seldom so long that the keepalive has to speak.
pub(crate) async fn pause(plan: &Plan, dice: &mut Dice, ending: &Ending) {
    let pause = pause_time(plan, dice);
    if !pause.is_zero() {
        let mut ending = ending.clone();
        // Whoever ends a run does not wait for pauses. The sender lives as long as the process.
        let _ = timeout(pause, ending.wait_for(|ending| *ending)).await;
    }
}

pub(crate) fn pause_time(plan: &Plan, dice: &mut Dice) -> Duration {
    let milliseconds = match dice.below(400) {
        0 => 22_000 + dice.below(10_000),
        1..100 => 0,
        _ => dice.below(plan.pace * 5 / 2),
    };
    Duration::from_millis(milliseconds)
}

/// A time in which an operation may or may not be done.
pub(crate) fn moment(dice: &mut Dice) -> Duration {
    let longest = if dice.one_in(2) { 2_000 } else { 300_000 };
    Duration::from_micros(dice.below(longest))
}
