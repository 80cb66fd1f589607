//! One message goes out, its echo comes back and ends the connection (blocks 3 to 5 of the original's page).

mod support;

use tokio::sync::mpsc;
use wsduo_winrt::{DataWriter, Error, MessageWebSocket, Platform, SocketMessageType, WebSocketError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (uri, platform) = support::start().await?;

    // In C#, the handler disposes of the socket: a close frame without a code, which `Closed` tells as 1005.
    let lines = echo(&uri, &platform, |socket| {
        socket.close();
        Ok(())
    });
    assert_eq!(lines.await?, ["received Hello, World!", "closed 1005"]);

    // In C++, it closes the socket with a code and an empty reason.
    let lines = echo(&uri, &platform, |socket| socket.close_with_status(1000, ""));
    assert_eq!(lines.await?, ["received Hello, World!", "closed 1000"]);
    Ok(())
}

/// Returns what the handlers saw, once the socket is closed.
async fn echo(
    uri: &str,
    platform: &Platform,
    finish: fn(&MessageWebSocket) -> Result<(), Error>,
) -> Result<Vec<String>, Error> {
    let (seen, mut lines) = mpsc::unbounded_channel();
    let socket = MessageWebSocket::with_platform(platform);
    socket.control().set_message_type(SocketMessageType::Utf8);

    let received = seen.clone();
    socket.message_received(move |socket, args| {
        // A lost connection shows itself here too, as an error and not as an exception that nobody catches.
        let text =
            args.get_data_reader().and_then(|reader| reader.read_string(reader.unconsumed_buffer_length()));
        let line = match text.and_then(|text| finish(&socket).map(|()| text)) {
            Ok(text) => format!("received {text}"),
            Err(error) => format!("failed: {:?}", WebSocketError::get_status(error.code())),
        };
        println!("{line:?}");
        let _ = received.send(line);
        async {}
    })?;
    socket.closed(move |_, args| {
        let line = format!("closed {} {}", args.code(), args.reason()).trim_end().to_owned();
        println!("{line:?}");
        let _ = seen.send(line);
        async {}
    })?;

    socket.connect(uri).await?;
    send(&socket, "Hello, World!").await?;

    // The handlers, and their ends of the channel with them, are dropped after `Closed`.
    let mut all = Vec::new();
    while let Some(line) = lines.recv().await {
        all.push(line);
    }
    Ok(all)
}

async fn send(socket: &MessageWebSocket, text: &str) -> Result<(), Error> {
    let writer = DataWriter::with_stream(socket.output_stream());
    writer.write_string(text)?;
    writer.store().await?;
    // Or dropping the writer would close the stream.
    writer.detach_stream()?;
    Ok(())
}
