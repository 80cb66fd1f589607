//! A connection between being accepted and having asked for something.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use wsduo_proto::handshake;

use super::handshakes::Slot;
use super::listener::Shared;
use super::proxy_protocol;
use super::registry::Seat;
use super::request::{Origin, Request};
use crate::error::{Error, ErrorKind};
use crate::information::Facts;
use crate::io::handshake as io_handshake;
use crate::io::transport::Reached;
use crate::io::transport::Transport;
use crate::observe;
use crate::tls;

/// A connection of which nothing has been read.
#[derive(Debug)]
pub struct Incoming {
    /// Boxed: it waits in a task that should be small.
    inner: Box<IncomingInner>,
    handshake: observe::Handshake,
}

#[derive(Debug)]
struct IncomingInner {
    reached: Reached,
    on_loopback: bool,
    shared: Arc<Shared>,
    place: Place,
    /// The client's address has as many connections as it may have.
    is_too_many: bool,
}

/// What a connection takes up of its listener, while its request is not answered.
pub(super) struct Place {
    pub(super) seat: Seat,
    pub(super) slot: Slot,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seat.fmt(f)
    }
}

impl Incoming {
    /// `client` is whom it counts for, if that is known already.
    pub(super) fn new(
        reached: Reached,
        on_loopback: bool,
        shared: Arc<Shared>,
        mut place: Place,
        client: Option<IpAddr>,
    ) -> Self {
        let is_too_many = client.is_some_and(|client| !place.seat.claim(client));
        if is_too_many {
            place.slot.release();
        }
        let inner = IncomingInner { reached, on_loopback, shared, place, is_too_many };
        Self { inner: Box::new(inner), handshake: observe::Handshake::begin() }
    }

    /// Who connects: a client, or a proxy that has not said yet for whom. `None` by a Unix socket.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.inner.reached.remote_address
    }

    /// Waits for the header of the PROXY protocol and for TLS, if the listener has them, and for the request, within the time and the
    /// limits of [`RequestControl`](crate::RequestControl).
    ///
    /// A client that does not send a proper request gets an answer that says so, and an error comes out here.
    ///
    /// # Errors
    /// [`ErrorKind::Tls`], [`ErrorKind::Handshake`], [`ErrorKind::TimedOut`], [`ErrorKind::Connect`] if the client is gone, or
    /// [`ErrorKind::Closed`] if the listener is shut down meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub fn request(self) -> impl Future<Output = Result<Request, Error>> + Send {
        // Boxed: the handshake needs some memory, and gives it back when it is done.
        Box::pin(async move {
            let Self { inner, handshake } = self;
            let timeout = inner.shared.control.timeout;
            // Whom it is told of: a proxy, until that has said for whom it speaks.
            let mut peer = inner.reached.remote_address;
            let until = Instant::now().checked_add(timeout);
            let registry = inner.place.seat.registry();
            let received = {
                let receiving = pin!(receive(*inner, until, &mut peer));
                unless(pin!(registry.called()), pin!(deadline(timeout, receiving))).await
            };
            Request::told(received.unwrap_or_else(|| Err(shutting_down())), handshake, peer)
        })
    }
}

