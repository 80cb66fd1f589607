//! Where connections come in.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, ToSocketAddrs};

use super::admission::RequestControl;
use super::binding::{Endpoint, ListenerBuilder};
use super::forwarded::Networks;
use super::handshakes::Handshakes;
use super::incoming::{Incoming, Place, too_many_handshakes};
use super::registry::Registry;
#[cfg(unix)]
use super::unix;
#[cfg(unix)]
use crate::dialling::BoxedStream;
use crate::error::{Error, ErrorKind};
use crate::io::transport::{Reached, Transport};
use crate::observe;
#[cfg(feature = "__tls")]
use crate::tls::ServerTls;

/// How long accepting rests after the system had no descriptor or memory to spare.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Accepts connections.
///
/// # Limits
/// | what | default | beyond it |
/// |---|---|---|
/// | [connections](ListenerBuilder::max_connections) | 10,000 | clients wait in the queue of the system |
/// | [of one address](ListenerBuilder::max_connections_per_address) | as many as in all | 503 |
/// | [opening handshakes](ListenerBuilder::max_handshakes) at once | 4,096 | clients wait in the queue of the system |
/// | [of one address](ListenerBuilder::max_handshakes_per_address) | 1,024 | the connection is closed at once |
/// | [time of an opening handshake](RequestControl::timeout), with TLS | 10 s | the connection is dropped |
/// | [request head](RequestControl::head_limits) | 16 KiB, 100 headers | 431 |
/// | messages, fragments, what is queued | see [`MessageWebSocketControl`](crate::MessageWebSocketControl) | close frame 1009 |
///
/// Waiting costs this process neither memory nor a descriptor, which an answer would.
///
/// # Examples
/// ```no_run
/// use wsduo::{Listener, MessageWebSocketControl};
///
/// # async fn example() -> Result<(), wsduo::Error> {
/// let listener = Listener::bind("127.0.0.1:8080").await?;
/// let control = MessageWebSocketControl::new();
/// loop {
///     let incoming = listener.accept().await;
///     let control = control.clone();
///     tokio::spawn(async move {
///         let request = incoming.request().await?;
///         let mut socket = request.accept_message(&control).await?;
///         socket.run(|message, replies| replies.send(message)).await
///     });
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
    pub(super) shared: Arc<Shared>,
    pub(super) registry: Arc<Registry>,
    pub(super) handshakes: Arc<Handshakes>,
    pub(super) watch: observe::Accepting,
}

/// What is listened on.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(unix::UnixSocket),
}

/// What all connections of a listener have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) control: RequestControl,
    pub(super) no_delay: bool,
    /// Who has to begin with a header of the PROXY protocol.
    pub(super) proxy_protocol: Option<Networks>,
    #[cfg(feature = "__tls")]
    pub(super) tls: Option<ServerTls>,
}

impl Listener {
    /// Begins to bind an address; see the methods of [`ListenerBuilder`] for what can be set before it is awaited.
    pub fn bind<A: ToSocketAddrs>(address: A) -> ListenerBuilder<A> {
        ListenerBuilder::new(address)
    }

    /// Begins to bind a Unix socket at this path.
    ///
    /// A socket that an earlier process left there is replaced; one that somebody listens on, or a file of another kind, is
    /// not, and of several that bind a path at once one has it. For that the folder is locked (`flock`) meanwhile. The socket is removed when the listener is dropped. Who may connect is decided by the permissions of the socket,
    /// which follow the umask, and of its directory: put it into one that only those may enter who shall.
    #[cfg(unix)]
    pub fn bind_unix(path: impl Into<std::path::PathBuf>) -> ListenerBuilder<Endpoint> {
        ListenerBuilder::new(Endpoint::path(path.into()))
    }

    /// Begins to listen on a socket of the standard library that listens already, TCP or Unix: one made by a service manager, as
    /// systemd does, or with options that are not found here. The file of a Unix socket is left in place.
    pub fn from_std(listener: impl Into<Endpoint>) -> ListenerBuilder<Endpoint> {
        ListenerBuilder::new(listener.into())
    }

