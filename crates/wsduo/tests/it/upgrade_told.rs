//! What another HTTP server tells of its connections, and what it does not have to do for their sockets then.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::any;
use http::{HeaderName, Request, StatusCode};
use tokio::net::TcpListener;
use wsduo::axum::WebSocketUpgrade;
use wsduo::upgrade::{ConnectionInformation, Refusal, Sockets, UpgradeRequest, detached, upgrade};
use wsduo::{CloseCode, ErrorKind, MessageWebSocket, RequestControl};
use wsduo_testing::Scripted;

use crate::support::{HOUR, control, soon};
use crate::upgrade::{REQUEST, hyper_server};

fn told() -> ConnectionInformation {
    ConnectionInformation::new()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A request with further headers by this connection, judged.
fn judge(
    connection: ConnectionInformation,
    control: &RequestControl,
    headers: &[(&str, &str)],
) -> Result<UpgradeRequest, Refusal> {
    let mut request = Request::builder().uri("/chat").body(()).unwrap();
    let lines = REQUEST.lines().skip(1).filter_map(|line| line.split_once(": "));
    for (name, value) in lines.chain(headers.iter().copied()) {
        request.headers_mut().insert(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    request.extensions_mut().insert(connection);
    detached(&request, control)
}

#[test]
fn on_a_loopback_address_a_page_has_to_use_a_name_of_this_machine() {
    let page = [("origin", "http://example.org")];
    let may = |connection| judge(connection, &RequestControl::new(), &page).is_ok();
    for here in ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
        assert!(!may(told().local_address(address(here))), "{here}");
        // The other end of such a connection is on this machine too.
        assert!(!may(told().remote_address(address(here))), "{here}");
    }
    let (far, near) = (address("192.0.2.1:5000"), address("192.0.2.2:80"));
    assert!(may(told()) && may(told().unix_socket()));
    assert!(may(told().remote_address(far).local_address(near)));
    let allowed = RequestControl::new().allow_host("example.org");
    assert!(judge(told().local_address(address("127.0.0.1:80")), &allowed, &page).is_ok());
}

#[test]
fn a_page_by_http_may_not_connect_where_tls_ends_here() {
    let may = |has_tls, origin| {
        judge(told().tls(has_tls), &RequestControl::new(), &[("origin", origin)]).map(drop).is_ok()
    };
    assert!(may(false, "http://example.org") && !may(true, "http://example.org"));
    assert!(may(false, "https://example.org") && may(true, "https://example.org"));
}

#[test]
fn what_trusted_proxies_forward_is_believed_and_nobody_else() {
    let control = RequestControl::new().trust_proxies(["10.0.0.0/8", "unix"]).unwrap();
    let headers = [
        ("x-forwarded-for", "6.6.6.6, 192.0.2.7"),
        ("x-forwarded-host", "public.example"),
        ("x-forwarded-proto", "https"),
        ("origin", "https://public.example"),
    ];
    for proxy in [told().remote_address(address("10.1.1.1:5000")), told().unix_socket()] {
        let request = judge(proxy, &control, &headers).unwrap();
        assert_eq!(request.client_address(), Some(address("192.0.2.7:1").ip()));
    }
    let stranger = told().remote_address(address("192.0.2.9:5000"));
    assert_eq!(judge(stranger, &control, &headers).unwrap_err().status(), StatusCode::FORBIDDEN);
    let request = judge(stranger, &control, &headers[..1]).unwrap();
    assert_eq!(request.client_address(), Some(address("192.0.2.9:1").ip()));
    // Who is not known is trusted by nobody, though what comes by a Unix socket has no address either.
    assert_eq!(judge(told(), &control, &headers).unwrap_err().status(), StatusCode::FORBIDDEN);
    assert_eq!(judge(told(), &control, &headers[..1]).unwrap().client_address(), None);
}

#[test]
fn a_socket_knows_the_addresses_that_were_told() {
    let (far, near) = (address("192.0.2.1:5000"), address("192.0.2.2:443"));
    let connection = told().remote_address(far).local_address(near);
    let request = judge(connection, &RequestControl::new(), &[]).unwrap();
    let (_, pending) = request.accept_message::<()>(&control()).unwrap();
    let socket = pending.over(Scripted::new("").0, Vec::new());
    assert_eq!(socket.information().remote_address(), Some(far));
    assert_eq!(socket.information().local_address(), Some(near));
}

#[tokio::test(start_paused = true)]
async fn sockets_are_counted_limited_and_closed_together() {
    let sockets = Sockets::at_most(2);
    let ours = sockets.clone();
    let connect = move || {
        let ours = ours.clone();
        let transport = hyper_server(move |request| {
            let (response, pending) = upgrade(request)?.among(&ours)?.accept_message(&control())?;
            tokio::spawn(async move { pending.await?.run(|message, replies| replies.send(message)).await });
            Ok(response)
        });
        async move { soon(control().connect_over(transport, "ws://example.org/")).await }
    };
    let (mut first, second) = (connect().await.unwrap(), connect().await.unwrap());
    assert_eq!(sockets.open(), 2);
    let error = connect().await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(10)));
    drop(second);
    while sockets.open() > 1 {
        tokio::task::yield_now().await;
    }
    // One whose response is never sent counts as long as somebody may wait for it.
    let pending = judge(told(), &RequestControl::new(), &[]).unwrap().among(&sockets).unwrap();
    assert_eq!(sockets.open(), 2);
    drop(pending);

    let (cut, received) = tokio::join!(sockets.shutdown(HOUR), soon(first.receive()));
    assert_eq!((cut, received.unwrap()), (0, None));
    assert_eq!(first.closed().unwrap().code, CloseCode::GOING_AWAY);
    assert_eq!(sockets.open(), 0);
    let error = connect().await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
    let why = |sockets| {
        let refusal = judge(told(), &RequestControl::new(), &[]).unwrap().among(sockets).unwrap_err();
        assert_eq!(refusal.error().kind(), ErrorKind::Closed);
        refusal.into_response::<String>().into_body()
    };
    assert_eq!(why(&sockets), "the server is shutting down; try again in 10 seconds\n");
    let none = "there are as many connections as there may be; try again in 10 seconds\n";
    assert_eq!(why(&Sockets::at_most(0)), none);
}

