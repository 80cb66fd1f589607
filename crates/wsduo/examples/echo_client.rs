//! Connects, sends every data message back as it came, compressed if the server agrees, and ends when the connection is closed.
//!
//! `echo_client URL`

use wsduo::{Compression, MessageWebSocketControl};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: echo_client URL")?;
    let control = MessageWebSocketControl::new()
        .max_message_size(usize::MAX)
        .max_fragments(u32::MAX)
        .compression(Compression::new());
    let mut socket = control.connect(&url).await?;
    let closed = socket.run(|message, replies| replies.send(message)).await?;
    println!("{closed}");
    Ok(())
}
