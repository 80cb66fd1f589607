//! All that is wrong with a certificate chain.
//!
//! Verifiers stop at the first fault. So each question is asked again with the fault that was found taken away: at a time when
//! the certificates are valid, for any usage, with the authority that the server itself shows. What cannot be looked at
//! because of a fault before it counts as found.

use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::certificate::CertificateError;

/// More faults than that are not taken away one by one.
const MAX_QUESTIONS: usize = 8;

/// Longest piece of a certificate that is shown.
const MAX_SHOWN: usize = 64;

/// Who is trusted.
#[derive(Debug)]
pub(super) enum Trust {
    Store(RootCertStore),
    /// Those whom the platform trusts, by its own verifier.
    Platform(std::sync::Arc<dyn ServerCertVerifier>),
}

/// What a server showed, and for what it is to be good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain<'a> {
    pub(super) leaf: &'a CertificateDer<'a>,
    pub(super) intermediates: &'a [CertificateDer<'a>],
    pub(super) name: &'a ServerName<'a>,
    pub(super) now: UnixTime,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// One thing that is wrong, and what to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) error: CertificateError,
    pub(super) text: String,
}

/// What a verifier stumbled over.
enum Fault {
    /// `valid_at` is the end of its time that is nearer, if that is known.
    Expired {
        valid_at: Option<UnixTime>,
    },
    NotYetValid {
        valid_at: Option<UnixTime>,
    },
    Name,
    Issuer,
    Usage,
    Signature,
    /// The server's own certificate is one of an authority.
    Authority,
    Other(CertificateError, String),
}

/// What is asked of a verifier: the faults found so far are taken away.
struct Question<'a> {
    time: UnixTime,
    any_usage: bool,
    /// The authority that the server shows, to be taken for a trusted one.
    shown: Option<TrustAnchor<'a>>,
}

/// All that is wrong with `chain`, the worst first.
pub(super) fn inspect(chain: Chain<'_>, trust: &Trust) -> Vec<Finding> {
    let mut found = Findings::default();
    match EndEntityCert::try_from(chain.leaf) {
        Ok(leaf) => {
            find_all(chain, &leaf, trust, &mut found);
            if leaf.verify_is_valid_for_subject_name(chain.name).is_err() {
                found.add(CertificateError::InvalidName, wrong_name(chain));
            }
        }
        // It cannot even be read: whatever the reason is called, it is not good.
        Err(error) => match Fault::from(error) {
            Fault::Other(error, text) => found.add(error, text),
            Fault::Signature => found.add_signature(),
            _ => found.add_unknown(),
        },
    }
    found.0.sort_by_key(|finding| rank(finding.error));
    found.0
}

/// Fatal errors first, then by how much they say about who the server is.
fn rank(error: CertificateError) -> (bool, u8) {
    let weight = match error {
        CertificateError::Untrusted | CertificateError::IncompleteChain => 1,
        CertificateError::InvalidName => 2,
        CertificateError::Expired => 3,
        _ => 0,
    };
    (error.is_ignorable(), weight)
}

fn find_all(chain: Chain<'_>, leaf: &EndEntityCert<'_>, trust: &Trust, found: &mut Findings) {
    let mut question = Question { time: chain.now, any_usage: false, shown: None };
    for _ in 0..MAX_QUESTIONS {
        let Err(fault) = ask(chain, leaf, trust, &question) else { return };
        match fault {
            Fault::Expired { valid_at } => {
                found.add(CertificateError::Expired, expired(valid_at));
                match valid_at {
                    Some(time) => question.time = time,
                    None => return found.add_unknown(),
                }
            }
            Fault::NotYetValid { valid_at } => {
                found.add(CertificateError::Expired, not_yet_valid(valid_at));
                match valid_at {
                    Some(time) => question.time = time,
                    None => return found.add_unknown(),
                }
            }
            Fault::Usage => {
                let text = "the certificate was not made for servers; it needs the usage serverAuth";
                found.add(CertificateError::WrongUsage, text);
                if question.any_usage || matches!(trust, Trust::Platform(_)) {
                    return found.add_unknown();
                }
                question.any_usage = true;
            }
            Fault::Authority if is_self_issued(leaf) => return own_authority(chain, leaf, trust, found),
            Fault::Authority => {
                let text = "the certificate is one of an authority; the server needs one of its own";
                return found.add(CertificateError::BasicConstraintsError, text);
            }
            Fault::Issuer | Fault::Signature if question.shown.is_none() => match top(chain) {
                Some(top) => {
                    let (error, text) = untrusted(chain, top);
                    found.add(error, text);
                    question.shown = webpki::anchor_from_trusted_cert(top).ok();
                    if question.shown.is_none() {
                        return found.add_unknown();
                    }
                    inspect_top(chain, top, found);
                }
                None if matches!(fault, Fault::Issuer) => {
                    let issuer = parsed(chain.leaf)
                        .map_or_else(String::new, |leaf| excerpt(&leaf.issuer().to_string()));
                    return found.add(
                        CertificateError::IncompleteChain,
                        format!(
                            "the issuer of its certificate, {issuer}, is not trusted here and not shown; add it to the \
                             trusted roots, or have the server show its whole chain"
                        ),
                    );
                }
                None => return found.add_signature(),
            },
            Fault::Issuer => return found.add_unknown(),
            Fault::Signature => {
                found.0.retain(|finding| finding.error != CertificateError::Untrusted);
                return found.add_signature();
            }
            // By a verifier of the platform; it has been told apart from the others before.
            Fault::Name => {
                found.add(CertificateError::InvalidName, wrong_name(chain));
                return found.add_unknown();
            }
            Fault::Other(error, text) => return found.add(error, text),
        }
    }
    found.add_unknown();
}

