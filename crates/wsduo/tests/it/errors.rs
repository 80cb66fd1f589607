//! Errors: small, of every kind there is, one line each, and with nothing in them that drives a terminal.

use std::time::Duration;

use http::StatusCode;
use wsduo::{
    CloseCode, Error, ErrorKind, Listener, MessageType, MessageWebSocket, MessageWebSocketControl, Role,
};
use wsduo_testing::{Scripted, wire};

use crate::support::{control, noise, scripted_client, scripted_server, soon};

#[test]
fn an_error_is_one_word() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}

#[track_caller]
fn check(error: &Error, kind: ErrorKind) {
    assert_eq!(error.kind(), kind, "{error}");
    for shown in [error.to_string(), std::io::Error::from(error.clone()).to_string()] {
        assert!(!shown.is_empty());
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert!(!shown.ends_with('.') && shown.len() < 1000, "{shown:?}");
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        source = cause.source();
    }
    assert!(format!("{error:?}").contains(&format!("{kind:?}")));
    assert_eq!(error.clone().kind(), kind);
}

#[tokio::test(start_paused = true)]
async fn every_kind_is_reached_on_an_open_connection() {
    let (mut socket, handle) = scripted_client(wire::bytes("83 00"));
    handle.end();
    check(&soon(socket.receive()).await.unwrap_err(), ErrorKind::Protocol);

    let (transport, handle) = Scripted::new(wire::bytes("82 05 'hello'"));
    handle.end();
    let mut socket = control().max_message_size(4).from_transport(transport, Role::Client);
    let error = soon(socket.receive()).await.unwrap_err();
    check(&error, ErrorKind::TooLarge);
    // What was seen and what was allowed.
    assert!(error.to_string().contains('5') && error.to_string().contains('4'), "{error}");

    let (mut socket, handle) = scripted_client(wire::bytes("82 05"));
    handle.end();
    check(&soon(socket.receive()).await.unwrap_err(), ErrorKind::Lost);

    let (mut socket, handle) = scripted_client([]);
    handle.fail_reads(std::io::ErrorKind::ConnectionReset);
    let error = soon(socket.receive()).await.unwrap_err();
    check(&error, ErrorKind::Lost);
    assert!(std::error::Error::source(&error).is_some());

    let (mut socket, _handle) = scripted_client([]);
    check(&soon(socket.receive()).await.unwrap_err(), ErrorKind::TimedOut);

    let (mut socket, _handle) = scripted_client([]);
    check(&soon(socket.close(CloseCode::new(12), "")).await.unwrap_err(), ErrorKind::InvalidInput);
    tokio::io::AsyncWriteExt::write_all(&mut socket.message_writer(MessageType::Text), b"x").await.unwrap();
    check(&soon(socket.send("y")).await.unwrap_err(), ErrorKind::Misuse);

    let (mut socket, _handle) = scripted_client(wire::frame(0x82, noise(100_000)));
    check(&soon(socket.ping()).await.unwrap_err(), ErrorKind::Busy);
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_chose_is_escaped() {
    let (mut socket, _handle) = scripted_server(wire::from_client("88 09 0f a1 1b '[2J' 0d 0a 07"));
    assert_eq!(soon(socket.receive()).await.unwrap(), None);
    let error = soon(socket.send("x")).await.unwrap_err();
    check(&error, ErrorKind::Closed);
    assert!(error.to_string().contains(r"\u{1b}[2J\r\n"), "{error}");
}

// Over sockets of the system, which do not follow a stopped clock.
#[tokio::test]
async fn every_kind_is_reached_on_the_way_to_a_connection() {
    let connect = async |uri: &str| MessageWebSocket::connect(uri).await.unwrap_err();
    for uri in
        ["", "example.org", "http://example.org", "ws://", "ws://a b/", "ws://a/#fragment", "ws://a:99999/"]
    {
        check(&connect(uri).await, ErrorKind::InvalidInput);
    }
    let bad_header = MessageWebSocketControl::new().header("a\nb", "c");
    check(&bad_header.connect("ws://localhost").await.unwrap_err(), ErrorKind::InvalidInput);
    let bad_value = MessageWebSocketControl::new().header("a", "b\r\nc: d");
    check(&bad_value.connect("ws://localhost").await.unwrap_err(), ErrorKind::InvalidInput);
    let reserved = MessageWebSocketControl::new().header("sec-websocket-key", "x");
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    check(&reserved.connect(&uri).await.unwrap_err(), ErrorKind::InvalidInput);

    let total = MessageWebSocketControl::new().total_connect_timeout(Duration::from_millis(20));
    check(&total.connect(&uri).await.unwrap_err(), ErrorKind::TimedOut);

    let refusing = tokio::spawn(async move {
        loop {
            let Ok(request) = listener.accept().await.request().await else { continue };
            let body = "\u{1b}]0;owned\u{7} line\nbreak";
            let _ = request.refuse_with(StatusCode::FORBIDDEN, &http::HeaderMap::new(), body).await;
        }
    });
    check(&connect(&uri).await, ErrorKind::Refused);
    refusing.abort();

    let gone = {
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        tcp.local_addr().unwrap()
    };
    check(&connect(&format!("ws://{gone}/")).await, ErrorKind::Connect);
    check(&connect("ws://name.invalid/").await, ErrorKind::Resolve);
}

#[test]
fn a_password_in_a_uri_is_not_shown() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(MessageWebSocket::connect("ws://user:secret@name.invalid:1/")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}
