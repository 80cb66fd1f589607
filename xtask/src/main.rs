//! Developer commands, the same locally and in CI: `cargo xtask COMMAND`.
//!
//! This file knows the words of the command line; each command has a module of its own.

mod bench;
mod ci;
mod conformance;
mod deny;
mod examples;
mod fuzz;
mod interop;
mod interop_compression;
mod packages;
mod shell;
mod soak;
mod tidy;
mod uwebsockets;

use std::process::ExitCode;

use shell::Outcome;

const USAGE: &str = "\
cargo xtask bench [--quick] [--sections NAME,…] [--cells SIZExCONNECTIONSxIN_FLIGHT,…] [--peers NAME,…] [--publish] [OPTION…]
                                          wsduo beside its peers, in turns: a report and charts in target/bench; --quick: 5 minutes
                                          --publish: into docs/ as well   --help lists the options
cargo xtask ci [STEP…]                    everything that CI checks, or only the named steps
cargo xtask ci --list                     the steps and the command of each
cargo xtask conformance [server|client] [--fast|--medium|--whole] [--kosoku] [--store]
                                          the Autobahn cases against our examples; both roles, --fast
                                          --kosoku: the second runner   --store: keep the results (--whole only)
cargo xtask fuzz [--seconds N] [TARGET…]  every fuzz target, or the named ones, N seconds each (20), two at a time
cargo xtask icount [--peers NAME,…] [--store]
                                          instructions per message by callgrind, compared with benches/icount.tsv; more than 2 % up fails
cargo xtask interop [--mib N]             byte streams to and from Python websockets and Node ws, N MiB each (64)
cargo xtask interop-compression [websockets|aiohttp|ws]…
                                          compressed messages with other libraries, both ways, with every parameter
cargo xtask soak [--minutes N] [OPTION…]  our server and 1,000 of our clients doing everything at random, N minutes (1);
                                          --help lists the options
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
        ["bench", words @ ..] => bench::run_bench(words),
        ["ci", "--list"] => {
            ci::list();
            Ok(())
        }
        ["ci", steps @ ..] => ci::run_steps(steps),
        ["conformance", rest @ ..] => conformance::run(&conformance_plan(rest)?),
        ["fuzz", "--seconds", seconds, targets @ ..] => fuzz::run_targets(whole_number(seconds)?, targets),
        ["fuzz", targets @ ..] => fuzz::run_targets(fuzz::DEFAULT_SECONDS, targets),
        ["icount", words @ ..] => bench::run_icount(words),
        ["interop"] => interop::run_all(interop::DEFAULT_MIB),
        ["interop", "--mib", mib] => interop::run_all(whole_number(mib)?),
        ["interop-compression", names @ ..] => interop_compression::run_peers(names),
        ["soak", words @ ..] => soak::run_soak(words),
        ["tidy"] => tidy::run(),
        _ => Err(format!("cannot make sense of `{}`\n{USAGE}", words.join(" "))),
    }
}

fn conformance_plan(words: &[&str]) -> Outcome<conformance::Plan> {
    use conformance::{Role, Runner, Set};
    let mut plan = conformance::Plan::default();
    for word in words {
        match *word {
            "server" => plan.roles = vec![Role::Server],
            "client" => plan.roles = vec![Role::Client],
            "--fast" => plan.set = Set::Fast,
            "--medium" => plan.set = Set::Medium,
            "--whole" => plan.set = Set::Whole,
            "--kosoku" => plan.runner = Runner::Kosoku,
            "--store" => plan.store = true,
            _ => return Err(format!("conformance knows no `{word}`\n{USAGE}")),
        }
    }
    if plan.store && plan.set != Set::Whole {
        return Err("--store needs --whole: a stored table of half the cases says nothing".into());
    }
    Ok(plan)
}

fn whole_number(word: &str) -> Outcome<u32> {
    word.parse().map_err(|_| format!("`{word}` is not a whole number"))
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

    #[test]
    fn results_are_stored_of_whole_runs_only() {
        assert!(conformance_plan(&["server", "--fast", "--store"]).is_err());
        assert!(conformance_plan(&["server", "--whole", "--store"]).is_ok());
    }
}
