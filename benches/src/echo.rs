//! One load on one server, sampled again and again: CPU per message, rate, latency and memory.

use crate::Error;
use crate::figures::{nanoseconds_each, per_second};
use crate::load::{Kind, Latency, Plan, Service, Swarm};
use crate::server::Server;
use crate::usage::{Cpu, Memory};
use std::fmt;
use std::str::FromStr;

/// No more payload than this is on its way at a time, whatever the number in flight.
const IN_FLIGHT_BYTES: u64 = 64 << 20;

/// How many messages of which size, on how many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Payload bytes of a message.
    pub size: usize,
    /// Connections that are open and busy.
    pub connections: usize,
    /// Messages a connection has sent and not yet got back.
    pub in_flight: u64,
}

impl Load {
    /// A load with no more in flight than 64 MiB in all, but at least a message on each connection.
    pub fn bounded(size: usize, connections: usize, in_flight: u64) -> Self {
        let most = IN_FLIGHT_BYTES / (size.max(1) as u64 * connections.max(1) as u64);
        Self { size, connections, in_flight: in_flight.min(most).max(1) }
    }

    /// The messages of one window on all connections.
    fn window(self) -> u64 {
        self.connections as u64 * self.in_flight
    }
}

impl FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected SIZExCONNECTIONSxIN_FLIGHT with numbers, as in 512x10x32, got {text:?}");
        let parts: Vec<u64> =
            text.split('x').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let &[size, connections @ 1..=u64::MAX, in_flight @ 1..=u64::MAX] = parts.as_slice() else {
            return Err(wrong());
        };
        let word = |number| usize::try_from(number).map_err(|_| format!("{number} is too large"));
        Ok(Self { size: word(size)?, connections: word(connections)?, in_flight })
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {} x {}", bytes(self.size), self.connections, self.in_flight)
    }
}

/// A size as people say it: `20 B`, `64 KiB`, `1 MiB`.
pub fn bytes(size: usize) -> String {
    match size {
        0x10_0000.. if size.is_multiple_of(1 << 20) => format!("{} MiB", size >> 20),
        1024.. if size.is_multiple_of(1 << 10) => format!("{} KiB", size >> 10),
        _ => format!("{size} B"),
    }
}

/// What one measurement found.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Nanoseconds of CPU per message, user and system together.
    pub cpu: f64,
    /// The part of the system in it.
    pub system: f64,
    /// Messages per second.
    pub rate: f64,
    /// Round-trip times, of echoes alone.
    pub latency: Option<Latency>,
    /// Memory of the server with the connections open, right after the last message.
    pub memory: Memory,
}

/// A load, how it is sent, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// How much of what.
    pub load: Load,
    /// Text or binary.
    pub kind: Kind,
    /// What the server does.
    pub service: Service,
    /// How long one measurement is to take.
    pub seconds: f64,
}

impl Work {
    /// How many messages keep `server` busy for as long as asked. This warms it up besides.
    ///
    /// # Errors
    /// If the server fails.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive and modest"
    )]
    pub fn calibrate(&self, server: &Server) -> Result<u64, Error> {
        let least = self.load.window();
        let mut messages = least;
        let mut swarm = Swarm::open(server.target(), self.load.connections)?;
        loop {
            let outcome = swarm.exchange(&self.plan(messages))?;
            // A tenth of the time is enough to tell the rate, and less would be all start-up.
            if outcome.elapsed.as_secs_f64() >= self.seconds / 10.0 {
                return Ok(least.max((per_second(messages, outcome.elapsed) * self.seconds) as u64));
            }
            messages *= 4;
        }
    }

    /// Measures `messages` on fresh connections, after a window that does not count.
    ///
    /// # Errors
    /// If the server fails.
    pub fn sample(&self, server: &Server, messages: u64) -> Result<Sample, Error> {
        let mut swarm = Swarm::open(server.target(), self.load.connections)?;
        swarm.exchange(&self.plan(self.load.window()))?;
        let before = Cpu::of(server.pid())?;
        let outcome = swarm.exchange(&self.plan(messages))?;
        let cpu = Cpu::of(server.pid())? - before;
        Ok(Sample {
            cpu: nanoseconds_each(cpu.total, messages),
            system: nanoseconds_each(cpu.system, messages),
            rate: per_second(messages, outcome.elapsed),
            latency: outcome.latency,
            memory: Memory::of(server.pid())?,
        })
    }

    fn plan(&self, messages: u64) -> Plan {
        Plan {
            kind: self.kind,
            size: self.load.size,
            in_flight: self.load.in_flight,
            messages,
            service: self.service,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_three_numbers() {
        let load: Load = "512x10x32".parse().unwrap();
        assert_eq!(load, Load { size: 512, connections: 10, in_flight: 32 });
        assert_eq!(load.to_string(), "512 B x 10 x 32");
        for wrong in ["512x10", "512x10x32x1", "512x0x1", "512x1x0", "512xtenx1", "-1x1x1", ""] {
            assert!(wrong.parse::<Load>().unwrap_err().contains("512x10x32"), "{wrong}");
        }
    }

    #[test]
    fn what_is_in_flight_is_bounded_but_never_nothing() {
        assert_eq!(Load::bounded(20, 100, 32).in_flight, 32);
        assert_eq!(Load::bounded(1 << 20, 10, 32).in_flight, 6);
        assert_eq!(Load::bounded(1 << 20, 100, 32).in_flight, 1);
        assert_eq!(Load::bounded(0, 1, 32).in_flight, 32);
    }

    #[test]
    fn sizes_read_as_people_say_them() {
        let said = [1, 1000, 4096, 1 << 20, 64 << 20, (1 << 20) + 1].map(bytes);
        assert_eq!(said, ["1 B", "1000 B", "4 KiB", "1 MiB", "64 MiB", "1048577 B"]);
    }
}
