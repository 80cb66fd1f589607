//! How a host is reached: addresses, resolvers, sockets of all kinds, and what goes wrong before a server has answered.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use wsduo::{
    BoxFuture, BoxedStream, ClientTls, Connecting, Connector, Error, ErrorKind, Identity, Listener,
    MessageWebSocket, MessageWebSocketControl, Request, RequestControl, Resolver, StreamWebSocketControl,
};

use crate::support::{control, kind, soon, text};

const SECOND: Duration = Duration::from_secs(1);

/// Addresses of this machine from `127.0.0.2` on.
fn addresses(count: u8) -> Vec<IpAddr> {
    (2..2 + count).map(|last| IpAddr::from([127, 0, 0, last])).collect()
}

async fn accept_one(listener: &Listener) -> Result<MessageWebSocket, Error> {
    listener.accept().await.request().await?.accept_message(&control()).await
}

/// Connects to a listener and sends a message.
async fn meet(listener: &Listener, control: &MessageWebSocketControl, uri: &str) -> MessageWebSocket {
    let (client, server) = tokio::join!(control.connect(uri), accept_one(listener));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    client.send("hello").await.unwrap();
    assert_eq!(server.receive().await.unwrap(), Some(text("hello")));
    server
}

#[cfg(target_os = "linux")]
mod black_holes {
    use socket2::{Domain, Protocol, Socket, Type};

    use super::*;

    /// A port whose queue of connections is full: what else arrives there is dropped without a word.
    fn black_hole(address: SocketAddr) -> Vec<Socket> {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        let listener = socket();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let client = socket();
            client.set_nonblocking(true).unwrap();
            let _ = client.connect(&address.into());
            sockets.push(client);
        }
        sockets
    }

    // Takes a second: four head starts, by the clock of the kernel.
    #[tokio::test]
    async fn four_black_holes_do_not_keep_from_the_fifth_address() {
        let listener = Listener::bind("127.0.0.6:0").await.unwrap();
        let port = listener.local_address().unwrap().port();
        let addresses = addresses(5);
        let _holes: Vec<_> =
            addresses[..4].iter().map(|&address| black_hole(SocketAddr::new(address, port))).collect();
        // A race without head starts would need minutes.
        let control = control().resolve("five.example", port, addresses).total_connect_timeout(30 * SECOND);
        meet(&listener, &control, &format!("ws://five.example:{port}/")).await;
    }

    #[tokio::test]
    async fn when_all_are_dead_the_error_says_how_many_were_tried_and_why_not() {
        let free = TcpListener::bind("127.0.0.2:0").await.unwrap().local_addr().unwrap();
        let addresses = addresses(5);
        let _holes: Vec<_> =
            addresses.iter().map(|&address| black_hole(SocketAddr::new(address, free.port()))).collect();
        let control = control()
            .resolve("five.example", free.port(), addresses)
            .total_connect_timeout(Duration::from_millis(1200));
        let error = control.connect(&format!("ws://five.example:{}/", free.port())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let shown = error.to_string();
        let begin = format!(
            "cannot connect to five.example:{} by any of 5 addresses, the last: 127.0.0.",
            free.port()
        );
        assert!(shown.starts_with(&begin) && shown.contains(" did not answer within "), "{shown}");
    }
}

