//! What the measuring programs share: a load generator that writes raw frames, servers as child
//! processes, and what the kernel says they used.
//!
//! Nothing here depends on `wsduo` or on any other WebSocket library, so that a fault of ours cannot
//! hide by being on both ends. The README beside this crate tells what each program measures, and how
//! its figures can mislead.
#![forbid(unsafe_code)]

pub mod callgrind;
pub mod certificate;
pub mod client;
pub mod compressed;
pub mod curve;
pub mod deflate;
pub mod echo;
pub mod end;
pub mod field;
pub mod figures;
pub mod frame;
pub mod handshake;
pub mod idle;
pub mod limit;
pub mod load;
pub mod markdown;
pub mod processors;
pub mod server;
pub mod transfer;
pub mod turns;
pub mod usage;

/// The error of every program here: a sentence for the person who reads it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
