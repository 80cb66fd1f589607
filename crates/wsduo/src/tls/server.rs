//! What a server shows to its clients, and what it wants to see of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use webpki::EndEntityCert;

use super::fault::{self, Peer};
use super::shared::{ALPN, add_roots, cannot_set_up, certificates, provider};
use super::{Identity, TlsVersion};
use crate::error::{Error, ErrorKind};
use crate::io::transport::Transport;

/// How long a client is given to read why TLS failed before the connection is dropped.
const LINGER: std::time::Duration = std::time::Duration::from_secs(1);

/// What a server shows to its clients, and what it wants to see of them. Cheap to clone.
///
/// # Examples
/// Several certificates, chosen by the name that the client asks for, and new ones without a restart:
/// ```no_run
/// use wsduo::{Identity, Listener, ServerTls};
///
/// # async fn example() -> Result<(), wsduo::Error> {
/// let tls = ServerTls::new(Identity::from_pem_files("a.pem", "a.key")?)
///     .add_identity(Identity::from_pem_files("b.pem", "b.key")?);
/// let listener = Listener::bind("0.0.0.0:443").tls(tls.clone()).await?;
/// // Later, in whatever task hears of new certificates:
/// tls.replace(&ServerTls::new(Identity::from_pem_files("a.pem", "a.key")?))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServerTls {
    settings: Settings,
    /// What new connections are served with, shared by all clones. `None` until it is first needed.
    live: Arc<Mutex<Option<Arc<ServerConfig>>>>,
}

#[derive(Clone, Debug)]
struct Settings {
    /// One at least: the first is the default.
    identities: Vec<Identity>,
    clients: Clients,
    min_version: TlsVersion,
    alpn: Vec<Vec<u8>>,
}

