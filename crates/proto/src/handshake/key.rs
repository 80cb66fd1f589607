//! `Sec-WebSocket-Key` and the `Sec-WebSocket-Accept` that answers it (RFC 6455 §1.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// What a server appends to the key before hashing (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Length of the nonce behind a key (RFC 6455 §4.1).
pub const NONCE_LEN: usize = 16;

/// The `Sec-WebSocket-Key` for a nonce, which must be random and new for each connection.
pub fn encode_nonce(nonce: [u8; NONCE_LEN]) -> String {
    STANDARD.encode(nonce)
}

/// The `Sec-WebSocket-Accept` that answers `key`.
pub fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Whether `key` is the base64 form of sixteen bytes, as an encoder would write it.
pub(super) fn is_valid(key: &str) -> bool {
    let mut nonce = [0; NONCE_LEN + 2];
    matches!(STANDARD.decode_slice(key, &mut nonce), Ok(NONCE_LEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_accept_of_the_rfc() {
        // RFC 6455 §1.3 and §4.1: both worked examples.
        assert_eq!(encode_nonce(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn key_is_sixteen_bytes_in_canonical_base64() {
        assert!(is_valid("dGhlIHNhbXBsZSBub25jZQ=="));
        for key in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",       // no padding
            "dGhlIHNhbXBsZSBub25jZQ=",      // half of it
            "dGhlIHNhbXBsZSBub25jZR==",     // bits set behind the last byte
            "dGhlIHNhbXBsZSBub25j",         // 15 bytes
            "dGhlIHNhbXBsZSBub25jZWU=",     // 17 bytes
            "dGhlIHNhbXBsZSBub25jZWVl",     // 18 bytes
            "dGhlIHNhbXBsZSBub25jZWVlZWVl", // 21 bytes
            "dGhlIHNhbXBsZSBub25j ZQ==",
            "dGhlIHNhbXBsZSBub25_ZQ==",
        ] {
            assert!(!is_valid(key), "{key}");
        }
    }
}
