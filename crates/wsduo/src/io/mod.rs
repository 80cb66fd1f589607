//! Where bytes meet a transport. For maintainers: only [`driver`] polls an open connection; only [`dial`], [`tunnel`],
//! [`socks`], [`connect`], [`handshake`] and [`journey`] wait for anything before it is open.

pub(crate) mod alarm;
pub(crate) mod connect;
pub(crate) mod dial;
pub(crate) mod driver;
pub(crate) mod handshake;
pub(crate) mod input;
pub(crate) mod journey;
pub(crate) mod keys;
pub(crate) mod patience;
pub(crate) mod scratch;
pub(crate) mod socks;
pub(crate) mod tasks;
pub(crate) mod transport;
pub(crate) mod tunnel;
