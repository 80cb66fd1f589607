//! TLS of the servers: the same provider, the same settings, a certificate made on the spot.

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Accepts TLS 1.3 alone.
///
/// # Errors
/// If no certificate can be made.
pub fn acceptor() -> io::Result<TlsAcceptor> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![made.cert.into()], key));
    Ok(TlsAcceptor::from(Arc::new(config.map_err(io::Error::other)?)))
}
