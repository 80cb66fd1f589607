//! How requests are received, and which of them may be looked at by the application at all.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderMap;
use wsduo_proto::handshake::{self, HeadLimits};

use super::forwarded::{ForwardedHeader, Networks, Told};
use super::origin::{Asked, Hosts, Origins, Pages};
use crate::error::Error;

/// How requests are received, before anything is known of the client.
///
/// # Web pages
/// Browsers let any page open a WebSocket anywhere, and send cookies along. So by default a page may connect only to the host and
/// port that it came from itself (RFC 6455 §10.2), not from http to TLS, and on a loopback address only by a name of this machine:
/// `localhost`, a name below it, or a loopback address. Everyone else gets a 403 that says why. Widen it by
/// [`allow_origin`](Self::allow_origin), [`allow_host`](Self::allow_host) and, behind a proxy,
/// [`trust_proxies`](Self::trust_proxies). Clients that are not browsers send no origin and are not concerned.
#[derive(Clone, Debug)]
pub struct RequestControl {
    pub(super) timeout: Duration,
    pub(super) limits: HeadLimits,
    pages: Pages,
    proxies: Networks,
    forwarded: ForwardedHeader,
    pub(crate) require_subprotocol: bool,
}

impl Default for RequestControl {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            limits: HeadLimits::default(),
            pages: Pages::default(),
            proxies: Networks::default(),
            forwarded: ForwardedHeader::default(),
            require_subprotocol: false,
        }
    }
}

impl RequestControl {
    /// The defaults, which are named at each setting.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the PROXY protocol, TLS, the request and [`authenticate`](crate::Request::authenticate) may take together.
    /// Default 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Longest request head in bytes, and most headers in it. Default 16 KiB and 100.
    #[must_use]
    pub fn head_limits(mut self, bytes: usize, headers: usize) -> Self {
        self.limits.bytes = bytes;
        self.limits.headers = headers;
        self
    }

    /// Lets pages of this origin, such as `https://example.org`, connect too. Others are refused with 403.
    ///
    /// `null` stands for pages in files and sandboxes, which anyone can make.
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.pages.origins.allow(&origin.into());
        self
    }

    /// Lets pages of any origin connect: then cookies and addresses prove nothing about who is asking.
    #[must_use]
    pub fn allow_any_origin(mut self) -> Self {
        self.pages.origins = Origins::Any;
        self
    }

    /// Lets clients call this server by this name or address, with a port or with any, and by no other that is not allowed too:
    /// they are refused with 403. The default port, 80 or with TLS 443, is the same as none in what they write. On a loopback
    /// address the names of this machine stay allowed.
    ///
    /// Default: any, except that pages from this machine have to use one of its own names, unless their origin is allowed.
    #[must_use]
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.pages.hosts.allow(&host.into());
        self
    }

    /// Lets all clients call this server by any name: then a page of anyone who points a name at this machine is of the same origin.
    #[must_use]
    pub fn allow_any_host(mut self) -> Self {
        self.pages.hosts = Hosts::Any;
        self
    }

    /// Believes proxies in these networks, such as `10.0.0.0/8` or `::1`, and `unix` for Unix sockets: what they tell of the
    /// client's address is in [`Request::client_address`](crate::Request::client_address), and the host and scheme that they were
    /// asked by count for the checks of pages. They have to overwrite or extend what clients send of these headers.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for what is neither a network nor an address.
    pub fn trust_proxies<N: AsRef<str>>(
        mut self,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, Error> {
        self.proxies = Networks::parse(networks)?;
        Ok(self)
    }

    /// Which header trusted proxies write. Default: `X-Forwarded-For`.
    #[must_use]
    pub fn forwarded_header(mut self, header: ForwardedHeader) -> Self {
        self.forwarded = header;
        self
    }

    /// Refuses clients with 400 if no subprotocol is agreed: none that was offered is chosen by
    /// [`Request::subprotocol`](crate::Request::subprotocol) or stands in
    /// [`MessageWebSocketControl::subprotocols`](crate::MessageWebSocketControl::subprotocols). Default: they are accepted without one,
    /// and may leave then (RFC 6455 §4.1).
    #[must_use]
    pub fn require_subprotocol(mut self) -> Self {
        self.require_subprotocol = true;
        self
    }

    /// What trusted proxies tell of a request by this peer.
    pub(crate) fn told(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Told {
        self.proxies.told(self.forwarded, peer, headers)
    }

    /// Whether the peer is one of the trusted proxies.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        self.proxies.contain(peer)
    }

    /// Whether the page and the name it uses are welcome.
    ///
    /// # Errors
    /// The reason, for a 403.
    pub(crate) fn check(
        &self,
        request: &handshake::Request,
        has_tls: bool,
        on_loopback: bool,
        told: &Told,
    ) -> Result<(), Error> {
        // An origin that is no text is nobody's.
        let origin = request.headers.get(http::header::ORIGIN).map(|origin| origin.to_str().unwrap_or("?"));
        self.pages.check(Asked {
            host: told.host.as_deref().unwrap_or(&request.host),
            origin,
            is_secure: has_tls || told.is_secure,
            on_loopback: on_loopback && !told.by_proxy,
        })
    }
}
