//! Failures as Windows names them, each met for real: spec of `WebErrorStatus` and `HRESULT`, cause by cause.

use std::io;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsduo::WebErrorStatus as Status;
use wsduo::{
    CloseCode, Error, ErrorKind, HResult, Listener, MessageType, MessageWebSocket, MessageWebSocketControl,
};
use wsduo_testing::wire;

use crate::support::{control, scripted_client, soon};

#[track_caller]
fn check(error: &Error, kind: ErrorKind, status: Status, hresult: u32) {
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!((error.web_error_status(), error.hresult()), (status, HResult(hresult)), "{error}");
    let shown = error.to_string();
    assert!(!shown.chars().any(char::is_control) && !shown.ends_with('.'), "{shown}");
    // Whoever prints the chain hears nothing twice.
    if let Some(source) = std::error::Error::source(error) {
        assert!(!shown.contains(&source.to_string()), "{shown} <- {source}");
    }
}

async fn connect(uri: &str) -> Error {
    MessageWebSocket::connect(uri).await.unwrap_err()
}

/// A server that reads a request, answers with these bytes and goes, with a reset or without.
async fn answered_with(answer: impl AsRef<[u8]>, reset: bool) -> Error {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", tcp.local_addr().unwrap());
    let answering = async {
        let (mut stream, _) = tcp.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_ref()).await.unwrap();
        if reset {
            stream.set_zero_linger().unwrap();
        }
    };
    tokio::join!(connect(&uri), answering).0
}

#[tokio::test]
async fn no_connection_comes_about() {
    check(&connect("ws://name.invalid/").await, ErrorKind::Resolve, Status::HostNameNotResolved, 0x8007_2EE7);
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = connect(&format!("ws://{gone}/")).await;
    check(&error, ErrorKind::Connect, Status::CannotConnect, 0x8007_2EFD);
    assert!(error.to_string().contains("it was refused; is the server running"), "{error}");
    let source = std::error::Error::source(&error).unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", silent.local_addr().unwrap());
    let error = control().connect_timeout(Duration::from_millis(50)).connect(&uri).await.unwrap_err();
    check(&error, ErrorKind::TimedOut, Status::Timeout, 0x8007_2EE2);
    let error = control().total_connect_timeout(Duration::from_millis(50)).connect(&uri).await.unwrap_err();
    check(&error, ErrorKind::TimedOut, Status::Timeout, 0x8007_2EE2);

    check(&answered_with("", false).await, ErrorKind::Connect, Status::ConnectionAborted, 0x8007_2EFE);
    check(&answered_with("", true).await, ErrorKind::Connect, Status::ConnectionReset, 0x8007_2EFF);
    let error = Listener::bind(silent.local_addr().unwrap()).await.unwrap_err();
    check(&error, ErrorKind::Listen, Status::Unknown, 0x8007_2740);
    assert!(error.to_string().contains("the address is in use; stop the other program"), "{error}");
}

