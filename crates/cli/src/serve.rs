//! `wsduo serve`: accepts connections until told to stop, then closes them all.

mod broadcast;
mod metrics;
mod workers;

use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use wsduo::{Incoming, Listener, ListenerBuilder, MessageWebSocket, MessageWebSocketControl};

use self::broadcast::Hub;
use self::metrics::Metrics;
use self::workers::Workers;
use crate::args::ServeKind;
use crate::exit::Failure;
use crate::files;
use crate::plan::Serve;
use crate::signals::Signals;
use crate::terminal;

/// How long clients are waited for in all once the server was told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn run(plan: Serve) -> Result<(), Failure> {
    // Threads take descriptors too.
    raise_file_limit();
    let (workers, runtime) =
        Workers::start(plan.threads).map_err(|error| Failure::Io("cannot start the threads", error))?;
    let result = runtime.block_on(serve(plan, &workers));
    runtime.shutdown_background();
    workers.end();
    result
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    control: MessageWebSocketControl,
    what: What,
}

/// What is done for clients.
#[derive(Debug)]
enum What {
    Echo,
    Broadcast(Hub),
    Files(files::Files),
}

async fn serve(mut plan: Serve, workers: &Workers) -> Result<(), Failure> {
    // Before anyone can know that we are there.
    let mut signals = Signals::new()?;
    metrics::log(plan.verbose);
    let what = match (&plan.files, plan.kind) {
        (Some(files), _) => What::Files(files::Files::open(files)?),
        (None, ServeKind::Broadcast) => What::Broadcast(Hub::new(plan.broadcast)),
        (None, _) => What::Echo,
    };
    let (listener, place) = listen(&mut plan).await?;
    let metrics = match &plan.metrics {
        Some(address) => Some(Metrics::listen(address).await?),
        None => None,
    };
    announce(&place, metrics.as_ref())?;
    if let Some(metrics) = metrics {
        tokio::spawn(metrics.serve());
    }
    if let What::Files(files) = &what {
        terminal::note(&files.describe());
    }

    let shared = Arc::new(Shared { control: plan.control, what });
    let (stop, stopping) = watch::channel(());
    loop {
        tokio::select! {
            (incoming, worker) = workers.for_idlest(listener.accept()) => {
                worker.spawn(connection(incoming, Arc::clone(&shared), stopping.clone()));
            }
            _ = signals.next() => break,
        }
    }
    drop(stop);
    tokio::select! {
        _ = listener.shutdown(STOP_TIMEOUT) => {}
        // Somebody is in a hurry.
        _ = signals.next() => {}
    }
    Ok(())
}

/// The listener, and how it is reached.
async fn listen(plan: &mut Serve) -> Result<(Listener, String), Failure> {
    let failed = |place: &dyn Display, error| Failure::Listening(place.to_string(), error);
    let scheme = if plan.identity.is_some() { "wss" } else { "ws" };
    #[cfg(unix)]
    if let Some(path) = plan.unix.take() {
        let listener = configure(Listener::bind_unix(&path), plan)
            .await
            .map_err(|error| failed(&path.display(), error))?;
        return Ok((listener, format!("{scheme}+unix://{}", path.display())));
    }
    let listener = configure(Listener::bind(plan.listen.clone()), plan).await;
    let bound = listener.and_then(|listener| Ok((listener.local_address()?, listener)));
    let (address, listener) = bound.map_err(|error| failed(&plan.listen, error))?;
    Ok((listener, format!("{scheme}://{address}/")))
}

fn configure<A>(builder: ListenerBuilder<A>, plan: &mut Serve) -> ListenerBuilder<A> {
    let mut builder = builder.requests(plan.requests.clone()).max_connections(plan.max_connections.get());
    if !plan.proxy_protocol.is_empty() {
        builder = builder.proxy_protocol(&plan.proxy_protocol);
    }
    if let Some(connections) = plan.max_connections_per_address {
        builder = builder.max_connections_per_address(connections.get());
    }
    if let Some(identity) = plan.identity.take() {
        builder = builder.tls(identity);
    }
    builder
}

fn announce(place: &str, metrics: Option<&Metrics>) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening on {place}")?;
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
        _ => echo(socket).await,
    }
}

/// The socket, and for a server of files who is at its other end.
async fn open(incoming: Incoming, shared: &Shared) -> Option<(MessageWebSocket, Option<files::Client>)> {
    let mut request = incoming.request().await.ok()?;
    let mut client = None;
    if let What::Files(files) = &shared.what {
        let (admitted, its_client) = files.admit(request).await?;
        (request, client) = (admitted, Some(its_client));
    }
    let socket = request.accept_message(&shared.control).await.ok()?;
    Some((socket, client))
}

/// Until the client goes, or the listener shuts down.
async fn echo(mut socket: MessageWebSocket) {
    let _ = socket.run(|message, replies| replies.send(message)).await;
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
