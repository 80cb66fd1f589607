//! A listener to be: what is set before it is bound, and the binding.

use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};
use tokio::sync::Semaphore;

use super::admission::RequestControl;
use super::forwarded::Networks;
use super::handshakes::Handshakes;
use super::listener::{Listener, Shared, Socket};
use super::registry::Registry;
#[cfg(unix)]
use super::unix::UnixSocket;
use crate::error::{Error, ErrorKind};
use crate::observe;
#[cfg(feature = "__tls")]
use crate::tls::ServerTls;

/// Safe on the open internet, and more than most servers have.
const MAX_CONNECTIONS: usize = 10_000;

/// As many silent clients as may keep others from being accepted, for as long as an opening handshake may take.
const MAX_HANDSHAKES: usize = 4_096;

/// Which part of them one address may have. So it takes four addresses to keep others waiting; and 1,024 at once are more than
/// whoever shares an address has, unless all reconnect in the same moment, which [`Reconnect`](crate::Reconnect) spreads.
const SHARE_OF_HANDSHAKES: usize = 4;

/// How many connections the system keeps that were not accepted yet. It has a maximum of its own.
const BACKLOG: u32 = 1_024;

/// A listener to be: awaiting it binds it.
#[derive(Debug)]
#[must_use = "a listener is bound by awaiting this"]
pub struct ListenerBuilder<A> {
    address: A,
    shared: Shared,
    max_connections: usize,
    max_handshakes: usize,
    max_handshakes_per_address: Option<usize>,
    max_per_address: Option<usize>,
    reuse_port: bool,
    /// The first setting that cannot be used.
    invalid: Option<Error>,
}

impl<A> ListenerBuilder<A> {
    pub(super) fn new(address: A) -> Self {
        Self {
            address,
            shared: Shared {
                control: RequestControl::default(),
                no_delay: true,
                proxy_protocol: None,
                #[cfg(feature = "__tls")]
                tls: None,
            },
            max_connections: MAX_CONNECTIONS,
            max_handshakes: MAX_HANDSHAKES,
            max_handshakes_per_address: None,
            max_per_address: None,
            reuse_port: false,
            invalid: None,
        }
    }

    /// Serves `wss`: an [`Identity`](crate::Identity), or a [`ServerTls`] with more to say.
    #[cfg(feature = "__tls")]
    pub fn tls(mut self, tls: impl Into<ServerTls>) -> Self {
        self.shared.tls = Some(tls.into());
        self
    }

    /// How requests are received.
    pub fn requests(mut self, control: RequestControl) -> Self {
        self.shared.control = control;
        self
    }

    /// Most connections open at once, counted from being accepted until the socket is dropped. Default 10,000.
    ///
    /// Further clients wait in the queue of the system. Every connection takes a descriptor: see `ulimit -n`.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Most connections open at once of one IPv4 address, or one /64 of IPv6, which is what a site has at least. Further
    /// ones get a 503, or are dropped where TLS would have to be agreed first. Default: as many as in all, and so one address
    /// may take all places, if it opens all those connections.
    ///
    /// Behind a proxy it counts for the client, where the [PROXY protocol](Self::proxy_protocol) or a
    /// [trusted proxy](RequestControl::trust_proxies) tells who that is. Whole companies may share one address.
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.max_per_address = Some(connections.max(1));
        self
    }

    /// Most connections at once that are accepted by the listener and not yet by [`Request`](crate::Request): with TLS,
    /// the request or its answer under way. Further clients wait in the queue of the system. Default 4,096.
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        self.max_handshakes = handshakes.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Most of these [handshakes](Self::max_handshakes) of one IPv4 address, or one /64 of IPv6, with the refusals that are still
    /// on their way to it. Further connections of it are closed at once. Default: a quarter of all, 1,024, so that nobody keeps out
    /// others by connections that say nothing.
    ///
    /// Behind a proxy it counts for the client, as soon as the [PROXY protocol](Self::proxy_protocol) or a
    /// [trusted proxy](RequestControl::trust_proxies) tells who that is, and not for the proxy. A proxy that is not listed there
    /// is a client like any other, on this machine too: all that come through it share its part.
    pub fn max_handshakes_per_address(mut self, handshakes: usize) -> Self {
        self.max_handshakes_per_address = Some(handshakes.max(1));
        self
    }

    /// Whether small writes leave at once (Nagle's algorithm off). Default `true`. Unix sockets always let them.
    pub fn no_delay(mut self, no_delay: bool) -> Self {
        self.shared.no_delay = no_delay;
        self
    }

    /// Expects the [PROXY protocol](https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt), version 1 or 2, from these
    /// networks, such as `10.0.0.0/8` or `192.0.2.7`, and `unix` for Unix sockets.
    ///
    /// Such a connection has to begin with it, even before TLS, within the time of the opening handshake, and
    /// [`Request::remote_address`](crate::Request::remote_address) is the client's then. From everywhere else the header is not
    /// looked for, and so nobody can claim an address that is not theirs.
    pub fn proxy_protocol<N: AsRef<str>>(mut self, from: impl IntoIterator<Item = N>) -> Self {
        match Networks::parse(from) {
            Ok(networks) => self.shared.proxy_protocol = Some(networks),
            Err(error) => self.invalid = self.invalid.or(Some(error)),
        }
        self
    }

    /// What can be found out without an address, and the way to the listener.
    fn check(self) -> Result<(A, bool, impl FnOnce(Socket) -> Listener), Error> {
        if let Some(error) = self.invalid {
            return Err(error);
        }
        #[cfg(feature = "__tls")]
        if let Some(tls) = &self.shared.tls {
            tls.config()?;
        }
        let share = (self.max_handshakes / SHARE_OF_HANDSHAKES).max(1);
        let listener = move |socket| Listener {
            socket,
            shared: Arc::new(self.shared),
            registry: Registry::new(self.max_connections, self.max_per_address),
            handshakes: Handshakes::new(
                self.max_handshakes,
                self.max_handshakes_per_address.unwrap_or(share),
            ),
            watch: observe::Accepting::default(),
        };
        Ok((self.address, self.reuse_port, listener))
    }
}

