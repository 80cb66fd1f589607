//! What the fuzz targets check, as plain functions: each takes any bytes and panics if a promise is broken.
//!
//! `cargo fuzz` feeds them inputs of its own; `tests/replay.rs` feeds them the stored ones.

#![forbid(unsafe_code)]

pub mod certificates;
// The command is no library: what is tried of it is taken in by its path.
#[allow(dead_code, reason = "the rest is for the command itself")]
mod command;
pub mod compression;
pub mod connection;
pub mod conversation;
pub mod decoder;
mod deflate;
#[allow(dead_code, reason = "the rest is for the command itself")]
#[path = "../../crates/cli/src/exit.rs"]
mod exit;
pub mod files;
pub mod handshake_request;
pub mod handshake_response;
pub mod journey;
mod naive;
mod naive_inflate;
pub mod proxies;
mod scripted;
pub mod server_headers;
mod splits;
pub mod tunnel;
pub mod uri;
pub mod winrt_reader;

/// Takes any input, and panics if a promise is broken.
pub type Check = fn(&[u8]);

/// Every check, by the name of its fuzz target.
pub const TARGETS: [(&str, Check); 14] = [
    ("certificates", certificates::run),
    ("compression", compression::run),
    ("connection", connection::run),
    ("conversation", conversation::run),
    ("decoder", decoder::run),
    ("files", files::run),
    ("handshake_request", handshake_request::run),
    ("handshake_response", handshake_response::run),
    ("journey", journey::run),
    ("proxies", proxies::run),
    ("server_headers", server_headers::run),
    ("tunnel", tunnel::run),
    ("uri", uri::run),
    ("winrt_reader", winrt_reader::run),
];
