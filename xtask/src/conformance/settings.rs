//! `settings.json`: what is run, and what is left out with the reason.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::Set;
use crate::shell::{Outcome, root};

/// The contents of `settings.json`.
#[derive(Debug)]
pub(super) struct Settings {
    /// Version of kosoku to install.
    pub(super) kosoku: String,
    pub(super) excluded: Vec<Excluded>,
    sets: Value,
}

/// Cases that are not run in any set.
#[derive(Debug)]
pub(super) struct Excluded {
    /// Patterns such as `12.*`.
    pub(super) cases: Vec<String>,
    pub(super) reason: String,
}

/// Where settings and stored results are.
pub(super) fn folder() -> PathBuf {
    root().join("crates/wsduo/tests/conformance")
}

impl Settings {
    pub(super) fn read() -> Outcome<Self> {
        let path = folder().join("settings.json");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Outcome<Self> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let kosoku = value["kosoku"].as_str().ok_or("`kosoku` must be a version")?.into();
        let excluded = value["excluded"].as_array().ok_or("`excluded` must be a list")?;
        let excluded = excluded.iter().map(Excluded::parse).collect::<Outcome<_>>()?;
        let settings = Self { kosoku, excluded, sets: value["sets"].clone() };
        for set in [Set::Fast, Set::Medium, Set::Whole] {
            patterns(&settings.sets[set.name()]).map_err(|error| format!("set `{}`: {error}", set.name()))?;
        }
        Ok(settings)
    }

    /// Every pattern that a run of `set` leaves out.
    pub(super) fn exclude(&self, set: Set) -> Vec<String> {
        let always = self.excluded.iter().flat_map(|excluded| excluded.cases.clone());
        always.chain(patterns(&self.sets[set.name()]).unwrap_or_default()).collect()
    }
}

impl Excluded {
    fn parse(value: &Value) -> Outcome<Self> {
        let reason = value["reason"].as_str().filter(|reason| !reason.is_empty());
        let reason = reason.ok_or("each entry of `excluded` must have a `reason`")?.into();
        Ok(Self { cases: patterns(&value["cases"])?, reason })
    }
}

fn patterns(value: &Value) -> Outcome<Vec<String>> {
    let list = value.as_array().ok_or("must be a list of case patterns")?;
    list.iter().map(|one| one.as_str().map(String::from).ok_or("a pattern must be a string".into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_repository_can_be_read() {
        let settings = Settings::read().unwrap();
        assert!(settings.exclude(Set::Fast).contains(&"9.*".into()));
        assert!(!settings.exclude(Set::Whole).contains(&"9.*".into()));
    }

    #[test]
    fn no_exclusion_without_a_reason() {
        let text = r#"{"kosoku": "1", "excluded": [{"cases": ["1.*"], "reason": ""}], "sets": {}}"#;
        assert!(Settings::parse(text).unwrap_err().contains("reason"));
    }
}
