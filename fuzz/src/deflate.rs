//! What holds for every negotiation of permessage-deflate.

use wsduo_proto::handshake::{DeflateAgreement, DeflateSettings};

/// An endpoint without limits, one with some, and one that wants as little as can be.
pub(crate) const SETTINGS: [DeflateSettings; 3] =
    [settings(15, 15, true), settings(12, 11, true), settings(9, 8, false)];

const fn settings(send_window_bits: u8, receive_window_bits: u8, takeover: bool) -> DeflateSettings {
    DeflateSettings {
        send_window_bits,
        receive_window_bits,
        send_context_takeover: takeover,
        receive_context_takeover: takeover,
    }
}

/// Checks that nothing beyond `own` was agreed.
pub(crate) fn check(own: &DeflateSettings, agreement: DeflateAgreement) {
    assert!((8..=own.send_window_bits).contains(&agreement.send_window_bits));
    assert!((8..=own.receive_window_bits).contains(&agreement.receive_window_bits));
    assert_eq!(agreement.may_compress(), agreement.send_window_bits > 8);
    assert!(own.send_context_takeover || !agreement.send_context_takeover);
    assert!(own.receive_context_takeover || !agreement.receive_context_takeover);
}
