//! Where and when a run was made, and of what.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;
use wsduo_benches::field::{package, peers};
use wsduo_benches::processors;

/// What a reader needs to judge a run, in the order of the report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// What was typed.
    pub(crate) command: String,
    list: Vec<(String, String)>,
}

impl Facts {
    /// Of a run that is about to begin, with sources at `root`.
    pub(crate) fn gather(command: String, root: &Path) -> Self {
        let mut facts = Self { command, list: Vec::new() };
        facts.add("date", humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
        facts.add("commit", commit(root));
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        facts.add("processor", format!("{cores} × {}", processor()));
        facts.add("placement", processors::describe());
        facts.add("kernel", first_line("/proc/sys/kernel/osrelease"));
        facts.add("compiler", said_by(Command::new("rustc").arg("--version")));
        let lock = fs::read_to_string(root.join("benches/peers/Cargo.lock")).unwrap_or_default();
        let version = |name| Some(format!("{0} {1}", package(name), locked(&lock, package(name))?));
        facts.add("peers", peers().filter_map(version).collect::<Vec<_>>().join(", "));
        facts.add("load before", load_average());
        facts
    }

    pub(crate) fn add(&mut self, name: &str, value: String) {
        self.list.push((name.to_owned(), value));
    }

    /// What else the machine did by the end.
    pub(crate) fn finish(&mut self) {
        self.add("load after", load_average());
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.iter().try_for_each(|(name, value)| writeln!(f, "- {name}: {value}"))
    }
}

/// Runnable processes on average over one minute, this measurement's two among them.
fn load_average() -> String {
    first_line("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()
}

fn commit(root: &Path) -> String {
    let git = |arguments: &[&str]| said_by(Command::new("git").arg("-C").arg(root).args(arguments));
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"]).is_empty();
    git(&["rev-parse", "--short=12", "HEAD"]) + if changed { ", with changes" } else { "" }
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or("unknown", |(_, name)| name.trim()).to_owned()
}

fn first_line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().lines().next().unwrap_or("unknown").to_owned()
}

/// The standard output of `command`; nothing if it fails, which is no reason not to measure.
fn said_by(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// The version of package `name` in a lock file.
fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let wanted = format!("name = \"{name}\"");
    let mut lines = lock.lines().skip_while(|line| *line != wanted).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"wtx-macros\"\nversion = \"9.0.0\"\n\n[[package]]\nname = \"wtx\"\nversion = \"0.35.1\"\n";
        assert_eq!(locked(lock, "wtx"), Some("0.35.1"));
        assert_eq!(locked(lock, "yawc"), None);
    }

    #[test]
    fn every_peer_is_in_the_lock_file() {
        let lock = include_str!("../../../peers/Cargo.lock");
        for name in peers() {
            assert!(locked(lock, package(name)).is_some(), "{name}");
        }
    }
}
