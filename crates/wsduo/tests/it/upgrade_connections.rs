//! What becomes of the connection behind an upgrade: its first bytes, its loss, its drop, and what it is made of.

use std::convert::Infallible;
use std::future::{IntoFuture, pending};
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use wsduo::upgrade::{Refusal, upgrade};
use wsduo::{ErrorKind, MessageWebSocketInformation};
use wsduo_testing::wire;

use crate::authority::{Authority, params};
use crate::support::{control, kind, poll_once, soon, text};
use crate::upgrade::{REQUEST, answer, hyper_server};

/// A request with two frames right behind it.
fn hasty() -> Vec<u8> {
    let mut bytes = format!("{REQUEST}\r\n").into_bytes();
    bytes.extend_from_slice(&wire::from_client("81 05 'hello' 81 05 'again'"));
    bytes
}

/// Takes two messages, and tells what it knows of the connection.
fn take_two(
    request: &mut Request<Incoming>,
    told: mpsc::UnboundedSender<MessageWebSocketInformation>,
) -> Response<Full<Bytes>> {
    let accepted = upgrade(request).and_then(|request| request.accept_message(&control()));
    let Ok((response, pending)) = accepted else { return accepted.unwrap_err().into() };
    tokio::spawn(async move {
        let mut socket = pending.await.unwrap();
        for expected in ["hello", "again"] {
            assert_eq!(socket.receive().await.unwrap(), Some(text(expected)));
        }
        told.send(socket.information()).unwrap();
    });
    response
}

#[tokio::test(start_paused = true)]
async fn frames_right_behind_the_request_are_received() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let mut client = hyper_server(move |request| Ok(take_two(request, told.clone())));
    client.write_all(&hasty()).await.unwrap();
    let information = soon(heard.recv()).await.unwrap();
    assert_eq!(information.remote_address(), None);
}

#[tokio::test]
async fn a_tcp_connection_is_unwrapped_with_the_frames_that_were_read_already() {
    for is_auto in [false, true] {
        let (told, mut heard) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let io = TokioIo::new(listener.accept().await.unwrap().0);
            let service = service_fn(move |mut request| {
                let response = take_two(&mut request, told.clone());
                async move { Ok::<_, Infallible>(response) }
            });
            if is_auto {
                let server = auto::Builder::new(TokioExecutor::new());
                server.serve_connection_with_upgrades(io, service).await.unwrap();
            } else {
                http1::Builder::new().serve_connection(io, service).with_upgrades().await.unwrap();
            }
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&hasty()).await.unwrap();
        let information = soon(heard.recv()).await.unwrap();
        // Known only where nothing is left around the connection.
        assert_eq!(information.remote_address(), Some(client.local_addr().unwrap()), "auto: {is_auto}");
        assert_eq!(information.local_address(), Some(address));
        // The 101 was sent before it.
        assert!(answer(&mut client).await.0.starts_with("HTTP/1.1 101 "));
    }
}

#[tokio::test]
async fn what_the_control_says_of_tcp_is_set_on_a_connection_that_is_taken_over() {
    for no_delay in [false, true] {
        let (told, mut heard) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let tcp = listener.accept().await.unwrap().0.into_std().unwrap();
            let same = tcp.try_clone().unwrap();
            // The server around has its own idea.
            tcp.set_nodelay(!no_delay).unwrap();
            let io = TokioIo::new(TcpStream::from_std(tcp).unwrap());
            let service = service_fn(move |mut request: Request<Incoming>| {
                let control = control().no_delay(no_delay);
                let (response, pending) = upgrade(&mut request).unwrap().accept_message(&control).unwrap();
                let (told, same) = (told.clone(), same.try_clone().unwrap());
                tokio::spawn(async move {
                    let _socket = pending.await.unwrap();
                    told.send(same.nodelay().unwrap()).unwrap();
                });
                async move { Ok::<_, Infallible>(response.map(|()| Full::<Bytes>::default())) }
            });
            http1::Builder::new().serve_connection(io, service).with_upgrades().await.unwrap();
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
        assert_eq!(soon(heard.recv()).await, Some(no_delay));
    }
}

