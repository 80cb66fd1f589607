//! The process of the server. Its first lines say where it listens; then it tells each second what it has done.

use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Duration, interval};
use wsduo::{
    Compression, Error, ErrorKind, Identity, Incoming, Listener, MessageWebSocketControl, Role,
    StreamWebSocketControl,
};

use crate::counts::COUNTS;
use crate::plan::{Cut, Plan, Style};
use crate::talk::{Ending, Socket, hold, is_cut};
use crate::{ALLOCATED, Failure, stream};

/// Serves until its standard input ends; a line on it means that the end is near.
pub(crate) async fn run() -> Result<(), Failure> {
    let identity = Identity::self_signed(["localhost", "127.0.0.1"])?;
    let certificate = identity.certificate_pem().ok_or("no certificate")?.replace('\n', "|");
    let plain = Listener::bind("127.0.0.1:0").await?;
    let tls = Listener::bind("127.0.0.1:0").tls(identity).await?;
    println!("{} {} {certificate}", plain.local_address()?, tls.local_address()?);

    let (end, ending) = watch::channel(false);
    let mut input = tokio::io::stdin();
    let mut second = interval(Duration::from_secs(1));
    let mut byte = [0];
    loop {
        tokio::select! {
            incoming = plain.accept() => drop(tokio::spawn(serve(incoming, ending.clone()))),
            incoming = tls.accept() => drop(tokio::spawn(serve(incoming, ending.clone()))),
            _ = second.tick() => report(),
            // Whoever interrupts the run means the client, which ends us.
            _ = tokio::signal::ctrl_c() => {}
            read = input.read(&mut byte) => {
                if read? == 0 {
                    return Ok(());
                }
                // All receivers may be gone.
                let _ = end.send(true);
            }
        }
    }
}

fn report() {
    let counts: Vec<String> = COUNTS.all().iter().map(|(name, count)| format!("{name}={count}")).collect();
    let (tasks, allocated) =
        (Handle::current().metrics().num_alive_tasks(), ALLOCATED.current_usage() / 1024);
    println!("counts tasks={tasks} allocated={allocated} {}", counts.join(" "));
}

async fn serve(incoming: Incoming, ending: Ending) {
    let mut plan = None;
    let outcome = match open(incoming, &mut plan).await {
        Ok((socket, plan)) => {
            COUNTS.opened.add(1);
            hold(socket, &plan, Role::Server, ending).await.map_err(|text| format!("server: {text} ({plan})"))
        }
        // Clients cut connections in their openings too, before the plan is known. An opening that fails and was not cut is
        // told by the client.
        Err(error) if may_be_cut(&error, plan.as_ref()) => {
            COUNTS.cut.add(1);
            Ok(())
        }
        Err(error) => Err(format!("server: cannot accept: {error}")),
    };
    if let Err(text) = outcome {
        COUNTS.violations.add(1);
        println!("violation {text}");
    }
}

fn may_be_cut(error: &Error, plan: Option<&Plan>) -> bool {
    match plan {
        None => is_cut(error) || error.kind() == ErrorKind::Tls,
        Some(plan) => plan.may_be_cut() && is_cut(error),
    }
}

async fn open(incoming: Incoming, known: &mut Option<Plan>) -> Result<(Socket, Plan), Error> {
    let request = incoming.request().await?;
    // A path that is no plan is a fault of this program, and shows as one: nobody may cut it.
    let plan: Plan = request.path().parse().unwrap_or(Plan {
        seed: 0,
        style: Style::Split,
        cut: Cut::Nobody,
        messages: 0,
        pace: 0,
    });
    *known = Some(plan.clone());
    let compression = Compression::new().level(1 + (plan.seed % 6) as u8);
    if plan.style == Style::Stream {
        let control = StreamWebSocketControl::new().compression(compression);
        let stream = request.accept_stream(&stream::framing(&plan, Role::Server, control)).await?;
        return Ok((Socket::Bytes(stream), plan));
    }
    let socket = request.accept_message(&MessageWebSocketControl::new().compression(compression)).await?;
    Ok((Socket::Messages(socket), plan))
}
