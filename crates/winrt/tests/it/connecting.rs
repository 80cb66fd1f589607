//! Connecting: once, cancelled, refused, tried again (spec §9, §10.1, §14, §18).

use std::time::Duration;

use wsduo::http::StatusCode;
use wsduo::{CloseCode, MessageWebSocketControl as PeerControl};
use wsduo_winrt::{Error, MessageWebSocket, Platform, StreamWebSocket, WebErrorStatus};

use crate::support::{URI, code, connected, pipes, serve, soon, watched};

#[tokio::test(start_paused = true)]
async fn a_socket_once_connected_cannot_connect_again() {
    let (socket, seen, mut server) = connected().await;
    assert_eq!(code(soon(socket.connect(URI)).await), Error::ILLEGAL_METHOD_CALL);
    soon(server.close(CloseCode::NORMAL, "")).await.unwrap();
    seen.all(1).await;
    assert_eq!(code(soon(socket.connect(URI)).await), Error::ILLEGAL_METHOD_CALL);

    let (socket, _seen, _server) = connected().await;
    socket.close();
    assert_eq!(code(soon(socket.connect(URI)).await), Error::CLOSED);
}

#[tokio::test(start_paused = true)]
async fn a_socket_closed_before_it_connects_cannot_connect() {
    let socket = MessageWebSocket::new();
    let seen = watched(&socket);
    socket.close_with_status(1000, "").unwrap();
    assert_eq!(code(soon(socket.connect(URI)).await), Error::CLOSED);
    assert_eq!(seen.lines(), [""; 0], "there was no connection to be closed");
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_connect_settings_may_be_changed_and_connecting_tried_again() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = watched(&socket);
    socket.control().supported_protocols().append("chat.v9").unwrap();
    let server = serve(async move {
        servers.request().await.refuse(StatusCode::FORBIDDEN).await.unwrap();
        let request = servers.request().await;
        assert_eq!(request.subprotocols(), ["chat.v1"]);
        assert_eq!(request.headers()["x-try"], "2");
        request.subprotocol("chat.v1").accept_message(&PeerControl::new()).await.unwrap()
    });
    let error = soon(socket.connect(URI)).await.unwrap_err();
    assert_eq!((error.code().0, error.status()), (0x8019_0193, WebErrorStatus::Forbidden));
    assert_eq!(code(soon(socket.output_stream().flush()).await), Error::ILLEGAL_METHOD_CALL);

    socket.control().supported_protocols().clear().unwrap();
    socket.control().supported_protocols().append("chat.v1").unwrap();
    socket.control().set_max_message_size(1000).unwrap();
    socket.set_request_header("X-Try", "1").unwrap();
    socket.set_request_header("x-try", "2").unwrap();
    soon(socket.connect(URI)).await.unwrap();
    assert_eq!(socket.information().protocol().as_deref(), Some("chat.v1"));
    let mut server = soon(server).await.unwrap();
    soon(server.send("hello")).await.unwrap();
    assert_eq!(seen.all(1).await, ["text hello"]);
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_is_dropped_is_cancelled_and_may_be_tried_again() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    // As the original's samples have it: five seconds.
    let limited = tokio::time::timeout(Duration::from_secs(5), socket.connect(URI));
    assert!(soon(limited).await.is_err());
    let mut given_up = servers.transport().await;
    let mut rest = Vec::new();
    soon(tokio::io::AsyncReadExt::read_to_end(&mut given_up, &mut rest)).await.unwrap();

    let server = serve(async move { servers.accept().await });
    soon(socket.connect(URI)).await.unwrap();
    soon(server).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_late_cancel_is_harmless() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = watched(&socket);
    let server = serve(async move { servers.accept().await });
    let mut connecting = Box::pin(socket.connect(URI));
    soon(connecting.as_mut()).await.unwrap();
    drop(connecting);
    let mut server = soon(server).await.unwrap();
    soon(server.send("still there")).await.unwrap();
    assert_eq!(seen.all(1).await, ["text still there"]);
}

