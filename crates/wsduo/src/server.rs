//! The accepting side: a listener, requests to look at, and the answer to them.

use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wsduo_proto::Role;
use wsduo_proto::handshake::{self, HeadLimits};

use crate::control::{MessageWebSocketControl, Settings, append_header};
use crate::error::{Error, ErrorKind};
use crate::information::{Agreed, Facts, TlsInformation};
use crate::io::handshake as io_handshake;
use crate::io::transport::Transport;
use crate::message_web_socket::MessageWebSocket;
use crate::observe;
use crate::origin::Origins;
use crate::stream_control::StreamWebSocketControl;
use crate::stream_web_socket::StreamWebSocket;
use crate::tls;
#[cfg(feature = "__tls")]
use crate::tls::ServerTls;

/// How long accepting rests after the system had no descriptor or memory to spare.
const BACK_OFF: Duration = Duration::from_millis(50);

/// How requests are received, before anything is known of the client.
#[derive(Clone, Debug)]
pub struct RequestControl {
    timeout: Duration,
    limits: HeadLimits,
    origins: Origins,
}

impl Default for RequestControl {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), limits: HeadLimits::default(), origins: Origins::default() }
    }
}

impl RequestControl {
    /// The defaults, which are named at each setting.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long TLS and the request may take together. Default 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Longest request head in bytes, and most headers in it. Default 16 KiB and 100.
    #[must_use]
    pub fn head_limits(mut self, bytes: usize, headers: usize) -> Self {
        self.limits.bytes = bytes;
        self.limits.headers = headers;
        self
    }

    /// Lets pages of this origin, such as `https://example.org`, connect. Others are refused with 403.
    ///
    /// By default pages may connect to the host they came from (RFC 6455 §10.2). Clients that are not browsers send no
    /// origin and are not concerned.
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.allow(origin.into());
        self
    }

    /// Lets pages of any origin connect: then cookies and addresses prove nothing about who is asking.
    #[must_use]
    pub fn allow_any_origin(mut self) -> Self {
        self.origins = Origins::Any;
        self
    }
}

/// Accepts connections.
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
    tcp: TcpListener,
    shared: Arc<Shared>,
    slots: Option<Arc<Semaphore>>,
}

#[derive(Debug)]
struct Shared {
    control: RequestControl,
    no_delay: bool,
    #[cfg(feature = "__tls")]
    tls: Option<ServerTls>,
}

/// A listener to be: awaiting it binds it.
#[derive(Debug)]
#[must_use = "a listener is bound by awaiting this"]
pub struct ListenerBuilder<A> {
    address: A,
    shared: Shared,
    max_connections: Option<usize>,
}

impl Listener {
    /// Begins to bind an address; see the methods of [`ListenerBuilder`] for what can be set before it is awaited.
    pub fn bind<A: ToSocketAddrs>(address: A) -> ListenerBuilder<A> {
        ListenerBuilder {
            address,
            shared: Shared {
                control: RequestControl::default(),
                no_delay: true,
                #[cfg(feature = "__tls")]
                tls: None,
            },
            max_connections: None,
        }
    }

    /// Waits for a connection.
    ///
    /// Nothing has been read from it: handle it in a task of its own. Where the system refuses one, for want of descriptors
    /// or because the client is gone already, the next is waited for. With
    /// [`max_connections`](ListenerBuilder::max_connections) open, further clients wait until one of them is dropped.
    ///
    /// # Cancel safety
    /// Safe: no connection is lost.
    pub async fn accept(&self) -> Incoming {
        let permit = match &self.slots {
            // The semaphore is never closed.
            Some(slots) => Arc::clone(slots).acquire_owned().await.ok(),
            None => None,
        };
        loop {
            match self.tcp.accept().await {
                Ok((tcp, remote_address)) => {
                    // A socket that refuses the option is about to report why.
                    let _ = tcp.set_nodelay(self.shared.no_delay);
                    let shared = Arc::clone(&self.shared);
                    return Incoming {
                        inner: Box::new(IncomingInner { tcp, remote_address, shared, permit }),
                    };
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(_) => tokio::time::sleep(BACK_OFF).await,
            }
        }
    }

    /// The address that connections are accepted on.
    ///
    /// # Errors
    /// [`ErrorKind::Listen`] if the system does not tell.
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        self.tcp.local_addr().map_err(|error| Error::source(ErrorKind::Listen, "no local address", error))
    }
}

fn is_about_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

impl<A> ListenerBuilder<A> {
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

    /// Most connections open at once, counted from being accepted until the socket is dropped. Further clients wait.
    /// Default: as many as the system allows.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections.clamp(1, Semaphore::MAX_PERMITS));
        self
    }

    /// Whether small writes leave at once (Nagle's algorithm off). Default `true`.
    pub fn no_delay(mut self, no_delay: bool) -> Self {
        self.shared.no_delay = no_delay;
        self
    }
}

