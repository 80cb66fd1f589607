//! A socket that connects, and nothing else (blocks 1 and 2 of the original's page).

mod support;

use wsduo_winrt::{MessageWebSocket, WebSocketError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (uri, platform) = support::start().await?;

    // With a certificate of a public authority, `MessageWebSocket::new()` is all there is to it.
    let socket = MessageWebSocket::with_platform(&platform);
    if let Err(error) = socket.connect(&uri).await {
        eprintln!("{:?}: {error}", WebSocketError::get_status(error.code()));
        return Err(error.into());
    }

    let server = socket.information().server_certificate().ok_or("connected without TLS")?;
    println!("connected; the server's certificate is of {:?}", server.issuer());
    Ok(())
}
