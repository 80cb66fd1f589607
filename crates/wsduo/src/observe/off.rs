//! Nobody can watch: neither feature is on.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use wsduo_proto::handshake::{DeflateAgreement, Request};
use wsduo_proto::{ProtocolError, Role, WebSocketUri};

use super::Ending;
use crate::connecting::Connecting;
use crate::error::Error;
use crate::information::{Facts, Statistics};

/// What watches a connection.
#[derive(Debug, Default)]
pub(crate) struct Watch {}

impl Watch {
    pub(crate) fn begin(_: Role, _: &Facts, _: Option<DeflateAgreement>, _: &Asked) -> Self {
        Self {}
    }

    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        false
    }

    pub(crate) fn tell(&mut self, _: Statistics) {}

    pub(crate) fn round_trip(&self, _: Duration) {}

    pub(crate) fn failed(&self, _: &ProtocolError) {}

    pub(crate) fn end(&mut self, _: Ending<'_>) {}
}

/// What watches a listener.
#[derive(Debug, Default)]
pub(crate) struct Accepting {}

impl Accepting {
    #[allow(clippy::unused_self, reason = "as where somebody watches")]
    pub(crate) fn failed(&self, _: &io::Error) {}
}

/// What a client asked a server for.
#[derive(Debug, Default)]
pub(crate) struct Asked {}

impl Asked {
    pub(crate) fn of(_: &Request) -> Self {
        Self {}
    }
}

pub(crate) fn connecting<F>(_: &WebSocketUri, connecting: F) -> F {
    connecting
}

pub(crate) fn step(_: &Connecting<'_>) {}

/// A server's opening handshake.
#[derive(Debug)]
pub(crate) struct Handshake {}

impl Handshake {
    pub(crate) fn begin() -> Self {
        Self {}
    }

    pub(crate) fn accepted(self) {}

    pub(crate) fn failed(self, _: Option<SocketAddr>, _: &Error) {}

    pub(crate) fn refused(self, _: Option<SocketAddr>, _: &Request, _: StatusCode) {}
}
