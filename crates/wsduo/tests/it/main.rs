//! The library against its guarantees and RFC 6455, on transports in memory and a clock that stands still.

#![allow(clippy::unwrap_used, reason = "clippy sees helpers as code outside of tests")]

mod answers;
mod any_request;
mod api;
mod authentication;
mod authority;
mod backpressure;
mod broadcast;
mod broadcast_policies;
mod cancellation;
mod certificates;
mod closing;
mod compression;
mod deadlines;
mod dialling;
mod errors;
mod faults;
mod faults_at_connecting;
mod handler;
mod handshake_limits;
mod held_back;
mod http_server;
mod listener;
mod memory;
mod messages;
mod parts;
mod proxies;
mod proxy_tls;
mod real_proxies;
mod reconnect;
mod redirects;
mod refusals;
mod runtimes;
mod server;
mod server_tls;
mod split;
mod split_parts;
mod status;
mod support;
mod timers;
mod tls;
mod upgrade;
mod upgrade_axum;
mod upgrade_connections;
mod upgrade_told;
