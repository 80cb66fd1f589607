//! The accepting side: requests that are accepted, refused, malformed, too slow or too many.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use wsduo::{
    CloseCode, Error, ErrorKind, Listener, MessageWebSocket, MessageWebSocketControl, Request, RequestControl,
};
use wsduo_testing::{Scripted, Slow, wire};

use crate::support::{control, kind, poll_once, soon, text};

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

fn request_with(headers: &str) -> String {
    format!("{REQUEST}{headers}\r\n")
}

/// What becomes of a request, and what the client is told.
async fn ask(
    bytes: impl AsRef<[u8]>,
    requests: &RequestControl,
) -> (Result<Request<Scripted>, Error>, String) {
    let (transport, handle) = Scripted::new(bytes.as_ref());
    handle.end();
    let result = soon(Request::from_transport(transport, requests)).await;
    (result, String::from_utf8_lossy(&handle.written()).into_owned())
}

async fn accepted(headers: &str, control: &MessageWebSocketControl) -> (MessageWebSocket<Scripted>, String) {
    let (transport, handle) = Scripted::new(request_with(headers));
    let request = soon(Request::from_transport(transport, &RequestControl::new())).await.unwrap();
    let socket = soon(request.accept_message(control)).await.unwrap();
    (socket, String::from_utf8(handle.written()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_request_can_be_looked_at_and_accepted() {
    let (result, _) = ask(
        request_with("Origin: http://example.org\r\nSec-WebSocket-Protocol: a, b\r\nX-Token: secret\r\n"),
        &RequestControl::new(),
    )
    .await;
    let request = result.unwrap();
    assert_eq!((request.path(), request.query(), request.host()), ("/chat", None, "example.org"));
    assert_eq!(request.origin(), Some("http://example.org"));
    assert_eq!(request.subprotocols(), ["a", "b"]);
    assert_eq!(request.headers()["x-token"], "secret");

    let (_, response) = accepted("", &control().header("server", "test")).await;
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    // RFC 6455 §1.3
    assert!(response.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{response}");
    assert!(response.to_ascii_lowercase().contains("server: test\r\n"), "{response}");
}

#[tokio::test(start_paused = true)]
async fn a_subprotocol_is_the_first_of_ours_that_the_client_offers() {
    let offer = "Sec-WebSocket-Protocol: one, two\r\n";
    for (ours, offered, agreed) in [
        (&["two", "one"][..], offer, Some("two")),
        (&["three", "one"], offer, Some("one")),
        (&["three"], offer, None),
        (&["one"], "", None),
        (&[], offer, None),
    ] {
        let (socket, response) = accepted(offered, &control().subprotocols(ours.iter().copied())).await;
        assert_eq!(socket.information().subprotocol(), agreed);
        assert_eq!(response.to_ascii_lowercase().contains("sec-websocket-protocol"), agreed.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_cannot_be_given_is_told_to_both() {
    for wrong in 0..4 {
        let (transport, handle) = Scripted::new(request_with("Sec-WebSocket-Protocol: one\r\n"));
        handle.end();
        let mut request = soon(Request::from_transport(transport, &RequestControl::new())).await.unwrap();
        let mut control = control();
        match wrong {
            0 => request = request.subprotocol("not offered"),
            1 => request = request.header("bad name", "x"),
            2 => request = request.header("x-name", "line\r\nbreak"),
            _ => control = control.header("connection", "close"),
        }
        assert_eq!(
            kind(soon(request.accept_message(&control)).await),
            ErrorKind::InvalidInput,
            "case {wrong}"
        );
        assert!(handle.written().starts_with(b"HTTP/1.1 500 "));
        assert!(handle.counts().is_dropped);
    }
}

#[tokio::test(start_paused = true)]
async fn frames_right_behind_the_request_are_received() {
    let mut bytes = request_with("").into_bytes();
    bytes.extend_from_slice(&wire::from_client("81 05 'hello' 81 05 'again'"));
    for one_by_one in [false, true] {
        let (transport, _handle) = Scripted::new(&*bytes);
        let chunk = if one_by_one { 1 } else { usize::MAX };
        let transport = Slow::with_chunks(transport, chunk, chunk);
        let request = soon(Request::from_transport(transport, &RequestControl::new())).await.unwrap();
        let mut socket = soon(request.accept_message(&control())).await.unwrap();
        assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("hello")));
        assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("again")));
        assert_eq!(socket.information().statistics().bytes_received, 22);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_of_other_origins_are_refused_unless_allowed() {
    let closed = RequestControl::new();
    let listed = RequestControl::new().allow_origin("https://app.example.net");
    let open = RequestControl::new().allow_any_origin();
    for (origin, by) in [
        ("", [true, true, true]),
        ("Origin: http://example.org\r\n", [true, true, true]),
        ("Origin: https://example.org\r\n", [true, true, true]),
        ("Origin: https://app.example.net\r\n", [false, true, true]),
        ("Origin: https://example.org.evil.example\r\n", [false, false, true]),
        ("Origin: https://example.org:8443\r\n", [false, false, true]),
        ("Origin: null\r\n", [false, false, true]),
    ] {
        for (requests, may) in [&closed, &listed, &open].into_iter().zip(by) {
            let (result, answer) = ask(request_with(origin), requests).await;
            assert_eq!(result.is_ok(), may, "{origin}");
            if !may {
                assert_eq!(kind(result), ErrorKind::Handshake);
                assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn junk_is_answered_with_what_is_wrong_with_it() {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let good = request_with("");
    let cases = [
        (good.replace(key, ""), "400"),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), "400"),
        (good.replace("Host: example.org\r\n", ""), "400"),
        (request_with("Host: other.example\r\n"), "400"),
        (request_with("Content-Length: 5\r\n"), "400"),
        (request_with("Transfer-Encoding: chunked\r\n"), "400"),
        (request_with(" folded: line\r\n"), "400"),
        (request_with("x-nul: \0\r\n"), "400"),
        (good.replace("GET", "POST"), "405"),
        (good.replace("Version: 13", "Version: 8"), "426"),
        (good.replace("Upgrade: websocket", "Upgrade: h2c"), "426"),
        (request_with(&"x-many: 1\r\n".repeat(101)), "431"),
        (request_with(&format!("x-long: {}\r\n", "x".repeat(20_000))), "431"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3} hello\r\n\r\n".into(), "400"),
        ("hello\r\n\r\n".into(), "400"),
    ];
    for (request, status) in cases {
        let (result, answer) = ask(&request, &RequestControl::new()).await;
        assert_eq!(kind(result), ErrorKind::Handshake, "{request:?}");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request:?} was answered with {answer:?}"
        );
        let answer = answer.to_ascii_lowercase();
        assert!(answer.contains("connection: close"), "{answer}");
        assert_eq!(answer.contains("sec-websocket-version: 13\r\n"), status == "426", "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_or_silent_is_told_apart() {
    for (bytes, ends) in
        [("", true), ("GET / HT", true), ("", false), ("GET / HTTP/1.1\r\nHost: a\r\n", false)]
    {
        let (transport, handle) = Scripted::new(bytes);
        if ends {
            handle.end();
        }
        let begin = Instant::now();
        let result = soon(Request::from_transport(transport, &RequestControl::new())).await;
        assert_eq!(kind(result), if ends { ErrorKind::Connect } else { ErrorKind::TimedOut });
        assert_eq!(begin.elapsed().as_secs(), if ends { 0 } else { 10 });
        assert!(handle.counts().is_dropped);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_for_the_whole_request_not_for_each_byte() {
    let (near, mut far) = tokio::io::duplex(100);
    let drip = tokio::spawn(async move {
        for byte in request_with("").bytes() {
            if far.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let requests = RequestControl::new().timeout(Duration::from_secs(7));
    let begin = Instant::now();
    assert_eq!(kind(soon(Request::from_transport(near, &requests)).await), ErrorKind::TimedOut);
    assert_eq!(begin.elapsed().as_secs(), 7);
    soon(drip).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_answer_is_not_waited_for_for_ever() {
    for accepts in [false, true] {
        let (transport, handle) = Scripted::new(request_with(""));
        let request = soon(Request::from_transport(transport, &RequestControl::new())).await.unwrap();
        handle.set_room(5);
        if accepts {
            assert!(soon(request.accept_message(&control())).await.is_err());
        } else {
            let _ = soon(request.refuse(StatusCode::FORBIDDEN)).await;
        }
        assert!(handle.counts().is_dropped);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_ends_the_transport() {
    let (transport, handle) = Scripted::new(request_with(""));
    drop(soon(Request::from_transport(transport, &RequestControl::new())).await.unwrap());
    assert!(handle.counts().is_dropped);
    assert!(handle.written().is_empty());
}

// What follows is over sockets of the system, which do not follow a stopped clock.

async fn listener() -> (Listener, String) {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    (listener, uri)
}

#[tokio::test]
async fn a_refused_client_gets_status_headers_and_body() {
    let (listener, uri) = listener().await;
    let refusing = async {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("120"));
        let request = listener.accept().await.request().await.unwrap();
        request
            .refuse_with(StatusCode::SERVICE_UNAVAILABLE, &headers, "full, come back later")
            .await
            .unwrap();
        listener.accept().await.request().await.unwrap().refuse(StatusCode::UNAUTHORIZED).await.unwrap();
    };
    let asking = async {
        let error = MessageWebSocket::connect(&uri).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        let refusal = error.refusal().unwrap();
        assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refusal.headers["retry-after"], "120");
        assert_eq!(refusal.body, b"full, come back later");
        assert!(error.to_string().contains("503"), "{error}");
        let error = MessageWebSocket::connect(&uri).await.unwrap_err();
        assert_eq!(error.refusal().unwrap().status, StatusCode::UNAUTHORIZED);
    };
    tokio::join!(refusing, asking);
}

#[tokio::test]
async fn client_and_server_agree_on_a_subprotocol_and_see_each_others_headers() {
    let (listener, uri) = listener().await;
    let serving = async {
        let request = listener.accept().await.request().await.unwrap();
        assert_eq!(request.subprotocols(), ["v2", "v1"]);
        assert_eq!(request.headers()["x-token"], "secret");
        assert!(request.remote_address().is_some());
        let accepting = request.subprotocol("v1").header("x-answer", "42");
        accepting.accept_message(&MessageWebSocketControl::new()).await.unwrap()
    };
    let control = MessageWebSocketControl::new().subprotocols(["v2", "v1"]).header("x-token", "secret");
    let (client, server) = tokio::join!(control.connect(&uri), serving);
    let client = client.unwrap();
    assert_eq!(client.information().subprotocol(), Some("v1"));
    assert_eq!(server.information().subprotocol(), Some("v1"));
    assert_eq!(client.information().response().unwrap().headers["x-answer"], "42");
    assert!(server.information().response().is_none());
}

#[tokio::test]
async fn no_more_connections_are_accepted_than_allowed() {
    let listener = Listener::bind("127.0.0.1:0").max_connections(2).await.unwrap();
    let address = listener.local_address().unwrap();
    let _clients = [
        TcpStream::connect(address).await,
        TcpStream::connect(address).await,
        TcpStream::connect(address).await,
    ];
    let first = listener.accept().await;
    let second = listener.accept().await;
    assert!(poll_once(listener.accept()).is_pending());
    drop(first);
    let third = listener.accept().await;
    assert!(poll_once(listener.accept()).is_pending());
    drop((second, third));
}

#[tokio::test]
async fn an_open_socket_counts_until_it_is_dropped() {
    let listener = Listener::bind("127.0.0.1:0").max_connections(1).await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    let control = MessageWebSocketControl::new();
    let accepting = async {
        let request = listener.accept().await.request().await.unwrap();
        request.accept_message(&control).await.unwrap()
    };
    let (client, mut server) = tokio::join!(MessageWebSocket::connect(&uri), accepting);
    let mut client = client.unwrap();
    assert!(poll_once(listener.accept()).is_pending());
    // Closed is not dropped.
    let (closed, received) = tokio::join!(client.close(CloseCode::NORMAL, ""), server.receive());
    assert!(closed.unwrap().clean);
    assert_eq!(received.unwrap(), None);
    assert!(poll_once(listener.accept()).is_pending());
    drop(server);
    let (_next, _incoming) =
        tokio::join!(TcpStream::connect(listener.local_address().unwrap()), listener.accept());
}

#[tokio::test]
async fn accepting_can_be_interrupted() {
    let (listener, uri) = listener().await;
    for _ in 0..10 {
        assert!(poll_once(listener.accept()).is_pending());
    }
    let accepting = async {
        let request = listener.accept().await.request().await.unwrap();
        request.accept_message(&MessageWebSocketControl::new()).await.unwrap()
    };
    let (client, _server) = tokio::join!(MessageWebSocket::connect(&uri), accepting);
    client.unwrap();
}

#[tokio::test]
async fn a_server_that_answers_strangely_is_told_as_what_it_is() {
    for (answer, expected) in [
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", ErrorKind::Handshake),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            ErrorKind::Handshake,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", ErrorKind::Refused),
        ("HTTP/1.1 302 Found\r\nLocation: ws://elsewhere\r\n\r\n", ErrorKind::Refused),
        ("HTTP/1.1 401", ErrorKind::Connect),
        ("", ErrorKind::Connect),
    ] {
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("ws://{}/", tcp.local_addr().unwrap());
        let answering = async {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut head = [0; 1000];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (result, ()) = tokio::join!(MessageWebSocket::connect(&uri), answering);
        assert_eq!(kind(result), expected, "{answer:?}");
    }
}

#[tokio::test]
async fn frames_right_behind_the_response_are_received() {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", tcp.local_addr().unwrap());
    let answering = async {
        let (mut stream, _) = tcp.accept().await.unwrap();
        let mut handshake = wsduo_proto::handshake::ServerHandshake::new(Default::default());
        let mut head = [0; 1000];
        let request = loop {
            let n = stream.read(&mut head).await.unwrap();
            if let Some(outcome) = handshake.receive(&head[..n]).unwrap() {
                break outcome.request;
            }
        };
        let mut response = request.accept(None, None, &HeaderMap::new()).unwrap();
        response.extend_from_slice(&wire::from_server("81 05 'hello' 88 00"));
        stream.write_all(&response).await.unwrap();
        stream
    };
    let (socket, stream) = tokio::join!(MessageWebSocket::connect(&uri), answering);
    let mut socket = socket.unwrap();
    assert_eq!(socket.receive().await.unwrap(), Some(text("hello")));
    drop(stream);
    assert_eq!(socket.receive().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn headers_of_the_control_and_of_the_request_are_both_sent() {
    let (near, mut far) = tokio::io::duplex(4 << 10);
    let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    far.write_all(head.as_bytes()).await.unwrap();
    let request = Request::from_transport(near, &RequestControl::new()).await.unwrap();
    let control = MessageWebSocketControl::new().header("set-cookie", "ours=1");
    drop(request.header("set-cookie", "theirs=2").accept_message(&control).await.unwrap());
    let mut response = String::new();
    far.read_to_string(&mut response).await.unwrap();
    assert!(response.contains("ours=1") && response.contains("theirs=2"), "{response}");
}
