//! The real command against itself and against peers within this process.

#![allow(clippy::unwrap_used)] // a test that panics has failed

mod admitted;
mod attacked;
mod compress;
mod connect;
mod doctor;
mod exit_codes;
mod files;
mod files_interrupted;
mod files_protocol;
mod manual;
mod observe;
mod ping;
mod proxies;
mod reconnect;
mod serve;
mod support;
#[cfg(unix)]
mod terminal;
mod threads;
