//! The pages: every link in them that stays in the repository leads somewhere, and one that is called like a test leads to it.

use std::fs;
use std::path::Path;

use super::entries;
use crate::shell::{Outcome, root};

/// Every link, in any page, that leads nowhere.
pub(super) fn broken() -> Outcome<Vec<String>> {
    let root = root();
    let mut broken = Vec::new();
    for folder in [root.clone(), root.join("docs")] {
        for page in entries(&folder)?.iter().filter(|path| is_page(path)) {
            let text = fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
            let name = page.strip_prefix(&root).unwrap_or(page).display();
            let of_page = links(&text).into_iter().filter_map(|link| fault(&link, page, &folder));
            broken.extend(of_page.map(|fault| format!("{name}: {fault}")));
        }
    }
    Ok(broken)
}

#[derive(Debug, PartialEq)]
struct Link<'a> {
    text: &'a str,
    target: &'a str,
}

/// The links of a page, without those to other places of the web and what stands in blocks of code.
fn links(page: &str) -> Vec<Link<'_>> {
    let mut in_code = false;
    let mut links = Vec::new();
    for line in page.lines() {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        if fence || in_code {
            continue;
        }
        for (at, mark) in line.match_indices("](") {
            let (before, after) = (&line[..at], &line[at + mark.len()..]);
            if let (Some((_, text)), Some((target, _))) = (before.rsplit_once('['), after.split_once(')'))
                && !target.contains("://")
                && !target.starts_with("mailto:")
            {
                links.push(Link { text, target });
            }
        }
    }
    links
}

/// What is wrong with a link of this page.
fn fault(link: &Link<'_>, page: &Path, folder: &Path) -> Option<String> {
    let (file, heading) = link.target.split_once('#').unwrap_or((link.target, ""));
    let path = if file.is_empty() { page.to_owned() } else { folder.join(file) };
    if !path.exists() {
        return Some(format!("the link to {file} leads nowhere"));
    }
    let text = || fs::read_to_string(&path).unwrap_or_default();
    if !heading.is_empty()
        && is_page(&path)
        && !text().lines().any(|line| anchor(line) == Some(heading.into()))
    {
        return Some(format!("the link to {} leads to no heading", link.target));
    }
    let test = test_named(link.text)?;
    let defined = text().lines().any(|line| {
        let rest = line.trim_start().split_once("fn ").map(|(_, rest)| rest);
        rest.and_then(|rest| rest.strip_prefix(test)).is_some_and(|rest| rest.starts_with('('))
    });
    (!defined).then(|| format!("there is no {test} in {file}"))
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// The test that a link is called like: one word in code quotes, as tests are named.
fn test_named(text: &str) -> Option<&str> {
    let name = text.strip_prefix('`')?.strip_suffix('`')?;
    let is_name = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    (is_name && name.contains('_')).then_some(name)
}

/// What a heading is linked to by, as the usual viewers of Markdown make it.
fn anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_those_that_stay_here_and_are_no_code() {
        let page = "[a](b.md), [c](https://example.org)\n```rust\n[d](e)\n```\n| [`f_g`](h.rs#i) | x |\n";
        let expected = [Link { text: "a", target: "b.md" }, Link { text: "`f_g`", target: "h.rs#i" }];
        assert_eq!(links(page), expected);
    }

    #[test]
    fn a_link_leads_to_a_file_a_heading_or_a_test() {
        let page = root().join("CONTRIBUTING.md");
        let good = [("x", "README.md"), ("x", "#tests"), ("x", "docs"), ("x", "README.md#a-client")];
        let bad = [("x", "README.txt"), ("x", "#no-such-heading"), ("x", "docs/none.md")];
        let here = "xtask/src/tidy/links.rs";
        let good = good
            .into_iter()
            .chain([("`a_link_leads_to_a_file_a_heading_or_a_test`", here), ("`Link`", here)]);
        let bad = bad.into_iter().chain([("`a_link_leads_to_a_file`", here)]);
        for (text, target) in good {
            assert_eq!(fault(&Link { text, target }, &page, &root()), None);
        }
        for (text, target) in bad {
            assert!(fault(&Link { text, target }, &page, &root()).is_some(), "{text} {target}");
        }
    }
}