/// What is wanted of clients.
#[derive(Clone, Debug)]
enum Clients {
    Anyone,
    /// Whoever shows a certificate needs one by these authorities.
    Optional(Vec<CertificateDer<'static>>),
    Required(Vec<CertificateDer<'static>>),
}

impl ServerTls {
    /// Shows this certificate to every client.
    pub fn new(identity: Identity) -> Self {
        let settings = Settings {
            identities: vec![identity],
            clients: Clients::Anyone,
            min_version: TlsVersion::default(),
            alpn: vec![ALPN.to_vec()],
        };
        Self { settings, live: Arc::default() }
    }

    /// Shows this certificate to clients that ask for one of its names (SNI): exactly, or by a wildcard for one label. Others
    /// see the first certificate. Where several have the name, the earlier one is shown.
    #[must_use]
    pub fn add_identity(self, identity: Identity) -> Self {
        self.set(|settings| settings.identities.push(identity))
    }

    /// Refuses clients that do not show a certificate by one of the authorities in this PEM text. Default: clients are not asked.
    ///
    /// What was shown stands in [`Request::tls`](crate::Request::tls).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no certificate in it, or a malformed one.
    pub fn require_client_certificate(self, roots: impl AsRef<[u8]>) -> Result<Self, Error> {
        let roots = certificates(roots.as_ref())?;
        Ok(self.set(|settings| settings.clients = Clients::Required(roots)))
    }

    /// Asks clients for a certificate by one of the authorities in this PEM text, and lets in those that have none. A bad one is
    /// refused.
    ///
    /// # Errors
    /// As [`require_client_certificate`](Self::require_client_certificate).
    pub fn request_client_certificate(self, roots: impl AsRef<[u8]>) -> Result<Self, Error> {
        let roots = certificates(roots.as_ref())?;
        Ok(self.set(|settings| settings.clients = Clients::Optional(roots)))
    }

    /// The least version of TLS to agree to. Default: 1.2.
    #[must_use]
    pub fn min_version(self, version: TlsVersion) -> Self {
        self.set(|settings| settings.min_version = version)
    }

    /// The protocols to take by ALPN (RFC 7301), the preferred one first; none: whatever clients offer is not looked at.
    /// Default: `http/1.1`. Clients that offer others alone are refused.
    #[must_use]
    pub fn alpn<P: Into<Vec<u8>>>(self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.set(|settings| settings.alpn = protocols.into_iter().map(Into::into).collect())
    }

    /// From now on serves new connections as `by` says, wherever a clone of this is in use: renewed certificates, other
    /// authorities. Open connections go on as they are.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `by` cannot be used; everything stays as it is then.
    pub fn replace(&self, by: &Self) -> Result<(), Error> {
        let config = by.config()?;
        *self.live() = Some(config);
        Ok(())
    }

    /// What to serve a new connection with.
    pub(crate) fn config(&self) -> Result<Arc<ServerConfig>, Error> {
        let mut live = self.live();
        if let Some(config) = &*live {
            return Ok(Arc::clone(config));
        }
        let config = self.settings.build()?;
        *live = Some(Arc::clone(&config));
        Ok(config)
    }

    pub(crate) async fn accept(&self, transport: Transport) -> Result<Transport, Error> {
        match TlsAcceptor::from(self.config()?).accept(transport).into_fallible().await {
            Ok(stream) => Ok(Transport::tls(stream, Vec::new(), None)),
            Err((error, tcp)) => {
                // Unread input would make the system reset the connection, and the alert would be lost.
                let _ = tokio::time::timeout(LINGER, drain(tcp)).await;
                Err(fault::failure(Peer::Client, error))
            }
        }
    }

    fn live(&self) -> std::sync::MutexGuard<'_, Option<Arc<ServerConfig>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With settings of its own, which clones made before do not share.
    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        Self { settings: self.settings, live: Arc::default() }
    }
}

impl From<Identity> for ServerTls {
    fn from(identity: Identity) -> Self {
        Self::new(identity)
    }
}

async fn drain(mut tcp: Transport) {
    let _ = tcp.shutdown().await;
    let mut dropped = vec![0; 1024];
    while matches!(tcp.read(&mut dropped).await, Ok(n) if n > 0) {}
}

impl Settings {
    fn build(&self) -> Result<Arc<ServerConfig>, Error> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.min_version.and_later())
            .map_err(cannot_set_up)?;
        let builder = match &self.clients {
            Clients::Anyone => builder.with_no_client_auth(),
            Clients::Optional(roots) | Clients::Required(roots) => {
                let mut store = RootCertStore::empty();
                add_roots(&mut store, roots)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider());
                let verifier = match &self.clients {
                    Clients::Optional(_) => verifier.allow_unauthenticated(),
                    _ => verifier,
                };
                let verifier = verifier.build().map_err(|error| {
                    let text = "the authorities for client certificates cannot be used";
                    Error::source(ErrorKind::InvalidInput, text, error)
                })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(ByName::new(&self.identities)));
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(Arc::new(config))
    }
}

/// Which certificate to show for which name.
#[derive(Debug)]
struct ByName {
    /// By names in lower case, those with a wildcard too.
    names: HashMap<String, Arc<CertifiedKey>>,
    default: Option<Arc<CertifiedKey>>,
}

impl ByName {
    fn new(identities: &[Identity]) -> Self {
        let mut names = HashMap::new();
        for identity in identities {
            let leaf = identity.key.cert.first().and_then(|leaf| EndEntityCert::try_from(leaf).ok());
            for name in leaf.iter().flat_map(|leaf| leaf.valid_dns_names()) {
                names.entry(name.to_ascii_lowercase()).or_insert_with(|| Arc::clone(&identity.key));
            }
        }
        Self { names, default: identities.first().map(|identity| Arc::clone(&identity.key)) }
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        self.names.get(&name).or_else(|| {
            let (_, domain) = name.split_once('.')?;
            self.names.get(&format!("*.{domain}"))
        })
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| self.find(name));
        found.or(self.default.as_ref()).cloned()
    }
}
