//! What a server may answer instead of 101: told by its status in one line, within bounds of time and memory.

use std::time::Duration;

use tokio::time::Instant;
use wsduo::{CloseCode, Error, ErrorKind, MessageWebSocketControl, StreamWebSocketControl};

use crate::http_server::{HttpServer, OPEN, Then, header, refusal};
use crate::support::{control, kind};

/// The error of a client that is answered so; it has to be this in one line.
async fn answered(answer: String, expected: ErrorKind, said: &str) -> Error {
    let server = HttpServer::answering(&[answer]).await;
    let error = control().connect(&server.uri("/")).await.unwrap_err();
    assert_eq!(error.kind(), expected, "{error}");
    let text = error.to_string();
    assert!(text.contains(said), "{said:?} was expected: {text}");
    assert!(!text.contains(char::is_control) && text.len() < 1000, "{text:?}");
    error
}

async fn refused(status: &str, headers: &str, said: &str) -> Error {
    let error = answered(refusal(status, headers, "the body"), ErrorKind::Refused, said).await;
    let refusal = error.refusal().unwrap();
    assert!(status.starts_with(refusal.status.as_str()));
    assert_eq!(refusal.body, b"the body");
    assert!(!error.to_string().contains("SECRET"), "{error}");
    error
}

#[tokio::test]
async fn a_status_that_is_not_101_is_told_with_the_header_that_helps() {
    refused("200 OK", "", "server answered 200 OK where 101 Switching Protocols was expected").await;
    refused("300 Multiple Choices", "Location: /x\r\n", "300 Multiple Choices").await;
    refused(
        "301 Moved Permanently",
        "Location: /x\r\n",
        r#"301 Moved Permanently where 101 Switching Protocols was expected, with location "/x""#,
    )
    .await;
    refused("302 Found", "Location: wss://a.example/\r\n", r#"with location "wss://a.example/""#).await;
    // Its query may be a secret, and errors find their way into logs.
    refused(
        "302 Found",
        "Location: wss://user:SECRET@a.example/x?token=SECRET\r\n",
        r#"with location "wss://a.example/x?…""#,
    )
    .await;
    refused("302 Found", "", "302 Found where 101").await;
    refused("307 Temporary Redirect", "Location: /x\r\n", "307 Temporary Redirect").await;
    refused("308 Permanent Redirect", "Location: /x\r\n", "308 Permanent Redirect").await;
    refused("400 Bad Request", "", "400 Bad Request").await;
    refused("403 Forbidden", "", "403 Forbidden").await;
    refused("404 Not Found", "", "404 Not Found").await;
    refused("405 Method Not Allowed", "Allow: POST\r\n", r#"with allow "POST""#).await;
    refused("410 Gone", "", "410 Gone").await;
    refused("500 Internal Server Error", "", "500 Internal Server Error").await;
    refused("502 Bad Gateway", "", "502 Bad Gateway").await;
    refused("504 Gateway Timeout", "", "504 Gateway Timeout").await;
    refused("599 Made Up", "", "server answered 599 where").await;
    refused("999 Nonsense", "", "server answered 999 where").await;
}

#[tokio::test]
async fn a_status_without_a_body_is_told_without_one() {
    for (status, headers) in [("204 No Content", "Content-Length: 5\r\n"), ("304 Not Modified", "")] {
        let answer = format!("HTTP/1.1 {status}\r\n{headers}\r\n");
        // Kept open: there is nothing to wait for.
        let server = HttpServer::answering_and_then(answer, Then::Keep).await;
        let error = control().connect(&server.uri("/")).await.unwrap_err();
        assert!(error.to_string().contains(status), "{error}");
        assert_eq!((error.kind(), &error.refusal().unwrap().body[..]), (ErrorKind::Refused, &b""[..]));
    }
}

#[tokio::test]
async fn a_401_names_the_schemes() {
    refused("401 Unauthorized", "WWW-Authenticate: Negotiate\r\n", r#"with www-authenticate "Negotiate""#)
        .await;
    let headers = "WWW-Authenticate: Bearer\r\nWWW-Authenticate: Basic realm=\"x\"\r\n";
    refused("401 Unauthorized", headers, r#"with www-authenticate "Bearer, Basic realm=\"x\"""#).await;
    refused("401 Unauthorized", "", "401 Unauthorized where 101").await;
}

#[tokio::test]
async fn a_407_names_the_schemes_of_the_proxy() {
    let headers = "Proxy-Authenticate: Basic realm=\"p\"\r\n";
    refused("407 Proxy Authentication Required", headers, r#"with proxy-authenticate "Basic realm"#).await;
}

#[tokio::test]
async fn a_426_names_the_versions() {
    refused(
        "426 Upgrade Required",
        "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Version: 7\r\n",
        r#"with sec-websocket-version "8, 7""#,
    )
    .await;
    refused("400 Bad Request", "Sec-WebSocket-Version: 25\r\n", r#"with sec-websocket-version "25""#).await;
}

#[tokio::test]
async fn a_429_and_a_503_say_when_to_come_back() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let error = refused(status, "Retry-After: 120\r\n", r#"with retry-after "120""#).await;
        assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
        let headers = "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n";
        let error = refused(status, headers, "31 Dec 1999").await;
        assert_eq!(error.retry_after(), Some(Duration::ZERO), "long ago");
        // Counted from the server's clock, whatever ours says.
        let headers = "Date: Fri, 31 Dec 1999 23:59:00 GMT\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n";
        let error = refused(status, headers, "31 Dec 1999").await;
        assert_eq!(error.retry_after(), Some(Duration::from_secs(59)));
        let error = refused(status, "Retry-After: 99999999999999999999999\r\n", "99999").await;
        assert_eq!(error.retry_after(), Some(Duration::from_secs(u64::MAX)));
        for nonsense in ["", "soon", "-1", "1.5", "+3", "Fri, 99 Dec 1999 23:59:59 GMT"] {
            let error = refused(status, &format!("Retry-After: {nonsense}\r\n"), status).await;
            assert_eq!(error.retry_after(), None, "{nonsense}");
        }
        assert_eq!(refused(status, "", status).await.retry_after(), None);
    }
}

#[tokio::test]
async fn a_status_that_is_none_is_no_http() {
    for status in ["abc", "99 Low", "1000 High", "-1", "20", ""] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        answered(answer, ErrorKind::Handshake, "HTTP/1.1").await;
    }
    answered("HTTP/1.1 100 Continue\r\n\r\n".repeat(9), ErrorKind::Handshake, "more than 8 interim").await;
    answered("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n".into(), ErrorKind::Refused, "403")
        .await;
}

#[tokio::test]
async fn what_the_server_chose_is_escaped() {
    let error =
        refused("401 \u{2603} \u{202e}", "WWW-Authenticate: \u{9b}2J\u{202e}\r\n", "401 Unauthorized").await;
    assert!(!error.to_string().contains(['\u{202e}', '\u{9b}']), "{error}");
}

#[tokio::test]
async fn all_of_a_refusal_can_be_read() {
    let server = HttpServer::answering(&[refusal(
        "403 Forbidden",
        "X-Why: because\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n",
        "\u{1b}[2Jhello",
    )])
    .await;
    let error = control().connect(&server.uri("/")).await.unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.status, 403);
    assert_eq!(refusal.headers["x-why"], "because");
    assert_eq!(refusal.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(refusal.body, b"\x1b[2Jhello");
    assert!(!error.to_string().contains("hello"));
}

#[tokio::test]
async fn all_of_the_answer_that_agrees_can_be_read() {
    let answer = OPEN.replace("\r\n\r\n", "\r\nSet-Cookie: session=1\r\nX-Server: me\r\n\r\n");
    let mut server = HttpServer::answering_and_then(answer, Then::Keep).await;
    let control =
        control().header("cookie", "a=b; c=d").header("user-agent", "test/1").header("x-token", "t");
    let socket = control.connect(&server.uri("/chat?x")).await.unwrap();
    let information = socket.information();
    let response = information.response().unwrap();
    assert_eq!((response.status.as_u16(), &response.headers["x-server"]), (101, &"me".parse().unwrap()));
    assert_eq!(response.headers["set-cookie"], "session=1");
    assert_eq!(information.uri(), Some(&server.uri("/chat?x")[..]));
    let head = &server.take_heads()[0];
    assert!(head.starts_with("GET /chat?x HTTP/1.1\r\n"), "{head}");
    for (name, value) in [("cookie", "a=b; c=d"), ("user-agent", "test/1"), ("x-token", "t")] {
        assert_eq!(header(head, name), Some(value));
    }
}

#[tokio::test]
async fn headers_of_the_handshake_cannot_be_set() {
    for name in [
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "Transfer-Encoding",
    ] {
        let server = HttpServer::answering(&[]).await;
        let error = control().header(name, "x").connect(&server.uri("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("belongs to the handshake"), "{error}");
        let stream = StreamWebSocketControl::new().header(name, "x");
        assert_eq!(kind(stream.connect(&server.uri("/")).await), ErrorKind::InvalidInput);
    }
}

/// How long a refusal took whose body goes on so, and how much of it was kept.
async fn body(headers: &str, then: Then, control: &MessageWebSocketControl) -> (Duration, usize) {
    let answer = format!("HTTP/1.1 403 Forbidden\r\n{headers}\r\nno");
    let server = HttpServer::answering_and_then(answer, then).await;
    let begin = Instant::now();
    let error = control.connect(&server.uri("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.status, 403);
    assert!(refusal.body.starts_with(b"no") || refusal.body.is_empty());
    (begin.elapsed(), refusal.body.len())
}

#[tokio::test(start_paused = true)]
async fn a_body_without_end_is_cut_off_at_8_kib() {
    for headers in ["", "Content-Length: 99999999999\r\n"] {
        let (time, len) = body(headers, Then::Flood, &control()).await;
        assert!(time <= Duration::from_secs(2), "{time:?}");
        assert_eq!(len, 8 << 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_longer_announced_than_sent_is_waited_for_two_seconds() {
    for then in [Then::Keep, Then::Drip] {
        for headers in ["", "Content-Length: 500\r\n", "Transfer-Encoding: chunked\r\n"] {
            let (time, len) = body(headers, then, &control()).await;
            assert!(time >= Duration::from_secs(2) && time < Duration::from_secs(3), "{time:?}");
            assert!(len < 20, "{len}");
        }
        // And not at all where the connection ends.
        body("Content-Length: 500\r\n", Then::Close, &control()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_is_told_though_the_time_for_connecting_ends_within_the_body() {
    let second = Duration::from_secs(1);
    for control in [control().connect_timeout(second), control().total_connect_timeout(second)] {
        let (time, len) = body("Content-Length: 500\r\n", Then::Keep, &control).await;
        assert!(time <= 2 * second, "{time:?}");
        assert_eq!(len, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_after_a_minute() {
    let server = HttpServer::answering_and_then(String::new(), Then::Keep).await;
    let begin = Instant::now();
    let error = control().connect(&server.uri("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert_eq!(begin.elapsed().as_secs(), 60);
    // A byte now and then does not put it off.
    let server = HttpServer::answering_and_then("HTTP/1.1 1".into(), Then::Drip).await;
    let begin = Instant::now();
    assert_eq!(kind(control().connect(&server.uri("/")).await), ErrorKind::TimedOut);
    assert_eq!(begin.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn a_socket_that_was_agreed_on_works() {
    let server = HttpServer::answering(&[OPEN.into()]).await;
    let mut socket = control().connect(&server.uri("/")).await.unwrap();
    drop(server);
    let closed = socket.close(CloseCode::NORMAL, "").await;
    assert!(closed.is_ok_and(|closed| !closed.clean), "nobody answers");
}
