//! What every server answers TLS with: TLS 1.3 alone, aws-lc-rs, and a certificate made on the spot, on the P-256 curve.
//!
//! `wsduo`'s own server makes such a certificate too.

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use std::io;
use std::sync::Arc;

/// The configuration of a server.
///
/// # Errors
/// If the certificate cannot be made.
pub fn server() -> io::Result<Arc<ServerConfig>> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| {
            builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key.into())
        });
    config.map(Arc::new).map_err(io::Error::other)
}
