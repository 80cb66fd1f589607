//! What the server around knows of a connection, and a request does not tell.

use std::net::SocketAddr;

use http::{Extensions, HeaderMap};

use crate::RequestControl;
use crate::server::Told;

/// What the server around knows of the connection that a request came by.
///
/// Put it among the [extensions](http::Request::extensions_mut) of the request: then pages are judged as a
/// [`Listener`](crate::Listener) judges them. Without it nothing is known of the connection: pages of foreign names reach a
/// server on a loopback address (DNS rebinding) unless [`allow_host`](RequestControl::allow_host) is set, pages by http reach one
/// with TLS, and [`trust_proxies`](RequestControl::trust_proxies) has no effect.
///
/// # Examples
/// ```
/// use std::net::SocketAddr;
/// use wsduo::upgrade::{ConnectionInformation, Refusal, UpgradeRequest, upgrade};
///
/// /// `tcp` is what the server accepted, and `request` came by it.
/// fn judge<B>(
///     tcp: (SocketAddr, SocketAddr),
///     request: &mut http::Request<B>,
/// ) -> Result<UpgradeRequest, Refusal> {
///     let (remote, local) = tcp;
///     let connection = ConnectionInformation::new().remote_address(remote).local_address(local).tls(true);
///     request.extensions_mut().insert(connection);
///     upgrade(request)
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionInformation {
    peer: Peer,
    local_address: Option<SocketAddr>,
    has_tls: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Peer {
    #[default]
    Unknown,
    Address(SocketAddr),
    UnixSocket,
}

impl ConnectionInformation {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Who is at the other end: the client, or a proxy.
    #[must_use]
    pub fn remote_address(self, address: SocketAddr) -> Self {
        Self { peer: Peer::Address(address), ..self }
    }

    /// The connection came by a Unix socket: `unix` among the [trusted proxies](RequestControl::trust_proxies).
    #[must_use]
    pub fn unix_socket(self) -> Self {
        Self { peer: Peer::UnixSocket, ..self }
    }

    /// The address of this machine that was connected to. Where it is not known, a loopback address at the other end tells of
    /// one here.
    #[must_use]
    pub fn local_address(self, address: SocketAddr) -> Self {
        Self { local_address: Some(address), ..self }
    }

    /// Whether TLS ended in this server. Default `false`.
    #[must_use]
    pub fn tls(self, has_tls: bool) -> Self {
        Self { has_tls, ..self }
    }

    /// What stands among the extensions of a request.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// The same, with this address at the other end if none is known.
    #[cfg(feature = "axum")]
    pub(crate) fn or_remote_address(self, address: Option<SocketAddr>) -> Self {
        match (self.peer, address) {
            (Peer::Unknown, Some(address)) => self.remote_address(address),
            _ => self,
        }
    }

    pub(super) fn remote(&self) -> Option<SocketAddr> {
        match self.peer {
            Peer::Address(address) => Some(address),
            Peer::Unknown | Peer::UnixSocket => None,
        }
    }

    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.local_address
    }

    pub(super) fn has_tls(&self) -> bool {
        self.has_tls
    }

    pub(super) fn is_on_loopback(&self) -> bool {
        let known = self.local_address.or(self.remote());
        known.is_some_and(|address| address.ip().to_canonical().is_loopback())
    }

    /// What trusted proxies tell of a request. Somebody unknown is none of them.
    pub(super) fn told(&self, control: &RequestControl, headers: &HeaderMap) -> Told {
        match self.peer {
            Peer::Unknown => Told::default(),
            Peer::Address(address) => control.told(Some(address.ip()), headers),
            Peer::UnixSocket => control.told(None, headers),
        }
    }
}