#[tokio::test]
async fn it_works_over_tls_of_the_servers_own() {
    let root = Authority::new("root");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = root.issue_key(&params("localhost"), &key);
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let tls = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let echo = crate::upgrade::echo(control());
        let service = service_fn(move |mut request| {
            let response = echo(&mut request).unwrap_or_else(Refusal::into_response);
            async move { Ok::<_, Infallible>(response) }
        });
        http1::Builder::new().serve_connection(TokioIo::new(tls), service).with_upgrades().await
    });
    let control = control().tls(root.trusted());
    let mut socket = control.connect(&format!("wss://localhost:{port}/")).await.unwrap();
    socket.send("hello").await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), Some(text("hello")));
}

/// A server whose service does not answer, and what becomes of the socket it was to have.
fn unanswering() -> (tokio::io::DuplexStream, mpsc::UnboundedReceiver<ErrorKind>) {
    let (told, heard) = mpsc::unbounded_channel();
    let (near, far) = tokio::io::duplex(64 << 10);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (_, socket) = upgrade(&mut request).unwrap().accept_message::<()>(&control()).unwrap();
        let told = told.clone();
        tokio::spawn(async move { told.send(kind(socket.await)) });
        pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    tokio::spawn(async move {
        http1::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades().await
    });
    (near, heard)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_before_the_response_is_told_as_lost() {
    let (mut client, mut heard) = unanswering();
    client.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
    crate::support::settle().await;
    drop(client);
    assert_eq!(soon(heard.recv()).await, Some(ErrorKind::Connect));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_never_sent_is_waited_for_no_longer_than_the_send_timeout() {
    let start = tokio::time::Instant::now();
    let (mut client, mut heard) = unanswering();
    client.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
    assert_eq!(soon(heard.recv()).await, Some(ErrorKind::TimedOut));
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn another_response_than_ours_leaves_a_usable_connection_and_no_live_socket() {
    for is_early in [true, false] {
        let (told, mut heard) = mpsc::unbounded_channel();
        let mut client = hyper_server(move |request| {
            let (_, socket) = upgrade(request)?.accept_message::<()>(&control())?;
            let told = told.clone();
            tokio::spawn(async move {
                // hyper hands over what has ended as well.
                let received = match socket.await {
                    Ok(mut socket) => kind(socket.receive().await),
                    Err(error) => error.kind(),
                };
                told.send(received)
            });
            Ok(Response::new(Full::from("changed my mind")))
        });
        client.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
        assert_eq!(answer(&mut client).await.1, "changed my mind");
        client.write_all(b"GET /plain HTTP/1.1\r\nHost: example.org\r\n\r\n").await.unwrap();
        assert_eq!(answer(&mut client).await.1, "a page");
        if is_early {
            drop(client);
            assert_eq!(soon(heard.recv()).await, Some(ErrorKind::Lost));
        } else {
            assert_eq!(soon(heard.recv()).await, Some(ErrorKind::TimedOut));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_what_is_pending_at_any_time_closes_the_connection() {
    for polled in [false, true] {
        let mut client = hyper_server(move |request| {
            let (response, pending) = upgrade(request)?.accept_message(&control())?;
            if polled {
                let mut future = pending.into_future();
                assert!(poll_once(&mut future).is_pending());
            }
            Ok(response)
        });
        client.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
        assert!(answer(&mut client).await.0.starts_with("HTTP/1.1 101 "));
        let mut rest = Vec::new();
        soon(client.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_upgrades_is_told_what_is_missing() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let (mut client, far) = tokio::io::duplex(64 << 10);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (response, socket) = upgrade(&mut request).unwrap().accept_message(&control()).unwrap();
        let told = told.clone();
        tokio::spawn(async move { told.send(socket.await.unwrap_err()) });
        async move { Ok::<Response<Full<Bytes>>, Infallible>(response) }
    });
    tokio::spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(far), service).await });
    client.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
    let error = soon(heard.recv()).await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("upgrade"), "{error}");
}
