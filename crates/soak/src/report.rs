//! The table at the end, and whether the run has passed.

use std::collections::HashMap;
use std::fmt;

use crate::watching::{Sample, slope};

/// Runs shorter than this say nothing of slopes.
const SHORTEST: f64 = 300.0;

/// Tasks and descriptors that a process without connections may have.
const AT_REST: u64 = 32;

const RESIDENT: fn(&Sample) -> u64 = |sample| sample.resident;
const ALLOCATED: fn(&Sample) -> u64 = |sample| sample.allocated;

/// What one process has counted.
#[derive(Debug)]
pub(crate) struct Tally {
    name: &'static str,
    counts: HashMap<String, u64>,
}

impl Tally {
    pub(crate) fn new(name: &'static str, counts: impl IntoIterator<Item = (String, u64)>) -> Self {
        Self { name, counts: counts.into_iter().collect() }
    }

    fn get(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }
}

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    /// Clients and server, here and below.
    pub(crate) sides: [Tally; 2],
    pub(crate) samples: Vec<[Sample; 2]>,
    /// When all connections had ended.
    pub(crate) last: Option<[Sample; 2]>,
    pub(crate) cpu: [f64; 2],
    /// The first of them.
    pub(crate) violations: Vec<String>,
}

const ROWS: [(&str, &str); 11] = [
    ("connections opened", "opened"),
    ("ended cleanly", "clean"),
    ("cut as planned", "cut"),
    ("with TLS", "tls"),
    ("offered compression", "compressed"),
    ("messages sent", "sent"),
    ("bytes sent", "sent_bytes"),
    ("messages received", "received"),
    ("bytes received", "received_bytes"),
    ("pings answered", "pings"),
    ("futures dropped", "dropped_futures"),
];

impl Report {
    /// What is wrong with the run; nothing, if it passed. `bound` is the largest slope in KiB a minute.
    pub(crate) fn failures(&self, bound: f64) -> Vec<String> {
        let mut failures = Vec::new();
        let violations: u64 = self.sides.iter().map(|side| side.get("violations")).sum();
        if violations > 0 {
            failures.push(format!("{violations} violations"));
        }
        for (index, side) in self.sides.iter().enumerate() {
            for (kind, slope) in
                [("resident", self.slope(index, RESIDENT)), ("allocated", self.slope(index, ALLOCATED))]
            {
                if self.seconds() >= SHORTEST && slope > bound {
                    let name = side.name;
                    failures.push(format!(
                        "{kind} memory of the {name} grows by {slope:.0} KiB a minute; at most {bound}"
                    ));
                }
            }
        }
        match self.last {
            None => failures.push("the server did not live to the end".into()),
            Some(last) => {
                for (side, sample) in self.sides.iter().zip(last) {
                    if sample.descriptors > AT_REST || sample.tasks > AT_REST {
                        failures.push(format!(
                            "the {} has {} descriptors and {} tasks left when all is over",
                            side.name, sample.descriptors, sample.tasks
                        ));
                    }
                }
            }
        }
        failures
    }

    fn seconds(&self) -> f64 {
        self.samples.last().map_or(0.0, |[sample, _]| sample.second)
    }

    /// KiB a minute over the second half of the run.
    fn slope(&self, side: usize, memory: fn(&Sample) -> u64) -> f64 {
        let half: Vec<Sample> =
            self.samples[self.samples.len() / 2..].iter().map(|both| both[side]).collect();
        slope(&half, memory)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:.1} minutes, seed {}", self.seconds() / 60.0, self.seed)?;
        let mut row =
            |name: &str, values: [String; 2]| writeln!(f, "{name:<28}{:>18}{:>18}", values[0], values[1]);
        row("", ["clients".into(), "server".into()])?;
        for (title, name) in ROWS {
            // The server does not look at these.
            let absent = |side: &Tally| matches!(name, "tls" | "compressed") && side.name == "server";
            row(
                title,
                [0, 1].map(|side| {
                    let side = &self.sides[side];
                    if absent(side) { String::new() } else { side.get(name).to_string() }
                }),
            )?;
        }
        let at = |index: usize, value: fn(&Sample) -> u64| {
            [0, 1].map(|side| self.samples.get(index).map_or(0, |both| value(&both[side])).to_string())
        };
        let len = self.samples.len();
        row("KiB resident after 1 min", at(60.min(len.saturating_sub(1)), |sample| sample.resident))?;
        row("KiB resident half-way", at(len / 2, |sample| sample.resident))?;
        row("KiB resident at the end", at(len.saturating_sub(1), |sample| sample.resident))?;
        row("KiB resident at most", [0, 1].map(|side| self.most(side, |sample| sample.resident)))?;
        row("slope, KiB a minute", [0, 1].map(|side| format!("{:+.1}", self.slope(side, RESIDENT))))?;
        row("KiB allocated half-way", at(len / 2, ALLOCATED))?;
        row("KiB allocated at the end", at(len.saturating_sub(1), ALLOCATED))?;
        row("slope, KiB a minute", [0, 1].map(|side| format!("{:+.1}", self.slope(side, ALLOCATED))))?;
        row("descriptors at most", [0, 1].map(|side| self.most(side, |sample| sample.descriptors)))?;
        row("tasks at most", [0, 1].map(|side| self.most(side, |sample| sample.tasks)))?;
        if let Some(last) = self.last {
            row("KiB when all is over", last.map(|sample| sample.resident.to_string()))?;
            row("KiB allocated then", last.map(|sample| sample.allocated.to_string()))?;
            row("descriptors then", last.map(|sample| sample.descriptors.to_string()))?;
            row("tasks then", last.map(|sample| sample.tasks.to_string()))?;
        }
        row("CPU seconds", self.cpu.map(|seconds| format!("{seconds:.0}")))?;
        row("violations", [0, 1].map(|side| self.sides[side].get("violations").to_string()))?;
        for text in &self.violations {
            writeln!(f, "  {text}")?;
        }
        Ok(())
    }
}

impl Report {
    fn most(&self, side: usize, value: fn(&Sample) -> u64) -> String {
        self.samples.iter().map(|both| value(&both[side])).max().unwrap_or_default().to_string()
    }
}
