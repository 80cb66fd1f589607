//! A request to look at, and the answer to it.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use wsduo_proto::Role;
use wsduo_proto::handshake;

use super::admission::RequestControl;
use super::credentials::{self, Denial};
use super::forwarded::Told;
use super::incoming::{
    Place, deadline, refuse, refuse_busy, shutting_down, too_many, too_many_handshakes, too_many_of_yours,
    unless,
};
use crate::answer::Answer;
use crate::control::{MessageWebSocketControl, Settings, append_header};
use crate::error::{Error, ErrorKind};
use crate::information::{Agreed, Facts, TlsInformation};
use crate::io::handshake as io_handshake;
use crate::io::transport::Transport;
use crate::message_web_socket::MessageWebSocket;
use crate::observe;
use crate::stream_control::StreamWebSocketControl;
use crate::stream_web_socket::StreamWebSocket;

/// A client's request to open a WebSocket: look at it, then accept or refuse it. Dropping it closes the connection.
#[derive(Debug)]
pub struct Request<T = Transport> {
    inner: Box<RequestInner<T>>,
}

#[derive(Debug)]
struct RequestInner<T> {
    transport: T,
    request: handshake::Request,
    behind_handshake: Vec<u8>,
    origin: Origin,
    told: Told,
    /// Of which it is told what comes of it. There is one, until it is.
    handshake: Option<observe::Handshake>,
    require_subprotocol: bool,
    /// Sets what the settings say of the system's part of the transport, if it is one of the system's.
    tune: fn(&T, &Settings),
    subprotocol: Option<String>,
    headers: HeaderMap,
    invalid: Option<Error>,
}

/// Where a request came from.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// To an address of this machine that no other can reach.
    pub(super) on_loopback: bool,
    pub(super) facts: Facts,
    pub(super) tls: Option<TlsInformation>,
    /// Its place among the connections of a listener.
    pub(super) place: Option<Place>,
    /// When the opening handshake has to be over.
    pub(super) until: Option<Instant>,
}

