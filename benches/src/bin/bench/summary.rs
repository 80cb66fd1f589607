//! What all cells together say: how far ahead of whom, and where not.

use crate::section::{Found, FoundCell};
use wsduo_benches::field::{Contestant, Role};
use wsduo_benches::figures::{geometric_mean, median};
use wsduo_benches::turns::Finding;

/// Ours beside one peer in one cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) section: String,
    pub(crate) cell: String,
    pub(crate) other: String,
    pub(crate) role: Role,
    /// What ours costs for what the other costs: below 1 is ahead.
    pub(crate) ratio: f64,
    /// What two equal servers differ by, at least: 0.03 is 3 %.
    pub(crate) noise: f64,
}

/// Where a comparison leaves us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Ahead,
    /// Closer than two equal servers are to each other.
    Level,
    Behind,
}

impl Comparison {
    pub(crate) fn standing(&self) -> Standing {
        if self.ratio * (1.0 + self.noise) < 1.0 {
            Standing::Ahead
        } else if self.ratio > 1.0 + self.noise {
            Standing::Behind
        } else {
            Standing::Level
        }
    }
}

/// A contestant that was to be measured in a cell and was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) place: String,
    pub(crate) who: String,
    pub(crate) why: String,
}

/// Ours beside everybody else in all cells of `found` that count.
pub(crate) fn comparisons(found: &[Found]) -> Vec<Comparison> {
    found.iter().filter(|section| section.heading.counts).flat_map(of_section).collect()
}

fn of_section(section: &Found) -> Vec<Comparison> {
    let noises: Vec<f64> = section.cells.iter().map(|cell| noise_at(section, cell)).collect();
    let mut comparisons = Vec::new();
    for (cell, &noise) in section.cells.iter().zip(&noises) {
        let Some(ours) = of_role(section, cell, Role::Ours) else { continue };
        for (contestant, finding) in section.contestants.iter().zip(&cell.findings) {
            if let (Role::Peer | Role::Limit, Some(theirs)) = (contestant.role, finding.figure(0)) {
                comparisons.push(Comparison {
                    section: section.heading.name.clone(),
                    cell: cell.name.clone(),
                    other: contestant.name.clone(),
                    role: contestant.role,
                    ratio: ours / theirs,
                    noise,
                });
            }
        }
    }
    comparisons
}

/// The noise to assume in `cell`: what the two of ours differ by there, or in half of the section's cells if that is more, since two
/// may be equal by chance. Zero where ours was not measured twice.
pub(crate) fn noise_at(section: &Found, cell: &FoundCell) -> f64 {
    let differences = section.cells.iter().filter_map(|cell| difference(section, cell));
    let usual = median(differences);
    difference(section, cell).unwrap_or(0.0).max(if usual.is_nan() { 0.0 } else { usual })
}

/// How far the two of ours are apart in a cell.
pub(crate) fn difference(section: &Found, cell: &FoundCell) -> Option<f64> {
    let (ours, again) = (of_role(section, cell, Role::Ours)?, of_role(section, cell, Role::Again)?);
    Some((ours / again).max(again / ours) - 1.0)
}

fn of_role(section: &Found, cell: &FoundCell, role: Role) -> Option<f64> {
    let index = section.contestants.iter().position(|contestant| contestant.role == role)?;
    cell.findings.get(index)?.figure(0).filter(|figure| *figure > 0.0)
}

/// Every failure, and ours too.
pub(crate) fn failures(found: &[Found]) -> Vec<Failure> {
    let mut failures = Vec::new();
    for section in found {
        for cell in &section.cells {
            for (contestant, finding) in section.contestants.iter().zip(&cell.findings) {
                if let Finding::Failed(why) = finding {
                    let place = format!("{}: {}", section.heading.name, cell.name);
                    failures.push(Failure { place, who: contestant.name.clone(), why: why.clone() });
                }
            }
        }
    }
    failures
}

/// Everybody that took part in any section, in order, but for ours.
pub(crate) fn others(found: &[Found]) -> Vec<Contestant> {
    let mut others: Vec<Contestant> = Vec::new();
    let counted = found.iter().filter(|section| section.heading.counts);
    for contestant in counted.flat_map(|section| &section.contestants) {
        let is_other = matches!(contestant.role, Role::Limit | Role::Peer);
        if is_other && !others.contains(contestant) {
            others.push(contestant.clone());
        }
    }
    others
}

/// The comparisons with one other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally<'a> {
    pub(crate) comparisons: Vec<&'a Comparison>,
}

impl<'a> Tally<'a> {
    pub(crate) fn of(other: &str, comparisons: &'a [Comparison]) -> Self {
        Self { comparisons: comparisons.iter().filter(|comparison| comparison.other == other).collect() }
    }

    /// Those of one section.
    pub(crate) fn within(&self, section: &str) -> Self {
        let comparisons = self.comparisons.iter().copied().filter(|comparison| comparison.section == section);
        Self { comparisons: comparisons.collect() }
    }

