//! What is known of a connection.

use std::sync::Arc;

use crate::certificate::Certificate;
use crate::core::Core;
use crate::enums::{ChainValidationResult, SocketSslErrorSeverity};
use crate::names::HostName;
use crate::web_socket::IWebSocketInformation;

/// What the system believes of the bandwidth of a connection's path. All zero where it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BandwidthStatistics {
    /// Estimated bandwidth to the peer.
    pub outbound_bits_per_second: u64,
    /// Estimated bandwidth from the peer.
    pub inbound_bits_per_second: u64,
    /// How unsteady the first estimate is.
    pub outbound_bits_per_second_instability: u64,
    /// How unsteady the second estimate is.
    pub inbound_bits_per_second_instability: u64,
    /// Whether as much was sent as is needed for a good estimate.
    pub outbound_bandwidth_peaked: bool,
    /// Whether as much was received as is needed for a good estimate.
    pub inbound_bandwidth_peaked: bool,
}

impl Core {
    fn certificates(&self) -> Vec<Certificate> {
        let certificates = match self.information().as_ref().and_then(|it| it.tls()) {
            Some(tls) => tls.certificates.clone(),
            None => self.refusal().map(|error| error.certificates().to_vec()).unwrap_or_default(),
        };
        certificates.into_iter().filter_map(|der| Certificate::from_blob(der).ok()).collect()
    }

    fn certificate_errors(&self) -> Vec<wsduo::CertificateError> {
        match self.information().as_ref().and_then(|it| it.tls()) {
            Some(tls) => tls.certificate_errors.clone(),
            None => self.refusal().map(|error| error.certificate_errors().to_vec()).unwrap_or_default(),
        }
    }
}

/// What all informations have.
macro_rules! information {
    ($(#[$doc:meta])* $information:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $information {
            pub(crate) core: Arc<Core>,
        }

        impl $information {
            /// This end of the connection; `None` before it is open.
            pub fn local_address(&self) -> Option<HostName> {
                Some(self.core.information()?.local_address()?.ip().into())
            }

            /// What the system believes of the path's bandwidth. All zero: no system is asked yet, as on a Windows Server,
            /// where the statistics are off by default.
            pub fn bandwidth_statistics(&self) -> BandwidthStatistics {
                BandwidthStatistics::default()
            }

            /// The subprotocol that was agreed; `None` before, and where there is none.
            pub fn protocol(&self) -> Option<String> {
                self.core.information()?.subprotocol().map(str::to_owned)
            }

            /// All that `wsduo` knows of the connection, which is more: the server's answer with its headers, the address of
            /// the peer, figures. `None` before it was open.
            pub fn details(&self) -> Option<wsduo::MessageWebSocketInformation> {
                self.core.information()
            }
        }

        impl IWebSocketInformation for $information {
            fn local_address(&self) -> Option<HostName> {
                Self::local_address(self)
            }

            fn bandwidth_statistics(&self) -> BandwidthStatistics {
                Self::bandwidth_statistics(self)
            }

            fn protocol(&self) -> Option<String> {
                Self::protocol(self)
            }
        }
    };
}

/// What those of clients have beside it.
macro_rules! server_certificate {
    ($information:ident) => {
        impl $information {
            /// The certificate of the server; `None` before TLS was up, and without TLS.
            pub fn server_certificate(&self) -> Option<Certificate> {
                self.core.certificates().into_iter().next()
            }

            /// The others that it showed, in its order.
            pub fn server_intermediate_certificates(&self) -> Vec<Certificate> {
                self.core.certificates().into_iter().skip(1).collect()
            }

            /// What is wrong with it: what was ignored or, after connecting has failed of it, all of it.
            pub fn server_certificate_errors(&self) -> Vec<ChainValidationResult> {
                self.core.certificate_errors().into_iter().map(Into::into).collect()
            }

            /// How bad that is.
            pub fn server_certificate_error_severity(&self) -> SocketSslErrorSeverity {
                wsduo::CertificateErrorSeverity::of(&self.core.certificate_errors()).into()
            }
        }
    };
}

information! {
    /// What is known of the connection of a [`MessageWebSocket`](crate::MessageWebSocket), at any time.
    MessageWebSocketInformation
}
server_certificate!(MessageWebSocketInformation);

information! {
    /// What is known of the connection of a [`StreamWebSocket`](crate::StreamWebSocket), at any time.
    StreamWebSocketInformation
}
server_certificate!(StreamWebSocketInformation);

information! {
    /// What is known of the connection of a [`ServerMessageWebSocket`](crate::ServerMessageWebSocket), at any time.
    ServerMessageWebSocketInformation
}

information! {
    /// What is known of the connection of a [`ServerStreamWebSocket`](crate::ServerStreamWebSocket), at any time.
    ServerStreamWebSocketInformation
}