impl<A: ToSocketAddrs> ListenerBuilder<A> {
    /// Whether several listeners of this user may have the same address (`SO_REUSEPORT`), for one runtime per processor: Linux
    /// spreads new connections among them. Default `false`.
    ///
    /// Other systems than Linux may give all connections to the listener bound last. Windows and Solaris have nothing like it:
    /// there, binding fails with [`ErrorKind::Listen`]. It is for addresses alone: what [`Listener::bind_unix`] binds cannot be
    /// shared, and of a socket for [`Listener::from_std`] it had to be said before that was bound.
    ///
    /// ```compile_fail
    /// # use wsduo::Listener;
    /// let _ = Listener::bind_unix("/run/example/socket").reuse_port(true);
    /// ```
    pub fn reuse_port(mut self, reuse_port: bool) -> Self {
        self.reuse_port = reuse_port;
        self
    }
}

type Binding = Pin<Box<dyn Future<Output = Result<Listener, Error>> + Send>>;

impl<A: ToSocketAddrs + Send + Sync + 'static> IntoFuture for ListenerBuilder<A> {
    type Output = Result<Listener, Error>;
    type IntoFuture = Binding;

    fn into_future(self) -> Binding {
        Box::pin(async move {
            let (address, reuse_port, listener) = self.check()?;
            let tcp = bind(address, reuse_port).await.map_err(failed)?;
            Ok(listener(Socket::Tcp(tcp)))
        })
    }
}

impl IntoFuture for ListenerBuilder<Endpoint> {
    type Output = Result<Listener, Error>;
    type IntoFuture = Binding;

    fn into_future(self) -> Binding {
        Box::pin(async move {
            let (endpoint, _, listener) = self.check()?;
            Ok(listener(endpoint.listen().await.map_err(failed)?))
        })
    }
}

/// What is listened on, where it is not an address: see [`Listener::bind_unix`] and [`Listener::from_std`].
#[derive(Debug)]
pub struct Endpoint(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
    #[cfg(unix)]
    Path(std::path::PathBuf),
}

impl Endpoint {
    #[cfg(unix)]
    pub(super) fn path(path: std::path::PathBuf) -> Self {
        Self(Kind::Path(path))
    }

    async fn listen(self) -> io::Result<Socket> {
        Ok(match self.0 {
            Kind::Tcp(tcp) => {
                tcp.set_nonblocking(true)?;
                Socket::Tcp(TcpListener::from_std(tcp)?)
            }
            #[cfg(unix)]
            Kind::Unix(unix) => Socket::Unix(UnixSocket::adopt(unix)?),
            #[cfg(unix)]
            Kind::Path(path) => Socket::Unix(UnixSocket::bind(path).await?),
        })
    }
}

impl From<std::net::TcpListener> for Endpoint {
    fn from(listener: std::net::TcpListener) -> Self {
        Self(Kind::Tcp(listener))
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixListener> for Endpoint {
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Self(Kind::Unix(listener))
    }
}

fn failed(error: io::Error) -> Error {
    Error::source(ErrorKind::Listen, "cannot listen on this address", error)
}

async fn bind(address: impl ToSocketAddrs, reuse_port: bool) -> io::Result<TcpListener> {
    let mut failure = None;
    for address in lookup_host(address).await? {
        match bind_one(address, reuse_port) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
}

fn bind_one(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // On Windows it would let others take the address away.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    if reuse_port {
        share_port(&socket)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
fn share_port(socket: &TcpSocket) -> io::Result<()> {
    socket.set_reuseport(true)
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin")))))]
fn share_port(_: &TcpSocket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system cannot share a port (SO_REUSEPORT)"))
}
