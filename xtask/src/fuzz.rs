//! The fuzz targets of `fuzz/`, each for a short while.
//!
//! The stored inputs in `fuzz/corpus` stay as they are: what a run finds of interest goes to `fuzz/target/corpus`.

use std::fs;

use crate::shell::{Outcome, cargo, command, root, run, succeeds};

pub(crate) const DEFAULT_SECONDS: u32 = 20;

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
        return run(cargo().args(["test", "--manifest-path", "fuzz/Cargo.toml", "--no-default-features"]));
    }
    if !succeeds(cargo().args(["fuzz", "--version"])) {
        println!("cargo-fuzz is missing: installing it");
        run(cargo().args(["install", "--locked", "cargo-fuzz"]))?;
    }
    for target in targets.iter().filter(|target| names.is_empty() || names.contains(&target.as_str())) {
        run_target(target, seconds)?;
    }
    Ok(())
}

fn run_target(target: &str, seconds: u32) -> Outcome {
    let found = format!("fuzz/target/corpus/{target}");
    let stored = format!("fuzz/corpus/{target}");
    for folder in [&found, &stored] {
        fs::create_dir_all(root().join(folder)).map_err(|error| format!("cannot make {folder}: {error}"))?;
    }
    println!("fuzz target {target}, {seconds} s:");
    let mut fuzz = command("rustup");
    fuzz.args([
        "run",
        "nightly",
        "cargo",
        "fuzz",
        "run",
        "--fuzz-dir",
        "fuzz",
        target,
        &found,
        &stored,
        "--",
    ]);
    // An input that takes seconds, or hundreds of MiB, is a bug however short it is.
    fuzz.args(["-timeout=10", "-rss_limit_mb=1024", "-max_len=65536"]);
    // Findings and the counts at the end; not each step.
    fuzz.args(["-verbosity=0", "-print_final_stats=1"]);
    fuzz.arg(format!("-max_total_time={seconds}"));
    run(&mut fuzz)
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
