//! What both kinds of client socket have in common: connecting, and the members of `IWebSocket`.

use std::sync::Arc;

use crate::core::{Core, Guard, aborted, check_runtime};
use crate::operation::AsyncOperation;
use crate::receiving::{self, Delivery};
use crate::settings::Settings;
use crate::validation;

/// Connects the socket; `delivery` tells what becomes of what arrives.
pub(crate) fn connect(
    guard: &Arc<Guard>,
    uri: &str,
    delivery: impl FnOnce(&Settings) -> Delivery + Send + 'static,
) -> AsyncOperation<()> {
    let (guard, uri) = (Arc::clone(guard), uri.to_owned());
    AsyncOperation::new(async move {
        let core = &guard.core;
        check_runtime()?;
        let settings = core.begin()?;
        let mut connecting = Connecting { core, is_open: false, refusal: None };
        let tls = validation::with_handlers(settings.tls(&core.platform), core);
        let control = settings.client(&core.platform).tls(tls);
        let socket = tokio::select! {
            biased;
            _ = core.close_wished() => return Err(aborted()),
            connected = control.connect(&uri) => match connected {
                Ok(socket) => socket,
                Err(error) => {
                    connecting.refusal = Some(error.clone());
                    return Err(error.into());
                }
            },
        };
        receiving::open(core, socket, delivery(&settings))?;
        connecting.is_open = true;
        Ok(())
    })
}

/// Connecting under way: dropped without success, the socket may try again.
struct Connecting<'a> {
    core: &'a Core,
    is_open: bool,
    refusal: Option<wsduo::Error>,
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        if !self.is_open {
            self.core.failed(self.refusal.take());
        }
    }
}

