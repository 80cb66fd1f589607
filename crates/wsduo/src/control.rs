//! Settings: everything that is decided before a socket is open.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use wsduo_proto::handshake::DeflateAgreement;
use wsduo_proto::handshake::HeadLimits;
use wsduo_proto::{Compression, Config, Connection, Role, WebSocketUri};

use crate::credential::Credential;
use crate::dialling::{BoxedStream, Dialling};
use crate::error::{Error, ErrorKind};
use crate::information::Facts;
use crate::io::alarm::Alarm;
use crate::io::connect::Opened;
use crate::io::journey;
use crate::io::transport::Reached;
use crate::message_web_socket::MessageWebSocket;
use crate::observe;
use crate::tls::ClientTls;

/// The settings of both kinds of socket, as methods of a control that holds [`Settings`] by the name of `settings`.
macro_rules! common_settings {
    () => {
        /// Subprotocols by preference (RFC 6455 §1.9). A client offers them; a server takes the first of them that the client
        /// offers, unless the request was given one. Default: none.
        #[must_use]
        pub fn subprotocols<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
            self.set(|settings| settings.subprotocols = names.into_iter().map(Into::into).collect())
        }

        /// Adds a header to the opening handshake: to the request of a client, to the response of a server. Cookies are the
        /// header `cookie`; those that the server sets are headers of [the response](crate::MessageWebSocketInformation::response).
        ///
        /// The headers that the handshake itself consists of cannot be set: `Host`, `Upgrade`, `Connection` and all that begin with
        /// `Sec-WebSocket-` (see [`subprotocols`](Self::subprotocols)), nor can those that announce a body.
        #[must_use]
        pub fn header(
            self,
            name: impl TryInto<http::HeaderName>,
            value: impl TryInto<http::HeaderValue>,
        ) -> Self {
            self.set(|settings| {
                if let Err(error) = crate::control::append_header(&mut settings.headers, name, value) {
                    settings.invalid.get_or_insert(error);
                }
            })
        }

        /// The user's name and password for the server, should it ask for them with a 401 (schemes Basic and Digest). They
        /// answer once, and only the server of the URI: never one that a redirect leads to. Default: none.
        #[must_use]
        pub fn credential(self, credential: crate::credential::Credential) -> Self {
            self.set(|settings| settings.credential = Some(credential))
        }

        /// How many redirects a client follows (301, 302, 303, 307 and 308). Default 0: a redirect is a refusal, which tells
        /// where to. 5 is a usual number where redirects are wanted.
        ///
        /// A redirect never leads from `wss` to `ws`. Where it leads to another host, port or scheme, the headers
        /// `Authorization` and `Cookie`, headers whose value is marked as sensitive and the
        /// [credential](Self::credential) stay behind, for the rest of the way, and of the settings of TLS all but whom to trust.
        #[must_use]
        pub fn redirects(self, max: u8) -> Self {
            self.set(|settings| settings.redirects = max)
        }

        /// How long each stage of connecting may take: the look-up of the addresses, reaching one of them, the answer of a
        /// proxy, TLS, the opening handshake. Default 60 s.
        #[must_use]
        pub fn connect_timeout(self, timeout: std::time::Duration) -> Self {
            self.set(|settings| settings.connect_timeout = timeout)
        }

        /// How long connecting may take in all, redirects and authentication included. Default: whatever its stages take.
        #[must_use]
        pub fn total_connect_timeout(self, timeout: impl Into<Option<std::time::Duration>>) -> Self {
            self.set(|settings| settings.total_timeout = timeout.into())
        }

        /// Whether small writes leave at once (Nagle's algorithm off). Default `true`; on a server, what the
        /// [listener](crate::ListenerBuilder::no_delay) says, or the server around that had the connection before.
        #[must_use]
        pub fn no_delay(self, no_delay: bool) -> Self {
            self.set(|settings| settings.no_delay = Some(no_delay))
        }

        /// Which proxy a client connects through. Default: [`Proxy::from_environment`](crate::Proxy::from_environment).
        #[must_use]
        pub fn proxy(self, proxy: crate::proxy::Proxy) -> Self {
            self.set(|settings| settings.dialling.proxy = proxy)
        }

        /// Who finds the addresses of hosts. Default: the system.
        ///
        /// A look-up by the system cannot be broken off: given up, it goes on in the background until the system's own
        /// timeout ends it. One by a resolver set here ends at once.
        #[must_use]
        pub fn resolver(self, resolver: impl crate::dialling::Resolver + 'static) -> Self {
            let resolver = crate::dialling::Shared(std::sync::Arc::new(resolver) as _);
            self.set(|settings| settings.dialling.resolver = Some(resolver))
        }

        /// Adds addresses of a host, which are then used for this port in place of what a resolver would find. The host is
        /// as in the URI, an internationalised name in ASCII. A host that a proxy looks up is not concerned.
        #[must_use]
        pub fn resolve(
            self,
            host: &str,
            port: u16,
            addresses: impl IntoIterator<Item = std::net::IpAddr>,
        ) -> Self {
            let host = host.to_ascii_lowercase();
            self.set(|settings| settings.dialling.known.entry((host, port)).or_default().extend(addresses))
        }

        /// Who connects to hosts, in place of the look-up of addresses and TCP. Default: nobody.
        ///
        /// TLS and the opening handshake go over what it returns. It is asked for the proxy, if there is one.
        #[must_use]
        pub fn connector(self, connector: impl crate::dialling::Connector + 'static) -> Self {
            let connector = crate::dialling::Shared(std::sync::Arc::new(connector) as _);
            self.set(|settings| settings.dialling.connector = Some(connector))
        }

        /// Connects to a Unix socket in place of the host, which is then only what the server is called: in the `Host` header
        /// and in its certificate. No proxy is used. Default: none.
        #[cfg(unix)]
        #[must_use]
        pub fn unix_socket(self, path: impl Into<std::path::PathBuf>) -> Self {
            self.set(|settings| settings.dialling.unix_socket = Some(path.into()))
        }

        /// The address of this machine that connections come from; hosts are reached by addresses of its family alone.
        /// Default: as the system chooses.
        #[must_use]
        pub fn local_address(self, address: impl Into<Option<std::net::IpAddr>>) -> Self {
            self.set(|settings| settings.dialling.socket.local_address = address.into())
        }

        /// The network interface that connections go through, such as `eth0`. On Linux and Android. Default: as the system
        /// chooses.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        #[must_use]
        pub fn interface(self, name: impl Into<String>) -> Self {
            self.set(|settings| settings.dialling.socket.interface = Some(name.into()))
        }

        /// TCP's own keepalive: probes of the system after so long without traffic, in whole seconds, one at least. Default
        /// `None`: never, since [`keepalive`](Self::keepalive) finds out more.
        #[must_use]
        pub fn tcp_keepalive(self, idle: impl Into<Option<std::time::Duration>>) -> Self {
            self.set(|settings| settings.dialling.socket.keepalive = idle.into())
        }

        /// How many bytes the system buffers for sending (`SO_SNDBUF`). Default `None`: as the system chooses. Of a connection that
        /// a listener has accepted, it is set when the request is.
        #[must_use]
        pub fn send_buffer_size(self, bytes: impl Into<Option<u32>>) -> Self {
            self.set(|settings| settings.dialling.socket.send_buffer_size = bytes.into())
        }

        /// How many bytes the system buffers of what is received (`SO_RCVBUF`). Default `None`: as the system chooses.
        #[must_use]
        pub fn receive_buffer_size(self, bytes: impl Into<Option<u32>>) -> Self {
            self.set(|settings| settings.dialling.socket.receive_buffer_size = bytes.into())
        }

        /// A function that is told of each step while a client connects. It is called in between and should return soon.
        /// Default: none.
        #[must_use]
        pub fn on_connecting(
            self,
            observer: impl Fn(&crate::Connecting<'_>) + Send + Sync + 'static,
        ) -> Self {
            self.set(|settings| settings.dialling.observer = crate::connecting::Observer::new(observer))
        }

        /// How a client checks the server of a `wss` URI, and what it shows to it. Default: against the trust store of the
        /// platform, and nothing.
        #[must_use]
        pub fn tls(self, tls: crate::tls::ClientTls) -> Self {
            self.set(|settings| {
                if let Some(error) = tls.invalid() {
                    settings.invalid.get_or_insert(error.clone());
                }
                settings.tls = tls;
            })
        }

        /// Compress messages where the peer agrees (permessage-deflate, RFC 7692). `None`: neither offer it nor accept it, which
        /// is the default: it costs memory and time, and secrets next to text of an attacker's must not be compressed (see
        /// [`Compression`](crate::Compression)).
        #[must_use]
        pub fn compression(self, compression: impl Into<Option<crate::Compression>>) -> Self {
            let compression = compression.into();
            self.set(|settings| {
                if let Some(Err(error)) = compression.map(|compression| compression.check()) {
                    let error = crate::Error::text(crate::ErrorKind::InvalidInput, error.to_string());
                    settings.invalid.get_or_insert(error);
                }
                settings.compression = compression;
            })
        }

        /// How many bytes may be queued before sending waits for them to be written. Default 128 KiB.
        #[must_use]
        pub fn max_queued(self, bytes: usize) -> Self {
            self.config(|config| config.max_queued = bytes)
        }

        /// Send a ping when nothing was heard for so long (up to one and a half times that). `None`, or zero: never.
        /// Default 20 s.
        #[must_use]
        pub fn keepalive(self, interval: impl Into<Option<std::time::Duration>>) -> Self {
            let interval = interval.into().filter(|interval| !interval.is_zero());
            self.config(|config| config.keepalive = interval)
        }

        /// Send a pong that nobody asked for so often (RFC 6455 §5.5.3): a sign of life that is not answered, for what lies
        /// between and forgets quiet connections. Less than a second counts as one. `None`, or zero: never, the default,
        /// since the [keepalive](Self::keepalive) finds out more.
        #[must_use]
        pub fn unsolicited_pong_interval(self, interval: impl Into<Option<std::time::Duration>>) -> Self {
            let interval = interval.into().filter(|interval| !interval.is_zero());
            let least = std::time::Duration::from_secs(1);
            self.config(|config| config.unsolicited_pong = interval.map(|interval| interval.max(least)))
        }

        /// How long the peer may be silent in the middle of a frame or with a ping unanswered. An idle connection never runs
        /// into it. `None`: for ever. Default 30 s.
        ///
        /// The clock is looked at seldom: the timeout is never early, and late by up to the keepalive interval, or by as much
        /// again where it is shorter than that. The same goes for [`send_timeout`](Self::send_timeout).
        #[must_use]
        pub fn receive_timeout(self, timeout: impl Into<Option<std::time::Duration>>) -> Self {
            let timeout = timeout.into();
            self.config(|config| config.receive_timeout = timeout)
        }

        /// How long queued bytes may wait without any of them being taken. `None`: for ever. Default 30 s.
        #[must_use]
        pub fn send_timeout(self, timeout: impl Into<Option<std::time::Duration>>) -> Self {
            let timeout = timeout.into();
            self.config(|config| config.send_timeout = timeout)
        }

        /// How long the closing handshake may take. Default 10 s.
        #[must_use]
        pub fn close_timeout(self, timeout: std::time::Duration) -> Self {
            self.config(|config| config.close_timeout = timeout)
        }

        fn set(mut self, set: impl FnOnce(&mut crate::control::Settings)) -> Self {
            set(std::sync::Arc::make_mut(&mut self.settings));
            self
        }

        fn config(self, set: impl FnOnce(&mut wsduo_proto::Config)) -> Self {
            self.set(|settings| set(std::sync::Arc::make_mut(&mut settings.config)))
        }
    };
}
pub(crate) use common_settings;

