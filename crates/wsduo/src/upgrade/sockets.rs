//! The sockets of a server around: how many there are, and how they end with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::refusal::Refusal;
use crate::server::registry::{Registry, Seat};

/// The open sockets of a server that is not ours, counted, limited and closed together. Clones of it are the same.
///
/// Another server lets go of a connection that becomes a WebSocket: its own graceful shutdown neither closes it nor waits for it.
/// Requests that were [put among](super::UpgradeRequest::among) these are closed with 1001 by [`shutdown`](Self::shutdown), as
/// those of a [`Listener`](crate::Listener) are.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use wsduo::MessageWebSocketControl;
/// use wsduo::upgrade::{Refusal, Sockets, upgrade};
///
/// fn echo<B>(request: &mut http::Request<B>, sockets: &Sockets) -> Result<http::Response<String>, Refusal> {
///     let control = MessageWebSocketControl::new();
///     let (response, pending) = upgrade(request)?.among(sockets)?.accept_message(&control)?;
///     tokio::spawn(async move { pending.await?.run(|message, replies| replies.send(message)).await });
///     Ok(response)
/// }
///
/// # async fn example() {
/// let sockets = Sockets::new();
/// // Serve with a clone of it; and when the server has stopped accepting:
/// sockets.shutdown(Duration::from_secs(10)).await;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sockets {
    registry: Arc<Registry>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self::new()
    }
}

impl Sockets {
    /// Any number of sockets.
    pub fn new() -> Self {
        Self::at_most(Semaphore::MAX_PERMITS)
    }

    /// So many sockets at most; further requests are refused with 503.
    pub fn at_most(sockets: usize) -> Self {
        Self { registry: Registry::new(sockets.min(Semaphore::MAX_PERMITS), None) }
    }

    /// How many there are: put among these, and not dropped.
    pub fn open(&self) -> usize {
        self.registry.open()
    }

    /// Closes all sockets with 1001 and waits for them; returns how many had to be cut, as
    /// [`Listener::shutdown`](crate::Listener::shutdown) does. Further requests are refused with 503.
    ///
    /// # Cancel safety
    /// Dropping the future leaves sockets to close by themselves.
    pub async fn shutdown(&self, patience: Duration) -> usize {
        self.registry.shutdown(patience).await
    }

    /// A place for another socket.
    pub(super) fn seat(&self) -> Result<Seat, Refusal> {
        match self.registry.try_seat() {
            Some(seat) if seat.is_called() => Err(Refusal::busy("the server is shutting down")),
            Some(seat) => Ok(seat),
            None => Err(Refusal::busy("there are as many connections as there may be")),
        }
    }
}
