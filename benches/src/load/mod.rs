//! The load generator: many connections on one thread, raw frames over epoll.
//!
//! All frames are masked once, before the clock starts, and the same bytes are replayed; replies are
//! scanned where they lie. What is left are the system calls, so the generator is cheaper than any
//! server that has to do the same calls and some work. It answers no pings: a measurement is shorter
//! than any sensible keepalive.

mod connection;
mod latency;
mod reply;
mod stream;
mod wire;

use crate::server::Target;
use crate::{Error, limit};
use connection::Connection;
use latency::Times;
use mio::{Events, Interest, Poll, Token};
use std::time::{Duration, Instant};
use stream::Stream;
use wire::Wire;

pub use latency::Latency;

/// The read buffer all connections share.
const SCRATCH: usize = 256 * 1024;
/// How long nothing at all may happen, generous because the server may run under a profiler.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether messages are text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ASCII text.
    Text,
    /// Bytes of every value.
    Binary,
}

/// What the server does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Sends it back.
    Echo,
    /// Counts it, and answers a text message with the count so far.
    Sink,
}

/// The work of one [`Swarm::exchange`].
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Text or binary.
    pub kind: Kind,
    /// Payload bytes of each message.
    pub size: usize,
    /// Messages a connection has sent and not yet got back. A sink takes as many as its socket does.
    pub in_flight: u64,
    /// Messages in total, spread evenly over the connections.
    pub messages: u64,
    /// What the server does with them.
    pub service: Service,
}

/// What came of a [`Plan`]; every reply has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Messages echoed or counted, exactly as many as planned.
    pub messages: u64,
    /// Their payload bytes, one way.
    pub bytes: u64,
    /// From the first byte sent to the last one received.
    pub elapsed: Duration,
    /// From the start of the write that took a message's first byte, to the end of the read that brought the last byte of its
    /// echo. A sink echoes nothing.
    pub latency: Option<Latency>,
}

/// Open connections to one server.
#[derive(Debug)]
pub struct Swarm {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    scratch: Vec<u8>,
}

impl Swarm {
    /// Opens `count` connections, one after the other, with complete handshakes.
    ///
    /// # Errors
    /// If the limit on open files is too low, or a handshake fails.
    pub fn open(target: Target, count: usize) -> Result<Self, Error> {
        limit::check(count)?;
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(count);
        for index in 0..count {
            let stream = Stream::open(target).map_err(|error| format!("connection {index}: {error}"))?;
            let mut connection = Connection::new(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(connection.tcp(), Token(index), interest)?;
            connections.push(connection);
        }
        Ok(Self { poll, events: Events::with_capacity(1024), connections, scratch: vec![0; SCRATCH] })
    }

    /// Carries out `plan`. May be called again and again.
    ///
    /// # Errors
    /// If a reply is wrong, a connection ends, or nothing happens for a minute.
    pub fn exchange(&mut self, plan: &Plan) -> Result<Outcome, Error> {
        let wire = Wire::new(plan);
        let mut times = Times::new()?;
        let count = self.connections.len() as u64;
        let mut busy = 0;
        for (connection, index) in self.connections.iter_mut().zip(0..) {
            connection.assign(plan.messages / count + u64::from(index < plan.messages % count));
            busy += usize::from(!connection.is_done());
        }
        let start = Instant::now();
        for connection in self.connections.iter_mut().filter(|connection| !connection.is_done()) {
            connection.write(&wire)?;
        }
        while busy > 0 {
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                return Err(format!("nothing has happened for {PATIENCE:?}, {busy} connections wait").into());
            }
            for event in &self.events {
                let connection = &mut self.connections[event.token().0];
                let was_done = connection.is_done();
                connection.ready(event, &wire, &mut self.scratch, &mut times)?;
                busy -= usize::from(connection.is_done() && !was_done);
            }
        }
        Ok(Outcome {
            messages: plan.messages,
            bytes: plan.messages * plan.size as u64,
            elapsed: start.elapsed(),
            latency: times.summary(),
        })
    }
}
