//! What all cells together say: how far ahead of whom, and where not.

use crate::section::{Found, FoundCell};
use wsduo_benches::field::{Contestant, Role};
use wsduo_benches::figures::{chance, geometric_mean};
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
    /// How likely the rounds of two equal servers are to lie as far apart.
    pub(crate) chance: f64,
}

/// What is less likely than this is beyond noise. Among the hundreds of comparisons of a report, some are by chance all the same:
/// the two servers of ours show how many.
pub(crate) const CERTAIN: f64 = 0.01;

/// Where a comparison leaves us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Ahead,
    /// As two equal servers may be.
    Level,
    Behind,
}

impl Comparison {
    pub(crate) fn standing(&self) -> Standing {
        if self.chance >= CERTAIN {
            Standing::Level
        } else if self.ratio < 1.0 {
            Standing::Ahead
        } else {
            Standing::Behind
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
    let counted = found.iter().filter(|section| section.heading.counts);
    let cells = counted.flat_map(|section| section.cells.iter().map(move |cell| (section, cell)));
    cells
        .flat_map(|(section, cell)| {
            (0..section.contestants.len()).filter_map(move |other| compare(section, cell, other))
        })
        .collect()
}

/// Ours beside the contestant at `other` in one cell, if both were measured.
pub(crate) fn compare(section: &Found, cell: &FoundCell, other: usize) -> Option<Comparison> {
    let ours = section.contestants.iter().position(|it| it.role == Role::Ours)?;
    if ours == other { None } else { beside(section, cell, ours, other) }
}

/// The contestant at `one` beside that at `other`.
fn beside(section: &Found, cell: &FoundCell, one: usize, other: usize) -> Option<Comparison> {
    let (ours, theirs) = (cell.findings.get(one)?, cell.findings.get(other)?);
    let contestant = section.contestants.get(other)?;
    Some(Comparison {
        section: section.heading.name.clone(),
        cell: cell.name.clone(),
        other: contestant.name.clone(),
        role: contestant.role,
        ratio: Some(ours.figure(0)? / theirs.figure(0)?).filter(|ratio| ratio.is_finite() && *ratio > 0.0)?,
        chance: chance(ours.rounds(0), theirs.rounds(0)),
    })
}

/// What becomes of the limit where ours is not ahead of a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AtLimit {
    /// It is not ahead of that peer either.
    pub(crate) not_ahead: usize,
    pub(crate) ahead: usize,
    /// It took no part.
    pub(crate) absent: usize,
}

/// How much there was to win at all: no library can be expected where a loop without one is not ahead.
pub(crate) fn at_limit(found: &[Found]) -> AtLimit {
    let mut at_limit = AtLimit::default();
    for section in found.iter().filter(|section| section.heading.counts) {
        let limit = section.contestants.iter().position(|it| it.role == Role::Limit);
        for cell in &section.cells {
            let compared = (0..section.contestants.len())
                .filter_map(|other| Some((other, compare(section, cell, other)?)));
            for (other, _) in
                compared.filter(|(_, it)| it.role == Role::Peer && it.standing() != Standing::Ahead)
            {
                match limit.and_then(|limit| beside(section, cell, limit, other)) {
                    None => at_limit.absent += 1,
                    Some(it) if it.standing() == Standing::Ahead => at_limit.ahead += 1,
                    Some(_) => at_limit.not_ahead += 1,
                }
            }
        }
    }
    at_limit
}

/// How far the two of ours are apart in a cell: 0.03 is 3 %.
pub(crate) fn difference(section: &Found, cell: &FoundCell) -> Option<f64> {
    let again = section.contestants.iter().position(|it| it.role == Role::Again)?;
    let ratio = compare(section, cell, again)?.ratio;
    Some(ratio.max(1.0 / ratio) - 1.0)
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

/// Everybody with whom ours is compared in any section, in order: our second server too.
pub(crate) fn others(found: &[Found]) -> Vec<Contestant> {
    let mut others: Vec<Contestant> = Vec::new();
    let counted = found.iter().filter(|section| section.heading.counts);
    for contestant in counted.flat_map(|section| &section.contestants) {
        if contestant.role != Role::Ours && !others.contains(contestant) {
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

    /// Where the other is furthest ahead beyond noise, or if it never is, where it comes nearest.
    pub(crate) fn worst(&self) -> Option<&'a Comparison> {
        let is_behind = |it: &Comparison| it.standing() == Standing::Behind;
        let closest = self.comparisons.iter().copied();
        closest.max_by(|a, b| is_behind(a).cmp(&is_behind(b)).then(a.ratio.total_cmp(&b.ratio)))
    }

    pub(crate) fn count(&self, standing: Standing) -> usize {
        self.comparisons.iter().filter(|comparison| comparison.standing() == standing).count()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::section::Heading;

    /// A section of ours, ours again, the limit and two peers, with a cell for each row: five rounds of each, up to 2 % off.
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
                Finding::Measured(vec![[0.98, 1.02, 1.0, 1.01, 0.99].map(|round| round * figure).to_vec()])
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
        let mut found = [section(&[[100.0, 101.0, 1.0, 60.0, 400.0], [100.0, 101.0, 1.0, 80.0, 400.0]])];
        found[0].cells[0].findings[3] = Finding::Measured(vec![vec![60.0, 50.0, 300.0, 200.0, 55.0]]);
        assert_eq!(Tally::of("fast", &comparisons(&found)).worst().unwrap().cell, "cell 1");
    }

    #[test]
    fn as_two_equal_servers_may_be_is_level() {
        let found = [section(&[[100.0, 101.0, 1.0, 103.0, 97.0], [100.0, 101.0, 1.0, 105.0, 95.0]])];
        let comparisons = comparisons(&found);
        let standings = |name| {
            Tally::of(name, &comparisons).comparisons.iter().map(|it| it.standing()).collect::<Vec<_>>()
        };
        assert_eq!(standings("wsduo again"), [Standing::Level, Standing::Level]);
        assert_eq!(standings("fast"), [Standing::Level, Standing::Ahead]);
        assert_eq!(standings("slow"), [Standing::Level, Standing::Behind]);
    }

    #[test]
    fn where_ours_is_not_ahead_the_limit_may_not_be_either() {
        let mut found = section(&[[100.0, 101.0, 99.0, 100.0, 200.0], [100.0, 101.0, 50.0, 100.0, 90.0]]);
        assert_eq!(at_limit(std::slice::from_ref(&found)), AtLimit { not_ahead: 1, ahead: 2, absent: 0 });
        found.cells[1].findings[2] = Finding::Absent("has no TLS".into());
        assert_eq!(at_limit(&[found]), AtLimit { not_ahead: 1, ahead: 0, absent: 2 });
    }

    #[test]
    fn who_fails_is_listed_and_not_compared() {
        let found = [section(&[[100.0, 100.0, 80.0, -1.0, 200.0]])];
        assert_eq!(
            failures(&found),
            [Failure { place: "echo: cell 0".into(), who: "fast".into(), why: "crashed".into() }]
        );
        assert!(Tally::of("fast", &comparisons(&found)).comparisons.is_empty());
        assert_eq!(others(&found).len(), 4);
    }

    #[test]
    fn what_does_not_count_is_left_out() {
        let mut found = section(&[[100.0, 100.0, 80.0, 90.0, 200.0]]);
        found.heading.counts = false;
        assert!(comparisons(std::slice::from_ref(&found)).is_empty());
    }
}
