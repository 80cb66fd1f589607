//! Compressed echoes of one server, sampled again and again: CPU per message, and what a byte became.

use crate::Error;
use crate::deflate::{CYCLE, Connection, FORGETTING, KEEPING, Texts, exchange};
use crate::figures::nanoseconds_each;
use crate::server::Server;
use crate::usage::Cpu;

/// What is sent on how many connections.
#[derive(Debug)]
pub struct Work<'a> {
    /// The texts.
    pub texts: &'a Texts,
    /// Connections at a time.
    pub connections: usize,
    /// Messages on their way on each.
    pub in_flight: usize,
    /// Whether the server has to believe that messages refer to those before them.
    pub keep: bool,
    /// Bytes of text in one measurement.
    pub bytes: usize,
}

/// What one measurement found.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Nanoseconds of CPU per message.
    pub cpu: f64,
    /// What a byte became in the replies.
    pub ratio: f64,
}

impl Work<'_> {
    /// Measures on fresh connections, after a cycle of texts on each that does not count.
    ///
    /// # Errors
    /// If the server fails or will not compress.
    pub fn sample(&self, server: &Server) -> Result<Sample, Error> {
        let offer = if self.keep { KEEPING } else { FORGETTING };
        let mut open = (0..self.connections)
            .map(|_| Connection::open(server.target().address, self.texts, offer))
            .collect::<Result<Vec<_>, _>>()?;
        exchange(&mut open, CYCLE, self.in_flight)?;
        let each = (self.bytes / self.texts.size().max(1) / self.connections.max(1)).max(CYCLE);
        let before = Cpu::of(server.pid())?;
        let ratio = exchange(&mut open, each, self.in_flight)?;
        let cpu = Cpu::of(server.pid())? - before;
        Ok(Sample { cpu: nanoseconds_each(cpu.total, (each * self.connections) as u64), ratio })
    }
}
