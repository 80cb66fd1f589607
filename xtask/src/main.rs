//! Developer commands, the same locally and in CI: `cargo xtask COMMAND`.
//!
//! This file knows the words of the command line; each command has a module of its own.

mod shell;
mod tidy;

use std::process::ExitCode;

use shell::Outcome;

const USAGE: &str = "\
cargo xtask tidy                          the repository's own rules";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Outcome {
    match words {
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        ["tidy"] => tidy::run(),
        _ => Err(format!("cannot make sense of `{}`\n{USAGE}", words.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_refused() {
        for words in [
            &["frobnicate"][..],
            &["conformance", "--quick"],
            &["fuzz", "--seconds", "many"],
            &["tidy", "now"],
        ] {
            assert!(dispatch(words).is_err(), "{words:?}");
        }
    }
}
