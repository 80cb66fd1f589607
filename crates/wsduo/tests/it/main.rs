//! The library against its guarantees and RFC 6455, on transports in memory and a clock that stands still.

#![allow(clippy::unwrap_used, reason = "clippy sees helpers as code outside of tests")]

mod api;
mod authority;
mod backpressure;
mod cancellation;
mod certificates;
mod closing;
mod deadlines;
mod errors;
mod faults;
mod handler;
mod held_back;
mod memory;
mod messages;
mod parts;
mod server;
mod server_tls;
mod split;
mod status;
mod support;
mod tls;
