//! A section of the report: one kind of work, in cells, done by everybody in turns.

use serde::{Deserialize, Serialize};
use wsduo_benches::Error;
use wsduo_benches::echo::Load;
use wsduo_benches::field::Contestant;
use wsduo_benches::turns::{Finding, take};

/// A started server with work to measure.
pub(crate) type Trial = Box<dyn FnOnce() -> Result<Vec<f64>, Error>>;

/// Starts the trial of a contestant, in every round anew: where memory lies makes one process half as fast again as another.
pub(crate) type Start = Box<dyn Fn(&Contestant) -> Result<Trial, Finding>>;

/// What is known of a section before it is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Heading {
    /// What `--sections` calls it.
    pub(crate) name: String,
    /// What the report calls it.
    pub(crate) title: String,
    /// What the work is, in a few sentences.
    pub(crate) about: String,
    /// What the cells are called after.
    pub(crate) cells: String,
    /// What is measured. The first counts, and less of it is better.
    pub(crate) figures: Vec<String>,
    /// Whether the summary speaks of it. What is measured elsewhere already would count twice.
    pub(crate) counts: bool,
}

impl Heading {
    pub(crate) fn new(name: &str, title: &str, about: String) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            about,
            cells: "size x connections x in flight".to_owned(),
            figures: Vec::new(),
            counts: true,
        }
    }

    pub(crate) fn figures(mut self, figures: &[&str]) -> Self {
        self.figures = figures.iter().map(|&figure| figure.to_owned()).collect();
        self
    }
}

/// One cell of a section, to be measured.
pub(crate) struct Cell {
    pub(crate) name: String,
    /// The load, where it is one.
    pub(crate) load: Option<Load>,
    pub(crate) start: Start,
}

/// A section to be measured.
pub(crate) struct Section {
    pub(crate) heading: Heading,
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) rounds: usize,
    pub(crate) cells: Vec<Cell>,
}

/// What was found in a cell: of each contestant of the section, in their order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FoundCell {
    pub(crate) name: String,
    /// Size, connections, in flight.
    pub(crate) load: Option<(usize, usize, u64)>,
    pub(crate) findings: Vec<Finding>,
}

/// A section that was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) heading: Heading,
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) cells: Vec<FoundCell>,
}

impl Section {
    /// Measures all cells and tells `progress` of each.
    pub(crate) fn measure(self, mut progress: impl FnMut(&Heading, &[Contestant], &FoundCell)) -> Found {
        let mut cells = Vec::new();
        for cell in &self.cells {
            let findings = take(self.contestants.iter().collect(), self.rounds, |contestant| {
                let trial = (cell.start)(contestant)?;
                Ok(trial()?)
            });
            let load = cell.load.map(|load| (load.size, load.connections, load.in_flight));
            let found = FoundCell { name: cell.name.clone(), load, findings };
            progress(&self.heading, &self.contestants, &found);
            cells.push(found);
        }
        Found { heading: self.heading, contestants: self.contestants, cells }
    }
}
