//! What goes wrong before a connection is open, each met for real: its kind, what Windows calls it, and its line, at once, and
//! within a bound of time. The whole table, with the tests of other files, is `docs/faults.md`.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wsduo::WebErrorStatus as Status;
use wsduo::{ClientTls, Credential, Error, ErrorKind, HResult, Identity, Listener};
use wsduo::{MessageWebSocket, MessageWebSocketControl, Proxy};
use wsduo_proto::handshake::key;

use crate::http_server::{HttpServer, OPEN, Then, redirect, refusal};
use crate::support::{control, kind};

/// By far more than anything here takes.
const BOUND: Duration = Duration::from_secs(30);

/// What Windows calls a failure.
type InWindows = (Status, u32);

const CANNOT_CONNECT: InWindows = (Status::CannotConnect, 0x8007_2EFD);
const TIMEOUT: InWindows = (Status::Timeout, 0x8007_2EE2);
const INVALID: InWindows = (Status::ErrorHttpInvalidServerResponse, 0x8007_2F78);
const ABORTED: InWindows = (Status::ConnectionAborted, 0x8007_2EFE);
const RESET: InWindows = (Status::ConnectionReset, 0x8007_2EFF);

#[track_caller]
fn check(error: &Error, kind: ErrorKind, in_windows: InWindows, line: &str) {
    let seen = (error.web_error_status(), error.hresult());
    assert_eq!((error.kind(), seen), (kind, (in_windows.0, HResult(in_windows.1))), "{error}");
    let shown = error.to_string();
    assert!(shown.contains(line), "{line:?} was expected: {shown}");
    assert!(!shown.contains(char::is_control) && !shown.ends_with('.') && shown.len() < 1000, "{shown:?}");
}

async fn fails(control: &MessageWebSocketControl, uri: &str) -> Error {
    tokio::time::timeout(BOUND, control.connect(uri)).await.expect("takes too long").unwrap_err()
}

/// A server, or a proxy, that reads what it is sent first, answers each with these bytes and goes, with a reset or without:
/// its place.
async fn answering(answer: &[u8], reset: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let answer = answer.to_vec();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            assert!(stream.read(&mut asked).await.unwrap() > 0);
            stream.write_all(&answer).await.unwrap();
            if reset {
                stream.set_zero_linger().unwrap();
            }
        }
    });
    place
}

