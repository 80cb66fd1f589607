//! Every refusal is a well-formed response of HTTP/1.1, and reaches a client that goes on sending.

use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wsduo::{Denial, ErrorKind, Listener, ListenerBuilder, MessageWebSocketControl, Request, RequestControl};
use wsduo_testing::Scripted;

use crate::support::{control, kind, soon};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

fn with(headers: &str) -> String {
    format!("{REQUEST}{headers}\r\n")
}

/// What an answer has to be, whatever refuses.
#[track_caller]
fn assert_well_formed(answer: &str, status: u16, headers: &[&str], body: &str) {
    let (head, content) = answer.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap();
    assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let lines: Vec<_> = lines.map(str::to_ascii_lowercase).collect();
    for line in &lines {
        assert!(line.contains(": ") && line.bytes().all(|b| (32..127).contains(&b)), "{line:?}");
    }
    let has = |wanted: &str| lines.iter().filter(|line| line.starts_with(wanted)).count();
    assert_eq!(has(&format!("content-length: {}", content.len())), 1, "{answer}");
    assert_eq!((has("content-length:"), has("connection: close")), (1, 1), "{answer}");
    assert_eq!((has("transfer-encoding"), has("sec-websocket-accept")), (0, 0), "{answer}");
    for header in headers {
        assert_eq!(has(header), 1, "{header} in {answer}");
    }
    assert!(content.contains(body), "{answer}");
    assert!(!content.contains('\x1b'), "{answer}");
}

