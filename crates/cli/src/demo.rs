//! `wsduo demo`: a server with TLS and a client that trusts it, and all there is to know about their connection.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use wsduo::{
    ClientTls, CloseCode, Closed, Error, Identity, Listener, Message, MessageWebSocketControl,
    MessageWebSocketInformation,
};

use crate::exit::{self, Failure};

/// Longer than this and something is wrong with this machine.
const LIMIT: Duration = Duration::from_secs(20);

const GREETING: &str = "Hello, World!";
const SUBPROTOCOL: &str = "demo.wsduo";

const TITLE: Style = Style::new().bold();
const LABEL: Style = AnsiColor::Cyan.on_default();

pub(crate) fn run() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Io("cannot start", error))?;
    runtime.block_on(async {
        let late = || Failure::Check(format!("the demo took longer than {} s", LIMIT.as_secs()));
        tokio::time::timeout(LIMIT, demo()).await.map_err(|_| late())?
    })
}

async fn demo() -> Result<(), Failure> {
    let identity = Identity::self_signed(["localhost"]).map_err(Failure::Connecting)?;
    // The client is told to trust this one certificate, and checks it as it would any other.
    let certificate = identity.certificate_pem().unwrap_or_default().to_owned();
    let listener = Listener::bind("127.0.0.1:0").tls(identity).await.map_err(Failure::Connecting)?;
    let address = listener.local_address().map_err(Failure::Connecting)?;
    let url = format!("wss://localhost:{}/", address.port());
    let server = tokio::spawn(serve(listener));

    title("A WebSocket over TLS, from this process to itself")?;
    line("server", &url)?;
    let tls = ClientTls::new().add_roots(certificate).map_err(Failure::Connecting)?.only_added_roots();
    let control = MessageWebSocketControl::new().tls(tls).subprotocols([SUBPROTOCOL]);
    let mut socket = control.connect(&url).await.map_err(Failure::Connecting)?;
    socket.send(GREETING).await.map_err(Failure::Open)?;
    line("sent", GREETING)?;
    let reply = socket.receive().await.map_err(Failure::Open)?;
    let Some(Message::Text(reply)) = reply else {
        return Err(Failure::Check("the server did not answer with a text message".into()));
    };
    line("received", &reply)?;
    socket.ping().await.map_err(Failure::Open)?;
    let closed = socket.close(CloseCode::NORMAL, "that was all").await.map_err(Failure::Open)?;
    line("end", &closed)?;

    title("What is known of the connection")?;
    tell(&socket.information())?;

    exit::judge(closed)?;
    match server.await {
        Ok(Ok(seen)) => line("server saw", seen)?,
        Ok(Err(error)) => return Err(Failure::Open(error)),
        Err(_) => return Err(Failure::Check("the server failed".into())),
    }
    if reply == GREETING {
        Ok(())
    } else {
        Err(Failure::Check("the server did not send back what it got".into()))
    }
}

/// Echoes to one client.
async fn serve(listener: Listener) -> Result<Closed, Error> {
    let control = MessageWebSocketControl::new().subprotocols([SUBPROTOCOL]);
    let mut socket = listener.accept().await.request().await?.accept_message(&control).await?;
    socket.run(|message, replies| replies.send(message)).await
}

fn tell(information: &MessageWebSocketInformation) -> Result<(), Failure> {
    if let (Some(local), Some(remote)) = (information.local_address(), information.remote_address()) {
        line("addresses", format_args!("{local} to {remote}"))?;
    }
    if let Some(tls) = information.tls() {
        line("TLS", format_args!("{}, {}", tls.version, tls.cipher_suite))?;
        if let Some(certificate) = tls.certificates.first() {
            line(
                "certificate",
                format_args!("{} bytes, self-signed, trusted for this demo", certificate.len()),
            )?;
        }
    }
    if let Some(response) = information.response() {
        line("response", response.status)?;
    }
    line("subprotocol", information.subprotocol().unwrap_or("none"))?;
    let statistics = information.statistics();
    if let Some(time) = statistics.round_trip_time {
        line("round trip", format_args!("{:.3} ms", time.as_secs_f64() * 1e3))?;
    }
    line(
        "messages",
        format_args!("{} sent, {} received", statistics.messages_sent, statistics.messages_received),
    )?;
    line("bytes", format_args!("{} sent, {} received", statistics.bytes_sent, statistics.bytes_received))?;
    Ok(())
}

fn title(text: &str) -> Result<(), Failure> {
    Ok(writeln!(anstream::stdout(), "{TITLE}{text}{TITLE:#}")?)
}

fn line(label: &str, value: impl fmt::Display) -> Result<(), Failure> {
    Ok(writeln!(anstream::stdout(), "  {LABEL}{label:<12}{LABEL:#}{value}")?)
}
