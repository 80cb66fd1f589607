//! TLS between our own client and server, and what goes wrong with it. Over sockets of the system.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wsduo::{
    ClientTls, Error, ErrorKind, Identity, Listener, MessageWebSocket, MessageWebSocketControl,
    RequestControl, WebErrorStatus,
};

use crate::support::{kind, text};

/// A server for these names, its port, and a client that trusts it.
async fn server_for(names: &[&str]) -> (Listener, u16, ClientTls) {
    let identity = Identity::self_signed(names.iter().copied()).unwrap();
    let trusting = ClientTls::new().add_roots(identity.certificate_pem().unwrap()).unwrap();
    let listener = Listener::bind("127.0.0.1:0").tls(identity).await.unwrap();
    let port = listener.local_address().unwrap().port();
    (listener, port, trusting)
}

fn control(tls: ClientTls) -> MessageWebSocketControl {
    MessageWebSocketControl::new().tls(tls)
}

/// Connects, and returns what either side makes of it.
async fn meet(
    listener: &Listener,
    control: &MessageWebSocketControl,
    uri: &str,
) -> (Result<MessageWebSocket, Error>, Result<MessageWebSocket, Error>) {
    let serving = async {
        let request = listener.accept().await.request().await?;
        request.accept_message(&MessageWebSocketControl::new()).await
    };
    tokio::join!(control.connect(uri), serving)
}

#[tokio::test]
async fn a_certificate_is_trusted_when_its_root_was_added() {
    for names in [&["localhost"][..], &["127.0.0.1"]] {
        let (listener, port, trusting) = server_for(names).await;
        for tls in [trusting.clone(), trusting.clone().only_added_roots(), trusting.prepared().unwrap()] {
            let uri = format!("wss://{}:{port}/", names[0]);
            let (client, server) = meet(&listener, &control(tls), &uri).await;
            let (mut client, mut server) = (client.unwrap(), server.unwrap());
            client.send("hello").await.unwrap();
            assert_eq!(server.receive().await.unwrap(), Some(text("hello")));
            let information = client.information();
            let tls = information.tls().unwrap();
            assert!(tls.version.starts_with("TLSv1."), "{}", tls.version);
            assert!(!tls.cipher_suite.is_empty());
            assert_eq!(tls.certificates.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    let (listener, port, _) = server_for(&["localhost"]).await;
    let uri = format!("wss://localhost:{port}/");
    let (_, _, of_another) = server_for(&["localhost"]).await;
    for tls in [ClientTls::new(), of_another.clone(), of_another.only_added_roots()] {
        let (client, server) = meet(&listener, &control(tls), &uri).await;
        let error = client.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert!(!error.certificate_errors().is_empty(), "{error}");
        assert_eq!(kind(server), ErrorKind::Tls);
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (listener, port, trusting) = server_for(&["other.example"]).await;
    for host in ["localhost", "127.0.0.1"] {
        let uri = format!("wss://{host}:{port}/");
        let (client, server) = meet(&listener, &control(trusting.clone()), &uri).await;
        let error = client.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert_eq!(kind(server), ErrorKind::Tls);
    }
}

#[tokio::test]
async fn any_certificate_is_accepted_only_where_that_is_asked_for() {
    let (listener, port, _) = server_for(&["other.example"]).await;
    let tls = ClientTls::new().danger_accept_any_certificate();
    let (client, server) = meet(&listener, &control(tls), &format!("wss://127.0.0.1:{port}/")).await;
    client.unwrap();
    server.unwrap();
}

#[tokio::test]
async fn a_plain_client_at_a_tls_port() {
    let (listener, port, _) = server_for(&["localhost"]).await;
    let uri = format!("ws://localhost:{port}/");
    let (client, server) = meet(&listener, &MessageWebSocketControl::new(), &uri).await;
    let error = client.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake);
    assert!(error.to_string().contains("TLS") && !error.to_string().contains('\u{15}'), "{error}");
    let error = server.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.to_string().ends_with("clients of this port have to use wss"), "{error}");
}

#[tokio::test]
async fn a_tls_client_at_a_plain_port() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("wss://localhost:{}/", listener.local_address().unwrap().port());
    let (client, server) = meet(&listener, &MessageWebSocketControl::new(), &uri).await;
    let error = client.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.to_string().ends_with("use ws"), "{error}");
    let error = server.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake);
    assert!(error.to_string().contains("TLS"), "{error}");
}

/// A server that reads what a client says first, answers with these bytes, and goes: the error of the client.
async fn answered_with(answer: &[u8], reset: bool) -> Error {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("wss://localhost:{}/", tcp.local_addr().unwrap().port());
    let answering = async {
        let (mut stream, _) = tcp.accept().await.unwrap();
        let mut hello = [0; 4096];
        assert!(stream.read(&mut hello).await.unwrap() > 0);
        stream.write_all(answer).await.unwrap();
        if reset {
            stream.set_zero_linger().unwrap();
        }
    };
    let (client, ()) = tokio::join!(MessageWebSocket::connect(&uri), answering);
    client.unwrap_err()
}

