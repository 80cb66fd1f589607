//! From a URI to an open connection, in stages, each within its time: a way to the server (address and TCP, or a proxy's
//! tunnel), TLS, the opening handshake.

use std::sync::Arc;

use http::HeaderMap;
use tokio::time::Instant;
use wsduo_proto::WebSocketUri;
use wsduo_proto::handshake::{ClientRequest, DeflateAgreement, Refusal};

use super::patience::Patience;
use super::transport::{Reached, Transport};
use super::{dial, handshake, tunnel};
use crate::connecting::Connecting;
use crate::control::Settings;
use crate::error::Error;
use crate::information::{Agreed, Facts};
use crate::tls::ClientTls;

/// An open connection, not yet a socket.
pub(crate) struct Opened {
    pub(crate) transport: Transport,
    pub(crate) facts: Facts,
    pub(crate) compression: Option<DeflateAgreement>,
    pub(crate) behind_handshake: Vec<u8>,
}

/// What came of connecting.
pub(crate) enum Answer {
    Opened(Opened),
    /// The server answered with another status; the rest of its body has not been read.
    Refused(Box<Refusal>, Transport),
}

/// Connects with these settings of TLS and these headers, which may be others than those of the settings.
pub(crate) async fn connect(
    uri: &WebSocketUri,
    settings: &Settings,
    tls: &ClientTls,
    headers: &HeaderMap,
    patience: Patience,
) -> Result<Answer, Error> {
    let reached = reach(uri, settings, patience).await?;
    open(reached, uri, settings, tls, headers, patience).await
}

/// A transport that leads to the server.
async fn reach(uri: &WebSocketUri, settings: &Settings, patience: Patience) -> Result<Reached, Error> {
    let dialling = &settings.dialling;
    #[cfg(unix)]
    if let Some(path) = &dialling.unix_socket {
        return dial::unix_socket(path, patience).await;
    }
    match dialling.proxy.choose(uri)? {
        None => dial::dial(uri.host(), uri.port(), settings, patience).await,
        Some((proxy, because_of)) => {
            let step = Connecting::ProxyChosen { proxy: &proxy.to_string(), because_of };
            dialling.observer.tell(&step);
            tunnel::through(&proxy, uri, settings, patience).await
        }
    }
}

/// TLS and the opening handshake on a transport that leads to the server.
pub(crate) async fn open(
    reached: Reached,
    uri: &WebSocketUri,
    settings: &Settings,
    tls: &ClientTls,
    headers: &HeaderMap,
    patience: Patience,
) -> Result<Answer, Error> {
    let Reached { transport, local_address, remote_address } = reached;
    let mut transport =
        if uri.is_secure() { secure(transport, uri, settings, tls, patience).await? } else { transport };
    let offer = settings.compression.map(|compression| compression.negotiation().offer());
    let request =
        ClientRequest { uri, subprotocols: &settings.subprotocols, extensions: offer.as_deref(), headers };
    settings.dialling.observer.tell(&Connecting::Asking { uri: &uri.to_string() });
    let begun = Instant::now();
    let handshake = handshake::client(&mut transport, &request, settings.head_limits);
    let answer = patience.within("the opening handshake", handshake).await?;
    let (status, headers) = match &answer {
        Ok((response, _)) => (response.status, &response.headers),
        Err(refusal) => (refusal.status, &refusal.headers),
    };
    settings.dialling.observer.tell(&Connecting::Answered { status, headers, took: begun.elapsed() });
    let (response, behind_handshake) = match answer {
        Ok(agreed) => agreed,
        Err(refusal) => return Ok(Answer::Refused(refusal, transport)),
    };
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
        uri: Some(uri.to_string()),
        tls: crate::tls::information(&transport),
    };
    let facts = Facts { local_address, remote_address, agreed: Some(Arc::new(agreed)) };
    Ok(Answer::Opened(Opened { transport, facts, compression, behind_handshake }))
}

/// TLS with the server.
async fn secure(
    transport: Transport,
    uri: &WebSocketUri,
    settings: &Settings,
    tls: &ClientTls,
    patience: Patience,
) -> Result<Transport, Error> {
    let begun = Instant::now();
    let what = format!("TLS with {}", uri.host());
    let transport = patience.within(&what, tls.connect(transport, uri.host())).await?;
    if let Some(information) = &crate::tls::information(&transport) {
        let step = Connecting::TlsEstablished { information, took: begun.elapsed() };
        settings.dialling.observer.tell(&step);
    }
    Ok(transport)
}
