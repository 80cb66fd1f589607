//! Whatever comes as a request, what goes back is HTTP, and what is told of it can be printed.

use std::error::Error as _;
use std::fmt::Write as _;

use http::StatusCode;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use wsduo::{Denial, Error, ForwardedHeader, Request, RequestControl};

use crate::support::{control, soon};

const LINES: [&str; 9] = [
    "GET /chat?room=1 HTTP/1.1",
    "Host: example.org",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: one, two",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "Origin: http://example.org",
];

/// What servers look at, and what others look at in front of them.
const NAMES: [&str; 14] = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Origin",
    "Content-Length",
    "Transfer-Encoding",
    "X-Forwarded-Host",
    "X-Forwarded-For",
    "Forwarded",
    "X-Other",
];

/// What drives terminals, splits lines, or opens quotes.
const ESCAPES: [&str; 10] =
    ["\u{1b}[2J", "\u{9b}31m", "\r\nX: y", "\0", "\u{7f}", "\t", "\u{202e}", "\"", "\\", "é"];

/// A change of a good request.
#[derive(Clone, Debug)]
enum Change {
    /// Another value behind the name of a header, or other words in the first line.
    Value(Index, Vec<u8>),
    /// Another header.
    Add(&'static str, Vec<u8>),
    Leave(Index),
    Repeat(Index),
    /// Bytes in the place of some others, anywhere.
    Bytes(Index, usize, Vec<u8>),
    Cut(Index),
}

/// Text that is meant to get through somewhere, and bytes that are not.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop_oneof![
        "[ -~]{0,12}".prop_map(String::into_bytes),
        select(&ESCAPES[..]).prop_map(|text| text.as_bytes().to_vec()),
        select(&["websocket", "Upgrade", "13", "https://", "example.org", ":443", "host=", ", "][..])
            .prop_map(|text| text.as_bytes().to_vec()),
        vec(any::<u8>(), 0..6),
        "\\PC{0,6}".prop_map(String::into_bytes),
    ];
    vec(parts, 0..5).prop_map(|parts| parts.concat())
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<Index>(), value()).prop_map(|(line, value)| Change::Value(line, value)),
        4 => (select(&NAMES[..]), value()).prop_map(|(name, value)| Change::Add(name, value)),
        2 => any::<Index>().prop_map(Change::Leave),
        1 => any::<Index>().prop_map(Change::Repeat),
        2 => (any::<Index>(), 0_usize..4, value()).prop_map(|(at, n, value)| Change::Bytes(at, n, value)),
        1 => any::<Index>().prop_map(Change::Cut),
    ]
}

fn changed(changes: &[Change]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = LINES.iter().map(|line| line.as_bytes().to_vec()).collect();
    for change in changes {
        let count = lines.len();
        match change {
            Change::Value(line, value) if count > 0 => {
                let line = &mut lines[line.index(count)];
                let end = line.windows(2).position(|two| two == b": ").map_or(4, |colon| colon + 2);
                line.truncate(end);
                line.extend_from_slice(value);
            }
            Change::Add(name, value) => lines.push([name.as_bytes(), b": ", value].concat()),
            Change::Leave(line) if count > 0 => drop(lines.remove(line.index(count))),
            Change::Repeat(line) if count > 0 => lines.push(lines[line.index(count)].clone()),
            _ => {}
        }
    }
    let mut bytes = lines.join(&b"\r\n"[..]);
    bytes.extend_from_slice(b"\r\n\r\n");
    for change in changes {
        match change {
            Change::Bytes(at, n, value) => {
                let at = at.index(bytes.len() + 1);
                let end = (at + n).min(bytes.len());
                bytes.splice(at..end, value.iter().copied());
            }
            Change::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            _ => {}
        }
    }
    bytes
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => Just(changed(&[])),
        8 => vec(change(), 0..4).prop_map(|changes| changed(&changes)),
        1 => vec(any::<u8>(), 0..400),
        1 => vec(any::<u8>(), 0..60).prop_map(|bytes| [&bytes[..], b"\r\n\r\n"].concat()),
    ]
}

/// Settings that refuse for different reasons.
fn requests() -> impl Strategy<Value = RequestControl> {
    let proxies = |header| RequestControl::new().trust_proxies(["unix"]).unwrap().forwarded_header(header);
    select(vec![
        RequestControl::new(),
        RequestControl::new().allow_host("example.org:443"),
        RequestControl::new().allow_origin("https://example.net").require_subprotocol(),
        RequestControl::new().allow_any_origin().allow_any_host(),
        RequestControl::new().head_limits(200, 5),
        proxies(ForwardedHeader::Forwarded),
        proxies(ForwardedHeader::XForwardedFor).allow_host("other.example"),
    ])
}