/// Where nobody listens.
async fn nobody() -> String {
    TcpListener::bind("127.0.0.2:0").await.unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn no_address_answers() {
    let place = nobody().await;
    let port = place.rsplit(':').next().unwrap().parse().unwrap();
    let five = (2..7).map(|last| IpAddr::from([127, 0, 0, last]));
    let error =
        fails(&control().resolve("five.example", port, five), &format!("ws://five.example:{port}/")).await;
    let line =
        format!("cannot connect to five.example:{port} by any of 5 addresses, the last: it was refused");
    check(&error, ErrorKind::Connect, CANNOT_CONNECT, &line);
    // An address for documentation (RFC 5737), which no machine has.
    let elsewhere = control().local_address(IpAddr::from([192, 0, 2, 1]));
    let error = fails(&elsewhere, &format!("ws://{place}/")).await;
    check(&error, ErrorKind::Connect, CANNOT_CONNECT, "cannot use the local address 192.0.2.1: ");
    let name = (Status::HostNameNotResolved, 0x8007_2EE7);
    let error = fails(&control(), "ws://name.invalid/").await;
    check(&error, ErrorKind::Resolve, name, "cannot find an address of \"name.invalid\": ");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_go_on() {
    let half = "HTTP/1.1 101 Switching Protocols\r\nUpgr";
    for (answer, then) in [("", Then::Keep), (half, Then::Keep), ("HTTP/1.1 101 ", Then::Drip)] {
        let server = HttpServer::answering_and_then(answer.into(), then).await;
        let error = control().connect_timeout(Duration::from_secs(9)).connect(&server.uri("/")).await;
        let line = "the opening handshake took longer than 9s";
        check(&error.unwrap_err(), ErrorKind::TimedOut, TIMEOUT, line);
    }
}

#[tokio::test]
async fn a_port_that_speaks_something_else() {
    for (answer, line) in [
        (&b"SSH-2.0-OpenSSH_9.6\r\n"[..], "peer sent SSH where HTTP/1.1 was expected"),
        (b"\x15\x03\x01\0\x02\x02\x46", "peer sent TLS (one side uses wss, the other ws)"),
        (b"\0\0\x12\x04\0\0\0\0\0", "peer sent HTTP/2 where HTTP/1.1 was expected"),
        (b"\x1b]0;owned\x07", "peer sent \"\\u{1b}\" where HTTP/1.1 was expected"),
    ] {
        let error = fails(&control(), &format!("ws://{}/", answering(answer, false).await)).await;
        check(&error, ErrorKind::Handshake, INVALID, line);
    }
}

#[tokio::test]
async fn a_server_that_does_not_accept_the_certificate_of_the_client() {
    // RFC 8446 §6.2: bad, unsupported, revoked, expired, unknown certificate; unknown authority; access denied.
    for (alert, name) in [
        (42, "BadCertificate"),
        (43, "UnsupportedCertificate"),
        (44, "CertificateRevoked"),
        (45, "CertificateExpired"),
        (46, "CertificateUnknown"),
        (48, "UnknownCA"),
        (49, "AccessDenied"),
    ] {
        let place = answering(&[0x15, 3, 3, 0, 2, 2, alert], false).await;
        let error = fails(&control(), &format!("wss://{place}/")).await;
        let line = format!(
            "TLS with 127.0.0.1 failed: the server refused with the TLS alert {name} ({alert}): it does not \
             accept the certificate of this client; give another identity"
        );
        check(&error, ErrorKind::Tls, (Status::Unknown, 0x8007_2F7D), &line);
    }
    let place = answering(&[0x15, 3, 3, 0, 2, 2, 116], false).await;
    let error = fails(&control(), &format!("wss://{place}/")).await;
    let line = "it requires a certificate of the client; give it an identity";
    check(&error, ErrorKind::Tls, (Status::Unknown, 0x8007_2F0C), line);
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel() {
    let through = |place: &str| control().proxy(Proxy::new(&format!("http://{place}")).unwrap());
    let ask = "HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n";
    for (answer, in_windows, line) in [
        ("HTTP/1.1 403 x\r\n\r\n", (Status::Forbidden, 0x8019_0193), "proxy answered 403 Forbidden"),
        ("HTTP/1.1 502 x\r\n\r\n", (Status::BadGateway, 0x8019_01F6), "proxy answered 502 Bad Gateway"),
        (ask, (Status::ProxyAuthenticationRequired, 0x8019_0197), "with proxy-authenticate \"Negotiate\""),
        ("SSH-2.0-OpenSSH\r\n", INVALID, "sent SSH where HTTP/1.1 was expected"),
        ("HTTP/1.1 200 O", ABORTED, "ended the connection before it had answered"),
    ] {
        let place = answering(answer.as_bytes(), false).await;
        let error = fails(&through(&place), "ws://server.example/").await;
        check(&error, ErrorKind::Proxy, in_windows, line);
        assert!(error.to_string().contains(&place), "{error}");
    }
    let error = fails(&through(&answering(b"", true).await), "ws://server.example/").await;
    check(&error, ErrorKind::Proxy, RESET, "was lost: the peer reset it");
    let place = nobody().await;
    let error = fails(&through(&place), "ws://server.example/").await;
    let line = format!("cannot use the proxy http://{place}: cannot connect to {place}: it was refused");
    check(&error, ErrorKind::Proxy, CANNOT_CONNECT, &line);

    // It asks, and there is no answer to that.
    let place = answering(ask.as_bytes(), false).await;
    let proxy = Proxy::new(&format!("http://{place}")).unwrap().credential(Credential::new("ada", "sesame"));
    let error = fails(&control().proxy(proxy), "ws://server.example/").await;
    let line = format!("; cannot log in at the proxy http://{place}: no scheme of authentication known here");
    check(&error, ErrorKind::Proxy, (Status::ProxyAuthenticationRequired, 0x8019_0197), &line);
    assert_eq!(error.refusal().unwrap().status, 407);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::new(&format!("http://{}", silent.local_addr().unwrap())).unwrap();
    let control = control().proxy(proxy).connect_timeout(Duration::from_secs(9));
    let error = control.connect("ws://server.example/").await.unwrap_err();
    check(&error, ErrorKind::TimedOut, TIMEOUT, "the answer of the proxy http://127.0.0.1:");
}

#[tokio::test]
async fn a_redirect_that_is_not_followed() {
    let failed = (Status::RedirectFailed, 0x8007_2F7C);
    let follows = control().redirects(2);
    for (answer, line) in [
        (redirect("/again"), "2 redirects were followed, the limit"),
        (redirect("file:///etc/passwd"), "a redirect to file is not followed"),
        (redirect("ws://user:sesame@127.0.0.1/"), "user name or password"),
        (refusal("302 Found", "", ""), "the redirect does not say where to"),
    ] {
        let server = HttpServer::answering(&vec![answer; 3]).await;
        check(&fails(&follows, &server.uri("/")).await, ErrorKind::Refused, failed, line);
    }
    // Where none is followed, and where it is none, the status is what there is to say.
    let server = HttpServer::answering(&[redirect("/x"), refusal("304 Not Modified", "", "")]).await;
    let error = fails(&control(), &server.uri("/")).await;
    check(&error, ErrorKind::Refused, (Status::Found, 0x8019_012E), "302 Found where 101");
    let error = fails(&follows, &server.uri("/")).await;
    check(&error, ErrorKind::Refused, (Status::NotModified, 0x8019_0130), "304 Not Modified");

    let identity = Identity::self_signed(["localhost"]).unwrap();
    let tls = ClientTls::new().add_roots(identity.certificate_pem().unwrap()).unwrap();
    let listener = Listener::bind("127.0.0.1:0").tls(identity).await.unwrap();
    let uri = format!("wss://localhost:{}/", listener.local_address().unwrap().port());
    let redirecting = async {
        let request = listener.accept().await.request().await.unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("location", "ws://localhost/".parse().unwrap());
        // The client may go without a word once it has read the status.
        let _ = request.refuse_with(http::StatusCode::FOUND, &headers, "").await;
    };
    let follows = follows.tls(tls);
    let (error, ()) = tokio::join!(fails(&follows, &uri), redirecting);
    let to_insecure = (Status::HttpsToHttpOnRedirection, 0x8007_2F08);
    check(&error, ErrorKind::Refused, to_insecure, "a redirect from wss to ws is not followed");
}

#[tokio::test]
async fn a_challenge_that_is_not_answered() {
    let unauthorized = (Status::Unauthorized, 0x8019_0191);
    for (headers, line) in [
        ("WWW-Authenticate: Negotiate\r\n", "; no scheme of authentication known here"),
        ("WWW-Authenticate: Basic realm=\"x\"\r\n", "; the credential was not accepted"),
    ] {
        let server = HttpServer::answering(&vec![refusal("401 Unauthorized", headers, ""); 2]).await;
        let control = control().credential(Credential::new("ada", "sesame"));
        check(&fails(&control, &server.uri("/")).await, ErrorKind::Refused, unauthorized, line);
    }
}

#[tokio::test]
async fn an_answer_of_101_that_is_wrong() {
    for (headers, line) in [
        ("Sec-WebSocket-Accept: AAAA", "sec-websocket-accept"),
        ("Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Accept: {accept}", "sec-websocket-accept"),
        ("Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: not-asked-for", "\"not-asked-for\""),
        ("Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: nonsense", "nonsense"),
    ] {
        let answer = OPEN.replace("Sec-WebSocket-Accept: {accept}", headers);
        let server = HttpServer::answering(&[answer]).await;
        check(&fails(&control(), &server.uri("/")).await, ErrorKind::Handshake, INVALID, line);
    }
    for (from, to) in [("Upgrade: websocket\r\n", ""), ("Connection: Upgrade\r\n", ""), ("websocket", "h2c")]
    {
        let server = HttpServer::answering(&[OPEN.replace(from, to)]).await;
        check(&fails(&control(), &server.uri("/")).await, ErrorKind::Handshake, INVALID, "");
    }
}

/// A server that agrees, sends these bytes over TLS, and says `close_notify` without a Close frame: the client.
async fn notified(frames: &'static [u8]) -> MessageWebSocket {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private_key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], private_key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
    let serving = async {
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let asked = crate::http_server::header(&head, "sec-websocket-key").unwrap();
        stream.write_all(OPEN.replace("{accept}", &key::accept(asked)).as_bytes()).await.unwrap();
        stream.write_all(frames).await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    };
    let control = control().tls(ClientTls::new().add_roots(made.cert.pem()).unwrap());
    let (client, _server) = tokio::join!(control.connect(&uri), serving);
    client.unwrap()
}

#[tokio::test]
async fn close_notify_takes_no_closing_handshakes_place() {
    let line = "the peer ended the connection without a closing handshake";
    let mut socket = notified(b"").await;
    check(&socket.receive().await.unwrap_err(), ErrorKind::Lost, ABORTED, line);
    // A whole message comes through; one that lacks its end does not, not even in part.
    let mut socket = notified(b"\x81\x01a\x01\x02bc").await;
    assert_eq!(socket.receive().await.unwrap(), Some("a".into()));
    check(&socket.receive().await.unwrap_err(), ErrorKind::Lost, ABORTED, line);
    assert_eq!(kind(socket.send("too late").await), ErrorKind::Lost);
}
