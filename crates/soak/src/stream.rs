//! A side that uses a stream of bytes: records of a length and a message's bytes.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use wsduo::{Framing, Role, StreamReader, StreamWebSocket, StreamWebSocketControl, StreamWriter, Transport};

use crate::body::{self, Expected};
use crate::counts::COUNTS;
use crate::dice::Dice;
use crate::plan::Plan;
use crate::talk::{Ending, Fault, count_sent, moment, pause, received};

/// No record is longer.
const LONGEST: u64 = body::MOST + 64;

/// What writes become on the wire.
pub(crate) fn framing(plan: &Plan, role: Role, control: StreamWebSocketControl) -> StreamWebSocketControl {
    let mut dice = Dice::new(plan.dice(role).next());
    let framing = match dice.below(3) {
        0 => Framing::MessagePerWrite,
        // The client shuts down first, so that what the server has not ended by then would be cut off.
        2 if role == Role::Client => Framing::OneMessage,
        _ => Framing::MessagePerFlush,
    };
    control.framing(framing).frame_size(1 + dice.below(100_000) as usize)
}

pub(crate) async fn converse(
    stream: StreamWebSocket,
    plan: &Plan,
    role: Role,
    ending: Ending,
) -> Result<(), Fault> {
    let (mut reader, mut writer) = stream.split();
    let mut dice = plan.dice(role);
    let reading_dice = dice.another();
    let (told, all_came) = oneshot::channel();
    // To the very end, for the reason told in `talk.rs`.
    let reading = async {
        read_all(&mut reader, reading_dice).await?;
        // Only a side that is being dropped has stopped waiting for this.
        let _ = told.send(());
        let mut rest = Vec::new();
        match reader.read_to_end(&mut rest).await? {
            0 => Ok(()),
            more => Err(Fault::from(format!("{more} bytes came behind the last record"))),
        }
    };
    let writing = async {
        write_all(&mut writer, plan, dice, ending).await?;
        if role == Role::Client && all_came.await.is_ok() {
            writer.shutdown().await?;
        }
        Ok(())
    };
    tokio::try_join!(reading, writing)?;
    Ok(())
}

async fn read_all(reader: &mut StreamReader<Transport>, mut dice: Dice) -> Result<(), Fault> {
    let mut expected = Expected::default();
    while !expected.ended() {
        if dice.one_in(40) {
            sleep(Duration::from_millis(dice.below(2000))).await;
        }
        let length = u64::from_le_bytes(read(reader, 8, &mut dice).await?.try_into().unwrap_or_default());
        if length > LONGEST {
            return Err(format!("a record of {length} bytes is announced, which nobody sends").into());
        }
        let record = read(reader, length as usize, &mut dice).await?;
        received(&mut expected, Some(&record))?;
    }
    Ok(())
}

/// So many bytes, by reads that are dropped at times.
async fn read(
    reader: &mut StreamReader<Transport>,
    length: usize,
    dice: &mut Dice,
) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(length);
    let impatient = dice.one_in(4);
    while bytes.len() < length {
        let mut rest = reader.take((length - bytes.len()) as u64);
        let reading = rest.read_buf(&mut bytes);
        let read = if impatient {
            match timeout(moment(dice), reading).await {
                Ok(read) => read?,
                Err(_) => {
                    COUNTS.dropped_futures.add(1);
                    continue;
                }
            }
        } else {
            reading.await?
        };
        if read == 0 {
            return Err("the stream ended before all records had come".to_owned().into());
        }
    }
    Ok(bytes)
}

async fn write_all(
    writer: &mut StreamWriter<Transport>,
    plan: &Plan,
    mut dice: Dice,
    ending: Ending,
) -> Result<(), Fault> {
    let mut sequence = 0;
    while sequence < plan.messages && !*ending.borrow() {
        pause(plan, &mut dice, &ending).await;
        let message = body::message(sequence, &mut dice);
        write(writer, message.as_bytes(), &mut dice).await?;
        // What is not flushed leaves when the buffer is full, or the reader waits.
        if dice.one_in(2) {
            writer.flush().await?;
        }
        count_sent(&message);
        sequence += 1;
    }
    let end = body::end(sequence);
    count_sent(&end);
    write(writer, end.as_bytes(), &mut dice).await?;
    Ok(writer.flush().await?)
}

async fn write(writer: &mut StreamWriter<Transport>, record: &[u8], dice: &mut Dice) -> Result<(), Fault> {
    let mut bytes = (record.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(record);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        if dice.one_in(4) {
            match timeout(moment(dice), writer.write(rest)).await {
                Ok(written) => rest = &rest[written?..],
                Err(_) => COUNTS.dropped_futures.add(1),
            }
        } else {
            let written = writer.write(rest).await?;
            rest = &rest[written..];
        }
    }
    Ok(())
}
