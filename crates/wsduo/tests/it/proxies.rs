//! Proxies: what is said to them, what they may answer, and what becomes of it. The proxy is the test, at the other end of
//! a pipe; real ones are in `real_proxies`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wsduo::{
    BoxFuture, BoxedStream, Connecting, Connector, Credential, Error, ErrorKind, MessageWebSocket,
    MessageWebSocketControl, Proxy, Request, RequestControl, Resolver,
};
use wsduo_testing::{Slow, poll_at_most};

use crate::support::{control, kind, soon, text};

const SECOND: Duration = Duration::from_secs(1);

/// Every connection is a pipe.
struct Pipes {
    made: mpsc::UnboundedSender<(String, DuplexStream)>,
    one_byte: bool,
}

impl Connector for Pipes {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxedStream>> {
        let (near, far) = tokio::io::duplex(64 << 10);
        let near = if self.one_byte { BoxedStream::new(Slow::new(near)) } else { BoxedStream::new(near) };
        let made = self.made.send((format!("{host} {port}"), far));
        Box::pin(async move { made.map(|()| near).map_err(io::Error::other) })
    }
}

/// The other ends of the pipes.
struct Network {
    made: mpsc::UnboundedReceiver<(String, DuplexStream)>,
}

impl Network {
    /// The next connection, and where it was to lead.
    async fn accept(&mut self) -> (String, DuplexStream) {
        soon(self.made.recv()).await.unwrap()
    }
}

fn network(control: MessageWebSocketControl) -> (MessageWebSocketControl, Network) {
    let (made, receiver) = mpsc::unbounded_channel();
    (control.connector(Pipes { made, one_byte: false }), Network { made: receiver })
}

fn network_of_single_bytes(control: MessageWebSocketControl) -> (MessageWebSocketControl, Network) {
    let (made, receiver) = mpsc::unbounded_channel();
    (control.connector(Pipes { made, one_byte: true }), Network { made: receiver })
}

fn through(proxy: &str) -> MessageWebSocketControl {
    control().proxy(Proxy::new(proxy).unwrap())
}

/// Reads up to the empty line.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn read_bytes(stream: &mut (impl AsyncRead + Unpin), len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// A server at the end of a tunnel; says what it was asked.
async fn serve<T: AsyncRead + AsyncWrite + Unpin>(stream: T) -> (MessageWebSocket<T>, http::HeaderMap) {
    let request = Request::from_transport(stream, &RequestControl::new()).await.unwrap();
    let headers = request.headers().clone();
    (request.accept_message(&control()).await.unwrap(), headers)
}