    /// The geometric mean of what ours costs for what the other costs.
    pub(crate) fn mean(&self) -> f64 {
        geometric_mean(self.comparisons.iter().map(|comparison| comparison.ratio))
    }

    /// Where the other comes nearest to us, or is furthest ahead, for certain: a cell in which two equal servers differ by half
    /// says little.
    pub(crate) fn worst(&self) -> Option<&'a Comparison> {
        let for_certain = |comparison: &Comparison| comparison.ratio / (1.0 + comparison.noise);
        self.comparisons.iter().copied().max_by(|a, b| for_certain(a).total_cmp(&for_certain(b)))
    }

    pub(crate) fn count(&self, standing: Standing) -> usize {
        self.comparisons.iter().filter(|comparison| comparison.standing() == standing).count()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::section::Heading;

    /// A section of ours, ours again, the limit and two peers, with a cell for each row.
    pub(crate) fn section(rows: &[[f64; 5]]) -> Found {
        let contestants = [
            ("wsduo", Role::Ours),
            ("wsduo again", Role::Again),
            ("bare tokio", Role::Limit),
            ("fast", Role::Peer),
            ("slow", Role::Peer),
        ];
        let finding = |figure: f64| {
            if figure < 0.0 {
                Finding::Failed("crashed".into())
            } else {
                Finding::Measured(vec![Some(figure)])
            }
        };
        let cells = rows.iter().enumerate().map(|(index, row)| FoundCell {
            name: format!("cell {index}"),
            load: Some((20 << (index * 4), 10, 32)),
            findings: row.iter().map(|&figure| finding(figure)).collect(),
        });
        Found {
            heading: Heading::new("echo", "Echo", "Messages.".to_owned()).figures(&["CPU ns"]),
            contestants: contestants.map(|(name, role)| Contestant { name: name.into(), role }).to_vec(),
            cells: cells.collect(),
        }
    }

    #[test]
    fn means_and_worst_cells_are_of_ours_for_theirs() {
        let found = [section(&[[100.0, 101.0, 80.0, 200.0, 400.0], [100.0, 101.0, 80.0, 50.0, 400.0]])];
        let comparisons = comparisons(&found);
        let fast = Tally::of("fast", &comparisons);
        assert!((fast.mean() - 1.0).abs() < 1e-12);
        assert_eq!(fast.worst().unwrap().cell, "cell 1");
        assert_eq!([Standing::Ahead, Standing::Level, Standing::Behind].map(|it| fast.count(it)), [1, 0, 1]);
        assert_eq!(Tally::of("slow", &comparisons).within("echo").mean(), 0.25);
        assert!(Tally::of("slow", &comparisons).within("idle").worst().is_none());
    }

    #[test]
    fn a_cell_full_of_noise_is_not_the_worst() {
        let found = [section(&[
            [100.0, 200.0, 1.0, 60.0, 400.0],
            [100.0, 101.0, 1.0, 80.0, 400.0],
            [100.0, 101.0, 1.0, 200.0, 400.0],
        ])];
        assert_eq!(Tally::of("fast", &comparisons(&found)).worst().unwrap().cell, "cell 1");
    }

    #[test]
    fn closer_than_two_equal_servers_is_level() {
        // Two equal ones differ by 10 %, 2 % and 4 %: so 10 %, 4 % and 4 % are assumed.
        let found = [section(&[
            [100.0, 110.0, 1.0, 105.0, 95.0],
            [100.0, 102.0, 1.0, 103.0, 94.0],
            [100.0, 104.0, 1.0, 105.0, 97.0],
        ])];
        let comparisons = comparisons(&found);
        let noises: Vec<_> = Tally::of("fast", &comparisons).comparisons.iter().map(|it| it.noise).collect();
        assert!(noises.iter().zip([0.1, 0.04, 0.04]).all(|(a, b)| (a - b).abs() < 1e-9), "{noises:?}");
        let standings = |name| {
            Tally::of(name, &comparisons).comparisons.iter().map(|it| it.standing()).collect::<Vec<_>>()
        };
        assert_eq!(standings("fast"), [Standing::Level, Standing::Level, Standing::Ahead]);
        assert_eq!(standings("slow"), [Standing::Level, Standing::Behind, Standing::Level]);
    }

    #[test]
    fn who_fails_is_listed_and_not_compared() {
        let found = [section(&[[100.0, 100.0, 80.0, -1.0, 200.0]])];
        assert_eq!(
            failures(&found),
            [Failure { place: "echo: cell 0".into(), who: "fast".into(), why: "crashed".into() }]
        );
        assert!(Tally::of("fast", &comparisons(&found)).comparisons.is_empty());
        assert_eq!(others(&found).len(), 3);
    }

    #[test]
    fn what_does_not_count_is_left_out() {
        let mut found = section(&[[100.0, 100.0, 80.0, 90.0, 200.0]]);
        found.heading.counts = false;
        assert!(comparisons(std::slice::from_ref(&found)).is_empty());
    }
}
