//! A request that is in order, and the decision about it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, Version};
use hyper::upgrade::OnUpgrade;
use wsduo_proto::{Role, handshake};

use super::connection::ConnectionInformation;
use super::pending::Pending;
use super::refusal::Refusal;
use super::sockets::Sockets;
use super::transport::Freed;
use crate::RequestControl;
use crate::answer::Answer;
use crate::control::{MessageWebSocketControl, Settings, append_header};
use crate::error::{Error, ErrorKind};
use crate::information::{Agreed, Facts};
use crate::message_web_socket::MessageWebSocket;
use crate::observe;
use crate::server::Told;
use crate::server::registry::Seat;
use crate::stream_control::StreamWebSocketControl;
use crate::stream_web_socket::StreamWebSocket;

/// A request to open a WebSocket that another HTTP server has received: look at it, then accept it, or send a response of
/// your own.
#[derive(Debug)]
pub struct UpgradeRequest {
    request: handshake::Request,
    on_upgrade: Option<OnUpgrade>,
    connection: ConnectionInformation,
    told: Told,
    seat: Option<Seat>,
    remote_address: Option<SocketAddr>,
    require_subprotocol: bool,
    subprotocol: Option<String>,
    headers: HeaderMap,
    invalid: Option<Error>,
}

impl UpgradeRequest {
    pub(crate) fn new(
        method: &Method,
        uri: &Uri,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        if version > Version::HTTP_11 {
            let text = format!(
                "WebSockets over {version:?} (RFC 8441, RFC 9220) are not supported: connect with HTTP/1.1"
            );
            return Err(Refusal::text(StatusCode::HTTP_VERSION_NOT_SUPPORTED, text));
        }
        let request =
            handshake::Request::from_head(method, uri, version, headers).map_err(Refusal::handshake)?;
        Ok(Self {
            request,
            on_upgrade: None,
            connection: ConnectionInformation::new(),
            told: Told::default(),
            seat: None,
            remote_address: None,
            require_subprotocol: false,
            subprotocol: None,
            headers: HeaderMap::new(),
            invalid: None,
        })
    }

    /// Takes the connection that is behind the request.
    pub(crate) fn connected(self, on_upgrade: Option<OnUpgrade>) -> Result<Self, Refusal> {
        if on_upgrade.is_some() {
            return Ok(Self { on_upgrade, ..self });
        }
        let text = "the request has no connection to upgrade: serve it with hyper's upgrades enabled, and let nothing take \
            the connection before";
        Err(Refusal::internal(Error::text(ErrorKind::Misuse, text)))
    }

    /// It came by this connection.
    pub(crate) fn over(self, connection: ConnectionInformation) -> Self {
        Self { connection, ..self }
    }

    /// Refuses what may not connect.
    pub(crate) fn welcome(self, control: &RequestControl) -> Result<Self, Refusal> {
        let told = self.connection.told(control, &self.request.headers);
        let (has_tls, on_loopback) = (self.connection.has_tls(), self.connection.is_on_loopback());
        match control.check(&self.request, has_tls, on_loopback, &told) {
            Ok(()) => Ok(Self { told, require_subprotocol: control.require_subprotocol, ..self }),
            Err(error) => Err(Refusal::told(StatusCode::FORBIDDEN, error)),
        }
    }

    /// The path asked for, without the query. A router in front may have cut off its beginning.
    pub fn path(&self) -> &str {
        self.request.path()
    }

