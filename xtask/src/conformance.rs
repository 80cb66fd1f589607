//! The Autobahn cases against our examples: `echo_server` as the server, `autobahn_client` as the client.
//!
//! What is run, what is left out and why, and the stored results are in `crates/wsduo/tests/conformance`.

pub(crate) mod peer;
mod runner;
mod settings;
mod verdicts;

use std::fs;
use std::path::PathBuf;

use crate::examples;
use crate::shell::{Outcome, target_directory};
use settings::Settings;
use verdicts::Verdicts;

pub(crate) use runner::Runner;

/// What to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) roles: Vec<Role>,
    pub(crate) set: Set,
    pub(crate) runner: Runner,
    /// Whether to keep the results in the repository.
    pub(crate) store: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            roles: vec![Role::Server, Role::Client],
            set: Set::Fast,
            runner: Runner::Autobahn,
            store: false,
        }
    }
}

/// What we are in a run; the suite is the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// How much of the suite; `settings.json` has what each leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// About ten seconds.
    Fast,
    /// A minute or two.
    Medium,
    /// Half an hour, once nothing is excluded any more.
    Whole,
}

impl Set {
    fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Whole => "whole",
        }
    }

    /// Our side. A set that is through in minutes takes what the tests have built: its assertions are checks too, and a release
    /// build takes longer than it saves.
    fn example(self, name: &str) -> Outcome<PathBuf> {
        match self {
            Self::Fast | Self::Medium => examples::development(name),
            Self::Whole => examples::release(name),
        }
    }
}

/// Runs what `plan` says; anything but OK or INFORMATIONAL, in behaviour or in close, is an error.
pub(crate) fn run(plan: &Plan) -> Outcome {
    let settings = Settings::read()?;
    for excluded in &settings.excluded {
        println!("excluded: {} ({})", excluded.cases.join(" "), excluded.reason);
    }
    let installed = runner::install(plan.runner, &settings)?;
    if plan.store && installed.name() != "Autobahn" {
        return Err("results to store come from the suite itself, not from kosoku".into());
    }
    // A failure in one role does not hide the other.
    let failed: Vec<String> =
        plan.roles.iter().filter_map(|role| run_role(plan, *role, &settings, &installed).err()).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

fn run_role(plan: &Plan, role: Role, settings: &Settings, runner: &runner::Installed) -> Outcome {
    let report = target_directory()?.join("conformance-reports").join(role.name());
    // Whatever lies there is of an earlier run.
    let _ = fs::remove_dir_all(&report);
    fs::create_dir_all(&report).map_err(|error| format!("{}: {error}", report.display()))?;
    let exclude = settings.exclude(plan.set);
    let ran = match role {
        Role::Server => {
            let server = peer::EchoServer::start(&plan.set.example("echo_server")?)?;
            runner.against_server(&server.url, &report, &exclude)
        }
        Role::Client => runner.against_client(&plan.set.example("autobahn_client")?, &report, &exclude),
    };
    // The verdicts tell more than the runner's exit status, so they come first, where there are any.
    let verdicts = match (Verdicts::read(&report), ran) {
        (Ok(verdicts), _) => verdicts,
        (Err(_), Err(error)) | (Err(error), Ok(())) => {
            return Err(format!("{error}; see {}", report.display()));
        }
    };
    println!("conformance {}, {}: {}", role.name(), plan.set.name(), verdicts.summary());
    for change in verdicts.changes(&verdicts::stored(role)?) {
        println!("  not as stored: {change}");
    }
    if plan.store {
        verdicts.store(role, runner.name())?;
    }
    let bad = verdicts.bad();
    if bad.is_empty() {
        return Ok(());
    }
    Err(format!(
        "as a {}, {} cases fail:\n  {}\nreports: {}",
        role.name(),
        bad.len(),
        bad.join("\n  "),
        report.display()
    ))
}
