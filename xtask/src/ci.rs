//! Everything that CI checks, cheap steps first; the first failure ends the run and says how to repeat the step.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::conformance::{self, Plan, Role, Set};
use crate::shell::{Outcome, Running, cargo, run, run_within};
use crate::{deny, examples, fuzz, interop, tidy};

/// Building included; the demonstration itself takes a second.
const DEMO_LIMIT: Duration = Duration::from_secs(15 * 60);

struct Step {
    name: &'static str,
    /// What to type to repeat it.
    repeat: &'static str,
    work: Work,
}

enum Work {
    /// Run `repeat` as it is written; it begins with `cargo`, or with variables for it.
    Cargo,
    /// Run `repeat`, show its output and count the tests.
    Tests,
    /// Run `repeat`, but no longer than this.
    CargoWithin(Duration),
    /// Call a command of ours.
    Own(fn() -> Outcome),
}

/// In the order of a run.
const STEPS: &[Step] = &[
    Step { name: "tidy", repeat: "cargo xtask tidy", work: Work::Own(tidy::run) },
    Step {
        name: "dependencies",
        repeat: "cargo deny check bans licenses sources",
        work: Work::Own(deny::run_check),
    },
    Step { name: "format", repeat: "cargo fmt --all --check", work: Work::Cargo },
    Step {
        name: "clippy",
        repeat: "cargo clippy --locked --workspace --all-targets -- -D warnings",
        work: Work::Cargo,
    },
    // Libraries only from here: with its tests, wsduo depends on itself with the default features.
    Step {
        name: "clippy-no-tls",
        repeat: "cargo clippy --locked -p wsduo-proto -p wsduo --no-default-features -- -D warnings",
        work: Work::Cargo,
    },
    Step {
        name: "clippy-ring",
        repeat: "cargo clippy --locked -p wsduo --no-default-features --features ring -- -D warnings",
        work: Work::Cargo,
    },
    Step {
        name: "clippy-hyper",
        repeat: "cargo clippy --locked -p wsduo --no-default-features --features hyper -- -D warnings",
        work: Work::Cargo,
    },
    Step {
        name: "clippy-axum",
        repeat: "cargo clippy --locked -p wsduo --no-default-features --features axum,ring -- -D warnings",
        work: Work::Cargo,
    },
    Step {
        name: "clippy-tracing",
        repeat: "cargo clippy --locked -p wsduo --no-default-features --features tracing -- -D warnings",
        work: Work::Cargo,
    },
    Step {
        name: "clippy-metrics",
        repeat: "cargo clippy --locked -p wsduo --no-default-features --features metrics -- -D warnings",
        work: Work::Cargo,
    },
    Step {
        name: "docs",
        repeat: "RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps -p wsduo-proto -p wsduo",
        work: Work::Cargo,
    },
    Step {
        name: "docs-all-features",
        repeat: "RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps -p wsduo --all-features",
        work: Work::Cargo,
    },
    // Apart from the command: its documentation would be written over the library's, which has the same name.
    Step {
        name: "docs-private",
        repeat: "RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps --document-private-items --workspace --exclude wsduo-cli",
        work: Work::Cargo,
    },
    Step {
        name: "docs-command",
        repeat: "RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps --document-private-items -p wsduo-cli",
        work: Work::Cargo,
    },
    // A proxy that is not installed is a failure here, and a remark elsewhere.
    Step { name: "test", repeat: "WSDUO_REAL_PROXIES=1 cargo test --workspace", work: Work::Tests },
    Step { name: "examples", repeat: "cargo xtask ci examples", work: Work::Own(examples::run_all) },
    Step { name: "demo", repeat: "cargo run --release -- demo", work: Work::CargoWithin(DEMO_LIMIT) },
    Step {
        name: "conformance-server",
        repeat: "cargo xtask conformance server --medium",
        work: Work::Own(|| {
            conformance::run(&Plan { roles: vec![Role::Server], set: Set::Medium, ..Plan::default() })
        }),
    },
    Step {
        name: "conformance-client",
        repeat: "cargo xtask conformance client --medium",
        work: Work::Own(|| {
            conformance::run(&Plan { roles: vec![Role::Client], set: Set::Medium, ..Plan::default() })
        }),
    },
    Step { name: "interop", repeat: "cargo xtask interop --mib 8", work: Work::Own(|| interop::run_all(8)) },
    Step {
        name: "fuzz",
        repeat: "cargo xtask fuzz --seconds 8",
        work: Work::Own(|| fuzz::run_targets(8, &[])),
    },
];