#[tokio::test]
async fn when_all_addresses_refuse_the_error_says_how_many_and_why() {
    let free = TcpListener::bind("127.0.0.2:0").await.unwrap().local_addr().unwrap();
    let control = control().resolve("five.example", free.port(), addresses(7));
    let error = control.connect(&format!("ws://five.example:{}/", free.port())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let shown = error.to_string();
    assert!(shown.contains("by any of 5 addresses, the last: "), "{shown}");
    assert!(shown.to_lowercase().contains("refused"), "{shown}");
}

/// Finds what it was told to find.
struct Finds(Result<Vec<SocketAddr>, &'static str>);

impl Resolver for Finds {
    fn resolve<'a>(&'a self, host: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        assert_eq!(host, "server.example");
        Box::pin(async { self.0.clone().map_err(io::Error::other) })
    }
}

/// Never finds anything, nor gives up.
struct Silent;

impl Resolver for Silent {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn an_own_resolver_is_asked_in_place_of_the_system() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let control = control().resolver(Finds(Ok(vec![listener.local_address().unwrap()])));
    meet(&listener, &control, "ws://SERVER.example/").await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_found_is_named() {
    for (found, expected) in [
        (Err("no such name"), "cannot find an address of \"server.example\": no such name; check the name"),
        (Ok(vec![]), "cannot find an address of \"server.example\": it has none; check the name"),
    ] {
        let error = control().resolver(Finds(found)).connect("ws://server.example/").await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Resolve, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_is_given_up() {
    let silent = control().resolver(Silent);
    for control in [silent.clone().connect_timeout(5 * SECOND), silent.total_connect_timeout(5 * SECOND)] {
        let begun = Instant::now();
        let error = soon(control.connect("ws://server.example/")).await.unwrap_err();
        assert_eq!(begun.elapsed(), 5 * SECOND);
        assert_eq!(error.kind(), ErrorKind::Resolve);
        let expected = "cannot find an address of \"server.example\": no answer within 5s; check the name";
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn an_ipv6_address_is_reached_and_stands_in_brackets() {
    let Ok(listener) = Listener::bind("[::1]:0").await else {
        eprintln!("skipped: this machine has no IPv6");
        return;
    };
    let address = listener.local_address().unwrap();
    let control = control();
    let serving = async {
        let request = listener.accept().await.request().await.unwrap();
        assert_eq!(request.headers()["host"], format!("[::1]:{}", address.port()));
        request.accept_message(&MessageWebSocketControl::new()).await.unwrap()
    };
    let uri = format!("ws://[0:0::1]:{}/", address.port());
    let (client, _server) = tokio::join!(control.connect(&uri), serving);
    assert_eq!(client.unwrap().information().remote_address(), Some(address));
    // A zone means something to one machine only, and has no place in a URI.
    let error = control.connect("ws://[fe80::1%25lo]/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("without a zone"), "{error}");
}

#[tokio::test]
async fn a_connection_comes_from_the_address_that_was_set() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    let local = IpAddr::from([127, 0, 0, 9]);
    let server = meet(&listener, &control().local_address(local), &uri).await;
    assert_eq!(server.information().remote_address().unwrap().ip(), local);
}

#[tokio::test]
async fn a_local_address_that_cannot_be_used_is_named() {
    // An address for documentation (RFC 5737), which no machine has.
    let elsewhere = control().local_address(IpAddr::from([192, 0, 2, 1]));
    let error = elsewhere.connect("ws://127.0.0.1:9/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("cannot use the local address 192.0.2.1: "), "{error}");
    let error = elsewhere.connect("ws://[::1]:9/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let expected = "cannot connect to [::1]:9 from 192.0.2.1: it has no address of that family";
    assert_eq!(error.to_string(), expected);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_interface_that_is_not_there_is_named() {
    let error = control().interface("nonesuch0").connect("ws://127.0.0.1:9/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("cannot use the interface \"nonesuch0\": "), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_goes_through_the_interface_that_was_set() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    meet(&listener, &control().interface("lo"), &uri).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_takes_the_place_of_the_host() {
    let path = std::env::temp_dir().join(format!("wsduo-test-{}.socket", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let control = control().unix_socket(&path);
    let error = control.connect("ws://server.example/chat").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().starts_with("cannot connect to the socket \""), "{error}");

    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        let request = Request::from_transport(stream, &RequestControl::new()).await.unwrap();
        assert_eq!((request.host(), request.path()), ("server.example", "/chat"));
        request.accept_message(&MessageWebSocketControl::new()).await.unwrap()
    };
    let (client, mut server) = tokio::join!(control.connect("ws://server.example/chat"), serving);
    std::fs::remove_file(&path).unwrap();
    let mut client = client.unwrap();
    client.send("hello").await.unwrap();
    assert_eq!(server.receive().await.unwrap(), Some(text("hello")));
    assert_eq!(client.information().remote_address(), None);
}

/// Fails, as a network may.
struct Fails(io::ErrorKind);

impl Connector for Fails {
    fn connect<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async { Err(self.0.into()) })
    }
}

#[tokio::test(start_paused = true)]
async fn an_own_connector_that_fails_is_told() {
    for (fault, words) in [
        (
            io::ErrorKind::NetworkUnreachable,
            "there is no route to its network; check the network of this machine",
        ),
        (
            io::ErrorKind::AddrNotAvailable,
            "the address is not one of this machine, or all its ports are taken",
        ),
        (io::ErrorKind::Interrupted, "operation interrupted"),
    ] {
        let error = control().connector(Fails(fault)).connect("ws://server.example/").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert_eq!(error.to_string(), format!("cannot connect to server.example:80: {words}"));
    }
}

#[tokio::test]
async fn an_internationalised_name_is_asked_for_in_ascii() {
    let identity = Identity::self_signed(["xn--bcher-kva.example"]).unwrap();
    let tls = ClientTls::new().add_roots(identity.certificate_pem().unwrap()).unwrap().only_added_roots();
    let listener = Listener::bind("127.0.0.1:0").tls(identity).await.unwrap();
    let address = listener.local_address().unwrap();
    let control = control().tls(tls).resolve("xn--bcher-kva.example", address.port(), [address.ip()]);
    let serving = async {
        let request = listener.accept().await.request().await.unwrap();
        assert_eq!(request.headers()["host"], format!("xn--bcher-kva.example:{}", address.port()));
        request.accept_message(&MessageWebSocketControl::new()).await.unwrap()
    };
    let uri = format!("wss://Bücher.example:{}/", address.port());
    // The certificate is checked for the name in ASCII.
    let (client, _server) = tokio::join!(control.connect(&uri), serving);
    client.unwrap();
}

#[tokio::test]
async fn both_kinds_of_socket_connect_over_any_transport() {
    let identity = Identity::self_signed(["server.example"]).unwrap();
    let tls = ClientTls::new().add_roots(identity.certificate_pem().unwrap()).unwrap().only_added_roots();
    let listener = Listener::bind("127.0.0.1:0").tls(identity).await.unwrap();
    let address = listener.local_address().unwrap();
    let tcp = async || TcpStream::connect(address).await.unwrap();

    let control = MessageWebSocketControl::new().tls(tls.clone());
    let connecting = control.connect_over(tcp().await, "wss://server.example/");
    let (client, server) = tokio::join!(connecting, accept_one(&listener));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    server.send("hello").await.unwrap();
    assert_eq!(client.receive().await.unwrap(), Some(text("hello")));
    assert!(client.information().tls().is_some());

    let control = StreamWebSocketControl::new().tls(tls);
    let connecting = control.connect_over(tcp().await, "wss://server.example/");
    let (client, server) = tokio::join!(connecting, accept_one(&listener));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    server.send(&b"bytes"[..]).await.unwrap();
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"bytes");
}

/// What becomes of connecting over a transport whose other end does this.
async fn over<F: Future<Output = tokio::io::DuplexStream> + Send + 'static>(
    control: &MessageWebSocketControl,
    peer: impl FnOnce(tokio::io::DuplexStream) -> F,
) -> Error {
    let (near, far) = tokio::io::duplex(4096);
    let peer = tokio::spawn(peer(far));
    let error = soon(control.connect_over(near, "ws://server.example/")).await.unwrap_err();
    peer.abort();
    let shown = error.to_string();
    assert!(!shown.contains(char::is_control), "{shown:?}");
    error
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_before_it_has_answered_is_told_as_such() {
    for answer in ["", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: web"] {
        let error = over(&control(), |mut far| async move {
            far.read_u8().await.unwrap();
            far.write_all(answer.as_bytes()).await.unwrap();
            far.shutdown().await.unwrap();
            far
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::Connect);
        let expected = "the peer ended the connection before the opening handshake was complete";
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_server_that_resets_the_connection_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let resetting = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.read_u8().await.unwrap();
        socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
    };
    let control = control();
    let (result, ()) = tokio::join!(control.connect(&uri), resetting);
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(
        error.to_string().starts_with("the connection was lost during the opening handshake: "),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_too_long_is_given_up() {
    // A byte a second: silence, the half of an answer, and then ever more.
    for (answer, silent_after) in
        [("", 0), ("HTTP/1.1 101 Switching Protocols\r\n", 3), ("HTTP/1.1 101 Switching", 99)]
    {
        for (control, expected) in [
            (control().connect_timeout(5 * SECOND), "the opening handshake took longer than 5s"),
            (
                control().total_connect_timeout(5 * SECOND),
                "connecting took longer than 5s in all, the last 5s of them for the opening handshake",
            ),
        ] {
            let begun = Instant::now();
            let error = over(&control, |mut far| async move {
                for byte in answer.bytes().take(silent_after) {
                    tokio::time::sleep(SECOND).await;
                    far.write_all(&[byte]).await.unwrap();
                }
                std::future::pending::<()>().await;
                far
            })
            .await;
            assert_eq!(begun.elapsed(), 5 * SECOND);
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::TimedOut, expected));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_port_that_speaks_something_else_is_told_as_such() {
    for (answer, expected) in [
        (
            &b"\x15\x03\x01\0\x02\x02\x46"[..],
            "peer sent TLS (one side uses wss, the other ws) where HTTP/1.1",
        ),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "peer sent SSH where HTTP/1.1 was expected"),
        (b"\0\0\x12\x04\0\0\0\0\0", "peer sent HTTP/2 where HTTP/1.1 was expected"),
        (b"\x1b]0;owned\x07", "peer sent \"\\u{1b}\" where HTTP/1.1 was expected"),
    ] {
        let error = over(&control(), |mut far| async move {
            far.write_all(answer).await.unwrap();
            std::future::pending::<()>().await;
            far
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn each_step_is_told() {
    let listener = Listener::bind("127.0.0.3:0").await.unwrap();
    let port = listener.local_address().unwrap().port();
    let told = Arc::new(Mutex::new(Vec::new()));
    let steps = Arc::clone(&told);
    let control = control().resolve("two.example", port, addresses(2)).on_connecting(move |step| {
        let line = match step {
            Connecting::Resolved { host, addresses, .. } => format!("{host}: {}", addresses.len()),
            Connecting::AddressTried { address, error, .. } => {
                format!("{} {}", address.ip(), error.is_none())
            }
            Connecting::Asking { uri, .. } => uri.replace(&port.to_string(), "PORT"),
            Connecting::Answered { status, .. } => status.to_string(),
            other => format!("{other:?}"),
        };
        steps.lock().unwrap().push(line);
    });
    meet(&listener, &control, &format!("ws://two.example:{port}/")).await;
    let asking = "ws://two.example:PORT/";
    let expected = ["two.example: 2", "127.0.0.2 false", "127.0.0.3 true", asking, "101 Switching Protocols"];
    assert_eq!(*told.lock().unwrap(), expected);
    // An address needs no resolver, but there is one.
    assert_eq!(kind(control.connect("ws://127.0.0.2:9/").await), ErrorKind::Connect);
}
