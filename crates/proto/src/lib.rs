//! wsduo

pub mod handshake;
pub mod uri;
