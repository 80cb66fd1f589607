//! The rules of the original, against servers of `wsduo`: on the loopback interface, or at the end of a pipe where time is
//! played with.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic, in its helpers too")]

mod closing;
mod connecting;
mod receiving;
mod sending;
mod settings;
mod support;
