//! The client's side of the opening handshake. The input is what a server sends in answer to the request of RFC 6455 §1.3.

use http::HeaderMap;
use wsduo_proto::handshake::client::MAX_REFUSAL_BODY;
use wsduo_proto::handshake::{
    ClientHandshake, ClientOutcome, ClientRequest, Extension, HandshakeError, HeadLimits,
};
use wsduo_proto::uri::WebSocketUri;

use crate::{deflate, splits};

/// The key of the RFC's example, so that stored inputs can be read: "the sample nonce".
const NONCE: [u8; 16] = *b"the sample nonce";

const SUBPROTOCOLS: [&str; 2] = ["chat", "superchat"];
const EXTENSION: &str = "permessage-deflate";

/// Checks that the outcome does not depend on how the response is cut up, that nothing is agreed that was not offered,
/// and that no more than the limit is kept of a refusal's body.
pub fn run(data: &[u8]) {
    let whole = outcome(&[data]);
    for pieces in splits::ways(data) {
        assert_eq!(outcome(&pieces), whole, "cut into pieces");
    }
    match whole {
        Ok(None) => {}
        Ok(Some(ClientOutcome { response, consumed })) => {
            assert!(data[..consumed].ends_with(b"\r\n\r\n"));
            assert!(response.subprotocol.is_none_or(|chosen| SUBPROTOCOLS.contains(&chosen.as_str())));
            assert!(response.extensions.len() <= 1);
            assert!(response.extensions.iter().all(|extension| extension.name == EXTENSION));
            check_deflate(&response.extensions);
        }
        Err(error) => {
            check_printable(&error);
            if let HandshakeError::Refused(refusal) = error {
                assert!(!refusal.status.is_informational());
                assert!(refusal.body.len() <= MAX_REFUSAL_BODY);
            }
        }
    }
}

/// Checks that a client agrees to nothing beyond its settings.
fn check_deflate(response: &[Extension]) {
    for settings in &deflate::SETTINGS {
        match settings.judge(response) {
            Ok(Some(agreement)) => deflate::check(settings, agreement),
            Ok(None) => assert!(response.is_empty()),
            Err(error) => check_printable(&error),
        }
    }
}

/// Making the text must not panic either, and what the peer wrote must not drive a terminal.
fn check_printable(error: &HandshakeError) {
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// The outcome, with `consumed` counted from the first piece on, and with the body of a refusal read to the end.
fn outcome(pieces: &[&[u8]]) -> Result<Option<ClientOutcome>, HandshakeError> {
    let mut handshake = handshake();
    let mut before = 0;
    for (index, piece) in pieces.iter().enumerate() {
        match handshake.receive(piece) {
            Ok(None) => before += piece.len(),
            Ok(Some(outcome)) => {
                assert!(outcome.consumed <= piece.len());
                assert_eq!(handshake.receive(b"HTTP"), Err(HandshakeError::Finished));
                return Ok(Some(ClientOutcome { consumed: before + outcome.consumed, ..outcome }));
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

fn handshake() -> ClientHandshake {
    let request = ClientRequest {
        uri: &WebSocketUri::parse("ws://server.example.com/chat").expect("a good URI"),
        subprotocols: &SUBPROTOCOLS.map(String::from),
        extensions: Some(EXTENSION),
        headers: &HeaderMap::new(),
    };
    ClientHandshake::new(&request, NONCE, HeadLimits::default()).expect("a good request").0
}