/// Settings of a [`MessageWebSocket`], for clients and servers.
///
/// They are fixed when a socket is opened: there is nothing to misuse afterwards. One control may open many sockets.
/// A setting that cannot be used is told when a socket is opened. Cloning a control copies nothing.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use wsduo::MessageWebSocketControl;
///
/// # async fn example() -> Result<(), wsduo::Error> {
/// let control = MessageWebSocketControl::new()
///     .subprotocols(["chat.v2", "chat.v1"])
///     .header("x-token", "secret")
///     .connect_timeout(Duration::from_secs(5));
/// let socket = control.connect("wss://example.org/chat").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MessageWebSocketControl {
    pub(crate) settings: Arc<Settings>,
}

/// What the controls of both kinds of socket hold.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) subprotocols: Vec<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) config: Arc<Config>,
    pub(crate) compression: Option<Compression>,
    pub(crate) head_limits: HeadLimits,
    pub(crate) connect_timeout: Duration,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) no_delay: Option<bool>,
    pub(crate) dialling: Dialling,
    pub(crate) tls: ClientTls,
    pub(crate) credential: Option<Credential>,
    pub(crate) redirects: u8,
    /// The first setting that cannot be used.
    pub(crate) invalid: Option<Error>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            subprotocols: Vec::new(),
            headers: HeaderMap::new(),
            config: Arc::default(),
            compression: None,
            head_limits: HeadLimits::default(),
            connect_timeout: Duration::from_secs(60),
            total_timeout: None,
            no_delay: None,
            dialling: Dialling::default(),
            tls: ClientTls::default(),
            credential: None,
            redirects: 0,
            invalid: None,
        }
    }
}

