//! How many opening handshakes go on at once: in all, and of one address, so that nobody keeps out everybody.

// Elsewhere this machine has one loopback address alone.
#![cfg(target_os = "linux")]

use std::net::IpAddr;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use wsduo::{
    Denial, Error, ErrorKind, Identity, Incoming, Listener, ListenerBuilder, Request, RequestControl,
};
use wsduo_testing::poll_at_most;

use crate::support::{control, kind, poll_once, waits};

const ATTACKER: &str = "127.0.0.1";
const OTHER: &str = "127.0.0.2";

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

fn local() -> ListenerBuilder<&'static str> {
    Listener::bind("127.0.0.1:0")
}

/// A connection from this address, of which nothing is said.
async fn connect_from(address: &str, listener: &Listener) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    socket.connect(listener.local_address().unwrap()).await.unwrap()
}

/// A connection from this address that the listener has accepted.
async fn accepted_from(address: &str, listener: &Listener) -> (TcpStream, Incoming) {
    let client = connect_from(address, listener).await;
    let incoming = listener.accept().await;
    let from = incoming.remote_address().map(|address| address.ip());
    assert_eq!(from, Some(address.parse::<IpAddr>().unwrap()));
    (client, incoming)
}

/// The connection is ended, and nothing was said.
async fn assert_ended(mut client: TcpStream) {
    assert_eq!(client.read(&mut [0; 10]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn silent_connections_of_one_address_do_not_keep_out_others() {
    // A share of two.
    let listener = local().max_handshakes(8).await.unwrap();
    let first = accepted_from(ATTACKER, &listener).await;
    let second = accepted_from(ATTACKER, &listener).await;
    let mut more = Vec::new();
    for _ in 0..20 {
        more.push(connect_from(ATTACKER, &listener).await);
    }
    // Whoever comes behind them is the next to be accepted.
    let mut others = Vec::new();
    for _ in 0..2 {
        others.push(accepted_from(OTHER, &listener).await);
    }
    for client in more {
        assert_ended(client).await;
    }
    drop(first);
    accepted_from(ATTACKER, &listener).await;
    drop((second, others));
    assert_eq!(listener.connections(), 0);
}

#[tokio::test]
async fn the_share_of_an_address_is_what_is_set() {
    let listener = local().max_handshakes(2).max_handshakes_per_address(2).await.unwrap();
    let _both = (accepted_from(ATTACKER, &listener).await, accepted_from(ATTACKER, &listener).await);
    assert!(poll_once(listener.accept()).is_pending());
    // One at least, however few there are.
    let listener = local().max_handshakes(1).await.unwrap();
    accepted_from(ATTACKER, &listener).await;
    let listener = local().max_handshakes_per_address(0).await.unwrap();
    accepted_from(ATTACKER, &listener).await;
}

#[tokio::test]
async fn an_open_socket_takes_no_part_of_the_share() {
    let listener = local().max_handshakes(4).await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    let mut open = Vec::new();
    for _ in 0..3 {
        let accepting = async { listener.accept().await.request().await?.accept_message(&control()).await };
        let client = control();
        let (client, server) = tokio::join!(client.connect(&uri), accepting);
        open.push((client.unwrap(), server.unwrap()));
    }
}

/// A listener, what it is sent, and the beginning of its answer.
type Case = (ListenerBuilder<&'static str>, String, &'static str);

async fn serve(incoming: Incoming) -> Result<(), Error> {
    let deny = async |request: &Request| match request.path() {
        "/denied" => Err(Denial::new(StatusCode::UNAUTHORIZED)),
        _ => Ok(()),
    };
    let (request, ()) = incoming.request().await?.authenticate(deny).await?;
    match request.path() {
        "/refused" => request.refuse(StatusCode::IM_A_TEAPOT).await,
        "/wrong" => {
            request.subprotocol("never offered").accept_message(&control()).await?;
            Ok(())
        }
        _ => {
            request.accept_message(&control()).await?;
            Ok(())
        }
    }
}

#[tokio::test]
async fn a_refusal_on_its_way_keeps_nobody_waiting() {
    let get = |path: &str, headers: &str| {
        format!("{}{headers}\r\n", REQUEST.replace("GET / ", &format!("GET {path} ")))
    };
    let requests = |control: RequestControl| local().requests(control);
    let cases: Vec<Case> = vec![
        (local(), "hello\r\n\r\n".into(), "HTTP/1.1 400 "),
        (local(), get("/", "Origin: https://evil.example\r\n"), "HTTP/1.1 403 "),
        (requests(RequestControl::new().require_subprotocol()), get("/", ""), "HTTP/1.1 400 "),
        (local(), get("/denied", ""), "HTTP/1.1 401 "),
        (local(), get("/refused", ""), "HTTP/1.1 418 "),
        (local(), get("/wrong", ""), "HTTP/1.1 500 "),
    ];
    for (builder, bytes, expected) in cases {
        let listener = builder.max_handshakes(1).await.unwrap();
        let (mut client, incoming) = accepted_from(ATTACKER, &listener).await;
        client.write_all(bytes.as_bytes()).await.unwrap();
        let mut serving = Box::pin(serve(incoming));
        let mut answer = vec![0; expected.len()];
        tokio::select! {
            read = client.read_exact(&mut answer) => { read.unwrap(); }
            served = &mut serving => panic!("{served:?} before the client left"),
        }
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
        // The client goes on listening, and so the server waits for it.
        assert!(waits(&mut serving));
        accepted_from(OTHER, &listener).await;
        // What its own address has us hold is limited none the less.
        let again = connect_from(ATTACKER, &listener).await;
        accepted_from(OTHER, &listener).await;
        assert_ended(again).await;
        drop(client);
        assert!(serving.await.is_ok() == (expected == "HTTP/1.1 418 "));
        accepted_from(ATTACKER, &listener).await;
    }
}

#[tokio::test]
async fn who_has_too_many_connections_takes_no_place_of_a_handshake() {
    let listener = local().max_handshakes(2).max_handshakes_per_address(2).max_connections_per_address(1);
    let listener = listener.await.unwrap();
    let first = accepted_from(ATTACKER, &listener).await;
    let (client, above) = accepted_from(ATTACKER, &listener).await;
    accepted_from(OTHER, &listener).await;
    // It is told, though there is a place by now: it was decided when it came.
    drop(first);
    let mut telling = Box::pin(above.request());
    assert!(waits(&mut telling));
    accepted_from(OTHER, &listener).await;
    drop(client);
    assert_eq!(kind(telling.await), ErrorKind::Handshake);
    accepted_from(ATTACKER, &listener).await;
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_their_shares_and_the_proxy_none() {
    // A share of two.
    let listener = local().max_handshakes(8).proxy_protocol([ATTACKER]).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(accepted_from(ATTACKER, &listener).await);
    }
    let mut told = Vec::new();
    for (client, incoming) in silent {
        let mut client = client;
        client.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n").await.unwrap();
        told.push((client, tokio::spawn(incoming.request())));
    }
    // Two of them are ended, and two wait for the request.
    let mut receiving = told
        .into_iter()
        .map(|(client, receiving)| async move { (client, receiving.await) })
        .collect::<FuturesUnordered<_>>();
    for _ in 0..2 {
        let (client, refused) = receiving.next().await.unwrap();
        assert_eq!(kind(refused.unwrap()), ErrorKind::Handshake);
        assert_ended(client).await;
    }
    assert!(poll_once(receiving.next()).is_pending());
    // The proxy speaks for itself, as often as it likes.
    let mut own = Vec::new();
    for _ in 0..3 {
        let (mut client, incoming) = accepted_from(ATTACKER, &listener).await;
        client.write_all(format!("PROXY UNKNOWN\r\n{REQUEST}\r\n").as_bytes()).await.unwrap();
        own.push((client, incoming.request().await.unwrap()));
    }
    // Another client of the proxy goes on.
    let (mut client, incoming) = accepted_from(ATTACKER, &listener).await;
    client
        .write_all(format!("PROXY TCP4 192.0.2.9 192.0.2.2 5000 443\r\n{REQUEST}\r\n").as_bytes())
        .await
        .unwrap();
    incoming.request().await.unwrap();
}

#[tokio::test]
async fn clients_that_a_header_tells_of_have_their_shares() {
    let requests = RequestControl::new().trust_proxies([ATTACKER]).unwrap();
    let listener = local().max_handshakes(8).requests(requests).await.unwrap();
    let request_of = async |told: &str| {
        let (mut client, incoming) = accepted_from(ATTACKER, &listener).await;
        client.write_all(format!("{REQUEST}{told}\r\n").as_bytes()).await.unwrap();
        (client, incoming.request().await)
    };
    let one = "X-Forwarded-For: 192.0.2.1\r\n";
    let kept = [request_of(one).await, request_of(one).await];
    assert!(kept.iter().all(|(_, request)| request.is_ok()));
    assert_eq!(kind(request_of(one).await.1), ErrorKind::Handshake);
    request_of("X-Forwarded-For: 192.0.2.2\r\n").await.1.unwrap();
    // The proxy speaks for itself, as often as it likes.
    let own = [request_of("").await, request_of("").await, request_of("").await];
    assert!(own.iter().all(|(_, request)| request.is_ok()));
}

#[tokio::test]
async fn a_handshake_dropped_at_any_poll_gives_its_place_back() {
    let good = format!("{REQUEST}\r\n").into_bytes();
    let bad = format!("{REQUEST}Origin: https://evil.example\r\n\r\n").into_bytes();
    let denied = format!("{}\r\n", REQUEST.replace("GET / ", "GET /denied ")).into_bytes();
    let proxied = [b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n", &good[..]].concat();
    let tls = Identity::self_signed(["localhost"]).unwrap();
    let cases = [
        (local(), &good),
        (local(), &bad),
        (local(), &denied),
        (local().proxy_protocol([ATTACKER]), &proxied),
        (local().tls(tls), &good),
    ];
    for (builder, bytes) in cases {
        let listener = builder.max_handshakes(1).max_connections_per_address(1).await.unwrap();
        let mut polls = 0;
        loop {
            let (mut client, incoming) = accepted_from(ATTACKER, &listener).await;
            let asking = async move {
                for piece in bytes.chunks(20) {
                    // The server may be gone.
                    let _ = client.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
                let _ = client.read_to_end(&mut Vec::new()).await;
            };
            let (served, ()) = tokio::join!(poll_at_most(polls, serve(incoming)), asking);
            assert_eq!(listener.connections(), 0, "{polls}");
            // Its address has its places again, and there is one for all.
            drop(accepted_from(ATTACKER, &listener).await);
            if served.is_some() {
                break;
            }
            polls += 1;
        }
        assert!(polls > 0);
    }
}
