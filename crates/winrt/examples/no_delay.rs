//! Small writes are gathered by TCP: `NoDelay` is set to false (blocks 9 to 11 of the original's page).

mod support;

use wsduo_winrt::{Error, StreamWebSocket};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (uri, platform) = support::start().await?;
    let socket = StreamWebSocket::with_platform(&platform);
    assert!(socket.control().no_delay(), "the default");

    socket.control().set_no_delay(false)?;
    socket.connect(&uri).await?;
    assert!(!socket.control().no_delay());

    // It is in force for the life of the connection: later changes are refused.
    let late = socket.control().set_no_delay(true).map_err(|error| error.code());
    assert_eq!(late, Err(Error::ILLEGAL_METHOD_CALL));
    println!("connected, with NoDelay {}", socket.control().no_delay());
    socket.close_with_status(1000, "")?;
    Ok(())
}