    /// Waits for a connection.
    ///
    /// Nothing has been read from it: handle it in a task of its own. Where the system refuses one, for want of descriptors
    /// or memory or because the client is gone already, the next is waited for; want is told to the features `tracing` and
    /// `metrics`. At a limit of the [listener](Self#limits)
    /// further clients wait.
    ///
    /// # Cancel safety
    /// Safe: no connection is lost.
    pub async fn accept(&self) -> Incoming {
        let mut slot = self.handshakes.slot().await;
        let room = self.registry.slot().await;
        loop {
            match self.socket.accept(self.shared.no_delay).await {
                Ok((reached, on_loopback)) => {
                    let peer = reached.remote_address;
                    let client = self.shared.client(peer.map(|address| address.ip()));
                    if let Some(client) = client
                        && !slot.claim(client)
                    {
                        // A refusal would take what there is not enough of.
                        drop(reached);
                        let error = too_many_handshakes(client, slot.per_address());
                        observe::Handshake::begin().failed(peer, &error);
                        continue;
                    }
                    let place = Place { seat: self.registry.seat(room), slot };
                    return Incoming::new(reached, on_loopback, Arc::clone(&self.shared), place, client);
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    self.watch.failed(&error);
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }

    /// The address that connections are accepted on.
    ///
    /// # Errors
    /// [`ErrorKind::Listen`] if the system does not tell, or it is a Unix socket.
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        let failed = |error| Error::source(ErrorKind::Listen, "no local address", error);
        match &self.socket {
            Socket::Tcp(tcp) => tcp.local_addr().map_err(failed),
            #[cfg(unix)]
            Socket::Unix(_) => Err(Error::text(ErrorKind::Listen, "a Unix socket has a path and no address")),
        }
    }

    /// How many connections there are: accepted, and their sockets not dropped.
    pub fn connections(&self) -> usize {
        self.registry.open()
    }

    /// Stops accepting, closes all connections and waits for them; returns how many had to be cut, zero if all is well.
    ///
    /// Every socket of this listener begins the closing handshake with code 1001 as soon as its task waits on it, whichever
    /// operation that is: receiving ends with `None` once the client has answered, sending fails with
    /// [`ErrorKind::Closed`]. Opening handshakes under way are dropped, requests that are not yet accepted get a 503. A
    /// connection counts until its socket is dropped. After `patience`, those left are cut: whatever waits on them
    /// fails with [`ErrorKind::Closed`]. A task that does something else keeps its socket until it turns to it.
    ///
    /// Dropping a listener instead leaves its connections as they are.
    ///
    /// # Cancel safety
    /// Dropping the future leaves connections to close by themselves.
    ///
    /// # Examples
    /// ```no_run
    /// # use std::time::Duration;
    /// # use wsduo::{Error, Incoming, Listener, MessageWebSocketControl};
    /// # async fn echo(incoming: Incoming) -> Result<(), Error> { Ok(()) }
    /// # async fn example() -> Result<(), Error> {
    /// let listener = Listener::bind("127.0.0.1:8080").await?;
    /// let mut ctrl_c = Box::pin(tokio::signal::ctrl_c());
    /// loop {
    ///     tokio::select! {
    ///         incoming = listener.accept() => { tokio::spawn(echo(incoming)); }
    ///         _ = &mut ctrl_c => break,
    ///     }
    /// }
    /// listener.shutdown(Duration::from_secs(10)).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(self, patience: Duration) -> usize {
        let Self { socket, registry, .. } = self;
        drop(socket);
        registry.shutdown(patience).await
    }
}

impl Shared {
    /// Whom a connection from there counts for, unless it is a proxy that tells later whom it speaks for.
    pub(super) fn client(&self, peer: Option<IpAddr>) -> Option<IpAddr> {
        let is_proxy = self.control.trusts(peer)
            || self.proxy_protocol.as_ref().is_some_and(|proxies| proxies.contain(peer));
        peer.filter(|_| !is_proxy)
    }
}

impl Socket {
    /// The connection, and whether it came from this machine alone: to an address that no other can reach.
    async fn accept(&self, no_delay: bool) -> std::io::Result<(Reached, bool)> {
        match self {
            Self::Tcp(listener) => {
                let (tcp, remote_address) = listener.accept().await?;
                // A socket that refuses the option is about to report why.
                let _ = tcp.set_nodelay(no_delay);
                let local_address = tcp.local_addr().ok();
                let on_loopback = local_address.is_some_and(|it| it.ip().to_canonical().is_loopback());
                let transport = Transport::tcp(tcp);
                let reached = Reached { transport, local_address, remote_address: Some(remote_address) };
                Ok((reached, on_loopback))
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                let (unix, _) = listener.listener.accept().await?;
                Ok((Reached::other(BoxedStream::new(unix)), false))
            }
        }
    }
}

fn is_about_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted,
        NetworkUnreachable, TimedOut,
    };
    // Linux hands errors of the network that wait on a new connection to whoever accepts it.
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkUnreachable
            | TimedOut
    )
}
