//! An echo server over `wss` for the samples, and the platform of a client that trusts it.

use wsduo::{ClientTls, Error, Identity, Listener, MessageWebSocketControl, Proxy, ServerTls};
use wsduo_winrt::Platform;

/// Starts the server. Its certificate is of its own making: a client has to be told to trust it.
pub(crate) async fn start() -> Result<(String, Platform), Error> {
    let identity = Identity::self_signed(["localhost", "127.0.0.1"])?;
    let tls = ClientTls::new().add_roots(identity.certificate_pem().unwrap_or_default())?.only_added_roots();
    let listener = Listener::bind("127.0.0.1:0").tls(ServerTls::new(identity)).await?;
    let uri = format!("wss://{}/", listener.local_address()?);
    tokio::spawn(async move {
        loop {
            let incoming = listener.accept().await;
            tokio::spawn(async move {
                let mut socket =
                    incoming.request().await?.accept_message(&MessageWebSocketControl::new()).await?;
                socket.run(|message, replies| replies.send(message)).await
            });
        }
    });
    Ok((uri, Platform::new().tls(tls).proxy(Proxy::none())))
}
