//! What came of each case: reading a runner's report, judging it, and the table kept in the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Role, settings};
use crate::shell::Outcome;

/// `12.1.3`, in the order of its numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Case(Vec<u32>);

impl Case {
    fn parse(text: &str) -> Outcome<Self> {
        let numbers = text.split('.').map(str::parse).collect::<Result<_, _>>();
        numbers.map(Self).map_err(|_| format!("`{text}` is no case"))
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// A runner's two words on a case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    behaviour: String,
    close: String,
}

impl Verdict {
    /// NON-STRICT is not fine: we promise the strict reading.
    fn is_fine(&self) -> bool {
        [&self.behaviour, &self.close].into_iter().all(|word| word == "OK" || word == "INFORMATIONAL")
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, close {}", self.behaviour, self.close)
    }
}

/// A run: what was to be run, and what came of it.
#[derive(Debug)]
pub(super) struct Verdicts {
    expected: BTreeSet<Case>,
    verdicts: BTreeMap<Case, Verdict>,
}

/// A table kept in the repository.
#[derive(Debug, Default)]
pub(super) struct Stored(BTreeMap<Case, Verdict>);

impl Verdicts {
    /// Reads `expected.json` and `index.json` in `report`. A runner that died early leaves no second file.
    pub(super) fn read(report: &Path) -> Outcome<Self> {
        let expected = fs::read_to_string(report.join("expected.json"));
        let expected = expected.map_err(|_| "the runner did not get as far as choosing cases")?;
        let index = fs::read_to_string(report.join("index.json")).unwrap_or_else(|_| "{}".into());
        Self::parse(&expected, &index)
    }

    fn parse(expected: &str, index: &str) -> Outcome<Self> {
        let json =
            |text: &str| serde_json::from_str::<Value>(text).map_err(|error| format!("the report: {error}"));
        let mut run = Self { expected: BTreeSet::new(), verdicts: BTreeMap::new() };
        for case in json(expected)?.as_array().into_iter().flatten() {
            run.expected.insert(Case::parse(case.as_str().unwrap_or_default())?);
        }
        // The outer level is the name of the peer.
        for peer in json(index)?.as_object().into_iter().flat_map(|peers| peers.values()) {
            for (case, verdict) in peer.as_object().into_iter().flatten() {
                let word = |key: &str| verdict[key].as_str().unwrap_or("no verdict").to_owned();
                let verdict = Verdict { behaviour: word("behavior"), close: word("behaviorClose") };
                run.verdicts.insert(Case::parse(case)?, verdict);
            }
        }
        Ok(run)
    }

    /// One line for each case that was not run, or is not OK or INFORMATIONAL in behaviour and in close.
    pub(super) fn bad(&self) -> Vec<String> {
        if self.expected.is_empty() {
            return vec!["no case was chosen".into()];
        }
        let judge = |case: &Case| match self.verdicts.get(case) {
            None => Some(format!("{case}: did not run")),
            Some(verdict) if !verdict.is_fine() => Some(format!("{case}: {verdict}")),
            Some(_) => None,
        };
        self.expected.iter().filter_map(judge).collect()
    }

    /// How many cases were run, and how often each word was said.
    pub(super) fn summary(&self) -> String {
        let mut behaviours: BTreeMap<&str, usize> = BTreeMap::new();
        let mut closes: BTreeMap<&str, usize> = BTreeMap::new();
        for verdict in self.verdicts.values() {
            *behaviours.entry(&verdict.behaviour).or_default() += 1;
            *closes.entry(&verdict.close).or_default() += 1;
        }
        let counts = |counts: BTreeMap<&str, usize>| {
            counts.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
        };
        format!(
            "{} of {} cases run: {}; close: {}",
            self.verdicts.len(),
            self.expected.len(),
            counts(behaviours),
            counts(closes)
        )
    }