impl Origin {
    /// It is decided that the request is refused. Whether the client reads that keeps nobody waiting.
    fn decided(&mut self) {
        if let Some(place) = &mut self.place {
            place.slot.release();
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Request<T> {
    /// Waits for a request on any transport: the opening handshake of a server, up to the decision.
    ///
    /// # Errors
    /// [`ErrorKind::Handshake`] or [`ErrorKind::TimedOut`], and the client was answered as far as there was something to
    /// answer; [`ErrorKind::Connect`] if it is gone.
    ///
    /// # Cancel safety
    /// Dropping the future drops the transport.
    pub async fn from_transport(transport: T, control: &RequestControl) -> Result<Self, Error> {
        let origin = Origin { until: Instant::now().checked_add(control.timeout), ..Origin::default() };
        let handshake = observe::Handshake::begin();
        let mut receiving = Box::pin(Self::receive(transport, control, origin, |_, _| ()));
        Self::told(deadline(control.timeout, receiving.as_mut()).await, handshake, None)
    }

    /// Tells of a request that was not received, and leaves it to one that was to tell what comes of it.
    pub(super) fn told(
        mut received: Result<Self, Error>,
        handshake: observe::Handshake,
        peer: Option<SocketAddr>,
    ) -> Result<Self, Error> {
        match &mut received {
            Ok(request) => request.inner.handshake = Some(handshake),
            Err(error) => handshake.failed(peer, error),
        }
        received
    }

    pub(super) async fn receive(
        mut transport: T,
        control: &RequestControl,
        mut origin: Origin,
        tune: fn(&T, &Settings),
    ) -> Result<Self, Error> {
        let (request, behind_handshake) = match io_handshake::server(&mut transport, control.limits).await? {
            Ok(received) => received,
            Err(error) => {
                origin.decided();
                refuse(&mut transport, &error.refusal(), origin.until).await;
                return Err(io_handshake::handshake_error(error));
            }
        };
        let told = control.told(origin.facts.remote_address.map(|address| address.ip()), &request.headers);
        if let (Some(place), Some(client)) = (&mut origin.place, told.client) {
            // Of others it was counted when they came, and proxies have no share of their own.
            if told.by_proxy && !control.trusts(Some(client)) && !place.slot.claim(client) {
                return Err(too_many_handshakes(client, place.slot.per_address()));
            }
            if !place.seat.claim(client) {
                place.slot.release();
                let limit = place.seat.per_address();
                refuse_busy(&mut transport, &too_many_of_yours(limit), origin.until).await;
                return Err(too_many(client, limit));
            }
        }
        let (has_tls, on_loopback) = (origin.tls.is_some(), origin.on_loopback);
        if let Err(error) = control.check(&request, has_tls, on_loopback, &told) {
            origin.decided();
            let body = format!("{error}\n");
            let refusal = handshake::refusal(StatusCode::FORBIDDEN, &HeaderMap::new(), &body);
            refuse(&mut transport, &refusal, origin.until).await;
            return Err(error);
        }
        let inner = RequestInner {
            transport,
            request,
            behind_handshake,
            origin,
            told,
            handshake: None,
            require_subprotocol: control.require_subprotocol,
            tune,
            subprotocol: None,
            headers: HeaderMap::new(),
            invalid: None,
        };
        Ok(Self { inner: Box::new(inner) })
    }

    /// The path asked for, without the query.
    pub fn path(&self) -> &str {
        self.inner.request.path()
    }

    /// The query behind the path, without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.inner.request.query()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.inner.request.headers
    }

    /// The host the client believes to talk to.
    pub fn host(&self) -> &str {
        &self.inner.request.host
    }

    /// The origin of the page, if a browser asks.
    pub fn origin(&self) -> Option<&str> {
        self.inner.request.origin()
    }

    /// The subprotocols that the client offers, the preferred one first.
    pub fn subprotocols(&self) -> &[String] {
        &self.inner.request.subprotocols
    }

    /// Who is at the other end of the connection, where it has an address: the client, or a proxy that speaks HTTP. What a proxy
    /// tells by the [PROXY protocol](crate::ListenerBuilder::proxy_protocol) counts as the other end.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.inner.origin.facts.remote_address
    }

    /// The client's address: what [trusted proxies](RequestControl::trust_proxies) say, and otherwise
    /// [`remote_address`](Self::remote_address). Of a list it is the last one that is not a trusted proxy itself, since anything
    /// before that may be made up.
    pub fn client_address(&self) -> Option<IpAddr> {
        self.inner.told.client
    }

    /// The token of `Authorization: Bearer`, if that is how the client says who it is. Compare it by
    /// [`is_same_secret`](crate::is_same_secret).
    pub fn bearer_token(&self) -> Option<&str> {
        credentials::bearer(self.headers())
    }

    /// User and password of `Authorization: Basic`, if that is how the client says who it is. Compare them by
    /// [`is_same_secret`](crate::is_same_secret).
    pub fn basic_credentials(&self) -> Option<(String, String)> {
        credentials::basic(self.headers())
    }

    /// What TLS agreed on, with the certificates that the client showed; `None` without TLS.
    pub fn tls(&self) -> Option<&TlsInformation> {
        self.inner.origin.tls.as_ref()
    }

    /// Chooses a subprotocol, which must be one of those offered.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.inner.subprotocol = Some(name.into());
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) -> Self {
        if let Err(error) = append_header(&mut self.inner.headers, name, value) {
            self.inner.invalid.get_or_insert(error);
        }
        self
    }