fn ask(
    chain: Chain<'_>,
    leaf: &EndEntityCert<'_>,
    trust: &Trust,
    question: &Question<'_>,
) -> Result<(), Fault> {
    let anchors = match (&question.shown, trust) {
        (Some(shown), _) => std::slice::from_ref(shown),
        (None, Trust::Store(store)) => &store.roots[..],
        (None, Trust::Platform(verifier)) => return ask_platform(chain, &**verifier, question.time),
    };
    let usage = Usage { any: question.any_usage };
    let algorithms = chain.algorithms.all;
    leaf.verify_for_usage(algorithms, anchors, chain.intermediates, question.time, usage, None, None)
        .map(drop)
        .map_err(Fault::from)
}

/// For a name that the certificate has, so that the name, which is looked at elsewhere, hides nothing.
fn ask_platform(chain: Chain<'_>, verifier: &dyn ServerCertVerifier, time: UnixTime) -> Result<(), Fault> {
    use rustls::CertificateError as E;
    let own_name = own_name(chain);
    let name = own_name.as_ref().unwrap_or(chain.name);
    let error = match verifier.verify_server_cert(chain.leaf, chain.intermediates, name, &[], time) {
        Ok(_) => return Ok(()),
        Err(rustls::Error::InvalidCertificate(error)) => error,
        Err(other) => return Err(Fault::other(&other)),
    };
    let validity = parsed(chain.leaf).map(|leaf| leaf.validity().clone());
    let end = |time: ASN1Time| u64::try_from(time.timestamp()).ok().map(unix);
    Err(match error {
        E::ExpiredContext { not_after, .. } => Fault::Expired { valid_at: Some(not_after) },
        E::Expired => {
            let not_after = validity.and_then(|validity| end(validity.not_after));
            Fault::Expired { valid_at: not_after.filter(|not_after| *not_after < time) }
        }
        E::NotValidYetContext { not_before, .. } => Fault::NotYetValid { valid_at: Some(not_before) },
        E::NotValidYet => {
            let not_before = validity.and_then(|validity| end(validity.not_before));
            Fault::NotYetValid { valid_at: not_before.filter(|not_before| *not_before > time) }
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => Fault::Name,
        E::UnknownIssuer => Fault::Issuer,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => Fault::Usage,
        E::BadSignature => Fault::Signature,
        E::Revoked => Fault::revoked(),
        E::UnhandledCriticalExtension => Fault::critical(),
        other => Fault::other(&other),
    })
}

/// A self-signed certificate of an authority, used by a server itself: what tools make when asked for a self-signed one.
/// webpki does not look beyond that.
fn own_authority(chain: Chain<'_>, leaf: &EndEntityCert<'_>, trust: &Trust, found: &mut Findings) {
    let Some(certificate) = parsed(chain.leaf) else { return found.add_unknown() };
    let (signed, signature) = (certificate.tbs_certificate.as_ref(), &certificate.signature_value.data);
    let algorithms = chain.algorithms.all.iter();
    if !algorithms.into_iter().any(|algorithm| leaf.verify_signature(*algorithm, signed, signature).is_ok()) {
        return found.add_signature();
    }
    match certificate.extended_key_usage() {
        Ok(None) => {}
        Ok(Some(usage)) if usage.value.server_auth || usage.value.any => {}
        _ => {
            let text = "the certificate was not made for servers; it needs the usage serverAuth";
            found.add(CertificateError::WrongUsage, text);
        }
    }
    let is_trusted = |anchor: &TrustAnchor<'_>| {
        anchor.subject.as_ref() == leaf.subject()
            && webpki::spki_for_anchor(anchor) == leaf.subject_public_key_info()
            && anchor.name_constraints.is_none()
    };
    match trust {
        Trust::Store(store) if store.roots.iter().any(is_trusted) => {}
        _ => {
            let (error, text) = untrusted(chain, chain.leaf);
            found.add(error, text);
        }
    }
}