    /// Cases whose verdict is not the stored one, both ways: what got better must be stored.
    pub(super) fn changes(&self, stored: &Stored) -> Vec<String> {
        let changed = |(case, verdict): (&Case, &Verdict)| {
            let before = stored.0.get(case)?;
            (before != verdict).then(|| format!("{case}: {verdict}; stored: {before}"))
        };
        self.verdicts.iter().filter_map(changed).collect()
    }

    /// Writes the table of `role`.
    pub(super) fn store(&self, role: Role, runner: &str) -> Outcome {
        let path = stored_path(role);
        fs::write(&path, self.table(role, runner)).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn table(&self, role: Role, runner: &str) -> String {
        let mut table = format!(
            "# Written by `cargo xtask conformance {} --whole --store`, with {runner}: case, behaviour, close.\n",
            role.name()
        );
        for (case, verdict) in &self.verdicts {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{case}\t{}\t{}", verdict.behaviour, verdict.close);
        }
        table
    }
}

/// The stored table of `role`; empty if there is none yet.
pub(super) fn stored(role: Role) -> Outcome<Stored> {
    match fs::read_to_string(stored_path(role)) {
        Ok(text) => parse_table(&text),
        Err(_) => Ok(Stored::default()),
    }
}

fn stored_path(role: Role) -> PathBuf {
    settings::folder().join(format!("results-{}.tsv", role.name()))
}

fn parse_table(text: &str) -> Outcome<Stored> {
    let mut stored = Stored::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [case, behaviour, close] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("stored results: cannot make sense of `{line}`"));
        };
        let verdict = Verdict { behaviour: behaviour.into(), close: close.into() };
        stored.0.insert(Case::parse(case)?, verdict);
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(verdicts: &[(&str, &str, &str)]) -> Verdicts {
        let cases: serde_json::Map<String, Value> = verdicts
            .iter()
            .map(|(case, behaviour, close)| {
                ((*case).into(), serde_json::json!({"behavior": behaviour, "behaviorClose": close}))
            })
            .collect();
        let index = serde_json::json!({ "wsduo": cases });
        Verdicts::parse(r#"["1.1.1", "1.1.2", "10.1.1"]"#, &index.to_string()).unwrap()
    }

    #[test]
    fn only_ok_and_informational_pass_in_both_columns() {
        let good = run(&[
            ("1.1.1", "OK", "OK"),
            ("1.1.2", "INFORMATIONAL", "OK"),
            ("10.1.1", "OK", "INFORMATIONAL"),
        ]);
        assert!(good.bad().is_empty(), "{:?}", good.bad());
        let bad =
            run(&[("1.1.1", "NON-STRICT", "OK"), ("1.1.2", "OK", "UNCLEAN"), ("10.1.1", "FAILED", "OK")]);
        assert_eq!(bad.bad().len(), 3);
    }

    #[test]
    fn a_case_that_did_not_run_is_bad() {
        assert_eq!(run(&[("1.1.1", "OK", "OK"), ("1.1.2", "OK", "OK")]).bad(), ["10.1.1: did not run"]);
        assert_eq!(Verdicts::parse("[]", "{}").unwrap().bad(), ["no case was chosen"]);
    }

    #[test]
    fn the_table_is_in_the_order_of_numbers_and_can_be_read_back() {
        let run = run(&[("10.1.1", "OK", "OK"), ("1.1.2", "OK", "OK"), ("1.1.1", "OK", "INFORMATIONAL")]);
        let table = run.table(Role::Server, "Autobahn");
        let cases: Vec<&str> = table.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(cases, ["1.1.1", "1.1.2", "10.1.1"]);
        assert!(run.changes(&parse_table(&table).unwrap()).is_empty());
    }

    #[test]
    fn a_change_of_verdict_is_told() {
        let stored = parse_table("1.1.1\tOK\tOK\n").unwrap();
        let changes = run(&[("1.1.1", "INFORMATIONAL", "OK")]).changes(&stored);
        assert_eq!(changes, ["1.1.1: INFORMATIONAL, close OK; stored: OK, close OK"]);
    }
}
