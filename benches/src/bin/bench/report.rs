//! The report in Markdown.

use crate::facts::Facts;
use crate::section::{Found, FoundCell, Heading};
use crate::summary::{
    AtLimit, Comparison, Standing, Tally, at_limit, compare, comparisons, difference, failures, others,
};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use wsduo_benches::field::{Contestant, Role};
use wsduo_benches::figures::{median, shown};
use wsduo_benches::markdown::Table;
use wsduo_benches::turns::Finding;

/// A whole run, as it is kept in a file to be drawn again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) facts: Facts,
    pub(crate) sections: Vec<Found>,
}

impl Run {
    /// The report, with charts at these places.
    pub(crate) fn markdown(&self, chart: &str, scaling: &str) -> String {
        let mut out = format!(
            "# Benchmarks\n\nWritten by `{}`. How it is measured, and how it can mislead: `benches/README.md`.\n\n{}\n",
            self.facts.command, self.facts
        );
        out += &format!(
            "{}\n![CPU time per message]({chart})\n\n![Cost per message as loads grow]({scaling})\n",
            self.summary()
        );
        for section in &self.sections {
            out += &of_section(section);
        }
        out
    }

    /// What there is to say of all cells together.
    pub(crate) fn summary(&self) -> String {
        let comparisons = comparisons(&self.sections);
        let mut out = "## Summary\n\nCost of wsduo over cost of the other: below 1, wsduo is ahead. Cost is server CPU per message, or memory per \
                       idle connection. *Level* is what two equal servers may be: their rounds lie as these do with a chance of 1 in 100 or \
                       more (Mann-Whitney test). *wsduo again* is a second server of the same kind, so what it is ahead or \
                       behind is chance.\n\n"
            .to_owned();
        out += &overall(&others(&self.sections), &comparisons, &self.sections);
        out += "\nGeometric mean of each section:\n\n";
        out += &by_section(&others(&self.sections), &comparisons, &self.sections);
        out += &not_ahead(&comparisons, at_limit(&self.sections));
        out += &failed(&self.sections);
        out += &noise(&self.sections);
        out
    }
}

fn overall(others: &[Contestant], comparisons: &[Comparison], sections: &[Found]) -> String {
    let failures = failures(sections);
    let head = [
        "wsduo over",
        "cells",
        "geometric mean",
        "worst",
        "worst cell",
        "ahead",
        "level",
        "behind",
        "failed",
    ];
    let mut table = Table::new(&head);
    for other in others {
        let tally = Tally::of(&other.name, comparisons);
        let worst = tally.worst();
        table.row([
            other.name.clone(),
            tally.comparisons.len().to_string(),
            ratio(tally.mean()),
            worst.map_or("–".to_owned(), |worst| ratio(worst.ratio)),
            worst.map_or("–".to_owned(), |worst| format!("{}: {}", worst.section, worst.cell)),
            tally.count(Standing::Ahead).to_string(),
            tally.count(Standing::Level).to_string(),
            tally.count(Standing::Behind).to_string(),
            failures.iter().filter(|failure| failure.who == other.name).count().to_string(),
        ]);
    }
    table.to_string()
}

fn by_section(others: &[Contestant], comparisons: &[Comparison], sections: &[Found]) -> String {
    let names: Vec<&str> =
        sections.iter().filter(|it| it.heading.counts).map(|it| it.heading.name.as_str()).collect();
    let mut table = Table::new(&[["wsduo over"].as_slice(), &names].concat());
    for other in others {
        let tally = Tally::of(&other.name, comparisons);
        let means = names.iter().map(|name| ratio(tally.within(name).mean()));
        table.row([other.name.clone()].into_iter().chain(means));
    }
    table.to_string()
}

/// All cells in which a peer is level or ahead.
fn not_ahead(comparisons: &[Comparison], at_limit: AtLimit) -> String {
    let mut rows: Vec<&Comparison> =
        comparisons.iter().filter(|it| it.role == Role::Peer && it.standing() != Standing::Ahead).collect();
    if rows.is_empty() {
        return "\nwsduo is ahead of every peer beyond noise in every cell.\n".to_owned();
    }
    rows.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    let mut table = Table::new(&["not ahead of", "section", "cell", "wsduo / it", "chance", "so"]);
    for it in &rows {
        let so = if it.standing() == Standing::Behind { "behind" } else { "level" };
        table.row([
            it.other.clone(),
            it.section.clone(),
            it.cell.clone(),
            ratio(it.ratio),
            percent(it.chance),
            so.to_owned(),
        ]);
    }
    let peers = comparisons.iter().filter(|it| it.role == Role::Peer).count();
    let AtLimit { not_ahead, ahead, absent } = at_limit;
    format!(
        "\nNot ahead of a peer beyond noise in {} of {peers} comparisons. The bare loop, which is no library at all, is not ahead of that \
         peer either in {not_ahead} of them; in {ahead} it is, and in {absent} it was not measured.\n\n{table}",
        rows.len()
    )
}

