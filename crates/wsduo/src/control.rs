//! Settings: everything that is decided before a socket is open.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use wsduo_proto::handshake::HeadLimits;
use wsduo_proto::{Config, Role, WebSocketUri};

use crate::error::{Error, ErrorKind};
use crate::information::Facts;
use crate::io::connect::{Opened, connect};
use crate::message_web_socket::MessageWebSocket;
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

        /// Adds a header to the opening handshake: to the request of a client, to the response of a server. The headers that
        /// the handshake itself consists of cannot be set.
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

        /// How long reaching one address may take, and how long TLS and the opening handshake may take after that.
        /// Default 60 s.
        #[must_use]
        pub fn connect_timeout(self, timeout: std::time::Duration) -> Self {
            self.set(|settings| settings.connect_timeout = timeout)
        }

        /// How long connecting may take in all. Default: whatever its stages take.
        #[must_use]
        pub fn total_connect_timeout(self, timeout: impl Into<Option<std::time::Duration>>) -> Self {
            self.set(|settings| settings.total_timeout = timeout.into())
        }

        /// Whether small writes leave at once (Nagle's algorithm off). Default `true`.
        #[must_use]
        pub fn no_delay(self, no_delay: bool) -> Self {
            self.set(|settings| settings.no_delay = no_delay)
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
    pub(crate) head_limits: HeadLimits,
    pub(crate) connect_timeout: Duration,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) no_delay: bool,
    pub(crate) tls: ClientTls,
    /// The first setting that cannot be used.
    pub(crate) invalid: Option<Error>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            subprotocols: Vec::new(),
            headers: HeaderMap::new(),
            config: Arc::default(),
            head_limits: HeadLimits::default(),
            connect_timeout: Duration::from_secs(60),
            total_timeout: None,
            no_delay: true,
            tls: ClientTls::default(),
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
        let Opened { transport, facts, behind_handshake } = Box::pin(connect(&uri, self)).await?;
        let config = Arc::clone(&self.config);
        Ok(MessageWebSocket::open(transport, Role::Client, config, facts, behind_handshake))
    }

    /// A socket on a transport on which the opening handshake is over.
    pub(crate) fn open<T>(&self, transport: T, role: Role) -> MessageWebSocket<T>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.config);
        MessageWebSocket::open(transport, role, config, Facts::default(), Vec::new())
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
    /// [`ErrorKind::InvalidInput`] for the URI or a setting; [`Resolve`](ErrorKind::Resolve), [`Connect`](ErrorKind::Connect),
    /// [`Tls`](ErrorKind::Tls), [`CertificateRejected`](ErrorKind::CertificateRejected),
    /// [`Handshake`](ErrorKind::Handshake), [`Refused`](ErrorKind::Refused) and [`TimedOut`](ErrorKind::TimedOut) say how
    /// far it came.
    ///
    /// # Cancel safety
    /// Dropping the future closes whatever was opened.
    pub async fn connect(&self, uri: &str) -> Result<MessageWebSocket, Error> {
        self.settings.connect(uri).await
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
        (Ok(name), Ok(value)) => {
            headers.append(name, value);
            return Ok(());
        }
        (Ok(name), Err(_)) => format!("the value of the header {name} has bytes that a header cannot have"),
        (Err(_), _) => "a header name has characters that a header name cannot have".into(),
    };
    Err(Error::text(ErrorKind::InvalidInput, text))
}
