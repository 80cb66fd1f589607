//! The listener: how many it lets in, how it ends, and what it listens on.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wsduo::{
    CloseCode, Denial, Error, ErrorKind, ForwardedHeader, Identity, Listener, ListenerBuilder,
    MessageWebSocket, MessageWebSocketControl, Request, RequestControl, StreamWebSocketControl,
};

use crate::support::{control, kind, poll_once, text};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

async fn listen(builder: ListenerBuilder<&'static str>) -> (Listener, String) {
    let listener = builder.await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    (listener, uri)
}

fn local() -> ListenerBuilder<&'static str> {
    Listener::bind("127.0.0.1:0")
}

/// A client and a server of this listener that are connected.
async fn connect(listener: &Listener, uri: &str) -> (MessageWebSocket, MessageWebSocket) {
    let accepting = async {
        let request = listener.accept().await.request().await?;
        request.accept_message(&control().close_timeout(Duration::from_secs(3600))).await
    };
    let client = control();
    let (client, server) = tokio::join!(client.connect(uri), accepting);
    (client.unwrap(), server.unwrap())
}

/// Sends bytes, and reads what comes back until the end.
async fn exchange(listener: &Listener, bytes: &[u8]) -> String {
    let mut client = TcpStream::connect(listener.local_address().unwrap()).await.unwrap();
    client.write_all(bytes).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

/// What the server makes of these bytes, which come from this machine.
async fn request_of(listener: &Listener, bytes: impl AsRef<[u8]>) -> Result<Request, Error> {
    let mut client = TcpStream::connect(listener.local_address().unwrap()).await.unwrap();
    client.write_all(bytes.as_ref()).await.unwrap();
    let (_, mut writer) = client.into_split();
    let request = listener.accept().await.request().await;
    let _ = writer.shutdown().await;
    request
}

// Limits.

#[tokio::test]
async fn one_address_may_have_so_many_connections_and_is_told_with_503() {
    let (listener, uri) = listen(local().max_connections_per_address(1)).await;
    let (client, server) = connect(&listener, &uri).await;
    let refusing = async { listener.accept().await.request().await };
    let (answer, refused) = tokio::join!(exchange(&listener, b"GET / HTTP/1.1\r\n"), refusing);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 10\r\n"), "{answer}");
    let body =
        "\r\n\r\nyour address has as many connections open as it may have, 1; try again in 10 seconds\n";
    assert!(answer.ends_with(body), "{answer}");
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake);
    assert!(
        error.to_string().ends_with("as one address may have, 1: see max_connections_per_address"),
        "{error}"
    );
    drop((client, server));
    assert_eq!(listener.connections(), 0);
    connect(&listener, &uri).await;
}

#[tokio::test]
async fn only_those_that_have_come_are_counted() {
    let (listener, _) = listen(local().max_connections(2)).await;
    let address = listener.local_address().unwrap();
    let mut accepting = Box::pin(listener.accept());
    assert!(poll_once(&mut accepting).is_pending());
    assert_eq!(listener.connections(), 0);
    let _client = TcpStream::connect(address).await.unwrap();
    let first = accepting.await;
    assert_eq!(listener.connections(), 1);
    // Nor does waiting that is given up take a place away.
    for _ in 0..3 {
        assert!(poll_once(listener.accept()).is_pending());
    }
    let _another = TcpStream::connect(address).await.unwrap();
    let second = listener.accept().await;
    assert_eq!(listener.connections(), 2);
    drop((first, second));
    assert_eq!(listener.connections(), 0);
}

#[tokio::test]
async fn with_tls_those_above_the_limit_of_an_address_are_dropped() {
    let tls = Identity::self_signed(["localhost"]).unwrap();
    let (listener, _) = listen(local().tls(tls).max_connections_per_address(1)).await;
    let address = listener.local_address().unwrap();
    let _first = TcpStream::connect(address).await.unwrap();
    let waiting = listener.accept().await;
    let mut first = Box::pin(waiting.request());
    assert!(poll_once(&mut first).is_pending());
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(kind(listener.accept().await.request().await), ErrorKind::Handshake);
    assert_eq!(second.read(&mut [0; 10]).await.unwrap(), 0);
}