#[tokio::test]
async fn axums_own_word_for_the_other_end_is_understood_and_its_sockets_close_too() {
    let sockets = Sockets::new();
    let ours = sockets.clone();
    let echo = move |upgrade: WebSocketUpgrade| {
        let ours = ours.clone();
        async move {
            assert_eq!(upgrade.request().client_address(), Some(address("127.0.0.1:1").ip()));
            upgrade.among(&ours).on_upgrade(|mut socket: MessageWebSocket| async move {
                socket.run(|message, replies| replies.send(message)).await.unwrap();
            })
        }
    };
    async fn elsewhere(upgrade: WebSocketUpgrade) -> Response {
        let connection = ConnectionInformation::new().local_address(address("192.0.2.2:80"));
        upgrade.connection(connection).on_upgrade(|_| async {})
    }
    let router = Router::new().route("/echo", any(echo)).route("/elsewhere", any(elsewhere));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let origin = format!("ws://evil.example:{port}");
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });

    // A page of a name that was pointed at this machine.
    let page = control()
        .resolve("evil.example", port, ["127.0.0.1".parse().unwrap()])
        .header("origin", format!("http://evil.example:{port}"));
    let error = page.connect(&format!("{origin}/echo")).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, StatusCode::FORBIDDEN);
    // What is told in the handler counts more.
    page.connect(&format!("{origin}/elsewhere")).await.unwrap();

    let mut socket = MessageWebSocket::connect(&format!("ws://127.0.0.1:{port}/echo")).await.unwrap();
    let (cut, received) = tokio::join!(sockets.shutdown(HOUR), socket.receive());
    assert_eq!((cut, received.unwrap()), (0, None));
    assert_eq!(socket.closed().unwrap().code, CloseCode::GOING_AWAY);
}
