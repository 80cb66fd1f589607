//! The pages that name tests: every test that they name exists.

use std::fs;

use super::SourceFile;
use crate::shell::{Outcome, root};

/// Pages whose tables have a last column of tests.
const PAGES: [&str; 2] = ["THREATS.md", "docs/faults.md"];

/// Modules that a page calls by a shorter name.
const SHORT: [(&str, &str); 1] = [("namespaces", "network_namespaces")];

/// Every name of a test, in any page, that leads nowhere.
pub(super) fn broken(sources: &[SourceFile]) -> Outcome<Vec<String>> {
    let mut broken = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(root().join(page)).map_err(|error| format!("{page}: {error}"))?;
        let missing = names(&text).filter(|name| !exists(name, sources));
        broken.extend(missing.map(|name| format!("{page} names the test {name}, which does not exist")));
    }
    Ok(broken)
}

/// What stands in code quotes in the last column of tables, as far as it looks like a test, a module or a file.
fn names(page: &str) -> impl Iterator<Item = &str> {
    let rows = page.lines().filter_map(|line| line.strip_prefix('|')?.trim_end().strip_suffix('|'));
    let cells = rows.filter_map(|row| row.rsplit('|').next());
    let quoted = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    quoted.filter(|word| {
        word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':' | b'/' | b'.'))
    })
}

fn exists(name: &str, sources: &[SourceFile]) -> bool {
    if name.ends_with(".rs") {
        return sources.iter().any(|source| source.path.ends_with(name));
    }
    let (module, test) = match name.rsplit_once("::") {
        Some((module, test)) => (module.rsplit("::").next(), test),
        None => (None, name),
    };
    let module = module
        .map(|module| SHORT.iter().find(|(short, _)| *short == module).map_or(module, |(_, long)| long));
    let is_of = |source: &SourceFile, module: &str| {
        source.path.ends_with(&format!("/{module}.rs")) || source.path.contains(&format!("/{module}/"))
    };
    let defined = format!("fn {test}(");
    match module {
        Some(module) => sources.iter().any(|source| is_of(source, module) && source.text.contains(&defined)),
        None => sources.iter().any(|source| is_of(source, test) || source.text.contains(&defined)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_found_by_its_name_and_module() {
        let sources = [SourceFile {
            path: "crates/wsduo/tests/it/closing.rs".into(),
            text: "async fn closed_by_us() {}".into(),
        }];
        let found = [
            "closing",
            "closing::closed_by_us",
            "closed_by_us",
            "it::closing::closed_by_us",
            "it/closing.rs",
        ];
        for name in found {
            assert!(exists(name, &sources), "{name}");
        }
        for name in ["opening", "closing::closed_by", "limits::closed_by_us", "it/opening.rs"] {
            assert!(!exists(name, &sources), "{name}");
        }
    }

    #[test]
    fn names_stand_in_the_last_column() {
        let page = "A `word_elsewhere`.\n| `a_first` | x | `a::b_c`, `d`, `EINTR` |\n";
        assert_eq!(names(page).collect::<Vec<_>>(), ["a::b_c", "d"]);
    }
}
