//! A feed of prices that changes faster than a slow client can follow: of each symbol the client gets the newest price.
//!
//! `quotes ADDR` serves until it is stopped; look with `wsduo ws://ADDR/`. Without an address it shows itself: a client reads much
//! slower than prices change, and it fails unless the client ends up with the last price of every symbol, never saw a symbol go
//! back in time, and what it got and what was skipped are together all there was.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use wsduo::{
    Broadcaster, CloseCode, Error, Listener, MessageWebSocket, MessageWebSocketControl, Publication, Role,
    SlowConsumer, Subscription, SubscriptionControl,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const TOPIC: &str = "quotes";
const SYMBOLS: usize = 100;

/// Ticks of the demonstration: each changes every price.
const TICKS: usize = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    match std::env::args().nth(1).filter(|argument| argument != "--check") {
        Some(address) => {
            let listener = Listener::bind(address).await?;
            println!("listening on ws://{}/", listener.local_address()?);
            let feed = feed();
            let publishing = feed.clone();
            tokio::spawn(async move {
                for tick in 0.. {
                    publish_all(&publishing, tick).await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
            loop {
                let incoming = listener.accept().await;
                let feed = feed.clone();
                tokio::spawn(async move {
                    let socket = incoming.request().await?.accept_message(&control()).await?;
                    follow(socket, feed.subscribe(TOPIC)?).await
                });
            }
        }
        None => demonstrate().await,
    }
}

fn feed() -> Broadcaster {
    Broadcaster::with(
        SubscriptionControl::new().slow_consumer(SlowConsumer::LatestOnly).max_messages(SYMBOLS),
    )
}

async fn publish_all(feed: &Broadcaster, tick: usize) {
    for symbol in 0..SYMBOLS {
        let quote = Publication::new(format!("SYM{symbol} {tick}")).key(format!("SYM{symbol}"));
        feed.publish(TOPIC, quote).await;
    }
}

/// Little is queued behind the feed, where a newer price cannot take the place of an older one any more.
fn control() -> MessageWebSocketControl {
    MessageWebSocketControl::new().max_queued(1 << 10).max_message_size(64)
}

/// One connection, until it ends. Tells how many prices it was not fast enough for.
async fn follow<T: AsyncRead + AsyncWrite + Unpin>(
    mut socket: MessageWebSocket<T>,
    mut subscription: Subscription,
) -> Result<u64, Error> {
    while socket.receive_with(&mut subscription).await?.is_some() {}
    Ok(subscription.dropped())
}

async fn demonstrate() -> Result<(), Failure> {
    let feed = feed();
    // In memory, since the system buffers megabytes of a connection over loopback.
    let (near, far) = tokio::io::duplex(1 << 10);
    let (server, client) =
        (control().from_transport(near, Role::Server), control().from_transport(far, Role::Client));
    let serving = tokio::spawn(follow(server, feed.subscribe(TOPIC)?));

    let publishing = async {
        for tick in 0..TICKS {
            publish_all(&feed, tick).await;
            // Others have to run too.
            tokio::task::yield_now().await;
        }
    };
    let (received, ()) = tokio::join!(look(client), publishing);
    let received = received?;
    let skipped = serving.await??;
    println!(
        "{} prices of {SYMBOLS} symbols: the client got {received}, and {skipped} were skipped for newer ones",
        SYMBOLS * TICKS
    );
    if received + skipped != (SYMBOLS * TICKS) as u64 {
        return Err("some prices are unaccounted for".into());
    }
    if skipped == 0 {
        return Err("the client was not slow".into());
    }
    Ok(())
}

/// A slow client: looks until it has the last price of every symbol, and counts what it got.
async fn look<T: AsyncRead + AsyncWrite + Unpin>(mut client: MessageWebSocket<T>) -> Result<u64, Failure> {
    let mut prices = HashMap::new();
    let mut received = 0;
    while prices.values().filter(|tick| **tick + 1 == TICKS).count() < SYMBOLS {
        let message = client.receive().await?.ok_or("the server closed")?;
        received += 1;
        let quote = message.as_text().and_then(|text| text.split_once(' ')).ok_or("not a quote")?;
        let (symbol, tick) = (quote.0.to_owned(), quote.1.parse::<usize>()?);
        if let Some(before) = prices.insert(symbol, tick)
            && before >= tick
        {
            return Err("a price was followed by an older one".into());
        }
        if received % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    client.close(CloseCode::NORMAL, "").await?;
    Ok(received)
}
