//! The extractor in real routers of axum's, beside ordinary routes and behind layers.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tower_http::validate_request::ValidateRequestHeaderLayer;
use wsduo::axum::WebSocketUpgrade;
use wsduo::upgrade::Refusal;
use wsduo::{
    CloseCode, Compression, Error, ErrorKind, MessageWebSocket, RequestControl, StreamWebSocketControl,
};

use crate::support::{control, soon, text};
use crate::upgrade::REQUEST;

/// Serves it, and says where.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("ws://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

async fn echo(mut socket: MessageWebSocket) {
    socket.run(|message, replies| replies.send(message)).await.unwrap();
}

async fn echoed(socket: &mut MessageWebSocket, message: &str) {
    socket.send(message).await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), Some(text(message)));
}

/// A request without a connection, as far as the router: the answer.
async fn answer(router: Router, headers: &[(&str, &str)]) -> (StatusCode, String) {
    let mut request = Request::builder().uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The headers of a request in order.
fn in_order() -> Vec<(&'static str, &'static str)> {
    REQUEST.lines().skip(1).filter_map(|line| line.split_once(": ")).collect()
}

#[tokio::test]
async fn sockets_live_beside_ordinary_routes_with_nested_state_behind_layers() {
    #[derive(Clone)]
    struct Greeting(&'static str);

    async fn greet(upgrade: WebSocketUpgrade, State(greeting): State<Greeting>) -> Response {
        upgrade.on_upgrade(move |mut socket| async move {
            socket.send(greeting.0).await.unwrap();
            echo(socket).await;
        })
    }
    let rooms = Router::new().route("/ws", any(greet)).with_state(Greeting("welcome"));
    #[allow(deprecated, reason = "good enough for a test")]
    let login = ValidateRequestHeaderLayer::bearer("secret");
    let router = Router::new()
        .route("/", get(|| async { "a page" }))
        .nest("/rooms", rooms)
        .layer(CompressionLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(5)))
        .layer(TraceLayer::new_for_http())
        .layer(login);
    let origin = serve(router).await;

    let error = MessageWebSocket::connect(&format!("{origin}/rooms/ws")).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, StatusCode::UNAUTHORIZED);
    let knows = control().header("authorization", "Bearer secret").header("accept-encoding", "gzip");
    let error = knows.connect(&format!("{origin}/")).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, StatusCode::OK);
    let mut socket = knows.connect(&format!("{origin}/rooms/ws")).await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), Some(text("welcome")));
    echoed(&mut socket, "hello").await;
    assert!(socket.close(CloseCode::NORMAL, "").await.unwrap().clean);
}

#[tokio::test]
async fn the_options_reach_the_handshake_and_the_socket() {
    async fn handler(upgrade: WebSocketUpgrade) -> Response {
        let offered: Vec<&str> = upgrade.requested_protocols().collect();
        assert_eq!(offered, ["v1", "v2"]);
        assert_eq!(upgrade.request().path(), "/");
        assert_eq!(upgrade.selected_protocol(), None);
        let mut upgrade = upgrade.control(&control().keepalive(None)).protocols(["v3", "v2", "v1"]);
        assert_eq!(upgrade.selected_protocol(), Some("v2"));
        upgrade.set_selected_protocol("v1");
        upgrade
            .compression(Compression::new())
            .header("x-room", "1")
            .max_message_size(10)
            .max_write_buffer_size(1000)
            .on_upgrade(|mut socket| async move {
                assert_eq!(socket.information().subprotocol(), Some("v1"));
                assert!(socket.information().compression().is_some());
                assert!(socket.information().remote_address().is_some());
                assert_eq!(socket.receive().await.unwrap_err().kind(), ErrorKind::TooLarge);
            })
    }
    let origin = serve(Router::new().route("/", any(handler))).await;
    let offers = control().subprotocols(["v1", "v2"]).compression(Compression::new());
    let mut socket = offers.connect(&origin).await.unwrap();
    assert_eq!(socket.information().subprotocol(), Some("v1"));
    assert_eq!(socket.information().response().unwrap().headers["x-room"], "1");
    socket.send("more than ten bytes").await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), None);
    assert_eq!(socket.closed().unwrap().code, CloseCode::TOO_BIG);
}