#[tokio::test(start_paused = true)]
async fn closing_breaks_off_connecting() {
    let (platform, mut servers) = pipes();
    let socket = StreamWebSocket::with_platform(&platform);
    let connecting = serve(socket.connect(URI));
    let _silent = servers.transport().await;
    assert_eq!(code(soon(socket.connect(URI)).await), Error::ILLEGAL_METHOD_CALL, "it connects already");
    socket.close();
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.status()), (Error::ABORT, WebErrorStatus::OperationCanceled));
    assert_eq!(code(soon(socket.connect(URI)).await), Error::CLOSED);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_a_timeout_after_60_seconds() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let begin = tokio::time::Instant::now();
    let connecting = serve(socket.connect(URI));
    let _silent = servers.transport().await;
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert_eq!((error.code().0, error.status()), (0x8007_2EE2, WebErrorStatus::Timeout));
    assert_eq!(begin.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn only_ws_and_wss_without_a_fragment_are_connected_to() {
    let socket = MessageWebSocket::new();
    for uri in [
        "http://server.example/",
        "https://server.example/",
        "ws://server.example/#part",
        "server.example",
        "",
        "ws://",
    ] {
        assert_eq!(code(soon(socket.connect(uri)).await), Error::INVALID_ARGUMENT, "{uri}");
    }
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let server = serve(async move { servers.accept().await });
    soon(socket.connect("WS://Server.Example/")).await.unwrap();
    soon(server).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn headers_of_the_handshake_are_not_the_callers_to_set() {
    let socket = MessageWebSocket::new();
    for name in [
        "Host",
        "connection",
        "Upgrade",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "",
        "a b",
        "a\r\nb",
    ] {
        assert_eq!(code(socket.set_request_header(name, "x")), Error::INVALID_ARGUMENT, "{name:?}");
    }
    assert_eq!(code(socket.set_request_header("x", "a\r\nb: c")), Error::INVALID_ARGUMENT);
    assert_eq!(code(socket.set_request_header("x", "a\0")), Error::INVALID_ARGUMENT);
}

#[tokio::test(start_paused = true)]
async fn other_headers_are_sent_as_they_are() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    for (name, value) in [
        ("Origin", "https://page.example"),
        ("Cookie", "a=b"),
        ("User-Agent", "replaced by the next"),
        ("User-Agent", "x"),
        ("Authorization", "Bearer y"),
    ] {
        socket.set_request_header(name, value).unwrap();
    }
    let server = serve(async move { servers.transport().await });
    let _connecting = serve(socket.connect(URI));
    let mut transport = soon(server).await.unwrap();
    let mut head = vec![0; 4096];
    let n = soon(tokio::io::AsyncReadExt::read(&mut transport, &mut head)).await.unwrap();
    let head = String::from_utf8_lossy(&head[..n]).to_lowercase();
    for line in ["origin: https://page.example", "cookie: a=b", "user-agent: x", "authorization: bearer y"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    assert!(!head.contains("replaced"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_known_is_told_as_such() {
    struct Nothing;
    impl wsduo::Resolver for Nothing {
        fn resolve<'a>(
            &'a self,
            _: &'a str,
            _: u16,
        ) -> wsduo::BoxFuture<'a, std::io::Result<Vec<std::net::SocketAddr>>> {
            Box::pin(async { Ok(Vec::new()) })
        }
    }
    let platform = Platform::new().control(PeerControl::new().resolver(Nothing)).proxy(wsduo::Proxy::none());
    let socket = MessageWebSocket::with_platform(&platform);
    let error = soon(socket.connect(URI)).await.unwrap_err();
    assert_eq!((error.code().0, error.status()), (0x8007_2EE7, WebErrorStatus::HostNameNotResolved));
}

#[tokio::test(start_paused = true)]
async fn before_connecting_there_is_nothing_known_and_nothing_to_use() {
    let (platform, _servers) = pipes();
    let socket = StreamWebSocket::with_platform(&platform);
    let information = socket.information();
    assert!(information.local_address().is_none() && information.protocol().is_none());
    assert!(information.server_certificate().is_none() && information.details().is_none());
    assert_eq!(information.bandwidth_statistics(), wsduo_winrt::BandwidthStatistics::default());
    assert_eq!(code(soon(socket.output_stream().flush()).await), Error::ILLEGAL_METHOD_CALL);
    assert_eq!(code(soon(socket.output_stream().write("x".into())).await), Error::ILLEGAL_METHOD_CALL);
    let read = socket.input_stream().read(1, wsduo_winrt::InputStreamOptions::NONE);
    assert_eq!(code(soon(read).await), Error::ILLEGAL_METHOD_CALL);
    // While it connects the same holds.
    let _connecting = serve(socket.connect(URI));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(code(soon(socket.output_stream().write("x".into())).await), Error::ILLEGAL_METHOD_CALL);
}
