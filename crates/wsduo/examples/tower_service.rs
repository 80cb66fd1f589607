//! A tower service that opens WebSockets, behind layers, served by hyper in whichever version of HTTP the client speaks.
//!
//! `tower_service [ADDRESS]`: with an address it serves for ever; without one it visits itself and ends.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Layer, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use wsduo::upgrade::{Refusal, upgrade};
use wsduo::{CloseCode, Message, MessageWebSocket, MessageWebSocketControl};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let origin = format!("ws://{}", listener.local_addr()?);
    println!("{origin}/");
    let serving = tokio::spawn(serve(listener));
    if address.is_some() {
        return Ok(serving.await??);
    }
    visit(&origin).await
}

async fn serve(listener: TcpListener) -> std::io::Result<()> {
    // The layers see the request and the 101; the socket outlives the timeout and is not compressed a second time.
    let timeout = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(5));
    let service = timeout.layer(service_fn(respond));
    let service = TraceLayer::new_for_http().layer(CompressionLayer::new().layer(service));
    loop {
        let (tcp, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = server.serve_connection_with_upgrades(TokioIo::new(tcp), service).await {
                eprintln!("{error}");
            }
        });
    }
}

/// Any tower service may do this: there is no layer to add.
async fn respond(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(echo(&mut request).unwrap_or_else(Refusal::into_response))
}

fn echo(request: &mut Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
    let (response, pending) = upgrade(request)?.accept_message(&MessageWebSocketControl::new())?;
    tokio::spawn(async move { pending.await?.run(|message, replies| replies.send(message)).await });
    Ok(response)
}

async fn visit(origin: &str) -> Result<(), Box<dyn Error>> {
    let control = MessageWebSocketControl::new().header("accept-encoding", "gzip");
    let mut socket = control.connect(&format!("{origin}/")).await?;
    socket.send("hello").await?;
    assert_eq!(socket.receive().await?, Some(Message::from("hello")));
    println!("{}", socket.close(CloseCode::NORMAL, "").await?);

    let page = control.clone().header("origin", "https://evil.example");
    let error = page.connect(&format!("{origin}/")).await.expect_err("another origin");
    println!("{error}");
    assert_eq!(error.refusal().map(|refusal| refusal.status), Some(StatusCode::FORBIDDEN));
    MessageWebSocket::connect(origin).await?.close(CloseCode::NORMAL, "").await?;
    Ok(())
}
