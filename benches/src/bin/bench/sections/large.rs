//! One message of 64 MiB at a time, and what it takes in memory.

use super::Pace;
use super::loads::mebibytes;
use crate::section::{Cell, Heading, Section};
use std::rc::Rc;
use wsduo_benches::Error;
use wsduo_benches::echo::{Load, Work};
use wsduo_benches::field::{Contestant, Field, Mode};
use wsduo_benches::load::{Kind, Service};
use wsduo_benches::turns::Finding;
use wsduo_benches::usage::Memory;

const SIZE: usize = 64 << 20;
/// Messages of one measurement: each is work enough.
const MESSAGES: u64 = 3;

pub(super) fn section(field: &Rc<Field>, pace: &Pace) -> Section {
    let about = "One message of 64 MiB at a time on one connection, received whole and echoed. Peak memory is over that of the server \
                 before the first connection; the bare loop forwards what each read brings.";
    let heading = Heading::new("large", "64 MiB messages", about.to_owned()).figures(&[
        "CPU ns/KiB",
        "MB/s",
        "p50 ms",
        "peak MiB",
    ]);
    let load = Load { size: SIZE, connections: 1, in_flight: 1 };
    let work = Work { load, kind: Kind::Binary, service: Service::Echo, seconds: pace.seconds };
    let owned = Rc::clone(field);
    let start = move |contestant: &Contestant| {
        let server = owned.start(contestant, Mode::Echo)?;
        let failed = |error: std::io::Error| Finding::Failed(error.to_string());
        let base = Memory::of(server.pid()).map_err(failed)?.resident;
        let sample = move || -> Result<_, Error> {
            let sample = work.sample(&server, MESSAGES)?;
            let peak = mebibytes(sample.memory.peak.saturating_sub(base));
            let p50 = sample.latency.map_or(f64::NAN, |latency| latency.p50.as_secs_f64() * 1e3);
            Ok(vec![
                sample.cpu / f64::from(SIZE as u32 >> 10),
                sample.rate * f64::from(SIZE as u32) / 1e6,
                p50,
                peak,
            ])
        };
        Ok(Box::new(sample) as Box<_>)
    };
    let cells = vec![Cell { name: load.to_string(), load: Some(load), start: Box::new(start) }];
    Section { heading, contestants: field.contestants.clone(), rounds: pace.rounds, cells }
}