#[tokio::test]
async fn a_stream_of_bytes_is_had_as_well() {
    async fn handler(upgrade: WebSocketUpgrade) -> Response {
        upgrade.stream_control(&StreamWebSocketControl::new()).on_upgrade_stream(|mut stream| async move {
            let mut bytes = [0; 5];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
        })
    }
    let origin = serve(Router::new().route("/", any(handler))).await;
    let mut stream = StreamWebSocketControl::new().connect(&origin).await.unwrap();
    stream.write_all(b"bytes").await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"bytes");
}

#[tokio::test]
async fn rejections_have_the_status_that_fits() {
    let router =
        || Router::new().route("/", any(|upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo) }));
    assert_eq!(answer(router(), &[("host", "example.org")]).await.0, StatusCode::UPGRADE_REQUIRED);
    let (status, body) = answer(router(), &in_order()).await;
    assert_eq!((status, body.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "internal server error\n"));
    let mut headers = in_order();
    headers.retain(|(name, _)| *name != "Sec-WebSocket-Key");
    let (status, body) = answer(router(), &headers).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body, "header sec-websocket-key is missing: it is required\n");
}

#[tokio::test]
async fn an_option_is_none_for_requests_that_ask_for_no_websocket() {
    async fn handler(upgrade: Option<WebSocketUpgrade>) -> Response {
        match upgrade {
            Some(upgrade) => upgrade.on_upgrade(echo),
            None => "a page".into_response(),
        }
    }
    let router = Router::new().route("/", any(handler));
    let (status, body) = answer(router.clone(), &[("host", "example.org")]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "a page"));
    // One that asks in a wrong way is told so.
    let mut headers = in_order();
    headers.retain(|(name, _)| *name != "Sec-WebSocket-Version");
    assert_eq!(answer(router.clone(), &headers).await.0, StatusCode::UPGRADE_REQUIRED);
    let origin = serve(router).await;
    echoed(&mut MessageWebSocket::connect(&origin).await.unwrap(), "hello").await;
}

#[tokio::test]
async fn a_result_tells_the_handler_why() {
    async fn handler(upgrade: Result<WebSocketUpgrade, Refusal>) -> Response {
        match upgrade {
            Ok(upgrade) => upgrade.on_upgrade(echo),
            Err(refusal) => (StatusCode::IM_A_TEAPOT, refusal.to_string()).into_response(),
        }
    }
    let router = Router::new().route("/", any(handler));
    let (status, body) = answer(router.clone(), &[("host", "example.org")]).await;
    assert_eq!(status, StatusCode::IM_A_TEAPOT);
    assert_eq!(body, "header upgrade is missing: it is required");
    let origin = serve(router).await;
    echoed(&mut MessageWebSocket::connect(&origin).await.unwrap(), "hello").await;
}

#[tokio::test]
async fn pages_of_other_origins_need_to_be_allowed() {
    async fn closed(upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(echo)
    }
    async fn listed(upgrade: WebSocketUpgrade) -> Response {
        upgrade.allow_origin("https://app.example.net").on_upgrade(echo)
    }
    async fn open(upgrade: WebSocketUpgrade) -> Response {
        upgrade.allow_any_origin().on_upgrade(echo)
    }
    let by_layer = Router::new()
        .route("/layer", any(closed))
        .layer(Extension(RequestControl::new().allow_origin("https://app.example.net")));
    let router = Router::new()
        .route("/closed", any(closed))
        .route("/listed", any(listed))
        .route("/open", any(open))
        .merge(by_layer);
    let origin = serve(router).await;
    for (page, may) in [
        ("https://app.example.net", ["/listed", "/open", "/layer"].as_slice()),
        ("https://evil.example", &["/open"]),
    ] {
        for path in ["/closed", "/listed", "/open", "/layer"] {
            let result = control().header("origin", page).connect(&format!("{origin}{path}")).await;
            let refused = result.err().map(|error| error.refusal().unwrap().status);
            let expected = (!may.contains(&path)).then_some(StatusCode::FORBIDDEN);
            assert_eq!(refused, expected, "{page} to {path}");
        }
    }
}

#[tokio::test]
async fn an_upgrade_that_fails_is_told() {
    let (told, mut heard) = mpsc::unbounded_channel::<Error>();
    let handler = move |mut upgrade: WebSocketUpgrade| async move {
        upgrade.set_selected_protocol("never offered");
        upgrade.on_failed_upgrade(move |error| told.send(error).unwrap()).on_upgrade(echo)
    };
    let origin = serve(Router::new().route("/", any(handler))).await;
    let error = MessageWebSocket::connect(&origin).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(soon(heard.recv()).await.unwrap().kind(), ErrorKind::InvalidInput);
}
