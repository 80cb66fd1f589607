//! The client side of the Autobahn test suite, for its fuzzing server.
//!
//! `autobahn_client ws://HOST:PORT`

use wsduo::{Compression, Error, MessageWebSocketControl};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base = std::env::args().nth(1).ok_or("usage: autobahn_client ws://HOST:PORT")?;
    let base = base.trim_end_matches('/');
    let control = MessageWebSocketControl::new()
        .max_message_size(usize::MAX)
        .max_fragments(u32::MAX)
        .compression(Compression::new());

    let mut socket = control.connect(&format!("{base}/getCaseCount")).await?;
    let message = socket.receive().await?.ok_or("no case count")?;
    let cases: u32 = message.as_text().ok_or("the case count is not text")?.parse()?;
    // Ends when the server closes.
    while socket.receive().await?.is_some() {}

    for case in 1..=cases {
        // Most cases end with a violation that the suite provokes: it judges, not we.
        let _: Result<(), Error> = run(&control, &format!("{base}/runCase?case={case}&agent=wsduo")).await;
    }

    let mut socket = control.connect(&format!("{base}/updateReports?agent=wsduo")).await?;
    while socket.receive().await?.is_some() {}
    println!("{cases} cases run");
    Ok(())
}

async fn run(control: &MessageWebSocketControl, url: &str) -> Result<(), Error> {
    let mut socket = control.connect(url).await?;
    socket.run(|message, replies| replies.send(message)).await?;
    Ok(())
}
