//! The answer of a proxy to CONNECT. The input is what the proxy sends, and what comes through the tunnel behind it.

use http::HeaderMap;
use wsduo_proto::handshake::client::MAX_REFUSAL_BODY;
use wsduo_proto::handshake::{HandshakeError, HeadLimits, TunnelHandshake};
use wsduo_proto::uri::WebSocketUri;

use crate::splits;

/// Checks that the outcome does not depend on how the answer is cut up, that the tunnel begins right behind a head, and that
/// a refusal is bounded and can be printed.
pub fn run(data: &[u8]) {
    let whole = outcome(&[data]);
    for pieces in splits::ways(data) {
        assert_eq!(outcome(&pieces), whole, "cut into pieces");
    }
    match whole {
        Ok(None) => {}
        Ok(Some(consumed)) => assert!(data[..consumed].ends_with(b"\r\n\r\n")),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "{text:?}");
            if let HandshakeError::Refused(refusal) = error {
                assert!(!refusal.status.is_success() && refusal.body.len() <= MAX_REFUSAL_BODY);
            }
        }
    }
}

/// The outcome, counted from the first piece on, and with the body of a refusal read to the end.
fn outcome(pieces: &[&[u8]]) -> Result<Option<usize>, HandshakeError> {
    let uri = WebSocketUri::parse("wss://server.example.com/chat").expect("a good URI");
    let asked = TunnelHandshake::new(&uri, &HeaderMap::new(), HeadLimits::default());
    let mut handshake = asked.expect("a good request").0;
    let mut before = 0;
    for (index, piece) in pieces.iter().enumerate() {
        match handshake.receive(piece) {
            Ok(None) => before += piece.len(),
            Ok(Some(consumed)) => {
                assert!(consumed <= piece.len());
                assert_eq!(handshake.receive(b"HTTP"), Err(HandshakeError::Finished));
                return Ok(Some(before + consumed));
            }
            Err(HandshakeError::Refused(mut refusal)) => {
                for piece in &pieces[index + 1..] {
                    refusal.push_body(piece);
                }
                return Err(HandshakeError::Refused(refusal));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
