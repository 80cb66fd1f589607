//! Memory of connections that do nothing.

use super::Pace;
use crate::section::{Cell, Heading, Section};
use std::rc::Rc;
use wsduo_benches::Error;
use wsduo_benches::field::{Contestant, Field, Mode};
use wsduo_benches::idle::Crowd;

/// Enough to tell memory apart, which differs little from one to the next; 10,000 connections take their time.
const ROUNDS: usize = 5;

pub(super) fn section(field: &Rc<Field>, pace: &Pace) -> Section {
    let connections = if pace.quick { 2_000 } else { 10_000 };
    let about = format!(
        "Resident memory of the server over what it had before the first connection, for each of {connections} connections: after one \
         message of 20 bytes each way, as they were just opened, and after all are closed. Libraries that offer a choice \
         use small buffers here (`--lean`)."
    );
    let mut heading = Heading::new("idle", "Idle connections", about).figures(&[
        "after traffic B",
        "opened B",
        "closed B",
        "base KiB",
    ]);
    heading.cells = "connections".to_owned();
    let owned = Rc::clone(field);
    let start = move |contestant: &Contestant| {
        let server = owned.start(contestant, Mode::Lean)?;
        let crowd = Crowd { connections, size: 20, messages: 1, deflate: false };
        let sample = move || -> Result<_, Error> {
            let found = crowd.measure(&server)?;
            Ok(vec![found.used, found.opened, found.closed, found.base as f64 / 1024.0])
        };
        Ok(Box::new(sample) as Box<_>)
    };
    let cells = vec![Cell { name: connections.to_string(), load: None, start: Box::new(start) }];
    Section { heading, contestants: field.contestants.clone(), rounds: pace.rounds.min(ROUNDS), cells }
}
