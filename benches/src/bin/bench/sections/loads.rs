//! Messages of every size, on few and many connections, one or many in flight.

use super::Pace;
use crate::section::{Cell, Heading, Section};
use std::rc::Rc;
use wsduo_benches::Error;
use wsduo_benches::echo::{Load, Sample, Work, bytes};
use wsduo_benches::field::{Contestant, Field, Mode};
use wsduo_benches::load::{Kind, Service};

/// From a chat message to a picture.
pub(super) const SIZES: [usize; 5] = [20, 512, 4 << 10, 64 << 10, 1 << 20];
const CONNECTIONS: [usize; 3] = [1, 10, 100];
/// Ping-pong, and a window as a busy connection has it.
const IN_FLIGHT: [u64; 2] = [1, 32];

/// The figures of [`figures`].
pub(super) const FIGURES: [&str; 5] = ["CPU ns", "messages/s", "p50 µs", "p99 µs", "RSS MiB"];

/// The same of messages that come back from nowhere.
const RECEIVED: [&str; 3] = ["CPU ns", "messages/s", "RSS MiB"];

/// Binary messages.
pub(super) fn echo(field: &Rc<Field>, pace: &Pace) -> Section {
    let about = "Binary messages, echoed. Server CPU per message, user and system together; messages per second; time from a \
                 message's first byte out to its echo's last byte back; resident memory of the server with the connections open.";
    let mut loads = Vec::new();
    for in_flight in IN_FLIGHT {
        for connections in CONNECTIONS {
            for size in SIZES {
                let load = Load::bounded(size, connections, in_flight);
                let is_typical = connections == 10 || (size == 20 && in_flight == 32);
                if !loads.contains(&load) && (!pace.quick || is_typical) {
                    loads.push(load);
                }
            }
        }
    }
    let heading = Heading::new("echo", "Echo, binary", about.to_owned()).figures(&FIGURES);
    section(field, pace, heading, &loads, Mode::Echo, Kind::Binary, Service::Echo)
}

/// Text messages, which every library has to check for UTF-8.
pub(super) fn text(field: &Rc<Field>, pace: &Pace) -> Section {
    let about = "Text messages, echoed: ASCII, checked for UTF-8 by every library and not by the bare loop.";
    let sizes = if pace.quick { &SIZES[1..4] } else { &SIZES };
    let loads: Vec<_> = sizes.iter().map(|&size| Load::bounded(size, 10, 32)).collect();
    let heading = Heading::new("text", "Echo, text", about.to_owned()).figures(&FIGURES);
    section(field, pace, heading, &loads, Mode::Echo, Kind::Text, Service::Echo)
}

/// Binary messages over TLS.
pub(super) fn tls(field: &Rc<Field>, pace: &Pace) -> Section {
    let about = "Binary messages, echoed over TLS 1.3 by rustls in every server.";
    let sizes = if pace.quick { &SIZES[1..4] } else { &SIZES };
    let in_flight = if pace.quick { &IN_FLIGHT[1..] } else { &IN_FLIGHT };
    let loads: Vec<_> = in_flight
        .iter()
        .flat_map(|&in_flight| sizes.iter().map(move |&size| Load::bounded(size, 10, in_flight)))
        .collect();
    let heading = Heading::new("tls", "Echo over TLS", about.to_owned()).figures(&FIGURES);
    section(field, pace, heading, &loads, Mode::Tls, Kind::Binary, Service::Echo)
}

/// Messages that are counted and not answered.
pub(super) fn receive(field: &Rc<Field>, pace: &Pace) -> Section {
    let about = "Binary messages that the server counts and does not answer, as fast as the connections take them. At the end each \
                 connection asks how many there were, and has to be told the right number.";
    let numbers: &[usize] = if pace.quick { &[10] } else { &CONNECTIONS };
    let loads: Vec<_> = numbers
        .iter()
        .flat_map(|&connections| SIZES.map(|size| Load { size, connections, in_flight: 1 }))
        .filter(|load| !pace.quick || load.size <= 64 << 10)
        .collect();
    let mut heading = Heading::new("receive", "Receive only", about.to_owned()).figures(&RECEIVED);
    heading.cells = "size x connections".to_owned();
    let mut section = section(field, pace, heading, &loads, Mode::Sink, Kind::Binary, Service::Sink);
    for cell in &mut section.cells {
        if let Some(load) = cell.load {
            cell.name = format!("{} x {}", bytes(load.size), load.connections);
        }
    }
    section
}

/// A section whose cells are `loads`, or those that were asked for.
pub(super) fn section(
    field: &Rc<Field>,
    pace: &Pace,
    heading: Heading,
    loads: &[Load],
    mode: Mode,
    kind: Kind,
    service: Service,
) -> Section {
    let loads = if pace.loads.is_empty() { loads } else { &pace.loads };
    let cells =
        loads.iter().map(|&load| cell(field, mode, Work { load, kind, service, seconds: pace.seconds }));
    Section { heading, contestants: field.contestants.clone(), rounds: pace.rounds, cells: cells.collect() }
}

/// A load for everybody, each with as many messages as take it the time there is.
pub(super) fn cell(field: &Rc<Field>, mode: Mode, work: Work) -> Cell {
    let field = Rc::clone(field);
    let start = move |contestant: &Contestant| {
        let server = field.start(contestant, mode)?;
        let messages = work.calibrate(&server)?;
        let sample = move || -> Result<_, Error> { Ok(figures(&work.sample(&server, messages)?)) };
        Ok(Box::new(sample) as Box<_>)
    };
    Cell { name: work.load.to_string(), load: Some(work.load), start: Box::new(start) }
}

fn figures(sample: &Sample) -> Vec<f64> {
    let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6;
    let resident = mebibytes(sample.memory.resident);
    match sample.latency {
        Some(latency) => vec![sample.cpu, sample.rate, micros(latency.p50), micros(latency.p99), resident],
        None => vec![sample.cpu, sample.rate, resident],
    }
}

#[allow(clippy::cast_precision_loss, reason = "no memory has 2^53 bytes")]
pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
