//! Frames: the unit on the wire (RFC 6455 §5.2).

pub mod header;
pub mod mask;

pub use header::{Header, Opcode};
pub use mask::{MaskingKey, MaskingKeys};

/// Longest payload of a control frame (§5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;
