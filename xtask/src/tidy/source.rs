//! Rules about the text of source files.

use super::SourceFile;

/// A file of this size has a second subject.
const LINE_LIMIT: usize = 900;

/// What the core's own code must not name: sockets, files, threads and clocks belong to whoever drives it. Addresses, which
/// are only numbers, are its business.
const NOT_IN_THE_CORE: [&str; 11] = [
    "Instant::now",
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "ToSocketAddrs",
    "UdpSocket",
    "std::env",
    "std::fs",
    "std::os",
    "std::process",
    "std::thread",
];

/// Every rule of this module that `file` breaks.
pub(super) fn broken(file: &SourceFile) -> Vec<String> {
    let path = &file.path;
    let mut broken = Vec::new();
    let lines = file.text.lines().count();
    if lines > LINE_LIMIT {
        broken.push(format!(
            "{path} has {lines} lines, {LINE_LIMIT} are allowed: split off its second subject"
        ));
    }
    if !file.text.starts_with("//!") {
        broken.push(format!(
            "{path} does not begin with a module doc (`//!`): what it knows, what it leaves to others"
        ));
    }
    if path.starts_with("crates/proto/src/") && !path.ends_with("/tests.rs") && !path.contains("/tests/") {
        let named = named_in(&file.text);
        broken.extend(
            named.map(|name| format!("{path} names {name}: the core has no clock, socket, file or thread")),
        );
    }
    broken
}

/// Which of [`NOT_IN_THE_CORE`] the code in `text` names. Comments are not code, nor are the tests at the end of a file.
fn named_in(text: &str) -> impl Iterator<Item = &'static str> {
    let code: String = text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .filter_map(|line| line.split("//").next())
        .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()))
        .collect();
    let grouped = grouped_imports(&code);
    NOT_IN_THE_CORE
        .into_iter()
        .filter(move |name| code.contains(name) || grouped.iter().any(|path| path == name))
}

/// `std::{net::TcpStream, time}` as `std::net` and `std::time`. `code` has no white space.
fn grouped_imports(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for group in code.split("std::{").skip(1) {
        let mut depth = 0;
        let mut first = String::new();
        for c in group.chars() {
            match c {
                '}' if depth == 0 => break,
                ',' if depth == 0 => paths.push(format!("std::{}", std::mem::take(&mut first))),
                '{' => depth += 1,
                '}' => depth -= 1,
                _ if depth == 0 => first.push(c),
                _ => {}
            }
        }
        paths.push(format!("std::{first}"));
    }
    for path in &mut paths {
        let end = path.match_indices("::").nth(1).map_or(path.len(), |(at, _)| at);
        path.truncate(end);
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let file = SourceFile { path: path.into(), text: text.into() };
        let broken = broken(&file);
        assert_eq!(broken.len(), expected.len(), "{broken:?}");
        for (broken, expected) in broken.iter().zip(expected) {
            assert!(broken.contains(expected), "{broken}");
        }
    }

    #[test]
    fn a_file_says_what_it_is_first() {
        check("crates/cli/src/main.rs", "//! The command.\nfn main() {}", &[]);
        check("crates/cli/src/main.rs", "use std::fs;\n//! The command.", &["module doc"]);
    }

    #[test]
    fn a_file_has_one_subject() {
        check("xtask/src/main.rs", &"//!\n".repeat(900), &[]);
        check("xtask/src/main.rs", &"//!\n".repeat(901), &["901 lines"]);
    }

    #[test]
    fn the_core_has_no_clock_and_no_socket() {
        let core = "crates/proto/src/connection.rs";
        check(core, "//! x\nuse std::time::{Duration, Instant};", &[]);
        check(core, "//! x\nlet now = Instant :: now();", &["Instant::now"]);
        check(core, "//! x\nuse std::{collections::{BTreeMap, VecDeque}, net::TcpStream};", &["TcpStream"]);
        check(core, "//! x\nuse std::net::Ipv6Addr;", &[]);
        check(core, "//! x\nuse std::{thread, time::SystemTime};", &["SystemTime", "std::thread"]);
        check("crates/wsduo/src/lib.rs", "//! x\nuse std::net::TcpStream;", &[]);
    }

    #[test]
    fn comments_and_tests_of_the_core_may_speak_of_clocks() {
        let core = "crates/proto/src/connection.rs";
        check(core, "//! Runs over std::net too.\n/// Not Instant::now.\nfn f() {} // std::fs", &[]);
        check(core, "//! x\n#[cfg(test)]\nmod tests { fn f() { Instant::now(); } }", &[]);
        check("crates/proto/src/connection/tests.rs", "//! x\nlet begin = Instant::now();", &[]);
    }
}