/// What becomes of connecting when the proxy answers CONNECT with this and then ends the connection.
async fn answered(proxy: &str, uri: &str, answer: &[u8]) -> Error {
    let (control, mut network) = network(through(proxy));
    let serving = async {
        let (_, mut stream) = network.accept().await;
        read_head(&mut stream).await;
        // The client may have heard enough before all of it is written.
        let _ = stream.write_all(answer).await;
    };
    let (result, ()) = soon(async { tokio::join!(control.connect(uri), serving) }).await;
    let error = result.unwrap_err();
    let shown = error.to_string();
    assert!(!shown.contains(char::is_control), "{shown:?}");
    assert!(!format!("{shown} {error:?}").contains("secret"), "{shown}");
    error
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_carries_the_handshake_and_messages() {
    for pieces in [network, network_of_single_bytes] {
        for answer in
            ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 Connection established\r\nContent-Length: 3\r\n\r\n"]
        {
            let (control, mut network) = pieces(through("http://proxy.example:3128"));
            let serving = async {
                let (place, mut stream) = network.accept().await;
                assert_eq!(place, "proxy.example 3128");
                let asked = read_head(&mut stream).await;
                assert_eq!(asked, "CONNECT server.example:80 HTTP/1.1\r\nHost: server.example:80\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                let (mut socket, headers) = serve(stream).await;
                assert_eq!(headers["host"], "server.example");
                socket.send("hello").await.unwrap();
                socket
            };
            let connecting = control.connect("ws://server.example/path");
            let (client, _server) = soon(async { tokio::join!(connecting, serving) }).await;
            assert_eq!(soon(client.unwrap().receive()).await.unwrap(), Some(text("hello")));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_address_stands_in_brackets_in_the_request() {
    let (control, mut network) = network(through("http://[::1]:8080"));
    let serving = async {
        let (place, mut stream) = network.accept().await;
        assert_eq!(place, "::1 8080");
        read_head(&mut stream).await
    };
    let connecting = control.connect("ws://[2001:db8::1]/");
    let (result, asked) = soon(async { tokio::join!(connecting, serving) }).await;
    assert!(asked.starts_with("CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n"), "{asked}");
    assert_eq!(kind(result), ErrorKind::Proxy);
}

#[tokio::test(start_paused = true)]
async fn any_status_but_2xx_is_told_as_the_proxys() {
    for (status, expected) in [
        (403, "proxy answered 403 Forbidden where 200 was expected"),
        (502, "proxy answered 502 Bad Gateway where 200 was expected"),
        (503, "proxy answered 503 Service Unavailable where 200 was expected, with retry-after \"9\""),
        (101, "proxy answered 101 Switching Protocols where 200 was expected"),
        (302, "proxy answered 302 Found where 200 was expected"),
        (799, "proxy answered 799 where 200 was expected"),
    ] {
        let head = format!("HTTP/1.1 {status} why\r\nRetry-After: 9\r\nContent-Length: 12\r\n\r\n");
        let answer = format!("{head}\x1b[2J no entry");
        let error =
            answered("http://me:secret@proxy.example", "ws://server.example/", answer.as_bytes()).await;
        assert_eq!(error.kind(), ErrorKind::Proxy);
        let expected =
            format!("no tunnel to server.example:80 through the proxy http://proxy.example:80: {expected}");
        assert_eq!(error.to_string(), expected);
        let refusal = error.refusal().unwrap();
        assert_eq!((refusal.status.as_u16(), refusal.body.len()), (status, 12));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_is_told_as_the_proxys() {
    let endless = [b"HTTP/1.1 200 ".as_slice(), &[b'x'; 60_000]].concat();
    let headers = [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"a: b\r\n".repeat(101)].concat();
    let interim = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(9);
    for (answer, expected) in [
        (&b""[..], "the proxy http://p:80 ended the connection before it had answered"),
        (b"HTTP/1.1 200 OK\r\nVia: x", "the proxy http://p:80 ended the connection before it had answered"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "sent SSH where HTTP/1.1 was expected"),
        (b"\x15\x03\x01\0\x02\x02\x46", "sent TLS"),
        (b"\x05\x00", "where HTTP/1.1 was expected"),
        (b"\x1b[2Jgarbage\r\n\r\n", "\"\\u{1b}\" where HTTP/1.1 was expected"),
        (b"HTTP/1.1 200 OK\n\n", "LF without CR"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "HTTP version is \"HTTP/2.0\""),
        (&endless, "exceeds the limit of 16384 bytes"),
        (&headers, "exceeds the limit of 100 headers"),
        (&interim, "more than 8 interim responses"),
    ] {
        let error = answered("http://p", "ws://server.example/", answer).await;
        assert_eq!(error.kind(), ErrorKind::Proxy, "{error}");
        let shown = error.to_string();
        assert!(shown.contains(expected) && shown.contains("http://p:80"), "{shown}");
        assert!(error.refusal().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_takes_too_long_is_given_up() {
    for (control, limit, expected, answer) in [
        (
            through("http://p").connect_timeout(5 * SECOND),
            5 * SECOND,
            "the answer of the proxy http://p:80 took longer than 5s",
            &b"HTTP/1.1 200 OK"[..],
        ),
        (
            through("http://p").total_connect_timeout(3 * SECOND),
            3 * SECOND,
            "connecting took longer than 3s in all, the last 3s of them for the answer of the proxy http://p:80",
            b"HTTP/1.1 200 OK",
        ),
        (
            through("socks5h://p").connect_timeout(5 * SECOND),
            5 * SECOND,
            "the answer of the proxy socks5h://p:1080 took longer than 5s",
            b"\x05\0\x05\0\0\x01\0\0\0\0\0\0",
        ),
    ] {
        for speaks in [false, true] {
            let (control, mut network) = network(control.clone());
            let dribbling = tokio::spawn(async move {
                let (_, mut stream) = network.accept().await;
                for byte in answer {
                    tokio::time::sleep(SECOND).await;
                    if speaks && stream.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                }
            });
            let begun = Instant::now();
            let error = soon(control.connect("ws://server.example/")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert_eq!(begun.elapsed(), limit);
            assert_eq!(error.to_string(), expected);
            dribbling.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_behind_the_answer_came_through_the_tunnel() {
    let answer = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    for (uri, expected) in [("ws://a/", ErrorKind::Refused), ("wss://a/", ErrorKind::Tls)] {
        let (control, mut network) = network(through("http://p"));
        let serving = async {
            let (_, mut stream) = network.accept().await;
            read_head(&mut stream).await;
            stream.write_all(answer).await.unwrap();
            stream
        };
        let (result, _stream) = soon(async { tokio::join!(control.connect(uri), serving) }).await;
        assert_eq!(kind(result), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_are_told_when_the_proxy_asks_and_to_nobody_else() {
    let ask = "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"r\"\r\nContent-Length: 1000000\r\n\r\n";
    let explicit = Proxy::new("http://p").unwrap().credential(Credential::new("me@home", "secret"));
    for proxy in [explicit, Proxy::new("http://me%40home:secret@p").unwrap()] {
        let (control, mut network) = network(control().proxy(proxy));
        let serving = async {
            let (_, mut stream) = network.accept().await;
            assert!(!read_head(&mut stream).await.to_lowercase().contains("authorization"));
            stream.write_all(ask.as_bytes()).await.unwrap();
            drop(stream);
            let (_, mut stream) = network.accept().await;
            let asked = read_head(&mut stream).await;
            assert!(asked.contains("proxy-authorization: Basic bWVAaG9tZTpzZWNyZXQ=\r\n"), "{asked}");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let (_, headers) = serve(stream).await;
            assert!(!headers.keys().any(|name| name.as_str().contains("authorization")), "{headers:?}");
        };
        let connecting = control.connect("ws://server.example/");
        let (client, ()) = soon(async { tokio::join!(connecting, serving) }).await;
        client.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_not_accepted_are_told_once() {
    let ask = "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"r\"\r\nContent-Length: 0\r\n\r\n";
    let (control, mut network) = network(through("http://me:secret@p"));
    let serving = tokio::spawn(async move {
        let mut connections = 0;
        while let Some((_, mut stream)) = network.made.recv().await {
            connections += 1;
            read_head(&mut stream).await;
            stream.write_all(ask.as_bytes()).await.unwrap();
        }
        connections
    });
    let error = soon(control.connect("ws://server.example/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert_eq!(error.refusal().unwrap().status, 407);
    assert!(error.to_string().contains("proxy answered 407"), "{error}");
    assert!(!format!("{error:?}").contains("secret"));
    drop(control);
    assert_eq!(soon(serving).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_407_without_credentials_names_what_the_proxy_wants() {
    let ask = b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"office\"\r\n\r\nplease log in";
    let error = answered("http://p", "ws://server.example/", ask).await;
    let expected =
        "407 Proxy Authentication Required where 200 was expected, with proxy-authenticate \"Basic realm=";
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(error.refusal().unwrap().body, b"please log in");
}

/// Finds one address for every name, and counts how often it is asked.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Resolver for Counting {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            Ok(vec![format!("[2001:db8::7]:{port}").parse().unwrap(), ([192, 0, 2, 7], port).into()])
        })
    }
}

/// Answers, each of which follows a request of the length beside it.
type Steps<'a> = &'a [(usize, &'a [u8])];

/// Plays a SOCKS proxy. Returns what was asked.
async fn play(stream: &mut DuplexStream, steps: Steps<'_>) -> Vec<u8> {
    let mut asked = Vec::new();
    for (len, answer) in steps {
        asked.extend(read_bytes(stream, *len).await);
        // The client may have heard enough before all of it is written.
        let _ = stream.write_all(answer).await;
    }
    asked
}

/// Connects through a SOCKS proxy that opens the tunnel. Returns what it was asked, and how often a name was looked up.
async fn socks_opens(proxy: &str, uri: &str, steps: Steps<'_>) -> (Vec<u8>, usize) {
    let mut seen = Vec::new();
    for pieces in [network, network_of_single_bytes] {
        let resolver = Counting::default();
        let (control, mut network) = pieces(through(proxy).resolver(resolver.clone()));
        let serving = async {
            let (place, mut stream) = network.accept().await;
            assert_eq!(place, "p 1080");
            let asked = play(&mut stream, steps).await;
            let (mut socket, headers) = serve(stream).await;
            assert!(headers.get("proxy-authorization").is_none());
            socket.send("hello").await.unwrap();
            (socket, asked)
        };
        let (client, (_server, asked)) = soon(async { tokio::join!(control.connect(uri), serving) }).await;
        assert_eq!(soon(client.unwrap().receive()).await.unwrap(), Some(text("hello")));
        seen.push((asked, resolver.0.load(Ordering::Relaxed)));
    }
    assert_eq!(seen[0], seen[1]);
    seen.remove(0)
}

/// Connects through a SOCKS proxy that does not open the tunnel, and then ends the connection.
async fn socks_fails(proxy: &str, uri: &str, steps: Steps<'_>) -> String {
    let (control, mut network) = network(through(proxy).resolver(Counting::default()));
    let serving = async {
        let (_, mut stream) = network.accept().await;
        play(&mut stream, steps).await;
    };
    let (result, ()) = soon(async { tokio::join!(control.connect(uri), serving) }).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy, "{error}");
    let shown = error.to_string();
    assert!(!format!("{shown} {error:?}").contains("secret"), "{shown}");
    assert!(!shown.contains(char::is_control), "{shown:?}");
    shown
}

const OPEN_5: &[u8] = b"\x05\0\0\x01\0\0\0\0\0\0";
const OPEN_4: &[u8] = b"\0\x5a\0\0\0\0\0\0";

#[tokio::test(start_paused = true)]
async fn socks5h_leaves_the_name_to_the_proxy() {
    let steps: Steps<'_> = &[(3, b"\x05\0"), (21, OPEN_5)];
    let (asked, looked_up) = socks_opens("socks5h://p", "ws://server.example/", steps).await;
    assert_eq!(asked, b"\x05\x01\0\x05\x01\0\x03\x0eserver.example\0\x50");
    assert_eq!(looked_up, 0);
}

#[tokio::test(start_paused = true)]
async fn socks5_looks_the_name_up_here() {
    let steps: Steps<'_> = &[(3, b"\x05\0"), (22, b"\x05\0\0\x03\x04here\0\x50")];
    let (asked, looked_up) = socks_opens("socks5://p", "ws://server.example:81/", steps).await;
    assert_eq!(asked[3..], *b"\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\0\x51");
    assert_eq!(looked_up, 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_an_address_for_socks() {
    for proxy in ["socks5://p", "socks5h://p"] {
        let v6: &[u8] = &[b"\x05\0\0\x04".as_slice(), &[0; 18]].concat();
        let steps: Steps<'_> = &[(3, b"\x05\0"), (10, v6)];
        let (asked, looked_up) = socks_opens(proxy, "ws://192.0.2.1/", steps).await;
        assert_eq!((&asked[3..], looked_up), (&b"\x05\x01\0\x01\xc0\0\x02\x01\0\x50"[..], 0));
    }
}

#[tokio::test(start_paused = true)]
async fn socks5_logs_in_where_it_is_asked_to() {
    let steps: Steps<'_> = &[(4, b"\x05\x02"), (11, b"\x01\0"), (21, OPEN_5)];
    let (asked, _) = socks_opens("socks5h://me:secret@p", "ws://server.example/", steps).await;
    assert_eq!(asked[..15], *b"\x05\x02\0\x02\x01\x02me\x06secret");
    // Not asked, not told.
    let steps: Steps<'_> = &[(4, b"\x05\0"), (21, OPEN_5)];
    let (asked, _) = socks_opens("socks5h://me:secret@p", "ws://server.example/", steps).await;
    assert!(!asked.windows(6).any(|piece| piece == b"secret"));
}

#[tokio::test(start_paused = true)]
async fn socks4_looks_the_name_up_here_and_socks4a_does_not() {
    let steps: Steps<'_> = &[(11, OPEN_4)];
    let (asked, looked_up) = socks_opens("socks4://me@p", "ws://server.example/", steps).await;
    assert_eq!((asked, looked_up), (b"\x04\x01\0\x50\xc0\0\x02\x07me\0".to_vec(), 1));
    let steps: Steps<'_> = &[(24, OPEN_4)];
    let (asked, looked_up) = socks_opens("socks4a://p", "ws://server.example/", steps).await;
    assert_eq!((asked, looked_up), (b"\x04\x01\0\x50\0\0\0\x01\0server.example\0".to_vec(), 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_socks_proxy_refuses_is_told_as_the_proxys() {
    for (status, expected) in [
        (1, "code 1: the proxy failed"),
        (2, "code 2: its rules do not allow it"),
        (3, "code 3: the network is unreachable"),
        (4, "code 4: the host is unreachable"),
        (5, "code 5: the server refused the connection"),
        (6, "code 6: the packets went too far"),
        (7, "code 7: it makes no connections"),
        (8, "code 8: it does not know this type of address"),
        (200, "code 200: it did not say why"),
    ] {
        let answer = [5, status, 0, 1, 0, 0, 0, 0, 0, 0];
        let steps: Steps<'_> = &[(3, b"\x05\0"), (21, &answer)];
        let error = socks_fails("socks5h://p", "ws://server.example/", steps).await;
        let expected = format!(
            "no tunnel to server.example:80 through the proxy socks5h://p:1080: the proxy answered with {expected}"
        );
        assert_eq!(error, expected);
    }
    for (status, expected) in [
        (91, "code 91: it refused or failed"),
        (92, "code 92: it cannot ask this machine"),
        (93, "code 93: this machine says"),
        (0, "code 0: it did not say why"),
    ] {
        let answer = [0, status, 0, 0, 0, 0, 0, 0];
        let error = socks_fails("socks4a://p", "ws://server.example/", &[(24, &answer)]).await;
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_of_a_socks_proxy_is_told_as_the_proxys() {
    let plain = "socks5h://p";
    let user = "socks5h://me:secret@p";
    for (proxy, steps, expected) in [
        (plain, &[(3, &b""[..])][..], "the proxy ended the connection before it had answered"),
        (plain, &[(3, b"\x05")], "the proxy ended the connection before it had answered"),
        (plain, &[(3, b"HTTP/1.1 400 Bad Request\r\n\r\n")], "begins with 0x48 where 0x05 was expected"),
        (plain, &[(3, b"\x05\xff")], "the proxy wants to know who is there; give it a user name"),
        (plain, &[(3, b"\x05\x02")], "the proxy chose method 2 to log in, which was not offered"),
        (user, &[(4, b"\x05\xff")], "accepts neither a user name with a password nor none"),
        (user, &[(4, b"\x05\x01")], "the proxy chose method 1 to log in"),
        (user, &[(4, b"\x05\x02"), (11, b"\x01\x01")], "did not accept the user name and password (code 1)"),
        (plain, &[(3, b"\x05\0"), (21, b"\x05\0\0\x07")], "an address of the unknown type 7"),
        (plain, &[(3, b"\x05\0"), (21, b"\x05\0\0\x03\xffabc")], "before it had answered"),
        (plain, &[(3, b"\x05\0"), (21, b"\x04")], "begins with 0x04 where 0x05 was expected"),
        ("socks4a://p", &[(24, b"\x05\0")], "begins with 0x05 where 0x00 was expected"),
        ("socks4a://p", &[(24, b"\0\x5a\0")], "before it had answered"),
    ] {
        let error = socks_fails(proxy, "ws://server.example/", steps).await;
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("through the proxy socks"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_socks_cannot_say_is_told_before_it_is_said() {
    let long = "a".repeat(256);
    let uri = format!("ws://{long}/");
    let error = socks_fails("socks5h://p", &uri, &[(3, b"\x05\0")]).await;
    assert!(error.contains("the host name has 256 bytes; SOCKS 5 allows 255"), "{error}");
    let proxy = format!("socks5h://{long}:secret@p");
    let error = socks_fails(&proxy, "ws://a/", &[(4, b"\x05\x02")]).await;
    assert!(error.contains("the user name has 256 bytes"), "{error}");
    let error = socks_fails("socks5h://me@p", "ws://a/", &[(4, b"\x05\x02")]).await;
    assert!(error.contains("the proxy asks for a password, and there is none"), "{error}");
    let error = socks_fails("socks4a://a%00b@p", "ws://a/", &[]).await;
    assert!(error.contains("the user name has a zero byte"), "{error}");
    for proxy in ["socks4://p", "socks4a://p"] {
        let (control, _network) = network(through(proxy));
        let error = soon(control.connect("ws://[::1]/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Proxy);
        assert!(error.to_string().contains("SOCKS 4 knows only IPv4 addresses"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_is_given_up_sees_the_end_of_the_connection() {
    let answers: [(&str, Steps<'_>); 4] = [
        ("http://p", &[(63, b"HTTP/1.1 200 OK\r\n\r\n")]),
        ("socks5h://me:secret@p", &[(4, b"\x05\x02"), (11, b"\x01\0"), (21, OPEN_5)]),
        ("socks4a://p", &[(24, OPEN_4)]),
        ("https://p", &[]),
    ];
    for (proxy, steps) in answers {
        for polls in 1.. {
            let (control, mut network) = network_of_single_bytes(through(proxy));
            let serving = tokio::spawn(async move {
                let (_, mut stream) = network.accept().await;
                for (len, answer) in steps {
                    if stream.read_exact(&mut vec![0; *len]).await.is_ok() {
                        let _ = stream.write_all(answer).await;
                    }
                }
                stream.read_to_end(&mut Vec::new()).await
            });
            let outcome = soon(poll_at_most(polls, control.connect("ws://server.example/"))).await;
            soon(serving).await.unwrap().unwrap();
            // The server never answers, so that in the end there is no time left.
            if let Some(outcome) = outcome {
                assert_eq!(kind(outcome), ErrorKind::TimedOut);
                assert!(polls > 100 || steps.is_empty(), "{proxy}: {polls}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_as_the_proxy() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error =
        through(&format!("http://me:secret@{gone}")).connect("ws://server.example/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy);
    let expected = format!("cannot use the proxy http://{gone}: cannot connect to {gone}: ");
    assert!(error.to_string().starts_with(&expected), "{error}");
    let error = through("http://name.invalid").connect("ws://server.example/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert!(error.to_string().contains("cannot find an address of \"name.invalid\""), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_proxy_is_among_the_steps_that_are_told() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let steps = Arc::clone(&told);
    let observed = through("socks5h://me:secret@p").on_connecting(move |step| {
        let line = match step {
            Connecting::ProxyChosen { proxy, because_of, .. } => format!("{proxy} by {because_of}"),
            Connecting::Tunnelled { proxy, took, .. } => format!("{proxy} after {took:?}"),
            other => format!("{other:?}"),
        };
        steps.lock().unwrap().push(line);
    });
    let (control, mut network) = network(observed);
    let serving = async {
        let (_, mut stream) = network.accept().await;
        play(&mut stream, &[(4, b"\x05\0")]).await;
        tokio::time::sleep(SECOND).await;
        play(&mut stream, &[(21, OPEN_5)]).await;
        read_head(&mut stream).await;
    };
    let connecting = control.connect("ws://server.example/");
    let (result, ()) = soon(async { tokio::join!(connecting, serving) }).await;
    assert_eq!(kind(result), ErrorKind::Connect);
    let asking = "Asking { uri: \"ws://server.example/\" }";
    let expected = ["socks5h://p:1080 by the setting", "socks5h://p:1080 after 1s", asking];
    assert_eq!(*told.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_host_in_no_proxy_is_reached_directly() {
    let proxy = Proxy::new("http://p").unwrap().no_proxy("server.example");
    let (control, mut network) = network(control().proxy(proxy));
    let serving = async {
        let (place, stream) = network.accept().await;
        assert_eq!(place, "www.server.example 80");
        serve(stream).await;
    };
    let connecting = control.connect("ws://www.server.example/");
    let (client, ()) = soon(async { tokio::join!(connecting, serving) }).await;
    client.unwrap();
}
