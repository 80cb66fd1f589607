//! WebSockets in axum: an extractor in place of axum's own (feature `axum`).
//!
//! ```
//! use axum::Router;
//! use axum::response::Response;
//! use axum::routing::any;
//! use wsduo::MessageWebSocket;
//! use wsduo::axum::WebSocketUpgrade;
//!
//! async fn handler(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.protocols(["chat.v2", "chat.v1"]).on_upgrade(chat)
//! }
//!
//! async fn chat(mut socket: MessageWebSocket) {
//!     let result = socket.run(|message, replies| replies.send(message)).await;
//!     if let Err(error) = result {
//!         eprintln!("{error}");
//!     }
//! }
//!
//! let app: Router = Router::new().route("/chat", any(handler));
//! ```
//!
//! The options have the names that axum's have. What differs is told in `docs/migrating-from-axum-ws.md`; above all, pages of
//! other origins are refused unless [allowed](WebSocketUpgrade::allow_origin).

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;

use ::axum::extract::ConnectInfo;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderName, HeaderValue, header};
use hyper::upgrade::OnUpgrade;

use crate::control::MessageWebSocketControl;
use crate::error::Error;
use crate::message_web_socket::MessageWebSocket;
use crate::stream_control::StreamWebSocketControl;
use crate::stream_web_socket::StreamWebSocket;
use crate::upgrade::{ConnectionInformation, Pending, Refusal, Sockets, UpgradeRequest};
use crate::{Compression, RequestControl};

/// A request to open a WebSocket, as an extractor.
///
/// Extracting it fails with a [`Refusal`] for requests that are not in order. `Option<WebSocketUpgrade>` is `None` for
/// requests that do not ask for a WebSocket, so that a route can serve both; `Result<WebSocketUpgrade, Refusal>` hands over the
/// reason.
///
/// Whether pages of the request's origin may connect is decided when it is accepted, by the
/// [`RequestControl`] among the request's extensions (`axum::Extension(RequestControl::new()…)` as a layer), which is the default
/// one if there is none, and [`allow_origin`](Self::allow_origin). For the judgement to be that of a [`Listener`](crate::Listener), serve
/// with axum's `into_make_service_with_connect_info::<SocketAddr>()`, or tell of the [connection](Self::connection): see
/// [`ConnectionInformation`] for what is not known otherwise.
///
/// Requests are `GET` in HTTP/1.1. Over HTTP/2 they are refused with 505.
#[must_use = "the request is not answered unless this becomes a response"]
pub struct WebSocketUpgrade<F = DefaultOnFailedUpgrade> {
    request: UpgradeRequest,
    requests: RequestControl,
    /// Of a stream, as it has all that one of messages has.
    control: StreamWebSocketControl,
    selected: Option<Cow<'static, str>>,
    sockets: Option<Sockets>,
    on_failed_upgrade: F,
}

/// What to do when there will be no socket after all; see [`WebSocketUpgrade::on_failed_upgrade`].
pub trait OnFailedUpgrade: Send + 'static {
    /// Is told of the reason.
    fn call(self, error: Error);
}

impl<F: FnOnce(Error) + Send + 'static> OnFailedUpgrade for F {
    fn call(self, error: Error) {
        self(error);
    }
}

/// Does nothing.
#[derive(Debug)]
#[non_exhaustive]
pub struct DefaultOnFailedUpgrade;

impl OnFailedUpgrade for DefaultOnFailedUpgrade {
    fn call(self, _: Error) {}
}

impl<F> WebSocketUpgrade<F> {
    /// The request: its path, headers, origin.
    pub fn request(&self) -> &UpgradeRequest {
        &self.request
    }

    /// Settings of the socket; those that were set before on this are gone. Default: those of
    /// [`MessageWebSocketControl::new`].
    pub fn control(mut self, control: &MessageWebSocketControl) -> Self {
        self.control.settings = control.settings.clone();
        self
    }

    /// Settings of the socket, as [`control`](Self::control), with those that only streams have.
    pub fn stream_control(self, control: &StreamWebSocketControl) -> Self {
        Self { control: control.clone(), ..self }
    }

    /// The connection that the request came by. Default: the [`ConnectionInformation`] among the request's extensions, with axum's
    /// `ConnectInfo<SocketAddr>` for the other end.
    pub fn connection(self, connection: ConnectionInformation) -> Self {
        Self { request: self.request.over(connection), ..self }
    }

    /// Puts the socket among these, which close with the server; see [`Sockets`]. Where there is no place the response is a 503.
    pub fn among(self, sockets: &Sockets) -> Self {
        Self { sockets: Some(sockets.clone()), ..self }
    }

    /// Lets pages of this origin, such as `https://example.org`, connect. Default: those of the host that the request is for;
    /// see [`RequestControl::allow_origin`].
    pub fn allow_origin(self, origin: impl Into<String>) -> Self {
        Self { requests: self.requests.allow_origin(origin), ..self }
    }

    /// Lets pages of any origin connect: then cookies and addresses prove nothing about who is asking.
    pub fn allow_any_origin(self) -> Self {
        Self { requests: self.requests.allow_any_origin(), ..self }
    }

    /// Compresses messages where the client can. Default: not.
    pub fn compression(self, compression: impl Into<Option<Compression>>) -> Self {
        Self { control: self.control.compression(compression), ..self }
    }