impl<A: ToSocketAddrs + Send + 'static> IntoFuture for ListenerBuilder<A>
where
    A: Sync,
{
    type Output = Result<Listener, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            #[cfg(feature = "__tls")]
            if let Some(tls) = &self.shared.tls {
                tls.config()?;
            }
            let tcp = TcpListener::bind(self.address)
                .await
                .map_err(|error| Error::source(ErrorKind::Listen, "cannot listen on this address", error))?;
            let slots = self.max_connections.map(|connections| Arc::new(Semaphore::new(connections)));
            Ok(Listener { tcp, shared: Arc::new(self.shared), slots })
        })
    }
}

/// A connection of which nothing has been read.
#[derive(Debug)]
pub struct Incoming {
    /// Boxed: it waits in a task that should be small.
    inner: Box<IncomingInner>,
}

#[derive(Debug)]
struct IncomingInner {
    tcp: TcpStream,
    remote_address: SocketAddr,
    shared: Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Incoming {
    /// Who connects.
    pub fn remote_address(&self) -> SocketAddr {
        self.inner.remote_address
    }

    /// Waits for TLS, if the listener has it, and for the request, within the time and the limits of [`RequestControl`].
    ///
    /// A client that does not send a proper request gets an answer that says so, and an error comes out here.
    ///
    /// # Errors
    /// [`ErrorKind::Tls`], [`ErrorKind::Handshake`], [`ErrorKind::TimedOut`], or [`ErrorKind::Connect`] if the client is
    /// gone.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub fn request(self) -> impl Future<Output = Result<Request, Error>> + Send {
        // Boxed: the handshake needs some memory, and gives it back when it is done.
        Box::pin(async move {
            let IncomingInner { tcp, remote_address, shared, permit } = *self.inner;
            let control = &shared.control;
            let receiving = async {
                let local_address = tcp.local_addr().ok();
                #[cfg(feature = "__tls")]
                let transport = match &shared.tls {
                    Some(tls) => tls.accept(tcp).await?,
                    None => Transport::tcp(tcp),
                };
                #[cfg(not(feature = "__tls"))]
                let transport = Transport::tcp(tcp);
                let tls = tls::information(&transport);
                let facts = Facts { local_address, remote_address: Some(remote_address), agreed: None };
                Request::receive(transport.with_permit(permit), control, facts, tls).await
            };
            deadline(control.timeout, receiving)
                .await
                .inspect_err(|error| observe::request_failed(Some(remote_address), error))
        })
    }
}

async fn deadline<R>(
    timeout: Duration,
    receiving: impl Future<Output = Result<R, Error>>,
) -> Result<R, Error> {
    tokio::time::timeout(timeout, receiving).await.unwrap_or_else(|_| {
        let text = format!("the client did not complete the opening handshake within {timeout:?}");
        Err(Error::text(ErrorKind::TimedOut, text))
    })
}

/// A client's request to open a WebSocket: look at it, then accept or refuse it. Dropping it closes the connection.
#[derive(Debug)]
pub struct Request<T = Transport> {
    inner: Box<RequestInner<T>>,
}

#[derive(Debug)]
struct RequestInner<T> {
    transport: T,
    request: handshake::Request,
    behind_handshake: Vec<u8>,
    facts: Facts,
    tls: Option<TlsInformation>,
    subprotocol: Option<String>,
    headers: HeaderMap,
    invalid: Option<Error>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Request<T> {
    /// Waits for a request on any transport: the opening handshake of a server, up to the decision.
    ///
    /// # Errors
    /// [`ErrorKind::Handshake`] or [`ErrorKind::TimedOut`], and the client was answered as far as there was something to
    /// answer; [`ErrorKind::Connect`] if it is gone.
    ///
    /// # Cancel safety
    /// Dropping the future drops the transport.
    pub async fn from_transport(transport: T, control: &RequestControl) -> Result<Self, Error> {
        let receiving = Self::receive(transport, control, Facts::default(), None);
        Box::pin(deadline(control.timeout, receiving))
            .await
            .inspect_err(|error| observe::request_failed(None, error))
    }

    async fn receive(
        mut transport: T,
        control: &RequestControl,
        facts: Facts,
        tls: Option<TlsInformation>,
    ) -> Result<Self, Error> {
        let (request, behind_handshake) = io_handshake::server(&mut transport, control.limits).await?;
        if let Err(error) = control.origins.check(&request) {
            let body = format!("{error}\n");
            let refusal = handshake::refusal(StatusCode::FORBIDDEN, &HeaderMap::new(), &body);
            let _ = io_handshake::refuse(&mut transport, &refusal).await;
            return Err(error);
        }
        let inner = RequestInner {
            transport,
            request,
            behind_handshake,
            facts,
            tls,
            subprotocol: None,
            headers: HeaderMap::new(),
            invalid: None,
        };
        Ok(Self { inner: Box::new(inner) })
    }

    /// The path asked for, without the query.
    pub fn path(&self) -> &str {
        self.inner.request.path()
    }

    /// The query behind the path, without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.inner.request.query()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.inner.request.headers
    }

    /// The host the client believes to talk to.
    pub fn host(&self) -> &str {
        &self.inner.request.host
    }

