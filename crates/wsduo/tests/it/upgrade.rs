//! Requests that a server of hyper's hands over: what is accepted, what is refused, and with which response.

use std::convert::Infallible;
use std::future::IntoFuture;

use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use wsduo::upgrade::{Refusal, detached, upgrade, upgrade_with};
use wsduo::{Compression, ErrorKind, MessageWebSocketControl, RequestControl, StreamWebSocketControl};
use wsduo_testing::{Scripted, wire};

use crate::support::{control, kind, soon, text};

pub(crate) const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// A server on one end of a pipe: `/plain` is an ordinary page, and everything else is up to `route`.
pub(crate) fn hyper_server<R>(route: R) -> DuplexStream
where
    R: Fn(&mut Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(64 << 10);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let response = match request.uri().path() {
            "/plain" => Response::new(Full::from("a page")),
            _ => route(&mut request).unwrap_or_else(Refusal::into_response),
        };
        async move { Ok::<_, Infallible>(response) }
    });
    tokio::spawn(async move {
        http1::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades().await
    });
    near
}

/// Echoes on whatever is accepted.
pub(crate) fn echo(
    control: MessageWebSocketControl,
) -> impl Fn(&mut Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
    move |request| {
        let (response, pending) = upgrade(request)?.accept_message(&control)?;
        tokio::spawn(async move { pending.await?.run(|message, replies| replies.send(message)).await });
        Ok(response)
    }
}

