//! Opening handshakes, again and again.

use super::Pace;
use crate::section::{Cell, Heading, Section};
use std::rc::Rc;
use wsduo_benches::Error;
use wsduo_benches::field::{Contestant, Field, Mode};
use wsduo_benches::figures::{nanoseconds_each, per_second};
use wsduo_benches::load::shake_hands;
use wsduo_benches::usage::Cpu;

/// Handshakes at a time.
const CONNECTIONS: usize = 10;
/// A TLS handshake takes some twenty times as long as one over TCP alone.
const CELLS: [(&str, Mode, u64); 2] =
    [("TCP", Mode::Handshakes { tls: false }, 5_000), ("TLS", Mode::Handshakes { tls: true }, 500)];
/// A quick run shakes so many times fewer hands.
const QUICK: u64 = 5;

pub(super) fn section(field: &Rc<Field>, pace: &Pace) -> Section {
    let about = format!(
        "Connections that are opened, shake hands and are closed again, {CONNECTIONS} at a time. Times are from `connect` to the end of the \
         response. Each \
         library has its own handshake, two of them by hyper as their documentation does; `web-socket` has none, and does as the bare \
         loop, which answers without looking at much."
    );
    let mut heading = Heading::new("handshakes", "Opening handshakes", about).figures(&[
        "CPU ns",
        "handshakes/s",
        "p50 µs",
        "p99 µs",
    ]);
    heading.cells = "over".to_owned();
    let cells = CELLS.into_iter().map(|(name, mode, count)| {
        let count = if pace.quick { count / QUICK } else { count };
        let field = Rc::clone(field);
        let start = move |contestant: &Contestant| {
            let server = field.start(contestant, mode)?;
            let sample = move || -> Result<_, Error> {
                let before = Cpu::of(server.pid())?;
                let done = shake_hands(server.is_tls(), server.address(), count, CONNECTIONS)?;
                let cpu = Cpu::of(server.pid())? - before;
                let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6;
                let cost = nanoseconds_each(cpu.total, count);
                Ok(vec![cost, per_second(count, done.elapsed), micros(done.p50), micros(done.p99)])
            };
            Ok(Box::new(sample) as Box<_>)
        };
        Cell { name: name.to_owned(), load: None, start: Box::new(start) }
    });
    Section { heading, contestants: field.contestants.clone(), rounds: pace.rounds, cells: cells.collect() }
}
