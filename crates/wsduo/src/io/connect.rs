//! From a URI to an open connection: resolve, TCP, TLS, opening handshake, each within its time.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::net::TcpStream;
use tower_service::Service;
use wsduo_proto::WebSocketUri;
use wsduo_proto::handshake::ClientRequest;

use super::handshake;
use super::transport::Transport;
use crate::control::Settings;
use crate::error::{Error, ErrorKind};
use crate::information::{Agreed, Facts};
use crate::tls;

/// Most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 5;

/// Head start of the first address family over the other (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// An open connection, not yet a socket.
pub(crate) struct Opened {
    pub(crate) transport: Transport,
    pub(crate) facts: Facts,
    pub(crate) behind_handshake: Vec<u8>,
}

pub(crate) async fn connect(uri: &WebSocketUri, settings: &Settings) -> Result<Opened, Error> {
    match settings.total_timeout {
        None => connect_in_stages(uri, settings).await,
        Some(timeout) => within(timeout, "connecting", connect_in_stages(uri, settings)).await,
    }
}

async fn connect_in_stages(uri: &WebSocketUri, settings: &Settings) -> Result<Opened, Error> {
    let tcp = dial(uri, settings).await?;
    let local_address = tcp.local_addr().ok();
    let remote_address = tcp.peer_addr().ok();
    let opening = async {
        let mut transport =
            if uri.is_secure() { settings.tls.connect(tcp, uri.host()).await? } else { Transport::tcp(tcp) };
        let request = ClientRequest {
            uri,
            subprotocols: &settings.subprotocols,
            extensions: None,
            headers: &settings.headers,
        };
        let (response, behind_handshake) =
            handshake::client(&mut transport, &request, settings.head_limits).await?;
        let agreed = Agreed {
            subprotocol: response.subprotocol.clone(),
            response: Some(response),
            tls: tls::information(&transport),
        };
        let facts = Facts { local_address, remote_address, agreed: Some(Arc::new(agreed)) };
        Ok(Opened { transport, facts, behind_handshake })
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

/// A TCP connection to the host of `uri`.
async fn dial(uri: &WebSocketUri, settings: &Settings) -> Result<TcpStream, Error> {
    let mut connector = HttpConnector::new_with_resolver(Resolver);
    connector.enforce_http(false);
    connector.set_nodelay(settings.no_delay);
    connector.set_connect_timeout(Some(settings.connect_timeout.saturating_mul(MAX_ADDRESSES as u32)));
    connector.set_happy_eyeballs_timeout(Some(HEAD_START));
    let host = if uri.host().contains(':') { format!("[{}]", uri.host()) } else { uri.host().to_owned() };
    let place = format!("{host}:{}", uri.port());
    let target =
        http::Uri::builder().scheme("ws").authority(place.as_str()).path_and_query("/").build().map_err(
            |error| Error::source(ErrorKind::InvalidInput, format!("cannot connect to {place}"), error),
        )?;
    let dialling = async {
        poll_fn(|cx| connector.poll_ready(cx)).await?;
        connector.call(target).await
    };
    match dialling.await {
        Ok(stream) => Ok(stream.into_inner()),
        Err(error) => Err(dial_error(&place, error)),
    }
}

/// Tells apart why dialling failed, which the connector does not by itself.
fn dial_error(place: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut root = None;
    while let Some(inner) = cause {
        if let Some(unresolved) = inner.downcast_ref::<Unresolved>() {
            let text = format!("cannot resolve the host of {place}: {unresolved}; check the name");
            return Error::text(ErrorKind::Resolve, text);
        }
        root = Some(inner.to_string());
        cause = inner.source();
    }
    let kind = if root.as_deref() == Some("deadline has elapsed") || root.as_deref() == Some("timed out") {
        ErrorKind::TimedOut
    } else {
        ErrorKind::Connect
    };
    Error::text(kind, format!("cannot connect to {place}: {}", root.unwrap_or_default()))
}

/// The resolver of the system, bounded.
#[derive(Clone, Debug)]
struct Resolver;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unresolved(String);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unresolved>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(|error| Unresolved(error.to_string()))?;
            let addresses: Vec<_> = found.take(MAX_ADDRESSES).collect();
            if addresses.is_empty() {
                return Err(Unresolved("the name has no address".into()));
            }
            Ok(addresses.into_iter())
        })
    }
}
