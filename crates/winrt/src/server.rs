//! The sockets of a server, made of the request of a client.

use std::fmt;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use wsduo::{BoxFuture, CloseCode, MessageWebSocketControl, Request};

use crate::client::{closed_members, message_received_members};
use crate::core::{Core, Guard, aborted, check_runtime};
use crate::enums::{MessageWebSocketReceiveMode, SocketMessageType};
use crate::error::Error;
use crate::information::{ServerMessageWebSocketInformation, ServerStreamWebSocketInformation};
use crate::input::InputStream;
use crate::operation::AsyncOperation;
use crate::output::OutputStream;
use crate::platform::Platform;
use crate::receiving::{self, Delivery, Transport};
use crate::settings::{INFINITE, Settings};
use crate::streams::{IInputStream, IOutputStream};

/// How a [`ServerMessageWebSocket`] is made.
#[derive(Clone, Debug)]
pub struct ServerMessageWebSocketOptions {
    /// The subprotocol, one of those that the client offers. Default: none.
    pub protocol: Option<String>,
    /// The type of messages that are sent. Default: [`Binary`](SocketMessageType::Binary).
    pub message_type: SocketMessageType,
    /// How many bytes the system buffers for sending. Default: as many as the system says.
    pub outbound_buffer_size_in_bytes: Option<u32>,
    /// As [`MessageWebSocketControl::max_message_size`](crate::MessageWebSocketControl::max_message_size).
    pub max_message_size: u32,
    /// Whether messages are received whole or in pieces. Default: whole.
    pub receive_mode: MessageWebSocketReceiveMode,
    /// All other settings of `wsduo`. Default: the defaults.
    pub control: MessageWebSocketControl,
}

/// How a [`ServerStreamWebSocket`] is made.
#[derive(Clone, Debug)]
pub struct ServerStreamWebSocketOptions {
    /// The subprotocol, one of those that the client offers. Default: none.
    pub protocol: Option<String>,
    /// How many bytes the system buffers for sending. Default: as many as the system says.
    pub outbound_buffer_size_in_bytes: Option<u32>,
    /// Whether small writes leave at once. Default `true`.
    pub no_delay: bool,
    /// All other settings of `wsduo`. Default: the defaults.
    pub control: MessageWebSocketControl,
}

impl Default for ServerMessageWebSocketOptions {
    fn default() -> Self {
        Self {
            protocol: None,
            message_type: SocketMessageType::Binary,
            outbound_buffer_size_in_bytes: None,
            max_message_size: INFINITE,
            receive_mode: MessageWebSocketReceiveMode::FullMessage,
            control: MessageWebSocketControl::new(),
        }
    }
}

impl Default for ServerStreamWebSocketOptions {
    fn default() -> Self {
        Self {
            protocol: None,
            outbound_buffer_size_in_bytes: None,
            no_delay: true,
            control: MessageWebSocketControl::new(),
        }
    }
}

/// A socket of a server, for messages.
///
/// In the original, the system makes them and hands them out. Here they are made of a [`Request`] of a
/// client, and open once they are [accepted](Self::accept). A handle, as
/// [`MessageWebSocket`](crate::MessageWebSocket) is.
///
/// # Examples
/// ```no_run
/// use wsduo_winrt::{ServerMessageWebSocket, ServerMessageWebSocketOptions, SocketMessageType};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = wsduo::Listener::bind("127.0.0.1:8080").await?;
/// let request = listener.accept().await.request().await?;
/// let options =
///     ServerMessageWebSocketOptions { message_type: SocketMessageType::Utf8, ..Default::default() };
/// let socket = ServerMessageWebSocket::for_request(request, options);
/// socket.message_received(|socket, args| async move {
///     if let Ok(data) = args.get_data() {
///         let _ = socket.output_stream().write(data).await;
///     }
/// })?;
/// socket.accept().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServerMessageWebSocket {
    guard: Arc<Guard>,
}

/// A socket of a server, for streams of bytes. As [`ServerMessageWebSocket`] and
/// [`StreamWebSocket`](crate::StreamWebSocket).
#[derive(Clone, Debug)]
pub struct ServerStreamWebSocket {
    guard: Arc<Guard>,
}

/// The setting of a [`ServerMessageWebSocket`] that can be changed.
#[derive(Clone, Debug)]
pub struct ServerMessageWebSocketControl {
    core: Arc<Core>,
}

/// What accepts the request, once.
pub(crate) struct Pending(Box<Accept>);

