//! `wsduo serve`: accepts connections until told to stop, then closes them all.

mod broadcast;
mod metrics;

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use wsduo::http::StatusCode;
use wsduo::{CloseCode, Incoming, Listener, MessageWebSocket, MessageWebSocketControl};

use self::broadcast::Hub;
use self::metrics::Metrics;
use crate::args::ServeKind;
use crate::exit::Failure;
use crate::files;
use crate::plan::Serve;
use crate::signals::Signals;
use crate::terminal;

/// How long clients are waited for in all once the server was told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn run(plan: Serve) -> Result<(), Failure> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = plan.threads {
        builder.worker_threads(threads.get());
    }
    let runtime = builder.enable_all().build().map_err(|error| Failure::Io("cannot start", error))?;
    let result = runtime.block_on(serve(plan));
    runtime.shutdown_background();
    result
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    control: MessageWebSocketControl,
    what: What,
    /// Web pages are let in only if they know this server by a name of this machine.
    only_by_loopback_name: bool,
}

/// What is done for clients.
#[derive(Debug)]
enum What {
    Echo,
    Broadcast(Hub),
    Files(files::Files),
}

async fn serve(plan: Serve) -> Result<(), Failure> {
    // Before anyone can know that we are there.
    let mut signals = Signals::new()?;
    raise_file_limit();
    metrics::log(plan.verbose);
    let what = match (&plan.files, plan.kind) {
        (Some(files), _) => What::Files(files::Files::open(files)?),
        (None, ServeKind::Broadcast) => What::Broadcast(Hub::default()),
        (None, _) => What::Echo,
    };
    let scheme = if plan.identity.is_some() { "wss" } else { "ws" };
    let mut builder =
        Listener::bind(plan.listen).requests(plan.requests).max_connections(plan.max_connections.get());
    if let Some(identity) = plan.identity {
        builder = builder.tls(identity);
    }
    let listener = builder.await.map_err(Failure::Connecting)?;
    let address = listener.local_address().map_err(Failure::Connecting)?;
    let metrics = match &plan.metrics {
        Some(address) => Some(Metrics::listen(address).await?),
        None => None,
    };
    announce(scheme, address, metrics.as_ref())?;
    if let Some(metrics) = metrics {
        tokio::spawn(metrics.serve());
    }
    if let What::Files(files) = &what {
        terminal::note(&files.describe());
    }

    let shared = Arc::new(Shared {
        control: plan.control,
        what,
        only_by_loopback_name: plan.same_origin_only && address.ip().is_loopback(),
    });
    let (stop, stopping) = watch::channel(());
    // Nothing is sent on it: it ends when the last connection has dropped its end.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    loop {
        tokio::select! {
            incoming = listener.accept() => {
                let connection = connection(incoming, Arc::clone(&shared), stopping.clone());
                let alive = alive.clone();
                tokio::spawn(async move {
                    connection.await;
                    drop(alive);
                });
            }
            _ = signals.next() => break,
        }
    }
    drop((listener, alive, stop));
    tokio::select! {
        _ = tokio::time::timeout(STOP_TIMEOUT, all_gone.recv()) => {}
        // Somebody is in a hurry.
        _ = signals.next() => {}
    }
    Ok(())
}

fn announce(scheme: &str, address: SocketAddr, metrics: Option<&Metrics>) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening on {scheme}://{address}/")?;
    if let Some(metrics) = metrics {
        writeln!(stdout, "metrics on http://{}/metrics", metrics.address()?)?;
    }
    stdout.flush()?;
    Ok(())
}

/// One client, from its request to its end. How it ends is its own affair.
async fn connection(incoming: Incoming, shared: Arc<Shared>, mut stopping: watch::Receiver<()>) {
    let opening = Box::pin(open(incoming, &shared));
    let opened = tokio::select! {
        opened = opening => opened,
        _ = stopping.changed() => None,
    };
    let Some((socket, client)) = opened else { return };
    match (&shared.what, client) {
        (What::Files(files), Some(client)) => files.serve(socket, &client, stopping).await,
        (What::Broadcast(hub), _) => hub.serve(socket, stopping).await,
        _ => echo(socket, stopping).await,
    }
}

/// The socket, and for a server of files who is at its other end.
async fn open(incoming: Incoming, shared: &Shared) -> Option<(MessageWebSocket, Option<files::Client>)> {
    let mut request = incoming.request().await.ok()?;
    if shared.only_by_loopback_name && request.origin().is_some() && !is_loopback_name(request.host()) {
        // A page of a name that someone pointed at this machine (DNS rebinding) is of the same origin, and yet a stranger.
        let _ = request.refuse(StatusCode::FORBIDDEN).await;
        return None;
    }
    let mut client = None;
    if let What::Files(files) = &shared.what {
        let (admitted, its_client) = files.admit(request).await?;
        (request, client) = (admitted, Some(its_client));
    }
    let socket = request.accept_message(&shared.control).await.ok()?;
    Some((socket, client))
}

async fn echo(mut socket: MessageWebSocket, mut stopping: watch::Receiver<()>) {
    tokio::select! {
        _ = socket.run(|message, replies| replies.send(message)) => {}
        _ = stopping.changed() => {
            let _ = socket.close(CloseCode::GOING_AWAY, "the server is shutting down").await;
        }
    }
}

/// Whether a `Host` header names this machine to itself.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Lets this process hold as many connections as the system allows: the default is often 1,024.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // Refused, it stays as it was, and accepting waits for descriptors.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback_names() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "127.1.2.3", "[::1]:9", "[::1]"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in ["", "example.org", "127.0.0.1.example.org:80", "localhost.evil", "10.0.0.1", "[::2]"] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
