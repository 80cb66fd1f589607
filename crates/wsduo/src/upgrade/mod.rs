//! WebSockets on connections of another HTTP server: hyper, or anything built on it (feature `hyper`).
//!
//! The server has read the request. [`upgrade`] judges it by the rules that a [`Listener`](crate::Listener) has; then the
//! application looks at it and accepts or refuses, as it would with a [`Request`](crate::Request). Accepting makes two
//! things: the response, for the server to send, and a [`Pending`] socket, to be awaited in a task of its own, since the
//! connection is free only when the response is on its way. What comes out is the same type that a listener or a client
//! has.
//!
//! ```
//! use http_body_util::Full;
//! use hyper::{Request, Response};
//! use hyper::body::{Bytes, Incoming};
//! use wsduo::MessageWebSocketControl;
//! use wsduo::upgrade::{Refusal, upgrade};
//!
//! /// A route of a hyper service.
//! fn echo(request: &mut Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
//!     let control = MessageWebSocketControl::new().subprotocols(["echo.v1"]);
//!     let (response, pending) = upgrade(request)?.accept_message(&control)?;
//!     tokio::spawn(async move {
//!         let mut socket = pending.await?;
//!         socket.run(|message, replies| replies.send(message)).await
//!     });
//!     Ok(response)
//! }
//! ```
//!
//! A [`Refusal`] becomes a response with [`into_response`](Refusal::into_response) or `From`, so that `?` works in functions
//! whose error is a `Refusal` or a response.
//!
//! # With tower
//!
//! There is nothing to switch on: these are functions of requests, which any `tower::Service` may call. Layers around it see
//! the request, and the response with the status 101 and an empty body: authentication, tracing, limits and timeouts work up
//! to there. The socket lives on in its own task: no layer times it out, and a graceful shutdown of the server does not wait
//! for it; [`Sockets`] do.
//!
//! # What the server around has to do
//!
//! Where the connection comes from and whether it has TLS is not known here, unless it is told by a [`ConnectionInformation`]
//! among the extensions of the request (the extractor for axum finds axum's own `ConnectInfo` too). Untold,
//! [`allow_host`](crate::RequestControl::allow_host) is to be set for a server on a loopback address, or a web page that owns a
//! name may let it point there; and [`trust_proxies`](crate::RequestControl::trust_proxies) has no effect. Limits of connections
//! and of their addresses, and deadlines before the request, are those of the server.
//!
//! # HTTP/2
//!
//! WebSockets over HTTP/2 (RFC 8441) are refused with 505. Browsers then need a server that offers HTTP/1.1 alone by ALPN,
//! or one that does not enable the extended CONNECT, as hyper does not unless told to.

mod connection;
mod pending;
mod refusal;
mod request;
mod sockets;
mod transport;

pub use connection::ConnectionInformation;
pub use pending::Pending;
pub use refusal::Refusal;
pub use request::UpgradeRequest;
pub use sockets::Sockets;

use crate::RequestControl;

/// Judges a request to open a WebSocket, with the defaults of [`RequestControl`]: pages of other origins are refused.
///
/// # Errors
/// A [`Refusal`]: the response to send, and the reason.
pub fn upgrade<B>(request: &mut http::Request<B>) -> Result<UpgradeRequest, Refusal> {
    upgrade_with(request, &RequestControl::new())
}

/// Judges a request to open a WebSocket.
///
/// Of `control`, what is said about reading a request is for the HTTP server, which has done that.
///
/// # Errors
/// As [`upgrade`].
pub fn upgrade_with<B>(
    request: &mut http::Request<B>,
    control: &RequestControl,
) -> Result<UpgradeRequest, Refusal> {
    let on_upgrade = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
    let judged = UpgradeRequest::new(request.method(), request.uri(), request.version(), request.headers())?;
    let connection = ConnectionInformation::of(request.extensions());
    judged.connected(on_upgrade)?.over(connection).welcome(control)
}

/// Judges the head of a request, as [`upgrade_with`] does.
///
/// # Errors
/// As [`upgrade`].
pub fn upgrade_parts(
    parts: &mut http::request::Parts,
    control: &RequestControl,
) -> Result<UpgradeRequest, Refusal> {
    let on_upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
    let judged = UpgradeRequest::new(&parts.method, &parts.uri, parts.version, &parts.headers)?;
    let connection = ConnectionInformation::of(&parts.extensions);
    judged.connected(on_upgrade)?.over(connection).welcome(control)
}

/// Judges the head of a request that a server without hyper has parsed. The connection is handed in later, to
/// [`Pending::over`].
///
/// # Errors
/// As [`upgrade`].
pub fn detached<B>(request: &http::Request<B>, control: &RequestControl) -> Result<UpgradeRequest, Refusal> {
    let judged = UpgradeRequest::new(request.method(), request.uri(), request.version(), request.headers())?;
    judged.over(ConnectionInformation::of(request.extensions())).welcome(control)
}
