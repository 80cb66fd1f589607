//! One end of a transfer of many bytes, for measuring; `benches/README.md` tells how.
//!
//! `transfer server send|receive BYTES CHUNK messages|one`, and the other `transfer client … URL`: prints `ready` when
//! connected, waits for a line, transfers BYTES in writes of CHUNK bytes, as a message each or as one, prints `done`, and
//! ends when its standard input does.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsduo::{Framing, Listener, StreamWebSocketControl};

const USAGE: &str = "usage: transfer (server|client) (send|receive) BYTES CHUNK (messages|one) [URL]";

/// How many bytes are asked for at a time.
const BUFFER: usize = 64 << 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, direction, bytes, chunk, framing, url @ ..] = &arguments[..] else { return Err(USAGE.into()) };
    let (bytes, chunk): (u64, usize) = (bytes.parse()?, chunk.parse()?);
    let framing = if framing == "one" { Framing::OneMessage } else { Framing::MessagePerWrite };
    let control = StreamWebSocketControl::new().framing(framing);
    let mut stream = match (&**role, url) {
        ("client", [url]) => control.connect(url).await?,
        ("server", []) => {
            let listener = Listener::bind("127.0.0.1:0").await?;
            println!("listening on ws://{}/", listener.local_address()?);
            listener.accept().await.request().await?.accept_stream(&control).await?
        }
        _ => return Err(USAGE.into()),
    };

    let sends = direction == "send";
    let mut buffer = vec![7; if sends { chunk } else { BUFFER }];
    wait("ready")?;
    let mut total = 0;
    if sends {
        while total < bytes {
            let n = usize::try_from(bytes - total)?.min(chunk);
            stream.write_all(&buffer[..n]).await?;
            total += n as u64;
        }
        stream.shutdown().await?;
    } else {
        loop {
            match stream.read(&mut buffer).await? {
                0 => break,
                n => total += n as u64,
            }
        }
    }
    if total != bytes {
        return Err(format!("{total} bytes instead of {bytes}").into());
    }
    Ok(wait("done")?)
}

/// Says a word and waits for a line. Nothing else runs meanwhile.
fn wait(word: &str) -> std::io::Result<()> {
    println!("{word}");
    std::io::stdin().read_line(&mut String::new()).map(drop)
}