    /// The origin of the page, if a browser asks.
    pub fn origin(&self) -> Option<&str> {
        self.inner.request.origin()
    }

    /// The subprotocols that the client offers, the preferred one first.
    pub fn subprotocols(&self) -> &[String] {
        &self.inner.request.subprotocols
    }

    /// The client's address, where the transport has one.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.inner.facts.remote_address
    }

    /// What TLS agreed on, with the certificates that the client showed; `None` without TLS.
    pub fn tls(&self) -> Option<&TlsInformation> {
        self.inner.tls.as_ref()
    }

    /// Chooses a subprotocol, which must be one of those offered.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.inner.subprotocol = Some(name.into());
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) -> Self {
        if let Err(error) = append_header(&mut self.inner.headers, name, value) {
            self.inner.invalid.get_or_insert(error);
        }
        self
    }

    /// Accepts the request: the connection is open, for whole messages.
    ///
    /// Without a [`subprotocol`](Self::subprotocol) chosen, the first one of `control` that the client offers is taken.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a subprotocol that was not offered or a header that cannot be set; the client gets
    /// a 500 then. [`ErrorKind::Connect`] if the response cannot be written, [`ErrorKind::TimedOut`] if
    /// the client does not take it within the [send timeout](MessageWebSocketControl::send_timeout).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub fn accept_message(
        self,
        control: &MessageWebSocketControl,
    ) -> impl Future<Output = Result<MessageWebSocket<T>, Error>> + use<T> {
        let settings = Arc::clone(&control.settings);
        Box::pin(async move { self.accept_watched(&settings).await })
    }

    /// Accepts the request: the connection is open, as a stream of bytes.
    ///
    /// # Errors
    /// As [`accept_message`](Self::accept_message).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub fn accept_stream(
        self,
        control: &StreamWebSocketControl,
    ) -> impl Future<Output = Result<StreamWebSocket<T>, Error>> {
        let (settings, style) = (Arc::clone(&control.settings), control.style);
        Box::pin(async move { Ok(StreamWebSocket::over(self.accept_watched(&settings).await?, style)) })
    }

    async fn accept_watched(self, settings: &Settings) -> Result<MessageWebSocket<T>, Error> {
        let peer = self.remote_address();
        let result = self.accept(settings).await;
        observe::answered(peer, result.as_ref().err());
        result
    }

    async fn accept(self, settings: &Settings) -> Result<MessageWebSocket<T>, Error> {
        let RequestInner {
            mut transport,
            request,
            behind_handshake,
            mut facts,
            tls,
            subprotocol,
            mut headers,
            invalid,
        } = *self.inner;
        let subprotocol = subprotocol.or_else(|| {
            settings.subprotocols.iter().find(|name| request.subprotocols.contains(name)).cloned()
        });
        for (name, value) in &settings.headers {
            headers.append(name, value.clone());
        }
        let compression = settings.compression.and_then(|it| it.negotiation().accept(&request.extensions));
        let (agreement, extensions) = compression.unzip();
        let response = match invalid.map_or_else(|| settings.check(), Err) {
            Ok(()) => request
                .accept(subprotocol.as_deref(), extensions.as_deref(), &headers)
                .map_err(io_handshake::handshake_error),
            Err(error) => Err(error),
        };
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                let refusal = handshake::refusal(status, &HeaderMap::new(), "internal server error\n");
                let _ = io_handshake::refuse(&mut transport, &refusal).await;
                return Err(error);
            }
        };
        let asked = observe::Asked::of(&request);
        drop((request, headers));
        let answering = async {
            let written = async {
                transport.write_all(&response).await?;
                transport.flush().await
            };
            written.await.map_err(|error| {
                Error::source(ErrorKind::Connect, "the client was lost before it got the response", error)
            })
        };
        match settings.config.send_timeout {
            Some(timeout) => deadline(timeout, answering).await?,
            None => answering.await?,
        }
        if subprotocol.is_some() || tls.is_some() {
            facts.agreed = Some(Arc::new(Agreed { subprotocol, tls, ..Agreed::default() }));
        }
        let connection = settings.connection(Role::Server, agreement);
        Ok(MessageWebSocket::open_asked(transport, connection, facts, behind_handshake, &asked))
    }

    /// Refuses the request with an HTTP status, and ends the connection.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] if the client was gone before it got the answer.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn refuse(self, status: StatusCode) -> Result<(), Error> {
        let reason = status.canonical_reason().unwrap_or("refused");
        self.refuse_with(status, &HeaderMap::new(), &format!("{reason}\n")).await
    }

    /// Refuses the request with a status, headers and a text, and ends the connection.
    ///
    /// # Errors
    /// As [`refuse`](Self::refuse).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn refuse_with(self, status: StatusCode, headers: &HeaderMap, body: &str) -> Result<(), Error> {
        observe::refused_request(self.remote_address(), &self.inner.request, status);
        let mut transport = self.inner.transport;
        io_handshake::refuse(&mut transport, &handshake::refusal(status, headers, body)).await
    }
}