#[tokio::test]
async fn the_server_answers_with_a_status() {
    for code in (200..600).filter(|code| ![204, 304].contains(code)) {
        let error = answered_with(format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\n\r\n"), false).await;
        let same = Status::ALL.into_iter().find(|status| code >= 300 && status.number() == code);
        let (status, hresult) = match (same, code) {
            (Some(same), _) => (same, 0x8019_0000 + u32::from(code)),
            (None, 300..400) => (Status::UnexpectedRedirection, 0x8019_0003),
            (None, 400..500) => (Status::UnexpectedClientError, 0x8019_0004),
            (None, 500..) => (Status::UnexpectedServerError, 0x8019_0005),
            (None, _) => (Status::UnexpectedStatusCode, 0x8019_0001),
        };
        check(&error, ErrorKind::Refused, status, hresult);
        assert!(error.to_string().contains(&code.to_string()), "{error}");
    }
}

#[tokio::test]
async fn the_answer_is_not_one() {
    let good = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    let answers = [
        "SSH-2.0-OpenSSH\r\n".to_owned(),
        format!("{good}\r\n"),
        format!("{good}Sec-WebSocket-Accept: AAAA\r\n\r\n"),
        "HTTP/1.1 101 X\r\n\r\n".to_owned(),
    ];
    for answer in answers {
        let error = answered_with(answer, false).await;
        check(&error, ErrorKind::Handshake, Status::ErrorHttpInvalidServerResponse, 0x8007_2F78);
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_connection_fails() {
    let failed_by = async |kind: io::ErrorKind| {
        let (mut socket, handle) = scripted_client([]);
        handle.fail_reads(kind);
        soon(socket.receive()).await.unwrap_err()
    };
    for (kind, status, hresult) in [
        (io::ErrorKind::ConnectionReset, Status::ConnectionReset, 0x8007_2EFF),
        (io::ErrorKind::ConnectionAborted, Status::ConnectionAborted, 0x8007_2EFE),
        (io::ErrorKind::BrokenPipe, Status::ConnectionAborted, 0x8007_2EFE),
        (io::ErrorKind::UnexpectedEof, Status::ConnectionAborted, 0x8007_2EFE),
        (io::ErrorKind::TimedOut, Status::Timeout, 0x8007_2EE2),
        (io::ErrorKind::NetworkUnreachable, Status::ServerUnreachable, 0x8007_2F84),
        (io::ErrorKind::HostUnreachable, Status::ServerUnreachable, 0x8007_2F84),
        (io::ErrorKind::NetworkDown, Status::Disconnected, 0x8007_2F83),
        (io::ErrorKind::Other, Status::ConnectionAborted, 0x8007_2EFE),
    ] {
        check(&failed_by(kind).await, ErrorKind::Lost, status, hresult);
    }
    let (mut socket, handle) = scripted_client([]);
    handle.end();
    let error = soon(socket.receive()).await.unwrap_err();
    check(&error, ErrorKind::Lost, Status::ConnectionAborted, 0x8007_2EFE);

    // A reserved opcode, bad UTF-8, a masked frame; then one that is too large.
    for frame in ["83 00", "81 01 ff", "81 81 00 00 00 00 00"] {
        let (mut socket, _handle) = scripted_client(wire::bytes(frame));
        let error = soon(socket.receive()).await.unwrap_err();
        check(&error, ErrorKind::Protocol, Status::ErrorHttpInvalidServerResponse, 0x8007_2F78);
    }
    let (mut socket, _handle) = scripted_client(wire::bytes("82 7f 00 00 00 01 00 00 00 00"));
    let error = soon(socket.receive()).await.unwrap_err();
    check(&error, ErrorKind::TooLarge, Status::ErrorHttpInvalidServerResponse, 0x8007_2F78);

    let (mut socket, _handle) = scripted_client([]);
    let error = soon(socket.receive()).await.unwrap_err();
    check(&error, ErrorKind::TimedOut, Status::Timeout, 0x8007_2EE2);
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_mistaken() {
    let (mut socket, _handle) = scripted_client([]);
    let error = soon(socket.close(CloseCode::new(12), "")).await.unwrap_err();
    check(&error, ErrorKind::InvalidInput, Status::Unknown, 0x8007_0057);
    socket.message_writer(MessageType::Text).write_all(b"x").await.unwrap();
    let error = soon(socket.send("y")).await.unwrap_err();
    check(&error, ErrorKind::Misuse, Status::Unknown, 0x8000_000E);

    let (mut socket, _handle) = scripted_client(wire::bytes("88 02 03 e8"));
    assert_eq!(soon(socket.receive()).await.unwrap(), None);
    let error = soon(socket.send("late")).await.unwrap_err();
    check(&error, ErrorKind::Closed, Status::Unknown, 0x8000_0013);

    for uri in ["", "http://localhost/", "ws://localhost/#x"] {
        check(&connect(uri).await, ErrorKind::InvalidInput, Status::Unknown, 0x8007_0057);
    }
    let bad = MessageWebSocketControl::new().header("a\nb", "c").connect("ws://localhost").await.unwrap_err();
    check(&bad, ErrorKind::InvalidInput, Status::Unknown, 0x8007_0057);
}

#[tokio::test]
async fn a_server_hears_of_it_in_the_same_words() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    let refusing = async {
        let request = listener.accept().await.request().await.unwrap();
        request.refuse_with(StatusCode::IM_A_TEAPOT, &HeaderMap::new(), "no").await.unwrap();
    };
    let (error, ()) = tokio::join!(connect(&uri), refusing);
    check(&error, ErrorKind::Refused, Status::UnexpectedClientError, 0x8019_0004);
}
