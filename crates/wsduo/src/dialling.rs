//! How a host is reached: settings of sockets, and the places where a program can put its own resolver or connector.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::connecting::Observer;
use crate::proxy::Proxy;

/// A future of unknown type, as the methods of [`Resolver`] and [`Connector`] return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Finds the addresses of hosts, in place of the system.
///
/// # Examples
/// ```
/// use std::io;
/// use std::net::SocketAddr;
/// use wsduo::{BoxFuture, MessageWebSocketControl, Resolver};
///
/// /// All hosts are this machine.
/// struct Here;
///
/// impl Resolver for Here {
///     fn resolve<'a>(&'a self, _host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
///         Box::pin(async move { Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]) })
///     }
/// }
///
/// let control = MessageWebSocketControl::new().resolver(Here);
/// # let _ = control;
/// ```
pub trait Resolver: Send + Sync {
    /// The addresses of `host`, the preferred first. The host is a name in ASCII and lower case, or an IP address without
    /// brackets.
    ///
    /// The future is dropped when it takes too long, or connecting is given up.
    ///
    /// # Errors
    /// Fails connecting with [`ErrorKind::Resolve`](crate::ErrorKind::Resolve), and so does an empty list.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// Makes connections to hosts, in place of the look-up of addresses and TCP: to reach servers in other ways, or in tests.
///
/// # Examples
/// ```
/// use std::io;
/// use wsduo::{BoxFuture, BoxedStream, Connector, MessageWebSocketControl};
///
/// /// Every host is at the other end of a pipe of its own.
/// struct Pipes;
///
/// impl Connector for Pipes {
///     fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxedStream>> {
///         Box::pin(async move {
///             let (near, far) = tokio::io::duplex(4096);
///             println!("{host}:{port} is to be served on {far:?}");
///             Ok(BoxedStream::new(near))
///         })
///     }
/// }
///
/// let control = MessageWebSocketControl::new().connector(Pipes);
/// # let _ = control;
/// ```
pub trait Connector: Send + Sync {
    /// A connection to `host`: the server's, or the proxy's if there is one. The host is as in [`Resolver::resolve`].
    ///
    /// The future is dropped when it takes too long, or connecting is given up.
    ///
    /// # Errors
    /// Fails connecting with [`ErrorKind::Connect`](crate::ErrorKind::Connect).
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<BoxedStream>>;
}

/// Anything that reads and writes, of a type that is not known any more.
pub struct BoxedStream {
    pub(crate) inner: Box<dyn ReadWrite>,
}

pub(crate) trait ReadWrite: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ReadWrite for T {}

impl BoxedStream {
    /// Puts a transport into a box.
    pub fn new(transport: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { inner: Box::new(transport) }
    }
}

impl fmt::Debug for BoxedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxedStream").finish_non_exhaustive()
    }
}

/// Everything that is set about reaching a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialling {
    pub(crate) resolver: Option<Shared<dyn Resolver>>,
    pub(crate) connector: Option<Shared<dyn Connector>>,
    /// Looked at before any resolver.
    pub(crate) known: HashMap<(String, u16), Vec<IpAddr>>,
    pub(crate) socket: SocketOptions,
    #[cfg(unix)]
    pub(crate) unix_socket: Option<std::path::PathBuf>,
    pub(crate) proxy: Proxy,
    pub(crate) observer: Observer,
}

/// Options of a TCP socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct SocketOptions {
    pub(crate) local_address: Option<IpAddr>,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) interface: Option<String>,
    pub(crate) keepalive: Option<Duration>,
    pub(crate) send_buffer_size: Option<u32>,
    pub(crate) receive_buffer_size: Option<u32>,
}

/// Something of the caller's, shared by all who hold the setting.
pub(crate) struct Shared<T: ?Sized>(pub(crate) Arc<T>);

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}
