//! TLS by rustls: how a client checks its server, and what a server shows.
//!
//! The cryptographic provider is passed explicitly everywhere: nothing depends on what a program has or has not installed
//! for the process.

#[cfg(feature = "__tls")]
pub use with_tls::Identity;
#[cfg(feature = "__tls")]
pub(crate) use with_tls::{accept, information};

#[cfg(not(feature = "__tls"))]
pub(crate) use without_tls::information;

/// How a client checks the server of a `wss` URI.
///
/// By default its certificate has to be valid for the host and signed by an authority that the platform trusts; where the
/// platform has no trust store, by one of those that Mozilla trusts.
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    #[cfg(feature = "__tls")]
    inner: with_tls::Checks,
}

#[cfg(feature = "__tls")]
mod with_tls {
    use std::path::Path;
    use std::sync::{Arc, OnceLock};

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
    use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
    use tokio::net::TcpStream;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::ClientTls;
    use crate::error::{Error, ErrorKind};
    use crate::information::TlsInformation;
    use crate::io::transport::Transport;

    /// What ALPN offers and takes (RFC 7301): the opening handshake is HTTP/1.1.
    const ALPN: &[u8] = b"http/1.1";

    #[derive(Clone, Debug, Default)]
    pub(super) struct Checks {
        roots: Vec<CertificateDer<'static>>,
        only_these_roots: bool,
        accept_any: bool,
        config: Option<Arc<ClientConfig>>,
    }

    fn provider() -> Arc<CryptoProvider> {
        static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
        let make = || {
            #[cfg(feature = "aws-lc-rs")]
            return Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
            return Arc::new(rustls::crypto::ring::default_provider());
        };
        Arc::clone(PROVIDER.get_or_init(make))
    }

    fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(Error::text(ErrorKind::InvalidInput, "there is no certificate in the PEM text")),
            Err(error) => Err(Error::source(
                ErrorKind::InvalidInput,
                "a certificate in the PEM text is malformed",
                error,
            )),
        }
    }

    impl ClientTls {
        /// The default checks.
        pub fn new() -> Self {
            Self::default()
        }

        /// Trusts the authorities in this PEM text as well.
        ///
        /// # Errors
        /// [`ErrorKind::InvalidInput`] if there is no certificate in it, or a malformed one.
        pub fn add_roots(mut self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
            self.inner.roots.extend(certificates(pem.as_ref())?);
            self.inner.config = None;
            Ok(self)
        }

        /// Trusts the authorities given by [`add_roots`](Self::add_roots) and no others.
        #[must_use]
        pub fn only_added_roots(mut self) -> Self {
            self.inner.only_these_roots = true;
            self.inner.config = None;
            self
        }

        /// Accepts any certificate: whoever sits in between can read and change everything. For tests alone.
        #[must_use]
        pub fn danger_accept_any_certificate(mut self) -> Self {
            self.inner.accept_any = true;
            self.inner.config = None;
            self
        }

        /// Loads the trust store now, so that sockets opened with this value share it.
        ///
        /// # Errors
        /// [`ErrorKind::Tls`] if an authority cannot be used.
        pub fn prepared(mut self) -> Result<Self, Error> {
            self.inner.config = Some(self.inner.config()?);
            Ok(self)
        }

        pub(crate) async fn connect(&self, below: Transport, host: &str) -> Result<Transport, Error> {
            let config = self.inner.config()?;
            let name = ServerName::try_from(host.to_owned()).map_err(|error| {
                Error::source(ErrorKind::InvalidInput, format!("{host:?} cannot be checked by TLS"), error)
            })?;
            match TlsConnector::from(config).connect(name, below).await {
                Ok(stream) => Ok(Transport::tls(stream)),
                Err(error) => Err(Error::source(ErrorKind::Tls, format!("TLS with {host} failed"), error)),
            }
        }
    }

    impl Checks {
        fn config(&self) -> Result<Arc<ClientConfig>, Error> {
            static DEFAULT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
            if let Some(config) = &self.config {
                return Ok(Arc::clone(config));
            }
            if !self.roots.is_empty() || self.only_these_roots || self.accept_any {
                return self.build();
            }
            // Loading the trust store takes milliseconds: once for the process.
            match DEFAULT.get() {
                Some(config) => Ok(Arc::clone(config)),
                None => {
                    let config = self.build()?;
                    Ok(Arc::clone(DEFAULT.get_or_init(|| config)))
                }
            }
        }

        fn build(&self) -> Result<Arc<ClientConfig>, Error> {
            let builder = ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(tls_error)?;
            let mut config =
                builder.dangerous().with_custom_certificate_verifier(self.verifier()?).with_no_client_auth();
            config.alpn_protocols = vec![ALPN.to_vec()];
            Ok(Arc::new(config))
        }

        fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, Error> {
            if self.accept_any {
                return Ok(Arc::new(AcceptAny(provider())));
            }
            if !self.only_these_roots {
                let platform = rustls_platform_verifier::Verifier::new_with_extra_roots(
                    self.roots.iter().cloned(),
                    provider(),
                );
                if let Ok(platform) = platform {
                    return Ok(Arc::new(platform));
                }
            }
            let mut store = RootCertStore::empty();
            if !self.only_these_roots {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
            for root in &self.roots {
                store.add(root.clone()).map_err(tls_error)?;
            }
            let verifier =
                rustls::client::WebPkiServerVerifier::builder_with_provider(store.into(), provider())
                    .build()
                    .map_err(|error| {
                        Error::source(ErrorKind::Tls, "the certificate authorities cannot be used", error)
                    })?;
            Ok(verifier)
        }
    }

    fn tls_error(error: rustls::Error) -> Error {
        Error::source(ErrorKind::Tls, "TLS cannot be set up", error)
    }

    /// Checks the signatures of the handshake, and nothing about who made them.
    #[derive(Debug)]
    struct AcceptAny(Arc<CryptoProvider>);

    impl ServerCertVerifier for AcceptAny {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }

    /// The certificate that a server shows, with its key. Cheap to clone.
    #[derive(Clone, Debug)]
    pub struct Identity {
        config: Arc<ServerConfig>,
        #[cfg_attr(not(feature = "self-signed"), allow(dead_code))]
        certificate_pem: Option<Arc<str>>,
    }

    impl Identity {
        /// A certificate chain, the server's own first, and the key to it, as PEM texts.
        ///
        /// # Errors
        /// [`ErrorKind::InvalidInput`] if there is no certificate or key in them, or they do not fit each other.
        pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, Error> {
            let chain = certificates(chain.as_ref())?;
            let key = PrivateKeyDer::from_pem_slice(key.as_ref()).map_err(|error| {
                Error::source(
                    ErrorKind::InvalidInput,
                    "there is no usable private key in the PEM text",
                    error,
                )
            })?;
            let mut config = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(tls_error)?
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .map_err(|error| {
                    Error::source(
                        ErrorKind::InvalidInput,
                        "the certificate and the key cannot be used",
                        error,
                    )
                })?;
            config.alpn_protocols = vec![ALPN.to_vec()];
            Ok(Self { config: Arc::new(config), certificate_pem: None })
        }

        /// As [`from_pem`](Self::from_pem), from files.
        ///
        /// # Errors
        /// As there; [`ErrorKind::InvalidInput`] also if a file cannot be read.
        pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
            let read = |path: &Path| {
                std::fs::read(path).map_err(|error| {
                    Error::source(ErrorKind::InvalidInput, format!("cannot read {}", path.display()), error)
                })
            };
            Self::from_pem(read(chain.as_ref())?, read(key.as_ref())?)
        }

        /// A certificate made on the spot for these host names and addresses, which nobody trusts unless told to by
        /// [`certificate_pem`](Self::certificate_pem). For tests and demonstrations.
        ///
        /// # Errors
        /// [`ErrorKind::InvalidInput`] for a name that a certificate cannot have.
        #[cfg(feature = "self-signed")]
        pub fn self_signed<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self, Error> {
            let names: Vec<String> = names.into_iter().map(Into::into).collect();
            let made = rcgen::generate_simple_self_signed(names).map_err(|error| {
                Error::source(ErrorKind::InvalidInput, "cannot make a certificate for these names", error)
            })?;
            let pem = made.cert.pem();
            let identity = Self::from_pem(&pem, made.signing_key.serialize_pem())?;
            Ok(Self { certificate_pem: Some(pem.into()), ..identity })
        }

        /// The self-signed certificate, for clients to trust.
        #[cfg(feature = "self-signed")]
        pub fn certificate_pem(&self) -> Option<&str> {
            self.certificate_pem.as_deref()
        }
    }

    pub(crate) async fn accept(identity: &Identity, tcp: TcpStream) -> Result<Transport, Error> {
        match TlsAcceptor::from(Arc::clone(&identity.config)).accept(Transport::tcp(tcp)).await {
            Ok(stream) => Ok(Transport::tls(stream)),
            Err(error) => Err(Error::source(ErrorKind::Tls, "TLS with the client failed", error)),
        }
    }

    pub(crate) fn information(transport: &Transport) -> Option<TlsInformation> {
        let session = transport.tls_session()?;
        let version = session.protocol_version()?;
        let suite = session.negotiated_cipher_suite()?;
        let certificates = session.peer_certificates().unwrap_or_default();
        Some(TlsInformation {
            version: version.as_str().unwrap_or("unknown").replace('_', "."),
            cipher_suite: suite.suite().as_str().unwrap_or("unknown").to_owned(),
            certificates: certificates.iter().map(|certificate| certificate.to_vec()).collect(),
        })
    }
}

#[cfg(not(feature = "__tls"))]
mod without_tls {
    use super::ClientTls;
    use crate::error::{Error, ErrorKind};
    use crate::information::TlsInformation;
    use crate::io::transport::Transport;

    impl ClientTls {
        #[allow(clippy::unused_async)] // as with TLS
        pub(crate) async fn connect(&self, _: Transport, _: &str) -> Result<Transport, Error> {
            Err(Error::text(
                ErrorKind::Tls,
                "wsduo was built without TLS; use a ws URI, or build it with the feature aws-lc-rs or ring",
            ))
        }
    }

    pub(crate) fn information(_: &Transport) -> Option<TlsInformation> {
        None
    }
}
