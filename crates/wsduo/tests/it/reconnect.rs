//! One socket after the other, over sockets of the system; the waits themselves are tested beside their code, on a clock that
//! stands still.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wsduo::{
    ClientTls, CloseCode, Credential, ErrorKind, Identity, Listener, MessageWebSocket,
    MessageWebSocketControl, Reconnect,
};

use crate::http_server::{HttpServer, OPEN, refusal};
use crate::support::{control, kind, text};

/// As fast as can be.
fn eager(uri: &str) -> Reconnect {
    Reconnect::new(control(), uri).first_delay(Duration::ZERO)
}

async fn accept(listener: &Listener) -> MessageWebSocket {
    let request = listener.accept().await.request().await.unwrap();
    request.accept_message(&MessageWebSocketControl::new()).await.unwrap()
}

async fn listening() -> (Listener, String) {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    (listener, uri)
}

#[tokio::test]
async fn each_socket_is_a_fresh_one() {
    let (listener, uri) = listening().await;
    let serving = tokio::spawn(async move {
        for number in 0..3 {
            let mut socket = accept(&listener).await;
            socket.send(number.to_string()).await.unwrap();
            if number == 1 {
                // The others are cut off.
                socket.close(CloseCode::GOING_AWAY, "restart").await.unwrap();
            }
        }
    });
    let mut reconnect = eager(&uri);
    for number in 0..3 {
        let mut socket = reconnect.next().await.unwrap();
        assert_eq!(socket.receive().await.unwrap(), Some(text(&number.to_string())));
        let end = socket.receive().await;
        assert_eq!(end.is_ok(), number == 1, "{end:?}");
        assert_eq!(socket.information().statistics().messages_received, 1);
    }
    serving.await.unwrap();
}