/// What the application does with a request that gets so far.
#[derive(Clone, Copy, Debug)]
enum Decision {
    Accept,
    AcceptWith(&'static str),
    Refuse(u16),
    Deny(u16),
    Drop,
}

/// Any, and those with rules of their own.
fn status() -> impl Strategy<Value = u16> {
    prop_oneof![100_u16..1000, select(&[100, 101, 103, 200, 204, 205, 304, 401, 426, 503][..])]
}

fn decision() -> impl Strategy<Value = Decision> {
    prop_oneof![
        3 => Just(Decision::Accept),
        1 => select(&["two", "never offered", "\r\n"][..]).prop_map(Decision::AcceptWith),
        1 => status().prop_map(Decision::Refuse),
        1 => status().prop_map(Decision::Deny),
        1 => Just(Decision::Drop),
    ]
}

async fn serve(transport: DuplexStream, requests: RequestControl, decision: Decision) -> Result<(), Error> {
    let request = Request::from_transport(transport, &requests).await?;
    let control = control().subprotocols(["two"]);
    match decision {
        Decision::Accept => request.accept_message(&control).await.map(drop),
        Decision::AcceptWith(name) => request.subprotocol(name).accept_message(&control).await.map(drop),
        Decision::Refuse(status) => request.refuse(StatusCode::from_u16(status).unwrap()).await,
        Decision::Deny(status) => {
            let denial = Denial::new(StatusCode::from_u16(status).unwrap()).header("x-why", "no");
            let deny = async move |_: &Request<DuplexStream>| Err::<(), _>(denial.body("no\n"));
            request.authenticate(deny).await.map(drop)
        }
        Decision::Drop => Ok(()),
    }
}

/// What is written before the server closes the connection, and what it says of it.
async fn exchange(
    bytes: &[u8],
    is_half_closed: bool,
    requests: RequestControl,
    decision: Decision,
) -> (Vec<u8>, Result<(), Error>) {
    let (mut client, transport) = tokio::io::duplex(64 << 10);
    let asking = async {
        // The server may have refused the beginning already.
        let _ = client.write_all(bytes).await;
        if is_half_closed {
            let _ = client.shutdown().await;
        }
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    };
    soon(async { tokio::join!(asking, serve(transport, requests, decision)) }).await
}

/// Nothing, a 101, or a response of HTTP/1.1 that is complete, says so, and ends the connection.
fn check_answer(answer: &[u8], is_accepted: bool) {
    if answer.is_empty() {
        assert!(!is_accepted);
        return;
    }
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(answer).unwrap() else { panic!("no whole head") };
    assert_eq!(response.version, Some(1));
    let values = |name: &str| -> Vec<&str> {
        let named = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| str::from_utf8(header.value).unwrap()).collect()
    };
    let printable = |byte: &u8| (b' '..=b'~').contains(byte);
    assert!(response.headers.iter().all(|header| header.value.iter().all(printable)));
    let body = str::from_utf8(&answer[head..]).unwrap();
    if is_accepted {
        assert_eq!((response.code, body), (Some(101), ""));
        assert_eq!((values("upgrade"), values("connection")), (vec!["websocket"], vec!["Upgrade"]));
        assert_eq!(values("sec-websocket-accept").len(), 1);
        assert!(values("content-length").is_empty() && values("transfer-encoding").is_empty());
        return;
    }
    let code = response.code.unwrap();
    assert!((200..1000).contains(&code), "{code}");
    assert!(values("connection") == ["close"] || values("connection") == ["close, upgrade"]);
    assert_eq!(values("connection") == ["close, upgrade"], !values("upgrade").is_empty());
    assert!(values("transfer-encoding").is_empty() && values("sec-websocket-accept").is_empty());
    if code == 204 || code == 304 {
        assert!(values("content-length").is_empty() && body.is_empty());
    } else {
        assert_eq!(values("content-length"), [body.len().to_string()]);
        // RFC 9110 §15.3.6
        assert_eq!(body.is_empty(), code == 205);
    }
    let line = body.strip_suffix('\n').unwrap_or(body);
    assert!(!line.contains(char::is_control), "{body:?}");
}

/// Everything that anybody may print of it.
fn shown(error: &Error) -> String {
    let mut shown = format!("{error}{error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        write!(shown, "{error}{error:?}").unwrap();
        source = error.source();
    }
    shown
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_answer_is_nothing_a_101_or_a_complete_response_and_nothing_raw_is_told(
        bytes in request(),
        is_half_closed in any::<bool>(),
        requests in requests(),
        decision in decision(),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (answer, served) = runtime.block_on(exchange(&bytes, is_half_closed, requests, decision));
        let accepts = matches!(decision, Decision::Accept | Decision::AcceptWith(_));
        check_answer(&answer, accepts && served.is_ok());
        if let Err(error) = served {
            let shown = shown(&error);
            prop_assert!(!shown.contains(char::is_control), "{shown:?}");
        }
    }
}
