//! The original's rules, from the specification.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic, in its helpers too")]

mod formats;
mod reader;
mod streams_support;
mod surface_streams;
mod text_exercise;
mod writer;
