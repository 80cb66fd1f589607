//! What is told to a subscriber of `tracing` and to a recorder of `metrics`, and what is not.

#![allow(clippy::unwrap_used, reason = "clippy sees helpers as code outside of tests")]

mod catalogue;
mod connections;
mod handshakes;
mod support;