fn failed(sections: &[Found]) -> String {
    let failures = failures(sections);
    if failures.is_empty() {
        return "\nNothing failed.\n".to_owned();
    }
    let mut out = format!("\n**Failed measurements: {}.**\n\n", failures.len());
    let mut told: Vec<(&str, &str)> = Vec::new();
    for failure in &failures {
        let key = (failure.who.as_str(), failure.why.as_str());
        if told.contains(&key) {
            continue;
        }
        told.push(key);
        let places: Vec<_> = failures
            .iter()
            .filter(|other| (other.who.as_str(), other.why.as_str()) == key)
            .map(|other| other.place.as_str())
            .collect();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "- {}: {} ({})", failure.who, one_line(&failure.why), places.join("; "));
    }
    out
}

fn noise(sections: &[Found]) -> String {
    let cells = sections.iter().flat_map(|section| section.cells.iter().map(move |cell| (section, cell)));
    let differences: Vec<_> =
        cells.filter_map(|(section, cell)| Some((difference(section, cell)?, section, cell))).collect();
    let Some((most, section, cell)) = differences.iter().max_by(|a, b| a.0.total_cmp(&b.0)) else {
        return "\nNoise is unknown: wsduo was not measured twice.\n".to_owned();
    };
    format!(
        "\nTwo equal wsduo servers differed by {} in half of the cells, and by {} at most ({}: {}).\n",
        percent(median(differences.iter().map(|it| it.0))),
        percent(*most),
        section.heading.name,
        cell.name
    )
}

fn of_section(section: &Found) -> String {
    let Heading { title, about, figures, .. } = &section.heading;
    let first = figures.first().map_or("", String::as_str);
    let mut out = format!(
        "\n## {title}\n\n{about}\n\n{first} of wsduo, and how many times that the others take (**bold**: less, beyond noise):\n\n"
    );
    out += &matrix(section);
    let absent = absences(section);
    if !absent.is_empty() {
        let _ = writeln!(out, "\nNot measured: {}.", absent.join("; "));
    }
    if section.heading.figures.len() > 1 {
        let _ = writeln!(
            out,
            "\n<details><summary>All figures, with ratios to wsduo</summary>\n\n{}\n</details>",
            details(section)
        );
    }
    out
}

/// The first figure: a row for each cell, a column for each contestant.
fn matrix(section: &Found) -> String {
    let mut head = vec![
        section.heading.cells.as_str(),
        section.heading.figures.first().map_or("", String::as_str),
        "noise",
    ];
    let ours = section.contestants.iter().position(|it| it.role == Role::Ours);
    let shown_as_columns = |contestant: &&Contestant| !matches!(contestant.role, Role::Ours | Role::Again);
    head.extend(section.contestants.iter().filter(shown_as_columns).map(|it| it.name.as_str()));
    let mut table = Table::new(&head);
    for cell in &section.cells {
        table.row(matrix_row(section, cell, ours));
    }
    table.to_string()
}

fn matrix_row(section: &Found, cell: &FoundCell, ours: Option<usize>) -> Vec<String> {
    let base = ours.and_then(|index| cell.findings.get(index));
    let mut row = vec![
        cell.name.clone(),
        base.map_or("–".to_owned(), |finding| plain(finding, 0)),
        difference(section, cell).map_or("–".to_owned(), percent),
    ];
    for (index, (contestant, finding)) in section.contestants.iter().zip(&cell.findings).enumerate() {
        if matches!(contestant.role, Role::Ours | Role::Again) {
            continue;
        }
        row.push(match (compare(section, cell, index), finding.figure(0)) {
            (Some(it), _) if it.standing() == Standing::Behind => format!("**{}**", ratio(1.0 / it.ratio)),
            (Some(it), _) => ratio(1.0 / it.ratio),
            // Ours failed: what they took is still worth knowing.
            (None, Some(theirs)) => format!("{} (itself)", shown(theirs)),
            (None, None) => plain(finding, 0),
        });
    }
    row
}

/// One line for the terminal, as soon as a cell is measured.
pub(crate) fn line(heading: &Heading, contestants: &[Contestant], cell: &FoundCell) -> String {
    let ours = contestants.iter().position(|it| it.role == Role::Ours);
    let base = ours.and_then(|index| cell.findings.get(index)?.figure(0));
    let mut out = format!("{} | {} |", heading.name, cell.name);
    for (contestant, finding) in contestants.iter().zip(&cell.findings) {
        let figure = match (finding, finding.figure(0), base) {
            (_, Some(theirs), Some(ours)) if contestant.role != Role::Ours => ratio(theirs / ours),
            (Finding::Failed(why), ..) => format!("FAILED: {}", one_line(why)),
            _ => plain(finding, 0),
        };
        let _ = write!(out, " {} {figure},", contestant.name);
    }
    out.trim_end_matches(',').to_owned()
}

