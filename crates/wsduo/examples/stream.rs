//! The stream scenario of the original: the bytes 0 to 9 are written, come back, and are read as they arrive.
//!
//! `stream [URL]`: without a URL, against an echo server of its own.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsduo::{CloseCode, Error, Listener, StreamWebSocket, StreamWebSocketControl};

const ROUNDS: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => serve().await?,
    };
    let mut stream = StreamWebSocket::connect(&url).await?;
    let bytes: [u8; 10] = std::array::from_fn(|i| i as u8);
    for _ in 0..ROUNDS {
        stream.write_all(&bytes).await?;
    }
    stream.flush().await?;

    let mut received = 0;
    while received < ROUNDS * bytes.len() {
        // As much as is there, not all 256.
        let mut buffer = [0; 256];
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Err("the server closed early".into());
        }
        println!("{:?}", &buffer[..n]);
        received += n;
    }
    println!("{}", stream.close(CloseCode::NORMAL, "").await?);
    Ok(())
}

async fn serve() -> Result<String, Error> {
    let listener = Listener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/", listener.local_address()?);
    tokio::spawn(async move {
        let request = listener.accept().await.request().await?;
        let (mut reader, mut writer) = request.accept_stream(&StreamWebSocketControl::new()).await?.split();
        tokio::io::copy_buf(&mut reader, &mut writer).await
    });
    Ok(url)
}
