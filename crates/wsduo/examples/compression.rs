//! Compression with every setting: a server that takes them from the query of each request, and a client that takes them
//! from its input.
//!
//! `compression serve ADDR` sends messages back; a text message `?` is answered with what was agreed on and what came of it.
//! Under the path `/count` it takes a stream of bytes, however many, and only counts them.
//!
//! `compression talk` reads lines `URL SETTINGS` from its standard input. For each it connects to a server that sends messages
//! back, has an exchange with it, and prints what was agreed on and what came of it. It fails if anything came back other than
//! it was sent, or nothing was compressed.
//!
//! Settings are as in `send=9&receive=15&send_takeover=false&receive_takeover=true&level=6&threshold=128`; what is left out is
//! the default.

use std::io::BufRead;

use tokio::io::AsyncWriteExt;
use wsduo::{
    CloseCode, Compression, Incoming, Listener, Message, MessageWebSocket, MessageWebSocketControl,
    RequestControl, StreamWebSocketControl,
};

const USAGE: &str = "usage: compression serve ADDR | compression talk";

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => serve(address).await,
        ["talk"] => talk_to_all().await,
        _ => Err(USAGE.into()),
    }
}

fn compression(settings: &str) -> Result<Compression, Failure> {
    let (mut send, mut receive) = (15, 15);
    let (mut send_takeover, mut receive_takeover) = (true, true);
    let mut compression = Compression::new();
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        let (name, value) = setting.split_once('=').ok_or_else(|| format!("`{setting}` has no value"))?;
        match name {
            "send" => send = value.parse()?,
            "receive" => receive = value.parse()?,
            "send_takeover" => send_takeover = value.parse()?,
            "receive_takeover" => receive_takeover = value.parse()?,
            "level" => compression = compression.level(value.parse()?),
            "threshold" => compression = compression.threshold(value.parse()?),
            _ => return Err(format!("there is no setting `{name}`").into()),
        }
    }
    Ok(compression.window_bits(send, receive).context_takeover(send_takeover, receive_takeover))
}

/// What was agreed on, and what came of it, in one line.
fn outcome(socket: &MessageWebSocket) -> String {
    let information = socket.information();
    let Some(compression) = information.compression() else { return "no compression".into() };
    let (agreement, statistics) = (compression.agreement, compression.statistics);
    let takeover = |keeps| if keeps { "" } else { ", no takeover" };
    format!(
        "send {} bits{}, {} to {} bytes; receive {} bits{}, {} from {} bytes",
        agreement.send_window_bits,
        takeover(agreement.send_context_takeover),
        statistics.sent,
        statistics.sent_compressed,
        agreement.receive_window_bits,
        takeover(agreement.receive_context_takeover),
        statistics.received,
        statistics.received_compressed,
    )
}

// The server.

async fn serve(address: &str) -> Result<(), Failure> {
    let listener =
        Listener::bind(address.to_owned()).requests(RequestControl::new().allow_any_origin()).await?;
    println!("listening on ws://{}/", listener.local_address()?);
    loop {
        let incoming = listener.accept().await;
        tokio::spawn(async {
            if let Err(error) = send_back(incoming).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn send_back(incoming: Incoming) -> Result<(), Failure> {
    let request = incoming.request().await?;
    let compression = compression(request.query().unwrap_or_default())?;
    if request.path() == "/count" {
        let control = StreamWebSocketControl::new().compression(compression);
        let mut stream = request.accept_stream(&control).await?;
        let counted = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        eprintln!("{counted} bytes came");
        return Ok(());
    }
    let control = MessageWebSocketControl::new().compression(compression);
    let mut socket = request.accept_message(&control).await?;
    while let Some(message) = socket.receive().await? {
        if message == Message::from("?") {
            let outcome = outcome(&socket);
            socket.send(&outcome).await?;
        } else {
            socket.send(&message).await?;
        }
    }
    Ok(())
}

// The client.

async fn talk_to_all() -> Result<(), Failure> {
    let mut failed = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (url, settings) = line.split_once(' ').unwrap_or((&line, ""));
        match talk(url, settings).await {
            Ok(outcome) => println!("{line}: {outcome}"),
            Err(error) => {
                failed += 1;
                println!("{line}: FAILED: {error}");
            }
        }
    }
    if failed > 0 { Err(format!("{failed} exchanges failed").into()) } else { Ok(()) }
}

async fn talk(url: &str, settings: &str) -> Result<String, Failure> {
    let control = MessageWebSocketControl::new().compression(compression(settings)?);
    let mut socket = control.connect(url).await?;
    for message in exchange() {
        // Twice, so that the second refers to the first where it may; and in fragments.
        for _ in 0..2 {
            socket.send(&message).await?;
            expect(&mut socket, &message).await?;
        }
        let mut writer = socket.message_writer(message.message_type());
        for fragment in message.as_bytes().chunks(1 + message.as_bytes().len() / 3) {
            writer.write_all(fragment).await?;
        }
        writer.finish().await?;
        expect(&mut socket, &message).await?;
    }
    let outcome = outcome(&socket);
    let closed = socket.close(CloseCode::NORMAL, "").await?;
    let information = socket.information();
    let Some(compression) = information.compression() else {
        return Err("the server took no compression".into());
    };
    let (agreement, statistics) = (compression.agreement, compression.statistics);
    if agreement.may_compress() && statistics.sent_ratio().is_none_or(|ratio| ratio > 0.8) {
        return Err(format!("what was sent was not compressed: {outcome}").into());
    }
    if statistics.received_ratio().is_none_or(|ratio| ratio > 0.8) {
        return Err(format!("what was received was not compressed: {outcome}").into());
    }
    if !closed.clean {
        return Err(format!("{closed}; {outcome}").into());
    }
    Ok(outcome)
}

async fn expect(socket: &mut MessageWebSocket, sent: &Message) -> Result<(), Failure> {
    let received = socket.receive().await?;
    if received.as_ref() == Some(sent) {
        return Ok(());
    }
    let len = received.map(|message| message.as_bytes().len());
    Err(format!("{} bytes were sent, and {len:?} others came back", sent.as_bytes().len()).into())
}

/// Text and binary messages of sizes around those where something changes.
fn exchange() -> Vec<Message> {
    let mut messages = Vec::new();
    for len in [0, 1, 127, 128, 5000, 300_000] {
        let line = |i: usize| format!("{i} {} aé€😀\n", i * i % 977);
        let mut text: String = (0..).map(line).scan(0, |sum, line| within(sum, line, len)).collect();
        text.push_str(&"x".repeat(len - text.len()));
        if len < 300_000 {
            messages.push(Message::from(text.clone()));
        }
        messages.push(Message::from(text.into_bytes()));
    }
    messages
}

/// The line, if with it there are at most `len` bytes.
fn within(sum: &mut usize, line: String, len: usize) -> Option<String> {
    *sum += line.len();
    (*sum <= len).then_some(line)
}
