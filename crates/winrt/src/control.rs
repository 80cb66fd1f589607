//! The settings of client sockets.

use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::certificate::Certificate;
use crate::core::Core;
use crate::enums::{ChainValidationResult, MessageWebSocketReceiveMode, SocketMessageType};
use crate::error::Error;
use crate::names::PasswordCredential;
use crate::settings::Settings;
use crate::vector::Vector;
use crate::web_socket::IWebSocketControl;

/// Settings of a [`MessageWebSocket`](crate::MessageWebSocket).
///
/// All but [`set_message_type`](Self::set_message_type) are set before the socket connects, or after
/// connecting has failed. At other times setting them fails with [`Error::ILLEGAL_METHOD_CALL`], or has no
/// effect where that is what the original does.
#[derive(Clone, Debug)]
pub struct MessageWebSocketControl {
    pub(crate) core: Arc<Core>,
}

/// Settings of a [`StreamWebSocket`](crate::StreamWebSocket). As [`MessageWebSocketControl`].
#[derive(Clone, Debug)]
pub struct StreamWebSocketControl {
    pub(crate) core: Arc<Core>,
}

/// What both controls have.
macro_rules! control_members {
    ($control:ident) => {
        impl $control {
            /// How many bytes the system buffers for sending (`SO_SNDBUF`). Default: as many as the system
            /// says.
            pub fn outbound_buffer_size_in_bytes(&self) -> u32 {
                self.core.read(|settings| settings.outbound_buffer_size).unwrap_or_else(send_buffer_size)
            }

            /// Has no effect once the socket connects, as in the original.
            pub fn set_outbound_buffer_size_in_bytes(&self, bytes: u32) {
                self.core.set_early(|settings| settings.outbound_buffer_size = Some(bytes));
            }

            /// The user's name and password for the server, should it ask for them. Default: none.
            pub fn server_credential(&self) -> Option<PasswordCredential> {
                self.core.read(|settings| settings.server_credential.clone())
            }

            /// # Errors
            /// [`Error::ILLEGAL_METHOD_CALL`] once the socket connects.
            pub fn set_server_credential(
                &self,
                credential: impl Into<Option<PasswordCredential>>,
            ) -> Result<(), Error> {
                let credential = credential.into();
                self.core.set(|settings| {
                    settings.server_credential = credential;
                    Ok(())
                })
            }

            /// The user's name and password for the proxy. Default: none.
            pub fn proxy_credential(&self) -> Option<PasswordCredential> {
                self.core.read(|settings| settings.proxy_credential.clone())
            }

            /// # Errors
            /// [`Error::ILLEGAL_METHOD_CALL`] once the socket connects.
            pub fn set_proxy_credential(
                &self,
                credential: impl Into<Option<PasswordCredential>>,
            ) -> Result<(), Error> {
                let credential = credential.into();
                self.core.set(|settings| {
                    settings.proxy_credential = credential;
                    Ok(())
                })
            }

            /// The subprotocols to offer, the preferred one first. Default: none. Changing it fails with
            /// [`Error::ILLEGAL_METHOD_CALL`] once the socket connects: of the two things that the original's
            /// pages say, the one that loses nothing silently.
            pub fn supported_protocols(&self) -> Vector<String> {
                let core = Arc::clone(&self.core);
                Vector::new(core, |settings| &mut settings.protocols, true)
            }

            /// What may be wrong with the server's certificate. Default: nothing. Changing it has no effect
            /// once the socket connects. Connecting fails with [`Error::INVALID_ARGUMENT`] for one that
            /// cannot be ignored.
            pub fn ignorable_server_certificate_errors(&self) -> Vector<ChainValidationResult> {
                let core = Arc::clone(&self.core);
                Vector::new(core, |settings| &mut settings.ignorable, false)
            }

            /// How often to send a pong that nobody asked for; `None`, or zero: never, the default.
            pub fn desired_unsolicited_pong_interval(&self) -> Option<Duration> {
                self.core.read(|settings| settings.pong_interval)
            }

            /// # Errors
            /// [`Error::ILLEGAL_METHOD_CALL`] once the socket connects.
            pub fn set_desired_unsolicited_pong_interval(
                &self,
                interval: impl Into<Option<Duration>>,
            ) -> Result<(), Error> {
                let interval = interval.into();
                self.core.set(|settings| {
                    settings.pong_interval = interval;
                    Ok(())
                })
            }

            /// How often it is sent in fact: as desired, but not more often than every second.
            pub fn actual_unsolicited_pong_interval(&self) -> Option<Duration> {
                self.core.read(Settings::actual_pong_interval)
            }

            /// What to show to servers that ask for a certificate. Default: none.
            pub fn client_certificate(&self) -> Option<Certificate> {
                self.core.read(|settings| settings.client_certificate.clone())
            }

            /// # Errors
            /// [`Error::ILLEGAL_METHOD_CALL`] once the socket connects, [`Error::INVALID_ARGUMENT`] for a
            /// certificate without its private key: make it of an [`Identity`](crate::Identity).
            pub fn set_client_certificate(
                &self,
                certificate: impl Into<Option<Certificate>>,
            ) -> Result<(), Error> {
                let certificate = certificate.into();
                if certificate.as_ref().is_some_and(|certificate| certificate.identity().is_none()) {
                    let text = "the certificate has no private key here; make it of an Identity";
                    return Err(Error::new(Error::INVALID_ARGUMENT, text));
                }
                self.core.set(|settings| {
                    settings.client_certificate = certificate;
                    Ok(())
                })
            }
        }

        impl IWebSocketControl for $control {
            fn outbound_buffer_size_in_bytes(&self) -> u32 {
                Self::outbound_buffer_size_in_bytes(self)
            }

            fn set_outbound_buffer_size_in_bytes(&self, bytes: u32) {
                Self::set_outbound_buffer_size_in_bytes(self, bytes);
            }

            fn server_credential(&self) -> Option<PasswordCredential> {
                Self::server_credential(self)
            }

            fn proxy_credential(&self) -> Option<PasswordCredential> {
                Self::proxy_credential(self)
            }

            fn set_server_credential(&self, credential: Option<PasswordCredential>) -> Result<(), Error> {
                Self::set_server_credential(self, credential)
            }

            fn set_proxy_credential(&self, credential: Option<PasswordCredential>) -> Result<(), Error> {
                Self::set_proxy_credential(self, credential)
            }

            fn supported_protocols(&self) -> Vector<String> {
                Self::supported_protocols(self)
            }

            fn ignorable_server_certificate_errors(&self) -> Vector<ChainValidationResult> {
                Self::ignorable_server_certificate_errors(self)
            }
        }
    };
}

