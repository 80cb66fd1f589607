//! The opening handshake through its public API: each check of RFC 6455 §4, and each known way to break one.

#![allow(clippy::unwrap_used, reason = "clippy sees helpers as code outside of tests")]

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;
use wsduo_proto::handshake::client::{MAX_INTERIM_RESPONSES, MAX_REFUSAL_BODY};
use wsduo_proto::handshake::{
    ClientHandshake, ClientOutcome, ClientRequest, DeflateSettings, Fault, HandshakeError, HeadLimits,
    Refusal, Request, Response, ServerHandshake, ServerOutcome, refusal,
};
use wsduo_proto::uri::WebSocketUri;

const NONCE: [u8; 16] = *b"the sample nonce";

const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-other\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    \r\n";

// ---- helpers: the only places that know the API ----

/// An outcome, and how many bytes of the wire it took.
type Outcome<T> = Result<Option<(T, usize)>, HandshakeError>;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|&(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
}

/// Hands `wire` to `receive` in pieces that end at `cuts`, until there is an outcome.
fn feed<T>(
    wire: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    mut receive: impl FnMut(&[u8]) -> Outcome<T>,
) -> Outcome<T> {
    let mut start = 0;
    for end in cuts.into_iter().chain([wire.len()]) {
        if let Some((outcome, consumed)) = receive(&wire[start..end])? {
            return Ok(Some((outcome, start + consumed)));
        }
        start = end;
    }
    Ok(None)
}

fn serve(wire: &[u8], cuts: impl IntoIterator<Item = usize>) -> Outcome<Request> {
    let mut handshake = ServerHandshake::new(HeadLimits::default());
    feed(wire, cuts, |bytes| {
        let outcome = handshake.receive(bytes)?;
        Ok(outcome.map(|ServerOutcome { request, consumed }| (request, consumed)))
    })
}

fn ask(
    subprotocols: &[&str],
    extensions: Option<&str>,
    headers: &HeaderMap,
) -> Result<(ClientHandshake, Vec<u8>), HandshakeError> {
    let uri = WebSocketUri::parse("ws://server.example.com/chat?room=1").unwrap();
    let subprotocols: Vec<_> = subprotocols.iter().map(ToString::to_string).collect();
    let request = ClientRequest { uri: &uri, subprotocols: &subprotocols, extensions, headers };
    ClientHandshake::new(&request, NONCE, HeadLimits::default())
}

fn answer(wire: &[u8], cuts: impl IntoIterator<Item = usize>) -> Outcome<Response> {
    let (mut handshake, _) =
        ask(&["chat", "superchat"], Some("permessage-deflate, x-other"), &HeaderMap::new())?;
    feed(wire, cuts, |bytes| {
        let outcome = handshake.receive(bytes)?;
        Ok(outcome.map(|ClientOutcome { response, consumed }| (response, consumed)))
    })
}

/// Expects the request, with the line of `header` replaced by `lines`, to be read.
#[track_caller]
fn accepted(header: &str, lines: &str) -> Request {
    let wire = replace(REQUEST, header, lines);
    let (request, consumed) = serve(wire.as_bytes(), []).unwrap().expect("complete");
    assert_eq!(consumed, wire.len());
    request
}

/// Expects the request, with the line of `header` replaced by `lines`, to be refused with `status` and an error
/// that contains `message`.
#[track_caller]
fn refused(header: &str, lines: &str, status: u16, message: &str) {
    refused_wire(replace(REQUEST, header, lines).as_bytes(), status, message);
}

#[track_caller]
fn refused_wire(wire: &[u8], status: u16, message: &str) {
    let error = serve(wire, []).expect_err("refused");
    check_error(&error, message);
    assert_eq!(serve(wire, 1..wire.len()), Err(error.clone()), "in single bytes");
    let answer = String::from_utf8(error.refusal()).unwrap();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("\r\nConnection: close"), "{answer}");
}

/// Expects the response, with the line of `header` replaced by `lines`, to open the connection.
#[track_caller]
fn opened(header: &str, lines: &str) -> Response {
    let wire = replace(RESPONSE, header, lines);
    answer(wire.as_bytes(), []).unwrap().expect("complete").0
}

/// Expects the response, with the line of `header` replaced by `lines`, to fail with an error that contains
/// `message`.
#[track_caller]
fn failed(header: &str, lines: &str, message: &str) {
    failed_wire(replace(RESPONSE, header, lines).as_bytes(), message);
}

#[track_caller]
fn failed_wire(wire: &[u8], message: &str) {
    let error = answer(wire, []).expect_err("failed");
    check_error(&error, message);
    assert_eq!(answer(wire, 1..wire.len()), Err(error), "in single bytes");
}

