//! What is known of a connection: facts agreed when it was opened, and figures that grow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use wsduo_proto::CompressionStatistics;
use wsduo_proto::handshake::{DeflateAgreement, Response};

use crate::io::driver::Driver;

use crate::certificate::{CertificateError, CertificateErrorSeverity};

/// What is known of a connection at one moment. Cheap to make and to clone.
#[derive(Clone, Debug)]
pub struct MessageWebSocketInformation {
    facts: Facts,
    statistics: Statistics,
    compression: Option<CompressionInformation>,
}

/// What is known of the connection of a stream: the same as of any other.
pub type StreamWebSocketInformation = MessageWebSocketInformation;

/// What does not change once the connection is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) local_address: Option<SocketAddr>,
    pub(crate) remote_address: Option<SocketAddr>,
    /// Apart: many connections of a server have nothing here.
    pub(crate) agreed: Option<Arc<Agreed>>,
}

/// What was agreed when the connection was opened.
#[derive(Debug, Default)]
pub(crate) struct Agreed {
    pub(crate) subprotocol: Option<String>,
    pub(crate) response: Option<Response>,
    pub(crate) uri: Option<String>,
    pub(crate) tls: Option<TlsInformation>,
}

/// Figures of a connection so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Messages received to their end.
    pub messages_received: u64,
    /// Messages queued to their end.
    pub messages_sent: u64,
    /// Bytes of frames, headers included, read from the transport.
    pub bytes_received: u64,
    /// Bytes of frames, headers included, written to the transport.
    pub bytes_sent: u64,
    /// Bytes of frames, headers included, that wait to be written.
    pub bytes_queued: u64,
    /// What the latest answered ping took; `None` before the first.
    pub round_trip_time: Option<Duration>,
    /// What answered pings take, the latest counting for an eighth (RFC 6298 §2), in whole
    /// microseconds; `None` before the first.
    pub smoothed_round_trip_time: Option<Duration>,
}

/// What compression does (permessage-deflate, RFC 7692).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressionInformation {
    /// What both ends agreed on.
    pub agreement: DeflateAgreement,
    /// How much was compressed, and to how much.
    pub statistics: CompressionStatistics,
}

/// What TLS agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInformation {
    /// The protocol version, such as `TLSv1.3`.
    pub version: String,
    /// The cipher suite, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
    /// The peer's certificates in DER form, its own first. Empty if it showed none.
    pub certificates: Vec<Vec<u8>>,
    /// What is wrong with the server's certificate and was [ignored](crate::ClientTls::ignore), the worst first. Empty on a
    /// server.
    pub certificate_errors: Vec<CertificateError>,
    /// The protocol agreed by ALPN (RFC 7301); `None` if an end does not know of it.
    pub alpn: Option<String>,
    /// The name that the client asked for (SNI, RFC 6066 §3); `None` if it asked for an address or not at all.
    pub server_name: Option<String>,
}

impl TlsInformation {
    /// How bad what is wrong with the server's certificate is.
    pub fn certificate_error_severity(&self) -> CertificateErrorSeverity {
        CertificateErrorSeverity::of(&self.certificate_errors)
    }
}

impl MessageWebSocketInformation {
    pub(crate) fn new<T: AsyncRead + AsyncWrite + Unpin>(facts: Facts, driver: &Driver<T>) -> Self {
        Self { facts, statistics: driver.statistics(), compression: driver.compression() }
    }

    /// This end of the transport, where it has an address.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.facts.local_address
    }

    /// The other end of the transport, where it has an address.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.facts.remote_address
    }

    /// The subprotocol agreed (RFC 6455 §1.9). The original calls it Protocol.
    pub fn subprotocol(&self) -> Option<&str> {
        self.facts.agreed.as_ref()?.subprotocol.as_deref()
    }

    /// The server's answer to the opening handshake: status and headers. `None` on a server.
    pub fn response(&self) -> Option<&Response> {
        self.facts.agreed.as_ref()?.response.as_ref()
    }

    /// The URI that was opened: another than the one asked for where redirects were followed. `None` on a server.
    pub fn uri(&self) -> Option<&str> {
        self.facts.agreed.as_ref()?.uri.as_deref()
    }

    /// What TLS agreed on; `None` without TLS.
    pub fn tls(&self) -> Option<&TlsInformation> {
        self.facts.agreed.as_ref()?.tls.as_ref()
    }

    /// What was agreed on about compression, and what it has done so far; `None` if messages are not compressed.
    pub fn compression(&self) -> Option<&CompressionInformation> {
        self.compression.as_ref()
    }

    /// Messages, bytes and the round-trip time so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }
}