/// One answer: its head, in lower case but for the values, and its body.
pub(crate) async fn answer(client: &mut (impl AsyncReadExt + Unpin)) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(client.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length =
        crate::http_server::header(&head, "content-length").map_or(0, |value| value.parse().unwrap());
    let mut body = vec![0; length];
    soon(client.read_exact(&mut body)).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

async fn ask(client: &mut DuplexStream, request: &str) -> (String, String) {
    client.write_all(request.as_bytes()).await.unwrap();
    answer(client).await
}

#[tokio::test(start_paused = true)]
async fn every_refusal_is_a_proper_response_that_leaves_the_connection_usable() {
    let without = |name: &str| {
        let kept = REQUEST.split_inclusive("\r\n").filter(|line| !line.starts_with(name));
        kept.collect::<String>() + "\r\n"
    };
    let replaced = |from: &str, to: &str| REQUEST.replace(from, to) + "\r\n";
    let with = |header: &str| format!("{REQUEST}{header}\r\n\r\n");
    for (request, status, told) in [
        (replaced("GET", "POST"), 405, "allow: GET\r\n"),
        (without("Upgrade"), 426, "upgrade: websocket\r\n"),
        (replaced("Upgrade: websocket", "Upgrade: h2c"), 426, "connection: upgrade\r\n"),
        (replaced("Version: 13", "Version: 8"), 426, "sec-websocket-version: 13\r\n"),
        (without("Sec-WebSocket-Version"), 426, "sec-websocket-version: 13\r\n"),
        (without("Host"), 400, "header host is missing"),
        (without("Sec-WebSocket-Key"), 400, "header sec-websocket-key is missing"),
        (replaced("ZSBub25jZQ==", "ZSBub25j"), 400, "16 bytes in base64"),
        (with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, "more than once"),
        (with("Sec-WebSocket-Protocol: a, a"), 400, "sec-websocket-protocol"),
        (with("Sec-WebSocket-Extensions: ;"), 400, "sec-websocket-extensions"),
        (with("Origin: https://evil.example"), 403, "https://evil.example may not connect"),
        (with("Content-Length: 5") + "abcde", 400, "content-length"),
    ] {
        let mut client = hyper_server(echo(control()));
        let (head, body) = ask(&mut client, &request).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{head}");
        assert!((head.clone() + &body).contains(told), "{request}{head}{body}");
        assert!(head.contains("content-type: text/plain; charset=utf-8\r\n"), "{head}");
        assert!(body.ends_with('\n') && body.lines().count() == 1, "{body}");

        let (head, body) = ask(&mut client, "GET /plain HTTP/1.1\r\nHost: example.org\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "after {request}{head}");
        assert_eq!(body, "a page");
    }
}

#[tokio::test(start_paused = true)]
async fn versions_of_http_that_cannot_be_upgraded_are_told_so() {
    let mut client = hyper_server(echo(control()));
    let (head, _) = ask(&mut client, &(REQUEST.replace("HTTP/1.1", "HTTP/1.0") + "\r\n")).await;
    assert!(head.contains(" 505 "), "{head}");

    let request = Request::connect("https://example.org/chat").version(Version::HTTP_2).body(()).unwrap();
    let refusal = detached(&request, &RequestControl::new()).unwrap_err();
    assert_eq!(refusal.status(), StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    assert_eq!(
        refusal.to_string(),
        "WebSockets over HTTP/2.0 (RFC 8441, RFC 9220) are not supported: connect with HTTP/1.1"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_accepted_becomes_a_socket_after_other_requests() {
    let mut client = hyper_server(echo(control()));
    for _ in 0..2 {
        let (_, body) = ask(&mut client, "GET /plain HTTP/1.1\r\nHost: example.org\r\n\r\n").await;
        assert_eq!(body, "a page");
    }
    let mut socket = soon(control().connect_over(client, "ws://example.org/chat")).await.unwrap();
    soon(socket.send("hello")).await.unwrap();
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("hello")));
    assert!(soon(socket.close(wsduo::CloseCode::NORMAL, "")).await.unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn the_response_is_that_of_the_rfc() {
    let mut client = hyper_server(echo(control().header("x-server", "test")));
    let (head, _) = ask(&mut client, &format!("{REQUEST}\r\n")).await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    // RFC 6455 §1.3
    let header = |name| crate::http_server::header(&head, name);
    assert_eq!(header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(header("upgrade"), Some("websocket"));
    assert_eq!(header("connection"), Some("Upgrade"));
    assert_eq!(header("x-server"), Some("test"));
    assert_eq!(header("sec-websocket-protocol"), None);
    assert_eq!(header("sec-websocket-extensions"), None);
    assert_eq!(header("content-length"), None);
}

#[tokio::test(start_paused = true)]
async fn subprotocols_and_compression_are_agreed_as_a_listener_does() {
    let ours = control().subprotocols(["two", "one"]).compression(Compression::new());
    for (offered, compresses, agreed) in
        [(&["one", "two"][..], true, Some("two")), (&["one"], false, Some("one")), (&["x"], true, None)]
    {
        let client = hyper_server(echo(ours.clone()));
        let compression = compresses.then(Compression::new);
        let theirs = control().subprotocols(offered.iter().copied()).compression(compression);
        let mut socket = soon(theirs.connect_over(client, "ws://example.org/chat")).await.unwrap();
        assert_eq!(socket.information().subprotocol(), agreed);
        assert_eq!(socket.information().compression().is_some(), compresses);
        let long = "again ".repeat(1000);
        soon(socket.send(&long)).await.unwrap();
        assert_eq!(soon(socket.receive()).await.unwrap(), Some(text(&long)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_application_looks_at_the_request_and_chooses() {
    let mut client = hyper_server(|request| {
        let request = upgrade(request)?;
        assert_eq!(
            (request.path(), request.query(), request.host()),
            ("/chat", Some("room=1"), "example.org")
        );
        assert_eq!((request.subprotocols(), request.origin()), (&["a".to_owned(), "b".to_owned()][..], None));
        assert_eq!(request.headers()["x-token"], "secret");
        let request = request.subprotocol("b").header("x-room", "1");
        let (response, pending) = request.accept_message(&control())?;
        tokio::spawn(async move {
            let socket = pending.await.unwrap();
            assert_eq!(socket.information().subprotocol(), Some("b"));
        });
        Ok(response)
    });
    let request = REQUEST.replace("/chat", "/chat?room=1");
    let (head, _) =
        ask(&mut client, &format!("{request}Sec-WebSocket-Protocol: a, b\r\nX-Token: secret\r\n\r\n")).await;
    assert!(head.contains("sec-websocket-protocol: b\r\n") && head.contains("x-room: 1\r\n"), "{head}");
    let mut rest = Vec::new();
    soon(client.read_to_end(&mut rest)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_answered_is_a_500_that_tells_the_client_nothing() {
    for wrong in 0..5 {
        let mut client = hyper_server(move |request| {
            let mut request = upgrade(request)?;
            let mut control = control();
            match wrong {
                0 => request = request.subprotocol("not offered"),
                1 => request = request.header("bad name", "x"),
                2 => request = request.header("x-name", "line\r\nbreak"),
                3 => request = request.header("sec-websocket-accept", "mine"),
                _ => control = control.header("bad name", "x"),
            }
            let refusal = request.accept_message::<()>(&control).unwrap_err();
            assert_eq!(refusal.error().kind(), ErrorKind::InvalidInput, "case {wrong}");
            Err(refusal)
        });
        let (head, body) = ask(&mut client, &format!("{REQUEST}\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
        assert_eq!(body, "internal server error\n");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_of_other_origins_are_let_in_where_that_is_allowed() {
    let listed = RequestControl::new().allow_origin("https://app.example.net");
    let open = RequestControl::new().allow_any_origin();
    for (origin, by) in [
        ("http://example.org", [true, true]),
        ("https://app.example.net", [true, true]),
        ("https://evil.example", [false, true]),
        ("null", [false, true]),
    ] {
        for (requests, may) in [listed.clone(), open.clone()].into_iter().zip(by) {
            let mut client = hyper_server(move |request| {
                Ok(upgrade_with(request, &requests)?.accept_message(&control())?.0)
            });
            let (head, _) = ask(&mut client, &format!("{REQUEST}Origin: {origin}\r\n\r\n")).await;
            let status = if may { " 101 " } else { " 403 " };
            assert!(head.contains(status), "{origin}: {head}");
        }
    }
}

#[test]
fn a_request_without_a_connection_is_a_mistake_of_the_server() {
    let mut request = head();
    let refusal = upgrade(&mut request).unwrap_err();
    assert_eq!(
        (refusal.status(), refusal.error().kind()),
        (StatusCode::INTERNAL_SERVER_ERROR, ErrorKind::Misuse)
    );
    let response: Response<String> = refusal.into();
    assert_eq!(response.body(), "internal server error\n");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_hyper_hands_the_connection_in_itself() {
    for is_stream in [false, true] {
        let upgrade = detached(&head(), &RequestControl::new()).unwrap();
        let (transport, handle) = Scripted::new(wire::from_client("82 03 'two'"));
        let behind = wire::from_client("82 03 'one'");
        if is_stream {
            let (response, pending) = upgrade.accept_stream::<()>(&StreamWebSocketControl::new()).unwrap();
            assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
            let mut bytes = [0; 6];
            soon(pending.over(transport, behind).read_exact(&mut bytes)).await.unwrap();
            assert_eq!(&bytes, b"onetwo");
        } else {
            let (response, pending) = upgrade.accept_message::<()>(&control()).unwrap();
            assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
            let mut socket = pending.over(transport, behind);
            for expected in ["one", "two"] {
                assert_eq!(soon(socket.receive()).await.unwrap().unwrap().as_bytes(), expected.as_bytes());
            }
        }
        assert!(handle.counts().is_dropped);
    }
    let (_, pending) =
        detached(&head(), &RequestControl::new()).unwrap().accept_message::<()>(&control()).unwrap();
    assert_eq!(kind(soon(pending.into_future()).await), ErrorKind::Misuse);
}

/// The head of a request in order.
fn head() -> Request<()> {
    let mut headers = HeaderMap::new();
    for line in REQUEST.lines().skip(1) {
        let (name, value) = line.split_once(": ").unwrap();
        headers.insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    let mut request = Request::builder().method(Method::GET).uri("/chat").body(()).unwrap();
    *request.headers_mut() = headers;
    request
}
