//! How a client checks its server, and what it shows to it.

/// How a client checks the server of a `wss` URI, and what it shows to it. Cheap to clone.
///
/// By default its certificate has to be valid for the host and signed by an authority that the platform trusts; where the
/// platform has no trust store, by one of those that Mozilla trusts. Whether it was revoked is looked at only where the verifier
/// of the platform does so (Windows, macOS, iOS). Sockets opened with clones of one value share what was
/// loaded for it, and may resume each other's sessions.
///
/// # Examples
/// ```no_run
/// use wsduo::{CertificateError, ClientTls, Identity, MessageWebSocketControl};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = ClientTls::new()
///     .add_roots(std::fs::read("company.pem")?)?
///     .identity(Identity::from_pem_files("me.pem", "me.key")?)
///     .ignore([CertificateError::Expired])
///     .validate(|certificate| async move {
///         let known = std::fs::read("known.der").map_err(|error| error.to_string())?;
///         if certificate.leaf() == known { Ok(()) } else { Err("not the one we know".to_owned()) }
///     });
/// let control = MessageWebSocketControl::new().tls(tls);
/// let socket = control.connect("wss://example.org/").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "__tls"), derive(Default))]
pub struct ClientTls {
    #[cfg(feature = "__tls")]
    inner: std::sync::Arc<with_tls::Inner>,
}

#[cfg(feature = "__tls")]
pub use with_tls::ServerCertificate;

#[cfg(feature = "__tls")]
mod with_tls {
    use std::error::Error as StdError;
    use std::fmt;
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::{Arc, LazyLock, OnceLock};

    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::sign::SingleCertAndKey;
    use rustls::{ClientConfig, RootCertStore};
    use tokio_rustls::TlsConnector;

    use super::ClientTls;
    use crate::certificate::{CertificateError, CertificateErrorSeverity};
    use crate::error::{BadCertificate, Error, ErrorKind};
    use crate::io::transport::Transport;
    use crate::tls::chain::Trust;
    use crate::tls::fault::{self, Peer};
    use crate::tls::shared::{ALPN, add_roots, cannot_set_up, certificates, provider};
    use crate::tls::verify::Verifier;
    use crate::tls::{Identity, TlsVersion};

    #[derive(Debug)]
    pub(super) struct Inner {
        settings: Settings,
        built: OnceLock<Built>,
    }

    #[derive(Clone, Debug)]
    struct Settings {
        roots: Vec<CertificateDer<'static>>,
        only_these_roots: bool,
        accept_any: bool,
        ignored: Vec<CertificateError>,
        pins: Vec<[u8; 32]>,
        validation: Option<Validation>,
        identity: Option<Identity>,
        min_version: TlsVersion,
        server_name: Option<ServerName<'static>>,
        alpn: Vec<Vec<u8>>,
        /// The first setting that cannot be used.
        invalid: Option<Error>,
    }

    /// What is made of the settings when they are first used.
    #[derive(Clone, Debug)]
    struct Built {
        config: Arc<ClientConfig>,
        verifier: Arc<Verifier>,
    }

    type Judgement = Pin<Box<dyn Future<Output = Result<(), Box<dyn StdError + Send + Sync>>> + Send>>;

    #[derive(Clone)]
    struct Validation(Arc<dyn Fn(ServerCertificate) -> Judgement + Send + Sync>);

