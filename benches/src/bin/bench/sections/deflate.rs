//! Compressed texts, echoed.

use super::Pace;
use crate::section::{Cell, Heading, Section};
use std::rc::Rc;
use wsduo_benches::Error;
use wsduo_benches::compressed::Work;
use wsduo_benches::deflate::Texts;
use wsduo_benches::echo::bytes;
use wsduo_benches::field::{Contestant, Field, Mode};

const IN_FLIGHT: usize = 8;

/// Size, connections, level, and whether replies may refer to those before them.
const CELLS: [(usize, usize, u8, bool); 9] = [
    (1024, 10, 1, true),
    (1024, 1, 1, true),
    (16 << 10, 1, 1, true),
    (16 << 10, 10, 1, true),
    (1024, 10, 6, true),
    (16 << 10, 10, 6, true),
    (1024, 10, 1, false),
    (16 << 10, 10, 1, false),
    (1024, 10, 6, false),
];
/// How many of them, from the front, a quick run measures.
const QUICK: usize = 1;

pub(super) fn section(field: &Rc<Field>, pace: &Pace) -> Section {
    let about = format!(
        "Texts that look like JSON, compressed by permessage-deflate both ways, {IN_FLIGHT} in flight. All compressors are zlib-rs. \
         The ratio is what a byte became in the replies."
    );
    let mut heading = Heading::new("deflate", "Compressed echo", about).figures(&["CPU ns", "compressed to"]);
    heading.cells = "size x connections, level, context".to_owned();
    let cells = if pace.quick { &CELLS[..QUICK] } else { &CELLS };
    let cells = cells.iter().map(|&cell| self::cell(field, pace, cell)).collect();
    Section { heading, contestants: field.contestants.clone(), rounds: pace.rounds, cells }
}

fn cell(
    field: &Rc<Field>,
    pace: &Pace,
    (size, connections, level, keeps_context): (usize, usize, u8, bool),
) -> Cell {
    let field = Rc::clone(field);
    // Some 60 MiB of text a second pass through a compressor of level 1.
    let volume = if pace.quick { 4 << 20 } else { 16 << 20 };
    let start = move |contestant: &Contestant| {
        let server = field.start(contestant, Mode::Deflate { level, keeps_context })?;
        let texts = Texts::new(size)?;
        let sample = move || -> Result<_, Error> {
            let work = Work { texts: &texts, connections, in_flight: IN_FLIGHT, keep: false, bytes: volume };
            let sample = work.sample(&server)?;
            Ok(vec![sample.cpu, sample.ratio])
        };
        Ok(Box::new(sample) as Box<_>)
    };
    let context = if keeps_context { "kept" } else { "none" };
    let name = format!("{} x {connections}, level {level}, {context}", bytes(size));
    Cell { name, load: None, start: Box::new(start) }
}
