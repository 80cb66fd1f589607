//! All kinds of work that are measured, one file each.

mod clients;
mod deflate;
mod handshakes;
mod idle;
mod large;
mod loads;
mod scaling;

use crate::section::Section;
use std::rc::Rc;
use wsduo_benches::echo::Load;
use wsduo_benches::field::Field;

/// The names of all sections in their order.
pub(crate) const NAMES: [&str; 11] = [
    "echo",
    "text",
    "receive",
    "tls",
    "handshakes",
    "large",
    "idle",
    "deflate",
    "clients",
    "connections",
    "sizes",
];

/// How much time there is.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// A few typical cells instead of all.
    pub(crate) quick: bool,
    /// Measurements of each contestant in each cell.
    pub(crate) rounds: usize,
    /// Seconds of one measurement.
    pub(crate) seconds: f64,
    /// These loads instead of those of the sections that consist of loads.
    pub(crate) loads: Vec<Load>,
}

/// The section called `name`, one of [`NAMES`].
pub(crate) fn section(name: &str, field: &Rc<Field>, pace: &Pace) -> Option<Section> {
    Some(match name {
        "echo" => loads::echo(field, pace),
        "text" => loads::text(field, pace),
        "receive" => loads::receive(field, pace),
        "tls" => loads::tls(field, pace),
        "handshakes" => handshakes::section(field, pace),
        "large" => large::section(field, pace),
        "idle" => idle::section(field, pace),
        "deflate" => deflate::section(field, pace),
        "clients" => clients::section(field, pace),
        "connections" => scaling::connections(field, pace),
        "sizes" => scaling::sizes(field, pace),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_section_has_cells_and_names_of_its_own() {
        let field = Rc::new(Field::new(Path::new("/"), &[], &[]).unwrap());
        for quick in [false, true] {
            let pace = Pace { quick, rounds: 1, seconds: 0.1, loads: Vec::new() };
            for name in NAMES {
                let section = section(name, &field, &pace).unwrap();
                assert_eq!(section.heading.name, name);
                assert!(!section.heading.figures.is_empty());
                let mut names: Vec<_> = section.cells.iter().map(|cell| &cell.name).collect();
                let all = names.len();
                names.sort();
                names.dedup();
                assert!(all > 0 && names.len() == all, "{name}: {names:?}");
            }
        }
        assert!(
            section("none", &field, &Pace { quick: true, rounds: 1, seconds: 0.1, loads: Vec::new() })
                .is_none()
        );
    }
}