    /// Decides whether the client may enter, within what is left of the [time](RequestControl::timeout) of the opening handshake:
    /// the request, and what was found out.
    ///
    /// A [`Denial`] is what the client gets. If time runs out or the listener is [shut down](crate::Listener::shutdown)
    /// meanwhile, it gets a 503.
    ///
    /// # Errors
    /// [`ErrorKind::Handshake`] if it was denied, [`ErrorKind::InvalidInput`] if the denial has a header that cannot be sent,
    /// [`ErrorKind::TimedOut`], [`ErrorKind::Closed`] if the listener is shut down.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection, and drops what `decide` was waiting for.
    ///
    /// # Examples
    /// ```no_run
    /// use wsduo::http::StatusCode;
    /// use wsduo::{Denial, Error, Incoming, MessageWebSocket, MessageWebSocketControl, Request, is_same_secret};
    ///
    /// async fn user_of(request: &Request) -> Result<String, Denial> {
    ///     match request.bearer_token() {
    ///         Some(token) if is_same_secret(token, "sesame") => Ok("Ali Baba".to_owned()),
    ///         _ => Err(Denial::new(StatusCode::UNAUTHORIZED).header("www-authenticate", "Bearer")),
    ///     }
    /// }
    ///
    /// async fn open(incoming: Incoming) -> Result<(MessageWebSocket, String), Error> {
    ///     let (request, user) = incoming.request().await?.authenticate(user_of).await?;
    ///     Ok((request.accept_message(&MessageWebSocketControl::new()).await?, user))
    /// }
    /// ```
    pub async fn authenticate<R>(
        self,
        decide: impl AsyncFnOnce(&Self) -> Result<R, Denial>,
    ) -> Result<(Self, R), Error> {
        let registry = self.inner.origin.place.as_ref().map(|place| place.seat.registry());
        let called = async {
            match &registry {
                Some(registry) => registry.called().await,
                None => std::future::pending().await,
            }
        };
        let deciding = async {
            match self.inner.origin.until {
                Some(until) => tokio::time::timeout_at(until, decide(&self)).await.ok(),
                None => Some(decide(&self).await),
            }
        };
        let decided = {
            let (called, deciding) = (pin!(called), pin!(deciding));
            unless(called, deciding).await
        };
        let (denial, error) = match decided {
            Some(Some(Ok(found))) => return Ok((self, found)),
            Some(Some(Err(denial))) => {
                let text = format!("the request was denied with {}", denial.status);
                (denial, Error::text(ErrorKind::Handshake, text))
            }
            Some(None) => {
                let text = "it was not decided in time whether the client may enter";
                (StatusCode::SERVICE_UNAVAILABLE.into(), Error::text(ErrorKind::TimedOut, text))
            }
            None => (StatusCode::SERVICE_UNAVAILABLE.into(), shutting_down()),
        };
        // That the answer found no reader is of less interest.
        let _ = self.refuse_with(denial.status, &denial.headers, &denial.body).await;
        Err(denial.invalid.unwrap_or(error))
    }