    /// The query behind the path, without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.request.query()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.request.headers
    }

    /// The host the client believes to talk to.
    pub fn host(&self) -> &str {
        &self.request.host
    }

    /// The origin of the page, if a browser asks.
    pub fn origin(&self) -> Option<&str> {
        self.request.origin()
    }

    /// The subprotocols that the client offers, the preferred one first.
    pub fn subprotocols(&self) -> &[String] {
        &self.request.subprotocols
    }

    /// The client's address: what [trusted proxies](RequestControl::trust_proxies) say, and otherwise the other end of the
    /// connection. `None` unless a [`ConnectionInformation`] tells it. In axum the proxies are asked when the request is accepted.
    pub fn client_address(&self) -> Option<IpAddr> {
        self.told.client.or(self.connection.remote().map(|address| address.ip()))
    }

    /// Puts the socket that there will be among these, to be counted and closed with them.
    ///
    /// # Errors
    /// A [`Refusal`] with 503 if they are as many as may be, or being closed.
    pub fn among(self, sockets: &Sockets) -> Result<Self, Refusal> {
        Ok(Self { seat: Some(sockets.seat()?), ..self })
    }

    /// Chooses a subprotocol, which must be one of those offered.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) -> Self {
        if let Err(error) = append_header(&mut self.headers, name, value) {
            self.invalid.get_or_insert(error);
        }
        self
    }

    /// The client's address, for the socket's [information](crate::MessageWebSocketInformation): where the connection is
    /// neither TCP nor known to this crate, such as behind TLS, only the server knows it. Default: that of the
    /// [`ConnectionInformation`], or of a TCP connection.
    #[must_use]
    pub fn remote_address(mut self, address: SocketAddr) -> Self {
        self.remote_address = Some(address);
        self
    }

    /// Accepts the request, for whole messages: the response to send, and the socket that there will be.
    ///
    /// Without a [`subprotocol`](Self::subprotocol) chosen, the first one of `control` that the client offers is taken.
    ///
    /// # Errors
    /// A [`Refusal`] with 500 for a subprotocol that was not offered or a header or setting that cannot be used; with 400 if none
    /// is agreed and one is [required](RequestControl::require_subprotocol).
    pub fn accept_message<B: Default>(
        self,
        control: &MessageWebSocketControl,
    ) -> Result<(Response<B>, Pending<MessageWebSocket>), Refusal> {
        self.accept(&control.settings)
    }

    /// Accepts the request, as a stream of bytes: the response to send, and the socket that there will be.
    ///
    /// # Errors
    /// As [`accept_message`](Self::accept_message).
    pub fn accept_stream<B: Default>(
        self,
        control: &StreamWebSocketControl,
    ) -> Result<(Response<B>, Pending<StreamWebSocket>), Refusal> {
        let style = control.style;
        let (response, pending) = self.accept(&control.settings)?;
        Ok((response, pending.map(move |socket| StreamWebSocket::over(socket, style))))
    }

    fn accept<B: Default>(
        self,
        settings: &Arc<Settings>,
    ) -> Result<(Response<B>, Pending<MessageWebSocket>), Refusal> {
        let Self {
            request,
            on_upgrade,
            connection: known,
            told: _,
            seat,
            remote_address,
            require_subprotocol,
            subprotocol,
            headers,
            invalid,
        } = self;
        invalid.map_or_else(|| settings.check(), Err).map_err(Refusal::internal)?;
        let answer = Answer::new(&request, settings, subprotocol, headers);
        if require_subprotocol {
            answer
                .check_subprotocol(settings)
                .map_err(|error| Refusal::told(StatusCode::BAD_REQUEST, error))?;
        }
        let Answer { subprotocol, compression, extensions, headers } = answer;
        let headers = request
            .accept_headers(subprotocol.as_deref(), extensions.as_deref(), &headers)
            .map_err(Refusal::handshake)?;
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;

        let asked = observe::Asked::of(&request);
        let timeout = settings.config.send_timeout;
        let settings = Arc::clone(settings);
        let peer = remote_address.or(known.remote());
        let open = move |freed: Freed| {
            let Freed { transport, local_address, remote_address: found, behind_handshake } = freed;
            transport.tune(&settings);
            let agreed = subprotocol
                .map(|subprotocol| Arc::new(Agreed { subprotocol: Some(subprotocol), ..Agreed::default() }));
            let local_address = known.local().or(local_address);
            let remote_address = peer.or(found);
            let facts = Facts { local_address, remote_address, agreed };
            let connection = settings.connection(Role::Server, compression);
            let mut socket =
                MessageWebSocket::open_asked(transport, connection, facts, behind_handshake, &asked);
            if let Some(seat) = seat {
                socket.take_seat(seat);
            }
            socket
        };
        Ok((response, Pending::new(on_upgrade, timeout, peer, Box::new(open))))
    }
}
