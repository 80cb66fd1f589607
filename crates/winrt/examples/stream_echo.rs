//! Bytes go out and come back, both at once (blocks 6 to 8 of the original's page).

mod support;

use wsduo_winrt::{DataReader, DataWriter, Error, InputStreamOptions, StreamWebSocket, WebSocketError};

const DATA: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (uri, platform) = support::start().await?;
    let socket = StreamWebSocket::with_platform(&platform);
    socket.closed(|_, args| async move { println!("closed: {} {:?}", args.code(), args.reason()) })?;

    let echo = echo(&socket, &uri).await.inspect_err(|error| {
        eprintln!("{:?}: {error}", WebSocketError::get_status(error.code()));
    })?;
    println!("received {echo:?}");
    assert_eq!(echo, DATA);
    Ok(())
}

async fn echo(socket: &StreamWebSocket, uri: &str) -> Result<Vec<u8>, Error> {
    socket.connect(uri).await?;
    let (echo, ()) = tokio::try_join!(receive(socket), send(socket))?;
    socket.close_with_status(1000, "")?;
    Ok(echo)
}

async fn send(socket: &StreamWebSocket) -> Result<(), Error> {
    let writer = DataWriter::with_stream(socket.output_stream());
    writer.write_bytes(&DATA)?;
    writer.store().await?;
    writer.detach_stream()?;
    Ok(())
}

async fn receive(socket: &StreamWebSocket) -> Result<Vec<u8>, Error> {
    let reader = DataReader::new(socket.input_stream());
    // At most 256 bytes, as soon as there are any. A stream has no messages: what was one write may take several loads.
    reader.set_input_stream_options(InputStreamOptions::PARTIAL);
    let mut echo = Vec::new();
    while echo.len() < DATA.len() {
        let mut bytes = vec![0; reader.load(256).await? as usize];
        if bytes.is_empty() {
            break; // the server has closed the connection
        }
        reader.read_bytes(&mut bytes)?;
        echo.append(&mut bytes);
    }
    reader.detach_stream()?;
    Ok(echo)
}
