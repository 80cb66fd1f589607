//! The fastest honest echo server the API allows: one thread, no size limits. For measuring and conformance tests.
//!
//! `echo_server ADDR [--tls] [--deflate] [--level N] [--no-context-takeover] [--window-bits N] [--sink | --stream]`: `--tls`
//! serves `wss` with a certificate made on the spot; `--deflate` accepts compression, and so do the three options behind it, which
//! set how hard to compress, whether a message may refer to those before it, and how far back; `--sink` counts binary messages without answering them, and answers a text message with that
//! count in decimal; `--stream` sends back bytes, as binary messages of its own, before the messages that bring them end.

use wsduo::{
    Compression, Error, Identity, Incoming, Listener, MessageType, MessageWebSocketControl, RequestControl,
    StreamWebSocketControl,
};

const USAGE: &str = "usage: echo_server ADDR [--tls] [--deflate] [--level N] [--no-context-takeover] [--window-bits N] \
                     [--sink | --stream]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut address = None;
    let (mut tls, mut deflate) = (false, None::<Compression>);
    let (mut sink, mut stream) = (false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let asked = deflate.unwrap_or_default();
        let mut number = || arguments.next().ok_or(USAGE)?.parse::<u8>().map_err(|_| USAGE);
        match argument.as_str() {
            "--tls" => tls = true,
            "--deflate" => deflate = Some(asked),
            "--level" => deflate = Some(asked.level(number()?)),
            "--no-context-takeover" => deflate = Some(asked.context_takeover(false, false)),
            "--window-bits" => {
                let bits = number()?;
                deflate = Some(asked.window_bits(bits, bits));
            }
            "--sink" => sink = true,
            "--stream" => stream = true,
            _ if address.is_none() && !argument.starts_with('-') => address = Some(argument),
            _ => return Err(format!("unknown argument {argument}; {USAGE}").into()),
        }
    }
    let address = address.ok_or(USAGE)?;

    let mut listener = Listener::bind(address).requests(RequestControl::new().allow_any_origin());
    if tls {
        listener = listener.tls(Identity::self_signed(["localhost", "127.0.0.1"])?);
    }
    let listener = listener.await?;
    println!("listening on {}://{}/", if tls { "wss" } else { "ws" }, listener.local_address()?);

    // Room for the answers to a whole read, so that large ones too leave together.
    let control = MessageWebSocketControl::new()
        .max_message_size(usize::MAX)
        .max_fragments(u32::MAX)
        .max_queued(448 << 10)
        .compression(deflate);
    loop {
        let incoming = listener.accept().await;
        let control = control.clone();
        // How one connection ends is of no interest here.
        if sink {
            tokio::spawn(count(incoming, control));
        } else if stream {
            tokio::spawn(echo_bytes(incoming));
        } else {
            tokio::spawn(echo(incoming, control));
        }
    }
}

async fn echo(incoming: Incoming, control: MessageWebSocketControl) -> Result<(), Error> {
    let mut socket = incoming.request().await?.accept_message(&control).await?;
    socket.run(|message, replies| replies.send(message)).await?;
    Ok(())
}

async fn echo_bytes(incoming: Incoming) -> std::io::Result<u64> {
    let request = incoming.request().await?;
    let (mut reader, mut writer) = request.accept_stream(&StreamWebSocketControl::new()).await?.split();
    tokio::io::copy_buf(&mut reader, &mut writer).await
}

async fn count(incoming: Incoming, control: MessageWebSocketControl) -> Result<(), Error> {
    let mut socket = incoming.request().await?.accept_message(&control).await?;
    let mut counted = 0_u64;
    socket
        .run(|message, replies| match message.message_type() {
            MessageType::Binary => {
                counted += 1;
                Ok(())
            }
            MessageType::Text => replies.send(counted.to_string()),
        })
        .await?;
    Ok(())
}