    /// Accepts the request: the connection is open, for whole messages.
    ///
    /// Without a [`subprotocol`](Self::subprotocol) chosen, the first one of `control` that the client offers is taken.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a subprotocol that was not offered or a header that cannot be set; the client gets
    /// a 500 then. [`ErrorKind::Handshake`] if none is agreed and one is [required](RequestControl::require_subprotocol), with a
    /// 400, and [`ErrorKind::Closed`] if the listener is [shut down](crate::Listener::shutdown), with a 503.
    /// [`ErrorKind::Connect`] if the response cannot be written, [`ErrorKind::TimedOut`] if the client does not take it within the
    /// [send timeout](MessageWebSocketControl::send_timeout).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub fn accept_message(
        self,
        control: &MessageWebSocketControl,
    ) -> impl Future<Output = Result<MessageWebSocket<T>, Error>> + use<T> {
        let settings = Arc::clone(&control.settings);
        Box::pin(async move { self.accept_watched(&settings).await })
    }

    /// Accepts the request: the connection is open, as a stream of bytes.
    ///
    /// # Errors
    /// As [`accept_message`](Self::accept_message).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub fn accept_stream(
        self,
        control: &StreamWebSocketControl,
    ) -> impl Future<Output = Result<StreamWebSocket<T>, Error>> {
        let (settings, style) = (Arc::clone(&control.settings), control.style);
        Box::pin(async move { Ok(StreamWebSocket::over(self.accept_watched(&settings).await?, style)) })
    }

    async fn accept_watched(mut self, settings: &Settings) -> Result<MessageWebSocket<T>, Error> {
        let (peer, handshake) = (self.remote_address(), self.inner.handshake.take());
        let result = self.accept(settings).await;
        if let Some(handshake) = handshake {
            match &result {
                Ok(_) => handshake.accepted(),
                Err(error) => handshake.failed(peer, error),
            }
        }
        result
    }

    async fn accept(self, settings: &Settings) -> Result<MessageWebSocket<T>, Error> {
        let RequestInner {
            mut transport,
            request,
            behind_handshake,
            mut origin,
            require_subprotocol,
            tune,
            subprotocol,
            headers,
            invalid,
            ..
        } = *self.inner;
        if origin.place.as_ref().is_some_and(|place| place.seat.is_called()) {
            origin.decided();
            let error = shutting_down();
            refuse_busy(&mut transport, &error.to_string(), None).await;
            return Err(error);
        }
        let answer = Answer::new(&request, settings, subprotocol, headers);
        if require_subprotocol && let Err(error) = answer.check_subprotocol(settings) {
            origin.decided();
            let body = format!("{error}\n");
            let refusal = handshake::refusal(StatusCode::BAD_REQUEST, &HeaderMap::new(), &body);
            let _ = io_handshake::refuse(&mut transport, &refusal).await;
            return Err(error);
        }
        let Answer { subprotocol, compression, extensions, headers } = answer;
        let response = match invalid.map_or_else(|| settings.check(), Err) {
            Ok(()) => request
                .accept(subprotocol.as_deref(), extensions.as_deref(), &headers)
                .map_err(io_handshake::handshake_error),
            Err(error) => Err(error),
        };
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                origin.decided();
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                let refusal = handshake::refusal(status, &HeaderMap::new(), "internal server error\n");
                let _ = io_handshake::refuse(&mut transport, &refusal).await;
                return Err(error);
            }
        };
        let asked = observe::Asked::of(&request);
        drop((request, headers));
        tune(&transport, settings);
        let answering = async {
            let written = async {
                transport.write_all(&response).await?;
                transport.flush().await
            };
            written.await.map_err(|error| {
                Error::source(ErrorKind::Connect, "the client was lost before it got the response", error)
            })
        };
        match settings.config.send_timeout {
            Some(timeout) => deadline(timeout, pin!(answering)).await?,
            None => answering.await?,
        }
        let Origin { mut facts, tls, place, .. } = origin;
        if subprotocol.is_some() || tls.is_some() {
            facts.agreed = Some(Arc::new(Agreed { subprotocol, tls, ..Agreed::default() }));
        }
        let connection = settings.connection(Role::Server, compression);
        let mut socket = MessageWebSocket::open_asked(transport, connection, facts, behind_handshake, &asked);
        if let Some(place) = place {
            socket.take_seat(place.seat);
        }
        Ok(socket)
    }

    /// Refuses the request with an HTTP status, and ends the connection.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] if the client was gone before it got the answer.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn refuse(self, status: StatusCode) -> Result<(), Error> {
        let reason = status.canonical_reason().unwrap_or("refused");
        self.refuse_with(status, &HeaderMap::new(), &format!("{reason}\n")).await
    }

    /// Refuses the request with a status, headers and a text, and ends the connection.
    ///
    /// # Errors
    /// As [`refuse`](Self::refuse).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn refuse_with(
        mut self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &str,
    ) -> Result<(), Error> {
        if let Some(handshake) = self.inner.handshake.take() {
            handshake.refused(self.remote_address(), &self.inner.request, status);
        }
        let RequestInner { mut transport, mut origin, .. } = *self.inner;
        origin.decided();
        io_handshake::refuse(&mut transport, &handshake::refusal(status, headers, body)).await
    }
}
