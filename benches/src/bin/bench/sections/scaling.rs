//! How the cost of a message grows with the number of connections, and with its size.

use super::Pace;
use super::loads::{FIGURES, cell};
use crate::section::{Heading, Section};
use std::rc::Rc;
use wsduo_benches::echo::{Load, Work};
use wsduo_benches::field::{Field, Mode};
use wsduo_benches::load::{Kind, Service};

/// Who is compared beside ours and the bare loop.
const PEERS: [&str; 2] = ["yawc", "tokio-tungstenite"];

/// Messages of 20 bytes on ever more connections.
pub(super) fn connections(field: &Rc<Field>, pace: &Pace) -> Section {
    let about = "Messages of 20 bytes on ever more connections, one and 32 in flight on each: the cost of one should not depend on how \
                 many there are, but for what the processor's caches no longer hold.";
    let numbers: &[usize] = if pace.quick { &[1, 10, 100, 1_000] } else { &[1, 10, 100, 1_000, 10_000] };
    let loads = [1, 32].into_iter().flat_map(|in_flight| {
        numbers.iter().map(move |&connections| Load { size: 20, connections, in_flight })
    });
    section(field, pace, Heading::new("connections", "Scaling: connections", about.to_owned()), loads)
}

/// Ever larger messages on one connection.
pub(super) fn sizes(field: &Rc<Field>, pace: &Pace) -> Section {
    let about = "Ever larger messages on one connection, 32 in flight or as many as make 64 MiB: the cost of one should be flat while it is \
                 small, and from some KiB on in proportion to its size.";
    let exponents: &[u32] =
        if pace.quick { &[0, 8, 16, 20, 26] } else { &[0, 4, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26] };
    let loads = exponents.iter().map(|exponent| Load::bounded(1 << exponent, 1, 32));
    section(field, pace, Heading::new("sizes", "Scaling: sizes", about.to_owned()), loads)
}

fn section(field: &Rc<Field>, pace: &Pace, heading: Heading, loads: impl Iterator<Item = Load>) -> Section {
    let work = |load| Work { load, kind: Kind::Binary, service: Service::Echo, seconds: pace.seconds };
    let heading = Heading { counts: false, ..heading.figures(&FIGURES) };
    let cells = loads.map(|load| cell(field, Mode::Echo, work(load))).collect();
    // A third of the rounds: a curve of many points needs each less exactly.
    Section { heading, contestants: field.few(&PEERS), rounds: pace.rounds.div_ceil(3), cells }
}
