//! The limit on open files, which decides how many connections one process can hold.

use crate::Error;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files a process needs beside its sockets.
const SPARE: u64 = 64;

/// Checks that this process, and so the servers it starts, can hold `connections` sockets.
///
/// # Errors
/// If the limit is too low, with the command that raises it.
pub fn check(connections: usize) -> Result<(), Error> {
    let needed = connections as u64 + SPARE;
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => {
            Err(format!("{connections} connections need {needed} open files, the limit is {limit}: run `ulimit -n {}` first", needed.max(20_000)).into())
        }
        _ => Ok(()),
    }
}

/// Raises the limit of this process, and so of the servers it starts, as far as it may.
///
/// # Errors
/// If the kernel refuses.
pub fn raise() -> Result<(), Error> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}