async fn receive(
    incoming: IncomingInner,
    until: Option<Instant>,
    peer: &mut Option<SocketAddr>,
) -> Result<Request, Error> {
    let IncomingInner { reached, mut on_loopback, shared, mut place, mut is_too_many } = incoming;
    let Reached { mut transport, mut local_address, mut remote_address } = reached;
    let control = &shared.control;
    if let Some(proxies) = &shared.proxy_protocol
        && proxies.contain(remote_address.map(|address| address.ip()))
    {
        let told = proxy_protocol::receive(&mut transport).await?;
        if let Some((client, server)) = told {
            (local_address, remote_address) = (Some(server), Some(client));
            *peer = remote_address;
            on_loopback = server.ip().to_canonical().is_loopback();
        }
        // Trusted proxies tell later whom they speak for.
        let client = remote_address.map(|address| address.ip());
        if let Some(client) = client.filter(|client| !control.trusts(Some(*client))) {
            // The proxy has no share of its own.
            if told.is_some() && !place.slot.claim(client) {
                return Err(too_many_handshakes(client, place.slot.per_address()));
            }
            is_too_many = !place.seat.claim(client);
        }
    }
    if is_too_many && let Some(client) = remote_address {
        place.slot.release();
        let limit = place.seat.per_address();
        if !shared.has_tls() {
            refuse_busy(&mut transport, &too_many_of_yours(limit), until).await;
        }
        return Err(too_many(client.ip(), limit));
    }
    #[cfg(feature = "__tls")]
    let transport = match &shared.tls {
        // Boxed: it is far larger than all else here.
        Some(tls) => Box::pin(tls.accept(transport)).await?,
        None => transport,
    };
    let tls = tls::information(&transport);
    let facts = Facts { local_address, remote_address, agreed: None };
    let origin = Origin { on_loopback, facts, tls, place: Some(place), until };
    Request::receive(transport, control, origin, Transport::tune).await
}

impl Shared {
    fn has_tls(&self) -> bool {
        #[cfg(feature = "__tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "__tls"))]
        false
    }
}

/// Sends a refusal, and waits until then at the latest for the client to take it: the caller should hear why it was refused, not
/// that time ran out over it, nor how the client took it.
pub(super) async fn refuse<T: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut T,
    refusal: &[u8],
    until: Option<Instant>,
) {
    let refusing = io_handshake::refuse(transport, refusal);
    match until {
        Some(until) => drop(tokio::time::timeout_at(until, refusing).await),
        None => drop(refusing.await),
    }
}

/// Tells a client to come back later, and why.
pub(super) async fn refuse_busy<T: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut T,
    why: &str,
    until: Option<Instant>,
) {
    let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("10"))]);
    let body = format!("{why}; try again in 10 seconds\n");
    let refusal = handshake::refusal(StatusCode::SERVICE_UNAVAILABLE, &headers, &body);
    refuse(transport, &refusal, until).await;
}

/// For the client. Which address that is may be nothing that it should know: that of a proxy nobody told us of.
pub(super) fn too_many_of_yours(limit: usize) -> String {
    format!("your address has as many connections open as it may have, {limit}")
}

pub(super) fn too_many(address: IpAddr, limit: usize) -> Error {
    let text = format!(
        "{address} has as many connections open as one address may have, {limit}: see max_connections_per_address"
    );
    Error::text(ErrorKind::Handshake, text)
}

pub(super) fn too_many_handshakes(address: IpAddr, limit: usize) -> Error {
    let text = format!(
        "{address} has as many opening handshakes under way as one address may have, {limit}: see max_handshakes_per_address"
    );
    Error::text(ErrorKind::Handshake, text)
}

/// What comes of a future, unless another one is done first.
///
/// Of pinned ones, here and in [`deadline`]: a future that is handed on has room for it twice, and each layer would double it.
pub(super) async fn unless<R>(
    mut over: Pin<&mut impl Future<Output = ()>>,
    mut future: Pin<&mut impl Future<Output = R>>,
) -> Option<R> {
    poll_fn(|cx| match over.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => future.as_mut().poll(cx).map(Some),
    })
    .await
}

pub(super) fn shutting_down() -> Error {
    Error::text(ErrorKind::Closed, "the server is shutting down")
}

pub(super) async fn deadline<R>(
    timeout: Duration,
    receiving: Pin<&mut impl Future<Output = Result<R, Error>>>,
) -> Result<R, Error> {
    tokio::time::timeout(timeout, receiving).await.unwrap_or_else(|_| {
        let text = format!("the client did not complete the opening handshake within {timeout:?}");
        Err(Error::text(ErrorKind::TimedOut, text))
    })
}
