//! Certificates (`Windows.Security.Cryptography.Certificates`).

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sha1::Digest as _;
use wsduo::Identity;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};
use x509_parser::time::ASN1Time;

use crate::date_time::DateTime;
use crate::error::Error;

/// A certificate: of a server, or of this client with its private key. Cheap to clone.
///
/// Where the original takes a client's certificate out of a store, an [`Identity`] becomes one here: from PEM
/// or PKCS#12.
///
/// # Examples
/// ```no_run
/// use wsduo_winrt::{Certificate, Identity, MessageWebSocket};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let identity = Identity::from_pem_files("client.pem", "client.key")?;
/// let socket = MessageWebSocket::new();
/// socket.control().set_client_certificate(Certificate::try_from(identity)?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Certificate {
    der: Bytes,
    subject: String,
    issuer: String,
    serial_number: Vec<u8>,
    valid_from: DateTime,
    valid_to: DateTime,
    identity: Option<Identity>,
}

impl Certificate {
    /// A certificate in DER form.
    ///
    /// # Errors
    /// [`Error::INVALID_ARGUMENT`] for what is no certificate.
    pub fn from_blob(der: impl Into<Bytes>) -> Result<Self, Error> {
        let der = der.into();
        let parsed = X509Certificate::from_der(&der);
        let Ok((_, certificate)) = parsed else {
            return Err(Error::new(Error::INVALID_ARGUMENT, "this is no X.509 certificate in DER form"));
        };
        let validity = certificate.validity();
        Ok(Self {
            subject: display_name(certificate.subject()),
            issuer: display_name(certificate.issuer()),
            serial_number: certificate.raw_serial().to_vec(),
            valid_from: time(validity.not_before)?,
            valid_to: time(validity.not_after)?,
            identity: None,
            der: der.clone(),
        })
    }

    /// Whom it is for: the common name, as the original shows it, or the whole name where it has none.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Who made it: as [`subject`](Self::subject).
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// When it begins to be valid.
    pub fn valid_from(&self) -> DateTime {
        self.valid_from
    }

    /// When it ends to be valid.
    pub fn valid_to(&self) -> DateTime {
        self.valid_to
    }

    /// Its number among those of its issuer, as the bytes it has, the most significant first.
    pub fn serial_number(&self) -> &[u8] {
        &self.serial_number
    }

    /// Its SHA-1 hash.
    pub fn get_hash_value(&self) -> Vec<u8> {
        sha1::Sha1::digest(&self.der).to_vec()
    }

    /// Its hash by this algorithm: `SHA1` or `SHA256`.
    ///
    /// # Errors
    /// [`Error::INVALID_ARGUMENT`] for another algorithm.
    pub fn get_hash_value_by(&self, algorithm: &str) -> Result<Vec<u8>, Error> {
        match algorithm.to_ascii_uppercase().as_str() {
            "SHA1" => Ok(self.get_hash_value()),
            "SHA256" => Ok(sha2::Sha256::digest(&self.der).to_vec()),
            _ => Err(Error::new(
                Error::INVALID_ARGUMENT,
                "this algorithm of a hash is not known; SHA1 and SHA256 are",
            )),
        }
    }

    /// The certificate in DER form.
    pub fn get_certificate_blob(&self) -> Bytes {
        self.der.clone()
    }

    /// The certificate with its private key, if it has one here.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

/// The first certificate of the identity, and its key.
impl TryFrom<Identity> for Certificate {
    type Error = Error;

    fn try_from(identity: Identity) -> Result<Self, Error> {
        let own = identity.certificates().next().unwrap_or_default();
        let certificate = Self::from_blob(own.to_vec())?;
        Ok(Self { identity: Some(identity), ..certificate })
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject)
            .field("issuer", &self.issuer)
            .field("has_identity", &self.identity.is_some())
            .finish_non_exhaustive()
    }
}

fn display_name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|name| name.as_str().ok());
    common.map_or_else(|| name.to_string(), str::to_owned)
}

fn time(time: ASN1Time) -> Result<DateTime, Error> {
    let seconds = time.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH).try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_tells_what_stands_in_it() {
        let identity = Identity::self_signed(["www.example.org"]).unwrap();
        let certificate = Certificate::try_from(identity).unwrap();
        let now = DateTime::try_from(SystemTime::now()).unwrap();
        assert!(certificate.valid_from() < now && now < certificate.valid_to());
        assert!(!certificate.serial_number().is_empty() && !certificate.subject().is_empty());
        assert_eq!(certificate.subject(), certificate.issuer());
        assert_eq!(certificate.get_hash_value().len(), 20);
        assert_eq!(certificate.get_hash_value(), certificate.get_hash_value_by("sha1").unwrap());
        assert_eq!(certificate.get_hash_value_by("SHA256").unwrap().len(), 32);
        assert_eq!(certificate.get_hash_value_by("MD5").unwrap_err().code(), Error::INVALID_ARGUMENT);
        let copy = Certificate::from_blob(certificate.get_certificate_blob()).unwrap();
        assert_eq!(copy, certificate);
        assert!(copy.identity().is_none() && certificate.identity().is_some());
    }

    #[test]
    fn what_is_no_certificate_is_an_invalid_argument() {
        assert_eq!(Certificate::from_blob(vec![1, 2, 3]).unwrap_err().code(), Error::INVALID_ARGUMENT);
    }
}
