//! For `crate::fuzzing`.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::chain::{Chain, Trust, inspect};
use super::shared::provider;
use crate::certificate::CertificateError;

/// All that is wrong with the certificates of a server, and whether the verifier of rustls accepts them, at a time in seconds
/// since 1970. `None` for a name that is none.
pub fn certificate_faults(
    roots: &[&[u8]],
    leaf: &[u8],
    intermediates: &[&[u8]],
    name: &str,
    now: u64,
) -> Option<(Vec<(CertificateError, String)>, bool)> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().map(|root| CertificateDer::from_slice(root)));
    let leaf = CertificateDer::from_slice(leaf);
    let intermediates: Vec<_> = intermediates.iter().map(|der| CertificateDer::from_slice(der)).collect();
    let name = ServerName::try_from(name).ok()?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));

    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store.clone()), provider()).build();
    let is_accepted = verifier
        .is_ok_and(|verifier| verifier.verify_server_cert(&leaf, &intermediates, &name, &[], now).is_ok());
    let algorithms = provider().signature_verification_algorithms;
    let chain = Chain { leaf: &leaf, intermediates: &intermediates, name: &name, now, algorithms };
    let found = inspect(chain, &Trust::Store(store));
    Some((found.into_iter().map(|finding| (finding.error, finding.text)).collect(), is_accepted))
}
