//! TLS by rustls: how a client checks its server, and what a server shows.
//!
//! The cryptographic provider is passed explicitly everywhere: nothing depends on what a program has or has not installed
//! for the process.

#[cfg(feature = "__tls")]
mod chain;
mod client;
#[cfg(feature = "__tls")]
mod fault;
#[cfg(all(feature = "__fuzzing", feature = "__tls"))]
pub(crate) mod fuzzing;
#[cfg(feature = "__tls")]
mod identity;
#[cfg(feature = "__tls")]
mod server;
#[cfg(feature = "__tls")]
mod verify;

pub use client::ClientTls;
#[cfg(feature = "__tls")]
pub use client::ServerCertificate;
#[cfg(feature = "__tls")]
pub(crate) use fault::{late_failure, wants_certificate};
#[cfg(feature = "__tls")]
pub use identity::Identity;
#[cfg(feature = "__tls")]
pub use server::ServerTls;
#[cfg(feature = "__tls")]
pub(crate) use shared::information;

/// A version of TLS, as a least one to agree to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246). Whatever is older cannot be had.
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

#[cfg(not(feature = "__tls"))]
pub(crate) fn information(_: &crate::io::transport::Transport) -> Option<crate::TlsInformation> {
    None
}

#[cfg(feature = "__tls")]
mod shared {
    use std::sync::{Arc, OnceLock};

    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::version::TLS13;
    use rustls::{RootCertStore, SupportedProtocolVersion};

    use super::TlsVersion;
    use crate::error::{Error, ErrorKind};
    use crate::information::TlsInformation;
    use crate::io::transport::Transport;

    /// What ALPN offers and takes (RFC 7301): the opening handshake is HTTP/1.1.
    pub(super) const ALPN: &[u8] = b"http/1.1";

    impl TlsVersion {
        pub(super) fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
            static ONLY_1_3: [&SupportedProtocolVersion; 1] = [&TLS13];
            match self {
                Self::V1_2 => rustls::ALL_VERSIONS,
                Self::V1_3 => &ONLY_1_3,
            }
        }
    }

    pub(super) fn provider() -> Arc<CryptoProvider> {
        static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
        let make = || {
            #[cfg(feature = "aws-lc-rs")]
            return Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
            return Arc::new(rustls::crypto::ring::default_provider());
        };
        Arc::clone(PROVIDER.get_or_init(make))
    }

    /// The certificates in a PEM text: one at least.
    pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => {
                let text =
                    "there is no certificate in the PEM text; it begins with -----BEGIN CERTIFICATE-----";
                Err(Error::text(ErrorKind::InvalidInput, text))
            }
            Err(error) => {
                let text = "a certificate in the PEM text is malformed";
                Err(Error::source(ErrorKind::InvalidInput, text, error))
            }
        }
    }

    pub(super) fn add_roots(
        store: &mut RootCertStore,
        roots: &[CertificateDer<'static>],
    ) -> Result<(), Error> {
        for root in roots {
            store.add(root.clone()).map_err(|error| {
                Error::source(ErrorKind::InvalidInput, "a certificate cannot be an authority", error)
            })?;
        }
        Ok(())
    }

    pub(super) fn cannot_set_up(error: rustls::Error) -> Error {
        Error::source(ErrorKind::Tls, "TLS cannot be set up", error)
    }

    pub(crate) fn information(transport: &Transport) -> Option<TlsInformation> {
        let tls = transport.tls_parts()?;
        let session = tls.session();
        let version = session.protocol_version()?;
        let suite = session.negotiated_cipher_suite()?;
        let certificates = session.peer_certificates().unwrap_or_default();
        Some(TlsInformation {
            version: version.as_str().unwrap_or("unknown").replace('_', "."),
            cipher_suite: suite.suite().as_str().unwrap_or("unknown").to_owned(),
            certificates: certificates.iter().map(|certificate| certificate.to_vec()).collect(),
            certificate_errors: tls.certificate_errors.clone(),
            alpn: session.alpn_protocol().map(|alpn| String::from_utf8_lossy(alpn).into_owned()),
            server_name: tls.server_name(),
        })
    }
}