/// The members of both kinds of client socket; `$delivery` makes of the settings what becomes of what
/// arrives.
macro_rules! client_members {
    ($socket:ident, $control:ident, $information:ident, $delivery:expr) => {
        impl $socket {
            /// A socket that is not connected, with the defaults of the original.
            pub fn new() -> Self {
                Self::with_platform(&$crate::Platform::new())
            }

            /// A socket that is not connected, and what it shall have in place of what Windows has.
            pub fn with_platform(platform: &$crate::Platform) -> Self {
                Self { guard: $crate::core::Guard::new(platform, $crate::settings::Settings::default()) }
            }

            /// Its settings: set them before connecting.
            pub fn control(&self) -> $control {
                $control { core: std::sync::Arc::clone(&self.guard.core) }
            }

            /// What is known of its connection, at any time.
            pub fn information(&self) -> $information {
                $information { core: std::sync::Arc::clone(&self.guard.core) }
            }

            /// Where to write. Each write is a message. It is the same stream each time: closed once, it
            /// stays closed.
            pub fn output_stream(&self) -> std::sync::Arc<dyn $crate::IOutputStream> {
                std::sync::Arc::new($crate::output::OutputStream {
                    core: std::sync::Arc::clone(&self.guard.core),
                })
            }

            /// Connects to a `ws` or `wss` URI.
            ///
            /// Handlers and settings are fixed from here on. After a failure they may be changed, but for the
            /// handlers, and connecting may be tried again; a socket that was connected cannot be connected
            /// again. Once this is done, a task of the tokio runtime receives until the connection ends.
            ///
            /// # Errors
            /// [`Error::INVALID_ARGUMENT`](crate::Error::INVALID_ARGUMENT) for the URI or a setting;
            /// [`Error::ILLEGAL_METHOD_CALL`](crate::Error::ILLEGAL_METHOD_CALL) for a socket that connects or was
            /// connected, and outside of a tokio runtime;
            /// [`Error::CLOSED`](crate::Error::CLOSED) for one that was closed;
            /// [`Error::ABORT`](crate::Error::ABORT) if it is closed meanwhile; `0x800C000E` if a handler
            /// rejected the server's certificate; what
            /// [`WebSocketError::get_status`](crate::WebSocketError::get_status) tells apart for everything
            /// on the way to the server.
            ///
            /// # Cancel safety
            /// Dropping the future closes whatever was opened, and the socket may connect again. Dropped when
            /// it is done, it changes nothing.
            pub fn connect(&self, uri: &str) -> $crate::AsyncOperation<()> {
                $crate::client::connect(&self.guard, uri, $delivery)
            }

            /// Sets a header of the opening handshake's request, in place of one of that name.
            ///
            /// # Errors
            /// [`Error::ILLEGAL_METHOD_CALL`](crate::Error::ILLEGAL_METHOD_CALL) once the socket connects,
            /// [`Error::INVALID_ARGUMENT`](crate::Error::INVALID_ARGUMENT) for what is no header or belongs
            /// to the handshake: `Host`, `Upgrade`, `Connection`, and all that begin with `Sec-WebSocket-`.
            pub fn set_request_header(&self, name: &str, value: &str) -> Result<(), $crate::Error> {
                self.guard.core.set(|settings| settings.set_header(name, value))
            }

            $crate::client::closed_members!();

            /// Adds a handler that looks at the server's certificate while a `wss` URI is connected to, after
            /// all other checks.
            ///
            /// Each is called in turn. One that
            /// [rejects](crate::WebSocketServerCustomValidationRequestedEventArgs::reject), or panics, fails
            /// the connect with `0x800C000E`.
            ///
            /// # Errors
            /// [`Error::ILLEGAL_METHOD_CALL`](crate::Error::ILLEGAL_METHOD_CALL) once the socket was told to
            /// connect.
            pub fn server_custom_validation_requested<H, F>(
                &self,
                mut handler: H,
            ) -> Result<$crate::EventToken, $crate::Error>
            where
                H: FnMut(Self, $crate::WebSocketServerCustomValidationRequestedEventArgs) -> F
                    + Send
                    + 'static,
                F: Future<Output = ()> + Send + 'static,
            {
                self.guard.core.check_handlers_may_change()?;
                self.guard.core.validation.add(move |guard, args| handler(Self { guard }, args))
            }

            /// Removes a handler of
            /// [`server_custom_validation_requested`](Self::server_custom_validation_requested).
            ///
            /// # Errors
            /// As there.
            pub fn remove_server_custom_validation_requested(
                &self,
                token: $crate::EventToken,
            ) -> Result<(), $crate::Error> {
                self.guard.core.remove(&self.guard.core.validation, token)
            }
        }

        impl Default for $socket {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $crate::IWebSocket for $socket {
            fn output_stream(&self) -> std::sync::Arc<dyn $crate::IOutputStream> {
                Self::output_stream(self)
            }

            fn connect(&self, uri: &str) -> $crate::AsyncOperation<()> {
                Self::connect(self, uri)
            }

            fn set_request_header(&self, name: &str, value: &str) -> Result<(), $crate::Error> {
                Self::set_request_header(self, name, value)
            }

            fn close_with_status(&self, code: u16, reason: &str) -> Result<(), $crate::Error> {
                Self::close_with_status(self, code, reason)
            }

            fn close(&self) {
                Self::close(self);
            }
        }
    };
}
pub(crate) use client_members;

/// The event `Closed`, and closing: of all four kinds of socket.
macro_rules! closed_members {
    () => {
        /// Adds a handler that is told, once, that the connection is closed: by the peer, by this side, or
        /// lost. After all messages, and after their error where there is one.
        ///
        /// In the original it is not raised for a lost connection. Here it is, in every ending, with 1006.
        ///
        /// # Errors
        /// [`Error::ILLEGAL_METHOD_CALL`](crate::Error::ILLEGAL_METHOD_CALL) once the socket was told to
        /// connect.
        pub fn closed<H, F>(&self, mut handler: H) -> Result<$crate::EventToken, $crate::Error>
        where
            H: FnMut(Self, $crate::WebSocketClosedEventArgs) -> F + Send + 'static,
            F: Future<Output = ()> + Send + 'static,
        {
            self.guard.core.check_handlers_may_change()?;
            self.guard.core.closed.add(move |guard, args| handler(Self { guard }, args))
        }

        /// Removes a handler of [`closed`](Self::closed).
        ///
        /// # Errors
        /// As there.
        pub fn remove_closed(&self, token: $crate::EventToken) -> Result<(), $crate::Error> {
            self.guard.core.remove(&self.guard.core.closed, token)
        }

        /// Closes the connection with a code and a reason, and does not wait for it: the handlers of
        /// [`closed`](Self::closed) are told when it is. What was sent before leaves first; messages are not
        /// received any more. Connecting is broken off. A second close has no effect.
        ///
        /// # Errors
        /// [`Error::INVALID_ARGUMENT`](crate::Error::INVALID_ARGUMENT) for a code that may not be sent (1000
        /// to 1003, 1007 to 1014 and 3000 to 4999 may, and 1005 without a reason, which sends none), or a
        /// reason of more than 123 bytes.
        pub fn close_with_status(&self, code: u16, reason: &str) -> Result<(), $crate::Error> {
            self.guard.core.close(code, reason)
        }

        /// Closes the connection without a code: as [`close_with_status`](Self::close_with_status). Dropping
        /// the last handle of the socket does the same.
        pub fn close(&self) {
            // There is nothing wrong with no code and no reason.
            let _ = self.guard.core.close(wsduo::CloseCode::NO_STATUS.number(), "");
        }
    };
}
pub(crate) use closed_members;

/// What is received as messages: of a client and of a server.
macro_rules! message_received_members {
    () => {
        /// Adds a handler of what arrives.
        ///
        /// It is called for one message, or one [piece](crate::MessageWebSocketReceiveMode), at a time, in
        /// their order. The next is not handled before the handler's future is done, and beyond some 64 KiB
        /// not even received: so a slow handler holds the peer back. Meanwhile pings are answered and
        /// deadlines hold.
        ///
        /// An error of the connection arrives here too, as the last event:
        /// [`get_data_stream`](crate::MessageWebSocketMessageReceivedEventArgs::get_data_stream) fails with
        /// it.
        ///
        /// A handler that panics takes nothing down: the panic is told by the hook of the process (on its
        /// standard error, unless that was changed), and the next message is handled as if nothing had been.
        ///
        /// # Errors
        /// [`Error::ILLEGAL_METHOD_CALL`](crate::Error::ILLEGAL_METHOD_CALL) once the socket was told to
        /// connect.
        pub fn message_received<H, F>(&self, mut handler: H) -> Result<$crate::EventToken, $crate::Error>
        where
            H: FnMut(Self, $crate::MessageWebSocketMessageReceivedEventArgs) -> F + Send + 'static,
            F: Future<Output = ()> + Send + 'static,
        {
            self.guard.core.check_handlers_may_change()?;
            self.guard.core.received.add(move |guard, received| handler(Self { guard }, received.into()))
        }

        /// Removes a handler of [`message_received`](Self::message_received).
        ///
        /// # Errors
        /// As there.
        pub fn remove_message_received(&self, token: $crate::EventToken) -> Result<(), $crate::Error> {
            self.guard.core.remove(&self.guard.core.received, token)
        }
    };
}
pub(crate) use message_received_members;
