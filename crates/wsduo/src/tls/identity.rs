//! A certificate with its key, and where it comes from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::shared::{certificates, provider};
use crate::error::{Error, ErrorKind};

/// A certificate, with those of its issuers and its private key: what a server shows, and a client that is asked to. Cheap to
/// clone. Its `Debug` does not show the key.
#[derive(Clone)]
pub struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    #[cfg(feature = "self-signed")]
    certificate_pem: Option<Arc<str>>,
}

impl Identity {
    /// A certificate chain, the holder's own first, and the key to it, as PEM texts.
    ///
    /// The key may be PKCS#8, PKCS#1 or SEC1; not encrypted. One text that has both may be given twice.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no certificate or key in them, or they do not fit each other.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, Error> {
        let chain = certificates(chain.as_ref())?;
        let key = PrivateKeyDer::from_pem_slice(key.as_ref()).map_err(|error| {
            let text =
                "there is no usable private key in the PEM text; an encrypted one has to be decrypted first";
            Error::source(ErrorKind::InvalidInput, text, error)
        })?;
        Self::new(chain, key)
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

    /// A certificate chain and its key from a PKCS#12 file (`.p12`, `.pfx`), whose bytes these are, and its password.
    ///
    /// Reads what OpenSSL 3 writes (PBES2 with AES), and the older ways with RC2 and triple DES. The first key in it counts.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the password is wrong, there is no key with its certificate in it, or it is malformed.
    #[cfg(feature = "pkcs12")]
    pub fn from_pkcs12(bytes: impl AsRef<[u8]>, password: &str) -> Result<Self, Error> {
        use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
        use rustls::pki_types::PrivatePkcs8KeyDer;

        let store = KeyStore::from_pkcs12(bytes.as_ref(), password, Pkcs12ImportPolicy::Relaxed).map_err(
            |error| {
                let text = "the PKCS#12 file cannot be read; check its password";
                Error::source(ErrorKind::InvalidInput, text, error)
            },
        )?;
        let Some((_, found)) = store.private_key_chain() else {
            let text = "there is no private key in the PKCS#12 file; export it with its key";
            return Err(Error::text(ErrorKind::InvalidInput, text));
        };
        let chain = found.certs().iter().map(|certificate| certificate.as_der().to_vec().into());
        let key = PrivatePkcs8KeyDer::from(found.key().as_der().to_vec());
        Self::new(chain.collect(), key.into())
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, Error> {
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            let text = "the certificate and the key cannot be used together";
            Error::source(ErrorKind::InvalidInput, text, error)
        })?;
        Ok(Self {
            key: Arc::new(key),
            #[cfg(feature = "self-signed")]
            certificate_pem: None,
        })
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

    /// The certificates in DER form, the holder's own first.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.key.cert.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.key.cert.len()).finish_non_exhaustive()
    }
}
