//! Downloads a stream into a file and shows how far it is. The file has its name only once it is whole.
//!
//! `download [FILE [URL]]`: without a URL, from a server of its own that sends this program; without a file, into the folder
//! for temporary files, where it is removed again.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsduo::{Framing, Listener, StreamWebSocket, StreamWebSocketControl};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let mut arguments = std::env::args_os().skip(1);
    let named = arguments.next().map(PathBuf::from);
    let path = match &named {
        Some(path) => path.clone(),
        None => std::env::temp_dir().join(format!("wsduo-download-{}", std::process::id())),
    };
    let (url, server) = match arguments.next() {
        Some(url) => (url.into_string().map_err(|_| "the URL is not Unicode")?, None),
        None => {
            let listener = Listener::bind("127.0.0.1:0").await?;
            (format!("ws://{}/", listener.local_address()?), Some(tokio::spawn(serve(listener))))
        }
    };

    // Beside its place, so that renaming it is one step.
    let mut partial = path.clone().into_os_string();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    let received = match download(&url, &partial).await {
        Ok(received) => received,
        Err(error) => {
            // The cause is worth more than a failure to clean up.
            let _ = fs::remove_file(&partial).await;
            return Err(error);
        }
    };
    fs::rename(&partial, &path).await?;
    println!("{received} bytes received as {}", path.display());
    if let Some(server) = server {
        println!("{} bytes sent", server.await??);
    }
    if named.is_none() {
        fs::remove_file(&path).await?;
    }
    Ok(())
}

async fn download(url: &str, path: &Path) -> Outcome<u64> {
    let mut stream = StreamWebSocket::connect(url).await?;
    let mut file = File::create(path).await?;
    let mut buffer = vec![0; 64 << 10];
    let mut received = 0;
    loop {
        // An end that is not a closing handshake is an error, so half a file is never taken for a whole one.
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            break;
        }
        file.write_all(&buffer[..n]).await?;
        received += n as u64;
        if std::io::stderr().is_terminal() {
            eprint!("\r{received} bytes");
            std::io::stderr().flush()?;
        }
    }
    // A peer may close cleanly and still say by its code that something went wrong.
    match stream.closed() {
        Some(closed) if closed.code != wsduo::CloseCode::NORMAL => Err(closed.to_string().into()),
        _ => {
            // Before `sync_all`, which would not tell that the last write had failed.
            file.flush().await?;
            file.sync_all().await?;
            Ok(received)
        }
    }
}

async fn serve(listener: Listener) -> Outcome<u64> {
    let request = listener.accept().await.request().await?;
    let control = StreamWebSocketControl::new().framing(Framing::OneMessage);
    let mut stream = request.accept_stream(&control).await?;
    let mut file = File::open(std::env::current_exe()?).await?;
    let sent = tokio::io::copy(&mut file, &mut stream).await?;
    stream.shutdown().await?;
    Ok(sent)
}
