//! One connection: what it still has to send and to receive.

use super::Service;
use super::latency::{Flights, Times};
use super::reply::Reply;
use super::stream::Stream;
use super::wire::Wire;
use crate::Error;
use mio::event::Event;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    reply: Reply,
    flights: Flights,
    /// Messages of the plan not yet sent in full, the current one included.
    to_send: u64,
    /// Messages of the plan not yet confirmed: echoed, or counted by the sink.
    to_confirm: u64,
    /// Bytes of the current frame that are sent. Zero between messages.
    sent: usize,
    /// Bytes of the question to the sink that are sent.
    asked: usize,
    /// What a sink has counted on this connection in earlier plans and this one.
    counted: u64,
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            reply: Reply::default(),
            flights: Flights::default(),
            to_send: 0,
            to_confirm: 0,
            sent: 0,
            asked: 0,
            counted: 0,
        }
    }

    pub(super) fn tcp(&mut self) -> &mut TcpStream {
        self.stream.tcp()
    }

    /// Gives it `messages` to send, once all earlier ones are confirmed.
    pub(super) fn assign(&mut self, messages: u64) {
        (self.to_send, self.to_confirm) = (messages, messages);
        self.counted += messages;
        self.asked = 0;
    }

    pub(super) fn is_done(&self) -> bool {
        self.to_confirm == 0
    }

    /// Does what `event` allows.
    pub(super) fn ready(
        &mut self,
        event: &Event,
        wire: &Wire,
        scratch: &mut [u8],
        times: &mut Times,
    ) -> Result<(), Error> {
        if event.is_readable() {
            self.read(wire, scratch, times)?;
        }
        if event.is_writable() && !self.is_done() {
            match self.stream.flush() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                flushed => {
                    flushed?;
                    self.write(wire)?;
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, wire: &Wire, scratch: &mut [u8], times: &mut Times) -> Result<(), Error> {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.confirm(&scratch[..count], wire, times)?;
            if count < scratch.len() && self.stream.short_read_is_last() {
                return Ok(());
            }
        }
    }

    fn confirm(&mut self, bytes: &[u8], wire: &Wire, times: &mut Times) -> Result<(), Error> {
        match wire.service {
            Service::Echo => {
                let now = Instant::now();
                let echoed = self.reply.echoes(bytes, &wire.expected)?;
                let pending = self.to_confirm - self.to_send;
                if echoed > pending {
                    return Err(format!("{pending} messages were sent, {echoed} came back").into());
                }
                self.to_confirm -= echoed;
                self.flights.end(echoed, now, times);
                if self.to_send > 0 && echoed > 0 { Ok(self.write(wire)?) } else { Ok(()) }
            }
            Service::Sink => match self.reply.count(bytes)? {
                Some(count) if count == self.counted => {
                    self.to_confirm = 0;
                    Ok(())
                }
                Some(count) => {
                    Err(format!("{} messages were sent, the sink counted {count}", self.counted).into())
                }
                None => Ok(()),
            },
        }
    }

    /// Sends what is owed, as far as the socket takes it.
    pub(super) fn write(&mut self, wire: &Wire) -> io::Result<()> {
        loop {
            let bytes = self.owed(wire);
            if bytes.is_empty() {
                return Ok(());
            }
            let asking = self.to_send == 0;
            let now = Instant::now();
            match self.stream.write(bytes) {
                Ok(count) if asking => self.asked += count,
                Ok(count) => {
                    let end = self.sent + count;
                    self.to_send -= (end / wire.frame) as u64;
                    if wire.service == Service::Echo {
                        let begun = end.div_ceil(wire.frame) - self.sent.div_ceil(wire.frame);
                        self.flights.begin(begun as u64, now);
                    }
                    self.sent = end % wire.frame;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The bytes that may go out now, at most as many as are prepared.
    fn owed<'a>(&self, wire: &'a Wire) -> &'a [u8] {
        let allowed = match wire.service {
            Service::Echo => {
                (wire.in_flight + self.to_send).saturating_sub(self.to_confirm).min(self.to_send)
            }
            Service::Sink => self.to_send,
        };
        if allowed == 0 && wire.service == Service::Sink {
            return &wire.question[self.asked..];
        }
        let frames = usize::try_from(allowed).unwrap_or(usize::MAX);
        let end = frames.saturating_mul(wire.frame).min(wire.frames.len());
        &wire.frames[self.sent.min(end)..end]
    }
}
