//! The server's side of the opening handshake. The input is what a client sends.

use base64::Engine as _;
use http::{HeaderMap, StatusCode, header};
use wsduo_proto::handshake::{
    ClientHandshake, ClientRequest, HandshakeError, HeadLimits, Request, ServerHandshake, ServerOutcome,
};
use wsduo_proto::uri::WebSocketUri;

use crate::{deflate, splits};

/// Checks that the outcome does not depend on how the request is cut up, that our own client takes the answer to a
/// good request, with compression or without, and sees a refusal in the answer to a bad one.
pub fn run(data: &[u8]) {
    let whole = outcome(&[data]);
    for pieces in splits::ways(data) {
        assert_eq!(outcome(&pieces), whole, "cut into pieces");
    }
    match whole {
        Ok(None) => {}
        Ok(Some(ServerOutcome { request, consumed })) => {
            assert!(data[..consumed].ends_with(b"\r\n\r\n"));
            check_accepted(&request);
        }
        Err(error) => check_refused(&error),
    }
}

/// The outcome, with `consumed` counted from the first piece on.
fn outcome(pieces: &[&[u8]]) -> Result<Option<ServerOutcome>, HandshakeError> {
    let mut handshake = ServerHandshake::new(HeadLimits::default());
    let mut before = 0;
    for piece in pieces {
        if let Some(outcome) = handshake.receive(piece)? {
            assert!(outcome.consumed <= piece.len());
            assert_eq!(handshake.receive(b"GET"), Err(HandshakeError::Finished));
            return Ok(Some(ServerOutcome { consumed: before + outcome.consumed, ..outcome }));
        }
        before += piece.len();
    }
    Ok(None)
}

fn check_accepted(request: &Request) {
    assert!(request.target.starts_with('/'));
    assert!(request.target.bytes().all(|byte| byte.is_ascii_graphic()));
    check_answer(request, None);
    for settings in &deflate::SETTINGS {
        if let Some((agreement, chosen)) = settings.accept(&request.extensions) {
            deflate::check(settings, agreement);
            assert!(agreement.may_compress());
            check_answer(request, Some(&chosen));
        }
    }
}

/// Checks that a client with the same key and the same offers takes the answer.
fn check_answer(request: &Request, extensions: Option<&str>) {
    let favourite = request.subprotocols.first().map(String::as_str);
    let answer = request.accept(favourite, extensions, &HeaderMap::new()).expect("both were offered");
    let key = request.headers[header::SEC_WEBSOCKET_KEY].as_bytes();
    let nonce = base64::engine::general_purpose::STANDARD.decode(key).expect("the key was checked");
    let nonce = nonce.try_into().expect("the length was checked");
    let offers: Vec<_> = request.extensions.iter().map(ToString::to_string).collect();
    let mut client = client(&request.subprotocols, &offers.join(", "), nonce);
    let outcome = client.receive(&answer).expect("a good answer").expect("a whole answer");
    assert_eq!(outcome.consumed, answer.len());
    assert_eq!(outcome.response.subprotocol.as_deref(), favourite);
    let chosen = outcome.response.extensions.first().map(ToString::to_string);
    assert_eq!(chosen.as_deref(), extensions);
}

fn check_refused(error: &HandshakeError) {
    let answer = error.refusal();
    match client(&[], "", [0; 16]).receive(&answer) {
        Err(HandshakeError::Refused(refusal)) => {
            assert_eq!(refusal.status, error.status());
            assert!(
                refusal.status.is_client_error() || refusal.status == StatusCode::HTTP_VERSION_NOT_SUPPORTED
            );
            assert_eq!(refusal.body_remaining(), Some(0), "the answer is whole");
        }
        other => panic!("{error} was answered with {:?}: {other:?}", String::from_utf8_lossy(&answer)),
    }
}

fn client(subprotocols: &[String], extensions: &str, nonce: [u8; 16]) -> ClientHandshake {
    let request = ClientRequest {
        uri: &WebSocketUri::parse("ws://example.org/").expect("a good URI"),
        subprotocols,
        extensions: (!extensions.is_empty()).then_some(extensions),
        headers: &HeaderMap::new(),
    };
    ClientHandshake::new(&request, nonce, HeadLimits::default()).expect("a good request").0
}
