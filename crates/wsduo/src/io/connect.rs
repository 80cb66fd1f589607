//! From a URI to an open connection: resolve, TCP, TLS, opening handshake, each within its time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use wsduo_proto::WebSocketUri;
use wsduo_proto::handshake::{ClientRequest, Refusal};

use super::dial::dial;
use super::handshake;
use super::transport::Transport;
use crate::control::Settings;
use crate::error::{Error, ErrorKind};
use crate::information::{Agreed, Facts};
use crate::tls;

/// An open connection, not yet a socket.
pub(crate) struct Opened {
    pub(crate) transport: Transport,
    pub(crate) facts: Facts,
    pub(crate) behind_handshake: Vec<u8>,
}

/// What came of connecting.
pub(crate) enum Answer {
    Opened(Opened),
    /// The server answered with another status; the rest of its body has not been read.
    Refused(Box<Refusal>, Transport),
}

/// Connects with these headers, which may be others than those of the settings.
pub(crate) async fn connect(
    uri: &WebSocketUri,
    settings: &Settings,
    headers: &HeaderMap,
) -> Result<Answer, Error> {
    let tcp = dial(uri.host(), uri.port(), settings.connect_timeout).await?;
    // A socket that refuses the option is about to report why.
    let _ = tcp.set_nodelay(settings.no_delay);
    let local_address = tcp.local_addr().ok();
    let remote_address = tcp.peer_addr().ok();
    let opening = async {
        let mut transport =
            if uri.is_secure() { settings.tls.connect(tcp, uri.host()).await? } else { Transport::tcp(tcp) };
        let request = ClientRequest { uri, subprotocols: &settings.subprotocols, extensions: None, headers };
        let (response, behind_handshake) =
            match handshake::client(&mut transport, &request, settings.head_limits).await? {
                Ok(agreed) => agreed,
                Err(refusal) => return Ok(Answer::Refused(refusal, transport)),
            };
        let agreed = Agreed {
            subprotocol: response.subprotocol.clone(),
            response: Some(response),
            uri: Some(uri.to_string()),
            tls: tls::information(&transport),
        };
        let facts = Facts { local_address, remote_address, agreed: Some(Arc::new(agreed)) };
        Ok(Answer::Opened(Opened { transport, facts, behind_handshake }))
    };
    within(settings.connect_timeout, "TLS and the opening handshake", opening).await
}

pub(crate) async fn within<R>(
    timeout: Duration,
    what: &str,
    future: impl Future<Output = Result<R, Error>>,
) -> Result<R, Error> {
    tokio::time::timeout(timeout, future).await.unwrap_or_else(|_| {
        let text = format!("{what} took longer than {timeout:?}; is this a WebSocket server?");
        Err(Error::text(ErrorKind::TimedOut, text))
    })
}
