//! Measurements: release builds of our servers, of the peers' and of the measuring programs, and a call of one of these.

use std::fs;
use std::path::Path;

use crate::shell::{Outcome, cargo, root, run, target_directory};
use crate::uwebsockets;

/// The peers are a workspace of their own.
const PEERS: &str = "benches/peers/Cargo.toml";

/// `cargo xtask bench`: everybody in turns, with a report and charts; `--help` lists the options.
pub(crate) fn run_bench(words: &[&str]) -> Outcome {
    let target = target_directory()?;
    if !words.iter().any(|word| ["--help", "-h", "--draw"].contains(word)) {
        build_ours("echo_server")?;
        build_ours("client_load")?;
        build_peers(&target, named(words, "--peers"))?;
    }
    build_programs()?;
    let mut bench = crate::shell::command(target.join("release/bench"));
    bench.arg("--root").arg(root()).arg("--out").arg(target.join("bench"));
    run(bench.args(words))
}

/// `cargo xtask icount`: instructions per message, compared with those stored in the repository; `--help` lists the options.
pub(crate) fn run_icount(words: &[&str]) -> Outcome {
    let target = target_directory()?;
    if !words.iter().any(|word| ["--help", "-h"].contains(word)) {
        build_ours("echo_server")?;
        if let Some(peers) = named(words, "--peers") {
            build_peers(&target, Some(peers))?;
        }
    }
    build_programs()?;
    let mut icount = crate::shell::command(target.join("release/icount_check"));
    run(icount.arg("--stored").arg(root().join("benches/icount.tsv")).args(words))
}

fn build_ours(example: &str) -> Outcome {
    run(cargo().args(["build", "--release", "--locked", "--package", "wsduo", "--example", example]))
}

fn build_programs() -> Outcome {
    run(cargo().args(["build", "--release", "--locked", "--package", "wsduo-benches"]))
}

/// Builds the peers called `names`, or all. One that does not build takes no other with it: its program of an earlier build goes, so
/// that the report says it was not built.
fn build_peers(target: &Path, names: Option<Vec<&str>>) -> Outcome {
    let all = peers()?;
    let names = names.unwrap_or_else(|| all.iter().map(String::as_str).collect());
    if build(target, &names).is_ok() {
        return Ok(());
    }
    for name in names {
        if let Err(error) = build(target, &[name]) {
            eprintln!("xtask: {name} cannot be built and will be reported as failed: {error}");
            // Most likely it was never there.
            let _ = fs::remove_file(target.join("release").join(name));
        }
    }
    Ok(())
}

fn build(target: &Path, names: &[&str]) -> Outcome {
    if names.contains(&uwebsockets::NAME) {
        uwebsockets::build(PEERS, target)?;
    }
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "--manifest-path", PEERS, "--target-dir"]).arg(target);
    for name in names.iter().filter(|name| **name != uwebsockets::NAME) {
        build.args(["--bin", name]);
    }
    if names == [uwebsockets::NAME] { Ok(()) } else { run(&mut build) }
}

/// The programs of the peers: one file each, or a folder.
fn peers() -> Outcome<Vec<String>> {
    let folder = root().join("benches/peers/src/bin");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let name = |path: &Path| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<_> = entries.filter_map(|entry| name(&entry.ok()?.path())).collect();
    names.sort();
    Ok(names)
}

/// The names behind `option`, as `--peers a,b` or `--peers=a,b`.
fn named<'a>(words: &[&'a str], option: &str) -> Option<Vec<&'a str>> {
    let joined = words.iter().find_map(|word| word.strip_prefix(option)?.strip_prefix('='));
    let apart = || words.iter().skip_while(|word| **word != option).nth(1).copied();
    Some(joined.or_else(apart)?.split(',').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_peers_are_found_among_other_words() {
        assert_eq!(
            named(&["--quick", "--peers", "yawc,wtx", "--publish"], "--peers"),
            Some(vec!["yawc", "wtx"])
        );
        assert_eq!(named(&["--peers=yawc"], "--peers"), Some(vec!["yawc"]));
        assert_eq!(named(&["--quick"], "--peers"), None);
    }

    #[test]
    fn every_peer_has_a_program() {
        let peers = peers().unwrap();
        assert!(
            ["fastwebsockets", "yawc"].iter().all(|name| peers.iter().any(|peer| peer == name)),
            "{peers:?}"
        );
    }
}
