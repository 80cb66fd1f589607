//! What servers answer, one after another, to a client that follows redirects and has a password. The first byte of the
//! input is settings; each answer ends with a zero byte.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use wsduo::{Credential, Error, MessageWebSocketControl, Refusal, fuzzing};
use wsduo_proto::handshake::{ClientHandshake, ClientRequest, HandshakeError, HeadLimits};
use wsduo_proto::uri::WebSocketUri;

const URIS: [&str; 4] = [
    "ws://a.example/b/c",
    "wss://a.example:8443/b/c?d=e",
    "ws://[::1]:9/",
    "wss://xn--bcher-kva.example/%20",
];
const USER: &str = "ada";
const PASSWORD: &str = "open sesame";
const SECRET: &str = "of the first server alone";

/// Checks that a client goes to URIs in good form alone, never from `wss` to `ws`, and not for ever; that secrets go to the
/// first server alone; that no answer to a challenge adds a line or says the password openly unless that was asked for; that
/// an error can be printed; and that `Retry-After` is what the naive reader says.
pub fn run(data: &[u8]) {
    let Some((&settings, answers)) = data.split_first() else { return };
    let uri = WebSocketUri::parse(URIS[usize::from(settings) % URIS.len()]).expect("a good URI");
    let redirects = settings >> 2 & 7;
    let has_credential = settings & 0x20 != 0;
    let has_own_answer = settings & 0x40 != 0;

    let mut control = MessageWebSocketControl::new()
        .redirects(redirects)
        .header("x-plain", "for all")
        .header(COOKIE, SECRET);
    if has_credential {
        control = control.credential(Credential::new(USER, PASSWORD));
    }
    if has_own_answer {
        control = control.header(AUTHORIZATION, SECRET);
    }
    let answers: Vec<Refusal> =
        answers.split(|&byte| byte == 0).map_while(|answer| refusal(&uri, answer)).collect();
    let (requests, error) = fuzzing::journey(&control, uri.clone(), answers);

    // Each redirect at most, and one answer before each and behind the last.
    assert!(requests.len() <= 2 * usize::from(redirects) + 1);
    let mut before = &uri;
    let mut has_left = false;
    for (next, headers) in &requests {
        assert_eq!(WebSocketUri::parse(&next.to_string()).as_ref(), Ok(next));
        assert!(next.is_secure() || !before.is_secure(), "{before} to {next}");
        has_left |= origin(next) != origin(&uri);
        check_headers(next, headers, has_left, has_credential, has_own_answer);
        before = next;
    }
    if let Some(error) = error {
        check_error(&error);
    }
}

/// What a client makes of an answer, if it is a whole refusal.
fn refusal(uri: &WebSocketUri, answer: &[u8]) -> Option<Refusal> {
    let request = ClientRequest { uri, subprotocols: &[], extensions: None, headers: &HeaderMap::new() };
    let mut handshake =
        ClientHandshake::new(&request, [7; 16], HeadLimits::default()).expect("a good request").0;
    match handshake.receive(answer) {
        Err(HandshakeError::Refused(refusal)) => Some(*refusal),
        _ => None,
    }
}

fn origin(uri: &WebSocketUri) -> (bool, &str, u16) {
    (uri.is_secure(), uri.host(), uri.port())
}

fn check_headers(
    uri: &WebSocketUri,
    headers: &HeaderMap,
    has_left: bool,
    has_credential: bool,
    has_own_answer: bool,
) {
    assert_eq!(headers.get("x-plain").map(HeaderValue::as_bytes), Some(&b"for all"[..]));
    let cookie = headers.get(COOKIE).map(HeaderValue::as_bytes);
    let answers: Vec<&HeaderValue> = headers.get_all(AUTHORIZATION).iter().collect();
    if has_left {
        assert!(cookie.is_none() && answers.is_empty(), "secrets went to {uri}");
    } else {
        assert_eq!(cookie, Some(SECRET.as_bytes()));
        assert!(answers.len() <= 1 && answers.iter().all(|answer| answer.is_sensitive()));
        match answers.first() {
            None => assert!(!has_own_answer),
            Some(answer) if *answer == SECRET => assert!(has_own_answer),
            Some(answer) => {
                assert!(has_credential);
                check_answer(uri, answer);
            }
        }
    }

    let request = ClientRequest { uri, subprotocols: &[], extensions: None, headers };
    let (_, bytes) = ClientHandshake::new(&request, [7; 16], HeadLimits::default()).expect("a good request");
    let text = String::from_utf8(bytes).expect("text");
    let head = text.strip_suffix("\r\n\r\n").expect("a whole head");
    assert_eq!(head.split("\r\n").count(), 6 + headers.len(), "{text:?}");
    // A tab may stand in a realm, which an answer repeats (RFC 9110 §5.6.4).
    assert!(!head.replace("\r\n", "").replace('\t', "").chars().any(char::is_control), "{text:?}");
}

/// An answer to a challenge.
fn check_answer(uri: &WebSocketUri, answer: &HeaderValue) {
    let text = answer.to_str().expect("printable ASCII");
    if text.starts_with("Basic ") {
        assert_eq!(text, format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}"))));
        return;
    }
    assert!(text.starts_with("Digest "), "{text}");
    assert!(!text.contains(PASSWORD), "{text}");
    assert!(text.contains(&format!("uri=\"{}\"", uri.resource_name())), "{text}");
}

fn check_error(error: &Error) {
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(!text.contains(PASSWORD) && !text.contains(SECRET), "{text:?}");
    let refusal = error.refusal().expect("a refusal");
    let asked = refusal.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let naive = asked.trim().chars().try_fold(0_u64, |sum, digit| {
        Some(sum.saturating_mul(10).saturating_add(digit.to_digit(10)?.into()))
    });
    match (naive, error.retry_after()) {
        (Some(_), None) => assert!(asked.trim().is_empty()),
        (Some(seconds), Some(wait)) if !asked.trim().is_empty() => {
            assert_eq!(wait, Duration::from_secs(seconds));
        }
        // A date: four digits of a year are there at most.
        (_, Some(wait)) => assert!(wait < Duration::from_secs(10_000 * 366 * 86_400)),
        (None, None) => {}
    }
}
