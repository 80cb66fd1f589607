//! The library against its guarantees and RFC 6455, on transports in memory and a clock that stands still.

#![allow(clippy::unwrap_used, reason = "clippy sees helpers as code outside of tests")]

mod api;
mod backpressure;
mod cancellation;
mod closing;
mod deadlines;
mod dialling;
mod errors;
mod faults;
mod handler;
mod held_back;
mod memory;
mod messages;
mod parts;
mod proxies;
mod real_proxies;
mod server;
mod split;
mod support;
mod tls;
