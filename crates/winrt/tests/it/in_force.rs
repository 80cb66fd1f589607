//! Settings whose effect a server or a proxy sees: credentials (spec §14.4).

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use wsduo::{MessageWebSocketControl as PeerControl, Proxy, Request, RequestControl};
use wsduo_winrt::{MessageWebSocket, PasswordCredential, StreamWebSocket};

use crate::support::{URI, pipes, serve, soon};

/// Of "Aladdin" and "open sesame": the example of RFC 7617 §2.
const BASIC: &str = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";

fn credential() -> PasswordCredential {
    PasswordCredential::new("test", "Aladdin", "open sesame").unwrap()
}

/// Reads up to the empty line.
async fn read_head(stream: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

#[tokio::test(start_paused = true)]
async fn the_server_credential_answers_a_server_that_asks() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    socket.control().set_server_credential(credential()).unwrap();
    let connecting = serve(socket.connect(URI));
    let mut stream = servers.transport().await;
    assert!(!soon(read_head(&mut stream)).await.contains("authorization:"), "nobody had asked");
    let ask = "HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=\"r\"\r\n\
        Connection: close\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    drop(stream);
    let request = servers.request().await;
    assert_eq!(request.headers()["authorization"], BASIC);
    soon(request.accept_message(&PeerControl::new())).await.unwrap();
    soon(connecting).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_proxy_credential_answers_the_proxy_of_the_platform() {
    let (platform, mut servers) = pipes();
    let platform = platform.proxy(Proxy::new("http://proxy.example:3128").unwrap());
    let socket = StreamWebSocket::with_platform(&platform);
    socket.control().set_proxy_credential(credential()).unwrap();
    let connecting = serve(socket.connect(URI));
    let mut stream = servers.transport().await;
    assert!(soon(read_head(&mut stream)).await.starts_with("connect server.example:80 "));
    let ask = "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"r\"\r\n\
        Connection: close\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    drop(stream);
    let mut stream = servers.transport().await;
    let asked = soon(read_head(&mut stream)).await;
    assert!(asked.contains(&format!("proxy-authorization: {}", BASIC.to_lowercase())), "{asked}");
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let request = soon(Request::from_transport(stream, &RequestControl::new())).await.unwrap();
    assert!(!request.headers().contains_key("proxy-authorization"), "it is for the proxy alone");
    soon(request.accept_message(&PeerControl::new())).await.unwrap();
    soon(connecting).await.unwrap().unwrap();
}
