//! What is known of a connection.

use std::sync::Arc;

use crate::bandwidth::BandwidthStatistics;
use crate::certificate::Certificate;
use crate::core::{Core, Phase};
use crate::enums::{ChainValidationResult, SocketSslErrorSeverity};
use crate::names::HostName;
use crate::web_socket::{IWebSocketInformation, IWebSocketInformation2};

impl Core {
    fn bandwidth(&self) -> BandwidthStatistics {
        match self.information() {
            // Once it is closed, its addresses may be those of another connection.
            Some(information) if self.phase() == Phase::Open => BandwidthStatistics::of(&information),
            _ => BandwidthStatistics::default(),
        }
    }

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

            /// What the system believes of the path's bandwidth, which it is asked each time. All zero where
            /// it does not know, and while the connection is not open.
            pub fn bandwidth_statistics(&self) -> BandwidthStatistics {
                self.core.bandwidth()
            }

            /// The subprotocol that was agreed; `None` before, and where there is none.
            pub fn protocol(&self) -> Option<String> {
                self.core.information()?.subprotocol().map(str::to_owned)
            }

            /// All that `wsduo` knows of the connection, which is more: the server's answer with its headers,
            /// the address of the peer, figures. `None` before it was open.
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

        impl IWebSocketInformation2 for $information {
            fn server_certificate(&self) -> Option<Certificate> {
                Self::server_certificate(self)
            }

            fn server_intermediate_certificates(&self) -> Vec<Certificate> {
                Self::server_intermediate_certificates(self)
            }

            fn server_certificate_errors(&self) -> Vec<ChainValidationResult> {
                Self::server_certificate_errors(self)
            }

            fn server_certificate_error_severity(&self) -> SocketSslErrorSeverity {
                Self::server_certificate_error_severity(self)
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
    /// What is known of the connection of a [`ServerMessageWebSocket`](crate::ServerMessageWebSocket), at any
    /// time.
    ServerMessageWebSocketInformation
}

information! {
    /// What is known of the connection of a [`ServerStreamWebSocket`](crate::ServerStreamWebSocket), at any
    /// time.
    ServerStreamWebSocketInformation
}
