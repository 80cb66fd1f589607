//! Test helpers of the workspace: wire bytes that can be read, transports that misbehave on purpose, and futures that
//! are dropped half-way. Nothing here knows the library under test.

pub mod faulty;
pub mod polling;
pub mod scripted;
pub mod slow;
pub mod wire;

pub use faulty::{Fault, Faulty};
pub use polling::poll_at_most;
pub use scripted::{Handle, Scripted};
pub use slow::Slow;
