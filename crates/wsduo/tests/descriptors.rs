//! Connecting that is given up leaves nothing behind. In a program of its own, to count its descriptors.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "clippy sees helpers as code outside of tests")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use wsduo::{BoxFuture, ClientTls, MessageWebSocketControl, Proxy, Resolver};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Never finds anything.
struct Silent(Arc<Notify>);

impl Resolver for Silent {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.0.notify_one();
        Box::pin(std::future::pending())
    }
}

/// Gives connecting up once the peer has heard something, and expects that the peer sees the end.
async fn give_up_heard(control: &MessageWebSocketControl, uri: &str, listener: &TcpListener) {
    let before = descriptors();
    let mut connecting = Box::pin(control.connect(uri));
    let hearing = async {
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.read_u8().await.unwrap();
        peer
    };
    let mut peer = tokio::select! {
        result = &mut connecting => panic!("nobody answered, and yet: {result:?}"),
        peer = hearing => peer,
    };
    assert_eq!(descriptors(), before + 2);
    drop(connecting);
    assert_eq!(descriptors(), before + 1, "{uri}");
    peer.read_to_end(&mut Vec::new()).await.unwrap();
}

#[tokio::test]
async fn connecting_given_up_at_any_stage_leaves_no_descriptor() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let direct = MessageWebSocketControl::new().proxy(Proxy::none());
    let runtime = tokio::runtime::Handle::current();

    // The look-up.
    let asked = Arc::new(Notify::new());
    let resolving = direct.clone().resolver(Silent(Arc::clone(&asked)));
    let before = descriptors();
    tokio::select! {
        result = resolving.connect("ws://name.example/") => panic!("{result:?}"),
        () = asked.notified() => {}
    }
    assert_eq!(descriptors(), before);

    // TCP: nobody accepts, and the queue is full.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    full.listen(0).unwrap();
    let hole = full.local_addr().unwrap().as_socket().unwrap();
    let _waiting = std::net::TcpStream::connect(hole).unwrap();
    let before = descriptors();
    {
        let uri = format!("ws://{hole}/");
        let mut connecting = Box::pin(direct.connect(&uri));
        for _ in 0..10 {
            tokio::select! {
                biased;
                result = &mut connecting => panic!("{result:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(descriptors(), before + 1);
    }
    assert_eq!(descriptors(), before);

    // The proxy's answer, TLS with a proxy, TLS with the server, the opening handshake.
    for proxy in ["http", "https", "socks5h", "socks4a"] {
        let proxy = Proxy::new(&format!("{proxy}://{address}")).unwrap();
        let control = MessageWebSocketControl::new().proxy(proxy);
        give_up_heard(&control, "ws://server.example/", &listener).await;
    }
    let tls = direct.clone().tls(ClientTls::new().only_added_roots().danger_accept_any_certificate());
    give_up_heard(&tls, &format!("wss://{address}/"), &listener).await;
    give_up_heard(&direct, &format!("ws://{address}/"), &listener).await;
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
}
