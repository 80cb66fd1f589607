//! Parsers by themselves, for the fuzz targets in `fuzz/`: what comes from outside reaches them without a socket. No
//! promise is made about any of this.

use std::io;
use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};
use wsduo_proto::WebSocketUri;
use wsduo_proto::handshake::{self, Refusal};

use crate::control::MessageWebSocketControl;
use crate::credential::Credential;
use crate::error::Error;
use crate::io::journey::Journey;
use crate::io::socks::{self, Target};
use crate::server::{RequestControl, credentials, forwarded, proxy_protocol};

#[cfg(feature = "__tls")]
pub use crate::tls::fuzzing::certificate_faults;

/// Asks a SOCKS proxy of this version, 4 or 5, for a connection to an address or to a name.
///
/// # Errors
/// What the proxy answered, in words.
pub async fn socks<T: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut T,
    version: u8,
    host: &str,
    port: u16,
    credential: Option<&Credential>,
) -> io::Result<()> {
    let target = host.parse().map_or_else(|_| Target::Name(host.to_owned()), Target::Address);
    match version {
        4 => socks::v4(transport, &target, port, credential).await,
        _ => socks::v5(transport, &target, port, credential).await,
    }
}

/// Reads a header of the PROXY protocol: the client's address and the one that it connected to, if the proxy tells.
///
/// # Errors
/// What is wrong with it, or that the connection was lost.
pub async fn proxy_header<T: AsyncRead + Unpin>(
    transport: &mut T,
) -> Result<Option<(SocketAddr, SocketAddr)>, Error> {
    proxy_protocol::receive(transport).await
}

/// What trusted proxies told of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its address.
    pub client: Option<IpAddr>,
    /// The connection comes from a trusted proxy.
    pub by_proxy: bool,
    /// The host that it asked for.
    pub host: Option<String>,
    /// It uses TLS.
    pub is_secure: bool,
}

/// Reads what proxies told, if the peer is one of those trusted.
pub fn told(control: &RequestControl, peer: Option<IpAddr>, headers: &HeaderMap) -> Told {
    let forwarded::Told { client, by_proxy, host, is_secure } = control.told(peer, headers);
    Told { client, by_proxy, host, is_secure }
}

/// Whether the page that asks, and the name by which it does, are welcome.
///
/// # Errors
/// The reason, for a 403.
pub fn check_page(
    control: &RequestControl,
    request: &handshake::Request,
    has_tls: bool,
    on_loopback: bool,
    told: Told,
) -> Result<(), Error> {
    let Told { client, by_proxy, host, is_secure } = told;
    control.check(request, has_tls, on_loopback, &forwarded::Told { client, by_proxy, host, is_secure })
}

/// User and password of `Authorization: Basic …`.
pub fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    credentials::basic(headers)
}

/// The token of `Authorization: Bearer …`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials::bearer(headers)
}

/// Where a client goes that gets these answers, one after another: each request that it makes behind the first, by its URI
/// and headers, and why it stops if an answer leads nowhere.
pub fn journey(
    control: &MessageWebSocketControl,
    uri: WebSocketUri,
    answers: impl IntoIterator<Item = Refusal>,
) -> (Vec<(WebSocketUri, HeaderMap)>, Option<Error>) {
    Journey::new(uri, &control.settings).steps(answers)
}
