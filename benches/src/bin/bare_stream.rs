//! The limit to measure transfers against: bytes over TCP by tokio, with nothing around them.
#![forbid(unsafe_code)]

use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wsduo_benches::end::{BUFFER, End};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let end = End::from_arguments(0)?;
    let mut stream = match end.authority() {
        Some(authority) => TcpStream::connect(authority).await?,
        None => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            println!("listening on ws://{}/", listener.local_addr()?);
            listener.accept().await?.0
        }
    };
    stream.set_nodelay(true)?;
    let mut buffer = vec![7; if end.sends { end.chunk } else { BUFFER }];
    end.ready()?;
    let mut total = 0;
    if end.sends {
        for len in end.writes() {
            stream.write_all(&buffer[..len]).await?;
            total += len as u64;
        }
        stream.shutdown().await?;
        // The peer ends when it has everything.
        let _end = stream.read(&mut buffer).await?;
    } else {
        loop {
            match stream.read(&mut buffer).await? {
                0 => break,
                n => total += n as u64,
            }
        }
        stream.shutdown().await?;
    }
    end.done(total)
}