    /// What a server showed, for [`ClientTls::validate`].
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ServerCertificate {
        host: String,
        certificates: Arc<[CertificateDer<'static>]>,
        errors: Vec<CertificateError>,
    }

    impl Default for ClientTls {
        fn default() -> Self {
            // Loading the trust store takes milliseconds: once for the process.
            static DEFAULT: LazyLock<ClientTls> = LazyLock::new(|| ClientTls::with(Settings::default()));
            DEFAULT.clone()
        }
    }

    impl Default for Settings {
        fn default() -> Self {
            Self {
                roots: Vec::new(),
                only_these_roots: false,
                accept_any: false,
                ignored: Vec::new(),
                pins: Vec::new(),
                validation: None,
                identity: None,
                min_version: TlsVersion::default(),
                server_name: None,
                alpn: vec![ALPN.to_vec()],
                invalid: None,
            }
        }
    }

    impl ClientTls {
        /// The default checks.
        pub fn new() -> Self {
            Self::default()
        }

        /// Trusts the authorities in this PEM text as well.
        ///
        /// A self-signed certificate of a server counts as an authority for itself.
        ///
        /// # Errors
        /// [`ErrorKind::InvalidInput`] if there is no certificate in it, or a malformed one.
        pub fn add_roots(self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
            let roots = certificates(pem.as_ref())?;
            Ok(self.set(|settings| settings.roots.extend(roots)))
        }

        /// Trusts the authorities given by [`add_roots`](Self::add_roots) and no others.
        #[must_use]
        pub fn only_added_roots(self) -> Self {
            self.set(|settings| settings.only_these_roots = true)
        }

        /// Lets these errors of the server's certificate pass, and no others: a certificate that is expired and made for
        /// another name needs both to be named. They are told by [`TlsInformation`](crate::TlsInformation).
        ///
        /// Only [ignorable](CertificateError::is_ignorable) ones can be ignored: opening a socket fails with
        /// [`ErrorKind::InvalidInput`] otherwise. Replaces what was set before. Default: none.
        ///
        /// With [`Untrusted`](CertificateError::Untrusted) or [`IncompleteChain`](CertificateError::IncompleteChain) no authority
        /// vouches for the server any more, so that whoever is in between can pose as it: set a [pin](Self::pin_sha256) too.
        ///
        /// Where the verifier of the platform is asked (Windows, macOS, iOS), it does not always tell what is wrong beyond a
        /// first error; then that counts as [`OtherErrors`](CertificateError::OtherErrors) too, which cannot be ignored.
        #[must_use]
        pub fn ignore(self, errors: impl IntoIterator<Item = CertificateError>) -> Self {
            let errors: Vec<_> = errors.into_iter().collect();
            self.set(|settings| {
                if let Some(fatal) = errors.iter().find(|error| !error.is_ignorable()) {
                    let able: Vec<_> = CertificateError::ALL
                        .iter()
                        .filter(|error| error.is_ignorable())
                        .map(ToString::to_string)
                        .collect();
                    let text = format!(
                        "the certificate error {fatal} cannot be ignored; only {} can",
                        able.join(", ")
                    );
                    settings.invalid.get_or_insert(Error::text(ErrorKind::InvalidInput, text));
                }
                settings.ignored = errors;
            })
        }

        /// Wants the server to have one of the public keys pinned, beside everything else. May be called several times, so
        /// that a key may be replaced by another.
        ///
        /// It is the SHA-256 of the key as the certificate holds it (SubjectPublicKeyInfo in DER), as in RFC 7469 and in curl's
        /// `--pinnedpubkey`: a renewed certificate with the same key still fits.
        ///
        /// Another key is [`ErrorKind::CertificateRejected`], found within the handshake of TLS.
        #[must_use]
        pub fn pin_sha256(self, public_key: [u8; 32]) -> Self {
            self.set(|settings| settings.pins.push(public_key))
        }

        /// Has the certificate of the server looked at by a function, after all other checks were passed and before anything
        /// is sent but TLS itself. It can reject what they let pass, and not the reverse.
        ///
        /// The time it takes counts within the [connect timeout](crate::MessageWebSocketControl::connect_timeout); its future is
        /// dropped if that runs out. Its error becomes [`ErrorKind::CertificateRejected`]. A client certificate has been shown to
        /// the server by then; a [pin](Self::pin_sha256) is checked before.
        #[must_use]
        pub fn validate<F, V, E>(self, validation: F) -> Self
        where
            F: Fn(ServerCertificate) -> V + Send + Sync + 'static,
            V: Future<Output = Result<(), E>> + Send + 'static,
            E: Into<Box<dyn StdError + Send + Sync>>,
        {
            let boxed = move |certificate| -> Judgement {
                let judging = validation(certificate);
                Box::pin(async move { judging.await.map_err(Into::into) })
            };
            self.set(|settings| settings.validation = Some(Validation(Arc::new(boxed))))
        }

        /// Shows this certificate to servers that ask for one. Default: none.
        #[must_use]
        pub fn identity(self, identity: Identity) -> Self {
            self.set(|settings| settings.identity = Some(identity))
        }

        /// The least version of TLS to agree to. Default: 1.2.
        #[must_use]
        pub fn min_version(self, version: TlsVersion) -> Self {
            self.set(|settings| settings.min_version = version)
        }

        /// The name to ask for (SNI) and to find in the certificate, where it is not the host of the URI.
        ///
        /// A name that is none makes opening a socket fail with [`ErrorKind::InvalidInput`].
        #[must_use]
        pub fn server_name(self, name: impl Into<String>) -> Self {
            let name = name.into();
            self.set(|settings| match server_name(&name) {
                Ok(name) => settings.server_name = Some(name),
                Err(error) => {
                    settings.invalid.get_or_insert(error);
                }
            })
        }

        /// The protocols to offer by ALPN (RFC 7301), the preferred one first; none: without ALPN. Default: `http/1.1`, which the
        /// opening handshake is. A server that takes another one has to be a special one.
        #[must_use]
        pub fn alpn<P: Into<Vec<u8>>>(self, protocols: impl IntoIterator<Item = P>) -> Self {
            self.set(|settings| settings.alpn = protocols.into_iter().map(Into::into).collect())
        }

        /// Accepts any certificate: whoever sits in between can read and change everything. For tests alone.
        ///
        /// What is wrong with it is told by [`TlsInformation`](crate::TlsInformation). Pins and the validation still hold.
        #[must_use]
        pub fn danger_accept_any_certificate(self) -> Self {
            self.set(|settings| settings.accept_any = true)
        }

        /// Loads the trust store now rather than when the first socket is opened.
        ///
        /// # Errors
        /// [`ErrorKind::InvalidInput`] if an authority or another setting cannot be used.
        pub fn prepared(self) -> Result<Self, Error> {
            self.built()?;
            Ok(self)
        }

        /// What of the settings is for others than the server as well, a proxy or where a redirect leads: whom to trust. The
        /// rest is between us and the server.
        pub(crate) fn for_others(&self) -> Self {
            let Settings { roots, only_these_roots, accept_any, min_version, .. } =
                self.inner.settings.clone();
            let is_default = roots.is_empty() && !only_these_roots && !accept_any;
            if is_default && min_version == TlsVersion::default() {
                return Self::default();
            }
            Self::with(Settings { roots, only_these_roots, accept_any, min_version, ..Settings::default() })
        }

        pub(crate) fn invalid(&self) -> Option<&Error> {
            self.inner.settings.invalid.as_ref()
        }

        pub(crate) async fn connect(&self, below: Transport, host: &str) -> Result<Transport, Error> {
            let Built { config, verifier } = self.built()?;
            let settings = &self.inner.settings;
            let name = settings.server_name.clone().map_or_else(|| server_name(host), Ok)?;
            let stream = TlsConnector::from(config)
                .connect(name.clone(), below)
                .await
                .map_err(|error| fault::failure(Peer::Server(host), error))?;
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let errors = verifier
                .ignored_errors(certificates, &name)
                .map_err(|bad| fault::bad_certificate(host, bad))?;
            if let Some(validation) = &settings.validation {
                let certificate = ServerCertificate {
                    host: host.into(),
                    certificates: certificates.into(),
                    errors: errors.clone(),
                };
                validation.ask(certificate).await.map_err(|bad| fault::bad_certificate(host, bad))?;
            }
            let asked_for = matches!(name, ServerName::DnsName(_)).then(|| name.to_str().into());
            Ok(Transport::tls(stream, errors, asked_for))
        }

        fn with(settings: Settings) -> Self {
            Self { inner: Arc::new(Inner { settings, built: OnceLock::new() }) }
        }

        fn set(self, set: impl FnOnce(&mut Settings)) -> Self {
            let mut settings = self.inner.settings.clone();
            set(&mut settings);
            Self::with(settings)
        }

        fn built(&self) -> Result<Built, Error> {
            if let Some(built) = self.inner.built.get() {
                return Ok(built.clone());
            }
            let built = self.inner.settings.build()?;
            Ok(self.inner.built.get_or_init(|| built).clone())
        }
    }

    impl ServerCertificate {
        /// The host of the URI.
        pub fn host(&self) -> &str {
            &self.host
        }

        /// The certificate of the server itself, in DER form.
        pub fn leaf(&self) -> &[u8] {
            self.certificates.first().map_or(&[], |leaf| leaf)
        }

        /// The others that the server showed, in its order, in DER form.
        pub fn intermediates(&self) -> impl Iterator<Item = &[u8]> {
            self.certificates.iter().skip(1).map(AsRef::as_ref)
        }

        /// What is wrong with it and was [ignored](ClientTls::ignore), the worst first.
        pub fn errors(&self) -> &[CertificateError] {
            &self.errors
        }

        /// How bad that is.
        pub fn severity(&self) -> CertificateErrorSeverity {
            CertificateErrorSeverity::of(&self.errors)
        }
    }

    impl Settings {
        fn build(&self) -> Result<Built, Error> {
            if let Some(error) = &self.invalid {
                return Err(error.clone());
            }
            let verifier = Arc::new(Verifier {
                trust: self.trust()?,
                provider: provider(),
                ignored: self.ignored.clone(),
                pins: self.pins.clone(),
                accept_any: self.accept_any,
            });
            let builder = ClientConfig::builder_with_provider(provider())
                .with_protocol_versions(self.min_version.and_later())
                .map_err(cannot_set_up)?
                .dangerous()
                .with_custom_certificate_verifier(Arc::clone(&verifier) as _);
            let mut config = match &self.identity {
                Some(identity) => {
                    let key = SingleCertAndKey::from((*identity.key).clone());
                    builder.with_client_cert_resolver(Arc::new(key))
                }
                None => builder.with_no_client_auth(),
            };
            config.alpn_protocols.clone_from(&self.alpn);
            Ok(Built { config: Arc::new(config), verifier })
        }

        fn trust(&self) -> Result<Trust, Error> {
            let has_verifier = cfg!(any(windows, target_vendor = "apple", target_os = "android"));
            if has_verifier && !self.only_these_roots {
                let roots = self.roots.iter().cloned();
                let platform = rustls_platform_verifier::Verifier::new_with_extra_roots(roots, provider());
                if let Ok(platform) = platform {
                    return Ok(Trust::Platform(Arc::new(platform)));
                }
            }
            let mut store =
                if self.only_these_roots { RootCertStore::empty() } else { platform_roots().clone() };
            add_roots(&mut store, &self.roots)?;
            Ok(Trust::Store(store))
        }
    }

    /// The authorities that the platform trusts, or Mozilla does if there are none.
    fn platform_roots() -> &'static RootCertStore {
        static ROOTS: LazyLock<RootCertStore> = LazyLock::new(|| {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
            store
        });
        &ROOTS
    }

