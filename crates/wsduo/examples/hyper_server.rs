//! A hyper server with an ordinary page and a WebSocket beside it.
//!
//! `hyper_server [ADDRESS]`: with an address it serves for ever; without one it visits itself and ends.

use std::convert::Infallible;
use std::error::Error;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use wsduo::upgrade::{Refusal, upgrade};
use wsduo::{CloseCode, Message, MessageWebSocket, MessageWebSocketControl};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let origin = format!("ws://{}", listener.local_addr()?);
    println!("{origin}/echo");
    let serving = tokio::spawn(serve(listener));
    if address.is_some() {
        return Ok(serving.await??);
    }
    visit(&origin).await
}

async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
        tokio::spawn(async move {
            let served = http1::Builder::new()
                .serve_connection(TokioIo::new(tcp), service_fn(respond))
                .with_upgrades() // without it there would be no connection to upgrade
                .await;
            if let Err(error) = served {
                eprintln!("{error}");
            }
        });
    }
}

async fn respond(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match request.uri().path() {
        "/" => Response::new(Full::from("a page\n")),
        "/echo" => echo(&mut request).unwrap_or_else(Refusal::into_response),
        _ => {
            let mut response = Response::new(Full::from("no such page\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

/// Answers a request, and goes on with the socket in a task of its own.
fn echo(request: &mut Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
    let control = MessageWebSocketControl::new().subprotocols(["echo.v1"]);
    let (response, pending) = upgrade(request)?.accept_message(&control)?;
    tokio::spawn(async move {
        let mut socket = pending.await?;
        socket.run(|message, replies| replies.send(message)).await
    });
    Ok(response)
}

async fn visit(origin: &str) -> Result<(), Box<dyn Error>> {
    let control = MessageWebSocketControl::new().subprotocols(["echo.v1"]);
    let mut socket = control.connect(&format!("{origin}/echo")).await?;
    assert_eq!(socket.information().subprotocol(), Some("echo.v1"));
    socket.send("hello").await?;
    assert_eq!(socket.receive().await?, Some(Message::from("hello")));
    println!("{}", socket.close(CloseCode::NORMAL, "").await?);

    // The page beside it is a page, and no WebSocket.
    let error = MessageWebSocket::connect(&format!("{origin}/")).await.expect_err("a page");
    assert_eq!(error.refusal().map(|refusal| refusal.status), Some(StatusCode::OK));
    Ok(())
}
