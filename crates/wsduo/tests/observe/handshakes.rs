//! Opening handshakes: what came of them, at both ends, and no secret among it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wsduo::http::{HeaderMap, StatusCode};
use wsduo::upgrade::ConnectionInformation;
use wsduo::{CloseCode, Credential, ErrorKind, Listener, MessageWebSocketControl, Request, RequestControl};

use crate::support::{Heard, deaf, hear, hear_network};

/// A client that has secrets wherever there can be one.
fn secretive() -> MessageWebSocketControl {
    MessageWebSocketControl::new()
        .header("authorization", "Bearer SECRET")
        .header("cookie", "session=SECRET")
        .header("x-api-key", "SECRET")
        .credential(Credential::new("user", "SECRET"))
        .subprotocols(["chat"])
}

/// A client asks for a path, and the server does `serve` with the request.
fn ask(path: &'static str, serve: impl AsyncFnOnce(Request<tokio::io::DuplexStream>)) -> Heard {
    hear(async {
        let (near, far) = tokio::io::duplex(64 << 10);
        let uri = format!("ws://example.org{path}");
        let asking = async {
            if let Ok(mut socket) = secretive().connect_over(near, &uri).await {
                socket.close(CloseCode::NORMAL, "").await.unwrap();
            }
        };
        let serving = async {
            let request = Request::from_transport(far, &RequestControl::new()).await.unwrap();
            serve(request).await;
        };
        tokio::join!(asking, serving);
    })
}

#[test]
fn the_spans_of_both_ends_say_what_was_asked_and_agreed_but_no_secret() {
    let heard = ask("/chat?token=SECRET", async |request| {
        let control = MessageWebSocketControl::new().subprotocols(["chat"]);
        let control = control.header("set-cookie", "session=SECRET");
        request.accept_message(&control).await.unwrap().receive().await.unwrap();
    });
    let opened = heard.named("opened");
    let client = opened.iter().find(|it| it.of_span("role") == Some("client")).unwrap();
    let server = opened.iter().find(|it| it.of_span("role") == Some("server")).unwrap();
    assert_eq!(client.of_span("uri"), Some("ws://example.org/chat"));
    assert_eq!(server.of_span("path"), Some("/chat"));
    for end in [client, server] {
        assert_eq!(end.of_span("subprotocol"), Some("chat"));
        assert_eq!(end.of_span("compression"), Some("false"));
        assert_eq!((end.of_span("tls"), end.of_span("peer")), (None, None));
    }
    assert_ne!(client.of_span("id"), server.of_span("id"));
    for step in ["asking", "answered"] {
        let step = heard.one(step);
        assert_eq!(step.span.as_ref().unwrap().0, "connecting");
        assert_eq!(step.of_span("uri"), Some("ws://example.org/chat"));
    }
    for role in ["client", "server"] {
        let counted = heard.counter(&format!("wsduo_handshakes_total outcome=accepted role={role}"));
        assert_eq!(counted, Some(1));
    }
    assert!(!heard.text().contains("SECRET"), "{heard:#?}");
}

#[test]
fn a_refusal_is_told_at_both_ends_with_its_status_and_no_secret() {
    let heard = ask("/private?token=SECRET", async |request| {
        request.refuse(StatusCode::FORBIDDEN).await.unwrap();
    });
    let refused = heard.one("request_refused");
    assert_eq!(refused.fields.all(["path", "status", "reason"]), ["/private", "403", "Forbidden"]);
    let failed = heard.one("connect_failed");
    assert_eq!(failed.fields.all(["error_kind", "status"]), ["Refused", "403"]);
    assert!(heard.named("opened").is_empty());
    for role in ["client", "server"] {
        let counted = heard.counter(&format!("wsduo_handshakes_total outcome=refused role={role}"));
        assert_eq!(counted, Some(1));
    }
    assert!(!heard.text().contains("SECRET"), "{heard:#?}");
}