/// An authority that is taken for a trusted one is not looked at by webpki.
fn inspect_top(chain: Chain<'_>, top: &CertificateDer<'_>, found: &mut Findings) {
    // If it is the server's own, it has been looked at as such.
    if top == chain.leaf {
        return;
    }
    let Some(certificate) = parsed(top) else { return found.add_unknown() };
    if !certificate.is_ca() {
        let text = "a certificate of the chain is used as an authority and is none";
        found.add(CertificateError::BasicConstraintsError, text);
    }
    let Ok(now) = i64::try_from(chain.now.as_secs()) else { return found.add_unknown() };
    let validity = certificate.validity();
    let end = |time: ASN1Time| u64::try_from(time.timestamp()).ok().map(unix);
    if validity.not_after.timestamp() < now {
        found.add(CertificateError::Expired, expired(end(validity.not_after)));
    } else if validity.not_before.timestamp() > now {
        found.add(CertificateError::Expired, not_yet_valid(end(validity.not_before)));
    }
}

/// The certificate that the chain ends with, unless there is none but the server's own, which another one has made.
fn top<'a>(chain: Chain<'a>) -> Option<&'a CertificateDer<'a>> {
    let mut top = chain.leaf;
    for _ in 0..=chain.intermediates.len() {
        let certificate = EndEntityCert::try_from(top).ok()?;
        if is_self_issued(&certificate) {
            return Some(top);
        }
        let is_issuer = |candidate: &&CertificateDer<'_>| {
            EndEntityCert::try_from(*candidate)
                .is_ok_and(|candidate| candidate.subject() == certificate.issuer())
        };
        match chain.intermediates.iter().find(is_issuer) {
            Some(issuer) => top = issuer,
            None => break,
        }
    }
    (top != chain.leaf).then_some(top)
}

fn is_self_issued(certificate: &EndEntityCert<'_>) -> bool {
    certificate.issuer() == certificate.subject()
}

/// Why a chain that ends with `top` is not trusted.
fn untrusted(chain: Chain<'_>, top: &CertificateDer<'_>) -> (CertificateError, String) {
    let what_to_do = "if it is the right one, add it to the trusted roots";
    let Some(certificate) = parsed(top) else {
        return (CertificateError::Untrusted, format!("the certificate is not trusted here; {what_to_do}"));
    };
    let (subject, issuer) = (certificate.subject().to_string(), certificate.issuer().to_string());
    if subject != issuer {
        let issuer = excerpt(&issuer);
        let text = format!(
            "the chain of its certificate ends at {issuer}, which is not trusted here and not shown; {what_to_do}"
        );
        return (CertificateError::IncompleteChain, text);
    }
    let text = if top == chain.leaf {
        format!("its certificate is self-signed and not trusted here; {what_to_do}")
    } else {
        let subject = excerpt(&subject);
        format!("its certificate comes from {subject}, an authority not trusted here; {what_to_do}")
    };
    (CertificateError::Untrusted, text)
}

fn wrong_name(chain: Chain<'_>) -> String {
    let wanted = chain.name.to_str();
    let mut names = Vec::new();
    if let Some(leaf) = parsed(chain.leaf)
        && let Ok(Some(alternatives)) = leaf.subject_alternative_name()
    {
        names.extend(alternatives.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        }));
    }
    let all = names.len();
    let names: Vec<_> = names.iter().take(3).map(|name| excerpt(name)).collect();
    match (&names[..], all) {
        ([], _) => format!("its certificate has no name of a server in it, so it is not for {wanted}"),
        (names, all) => {
            let more =
                if all > names.len() { format!(" and {} more", all - names.len()) } else { String::new() };
            let names = names.join(", ");
            format!("its certificate is for {names}{more}, not for {wanted}; check the host of the URI")
        }
    }
}

/// A name that the certificate is made for.
fn own_name(chain: Chain<'_>) -> Option<ServerName<'static>> {
    let leaf = EndEntityCert::try_from(chain.leaf).ok()?;
    leaf.valid_dns_names().find_map(|name| ServerName::try_from(name.replacen('*', "any", 1)).ok())
}

fn address(bytes: &[u8]) -> Option<String> {
    let address: std::net::IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        16 => <[u8; 16]>::try_from(bytes).ok()?.into(),
        _ => return None,
    };
    Some(address.to_string())
}

