//! Whether the certificate of a server is accepted: the authorities, what is to be ignored, the pins.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, OtherError, SignatureScheme};
use sha2::{Digest, Sha256};
use webpki::EndEntityCert;

use super::chain::{Chain, Finding, Trust, inspect};
use crate::certificate::CertificateError;
use crate::error::BadCertificate;

/// Accepts the certificates of servers, or not.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) trust: Trust,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) ignored: Vec<CertificateError>,
    /// SHA-256 of the public keys of which the server has to have one, if there are any.
    pub(super) pins: Vec<[u8; 32]>,
    pub(super) accept_any: bool,
}

impl Verifier {
    /// All that is wrong with a certificate that was accepted. It is empty unless something is to be ignored.
    ///
    /// # Errors
    /// In the meantime it is not acceptable any more.
    pub(super) fn ignored_errors(
        &self,
        certificates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Result<Vec<CertificateError>, BadCertificate> {
        match certificates {
            [leaf, intermediates @ ..] if self.accept_any || !self.ignored.is_empty() => {
                self.check(leaf, intermediates, name, UnixTime::now())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// All that is wrong with a certificate that is acceptable.
    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Vec<CertificateError>, BadCertificate> {
        self.check_pins(leaf, intermediates)?;
        let algorithms = self.provider.signature_verification_algorithms;
        let findings = inspect(Chain { leaf, intermediates, name, now, algorithms }, &self.trust);
        let errors = findings.iter().map(|finding| finding.error).collect();
        if self.accept_any {
            return Ok(errors);
        }
        let is_decisive = |finding: &&Finding| !self.ignored.contains(&finding.error);
        let decisive: Vec<_> = findings.iter().filter(is_decisive).collect();
        match decisive.first() {
            None => Ok(errors),
            Some(first) => {
                let texts: Vec<_> = decisive.iter().map(|finding| &finding.text[..]).collect();
                let certificates = in_der(leaf, intermediates);
                let text = texts.join("; also, ");
                Err(BadCertificate { text, errors, decisive: Some(first.error), certificates })
            }
        }
    }

    fn check_pins(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), BadCertificate> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let certificates = in_der(leaf, intermediates);
        let found = EndEntityCert::try_from(leaf)
            .map(|leaf| <[u8; 32]>::from(Sha256::digest(leaf.subject_public_key_info())));
        match found {
            Ok(found) if self.pins.contains(&found) => Ok(()),
            Ok(found) => {
                let hex: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
                let text = format!(
                    "the public key of its certificate is not one of those pinned, its SHA-256 is {hex}; if the server \
                     has a new key, pin that"
                );
                Err(BadCertificate { text, errors: Vec::new(), decisive: None, certificates })
            }
            Err(error) => {
                let text = format!("its certificate cannot be read, so that no pin can fit it: {error}");
                Err(BadCertificate { text, errors: Vec::new(), decisive: None, certificates })
            }
        }
    }
}

/// All that a server showed, to be told of.
fn in_der(leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Vec<Vec<u8>> {
    std::iter::once(leaf).chain(intermediates).map(|certificate| certificate.to_vec()).collect()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = if self.accept_any {
            self.check_pins(leaf, intermediates)
        } else {
            self.check(leaf, intermediates, name, now).map(drop)
        };
        match checked {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(bad) => Err(rustls::CertificateError::Other(OtherError(Arc::new(bad))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