/// An alert of this number.
fn alert(number: u8) -> [u8; 7] {
    [0x15, 3, 3, 0, 2, 2, number]
}

#[tokio::test]
async fn what_is_not_tls_is_told_in_a_line_of_its_own() {
    // A ServerHello of TLS 1.1 (RFC 4346): all zeros but the version and the cipher suite 0x002f.
    let mut old = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    old.extend([0; 33]);
    old.extend([0, 0x2f, 0]);
    let cases: [(&[u8], &str); 12] = [
        (
            b"",
            "the server ended the connection before it was agreed; is TLS spoken on this port? If not, use ws",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "what the server sent is not TLS; if the port speaks WebSocket",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what the server sent is not TLS"),
        (&[0; 100], "what the server sent is not TLS"),
        (&[0x16, 3, 3, 0, 4, 2, 0, 0, 0], "no proper TLS"),
        (&alert(40), "TLS alert HandshakeFailure (40): no cipher suite"),
        (&alert(70), "TLS alert ProtocolVersion (70): no version of TLS is common"),
        (&alert(80), "TLS alert InternalError (80): the log of the server may say why"),
        (&alert(112), "TLS alert UnrecognisedName (112): it has no certificate for this name"),
        (&alert(120), "TLS alert NoApplicationProtocol (120): it speaks none of the protocols"),
        (&alert(200), "TLS alert unknown (200)"),
        (&old, "its TLS is older than the least version allowed here"),
    ];
    for (answer, said) in cases {
        let error = answered_with(answer, false).await;
        let shown = error.to_string();
        assert!(shown.starts_with("TLS with localhost failed: ") && shown.contains(said), "{shown}");
        assert_eq!(error.kind(), ErrorKind::Tls, "{shown}");
        let (status, hresult) = match answer {
            b"" => (WebErrorStatus::ConnectionAborted, 0x8007_2EFE),
            _ => (WebErrorStatus::Unknown, 0x8007_2F7D),
        };
        assert_eq!((error.web_error_status(), error.hresult().0), (status, hresult), "{shown}");
    }
    let error = answered_with(b"", true).await;
    assert_eq!(error.to_string(), "TLS with localhost failed; the connection was lost: the peer reset it");
    assert_eq!((error.kind(), error.web_error_status()), (ErrorKind::Tls, WebErrorStatus::ConnectionReset));
}

#[tokio::test]
async fn the_deadline_of_the_server_covers_tls() {
    let identity = Identity::self_signed(["localhost"]).unwrap();
    let requests = RequestControl::new().timeout(Duration::from_millis(20));
    let listener = Listener::bind("127.0.0.1:0").tls(identity).requests(requests).await.unwrap();
    let _silent = TcpStream::connect(listener.local_address().unwrap()).await.unwrap();
    assert_eq!(kind(listener.accept().await.request().await), ErrorKind::TimedOut);
}

#[tokio::test]
async fn the_deadline_of_the_client_covers_tls() {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("wss://localhost:{}/", tcp.local_addr().unwrap().port());
    let control = MessageWebSocketControl::new().connect_timeout(Duration::from_millis(200));
    assert_eq!(kind(control.connect(&uri).await), ErrorKind::TimedOut);
    drop(tcp);
}

#[tokio::test]
async fn a_tls_connection_cut_off_is_a_loss() {
    // Without a close frame and without close_notify.
    let (listener, port, trusting) = server_for(&["localhost"]).await;
    let (client, server) = meet(&listener, &control(trusting), &format!("wss://localhost:{port}/")).await;
    let mut server = server.unwrap();
    server.send("before").await.unwrap();
    drop(server);
    let mut client = client.unwrap();
    assert_eq!(client.receive().await.unwrap(), Some(text("before")));
    let error = client.receive().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.web_error_status()),
        (ErrorKind::Lost, WebErrorStatus::ConnectionAborted)
    );
    assert!(!error.to_string().contains("http"), "{error}");
}

#[test]
fn pem_texts_that_are_none() {
    assert_eq!(kind(ClientTls::new().add_roots("nothing")), ErrorKind::InvalidInput);
    assert_eq!(kind(Identity::from_pem("nothing", "nothing")), ErrorKind::InvalidInput);
    let identity = Identity::self_signed(["localhost"]).unwrap();
    let certificate = identity.certificate_pem().unwrap();
    assert_eq!(kind(Identity::from_pem(certificate, "nothing")), ErrorKind::InvalidInput);
    assert_eq!(kind(Identity::from_pem_files("/no/such/file", "/no/such/file")), ErrorKind::InvalidInput);
}