#[track_caller]
fn check_error(error: &HandshakeError, message: &str) {
    let text = error.to_string();
    assert!(text.contains(message), "{text}");
    assert!(!text.contains(char::is_control) && text.len() < 400, "{text:?}");
    assert_eq!(error.fault(), Fault::Peer, "{text}");
}

/// Expects a mistake of this side to be told to the caller, and not to the peer.
#[track_caller]
fn misused<T: std::fmt::Debug>(result: Result<T, HandshakeError>, message: &str) {
    let error = result.expect_err("misuse");
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(error.fault(), Fault::Local);
    let answer = String::from_utf8(error.refusal()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 ") && !answer.contains(message), "{answer}");
}

/// Reads a response that refuses, in one piece.
#[track_caller]
fn refusal_from(wire: &str) -> Refusal {
    match answer(wire.as_bytes(), []) {
        Err(HandshakeError::Refused(refusal)) => *refusal,
        other => panic!("{other:?}"),
    }
}

/// Puts `lines`, separated by `|`, in place of the line that begins with `start`; at the end if that is empty.
#[track_caller]
fn replace(head: &str, start: &str, lines: &str) -> String {
    let lines: String = lines.split_terminator('|').map(|line| format!("{line}\r\n")).collect();
    if start.is_empty() {
        return format!("{}{lines}\r\n", head.strip_suffix("\r\n").unwrap());
    }
    let old = head.split_inclusive("\r\n").find(|line| line.starts_with(start)).expect("a line to replace");
    head.replacen(old, &lines, 1)
}

// ---- both ends ----

#[test]
fn client_and_server_agree() {
    let own = headers(&[("x-token", "1"), ("origin", "http://example.com")]);
    let (mut client, request) =
        ask(&["b", "a"], Some("permessage-deflate; client_max_window_bits"), &own).unwrap();
    let (request, _) = serve(&request, []).unwrap().expect("complete");
    assert_eq!(request.target, "/chat?room=1");
    assert_eq!((request.path(), request.query()), ("/chat", Some("room=1")));
    assert_eq!(request.host, "server.example.com");
    assert_eq!(request.origin(), Some("http://example.com"));
    assert_eq!(request.headers["x-token"], "1");
    assert_eq!(request.subprotocols, ["b", "a"]);
    assert_eq!(request.extensions[0].to_string(), "permessage-deflate; client_max_window_bits");

    let mut wire =
        request.accept(Some("a"), Some("permessage-deflate"), &headers(&[("server", "x")])).unwrap();
    let head = wire.len();
    wire.extend_from_slice(b"\x81\x02hi");
    let ClientOutcome { response, consumed } = client.receive(&wire).unwrap().expect("complete");
    assert_eq!(consumed, head, "the rest are frames");
    assert_eq!(response.status, StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(response.subprotocol.as_deref(), Some("a"));
    assert_eq!(response.extensions[0].to_string(), "permessage-deflate");
    assert_eq!(response.headers["server"], "x");
    assert_eq!(client.receive(b"\x89\0"), Err(HandshakeError::Finished));
}

#[test]
fn request_is_written_as_in_the_rfc() {
    let (_, request) = ask(&["a", "b"], None, &headers(&[("cookie", "c")])).unwrap();
    assert_eq!(
        String::from_utf8(request).unwrap(),
        "GET /chat?room=1 HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: a, b\r\ncookie: c\r\n\r\n"
    );
}

#[test]
fn response_is_written_as_in_the_rfc() {
    let response = accepted("", "").accept(Some("chat"), None, &HeaderMap::new()).unwrap();
    assert_eq!(String::from_utf8(response).unwrap(), replace(RESPONSE, "", "Sec-WebSocket-Protocol: chat"));
}

#[test]
fn nothing_is_received_after_an_error() {
    let mut handshake = ServerHandshake::new(HeadLimits::default());
    assert!(handshake.receive(b"\0\r").is_err());
    assert_eq!(handshake.receive(REQUEST.as_bytes()), Err(HandshakeError::Finished));
}

#[test]
fn headers_of_the_handshake_cannot_be_set() {
    for name in [
        "host",
        "upgrade",
        "connection",
        "content-length",
        "transfer-encoding",
        "sec-websocket-key",
        "sec-websocket-accept",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
        "sec-websocket-version",
    ] {
        let own = headers(&[(name, "1")]);
        misused(accepted("", "").accept(None, None, &own), &format!("header {name} belongs"));
        misused(ask(&[], None, &own), &format!("header {name} belongs"));
    }
}

// ---- server: the request ----

#[test]
fn request_in_single_bytes() {
    let wire = [REQUEST.as_bytes(), b"\x81\x80mask"].concat();
    let whole = serve(&wire, []).unwrap().expect("complete");
    assert_eq!(whole.1, REQUEST.len());
    assert_eq!(serve(&wire, 1..wire.len()), Ok(Some(whole)));
}

#[test]
fn request_split_at_every_position() {
    let wire = [REQUEST.as_bytes(), b"frames"].concat();
    let whole = serve(&wire, []);
    for cut in 0..=wire.len() {
        assert_eq!(serve(&wire, [cut]), whole, "cut at {cut}");
    }
    for end in 0..REQUEST.len() {
        assert_eq!(serve(&wire[..end], []), Ok(None), "ends at {end}");
    }
}

#[test]
fn method_other_than_get() {
    for method in ["POST", "HEAD", "get", "CONNECT", "G"] {
        refused("GET", &format!("{method} / HTTP/1.1"), 405, &format!("method is {method:?}"));
    }
    let error = serve(replace(REQUEST, "GET", "PUT / HTTP/1.1").as_bytes(), []).unwrap_err();
    assert!(String::from_utf8(error.refusal()).unwrap().contains("\r\nallow: GET\r\n"));
}

#[test]
fn http_version_other_than_1_1() {
    for version in ["HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "HTTP/0.9"] {
        refused("GET", &format!("GET / {version}"), 505, &format!("version is {version:?}"));
    }
}

#[test]
fn target_must_be_a_path_or_a_uri_of_this_host() {
    assert_eq!(accepted("GET", "GET / HTTP/1.1").target, "/");
    assert_eq!(accepted("GET", "GET //a/../b?c HTTP/1.1").target, "//a/../b?c");
    assert_eq!(accepted("GET", "GET http://Server.example.com/a?b HTTP/1.1").target, "/a?b");
    assert_eq!(accepted("GET", "GET http://server.example.com:80?b HTTP/1.1").target, "/?b");
    assert_eq!(accepted("GET", "GET WSS://server.example.com HTTP/1.1").target, "/");
    for target in
        ["*", "chat", "server.example.com:80", "ftp://server.example.com/", "/a#b", "http:///", "/é"]
    {
        refused("GET", &format!("GET {target} HTTP/1.1"), 400, "request target is");
    }
    for target in ["http://other.example.com/", "http://server.example.com:81/"] {
        refused("GET", &format!("GET {target} HTTP/1.1"), 400, "host of the request target");
    }
}

#[test]
fn host_missing() {
    refused("Host", "", 400, "host is missing");
}

#[test]
fn host_duplicated() {
    refused("Host", "Host: server.example.com|Host: server.example.com", 400, "host appears more than once");
    refused("Host", "Host: a|host: b", 400, "host appears more than once");
}

#[test]
fn host_malformed() {
    for host in ["", "a b", "me@a", "a/b", "a, b", "a:x", "a:99999", "[::1", "::1", "http://a", "a?b"] {
        refused("Host", &format!("Host: {host}"), 400, "header host is");
    }
    for host in ["a", "A:80", "[::1]:80", "127.0.0.1"] {
        assert_eq!(accepted("Host", &format!("Host: {host}")).host, host);
    }
}

#[test]
fn upgrade_missing() {
    refused("Upgrade", "", 426, "upgrade is missing");
    let error = serve(replace(REQUEST, "Upgrade", "").as_bytes(), []).unwrap_err();
    let answer = String::from_utf8(error.refusal()).unwrap();
    for line in ["upgrade: websocket", "sec-websocket-version: 13", "Connection: close, upgrade"] {
        assert!(answer.contains(&format!("\r\n{line}\r\n")), "{answer}");
    }
}

#[test]
fn upgrade_to_something_else() {
    for value in ["h2c", "", "websocket2", "x-websocket", "websocket/13", "web socket", "\"websocket\""] {
        refused("Upgrade", &format!("Upgrade: {value}"), 426, "upgrade is");
    }
}

#[test]
fn upgrade_in_any_case_and_among_others() {
    accepted("Upgrade", "Upgrade: WebSocket");
    accepted("Upgrade", "UPGRADE:WEBSOCKET");
    accepted("Upgrade", "Upgrade: h2c, websocket");
    accepted("Upgrade", "Upgrade: a/1|Upgrade: websocket");
}

#[test]
fn connection_missing() {
    refused("Connection", "", 426, "connection is missing");
}

#[test]
fn connection_substring_only() {
    for value in
        ["keep-alive", "upgraded", "keep-alive, no-upgrade", "\"upgrade\"", "close upgrade", "upgrade;q=1"]
    {
        refused("Connection", &format!("Connection: {value}"), 426, "a list of tokens that contains upgrade");
    }
}

#[test]
fn connection_in_any_case_and_among_others() {
    accepted("Connection", "Connection: keep-alive, Upgrade");
    accepted("Connection", "connection: UPGRADE");
    accepted("Connection", "Connection: ,upgrade ,,keep-alive,");
    accepted("Connection", "Connection: keep-alive|Connection: upgrade");
}

#[test]
fn key_must_be_sixteen_bytes_exactly_once() {
    let line = |key| format!("Sec-WebSocket-Key: {key}");
    refused("Sec-WebSocket-Key", "", 400, "sec-websocket-key is missing");
    refused("Sec-WebSocket-Key", &vec![line("dGhlIHNhbXBsZSBub25jZQ=="); 2].join("|"), 400, "more than once");
    for key in ["", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZWU="] {
        refused("Sec-WebSocket-Key", &line(key), 400, "expected 16 bytes in base64");
    }
}

#[test]
fn version_other_than_13() {
    let line = |version| format!("Sec-WebSocket-Version: {version}");
    refused("Sec-WebSocket-Version", "", 426, "sec-websocket-version is missing");
    refused("Sec-WebSocket-Version", &[line("13"), line("13")].join("|"), 426, "more than once");
    for version in ["", "8", "14", "013", "13, 8", "113", "13.0"] {
        refused("Sec-WebSocket-Version", &line(version), 426, "expected 13");
    }
}

#[test]
fn body_announced() {
    refused("", "Content-Length: 5", 400, "content-length");
    refused("", "Content-Length: -1", 400, "content-length");
    refused("", "Content-Length: 00", 400, "content-length");
    refused("", "Content-Length: 0|Content-Length: 5", 400, "content-length");
    refused("", "Transfer-Encoding: chunked", 400, "transfer-encoding");
    refused("", "Transfer-Encoding: identity|Content-Length: 0", 400, "transfer-encoding");
    accepted("", "Content-Length: 0");
}

#[test]
fn origin_duplicated() {
    refused("", "Origin: http://evil.example", 400, "origin appears more than once");
    assert_eq!(accepted("Origin", "").origin(), None);
}

#[test]
fn subprotocols_keep_the_order_of_the_client() {
    let name = "Sec-WebSocket-Protocol";
    assert_eq!(accepted(name, &format!("{name}: z, a|{name}: m")).subprotocols, ["z", "a", "m"]);
    assert!(accepted(name, "").subprotocols.is_empty());
    for value in ["", ",", "a b", "a, \"b\"", "a, a", "é"] {
        refused(name, &format!("{name}: {value}"), 400, "header sec-websocket-protocol is");
    }
}

#[test]
fn protocol_redos() {
    let spaces = " ".repeat(10_000);
    let name = "Sec-WebSocket-Protocol";
    refused(name, &format!("{name}: a{spaces}b"), 400, "expected a list of tokens");
}

#[test]
fn offer_redos_backslash() {
    let name = "Sec-WebSocket-Extensions";
    refused(name, &format!("{name}: a; b=\"{}", "\\c".repeat(5_000)), 400, "expected a list of the form");
}

#[test]
fn offer_garbage() {
    let name = "Sec-WebSocket-Extensions";
    for value in ["", ";", "a; =", "a; b=\"", "a b"] {
        refused(name, &format!("{name}: {value}"), 400, "expected a list of the form");
    }
    assert_eq!(accepted(name, &format!("{name}: constructor; __proto__|{name}: b")).extensions.len(), 2);
}

#[test]
fn bare_cr_in_value() {
    refused("Origin", "Origin: a\rX-Evil: b", 400, "CR without LF");
}

#[test]
fn bare_cr_in_request_line() {
    refused("GET", "GET /\r HTTP/1.1", 400, "CR without LF");
}

#[test]
fn bare_cr_before_the_line_end() {
    refused("Origin", "Origin: a\r", 400, "CR without LF");
}

#[test]
fn bare_lf() {
    refused("Origin", "Origin: a\nX-Evil: b", 400, "LF without CR");
    refused_wire(REQUEST.replace("\r\n", "\n").as_bytes(), 400, "LF without CR");
}

#[test]
fn nul_in_value() {
    refused("Origin", "Origin: a\0b", 400, "control character 0x00");
}

#[test]
fn nul_in_name() {
    refused("Origin", "Ori\0gin: a", 400, "control character 0x00");
}

#[test]
fn folded_header() {
    refused("Origin", "Origin: a| b", 400, "white space");
    refused("Host", " Host: a", 400, "white space");
}

#[test]
fn header_name_malformed() {
    for line in ["a b: c", "a : b", ": b", "a", "(a): b", "é: b"] {
        refused("", line, 400, "header name");
    }
}

/// Expects endless repetition of `part` behind `start` to be refused right behind `within` bytes.
#[track_caller]
fn endless(start: &str, part: &str, within: usize, message: &str) {
    let wire = format!("{start}{}", part.repeat(200_000 / part.len()));
    refused_wire(wire.as_bytes(), 431, message);
    assert_eq!(serve(&wire.as_bytes()[..within], []), Ok(None), "within the limit");
    assert!(serve(&wire.as_bytes()[..=within], []).is_err(), "at the limit");
}

#[test]
fn request_line_endless() {
    endless("GET /", "a", 16 * 1024 - 1, "limit of 16384 bytes");
}

#[test]
fn header_endless() {
    endless("GET / HTTP/1.1\r\na: ", "b", 16 * 1024 - 1, "limit of 16384 bytes");
    endless("GET / HTTP/1.1\r\n", "a", 16 * 1024 - 1, "limit of 16384 bytes");
}

#[test]
fn headers_endless() {
    endless("GET / HTTP/1.1\r\n", "a: b\r\n", 16 + 100 * 6, "limit of 100 headers");
}

#[test]
fn client_that_speaks_something_else() {
    refused_wire(b"\x16\x03\x01\x02\x00\x01\x00", 400, "peer sent TLS");
    refused_wire(b"SSH-2.0-OpenSSH_9.6\r\n", 400, "peer sent SSH");
    refused_wire(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "peer sent HTTP/2");
    refused_wire(b"\x01\xff\x1b[2J", 400, "peer sent \"\\u{1}\"");
}

#[test]
fn errors_escape_what_the_peer_chose() {
    refused("GET", &format!("{} / HTTP/1.1", "A".repeat(5_000)), 405, "AAA…\"");
    refused("Upgrade", "Upgrade: \u{202e}\u{9b}2J\"", 426, "upgrade is \"\\u{202e}\\u{9b}2J\\\"\"");
}

#[test]
fn credentials_stay_out_of_debug_output() {
    let debug = format!("{:?}", accepted("", "Authorization: Basic c2VjcmV0|Cookie: session=secret"));
    assert!(!debug.contains("secret") && !debug.contains("c2VjcmV0"), "{debug}");
}

// ---- server: the answer ----

#[test]
fn server_accepts_only_what_was_offered() {
    let (request, none) = (accepted("", ""), HeaderMap::new());
    misused(request.accept(Some("other"), None, &none), "subprotocol \"other\"");
    misused(request.accept(Some("Chat"), None, &none), "subprotocol \"Chat\"");
    misused(request.accept(Some("chat\r\nX: y"), None, &none), "subprotocol \"chat\\r\\nX: y\"");
    misused(request.accept(None, Some("x-unknown"), &none), "extension \"x-unknown\"");
    misused(request.accept(None, Some("x-other\r\nX: y"), &none), "not a list");
    misused(request.accept(None, Some(""), &none), "not a list");
    misused(
        request.accept(None, Some("x-other, x-other; a"), &none),
        "extension \"x-other\" is accepted twice",
    );
    assert!(request.accept(Some("superchat"), Some("x-other, permessage-deflate; a=1"), &none).is_ok());
}

#[test]
fn extension_offered_several_times_is_accepted_once() {
    let name = "Sec-WebSocket-Extensions";
    let offers = "permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits";
    let request = accepted(name, &format!("{name}: {offers}|{name}: permessage-deflate"));
    assert_eq!(request.extensions.len(), 3);
    let server = DeflateSettings { receive_window_bits: 12, ..DeflateSettings::default() };
    let (agreement, chosen) = server.accept(&request.extensions).unwrap();
    assert_eq!((agreement.send_window_bits, agreement.receive_window_bits), (15, 12));
    let wire = request.accept(None, Some(&chosen), &HeaderMap::new()).unwrap();

    let (mut client, _) =
        ask(&[], Some(&format!("{offers}, permessage-deflate")), &HeaderMap::new()).unwrap();
    let response = client.receive(&wire).unwrap().expect("complete").response;
    let agreement = DeflateSettings::default().judge(&response.extensions).unwrap().expect("an agreement");
    assert_eq!((agreement.send_window_bits, agreement.receive_window_bits), (12, 15));

    let twice = format!("{name}: permessage-deflate, permessage-deflate; server_no_context_takeover");
    failed("", &twice, "\"permessage-deflate\" twice");
}

#[test]
fn refusal_is_a_complete_response() {
    let own = headers(&[("retry-after", "5"), ("connection", "upgrade"), ("content-length", "999")]);
    assert_eq!(
        String::from_utf8(refusal(StatusCode::SERVICE_UNAVAILABLE, &own, "später\n")).unwrap(),
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 8\r\n\
         Content-Type: text/plain; charset=utf-8\r\nretry-after: 5\r\n\r\nspäter\n"
    );
    let html = headers(&[("content-type", "text/html")]);
    let answer = String::from_utf8(refusal(StatusCode::FORBIDDEN, &html, "<p>")).unwrap();
    assert!(answer.contains("\r\ncontent-type: text/html\r\n") && !answer.contains("text/plain"), "{answer}");
    let answer = refusal(StatusCode::NO_CONTENT, &HeaderMap::new(), "ignored");
    assert_eq!(answer, b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    // RFC 9110 §15.3.6
    let answer = String::from_utf8(refusal(StatusCode::RESET_CONTENT, &HeaderMap::new(), "ignored")).unwrap();
    assert!(answer.contains("\r\nContent-Length: 0\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn refusal_never_says_101() {
    for status in [StatusCode::SWITCHING_PROTOCOLS, StatusCode::CONTINUE] {
        assert!(refusal(status, &HeaderMap::new(), "").starts_with(b"HTTP/1.1 500 "));
    }
}

#[test]
fn refusal_can_be_read_by_the_client() {
    let error = serve(replace(REQUEST, "Sec-WebSocket-Version", "").as_bytes(), []).unwrap_err();
    let received = refusal_from(std::str::from_utf8(&error.refusal()).unwrap());
    assert_eq!(received.status, StatusCode::UPGRADE_REQUIRED);
    assert_eq!(received.body, format!("{error}\n").into_bytes());
    assert_eq!(received.body_remaining(), Some(0));
    assert!(received.to_string().contains("sec-websocket-version \"13\""), "{received}");
}

// ---- client: the request ----

#[test]
fn subprotocols_offered_are_unique_tokens() {
    for subprotocol in ["", "a b", "a,b", "a\r\nX: y", "é"] {
        misused(ask(&[subprotocol], None, &HeaderMap::new()), "is not a token");
    }
    misused(ask(&["a", "b", "a"], None, &HeaderMap::new()), "\"a\" is offered twice");
    assert!(ask(&["a", "A"], None, &HeaderMap::new()).is_ok(), "case makes a difference");
}

#[test]
fn extensions_offered_follow_their_grammar() {
    for text in ["", ",", "a b", "a\r\nX: y", "a; b=\"\r\n\""] {
        misused(ask(&[], Some(text), &HeaderMap::new()), "are not a list");
    }
}

// ---- client: the response ----

#[test]
fn response_in_single_bytes() {
    let wire = [RESPONSE.as_bytes(), b"\x81\x02hi"].concat();
    let whole = answer(&wire, []).unwrap().expect("complete");
    assert_eq!(whole.1, RESPONSE.len());
    assert_eq!(answer(&wire, 1..wire.len()), Ok(Some(whole)));
}

#[test]
fn response_split_at_every_position() {
    let wire = [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", RESPONSE.as_bytes(), b"frames"].concat();
    let whole = answer(&wire, []);
    assert!(whole.as_ref().is_ok_and(Option::is_some));
    for cut in 0..=wire.len() {
        assert_eq!(answer(&wire, [cut]), whole, "cut at {cut}");
    }
}

#[test]
fn accept_missing_wrong_or_twice() {
    let line = |accept| format!("Sec-WebSocket-Accept: {accept}");
    failed("Sec-WebSocket-Accept", "", "sec-websocket-accept is missing");
    failed(
        "Sec-WebSocket-Accept",
        &vec![line("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); 2].join("|"),
        "more than once",
    );
    for accept in
        ["", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo", "dGhlIHNhbXBsZSBub25jZQ=="]
    {
        failed("Sec-WebSocket-Accept", &line(accept), "expected the answer to our key");
    }
}

#[test]
fn upgrade_must_be_websocket_alone() {
    failed("Upgrade", "", "upgrade is missing");
    failed("Upgrade", "Upgrade: websocket|Upgrade: websocket", "more than once");
    for value in ["", "h2c", "websocket, h2c", "websocket/13"] {
        failed("Upgrade", &format!("Upgrade: {value}"), "expected websocket alone");
    }
    opened("Upgrade", "upgrade: WebSocket");
}

#[test]
fn connection_must_list_upgrade() {
    failed("Connection", "", "connection is missing");
    for value in ["", "close", "upgraded", "keep-alive upgrade"] {
        failed("Connection", &format!("Connection: {value}"), "list of tokens that contains upgrade");
    }
    opened("Connection", "Connection: keep-alive, upgrade");
    opened("Connection", "connection: UPGRADE");
}

#[test]
fn subprotocol_not_asked_for() {
    let name = "Sec-WebSocket-Protocol";
    assert_eq!(opened("", &format!("{name}: superchat")).subprotocol.as_deref(), Some("superchat"));
    assert_eq!(opened("", "").subprotocol, None);
    for value in ["", "other", "Chat", "chat, superchat"] {
        failed("", &format!("{name}: {value}"), "which was not offered");
    }
    failed("", &format!("{name}: chat|{name}: chat"), "more than once");
}

#[test]
fn extension_not_asked_for() {
    let name = "Sec-WebSocket-Extensions";
    assert_eq!(opened("", &format!("{name}: x-other; a")).extensions[0].to_string(), "x-other; a");
    failed("", &format!("{name}: x-unknown"), "extension \"x-unknown\", which was not offered");
    failed("", &format!("{name}: x-other, x-other"), "twice");
    failed("", &format!("{name}: x-other|{name}: permessage-deflate"), "more than once");
    failed("", &format!("{name}: x-other;"), "expected a list of the form");

    let (mut handshake, _) = ask(&[], None, &HeaderMap::new()).unwrap();
    let wire = replace(RESPONSE, "", &format!("{name}: permessage-deflate"));
    assert!(matches!(handshake.receive(wire.as_bytes()), Err(HandshakeError::ExtensionNotOffered(_))));
}

#[test]
fn length_or_chunks_on_a_101_are_no_body() {
    for line in ["Content-Length: 4", "Transfer-Encoding: chunked"] {
        let wire = replace(RESPONSE, "", line) + "\u{1}frame";
        let (_, consumed) = answer(wire.as_bytes(), []).unwrap().expect("complete");
        assert_eq!(&wire[consumed..], "\u{1}frame");
    }
}

#[test]
fn http_1_0_cannot_switch_protocols() {
    failed("HTTP", "HTTP/1.0 101 Switching Protocols", "version is \"HTTP/1.0\"");
    failed("HTTP", "HTTP/2 101 Switching Protocols", "version is \"HTTP/2\"");
}

#[test]
fn header_nul() {
    failed("", "a: b\0c", "control character 0x00");
    failed("", "a: b\rc", "CR without LF");
    failed("", "a: b\nc", "LF without CR");
    failed("", "a: b| c", "white space");
}

#[test]
fn nonsense_status() {
    for status in ["", " ", " 1", " 1010", " abc", " 099 x", "  101 x"] {
        failed("HTTP", &format!("HTTP/1.1{status}"), "of the head does not follow the grammar");
    }
    opened("HTTP", "HTTP/1.1 101");
    opened("HTTP", "HTTP/1.1 101 ");
}

#[test]
fn interim_responses_are_skipped_up_to_a_limit() {
    let interim = |n| "HTTP/1.1 102 Processing\r\nx: y\r\n\r\n".repeat(n) + RESPONSE;
    assert!(answer(interim(MAX_INTERIM_RESPONSES).as_bytes(), []).unwrap().is_some());
    failed_wire(interim(MAX_INTERIM_RESPONSES + 1).as_bytes(), "more than 8 interim responses");
}

#[test]
fn response_endless() {
    for start in ["HTTP/1.1 101 ", "HTTP/1.1 101\r\na: ", "HTTP/1.1 101\r\n"] {
        failed_wire(format!("{start}{}", "a".repeat(100_000)).as_bytes(), "limit of 16384 bytes");
    }
    failed_wire(format!("HTTP/1.1 101\r\n{}", "a:\r\n".repeat(1_000)).as_bytes(), "limit of 100 headers");
}

#[test]
fn port_that_speaks_something_else() {
    failed_wire(b"\x15\x03\x01\x00\x02\x02\x46", "peer sent TLS");
    failed_wire(b"SSH-2.0-OpenSSH_9.6\r\n", "peer sent SSH");
    failed_wire(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00", "peer sent HTTP/2");
    failed_wire(b"220 mail.example.com ESMTP\r\n", "peer sent \"2\"");
    failed_wire(b"\x1b[2Jhello", "peer sent \"\\u{1b}\"");
}

#[test]
fn refused_with_a_status() {
    for status in [200, 204, 301, 400, 401, 403, 404, 407, 426, 429, 500, 503, 599, 999] {
        let refusal = refusal_from(&format!("HTTP/1.1 {status} Reason\r\n\r\n"));
        assert_eq!(refusal.status.as_u16(), status);
        assert!(refusal.to_string().contains(&format!("server answered {status}")), "{refusal}");
    }
    assert_eq!(refusal_from("HTTP/1.0 404 Not Found\r\n\r\n").status, StatusCode::NOT_FOUND);
}

#[test]
fn refusal_names_what_helps() {
    for (status, header) in [
        (401, "www-authenticate"),
        (407, "proxy-authenticate"),
        (426, "sec-websocket-version"),
        (429, "retry-after"),
        (503, "retry-after"),
        (302, "location"),
    ] {
        let refusal = refusal_from(&format!("HTTP/1.1 {status} x\r\n{header}: a\"b\r\n\r\n"));
        assert!(refusal.to_string().ends_with(&format!(", with {header} \"a\\\"b\"")), "{refusal}");
    }
}

/// Expects a refusal to have kept `body`, and to wait for `remaining`.
#[track_caller]
fn kept(refusal: &Refusal, body: &str, remaining: Option<u64>) {
    assert_eq!(std::str::from_utf8(&refusal.body), Ok(body));
    assert_eq!(refusal.body_remaining(), remaining);
}

#[test]
fn refusal_body_ends_where_it_should() {
    let mut refusal = refusal_from("HTTP/1.1 403 x\r\nContent-Length: 6\r\n\r\nabc");
    kept(&refusal, "abc", Some(3));
    refusal.push_body(b"def and more");
    kept(&refusal, "abcdef", Some(0));

    kept(&refusal_from("HTTP/1.1 403 x\r\n\r\nabc"), "abc", None);
    kept(&refusal_from("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\nabcde"), "", Some(0));

    let mut refusal = refusal_from("HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab");
    kept(&refusal, "ab", None);
    refusal.push_body(b"c\r\n0\r\n\r\n");
    kept(&refusal, "abc", Some(0));
}

#[test]
fn error_body_endless() {
    let whole = "x".repeat(MAX_REFUSAL_BODY);
    for (header, first) in [
        ("", ""),
        ("Content-Length: 18446744073709551615\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\n"),
    ] {
        let mut refusal = refusal_from(&format!("HTTP/1.1 403 x\r\n{header}\r\n{first}"));
        assert!(refusal.body_remaining().is_none_or(|remaining| remaining == MAX_REFUSAL_BODY as u64));
        for _ in 0..20 {
            refusal.push_body(&[b'x'; 1_000]);
        }
        kept(&refusal, &whole, Some(0));
    }
}

// ---- any input, any segmentation ----

/// The outcome without the body of a refusal, of which a part may still be on its way.
fn without_body<T>(result: Outcome<T>) -> Result<Outcome<T>, (StatusCode, HeaderMap)> {
    match result {
        Err(HandshakeError::Refused(refusal)) => Err((refusal.status, refusal.headers)),
        other => Ok(other),
    }
}

/// A head with some bytes overwritten, inserted or removed, or no head at all.
fn wire(head: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let byte = || prop_oneof![any::<u8>(), prop::sample::select(&b"\r\n \t:,;=\"\\/\0"[..])];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, byte()), 0..6);
    let edited = edits.prop_map(|edits| {
        let mut wire = head.as_bytes().to_vec();
        for (at, edit, byte) in edits {
            let at = at.index(wire.len());
            match edit {
                0 => wire[at] = byte,
                1 => wire.insert(at, byte),
                _ => drop(wire.remove(at)),
            }
        }
        wire
    });
    prop_oneof![4 => edited, 1 => prop::collection::vec(byte(), 0..100)]
}

/// Where to cut the wire, as hundredths of its length.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..=100_usize, 0..8).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_request_is_judged_alike_in_any_pieces(wire in wire(REQUEST), cuts in cuts()) {
        let whole = serve(&wire, []);
        prop_assert_eq!(&serve(&wire, cuts.iter().map(|cut| cut * wire.len() / 100)), &whole);
        prop_assert_eq!(&serve(&wire, 0..wire.len()), &whole);
        if let Err(error) = whole {
            let refused = matches!(answer(&error.refusal(), []), Err(HandshakeError::Refused(_)));
            prop_assert!(refused, "the client must understand the refusal of {:?}", error);
        }
    }

    #[test]
    fn any_response_is_judged_alike_in_any_pieces(wire in wire(RESPONSE), cuts in cuts()) {
        let whole = without_body(answer(&wire, []));
        let pieces = cuts.iter().map(|cut| cut * wire.len() / 100);
        prop_assert_eq!(&without_body(answer(&wire, pieces)), &whole);
        prop_assert_eq!(&without_body(answer(&wire, 0..wire.len())), &whole);
    }
}
