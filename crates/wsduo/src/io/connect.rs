//! From a URI to an open connection: resolve, TCP, TLS, opening handshake, each within its time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use wsduo_proto::WebSocketUri;
use wsduo_proto::handshake::{ClientRequest, DeflateAgreement};

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
    pub(crate) compression: Option<DeflateAgreement>,
    pub(crate) behind_handshake: Vec<u8>,
}

pub(crate) async fn connect(uri: &WebSocketUri, settings: &Settings) -> Result<Opened, Error> {
    match settings.total_timeout {
        None => connect_in_stages(uri, settings).await,
        Some(timeout) => within(timeout, "connecting", connect_in_stages(uri, settings)).await,
    }
}

async fn connect_in_stages(uri: &WebSocketUri, settings: &Settings) -> Result<Opened, Error> {
    let tcp = dial(uri.host(), uri.port(), settings.connect_timeout).await?;
    // A socket that refuses the option is about to report why.
    let _ = tcp.set_nodelay(settings.no_delay);
    let local_address = tcp.local_addr().ok();
    let remote_address = tcp.peer_addr().ok();
    let opening = async {
        let mut transport =
            if uri.is_secure() { settings.tls.connect(tcp, uri.host()).await? } else { Transport::tcp(tcp) };
        let offer = settings.compression.map(|compression| compression.negotiation().offer());
        let request = ClientRequest {
            uri,
            subprotocols: &settings.subprotocols,
            extensions: offer.as_deref(),
            headers: &settings.headers,
        };
        let (response, behind_handshake) =
            handshake::client(&mut transport, &request, settings.head_limits).await?;
        let compression = match &settings.compression {
            Some(compression) => {
                let judged = compression.negotiation().judge(&response.extensions);
                judged.map_err(handshake::handshake_error)?
            }
            None => None,
        };
        let agreed = Agreed {
            subprotocol: response.subprotocol.clone(),
            response: Some(response),
            tls: tls::information(&transport),
        };
        let facts = Facts { local_address, remote_address, agreed: Some(Arc::new(agreed)) };
        Ok(Opened { transport, facts, compression, behind_handshake })
    };
    within(settings.connect_timeout, "TLS and the opening handshake", opening).await
}

async fn within<R>(
    timeout: Duration,
    what: &str,
    future: impl Future<Output = Result<R, Error>>,
) -> Result<R, Error> {
    tokio::time::timeout(timeout, future).await.unwrap_or_else(|_| {
        let text = format!("{what} took longer than {timeout:?}; is this a WebSocket server?");
        Err(Error::text(ErrorKind::TimedOut, text))
    })
}
