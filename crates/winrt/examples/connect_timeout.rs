//! Connecting may take five seconds, told in three ways (blocks 12 to 14 of the original's page).

mod support;

use std::time::Duration;

use tokio::time::{sleep, timeout};
use wsduo_winrt::{Error, MessageWebSocket, WebSocketError};

const LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, PartialEq)]
enum Outcome {
    Connected,
    TimedOut,
    Failed,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (uri, platform) = support::start().await?;
    let socket = || MessageWebSocket::with_platform(&platform);
    assert_eq!(cancelled_after(&socket(), &uri).await, Outcome::Connected);
    assert_eq!(dropped_by_a_timer(&socket(), &uri).await, Outcome::Connected);
    assert_eq!(raced(&socket(), &uri).await, Outcome::Connected);

    // It takes connections, and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("wss://{}/", silent.local_addr()?);
    let sockets = [socket(), socket(), socket()];
    let outcomes = tokio::join!(
        cancelled_after(&sockets[0], &uri),
        dropped_by_a_timer(&sockets[1], &uri),
        raced(&sockets[2], &uri),
    );
    println!("a silent server: {outcomes:?}");
    assert_eq!(outcomes, (Outcome::TimedOut, Outcome::TimedOut, Outcome::TimedOut));

    // A failure is not a timeout, and is told apart at once.
    drop(silent);
    assert_eq!(raced(&socket(), &uri).await, Outcome::Failed);
    Ok(())
}

/// C#: something cancels after five seconds, and whoever awaits the connect sees what became of it.
async fn cancelled_after(socket: &MessageWebSocket, uri: &str) -> Outcome {
    let cancellation = sleep(LIMIT);
    let mut connecting = socket.connect(uri);
    tokio::select! {
        result = &mut connecting => return finished(result),
        () = cancellation => connecting.cancel(),
    }
    match connecting.await {
        Err(error) if error.code() == Error::ABORT => Outcome::TimedOut,
        result => finished(result),
    }
}

/// C++/WinRT: a timer ends the operation. Dropping it is cancelling it.
async fn dropped_by_a_timer(socket: &MessageWebSocket, uri: &str) -> Outcome {
    timeout(LIMIT, socket.connect(uri)).await.map_or(Outcome::TimedOut, finished)
}

/// C++/CX: two tasks race, and the loser is cancelled.
async fn raced(socket: &MessageWebSocket, uri: &str) -> Outcome {
    tokio::select! {
        result = socket.connect(uri) => finished(result),
        () = sleep(LIMIT) => Outcome::TimedOut,
    }
}

fn finished(result: Result<(), Error>) -> Outcome {
    match result {
        Ok(()) => Outcome::Connected,
        Err(error) => {
            println!("{:?}: {error}", WebSocketError::get_status(error.code()));
            Outcome::Failed
        }
    }
}
