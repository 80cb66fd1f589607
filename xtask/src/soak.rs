//! The soak: a release build of `crates/soak`, for as long as is asked for.

use crate::shell::{Outcome, cargo, run};

/// Blocks of 128 KiB and more come from the system and go back to it. By default glibc raises that bound as such blocks are
/// freed; then the holes they leave make resident memory grow for hours, to two or three times what is allocated, and
/// a leak would not be seen in it.
const MALLOC: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=131072");

/// Runs it with these words behind it; `--help` lists them.
pub(crate) fn run_soak(words: &[&str]) -> Outcome {
    let mut soak = cargo();
    soak.args(["run", "--release", "--package", "wsduo-soak", "--"]).args(words);
    if std::env::var_os(MALLOC.0).is_none() {
        soak.env(MALLOC.0, MALLOC.1);
    }
    run(&mut soak)
}
