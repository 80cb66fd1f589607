//! The time between the response and the socket.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncWrite};

use super::transport::Freed;
use crate::dialling::BoxedStream;
use crate::error::{Error, ErrorKind};
use crate::observe;

/// A socket to be: await it in a task of its own, and return the response that came with it from the service.
///
/// It resolves once the server has sent that response. Awaited before the response is returned, it waits in vain until the
/// timeout.
///
/// Where the server sends another response instead, because a layer replaced this one, the client never agreed to anything:
/// hyper then hands the connection over when the client ends it, and the socket finds it lost. Let what may refuse a request
/// do so before it is accepted.
///
/// # Errors
/// [`ErrorKind::Connect`] if the connection ends first, or is served without upgrades; [`ErrorKind::TimedOut`] if the response is not sent within the
/// [send timeout](crate::MessageWebSocketControl::send_timeout), counted from when this is awaited;
/// [`ErrorKind::Misuse`] for a request that came [without its connection](super::detached).
///
/// # Cancel safety
/// Dropping it, or the future it becomes, closes the connection once the response is sent.
#[must_use = "there is no socket unless this is awaited"]
pub struct Pending<S> {
    on_upgrade: Option<OnUpgrade>,
    timeout: Option<Duration>,
    /// Whom what comes of it is told of.
    peer: Option<SocketAddr>,
    handshake: observe::Handshake,
    open: Open<S>,
}

/// Makes a socket on the connection, as was agreed.
pub(super) type Open<S> = Box<dyn FnOnce(Freed) -> S + Send>;

impl<S> Pending<S> {
    pub(super) fn new(
        on_upgrade: Option<OnUpgrade>,
        timeout: Option<Duration>,
        peer: Option<SocketAddr>,
        open: Open<S>,
    ) -> Self {
        Self { on_upgrade, timeout, peer, handshake: observe::Handshake::begin(), open }
    }

    /// The same, as another kind of socket.
    pub(super) fn map<R>(self, map: impl FnOnce(S) -> R + Send + 'static) -> Pending<R>
    where
        S: 'static,
    {
        let Self { on_upgrade, timeout, peer, handshake, open } = self;
        Pending { on_upgrade, timeout, peer, handshake, open: Box::new(move |freed| map(open(freed))) }
    }

    /// The socket, on a transport on which the caller has sent the response himself: for servers without hyper.
    ///
    /// `behind_handshake` are the bytes that the server has read behind the request, the first frames.
    pub fn over<T>(self, transport: T, behind_handshake: Vec<u8>) -> S
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.handshake.accepted();
        (self.open)(Freed::other(BoxedStream::new(transport), behind_handshake))
    }
}

impl<S: 'static> IntoFuture for Pending<S> {
    type Output = Result<S, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { on_upgrade, timeout, peer, handshake, open } = self;
            match take_over(on_upgrade, timeout).await {
                Ok(freed) => {
                    handshake.accepted();
                    Ok(open(freed))
                }
                Err(error) => {
                    handshake.failed(peer, &error);
                    Err(error)
                }
            }
        })
    }
}

/// The connection, once the response is sent.
async fn take_over(on_upgrade: Option<OnUpgrade>, timeout: Option<Duration>) -> Result<Freed, Error> {
    let Some(on_upgrade) = on_upgrade else {
        let text = "the request came without its connection: hand that to Pending::over";
        return Err(Error::text(ErrorKind::Misuse, text));
    };
    let upgraded = match timeout {
        Some(timeout) => tokio::time::timeout(timeout, on_upgrade).await.map_err(|_| {
            let text = format!("the server did not send the response within {timeout:?}");
            Error::text(ErrorKind::TimedOut, text)
        })?,
        None => on_upgrade.await,
    };
    let upgraded = upgraded.map_err(|error| {
        let text = "the server did not hand the connection over";
        Error::source(ErrorKind::Connect, text, error)
    })?;
    Ok(Freed::new(upgraded))
}

impl<S> fmt::Debug for Pending<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
