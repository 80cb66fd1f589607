//! wsduo

/// The opening handshake (RFC 6455 §4), both sides.
pub mod handshake;
/// WebSocket URIs (RFC 6455 §3).
pub mod uri;