    /// Adds a header to the response.
    pub fn header(self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    /// Largest message received whole, in bytes, and largest frame; a larger one fails the connection with 1009. Default 64 MiB.
    pub fn max_message_size(self, max: usize) -> Self {
        self.messages(|control| control.max_message_size(max))
    }

    /// How many bytes may be queued before sending waits; see [`MessageWebSocketControl::max_queued`]. axum's fails
    /// instead, and has no limit by default.
    pub fn max_write_buffer_size(self, max: usize) -> Self {
        self.messages(|control| control.max_queued(max))
    }

    /// Subprotocols that the application knows, the preferred one first: the first of them that the client offers is selected.
    pub fn protocols<I>(mut self, protocols: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Cow<'static, str>>,
    {
        let offered = self.request.subprotocols();
        self.selected =
            protocols.into_iter().map(Into::into).find(|known| offered.iter().any(|name| name == known));
        self
    }

    /// The subprotocols that the client offers, the preferred one first.
    pub fn requested_protocols(&self) -> impl Iterator<Item = &str> {
        self.request.subprotocols().iter().map(String::as_str)
    }

    /// Selects a subprotocol, which must be one of those offered: otherwise the response is a 500.
    pub fn set_selected_protocol(&mut self, protocol: impl Into<Cow<'static, str>>) {
        self.selected = Some(protocol.into());
    }

    /// The subprotocol selected so far.
    pub fn selected_protocol(&self) -> Option<&str> {
        self.selected.as_deref()
    }

    /// A function that is told if there is no socket in the end, because the request is refused or the connection ends
    /// first. Default: nobody is.
    pub fn on_failed_upgrade<C: OnFailedUpgrade>(self, callback: C) -> WebSocketUpgrade<C> {
        let Self { request, requests, control, selected, sockets, on_failed_upgrade: _ } = self;
        WebSocketUpgrade { request, requests, control, selected, sockets, on_failed_upgrade: callback }
    }

    /// Accepts the request and calls a function with the socket, in a task of its own.
    ///
    /// The response must be what the handler returns. It is a refusal where the origin may not connect (403) or what was
    /// set cannot be used (500).
    #[must_use = "to set up the WebSocket connection, this response must be returned"]
    pub fn on_upgrade<C, Fut>(self, callback: C) -> Response
    where
        C: FnOnce(MessageWebSocket) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
        F: OnFailedUpgrade,
    {
        let control = MessageWebSocketControl { settings: self.control.settings.clone() };
        self.finish(|request| request.accept_message(&control), callback)
    }

    /// Accepts the request and calls a function with the socket as a stream of bytes, in a task of its own.
    ///
    /// As [`on_upgrade`](Self::on_upgrade) otherwise.
    #[must_use = "to set up the WebSocket connection, this response must be returned"]
    pub fn on_upgrade_stream<C, Fut>(self, callback: C) -> Response
    where
        C: FnOnce(StreamWebSocket) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
        F: OnFailedUpgrade,
    {
        let control = self.control.clone();
        self.finish(|request| request.accept_stream(&control), callback)
    }

    fn finish<S, C, Fut>(
        self,
        accept: impl FnOnce(UpgradeRequest) -> Result<(Response, Pending<S>), Refusal>,
        callback: C,
    ) -> Response
    where
        S: Send + 'static,
        C: FnOnce(S) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
        F: OnFailedUpgrade,
    {
        let Self { request, requests, selected, sockets, on_failed_upgrade, .. } = self;
        let request = match selected {
            Some(selected) => request.subprotocol(selected),
            None => request,
        };
        let welcome = request.welcome(&requests).and_then(|request| match &sockets {
            Some(sockets) => request.among(sockets),
            None => Ok(request),
        });
        match welcome.and_then(accept) {
            Ok((response, pending)) => {
                tokio::spawn(async move {
                    match pending.await {
                        Ok(socket) => callback(socket).await,
                        Err(error) => on_failed_upgrade.call(error),
                    }
                });
                response
            }
            Err(refusal) => {
                on_failed_upgrade.call(refusal.error().clone());
                refusal.into_response()
            }
        }
    }

    fn messages(mut self, set: impl FnOnce(MessageWebSocketControl) -> MessageWebSocketControl) -> Self {
        self.control.settings = set(MessageWebSocketControl { settings: self.control.settings }).settings;
        self
    }
}

impl<S: Send + Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        extract(parts)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Refusal> {
        if asks_for_websocket(parts) { extract(parts).map(Some) } else { Ok(None) }
    }
}

fn extract(parts: &mut Parts) -> Result<WebSocketUpgrade, Refusal> {
    let request = UpgradeRequest::new(&parts.method, &parts.uri, parts.version, &parts.headers)?;
    // Taken from a request in order only: an extractor that comes after a failed one may want it.
    let request = request.connected(parts.extensions.remove::<OnUpgrade>())?;
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| *address);
    let request = request.over(ConnectionInformation::of(&parts.extensions).or_remote_address(peer));
    Ok(WebSocketUpgrade {
        request,
        requests: parts.extensions.get::<RequestControl>().cloned().unwrap_or_default(),
        control: StreamWebSocketControl::new(),
        selected: None,
        sockets: None,
        on_failed_upgrade: DefaultOnFailedUpgrade,
    })
}

/// Whether `Upgrade` lists websocket: what is wrong beside it is to be told.
fn asks_for_websocket(parts: &Parts) -> bool {
    let values = parts.headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("websocket"))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Self::into_response(self)
    }
}

impl<F> fmt::Debug for WebSocketUpgrade<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade")
            .field("request", &self.request)
            .field("requests", &self.requests)
            .field("control", &self.control)
            .field("selected", &self.selected)
            .finish_non_exhaustive()
    }
}
