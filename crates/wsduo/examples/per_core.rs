//! A runtime of one thread and a listener for each processor: connections never move between threads.
//!
//! The listeners share a port (`SO_REUSEPORT`), and Linux spreads connections among them. Where the system cannot share one, a runtime
//! with a thread for each processor, as `#[tokio::main]` makes it, is the way to go.
//!
//! `per_core [HOST:PORT] [THREADS]` echoes until Ctrl-C.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use wsduo::{Closed, Error, Incoming, Listener, MessageWebSocketControl};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let threads: NonZeroUsize = match arguments.next() {
        Some(threads) => threads.parse()?,
        None => std::thread::available_parallelism()?,
    };
    let runtime = runtime()?;
    let first = runtime.block_on(async { Listener::bind(address).reuse_port(true).await })?;
    // With port 0, the others need to know which one it became.
    let address = first.local_address()?;
    let (stop, stopping) = watch::channel(());
    let others: Vec<_> = (1..threads.get())
        .map(|_| {
            let stopping = stopping.clone();
            std::thread::spawn(move || another(address, stopping))
        })
        .collect();
    println!("listening on ws://{address}/ with {threads} threads");

    runtime.block_on(async {
        let serving = tokio::spawn(serve(first, stopping));
        let _ = tokio::signal::ctrl_c().await;
        drop(stop);
        serving.await
    })?;
    for other in others {
        other.join().map_err(|_| "a thread panicked")??;
    }
    Ok(())
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// One thread beside the first.
fn another(address: SocketAddr, stopping: watch::Receiver<()>) -> Result<(), AnyError> {
    runtime()?.block_on(async {
        let listener = Listener::bind(address).reuse_port(true).await?;
        serve(listener, stopping).await;
        Ok(())
    })
}

async fn serve(listener: Listener, mut stopping: watch::Receiver<()>) {
    loop {
        tokio::select! {
            incoming = listener.accept() => {
                tokio::spawn(echo(incoming));
            }
            _ = stopping.changed() => break,
        }
    }
    listener.shutdown(Duration::from_secs(5)).await;
}

async fn echo(incoming: Incoming) -> Result<Closed, Error> {
    let mut socket = incoming.request().await?.accept_message(&MessageWebSocketControl::new()).await?;
    socket.run(|message, replies| replies.send(message)).await
}
