//! The original's rules, from the specification: streams by themselves; sockets against servers of `wsduo`,
//! on the loopback interface, or at the end of a pipe where time is played with.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic, in its helpers too")]

mod attacks;
mod bandwidth;
mod certificates;
mod closing;
mod connecting;
mod formats;
mod guide;
mod in_force;
mod pains;
mod reader;
mod receiving;
mod scenarios;
mod sending;
mod server;
mod settings;
mod streaming;
mod streams_support;
mod support;
mod surface_sockets;
mod surface_streams;
mod text_exercise;
mod writer;