/// All figures: a row for each contestant in each cell.
fn details(section: &Found) -> String {
    let figures = &section.heading.figures;
    let mut head = vec![section.heading.cells.as_str(), "server"];
    for figure in figures {
        head.extend([figure.as_str(), "×"]);
    }
    let ours = section.contestants.iter().position(|it| it.role == Role::Ours);
    let mut table = Table::new(&head);
    for cell in &section.cells {
        let base = ours.and_then(|index| cell.findings.get(index));
        for (contestant, finding) in section.contestants.iter().zip(&cell.findings) {
            let mut row = vec![cell.name.clone(), contestant.name.clone()];
            if let Finding::Measured(_) = finding {
                for index in 0..figures.len() {
                    row.push(plain(finding, index));
                    let of_ours = base.and_then(|base| Some(finding.figure(index)? / base.figure(index)?));
                    row.push(of_ours.map_or("–".to_owned(), ratio));
                }
            } else {
                row.push(plain(finding, 0));
                row.resize(head.len(), String::new());
            }
            table.row(row);
        }
    }
    table.to_string()
}

/// Who cannot do what, each once.
fn absences(section: &Found) -> Vec<String> {
    let mut absent: Vec<String> = Vec::new();
    for cell in &section.cells {
        for (contestant, finding) in section.contestants.iter().zip(&cell.findings) {
            if let Finding::Absent(why) = finding {
                let entry = format!("{} {why}", contestant.name);
                if !absent.contains(&entry) {
                    absent.push(entry);
                }
            }
        }
    }
    absent
}

fn plain(finding: &Finding, index: usize) -> String {
    match finding {
        Finding::Measured(_) => finding.figure(index).map_or("–".to_owned(), shown),
        Finding::Failed(why) => format!("failed: {}", one_line(why)),
        Finding::Absent(_) => "–".to_owned(),
    }
}

/// Fit for a cell of a table.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "/")
}

fn ratio(value: f64) -> String {
    match value {
        value if !value.is_finite() => "–".to_owned(),
        ..9.995 => format!("{value:.2}"),
        _ => shown(value),
    }
}

fn percent(value: f64) -> String {
    format!("{:.1} %", value * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::section;

    fn run(rows: &[[f64; 5]]) -> Run {
        Run { facts: Facts::default(), sections: vec![section(rows)] }
    }

    #[test]
    fn a_failure_is_in_the_summary_and_in_the_table() {
        let report = run(&[[100.0, 104.0, 80.0, -1.0, 200.0]]).markdown("a.svg", "b.svg");
        assert!(report.contains("- fast: crashed (echo: cell 0)"), "{report}");
        assert!(report.contains("| failed: crashed |"), "{report}");
        assert!(report.contains("**Failed measurements: 1.**"), "{report}");
        assert!(report.contains("![CPU time per message](a.svg)"), "{report}");
    }

    #[test]
    fn a_failure_of_ours_hides_nobody() {
        let report = run(&[[-1.0, 104.0, 80.0, 90.0, 200.0]]).markdown("a", "b");
        assert!(report.contains("- wsduo: crashed (echo: cell 0)"), "{report}");
        assert!(report.contains("90.0 (itself)") && report.contains("Noise is unknown"), "{report}");
    }

    #[test]
    fn where_we_are_not_ahead_is_said_worst_first() {
        let report = run(&[[100.0, 104.0, 80.0, 101.0, 200.0], [100.0, 104.0, 80.0, 50.0, 200.0]]).summary();
        let rows: Vec<_> =
            report.lines().filter(|line| line.starts_with("| fast") && line.contains("cell")).collect();
        assert!(report.contains("Not ahead of a peer beyond noise in 2 of 4"), "{report}");
        assert!(rows[1].contains("2.00") && rows[1].ends_with("behind |"), "{rows:?}");
        assert!(rows[2].contains("0.99") && rows[2].ends_with("level |"), "{rows:?}");
        assert!(run(&[[100.0, 104.0, 80.0, 150.0, 200.0]]).summary().contains("ahead of every peer"));
    }

    #[test]
    fn a_run_survives_its_file() {
        let run = run(&[[100.0, 104.0, 80.0, -1.0, 200.0]]);
        let again: Run = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
        assert_eq!(again.markdown("a", "b"), run.markdown("a", "b"));
    }
}
