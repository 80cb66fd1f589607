//! The programs that run the cases: the Autobahn suite by the harness beside the checkout, or kosoku.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Settings;
use crate::packages;
use crate::shell::{Outcome, command, root, run, target_directory};

/// Names a harness elsewhere than in `../shared/conformance`.
const HARNESS_VARIABLE: &str = "WSDUO_CONFORMANCE_HARNESS";

/// Where the harness installs the suite; it reads the same variable.
const SUITE_VARIABLE: &str = "CONFORMANCE_DIR";

/// Which runner is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// The suite itself where its harness is at hand, and kosoku where not.
    Autobahn,
    Kosoku,
}

/// A runner that is ready.
#[derive(Debug)]
pub(super) enum Installed {
    Autobahn { harness: PathBuf, suite: PathBuf },
    Kosoku { python: PathBuf },
}

/// Installs what is missing, in folders of our own.
pub(super) fn install(runner: Runner, settings: &Settings) -> Outcome<Installed> {
    match (runner, harness()) {
        (Runner::Autobahn, Some(harness)) => install_autobahn(harness),
        (Runner::Autobahn, None) => {
            println!(
                "no harness of the Autobahn suite in ../shared/conformance: using kosoku from PyPI instead"
            );
            install_kosoku(&settings.kosoku)
        }
        (Runner::Kosoku, _) => install_kosoku(&settings.kosoku),
    }
}

fn harness() -> Option<PathBuf> {
    let named = std::env::var_os(HARNESS_VARIABLE).map(PathBuf::from);
    let harness = named.unwrap_or_else(|| root().join("../shared/conformance"));
    harness.join("setup.sh").is_file().then_some(harness)
}

fn install_autobahn(harness: PathBuf) -> Outcome<Installed> {
    let suite = match std::env::var_os(SUITE_VARIABLE) {
        Some(folder) => PathBuf::from(folder),
        None => target_directory()?.join("conformance"),
    };
    // What is installed already is kept, so this is quick from the second time on.
    run(command("bash").arg(harness.join("setup.sh")).arg(&suite).arg("--no-browser"))?;
    Ok(Installed::Autobahn { harness, suite })
}

fn install_kosoku(version: &str) -> Outcome<Installed> {
    let python = packages::python(&target_directory()?, &[&format!("kosoku=={version}")])?;
    Ok(Installed::Kosoku { python })
}

impl Installed {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Autobahn { .. } => "Autobahn",
            Self::Kosoku { .. } => "kosoku",
        }
    }

    /// Runs the cases against a server; `expected.json` and `index.json` in `report` tell what came of them.
    pub(super) fn against_server(&self, url: &str, report: &Path, exclude: &[String]) -> Outcome {
        let mut command = match self {
            Self::Autobahn { harness, suite } => autobahn(&harness.join("server.sh"), suite),
            Self::Kosoku { python } => kosoku(python, "server"),
        };
        run(excluding(command.arg(url).arg(report), exclude))
    }

    /// As [`against_server`](Self::against_server), with `program` as the client.
    pub(super) fn against_client(&self, program: &Path, report: &Path, exclude: &[String]) -> Outcome {
        let mut command = match self {
            Self::Autobahn { harness, suite } => {
                let mut command = autobahn(&harness.join("client.sh"), suite);
                command.arg(format!("{} {{base}}", quoted(&program.to_string_lossy())));
                command
            }
            Self::Kosoku { python } => {
                let mut command = kosoku(python, "client");
                command.arg(program);
                command
            }
        };
        run(excluding(command.arg(report), exclude))
    }
}

fn autobahn(script: &Path, suite: &Path) -> Command {
    let mut command = command("bash");
    command.arg(script).env(SUITE_VARIABLE, suite);
    command
}

fn kosoku(python: &Path, role: &str) -> Command {
    let mut command = command(python);
    command.arg(root().join("xtask/conformance/run_kosoku.py")).arg(role);
    command
}

fn excluding<'a>(command: &'a mut Command, patterns: &[String]) -> &'a mut Command {
    for pattern in patterns {
        command.args(["--exclude", pattern]);
    }
    command
}

/// `text` as one word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }
}
