//! TCP through a WebSocket: each connection to one end comes out at the other.
//!
//! `tcp_tunnel server LISTEN TARGET`, such as `tcp_tunnel server 0.0.0.0:8080 127.0.0.1:22`, and beside the client
//! `tcp_tunnel client LISTEN URL`, such as `tcp_tunnel client 127.0.0.1:2222 ws://example.org:8080/`.
//!
//! A WebSocket has no half-close: when either side of a connection ends its direction, both are ended. That suits SSH, HTTP
//! and whatever else talks until it is done; not what sends, ends, and then waits for an answer.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use wsduo::{Listener, StreamWebSocket, StreamWebSocketControl};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [end, listen, to] = &arguments[..] else {
        return Err("usage: tcp_tunnel server LISTEN TARGET | tcp_tunnel client LISTEN URL".into());
    };
    if end == "server" {
        let listener = Listener::bind(listen.clone()).await?;
        loop {
            let (incoming, target) = (listener.accept().await, to.clone());
            tokio::spawn(async move {
                let mut stream =
                    incoming.request().await?.accept_stream(&StreamWebSocketControl::new()).await?;
                Outcome::Ok(copy_bidirectional(&mut stream, &mut TcpStream::connect(target).await?).await?)
            });
        }
    }
    let listener = TcpListener::bind(listen.clone()).await?;
    loop {
        let (mut tcp, url) = (listener.accept().await?.0, to.clone());
        tokio::spawn(async move {
            Outcome::Ok(copy_bidirectional(&mut StreamWebSocket::connect(&url).await?, &mut tcp).await?)
        });
    }
}
