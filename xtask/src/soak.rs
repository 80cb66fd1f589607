//! The soak: a release build of `crates/soak`, for as long as is asked for.

use crate::shell::{Outcome, cargo, run};

/// Runs it with these words behind it; `--help` lists them.
pub(crate) fn run_soak(words: &[&str]) -> Outcome {
    run(cargo().args(["run", "--release", "--package", "wsduo-soak", "--"]).args(words))
}