    fn server_name(name: &str) -> Result<ServerName<'static>, Error> {
        ServerName::try_from(name.to_owned()).map_err(|_| {
            let text = format!("{name:?} is no name of a server for TLS; a host name or an address is");
            Error::text(ErrorKind::InvalidInput, text)
        })
    }

    impl Validation {
        async fn ask(&self, certificate: ServerCertificate) -> Result<(), BadCertificate> {
            let errors = certificate.errors.clone();
            let certificates = certificate.certificates.iter().map(|one| one.to_vec()).collect();
            (self.0)(certificate).await.map_err(|error| {
                let text = format!("its certificate was rejected by the validation set here: {error}");
                BadCertificate { text, errors, decisive: None, certificates }
            })
        }
    }

    impl fmt::Debug for Validation {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Validation")
        }
    }
}

#[cfg(not(feature = "__tls"))]
mod without_tls {

    use super::ClientTls;
    use crate::error::{Error, ErrorKind};
    use crate::io::transport::Transport;

    impl ClientTls {
        pub(crate) fn for_others(&self) -> Self {
            self.clone()
        }

        #[allow(clippy::unused_self)] // as with TLS
        pub(crate) fn invalid(&self) -> Option<&Error> {
            None
        }

        #[allow(clippy::unused_async)] // as with TLS
        pub(crate) async fn connect(&self, _: Transport, _: &str) -> Result<Transport, Error> {
            Err(Error::text(
                ErrorKind::Tls,
                "wsduo was built without TLS; use a ws URI, or build it with the feature aws-lc-rs or ring",
            ))
        }
    }
}