fn expired(at: Option<UnixTime>) -> String {
    match at.and_then(date) {
        Some(date) => format!("its certificate expired on {date}; the server has to renew it"),
        None => "its certificate has expired; the server has to renew it".into(),
    }
}

fn not_yet_valid(at: Option<UnixTime>) -> String {
    match at.and_then(date) {
        Some(date) => format!("its certificate is not valid before {date}; check the clock of this machine"),
        None => "its certificate is not valid yet; check the clock of this machine".into(),
    }
}

fn date(time: UnixTime) -> Option<String> {
    let time = ASN1Time::from_timestamp(i64::try_from(time.as_secs()).ok()?).ok()?;
    Some(time.to_datetime().date().to_string())
}

fn unix(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}

fn parsed<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(certificate).ok().map(|(_, certificate)| certificate)
}

/// Text that someone else chose: quoted, without control characters, of a bounded length.
fn excerpt(text: &str) -> String {
    let end = text.char_indices().nth(MAX_SHOWN).map_or(text.len(), |(at, _)| at);
    let cut = if end < text.len() { "…" } else { "" };
    format!("\"{}{cut}\"", text[..end].escape_debug())
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// The first of a kind counts.
    fn add(&mut self, error: CertificateError, text: impl Into<String>) {
        if self.0.iter().all(|finding| finding.error != error) {
            self.0.push(Finding { error, text: text.into() });
        }
    }

    fn add_signature(&mut self) {
        let text = "a signature in the chain of its certificate is wrong or of a kind not supported here";
        self.add(CertificateError::InvalidSignature, text);
    }

    /// What could not be looked at is not good.
    fn add_unknown(&mut self) {
        self.add(
            CertificateError::OtherErrors,
            "the rest of its certificate could not be checked behind that",
        );
    }
}

/// Servers, or anyone.
struct Usage {
    any: bool,
}

impl ExtendedKeyUsageValidator for Usage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        if self.any { Ok(()) } else { KeyUsage::server_auth().validate(purposes) }
    }
}

impl Fault {
    fn revoked() -> Self {
        Self::Other(
            CertificateError::Revoked,
            "its certificate was revoked; the server needs a new one".into(),
        )
    }

    fn critical() -> Self {
        let text = "its certificate has a critical extension that is not understood here";
        Self::Other(CertificateError::UnknownCriticalExtension, text.into())
    }

    fn other(error: &dyn std::fmt::Display) -> Self {
        Self::Other(CertificateError::OtherErrors, format!("its certificate cannot be used: {error}"))
    }
}

impl From<webpki::Error> for Fault {
    fn from(error: webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::CertExpired { not_after, .. } => Self::Expired { valid_at: Some(not_after) },
            E::CertNotValidYet { not_before, .. } => Self::NotYetValid { valid_at: Some(not_before) },
            E::CertNotValidForName(_) => Self::Name,
            E::UnknownIssuer => Self::Issuer,
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Self::Usage,
            E::InvalidSignatureForPublicKey
            | E::SignatureAlgorithmMismatch
            | E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Self::Signature,
            E::CaUsedAsEndEntity => Self::Authority,
            E::EndEntityUsedAsCa | E::PathLenConstraintViolated => {
                let text = "a certificate of the chain is used as an authority without being allowed to";
                Self::Other(CertificateError::BasicConstraintsError, text.into())
            }
            E::NameConstraintViolation => {
                let text = "an authority of the chain is not allowed to vouch for this name";
                Self::Other(CertificateError::InvalidCertificateAuthorityPolicy, text.into())
            }
            E::UnsupportedCriticalExtension => Self::critical(),
            E::CertRevoked | E::CertDistrusted => Self::revoked(),
            other => Self::other(&other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::shared::provider;

    #[test]
    fn a_certificate_that_tells_of_two_kinds_of_signature_is_not_good() {
        // The first of the two, which webpki compares before it looks at anything else.
        const ECDSA_WITH_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(["localhost".into()]).unwrap().self_signed(&key).unwrap();
        let mut der = made.der().to_vec();
        let at = der.windows(8).position(|window| window == ECDSA_WITH_SHA256).unwrap();
        der[at + 7] = 3;

        let mut store = RootCertStore::empty();
        store.add(made.der().clone()).unwrap();
        let chain = Chain {
            leaf: &CertificateDer::from(der),
            intermediates: &[],
            name: &ServerName::try_from("localhost").unwrap(),
            now: unix(1_800_000_000),
            algorithms: provider().signature_verification_algorithms,
        };
        let found = inspect(chain, &Trust::Store(store));
        let errors: Vec<_> = found.iter().map(|finding| finding.error).collect();
        assert_eq!(errors, [CertificateError::InvalidSignature]);
    }
}