control_members!(MessageWebSocketControl);
control_members!(StreamWebSocketControl);

impl MessageWebSocketControl {
    /// The type of messages that are sent. Default: [`Binary`](SocketMessageType::Binary).
    pub fn message_type(&self) -> SocketMessageType {
        self.core.read(|settings| settings.message_type)
    }

    /// At any time: what is written from here on is of this type. A message that is being sent in frames
    /// keeps its own.
    pub fn set_message_type(&self, message_type: SocketMessageType) {
        self.core.write(|settings| settings.message_type = message_type);
    }

    /// The largest message to receive, in bytes, whether whole or in pieces; a larger one fails the
    /// connection with 1009.
    ///
    /// Default: 0xFFFFFFFF, no limit of its own, as in the original. Messages received whole are then limited
    /// to what the [platform](crate::Platform::control) allows: 64 MiB, unless it is told otherwise.
    pub fn max_message_size(&self) -> u32 {
        self.core.read(|settings| settings.max_message_size)
    }

    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] once the socket connects.
    pub fn set_max_message_size(&self, bytes: u32) -> Result<(), Error> {
        self.core.set(|settings| {
            settings.max_message_size = bytes;
            Ok(())
        })
    }

    /// Whether messages are received whole or in pieces. Default:
    /// [`FullMessage`](MessageWebSocketReceiveMode::FullMessage).
    pub fn receive_mode(&self) -> MessageWebSocketReceiveMode {
        self.core.read(|settings| settings.receive_mode)
    }

    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] once the socket connects.
    pub fn set_receive_mode(&self, mode: MessageWebSocketReceiveMode) -> Result<(), Error> {
        self.core.set(|settings| {
            settings.receive_mode = mode;
            Ok(())
        })
    }
}

impl StreamWebSocketControl {
    /// Whether small writes leave at once (Nagle's algorithm off). Default `true`.
    pub fn no_delay(&self) -> bool {
        self.core.read(|settings| settings.no_delay)
    }

    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] once the socket connects.
    pub fn set_no_delay(&self, no_delay: bool) -> Result<(), Error> {
        self.core.set(|settings| {
            settings.no_delay = no_delay;
            Ok(())
        })
    }
}

/// What the system gives to a socket that asks for nothing; 0 where it does not tell.
fn send_buffer_size() -> u32 {
    let size = Socket::new(Domain::IPV4, Type::STREAM, None).and_then(|socket| socket.send_buffer_size());
    size.ok().and_then(|size| u32::try_from(size).ok()).unwrap_or(0)
}