/// A listener, what it is sent, and the status, headers and body of its answer.
type Case = (ListenerBuilder<&'static str>, String, u16, &'static [&'static str], &'static str);

/// Serves whatever gets so far, within the rules of the settings.
async fn serve(listener: &Listener) {
    let Ok(request) = listener.accept().await.request().await else { return };
    let deny = async |request: &Request| match request.path() {
        "/secret" => Err(Denial::new(StatusCode::UNAUTHORIZED)
            .header("www-authenticate", "Bearer")
            .body("a token is needed\n")),
        "/tea" => Err(StatusCode::IM_A_TEAPOT.into()),
        "/mistake" => Err(Denial::new(StatusCode::SWITCHING_PROTOCOLS)),
        _ => Ok(()),
    };
    if let Ok((request, ())) = request.authenticate(deny).await {
        let _ = request.accept_message(&MessageWebSocketControl::new().subprotocols(["ours"])).await;
    }
}

#[tokio::test]
async fn every_refusal_is_well_formed_and_reaches_a_client_that_goes_on_sending() {
    let default = || Listener::bind("127.0.0.1:0");
    let requests = |control: RequestControl| default().requests(control);
    let local = || RequestControl::new().allow_any_host();
    let good = with("");
    let many = "x-many: 1\r\n".repeat(200);
    let long = format!("x-long: {}\r\n", "x".repeat(20_000));
    let escape = "https://\u{1b}[2J".to_owned();
    let cases: Vec<Case> = vec![
        (default(), "hello\r\n\r\n".into(), 400, &[], "\n"),
        (default(), good.replace("Host: example.org\r\n", ""), 400, &[], "host"),
        (default(), good.replace("GET", "POST"), 405, &["allow: get"], "\n"),
        (default(), good.replace("HTTP/1.1", "HTTP/1.0"), 505, &[], "\n"),
        (default(), good.replace("Upgrade: websocket", "Upgrade: h2c"), 426, &["upgrade: websocket"], "\n"),
        (default(), good.replace("Version: 13", "Version: 8"), 426, &["sec-websocket-version: 13"], "\n"),
        (default(), with("Content-Length: 5\r\n"), 400, &[], "\n"),
        (default(), with("Transfer-Encoding: chunked\r\n"), 400, &[], "\n"),
        (default(), with(&many), 431, &[], "\n"),
        (default(), with(&long), 431, &[], "\n"),
        (requests(RequestControl::new().head_limits(100, 10)), good.clone(), 431, &[], "\n"),
        (
            requests(local()),
            with("Origin: https://evil.example\r\n"),
            403,
            &[],
            "evil.example may not connect",
        ),
        (requests(local()), with(&format!("Origin: {escape}\r\n")), 400, &[], "\n"),
        (default(), with("Origin: http://example.org\r\n"), 403, &[], "the host example.org"),
        (
            requests(RequestControl::new().allow_host("a.example")),
            good.clone(),
            403,
            &[],
            "the host example.org",
        ),
        (requests(local().require_subprotocol()), good.clone(), 400, &[], "ours"),
        (
            requests(local().require_subprotocol()),
            with("Sec-WebSocket-Protocol: theirs\r\n"),
            400,
            &[],
            "offers no subprotocol of this server: ours",
        ),
        (default(), good.replace("GET / ", "GET /secret "), 401, &["www-authenticate: bearer"], "a token"),
        (default(), good.replace("GET / ", "GET /tea "), 418, &[], "teapot"),
        (default(), good.replace("GET / ", "GET /mistake "), 500, &[], "\n"),
    ];
    for (builder, request, status, headers, body) in cases {
        let listener = builder.await.unwrap();
        let asking = async {
            let mut client = TcpStream::connect(listener.local_address().unwrap()).await.unwrap();
            client.write_all(request.as_bytes()).await.unwrap();
            // Unread by the server when it decides.
            client.write_all(&[b'x'; 30_000]).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            String::from_utf8(answer).unwrap()
        };
        let (answer, ()) = tokio::join!(asking, serve(&listener));
        assert_well_formed(&answer, status, headers, body);
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_handshake_is_for_deciding_too() {
    let (transport, handle) = Scripted::new(with(""));
    let requests = RequestControl::new().timeout(Duration::from_secs(7));
    let request = soon(Request::from_transport(transport, &requests)).await.unwrap();
    let begin = tokio::time::Instant::now();
    let decided = soon(request.authenticate(async |_: &Request<Scripted>| {
        std::future::pending::<()>().await;
        Ok(())
    }));
    assert_eq!(kind(decided.await), ErrorKind::TimedOut);
    // And a second for the client to read it.
    assert!((7..=8).contains(&begin.elapsed().as_secs()));
    assert_well_formed(&String::from_utf8(handle.written()).unwrap(), 503, &[], "\n");
    assert!(handle.counts().is_dropped);
}

#[tokio::test(start_paused = true)]
async fn deciding_can_be_given_up() {
    let (transport, handle) = Scripted::new(with(""));
    let request = soon(Request::from_transport(transport, &RequestControl::new())).await.unwrap();
    let guard = std::sync::Arc::new(());
    let held = std::sync::Arc::clone(&guard);
    let mut deciding = Box::pin(request.authenticate(async move |_: &Request<Scripted>| {
        let _held = held;
        std::future::pending::<Result<(), Denial>>().await
    }));
    assert!(crate::support::poll_once(&mut deciding).is_pending());
    drop(deciding);
    assert_eq!(std::sync::Arc::strong_count(&guard), 1);
    assert!(handle.counts().is_dropped && handle.written().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_denial_that_cannot_be_sent_is_the_callers_mistake() {
    let (transport, handle) = Scripted::new(with(""));
    handle.end();
    let request = soon(Request::from_transport(transport, &RequestControl::new())).await.unwrap();
    let denial = Denial::new(StatusCode::FORBIDDEN).header("x-line", "a\r\nb: c");
    let denied = soon(request.authenticate(async move |_: &Request<Scripted>| Err::<(), _>(denial)));
    assert_eq!(kind(denied.await), ErrorKind::InvalidInput);
    assert_well_formed(&String::from_utf8(handle.written()).unwrap(), 403, &[], "Forbidden");
}

#[tokio::test(start_paused = true)]
async fn a_subprotocol_of_the_servers_choice_is_enough_where_one_is_required() {
    let required = RequestControl::new().require_subprotocol();
    for (ours, chosen, agreed) in
        [(&["two"][..], None, Some("two")), (&[], Some("one"), Some("one")), (&["three"], None, None)]
    {
        let (transport, handle) = Scripted::new(with("Sec-WebSocket-Protocol: one, two\r\n"));
        handle.end();
        let mut request = soon(Request::from_transport(transport, &required)).await.unwrap();
        if let Some(chosen) = chosen {
            request = request.subprotocol(chosen);
        }
        let accepted = soon(request.accept_message(&control().subprotocols(ours.iter().copied()))).await;
        match agreed {
            Some(agreed) => assert_eq!(accepted.unwrap().information().subprotocol(), Some(agreed)),
            None => assert_eq!(kind(accepted), ErrorKind::Handshake),
        }
    }
}
