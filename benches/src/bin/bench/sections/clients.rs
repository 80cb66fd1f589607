//! What a message costs a client: to receive it, and to send it.

use super::Pace;
use super::loads::SIZES;
use crate::section::{Cell, Heading, Section};
use std::rc::Rc;
use wsduo_benches::client::Errand;
use wsduo_benches::echo::bytes;
use wsduo_benches::field::{Contestant, Field, Mode};

/// How many bytes a measurement moves, and how many messages at most.
const BYTES: usize = 256 << 20;
const MESSAGES: usize = 1_000_000;
/// A quick run moves so many times less.
const QUICK: usize = 4;

pub(super) fn section(field: &Rc<Field>, pace: &Pace) -> Section {
    let about = "Clients that receive binary messages, or send them with a flush after every 32, as fast as they can. At the other end is a \
                 program that knows no library: it sends prepared frames, or counts bytes. The client's own CPU time, from the end of the \
                 handshake to the last message.";
    let mut heading = Heading::new("clients", "Clients", about.to_owned()).figures(&["CPU ns", "messages/s"]);
    heading.cells = "size and way".to_owned();
    let less = if pace.quick { QUICK } else { 1 };
    let mut cells = Vec::new();
    for (way, sends) in [("received", false), ("sent", true)] {
        for size in SIZES {
            let messages = (BYTES / size).clamp(1, MESSAGES) / less;
            let errand = Errand { sends, size, messages: messages as u64 };
            let field = Rc::clone(field);
            let start = move |contestant: &Contestant| {
                let recipe = field.recipe(contestant, Mode::Client)?;
                Ok(Box::new(move || errand.measure(&recipe)) as Box<_>)
            };
            cells.push(Cell { name: format!("{}, {way}", bytes(size)), load: None, start: Box::new(start) });
        }
    }
    Section { heading, contestants: field.contestants.clone(), rounds: pace.rounds, cells }
}
