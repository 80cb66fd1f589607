//! Masking keys (RFC 6455 §10.3): unpredictable, and cheap enough for every frame.

use rand::Rng as _;
use wsduo_proto::{MaskingKey, MaskingKeys};

/// Draws from the thread's cryptographic generator, which works ahead by blocks.
#[derive(Debug)]
pub(crate) struct Keys;

impl MaskingKeys for Keys {
    #[inline]
    fn next_key(&mut self) -> MaskingKey {
        MaskingKey::new(rand::rng().next_u32().to_le_bytes())
    }
}

/// The nonce of an opening handshake (§4.1).
pub(crate) fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    rand::rng().fill_bytes(&mut nonce);
    nonce
}
