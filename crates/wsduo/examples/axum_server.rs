//! An axum router with an ordinary page, a WebSocket of messages and one of bytes.
//!
//! `axum_server [ADDRESS]`: with an address it serves until Ctrl-C, and then closes its sockets; without one it visits itself and
//! ends in the same way.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wsduo::axum::WebSocketUpgrade;
use wsduo::upgrade::Sockets;
use wsduo::{CloseCode, Message, MessageWebSocket, StreamWebSocket};

/// What all handlers know.
#[derive(Clone, Default)]
struct Shared {
    /// How many have visited.
    visitors: Arc<AtomicUsize>,
    sockets: Sockets,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let shared = Shared::default();
    let router = Router::new()
        .route(
            "/",
            get(|State(shared): State<Shared>| async move {
                format!("{} visitors\n", shared.visitors.load(Ordering::Relaxed))
            }),
        )
        .route("/echo", any(echo))
        .route("/upload", any(upload))
        .with_state(shared.clone())
        // By this wsduo knows who connects, and whether it is from this machine.
        .into_make_service_with_connect_info::<SocketAddr>();

    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let origin = format!("ws://{}", listener.local_addr()?);
    println!("{origin}/echo");
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    if address.is_some() {
        tokio::signal::ctrl_c().await?;
    } else {
        visit(&origin).await?;
    }
    serving.abort();
    let cut = shared.sockets.shutdown(Duration::from_secs(10)).await;
    println!("{cut} sockets had to be cut");
    Ok(())
}

async fn echo(upgrade: WebSocketUpgrade, State(shared): State<Shared>) -> Response {
    let Shared { visitors, sockets } = shared;
    upgrade.among(&sockets).protocols(["echo.v1"]).on_upgrade(|mut socket| async move {
        let number = visitors.fetch_add(1, Ordering::Relaxed) + 1;
        if let Err(error) = socket.run(|message, replies| replies.send(message)).await {
            eprintln!("visitor {number}: {error}");
        }
    })
}

/// Counts bytes, however many: nothing is kept of them.
async fn upload(upgrade: WebSocketUpgrade, State(shared): State<Shared>) -> Response {
    upgrade.among(&shared.sockets).on_upgrade_stream(|mut stream: StreamWebSocket| async move {
        if let Err(error) = count(&mut stream).await {
            eprintln!("upload: {error}");
        }
    })
}

async fn count(stream: &mut StreamWebSocket) -> std::io::Result<()> {
    let announced = stream.read_u32().await?;
    let received = tokio::io::copy(&mut stream.take(announced.into()), &mut tokio::io::sink()).await?;
    stream.write_u64(received).await?;
    stream.shutdown().await
}

async fn visit(origin: &str) -> Result<(), Box<dyn Error>> {
    let mut socket = MessageWebSocket::connect(&format!("{origin}/echo")).await?;
    socket.send("hello").await?;
    assert_eq!(socket.receive().await?, Some(Message::from("hello")));
    println!("{}", socket.close(CloseCode::NORMAL, "").await?);

    let mut stream = StreamWebSocket::connect(&format!("{origin}/upload")).await?;
    stream.write_u32(1 << 20).await?;
    stream.write_all(&vec![0; 1 << 20]).await?;
    stream.flush().await?;
    let received = stream.read_u64().await?;
    println!("{received} bytes uploaded");
    assert_eq!(received, 1 << 20);
    Ok(())
}
