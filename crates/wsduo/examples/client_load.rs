//! A client that does nothing but send or receive, for measuring; `benches/README.md` tells how.
//!
//! `client_load client URL send|receive SIZE MESSAGES`: sends so many messages, 32 of them between two flushes, or receives so
//! many and says `done`; then waits for the other end to close.

use wsduo::{MessageWebSocket, MessageWebSocketControl};

const USAGE: &str = "usage: client_load client URL send|receive SIZE MESSAGES";

/// How many messages go between two flushes.
const BATCH: u64 = 32;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [_, url, way, size, messages] = &arguments[..] else { return Err(USAGE.into()) };
    let (size, messages): (usize, u64) = (size.parse()?, messages.parse()?);
    let mut socket = MessageWebSocketControl::new().max_message_size(usize::MAX).connect(url).await?;
    if way == "send" {
        send(&mut socket, &vec![7; size], messages).await?;
    }
    let mut left = if way == "send" { 0 } else { messages };
    // The other end closes without a word, as soon as it has seen all.
    let _ = socket
        .run(|_, replies| {
            left = left.saturating_sub(1);
            if left == 0 { replies.send("done") } else { Ok(()) }
        })
        .await;
    Ok(())
}

async fn send(socket: &mut MessageWebSocket, payload: &[u8], messages: u64) -> Result<(), wsduo::Error> {
    for index in 1..=messages {
        socket.feed(payload).await?;
        if index % BATCH == 0 {
            socket.flush().await?;
        }
    }
    socket.flush().await
}
