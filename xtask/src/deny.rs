//! The rules of `deny.toml` about dependencies, as far as they need no network: bans, licences and sources.

use crate::shell::{Outcome, cargo, run, succeeds};

/// Checks them where cargo-deny is installed; says so where it is not, as building it takes longer than all other steps.
pub(crate) fn run_check() -> Outcome {
    if !succeeds(cargo().args(["deny", "--version"])) {
        println!(
            "cargo-deny is not installed (cargo install --locked cargo-deny), so dependencies are not checked"
        );
        return Ok(());
    }
    run(cargo().args(["deny", "check", "bans", "licenses", "sources"]))
}