#[test]
fn answers_that_ask_for_secrets_or_hold_them_show_none() {
    for (status, name, value) in [
        (StatusCode::UNAUTHORIZED, "www-authenticate", "Basic realm=\"x\""),
        (StatusCode::FOUND, "location", "ws://elsewhere.example/?token=SECRET"),
        (StatusCode::FORBIDDEN, "set-cookie", "session=SECRET"),
    ] {
        let heard = ask("/?token=SECRET", async |request| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            request.refuse_with(status, &headers, "no\n").await.unwrap();
        });
        let failed = heard.one("connect_failed");
        assert_eq!(failed.fields.get("status"), Some(status.as_str()));
        assert!(failed.fields.get("error").unwrap().contains(status.as_str()), "{failed:?}");
        assert!(!heard.text().contains("SECRET"), "{heard:#?}");
    }
}

#[test]
fn a_request_that_is_none_is_told_with_the_error_escaped() {
    let heard = hear(async {
        let (mut near, far) = tokio::io::duplex(1000);
        near.write_all("\u{202e}SSH\u{1b}[2J / HTTP/1.1\r\n\r\n".as_bytes()).await.unwrap();
        near.shutdown().await.unwrap();
        assert!(Request::from_transport(far, &RequestControl::new()).await.is_err());
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
    });
    let failed = heard.one("request_failed");
    assert_eq!(failed.fields.all(["outcome", "error_kind"]), ["invalid", "Handshake"]);
    let error = failed.fields.get("error").unwrap();
    assert!(!error.contains(['\u{1b}', '\u{202e}', '\n']), "{error}");
    assert_eq!(heard.counter("wsduo_handshakes_total outcome=invalid role=server"), Some(1));
}

#[test]
fn a_bad_request_is_told_as_such_though_time_runs_out_while_it_is_refused() {
    const GOOD: &str = "GET / HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    for request in ["nonsense\r\n\r\n".to_owned(), format!("{GOOD}Origin: https://evil.example\r\n\r\n")] {
        let heard = hear(async {
            // The client waits for something else than the answer, and so does not end the connection.
            let (mut near, far) = tokio::io::duplex(1000);
            near.write_all(request.as_bytes()).await.unwrap();
            let control = RequestControl::new().timeout(Duration::from_millis(500));
            let error = Request::from_transport(far, &control).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Handshake);
            let mut answer = String::new();
            near.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
        });
        assert_eq!(heard.one("request_failed").fields.get("outcome"), Some("invalid"));
    }
}

#[test]
fn a_target_that_is_none_is_told_without_its_query() {
    for target in ["/chat?token=SECRET#top", "chat?token=SECRET", "http://user:SECRET@example.org/?SECRET"] {
        let heard = hear(async {
            let (mut near, far) = tokio::io::duplex(1000);
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            );
            near.write_all(request.as_bytes()).await.unwrap();
            let error = Request::from_transport(far, &RequestControl::new()).await.unwrap_err();
            assert!(error.to_string().starts_with("request target is"), "{error}");
        });
        assert_eq!(heard.one("request_failed").fields.get("outcome"), Some("invalid"));
        assert!(!heard.text().contains("SECRET"), "{heard:#?}");
    }
}

#[test]
fn an_upgrade_that_was_accepted_is_told_whether_it_succeeds_or_not() {
    let heard = hear(async {
        let request = http::Request::get("/chat?token=SECRET")
            .header("host", "example.org")
            .header("upgrade", "websocket")
            .header("connection", "upgrade")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .extension(ConnectionInformation::new().remote_address("192.0.2.1:5000".parse().unwrap()))
            .body(())
            .unwrap();
        let accept = || {
            let request = wsduo::upgrade::detached(&request, &RequestControl::new()).unwrap();
            request.accept_message::<()>(&MessageWebSocketControl::new()).unwrap().1
        };
        drop(accept().over(tokio::io::duplex(1000).0, Vec::new()));
        assert_eq!(accept().await.unwrap_err().kind(), ErrorKind::Misuse);
    });
    assert_eq!(heard.one("opened").of_span("path"), Some("/chat"));
    let failed = heard.one("request_failed");
    assert_eq!(failed.fields.all(["outcome", "error_kind", "peer"]), ["other", "Misuse", "192.0.2.1:5000"]);
    for outcome in ["accepted", "other"] {
        let counted = heard.counter(&format!("wsduo_handshakes_total outcome={outcome} role=server"));
        assert_eq!(counted, Some(1), "{outcome}");
    }
    assert_eq!(heard.gauge("wsduo_connections_open role=server"), Some(0.0));
    assert!(!heard.text().contains("SECRET"), "{heard:#?}");
}