/// Prints the steps and what to type for each.
pub(crate) fn list() {
    for step in STEPS {
        println!("{:<20}{}", step.name, step.repeat);
    }
}

/// Runs the steps called `names`, or all of them.
pub(crate) fn run_steps(names: &[&str]) -> Outcome {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        return Err(format!("no step is called `{unknown}`; see `cargo xtask ci --list`"));
    }
    let chosen: Vec<&Step> =
        STEPS.iter().filter(|step| names.is_empty() || names.contains(&step.name)).collect();
    let mut tests = Tests::default();
    let mut times = Vec::new();
    for (index, step) in chosen.iter().enumerate() {
        println!("\n== {}/{} {}: {}", index + 1, chosen.len(), step.name, step.repeat);
        let begin = Instant::now();
        let outcome = step.perform(&mut tests);
        let seconds = begin.elapsed().as_secs_f64();
        if let Err(error) = outcome {
            return Err(format!(
                "step {} failed after {seconds:.1} s: {error}\nto repeat it: {}",
                step.name, step.repeat
            ));
        }
        println!("== {}: ok, {seconds:.1} s", step.name);
        times.push((step.name, seconds));
    }
    println!();
    for (name, seconds) in &times {
        println!("{name:<20}{seconds:>8.1} s");
    }
    println!("{:<20}{:>8.1} s", "all", times.iter().map(|(_, seconds)| seconds).sum::<f64>());
    if tests != Tests::default() {
        println!("{} passed, {} failed, {} skipped", tests.passed, tests.failed, tests.ignored);
    }
    Ok(())
}

impl Step {
    fn perform(&self, tests: &mut Tests) -> Outcome {
        match self.work {
            Work::Cargo => run(&mut self.command()),
            Work::CargoWithin(limit) => run_within(&mut self.command(), limit),
            Work::Tests => run_tests(&mut self.command(), tests),
            Work::Own(work) => work(),
        }
    }

    /// `repeat` as a command. The words of the table above hold no quotes, so spaces are all there is to it.
    fn command(&self) -> Command {
        let mut command = cargo();
        for word in self.repeat.split(' ') {
            match word.split_once('=') {
                Some((name, value)) if name.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
                    command.env(name, value);
                }
                _ if word == "cargo" => {}
                _ => {
                    command.arg(word);
                }
            }
        }
        command
    }
}

/// Counts of `cargo test`'s closing lines, one for each test program, added up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tests {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tests {
    /// Adds what `line` says, if it is such a closing line.
    fn add(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in rest.split([';', '.']) {
            match part.trim().split_once(' ') {
                Some((count, "passed")) => self.passed += count.parse().unwrap_or(0),
                Some((count, "failed")) => self.failed += count.parse().unwrap_or(0),
                Some((count, "ignored")) => self.ignored += count.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

fn run_tests(command: &mut Command, tests: &mut Tests) -> Outcome {
    let child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| format!("cannot start cargo: {error}"))?;
    let mut child = Running(child);
    let output = child.0.stdout.take().ok_or("cargo has no output")?;
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    // Bytes, not text: a failing test may print anything.
    while lines.read_until(b'\n', &mut line).map_err(|error| format!("reading from cargo: {error}"))? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        tests.add(&text);
        line.clear();
    }
    let status = child.0.wait().map_err(|error| format!("cannot wait for cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo test failed ({status})")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let mut tests = Tests::default();
        tests.add("running 3 tests\n");
        tests.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n");
        tests.add("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s\n");
        assert_eq!(tests, Tests { passed: 15, failed: 2, ignored: 1 });
    }

    #[test]
    fn variables_and_words_of_a_step_are_told_apart() {
        let step = Step {
            name: "docs",
            repeat: "RUSTDOCFLAGS=-Dwarnings A_B=1 cargo doc --message-format=json -p wsduo",
            work: Work::Cargo,
        };
        let command = step.command();
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["doc", "--message-format=json", "-p", "wsduo"]);
        for variable in ["RUSTDOCFLAGS", "A_B"] {
            assert!(command.get_envs().any(|(name, _)| name == variable));
        }
    }

    #[test]
    fn names_of_steps_are_unique() {
        for (index, step) in STEPS.iter().enumerate() {
            assert!(STEPS[..index].iter().all(|other| other.name != step.name), "{}", step.name);
        }
    }
}
