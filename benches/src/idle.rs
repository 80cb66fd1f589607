//! What connections that do nothing cost in memory, before and after they did something.

use crate::Error;
use crate::deflate::{self, Connection, KEEPING, Texts};
use crate::load::{Kind, Plan, Service, Swarm};
use crate::server::Server;
use crate::usage::Memory;
use std::thread::sleep;
use std::time::Duration;

/// Time for a server to do what it does after the last byte.
const SETTLE: Duration = Duration::from_millis(300);

/// What the connections are, and do in between.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// How many there are.
    pub connections: u32,
    /// Payload bytes of the messages each has echoed between the first look and the second.
    pub size: usize,
    /// How many such messages.
    pub messages: usize,
    /// Whether they are compressed texts.
    pub deflate: bool,
}

/// What was resident, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    /// In all before the first connection.
    pub base: u64,
    /// For each connection over the base: all of them open.
    pub opened: f64,
    /// All of them open and used.
    pub used: f64,
    /// All of them closed.
    pub closed: f64,
    /// The most there ever was in all.
    pub peak: u64,
}

impl Crowd {
    /// Measures a server that nobody has connected to before.
    ///
    /// # Errors
    /// If it fails.
    #[allow(clippy::cast_precision_loss, reason = "no memory has 2^53 bytes")]
    pub fn measure(&self, server: &Server) -> Result<Resident, Error> {
        // The code that a connection runs is read from the file when the first one does: that is not memory of connections.
        let first = Self { connections: 1, ..*self };
        if self.deflate {
            first.compressed(server)?
        } else {
            first.plain(server)?
        };
        let base = resident(server)?;
        let each = |resident: u64| (resident as f64 - base as f64) / f64::from(self.connections);
        let (opened, used) = if self.deflate { self.compressed(server)? } else { self.plain(server)? };
        let closed = resident(server)?;
        let peak = Memory::of(server.pid())?.peak;
        Ok(Resident { base, opened: each(opened), used: each(used), closed: each(closed), peak })
    }

    /// What is resident once all connections are open, and after they were used.
    fn plain(&self, server: &Server) -> Result<(u64, u64), Error> {
        let mut swarm = Swarm::open(server.target(), self.connections as usize)?;
        let opened = resident(server)?;
        swarm.exchange(&Plan {
            kind: Kind::Binary,
            size: self.size,
            in_flight: 1,
            messages: u64::from(self.connections) * self.messages as u64,
            service: Service::Echo,
        })?;
        Ok((opened, resident(server)?))
    }

    /// As [`plain`](Self::plain), with compression.
    fn compressed(&self, server: &Server) -> Result<(u64, u64), Error> {
        let texts = Texts::new(self.size)?;
        let mut connections = (0..self.connections)
            .map(|_| Connection::open(server.target().address, &texts, KEEPING))
            .collect::<Result<Vec<_>, _>>()?;
        let opened = resident(server)?;
        deflate::exchange(&mut connections, self.messages, 1)?;
        Ok((opened, resident(server)?))
    }
}

fn resident(server: &Server) -> Result<u64, Error> {
    sleep(SETTLE);
    Ok(Memory::of(server.pid())?.resident)
}