#[tokio::test]
async fn no_more_handshakes_go_on_at_once_than_allowed() {
    let (listener, uri) = listen(local().max_handshakes(1)).await;
    let address = listener.local_address().unwrap();
    let _silent = TcpStream::connect(address).await.unwrap();
    let _waits = TcpStream::connect(address).await.unwrap();
    let first = listener.accept().await;
    assert!(poll_once(listener.accept()).is_pending());
    drop(first);
    drop(listener.accept().await);
    // An open socket takes no place among them.
    let (_client, _server) = connect(&listener, &uri).await;
    connect(&listener, &uri).await;
}

#[tokio::test]
async fn the_deadline_of_the_handshake_is_for_tls_too() {
    let tls = Identity::self_signed(["localhost"]).unwrap();
    let requests = RequestControl::new().timeout(Duration::from_millis(20));
    let (listener, _) = listen(local().tls(tls).requests(requests)).await;
    let mut client = TcpStream::connect(listener.local_address().unwrap()).await.unwrap();
    // The beginning of a record that never ends.
    client.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    assert_eq!(kind(listener.accept().await.request().await), ErrorKind::TimedOut);
    assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0);
}

// Shutting down.

/// Serves a client in some way until its server shuts down, and returns what the server's task saw.
async fn shut_down<R: Send + 'static>(
    serve: impl AsyncFnOnce(MessageWebSocket) -> R,
) -> (R, Option<wsduo::Closed>, usize) {
    let (listener, uri) = listen(local()).await;
    let (mut client, server) = connect(&listener, &uri).await;
    let ending = async {
        // The task of the socket waits by then.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        listener.shutdown(Duration::from_secs(3600)).await
    };
    let receiving = async {
        while let Ok(Some(_)) = client.receive().await {}
        client.closed().cloned()
    };
    let (seen, closed, cut) = tokio::join!(serve(server), receiving, ending);
    (seen, closed, cut)
}

#[track_caller]
fn assert_gone_away(closed: Option<wsduo::Closed>, cut: usize) {
    let closed = closed.unwrap();
    assert_eq!((closed.code, closed.reason.as_str()), (CloseCode::GOING_AWAY, "the server is shutting down"));
    assert!(closed.clean);
    assert_eq!(cut, 0);
}

#[tokio::test]
async fn a_receiver_sees_a_clean_end_when_its_server_shuts_down() {
    let (seen, closed, cut) = shut_down(async |mut socket| socket.receive().await.unwrap()).await;
    assert_eq!(seen, None);
    assert_gone_away(closed, cut);
}

#[tokio::test]
async fn a_handler_ends_when_its_server_shuts_down() {
    let (seen, closed, cut) =
        shut_down(async |mut socket| socket.run(|message, replies| replies.send(message)).await).await;
    seen.unwrap();
    assert_gone_away(closed, cut);
}

#[tokio::test]
async fn a_socket_without_any_timer_is_told_too() {
    let (listener, uri) = listen(local()).await;
    let patient = control().keepalive(None).receive_timeout(None).send_timeout(None);
    let accepting =
        async { listener.accept().await.request().await.unwrap().accept_message(&patient).await.unwrap() };
    let (client, server) = tokio::join!(patient.connect(&uri), accepting);
    let (mut client, mut server) = (client.unwrap(), server);
    let mut receiving = Box::pin(async move { server.receive().await });
    assert!(poll_once(&mut receiving).is_pending());
    let (cut, received, seen) =
        tokio::join!(listener.shutdown(Duration::from_secs(3600)), receiving, client.receive());
    assert_eq!((received.unwrap(), seen.unwrap()), (None, None));
    assert_gone_away(client.closed().cloned(), cut);
}

