//! The fuzz targets of `fuzz/`, each for a short while, two at a time.
//!
//! The stored inputs in `fuzz/corpus` stay as they are: what a run finds of interest goes to `target/fuzz`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::shell::{Outcome, cargo, command, root, run, succeeds, target_directory};

pub(crate) const DEFAULT_SECONDS: u32 = 20;

/// How many run at once: even small machines have so many cores.
const AT_ONCE: usize = 2;

/// Runs the targets called `names`, or all of them, for `seconds` each.
///
/// libFuzzer needs a nightly toolchain. Where there is none, the stored inputs go through the same functions in a test.
pub(crate) fn run_targets(seconds: u32, names: &[&str]) -> Outcome {
    let targets = targets()?;
    if let Some(unknown) = names.iter().find(|name| !targets.iter().any(|target| target == *name)) {
        return Err(format!("no fuzz target is called `{unknown}`; there are {}", targets.join(", ")));
    }
    if !succeeds(command("rustup").args(["run", "nightly", "rustc", "--version"])) {
        println!("no nightly toolchain, so no fuzzing: running the stored inputs only");
        return run(cargo().args(["test", "--package", "wsduo-fuzz"]));
    }
    if !succeeds(cargo().args(["fuzz", "--version"])) {
        println!("cargo-fuzz is missing: installing it");
        run(cargo().args(["install", "--locked", "cargo-fuzz"]))?;
    }
    let chosen: Vec<&String> =
        targets.iter().filter(|target| names.is_empty() || names.contains(&target.as_str())).collect();
    // Built before they run, so that no two wait for each other: one, or all.
    run(cargo_fuzz("build").args(if let [only] = names { Some(only) } else { None }))?;
    let found = target_directory()?.join("fuzz");
    for together in chosen.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let running: Vec<_> =
                together.iter().map(|target| scope.spawn(|| run_target(target, seconds, &found))).collect();
            // All of them are waited for, and the first failure is told.
            let outcomes: Vec<Outcome> = running
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread of this tool panicked".into())))
                .collect();
            outcomes.into_iter().collect::<Outcome>()
        })?;
    }
    Ok(())
}

/// A command of cargo-fuzz, in the folder whose `.cargo/config.toml` has the settings of these builds.
fn cargo_fuzz(what: &str) -> Command {
    let mut command = command("rustup");
    command.current_dir(root().join("fuzz"));
    command.args(["run", "nightly", "cargo", "fuzz", what, "--features", "libfuzzer"]);
    command
}

/// What is of interest goes below the folder `found`.
fn run_target(target: &str, seconds: u32, found: &Path) -> Outcome {
    let found = found.join(target);
    let stored = root().join("fuzz/corpus").join(target);
    for folder in [&found, &stored] {
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    let mut fuzz = cargo_fuzz("run");
    fuzz.arg(target).args([&found, &stored]).arg("--");
    // An input that takes seconds, or hundreds of MiB, is a bug however short it is.
    fuzz.args(["-timeout=10", "-rss_limit_mb=1024", "-max_len=65536"]);
    // Findings and the counts at the end; not each step.
    fuzz.args(["-verbosity=0", "-print_final_stats=1"]);
    fuzz.arg(format!("-max_total_time={seconds}"));
    let output = fuzz.output().map_err(|error| format!("cannot start rustup: {error}"))?;
    // In one piece: another target is running.
    let report =
        [format!("fuzz target {target}, {seconds} s:\n").as_bytes(), &output.stdout, &output.stderr].concat();
    io::stdout().write_all(&report).map_err(|error| format!("cannot write: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("fuzz target {target} failed ({})", output.status))
    }
}

/// Names of the targets: each is one file.
fn targets() -> Outcome<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".rs").map(String::from))
        .collect();
    names.sort();
    Ok(names)
}
