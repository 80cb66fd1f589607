//! A side that does not divide its socket: one thing after the other, in parts, with readers and writers.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout_at};
use wsduo::{CloseCode, ErrorKind, Message, MessageWebSocket, Role};

use crate::body::{self, Expected};
use crate::counts::COUNTS;
use crate::dice::Dice;
use crate::plan::Plan;
use crate::talk::{Ending, Fault, check_closed, count_sent, pause_time, received};

pub(crate) async fn converse(
    mut socket: MessageWebSocket,
    plan: &Plan,
    role: Role,
    ending: Ending,
) -> Result<(), Fault> {
    let mut dice = plan.dice(role);
    let mut expected = Expected::default();
    let mut sequence = 0;
    while sequence < plan.messages && !*ending.borrow() {
        listen(&mut socket, pause_time(plan, &mut dice), &mut expected, &ending).await?;
        let message = body::message(sequence, &mut dice);
        match dice.below(8) {
            0..3 => in_parts(&mut socket, &message, &mut dice).await?,
            3 => socket.feed(&message).await?,
            4 => {
                socket.send(&message).await?;
                match socket.ping().await {
                    // More messages came than are kept: they have to be received first.
                    Err(error) if error.kind() == ErrorKind::Busy => {}
                    outcome => drop(outcome?),
                }
                COUNTS.pings.add(1);
            }
            _ => socket.send(&message).await?,
        }
        count_sent(&message);
        sequence += 1;
    }
    let end = body::end(sequence);
    count_sent(&end);
    socket.send(end).await?;
    while !expected.ended() {
        let bytes = take(&mut socket, &mut dice).await?;
        received(&mut expected, bytes.as_deref())?;
    }
    if role == Role::Client {
        return check_closed(plan, &socket.close(CloseCode::NORMAL, "done").await?);
    }
    match socket.receive().await? {
        None => Ok(()),
        Some(_) => Err("a message came behind the last one".to_owned().into()),
    }
}

/// Receives for some time.
async fn listen(
    socket: &mut MessageWebSocket,
    time: Duration,
    expected: &mut Expected,
    ending: &Ending,
) -> Result<(), Fault> {
    let until = Instant::now() + time;
    let mut ending = ending.clone();
    while !expected.ended() {
        let message = tokio::select! {
            message = timeout_at(until, socket.receive()) => message,
            _ = ending.wait_for(|ending| *ending) => return Ok(()),
        };
        let Ok(message) = message else {
            COUNTS.dropped_futures.add(1);
            return Ok(());
        };
        received(expected, message?.as_ref().map(Message::as_bytes))?;
    }
    // The socket answers pings only while something waits on it; so this is a wait, but not a long one.
    sleep(time.min(Duration::from_secs(1))).await;
    Ok(())
}

async fn take(socket: &mut MessageWebSocket, dice: &mut Dice) -> Result<Option<Vec<u8>>, Fault> {
    if dice.one_in(2) {
        return Ok(socket.receive().await?.map(|message| message.into_bytes().to_vec()));
    }
    let Some(mut reader) = socket.next_reader().await? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).await?;
    Ok(Some(bytes))
}

/// Sends a message in pieces, by one writer or by several, one after the other.
async fn in_parts(socket: &mut MessageWebSocket, message: &Message, dice: &mut Dice) -> Result<(), Fault> {
    let mut rest = message.as_bytes();
    let largest = (rest.len() as u64 / 4).max(1) * 2;
    let mut writer = socket.message_writer(message.message_type());
    while !rest.is_empty() {
        let size = (1 + dice.below(largest)).min(rest.len() as u64) as usize;
        writer.write_all(&rest[..size]).await?;
        rest = &rest[size..];
        match dice.below(10) {
            0 => writer.flush().await?,
            1 => sleep(Duration::from_millis(dice.below(100))).await,
            2 => writer = socket.message_writer(message.message_type()),
            _ => {}
        }
    }
    Ok(writer.finish().await?)
}