#[tokio::test]
async fn both_halves_learn_that_their_server_shuts_down() {
    let ((received, sent), closed, cut) = shut_down(async |socket| {
        let (mut receiver, sender) = socket.split();
        let receiving = async move { receiver.receive().await };
        let sending = async move {
            loop {
                if let Err(error) = sender.send("tick").await {
                    return error.kind();
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(receiving, sending)
    })
    .await;
    assert_eq!(received.unwrap(), None);
    assert_eq!(sent, ErrorKind::Closed);
    assert_gone_away(closed, cut);
}

#[tokio::test]
async fn a_stream_ends_when_its_server_shuts_down() {
    let (listener, uri) = listen(local()).await;
    let accepting = async {
        let request = listener.accept().await.request().await.unwrap();
        request.accept_stream(&StreamWebSocketControl::new()).await.unwrap()
    };
    let control = control();
    let (client, server) = tokio::join!(control.connect(&uri), accepting);
    let (mut client, mut server) = (client.unwrap(), server);
    let reading = async move { server.read_to_end(&mut Vec::new()).await };
    let mut reading = Box::pin(reading);
    assert!(poll_once(&mut reading).is_pending());
    let (cut, read, received) =
        tokio::join!(listener.shutdown(Duration::from_secs(3600)), reading, client.receive());
    assert_eq!((read.unwrap(), received.unwrap()), (0, None));
    assert_gone_away(client.closed().cloned(), cut);
}

#[tokio::test]
async fn a_sender_that_waits_for_a_slow_client_is_cut_at_last() {
    let (listener, uri) = listen(local()).await;
    // The client reads nothing.
    let (client, mut server) = connect(&listener, &uri).await;
    let sending = async move {
        loop {
            if let Err(error) = server.send(vec![0; 1 << 20]).await {
                return error;
            }
        }
    };
    let mut sending = Box::pin(sending);
    while poll_once(&mut sending).is_pending() && !is_stuck(&mut sending).await {}
    let (cut, error) = tokio::join!(listener.shutdown(Duration::from_millis(20)), sending);
    assert_eq!((cut, error.kind()), (1, ErrorKind::Closed));
    drop(client);
}

/// Whether it makes no progress over many turns of the scheduler.
async fn is_stuck<F: Future + Unpin>(future: &mut F) -> bool {
    for _ in 0..200 {
        if poll_once(&mut *future).is_ready() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

#[tokio::test]
async fn a_client_that_never_answers_the_close_is_cut() {
    let (listener, uri) = listen(local()).await;
    let (client, mut server) = connect(&listener, &uri).await;
    let (cut, received) =
        tokio::join!(listener.shutdown(Duration::from_millis(20)), async move { server.receive().await });
    assert_eq!((cut, kind(received)), (1, ErrorKind::Closed));
    drop(client);
}

#[tokio::test]
async fn opening_handshakes_end_when_their_server_shuts_down() {
    let (listener, uri) = listen(local()).await;
    let address = listener.local_address().unwrap();
    let silent = TcpStream::connect(address).await.unwrap();
    let shaking = listener.accept().await;
    let asking = tokio::spawn(async move { MessageWebSocket::connect(&uri).await });
    let request = listener.accept().await.request().await.unwrap();
    let ending = listener.shutdown(Duration::from_secs(3600));
    let accepting = async {
        let shaken = kind(shaking.request().await);
        (shaken, kind(request.accept_message(&MessageWebSocketControl::new()).await))
    };
    let (cut, ended) = tokio::join!(ending, accepting);
    assert_eq!((cut, ended), (0, (ErrorKind::Closed, ErrorKind::Closed)));
    let error = asking.await.unwrap().unwrap_err();
    assert_eq!(error.refusal().unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(TcpStream::connect(address).await.is_err());
    drop(silent);
}

#[tokio::test]
async fn a_decision_that_hangs_ends_when_its_server_shuts_down() {
    let (listener, _) = listen(local()).await;
    let mut client = TcpStream::connect(listener.local_address().unwrap()).await.unwrap();
    client.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
    let request = listener.accept().await.request().await.unwrap();
    let guard = Arc::new(());
    let held = Arc::clone(&guard);
    let mut deciding = Box::pin(request.authenticate(async move |_: &Request| {
        let _held = held;
        std::future::pending::<Result<(), Denial>>().await
    }));
    assert!(poll_once(&mut deciding).is_pending());
    let asking = async {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        drop(client);
        answer
    };
    let (cut, decided, answer) = tokio::join!(listener.shutdown(Duration::from_secs(3600)), deciding, asking);
    assert_eq!((cut, kind(decided)), (0, ErrorKind::Closed));
    assert_eq!(Arc::strong_count(&guard), 1);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nConnection: close"), "{answer}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{answer}");
}

#[tokio::test]
async fn a_listener_that_is_dropped_leaves_its_sockets_alone() {
    let (listener, uri) = listen(local()).await;
    let (mut client, mut server) = connect(&listener, &uri).await;
    drop(listener);
    client.send("still here").await.unwrap();
    assert_eq!(server.receive().await.unwrap(), Some(text("still here")));
}

// What is listened on.

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_listened_on_and_removed_afterwards() {
    use std::os::unix::net::UnixListener;

    let folder = std::env::temp_dir().join(format!("wsduo-listener-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    // One left behind by a process that is gone.
    drop(UnixListener::bind(&path).unwrap());
    let listener = Listener::bind_unix(&path).await.unwrap();
    assert_eq!(kind(listener.local_address()), ErrorKind::Listen);
    // Ours is not stale.
    assert_eq!(kind(Listener::bind_unix(&path).await), ErrorKind::Listen);
    // It was asked whether anybody listens.
    assert_eq!(kind(listener.accept().await.request().await), ErrorKind::Connect);

    let client = control().unix_socket(&path);
    let accepting = async {
        let incoming = listener.accept().await;
        assert_eq!(incoming.remote_address(), None);
        let request = incoming.request().await.unwrap();
        assert_eq!((request.remote_address(), request.client_address()), (None, None));
        request.accept_message(&control()).await.unwrap()
    };
    let (client, mut server) = tokio::join!(client.connect("ws://server.example/"), accepting);
    let mut client = client.unwrap();
    client.send("hello").await.unwrap();
    assert_eq!(server.receive().await.unwrap(), Some(text("hello")));

    drop(listener);
    assert!(!path.exists());
    // What is no socket is not removed, nor what somebody else put in our place.
    std::fs::write(&path, "precious").unwrap();
    assert_eq!(kind(Listener::bind_unix(&path).await), ErrorKind::Listen);
    std::fs::remove_file(&path).unwrap();
    let listener = Listener::bind_unix(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    drop(listener);
    assert!(path.exists());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[cfg(unix)]
#[test]
fn of_servers_that_begin_at_once_on_a_path_one_has_it() {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::Barrier;

    const SERVERS: usize = 4;
    let folder = std::env::temp_dir().join(format!("wsduo-race-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    for round in 0..100 {
        if round % 2 == 0 {
            // One left behind by a process that is gone.
            drop(UnixListener::bind(&path).unwrap());
        }
        let begin = Barrier::new(SERVERS);
        let bind = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            begin.wait();
            runtime.block_on(async { Listener::bind_unix(&path).await }).map(|listener| (runtime, listener))
        };
        let bound = std::thread::scope(|scope| {
            let binding: Vec<_> = (0..SERVERS).map(|_| scope.spawn(bind)).collect();
            binding.into_iter().filter_map(|it| it.join().unwrap().ok()).collect::<Vec<_>>()
        });
        assert_eq!(bound.len(), 1, "round {round}");
        UnixStream::connect(&path).unwrap();
        drop(bound);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "round {round}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_socket_that_listens_already_is_taken_over() {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = Listener::from_std(tcp).await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    connect(&listener, &uri).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn listeners_share_a_port_only_if_they_say_so() {
    let (first, _) = listen(local().reuse_port(true)).await;
    let address = first.local_address().unwrap();
    let second = Listener::bind(address).reuse_port(true).await.unwrap();
    assert_eq!(second.local_address().unwrap(), address);
    assert_eq!(kind(Listener::bind(address).await), ErrorKind::Listen);
}

// Who is asking.

#[tokio::test]
async fn a_trusted_proxy_says_whom_it_speaks_for_before_anything_else() {
    let (listener, _) = listen(local().proxy_protocol(["127.0.0.0/8"])).await;
    let header = "PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n";
    let request = request_of(&listener, format!("{header}{REQUEST}\r\n")).await.unwrap();
    assert_eq!(request.remote_address(), Some("192.0.2.1:5000".parse().unwrap()));
    assert_eq!(request.client_address(), Some("192.0.2.1".parse().unwrap()));
    // Without it, it is not trusted.
    let error = request_of(&listener, format!("{REQUEST}\r\n")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake);
    assert!(error.to_string().contains("PROXY protocol"), "{error}");
}

#[tokio::test]
async fn behind_a_proxy_on_this_machine_pages_of_the_server_itself_may_connect() {
    let (listener, _) = listen(local().proxy_protocol(["127.0.0.0/8"])).await;
    let page = |server| {
        format!(
            "PROXY TCP4 192.0.2.1 {server} 5000 443\r\n{}Origin: https://example.org\r\n\r\n",
            REQUEST.replace("localhost", "example.org")
        )
    };
    request_of(&listener, page("192.0.2.2")).await.unwrap();
    // The client of the proxy is on this machine too: whose name that is cannot be told.
    assert_eq!(kind(request_of(&listener, page("127.0.0.1")).await), ErrorKind::Handshake);
}

#[tokio::test]
async fn nobody_else_can_claim_an_address() {
    let (listener, _) = listen(local().proxy_protocol(["192.0.2.0/24", "unix"])).await;
    let header = "PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n";
    let error = request_of(&listener, format!("{header}{REQUEST}\r\n")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake);
    let request =
        request_of(&listener, format!("{REQUEST}X-Forwarded-For: 192.0.2.1\r\n\r\n")).await.unwrap();
    assert_eq!(request.client_address(), Some(IpAddr::from([127, 0, 0, 1])));
}

#[tokio::test]
async fn the_proxy_protocol_comes_before_tls_and_counts_for_the_limit_of_an_address() {
    let tls = Identity::self_signed(["localhost"]).unwrap();
    let builder = local().tls(tls).proxy_protocol(["127.0.0.1"]).max_connections_per_address(1);
    let (listener, _) = listen(builder).await;
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n\x16";
    let mut first = TcpStream::connect(listener.local_address().unwrap()).await.unwrap();
    first.write_all(header).await.unwrap();
    let mut shaking = Box::pin(listener.accept().await.request());
    for _ in 0..100 {
        assert!(poll_once(&mut shaking).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(kind(request_of(&listener, header).await), ErrorKind::Handshake);
    // Another client of the same proxy gets as far as TLS, which this is not.
    let other = request_of(&listener, b"PROXY TCP4 192.0.2.9 192.0.2.2 5000 443\r\nGET / HTTP/1.1\r\n").await;
    assert_eq!(kind(other), ErrorKind::Tls);
}

#[tokio::test]
async fn what_trusted_proxies_forward_is_believed() {
    let requests = RequestControl::new().trust_proxies(["127.0.0.1", "10.0.0.0/8"]).unwrap();
    let (listener, _) = listen(local().requests(requests.clone())).await;
    let forwarded = "X-Forwarded-For: 1.1.1.1, 198.51.100.7, 10.0.0.3\r\nX-Forwarded-Host: example.org\r\n\
        X-Forwarded-Proto: https\r\n";
    let request = |origin| format!("{REQUEST}{forwarded}Origin: {origin}\r\n\r\n");
    // The page is of the host that the proxy was asked for.
    let asked = request_of(&listener, request("https://example.org")).await.unwrap();
    assert_eq!(asked.client_address(), Some("198.51.100.7".parse().unwrap()));
    assert!(asked.remote_address().unwrap().ip().is_loopback());
    for origin in ["http://localhost", "http://example.org", "https://evil.example"] {
        assert_eq!(kind(request_of(&listener, request(origin)).await), ErrorKind::Handshake, "{origin}");
    }
    let requests = requests.forwarded_header(ForwardedHeader::Forwarded);
    let (listener, _) = listen(local().requests(requests)).await;
    let request =
        format!("{REQUEST}{forwarded}Forwarded: for=203.0.113.5;host=a.example;proto=https\r\n\r\n");
    let asked = request_of(&listener, request).await.unwrap();
    assert_eq!(asked.client_address(), Some("203.0.113.5".parse().unwrap()));
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_told_when_binding() {
    assert_eq!(kind(local().proxy_protocol(["everyone"]).await), ErrorKind::InvalidInput);
    assert!(RequestControl::new().trust_proxies(["everyone"]).is_err());
}

#[tokio::test]
async fn connections_from_many_tasks_are_counted_right() {
    let (listener, uri) = listen(local().max_connections(8)).await;
    let listener = Arc::new(listener);
    let server = tokio::spawn({
        let listener = Arc::clone(&listener);
        async move {
            loop {
                let incoming = listener.accept().await;
                tokio::spawn(async move {
                    let mut socket = incoming.request().await?.accept_message(&control()).await?;
                    socket.run(|message, replies| replies.send(message)).await
                });
            }
        }
    });
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let uri = uri.clone();
            tokio::spawn(async move {
                let mut client = MessageWebSocket::connect(&uri).await.unwrap();
                client.send("hello").await.unwrap();
                assert_eq!(client.receive().await.unwrap(), Some(text("hello")));
                client.close(CloseCode::NORMAL, "").await.unwrap();
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    server.abort();
    let _ = server.await;
    assert_eq!(Arc::into_inner(listener).unwrap().shutdown(Duration::from_secs(3600)).await, 0);
}