impl Settings {
    /// # Errors
    /// The first setting that cannot be used.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.invalid.clone().map_or(Ok(()), Err)
    }

    /// Connects as a client.
    pub(crate) async fn connect(&self, uri: &str) -> Result<MessageWebSocket, Error> {
        self.check()?;
        let uri = WebSocketUri::parse(uri)?;
        // Boxed: connecting needs some memory, and gives it back when it is done.
        Ok(self.opened(observe::connecting(&uri, Box::pin(journey::open(uri.clone(), self))).await?))
    }

    /// Connects as a client over a transport that leads to the server.
    pub(crate) async fn connect_over<T>(&self, transport: T, uri: &str) -> Result<MessageWebSocket, Error>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.check()?;
        let uri = WebSocketUri::parse(uri)?;
        let reached = Reached::other(BoxedStream::new(transport));
        Ok(self.opened(observe::connecting(&uri, Box::pin(journey::open_over(reached, &uri, self))).await?))
    }

    fn opened(&self, opened: Opened) -> MessageWebSocket {
        let Opened { transport, facts, compression, behind_handshake } = opened;
        let connection = self.connection(Role::Client, compression);
        MessageWebSocket::open(transport, connection, facts, behind_handshake)
    }

    /// A socket on a transport on which the opening handshake is over.
    pub(crate) fn open<T>(&self, transport: T, role: Role) -> MessageWebSocket<T>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let connection = self.connection(role, None);
        MessageWebSocket::open(transport, connection, Facts::default(), Vec::new())
    }

    /// An open connection, with what was agreed on about compression.
    pub(crate) fn connection(&self, role: Role, agreement: Option<DeflateAgreement>) -> Connection {
        let connection = Connection::new(role, Arc::clone(&self.config), Alarm::now());
        match (&self.compression, agreement) {
            (Some(compression), Some(agreement)) => connection.with_compression(compression, agreement),
            _ => connection,
        }
    }
}

