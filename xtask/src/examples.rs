//! Building the examples, finding their executables, and running those that end by themselves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::shell::{Outcome, cargo, command, output, run_within};

/// Examples that serve for ever, or need the address of a peer: CI builds them, other steps run them.
const NEEDS_COMPANY: [&str; 8] = [
    "autobahn_client",
    "client_load",
    "compression",
    "echo_client",
    "echo_server",
    "per_core",
    "tcp_tunnel",
    "transfer",
];

/// More than any example needs, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(60);

/// An example that was built.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) name: String,
    pub(crate) executable: PathBuf,
}

/// Builds all examples and runs, one after the other, those that need no arguments and end by themselves.
pub(crate) fn run_all() -> Outcome {
    for example in build_all()? {
        if NEEDS_COMPANY.contains(&example.name.as_str()) {
            println!("example {}: built", example.name);
        } else {
            println!("example {}:", example.name);
            run_within(&mut command(&example.executable), LIMIT)?;
        }
    }
    Ok(())
}

/// All examples, built as `cargo build` does it.
pub(crate) fn build_all() -> Outcome<Vec<Example>> {
    build(cargo().args(["build", "--workspace", "--examples"]))
}

/// One example of the library as [`build_all`] has it.
pub(crate) fn development(name: &str) -> Outcome<PathBuf> {
    find(build_all()?, name)
}

/// The release build of one example of the library.
pub(crate) fn release(name: &str) -> Outcome<PathBuf> {
    find(build(cargo().args(["build", "--release", "--package", "wsduo", "--example", name]))?, name)
}

fn find(examples: Vec<Example>, name: &str) -> Outcome<PathBuf> {
    let found = examples.into_iter().find(|example| example.name == name);
    found.map(|example| example.executable).ok_or_else(|| format!("the build made no example {name}"))
}

fn build(cargo: &mut Command) -> Outcome<Vec<Example>> {
    let messages = output(cargo.arg("--message-format=json-render-diagnostics"))?;
    Ok(messages.lines().filter_map(example).collect())
}

/// The example that one of cargo's messages speaks of, if it does.
fn example(line: &str) -> Option<Example> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_example = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "example");
    let executable = Path::new(message["executable"].as_str()?).to_path_buf();
    is_example.then_some(Example { name: message["target"]["name"].as_str()?.into(), executable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_examples_are_taken_from_what_cargo_says() {
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["example"],"name":"echo"},"executable":"/t/echo"}"#;
        let found = example(line).expect("an example");
        assert_eq!((found.name.as_str(), found.executable), ("echo", PathBuf::from("/t/echo")));
        assert!(example(&line.replace("[\"example\"]", "[\"bin\"]")).is_none());
        assert!(example(&line.replace("\"/t/echo\"", "null")).is_none());
        assert!(example("Compiling…").is_none());
    }
}
