//! Uploads a file as one message and shows how far it is.
//!
//! `upload [FILE [URL]]`: without a URL, to a server of its own that counts; without a file, this program itself.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsduo::{Error, Framing, Listener, StreamWebSocketControl};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = match arguments.next() {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?,
    };
    let (url, server) = match arguments.next() {
        Some(url) => (url.into_string().map_err(|_| "the URL is not Unicode")?, None),
        None => {
            let listener = Listener::bind("127.0.0.1:0").await?;
            (format!("ws://{}/", listener.local_address()?), Some(tokio::spawn(count(listener))))
        }
    };

    let mut file = File::open(&path).await?;
    let size = file.metadata().await?.len();
    let mut stream = StreamWebSocketControl::new().framing(Framing::OneMessage).connect(&url).await?;
    let mut buffer = vec![0; 64 << 10];
    let mut sent = 0;
    loop {
        let n = file.read(&mut buffer).await?;
        if n == 0 {
            break;
        }
        stream.write_all(&buffer[..n]).await?;
        sent += n as u64;
        if std::io::stderr().is_terminal() {
            eprint!("\r{sent} of {size} bytes, {} %", sent * 100 / size.max(sent));
            std::io::stderr().flush()?;
        }
    }
    // Ends the message, and waits until the server has it.
    stream.shutdown().await?;
    eprintln!("\r{sent} bytes of {} sent", path.display());
    if let Some(server) = server {
        println!("{} bytes received", server.await??);
    }
    Ok(())
}

async fn count(listener: Listener) -> Result<u64, Error> {
    let request = listener.accept().await.request().await?;
    let mut stream = request.accept_stream(&StreamWebSocketControl::new()).await?;
    let counted = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    counted.map_err(|error| error.downcast().expect("a stream fails with an error of this crate"))
}
