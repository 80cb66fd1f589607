//! The life of an open connection, from the opening handshake to its end.

/// Where the closing handshake is (RFC 6455 §7.1).
///
/// ```text
///            close() ──────────────▶ Closing ── close frame ──┐
///           │                           │                     │
///  Open ────┤                           │ violation           ▼
///           │                           ▼                   Ended
///            close frame, violation ────────────────────────▶
///            end of the transport, deadline
/// ```
///
/// `Open`: everything goes. `Closing`: our close frame is queued or sent; input is still looked at, nothing more can
/// be sent. `Ended`: no input is looked at; what is queued (the answering close frame) may still be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Closing,
    Ended,
}

impl State {
    #[inline]
    pub(super) const fn is_ended(self) -> bool {
        matches!(self, Self::Ended)
    }
}