type Accept = dyn FnOnce(Arc<Core>) -> BoxFuture<'static, Result<(), Error>> + Send;

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// A socket that waits to be accepted.
fn waiting<T: Transport>(
    request: Request<T>,
    protocol: Option<String>,
    control: MessageWebSocketControl,
    settings: Settings,
    delivery: Delivery,
) -> Arc<Guard> {
    let platform = Platform::new().control(control);
    let control = settings.common(&platform);
    let guard = Guard::new(&platform, settings);
    let request = match protocol {
        Some(protocol) => request.subprotocol(protocol),
        None => request,
    };
    guard.core.set_pending(Pending(Box::new(move |core| {
        Box::pin(async move {
            let socket = request.accept_message(&control).await?;
            receiving::open(&core, socket, delivery)
        })
    })));
    guard
}

fn accept(guard: &Arc<Guard>) -> AsyncOperation<()> {
    let guard = Arc::clone(guard);
    AsyncOperation::new(async move {
        let core = &guard.core;
        check_runtime()?;
        core.begin()?;
        let mut accepting = Accepting { core, is_accepted: false };
        let Some(Pending(pending)) = core.take_pending() else {
            return Err(Error::new(
                Error::ILLEGAL_METHOD_CALL,
                "accepting was given up before; there is no request left",
            ));
        };
        let accepted = tokio::select! {
            biased;
            _ = core.close_wished() => Err(aborted()),
            accepted = pending(Arc::clone(core)) => accepted,
        };
        accepting.is_accepted = accepted.is_ok();
        accepted
    })
}

/// Accepting under way: dropped without success, the socket is closed, since there is no request any more.
struct Accepting<'a> {
    core: &'a Core,
    is_accepted: bool,
}

impl Drop for Accepting<'_> {
    fn drop(&mut self) {
        if !self.is_accepted {
            self.core.failed(None);
            let _ = self.core.close(CloseCode::NO_STATUS.number(), "");
            self.core.never_opened();
        }
    }
}

/// The members of both kinds of server socket.
macro_rules! server_members {
    ($socket:ident, $information:ident) => {
        impl $socket {
            /// Accepts the request: the connection is open. Handlers are added before.
            ///
            /// # Errors
            /// [`Error::ILLEGAL_METHOD_CALL`] the second time, and outside of a tokio runtime;
            /// [`Error::CLOSED`] after it was closed;
            /// [`Error::INVALID_ARGUMENT`] for a subprotocol that the client does not offer, which refuses the request.
            ///
            /// # Cancel safety
            /// Dropping the future closes the connection.
            pub fn accept(&self) -> AsyncOperation<()> {
                accept(&self.guard)
            }

            /// What is known of the connection, at any time.
            pub fn information(&self) -> $information {
                $information { core: Arc::clone(&self.guard.core) }
            }

            /// Where to write. Each write is a message.
            pub fn output_stream(&self) -> Arc<dyn IOutputStream> {
                Arc::new(OutputStream { core: Arc::clone(&self.guard.core) })
            }

            closed_members!();
        }
    };
}

server_members!(ServerMessageWebSocket, ServerMessageWebSocketInformation);
server_members!(ServerStreamWebSocket, ServerStreamWebSocketInformation);

impl ServerMessageWebSocket {
    /// A socket of this request, to be [accepted](Self::accept).
    pub fn for_request<T>(request: Request<T>, options: ServerMessageWebSocketOptions) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let settings = Settings {
            message_type: options.message_type,
            outbound_buffer_size: options.outbound_buffer_size_in_bytes,
            max_message_size: options.max_message_size,
            receive_mode: options.receive_mode,
            ..Settings::default()
        };
        let delivery = Delivery::Messages(settings.receive_mode, settings.limit());
        Self { guard: waiting(request, options.protocol, options.control, settings, delivery) }
    }

    /// Its setting.
    pub fn control(&self) -> ServerMessageWebSocketControl {
        ServerMessageWebSocketControl { core: Arc::clone(&self.guard.core) }
    }

    message_received_members!();
}

impl ServerStreamWebSocket {
    /// A socket of this request, to be [accepted](Self::accept).
    pub fn for_request<T>(request: Request<T>, options: ServerStreamWebSocketOptions) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let settings = Settings {
            outbound_buffer_size: options.outbound_buffer_size_in_bytes,
            no_delay: options.no_delay,
            ..Settings::default()
        };
        Self { guard: waiting(request, options.protocol, options.control, settings, Delivery::Bytes) }
    }

    /// As [`StreamWebSocket::input_stream`](crate::StreamWebSocket::input_stream).
    pub fn input_stream(&self) -> Arc<dyn IInputStream> {
        Arc::new(InputStream { core: Arc::clone(&self.guard.core) })
    }
}

impl ServerMessageWebSocketControl {
    /// The type of messages that are sent.
    pub fn message_type(&self) -> SocketMessageType {
        self.core.read(|settings| settings.message_type)
    }

    /// At any time: what is written from here on is of this type.
    pub fn set_message_type(&self, message_type: SocketMessageType) {
        self.core.write(|settings| settings.message_type = message_type);
    }
}