#[tokio::test]
async fn after_1008_there_is_no_next_socket() {
    for half in [false, true] {
        let (listener, uri) = listening().await;
        let serving = tokio::spawn(async move {
            let mut socket = accept(&listener).await;
            socket.close(CloseCode::POLICY_VIOLATION, "go\u{1b} away").await.unwrap();
        });
        let mut reconnect = eager(&uri);
        let mut socket = reconnect.next().await.unwrap();
        if half {
            let (mut receiver, _sender) = socket.split();
            assert_eq!(receiver.receive().await.unwrap(), None);
        } else {
            assert_eq!(socket.receive().await.unwrap(), None);
        }
        for _ in 0..2 {
            let error = reconnect.next().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
            assert!(error.to_string().contains("1008") && !error.to_string().contains('\u{1b}'), "{error}");
        }
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn statuses_that_will_not_change_are_not_tried_again() {
    for status in ["400 B", "401 U", "403 F", "404 N", "407 P", "410 G", "426 U"] {
        let mut server = HttpServer::answering(&[refusal(status, "", ""), OPEN.into()]).await;
        let mut reconnect = eager(&server.uri("/"));
        for _ in 0..2 {
            let error = reconnect.next().await.unwrap_err();
            assert!(status.starts_with(error.refusal().unwrap().status.as_str()), "{error}");
        }
        assert_eq!(server.take_heads().len(), 1, "{status}");
    }
    // Nor a credential that was not accepted.
    let challenge = refusal("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "");
    let mut server = HttpServer::answering(&[challenge.clone(), challenge, OPEN.into()]).await;
    let control = control().credential(Credential::new("ada", "wrong"));
    let mut reconnect = Reconnect::new(control, server.uri("/")).first_delay(Duration::ZERO);
    assert_eq!(kind(reconnect.next().await), ErrorKind::Refused);
    assert_eq!(server.take_heads().len(), 2);
}

#[tokio::test]
async fn statuses_that_may_change_are_tried_again() {
    let statuses = ["408 T", "425 E", "429 M", "500 I", "502 B", "503 S", "504 G", "200 O", "302 F"];
    let mut answers = statuses.map(|status| refusal(status, "", "")).to_vec();
    answers.extend(["nonsense\r\n\r\n".to_owned(), String::new(), OPEN.to_owned()]);
    let mut server = HttpServer::answering(&answers).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let mut reconnect = eager(&server.uri("/")).on_wait(move |waiting| {
        tell.lock().unwrap().push(waiting.error.as_ref().map(wsduo::Error::kind));
    });
    reconnect.next().await.unwrap();
    assert_eq!(server.take_heads().len(), answers.len());
    let told = told.lock().unwrap();
    assert_eq!(told.len(), answers.len() - 1);
    assert_eq!(told[..9], [Some(ErrorKind::Refused); 9]);
    assert_eq!(told[9..], [Some(ErrorKind::Handshake), Some(ErrorKind::Connect)]);
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_server_asks_for_is_kept() {
    for (headers, expected) in [
        ("Retry-After: 100\r\n", 100),
        ("Date: Fri, 31 Dec 1999 23:59:00 GMT\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", 59),
        ("Retry-After: soon\r\n", 0),
    ] {
        let answers = [refusal("503 Service Unavailable", headers, ""), OPEN.into()];
        let server = HttpServer::answering(&answers).await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let mut reconnect = eager(&server.uri("/"))
            .max_delay(Duration::from_secs(1))
            .on_wait(move |waiting| tell.lock().unwrap().push(waiting.delay.as_secs()));
        let begin = tokio::time::Instant::now();
        reconnect.next().await.unwrap();
        assert!(begin.elapsed().as_secs() >= expected);
        assert_eq!(*told.lock().unwrap(), [expected]);
    }
}

#[tokio::test]
async fn a_closed_port_is_tried_as_often_as_is_wanted() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", gone.local_addr().unwrap());
    drop(gone);
    let waits = Arc::new(Mutex::new(0));
    let count = Arc::clone(&waits);
    let mut reconnect = eager(&uri).max_attempts(4).on_wait(move |_| *count.lock().unwrap() += 1);
    assert_eq!(kind(reconnect.next().await), ErrorKind::Connect);
    assert_eq!(*waits.lock().unwrap(), 4);
    assert_eq!(kind(reconnect.next().await), ErrorKind::Connect);
    assert_eq!(*waits.lock().unwrap(), 8);
}

#[tokio::test]
async fn mistakes_of_the_caller_are_not_tried_again() {
    for uri in ["http://localhost/", "ws://a b/", "ws://user:secret@localhost/"] {
        assert_eq!(kind(eager(uri).next().await), ErrorKind::InvalidInput);
    }
    let mut reconnect = Reconnect::new(control().header("a b", "c"), "ws://localhost/");
    assert_eq!(kind(reconnect.next().await), ErrorKind::InvalidInput);
    assert_eq!(kind(reconnect.next().await), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_not_tried_again() {
    let identity = Identity::self_signed(["localhost"]).unwrap();
    let tls = ClientTls::new().add_roots(identity.certificate_pem().unwrap()).unwrap();
    let listener = Listener::bind("127.0.0.1:0").tls(identity).await.unwrap();
    let port = listener.local_address().unwrap().port();
    let uri = format!("wss://localhost:{port}/");
    let serving = tokio::spawn(async move {
        let mut sockets = Vec::new();
        loop {
            let Ok(request) = listener.accept().await.request().await else { continue };
            sockets.push(request.accept_message(&MessageWebSocketControl::new()).await);
        }
    });
    assert_eq!(kind(eager(&uri).next().await), ErrorKind::Tls);
    // Of another name.
    let control = control().tls(tls.clone());
    let mut reconnect = Reconnect::new(control.clone(), uri.replace("localhost", "127.0.0.1"));
    assert_eq!(kind(reconnect.next().await), ErrorKind::Tls);
    Reconnect::new(control, uri).next().await.unwrap();
    serving.abort();
    // But a server that goes away during TLS is.
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("wss://localhost:{}/", tcp.local_addr().unwrap().port());
    let serving = tokio::spawn(async move {
        loop {
            drop(tcp.accept().await);
        }
    });
    let waits = Arc::new(Mutex::new(0));
    let count = Arc::clone(&waits);
    let mut reconnect = eager(&uri).max_attempts(3).on_wait(move |_| *count.lock().unwrap() += 1);
    assert_eq!(kind(reconnect.next().await), ErrorKind::Tls);
    assert_eq!(*waits.lock().unwrap(), 3);
    serving.abort();
}

#[test]
fn it_shows_no_secret_and_can_be_sent_to_another_task() {
    fn check<T: Send + Sync + 'static>(_: &T) {}
    let control = control().credential(Credential::new("ada", "sesame"));
    let mut reconnect = Reconnect::new(control, "ws://127.0.0.1/");
    check(&reconnect);
    assert!(!format!("{reconnect:?}").contains("sesame"));
    fn is_send<T: Send>(_: T) {}
    is_send(reconnect.next());
}