impl Default for MessageWebSocketControl {
    fn default() -> Self {
        Self::new()
    }
}

impl MessageWebSocketControl {
    /// The defaults, which are named at each setting.
    pub fn new() -> Self {
        Self { settings: Arc::default() }
    }

    /// Connects as a client to a `ws` or `wss` URI.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for the URI or a setting; [`Resolve`](ErrorKind::Resolve), [`Proxy`](ErrorKind::Proxy),
    /// [`Connect`](ErrorKind::Connect), [`Tls`](ErrorKind::Tls), [`CertificateRejected`](ErrorKind::CertificateRejected),
    /// [`Handshake`](ErrorKind::Handshake), [`Refused`](ErrorKind::Refused) and [`TimedOut`](ErrorKind::TimedOut) say how
    /// far it came.
    ///
    /// # Cancel safety
    /// Dropping the future closes whatever was opened.
    pub async fn connect(&self, uri: &str) -> Result<MessageWebSocket, Error> {
        self.settings.connect(uri).await
    }

    /// Connects as a client over a transport that leads to the server, whatever it is: a stream of another protocol, a pipe
    /// in memory, a connection made in a way of the caller's own.
    ///
    /// TLS goes over it if the URI is `wss`, then the opening handshake. Of the URI, nothing is looked up or dialled.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), from TLS on.
    ///
    /// # Cancel safety
    /// Dropping the future drops the transport.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use wsduo::MessageWebSocketControl;
    ///
    /// let tcp = tokio::net::TcpStream::connect("127.0.0.1:8080").await?;
    /// let socket = MessageWebSocketControl::new().connect_over(tcp, "wss://example.org/chat").await?;
    /// # let _ = socket;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_over<T>(&self, transport: T, uri: &str) -> Result<MessageWebSocket, Error>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.settings.connect_over(transport, uri).await
    }

    /// A socket on a transport on which the opening handshake is already over.
    ///
    /// The transport may be anything: a Unix socket, a pipe in memory, a stream of another protocol.
    pub fn from_transport<T>(&self, transport: T, role: Role) -> MessageWebSocket<T>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        self.settings.open(transport, role)
    }

    common_settings!();

    /// Largest message received whole, in bytes; a larger one fails the connection with 1009. Default 64 MiB.
    ///
    /// Also the limit on a single frame. It does not hold for messages received in parts.
    #[must_use]
    pub fn max_message_size(self, bytes: usize) -> Self {
        self.config(|config| {
            config.max_message_size = bytes;
            config.max_frame_size = bytes;
        })
    }

    /// Most fragments of a message received whole, empty ones included; more fail the connection with 1008.
    /// Default 131,072.
    #[must_use]
    pub fn max_fragments(self, fragments: u32) -> Self {
        self.config(|config| config.max_fragments = fragments)
    }
}

/// Headers whose values are marked as sensitive, so that they are neither shown nor sent to another server.
const SECRET: [HeaderName; 2] = [AUTHORIZATION, COOKIE];

/// Adds a header from whatever may become one.
///
/// # Errors
/// Says which of the two cannot.
pub(crate) fn append_header(
    headers: &mut HeaderMap,
    name: impl TryInto<HeaderName>,
    value: impl TryInto<HeaderValue>,
) -> Result<(), Error> {
    let text = match (name.try_into(), value.try_into()) {
        (Ok(PROXY_AUTHORIZATION), Ok(_)) => {
            "the header proxy-authorization would go to the server; use Proxy::credential for the proxy"
                .into()
        }
        (Ok(name), Ok(mut value)) => {
            if SECRET.contains(&name) {
                value.set_sensitive(true);
            }
            headers.append(name, value);
            return Ok(());
        }
        (Ok(name), Err(_)) => format!("the value of the header {name} has bytes that a header cannot have"),
        (Err(_), _) => "a header name has characters that a header name cannot have".into(),
    };
    Err(Error::text(ErrorKind::InvalidInput, text))
}
