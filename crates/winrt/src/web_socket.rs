//! What sockets, controls and informations have in common, as traits; and the statuses of errors.

use std::sync::Arc;

use wsduo::{HResult, WebErrorStatus};

use crate::bandwidth::BandwidthStatistics;
use crate::certificate::Certificate;
use crate::enums::{ChainValidationResult, SocketSslErrorSeverity};
use crate::error::Error;
use crate::names::{HostName, PasswordCredential};
use crate::operation::AsyncOperation;
use crate::streams::IOutputStream;
use crate::vector::Vector;

/// What both kinds of client socket can do.
pub trait IWebSocket: Send + Sync {
    /// See [`MessageWebSocket::output_stream`](crate::MessageWebSocket::output_stream).
    fn output_stream(&self) -> Arc<dyn IOutputStream>;

    /// See [`MessageWebSocket::connect`](crate::MessageWebSocket::connect).
    fn connect(&self, uri: &str) -> AsyncOperation<()>;

    /// See [`MessageWebSocket::set_request_header`](crate::MessageWebSocket::set_request_header).
    ///
    /// # Errors
    /// As there.
    fn set_request_header(&self, name: &str, value: &str) -> Result<(), Error>;

    /// See [`MessageWebSocket::close_with_status`](crate::MessageWebSocket::close_with_status).
    ///
    /// # Errors
    /// As there.
    fn close_with_status(&self, code: u16, reason: &str) -> Result<(), Error>;

    /// See [`MessageWebSocket::close`](crate::MessageWebSocket::close).
    fn close(&self);
}

/// The settings of both kinds of client socket. Their rules are told at
/// [`MessageWebSocketControl`](crate::MessageWebSocketControl).
pub trait IWebSocketControl: Send + Sync {
    /// See
    /// [`MessageWebSocketControl::outbound_buffer_size_in_bytes`](crate::MessageWebSocketControl::outbound_buffer_size_in_bytes).
    fn outbound_buffer_size_in_bytes(&self) -> u32;

    /// See
    /// [`MessageWebSocketControl::set_outbound_buffer_size_in_bytes`](crate::MessageWebSocketControl::set_outbound_buffer_size_in_bytes).
    fn set_outbound_buffer_size_in_bytes(&self, bytes: u32);

    /// See [`MessageWebSocketControl::server_credential`](crate::MessageWebSocketControl::server_credential).
    fn server_credential(&self) -> Option<PasswordCredential>;

    /// See [`MessageWebSocketControl::proxy_credential`](crate::MessageWebSocketControl::proxy_credential).
    fn proxy_credential(&self) -> Option<PasswordCredential>;

    /// See
    /// [`MessageWebSocketControl::set_server_credential`](crate::MessageWebSocketControl::set_server_credential).
    ///
    /// # Errors
    /// As there.
    fn set_server_credential(&self, credential: Option<PasswordCredential>) -> Result<(), Error>;

    /// See
    /// [`MessageWebSocketControl::set_proxy_credential`](crate::MessageWebSocketControl::set_proxy_credential).
    ///
    /// # Errors
    /// As there.
    fn set_proxy_credential(&self, credential: Option<PasswordCredential>) -> Result<(), Error>;

    /// See
    /// [`MessageWebSocketControl::supported_protocols`](crate::MessageWebSocketControl::supported_protocols).
    fn supported_protocols(&self) -> Vector<String>;

    /// See
    /// [`MessageWebSocketControl::ignorable_server_certificate_errors`](crate::MessageWebSocketControl::ignorable_server_certificate_errors).
    fn ignorable_server_certificate_errors(&self) -> Vector<ChainValidationResult>;
}

/// What is known of the connection of any socket.
pub trait IWebSocketInformation: Send + Sync {
    /// This end of the connection; `None` before it is open.
    fn local_address(&self) -> Option<HostName>;

    /// What the system believes of the path's bandwidth.
    fn bandwidth_statistics(&self) -> BandwidthStatistics;

    /// The subprotocol that was agreed; `None` before, and where there is none.
    fn protocol(&self) -> Option<String>;
}

/// What is known of the server's certificate, by both kinds of client socket.
pub trait IWebSocketInformation2: IWebSocketInformation {
    /// See
    /// [`MessageWebSocketInformation::server_certificate`](crate::MessageWebSocketInformation::server_certificate).
    fn server_certificate(&self) -> Option<Certificate>;

    /// The others that the server showed, in its order.
    fn server_intermediate_certificates(&self) -> Vec<Certificate>;

    /// What is wrong with it.
    fn server_certificate_errors(&self) -> Vec<ChainValidationResult>;

    /// How bad that is.
    fn server_certificate_error_severity(&self) -> SocketSslErrorSeverity;
}

/// The statuses of errors (`WebSocketError`).
#[derive(Clone, Copy, Debug)]
pub struct WebSocketError;

impl WebSocketError {
    /// What kind of failure an `HRESULT` of a WebSocket operation is; [`WebErrorStatus::Unknown`] for one
    /// that is not known.
    ///
    /// # Examples
    /// ```
    /// use wsduo_winrt::{HResult, WebErrorStatus, WebSocketError};
    ///
    /// assert_eq!(WebSocketError::get_status(HResult(0x8007_2EE7)), WebErrorStatus::HostNameNotResolved);
    /// ```
    pub fn get_status(hresult: HResult) -> WebErrorStatus {
        WebErrorStatus::from_hresult(hresult)
    }
}
