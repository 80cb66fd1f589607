//! A hyper server with an ordinary page and a WebSocket beside it.
//!
//! `hyper_server [ADDRESS]`: with an address it serves until Ctrl-C, and then closes its sockets; without one it visits itself
//! and ends in the same way.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use wsduo::upgrade::{ConnectionInformation, Refusal, Sockets, upgrade};
use wsduo::{CloseCode, Message, MessageWebSocket, MessageWebSocketControl};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let origin = format!("ws://{}", listener.local_addr()?);
    println!("{origin}/echo");
    let sockets = Sockets::new();
    let ours = sockets.clone();
    let serving = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((tcp, _)) => drop(tokio::spawn(serve(tcp, ours.clone()))),
                // No descriptor to spare: soon there will be.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    if address.is_some() {
        tokio::signal::ctrl_c().await?;
    } else {
        visit(&origin).await?;
    }
    serving.abort();
    let cut = sockets.shutdown(Duration::from_secs(10)).await;
    println!("{cut} sockets had to be cut");
    Ok(())
}

async fn serve(tcp: TcpStream, sockets: Sockets) {
    // What only the server knows: pages are judged by it.
    let mut connection = ConnectionInformation::new().tls(false);
    if let Ok(address) = tcp.peer_addr() {
        connection = connection.remote_address(address);
    }
    if let Ok(address) = tcp.local_addr() {
        connection = connection.local_address(address);
    }
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection);
        respond(request, sockets.clone())
    });
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(tcp), service)
        .with_upgrades() // without it there would be no connection to upgrade
        .await;
    if let Err(error) = served {
        eprintln!("{error}");
    }
}

async fn respond(
    mut request: Request<Incoming>,
    sockets: Sockets,
) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match request.uri().path() {
        "/" => Response::new(Full::from("a page\n")),
        "/echo" => echo(&mut request, &sockets).unwrap_or_else(Refusal::into_response),
        _ => {
            let mut response = Response::new(Full::from("no such page\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

/// Answers a request, and goes on with the socket in a task of its own.
fn echo(request: &mut Request<Incoming>, sockets: &Sockets) -> Result<Response<Full<Bytes>>, Refusal> {
    let control = MessageWebSocketControl::new().subprotocols(["echo.v1"]);
    let (response, pending) = upgrade(request)?.among(sockets)?.accept_message(&control)?;
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