#[test]
fn what_fails_behind_a_proxy_is_told_of_the_client() {
    const HEADER: &str = "PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n";
    for (bytes, outcome, peer) in [
        (format!("{HEADER}nonsense\r\n\r\n"), "invalid", "192.0.2.1:5000"),
        (HEADER.to_owned(), "lost", "192.0.2.1:5000"),
        (HEADER.to_owned(), "timed_out", "192.0.2.1:5000"),
        ("PROXY nonsense\r\n".to_owned(), "invalid", "127.0.0.1"),
    ] {
        let heard = hear_network(async {
            let requests = RequestControl::new().timeout(Duration::from_millis(20));
            let builder = Listener::bind("127.0.0.1:0").requests(requests).proxy_protocol(["127.0.0.1"]);
            let listener = builder.await.unwrap();
            let mut client = TcpStream::connect(listener.local_address().unwrap()).await.unwrap();
            client.write_all(bytes.as_bytes()).await.unwrap();
            if outcome != "timed_out" {
                client.shutdown().await.unwrap();
            }
            assert!(listener.accept().await.request().await.is_err());
        });
        let failed = heard.one("request_failed");
        assert_eq!(failed.fields.get("outcome"), Some(outcome), "{bytes}");
        assert!(failed.fields.get("peer").unwrap().starts_with(peer), "{bytes}: {failed:?}");
    }
}

#[test]
fn accepting_that_fails_is_counted_each_time_and_told_once_a_second() {
    let heard = hear(async {
        let listener = deaf().await;
        let accepting = tokio::time::timeout(Duration::from_millis(2_490), listener.accept());
        assert!(accepting.await.is_err());
    });
    let told = heard.named("accept_failed");
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0].fields.get("lack"), Some("other"));
    assert!(told[0].fields.get("error").is_some());
    assert_eq!(heard.counter("wsduo_accept_errors_total lack=other"), Some(50));
}

#[test]
fn a_client_that_never_asks_is_told_as_timed_out() {
    let heard = hear(async {
        let (_near, far) = tokio::io::duplex(1000);
        let control = RequestControl::new().timeout(Duration::from_secs(3));
        let error = Request::from_transport(far, &control).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
    assert_eq!(heard.one("request_failed").fields.get("outcome"), Some("timed_out"));
    assert_eq!(heard.counter("wsduo_handshakes_total outcome=timed_out role=server"), Some(1));
}

#[test]
fn connecting_that_is_given_up_is_counted_as_cancelled() {
    let heard = hear(async {
        let (near, _far) = tokio::io::duplex(1000);
        let control = MessageWebSocketControl::new();
        let connecting = control.connect_over(near, "ws://example.org/");
        assert!(tokio::time::timeout(Duration::from_secs(3), connecting).await.is_err());
    });
    assert_eq!(heard.counter("wsduo_handshakes_total outcome=cancelled role=client"), Some(1));
    assert_eq!(heard.metrics.len(), 1, "{heard:#?}");
}

#[test]
fn what_a_server_drops_undecided_is_counted_as_cancelled() {
    let heard = hear_network(async {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_address().unwrap();
        let _clients =
            (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        drop(listener.accept().await);
        let incoming = listener.accept().await;
        let given_up = tokio::time::timeout(Duration::from_millis(1), incoming.request()).await;
        assert!(given_up.is_err());
    });
    assert_eq!(heard.counter("wsduo_handshakes_total outcome=cancelled role=server"), Some(2));
    assert!(heard.events.is_empty(), "{heard:#?}");
    let heard = ask("/", async |request| drop(request));
    assert_eq!(heard.counter("wsduo_handshakes_total outcome=cancelled role=server"), Some(1));
}

#[test]
fn a_server_that_never_answers_is_told_as_timed_out() {
    let heard = hear(async {
        let (near, _far) = tokio::io::duplex(1000);
        let control = MessageWebSocketControl::new().connect_timeout(Duration::from_secs(3));
        let error = control.connect_over(near, "ws://example.org/?SECRET").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
    let failed = heard.one("connect_failed");
    assert_eq!(failed.fields.all(["error_kind", "seconds", "status"]), ["TimedOut", "3.0", "-"]);
    assert_eq!(heard.counter("wsduo_handshakes_total outcome=timed_out role=client"), Some(1));
    assert!(!heard.text().contains("SECRET"));
}
