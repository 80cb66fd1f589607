//! Spans and events of `tracing`.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use tracing::{Level, Span, field};
use wsduo_proto::handshake::{DeflateAgreement, Request};
use wsduo_proto::{Initiator, ProtocolError, Role, WebSocketUri};

use super::text::{Escaped, without_query};
use super::{Ending, role_name};
use crate::connecting::Connecting;
use crate::error::{Error, ErrorKind};
use crate::information::Facts;

/// The target of all that is told, so that one directive selects it: `wsduo=debug`.
const TARGET: &str = "wsduo";

/// Whether a subscriber wants any of what a connection tells.
pub(super) fn is_anybody_interested() -> bool {
    tracing::enabled!(target: TARGET, Level::INFO) || tracing::enabled!(target: TARGET, Level::WARN)
}

/// The span of a connection, and the event that it is open.
pub(super) fn opened(
    role: Role,
    facts: &Facts,
    compression: Option<DeflateAgreement>,
    path: Option<&str>,
) -> Span {
    /// The number of the next connection.
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let agreed = facts.agreed.as_deref();
    let span = tracing::info_span!(
        target: TARGET,
        "connection",
        id = NEXT.fetch_add(1, Ordering::Relaxed),
        role = role_name(role),
        peer = facts.remote_address.map(field::display),
        uri = agreed.and_then(|agreed| agreed.uri.as_deref()).map(|uri| field::display(without_query(uri))),
        path = path.map(|path| field::display(without_query(path))),
        subprotocol = agreed.and_then(|agreed| agreed.subprotocol.as_deref()).map(|it| field::display(Escaped(it))),
        tls = agreed.and_then(|agreed| agreed.tls.as_ref()).map(|tls| tls.version.as_str()),
        compression = compression.is_some(),
    );
    tracing::info!(name: "opened", target: TARGET, parent: &span, "the connection is open");
    span
}

pub(super) fn round_trip(span: &Span, time: Duration) {
    tracing::debug!(
        name: "round_trip", target: TARGET, parent: span, seconds = seconds(time), "a ping was answered"
    );
}

pub(super) fn limit(span: &Span, error: &ProtocolError) {
    tracing::warn!(name: "limit", target: TARGET, parent: span, error = %error, "the peer passed a limit");
}

pub(super) fn closed(span: &Span, ending: &Ending<'_>, open: Duration) {
    let Ending { closed, failure, statistics } = ending;
    tracing::info!(
        name: "closed",
        target: TARGET,
        parent: span,
        code = closed.map(|closed| u16::from(closed.code)),
        reason = closed.filter(|closed| !closed.reason.is_empty()).map(|it| field::display(Escaped(&it.reason))),
        initiator = closed.map(|closed| match closed.initiator {
            Initiator::Local => "local",
            Initiator::Peer => "peer",
        }),
        clean = closed.is_some_and(|closed| closed.clean),
        seconds = seconds(open),
        messages_received = statistics.messages_received,
        messages_sent = statistics.messages_sent,
        bytes_received = statistics.bytes_received,
        bytes_sent = statistics.bytes_sent,
        error_kind = failure.map(|error| kind_name(error.kind())),
        error = failure.map(field::display),
        "{}",
        if closed.is_some() { "the connection has ended" } else { "the socket was dropped while it was open" },
    );
}

/// The span of a client's way to an open connection.
pub(super) fn connecting(uri: &WebSocketUri) -> Span {
    tracing::info_span!(target: TARGET, "connecting", uri = %without_query(&uri.to_string()))
}

pub(super) fn connect_failed(span: &Span, error: &Error, took: Duration) {
    tracing::info!(
        name: "connect_failed",
        target: TARGET,
        parent: span,
        error_kind = kind_name(error.kind()),
        status = error.refusal().map(|refusal| refusal.status.as_u16()),
        seconds = seconds(took),
        error = %error,
        "no connection could be made"
    );
}

/// Tells a step on the way in the span that is current, which is that of [`connecting`].
pub(super) fn step(step: &Connecting<'_>) {
    match *step {
        Connecting::ProxyChosen { proxy, because_of } => tracing::debug!(
            name: "proxy_chosen", target: TARGET, proxy = %Escaped(proxy), because_of = %Escaped(because_of),
            "the way leads through a proxy"
        ),
        Connecting::Resolved { host, addresses, took } => tracing::debug!(
            name: "resolved", target: TARGET, host = %Escaped(host), addresses = ?addresses,
            seconds = seconds(took), "the host has addresses"
        ),
        Connecting::AddressTried { address, error, took } => tracing::debug!(
            name: "address_tried", target: TARGET, address = %address, seconds = seconds(took),
            error = error.map(|error| field::display(Escaped(&error.to_string()).to_string())), "an address was tried"
        ),
        Connecting::Tunnelled { proxy, took } => tracing::debug!(
            name: "tunnelled", target: TARGET, proxy = %Escaped(proxy), seconds = seconds(took),
            "the proxy opened a tunnel"
        ),
        Connecting::TlsEstablished { information, took } => tracing::debug!(
            name: "tls_established", target: TARGET, version = information.version.as_str(),
            cipher_suite = information.cipher_suite.as_str(), seconds = seconds(took), "TLS is agreed"
        ),
        Connecting::Asking { uri } => tracing::debug!(
            name: "asking", target: TARGET, uri = %without_query(uri), "the server is asked for a WebSocket"
        ),
        Connecting::Answered { status, took, .. } => tracing::debug!(
            name: "answered", target: TARGET, status = status.as_u16(), seconds = seconds(took),
            "the server answered"
        ),
    }
}

pub(super) fn accept_failed(error: &io::Error, lack: &'static str) {
    tracing::warn!(
        name: "accept_failed",
        target: TARGET,
        lack,
        error = %error,
        "no connection can be accepted for now: new clients wait; where descriptors lack, raise their limit (ulimit -n) or lower \
         max_connections"
    );
}

pub(super) fn request_failed(peer: Option<SocketAddr>, error: &Error, outcome: &'static str) {
    tracing::info!(
        name: "request_failed",
        target: TARGET,
        peer = peer.map(field::display),
        outcome,
        error_kind = kind_name(error.kind()),
        error = %error,
        "a client did not come as far as a connection"
    );
}

pub(super) fn request_refused(peer: Option<SocketAddr>, request: &Request, status: StatusCode) {
    tracing::info!(
        name: "request_refused",
        target: TARGET,
        peer = peer.map(field::display),
        path = %without_query(request.path()),
        status = status.as_u16(),
        reason = status.canonical_reason(),
        "a request was refused"
    );
}

/// To the microsecond, so that nobody has to read sixteen digits.
fn seconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e6
}

/// The value of the field `error_kind`: the name of the variant.
fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidInput => "InvalidInput",
        ErrorKind::Misuse => "Misuse",
        ErrorKind::Busy => "Busy",
        ErrorKind::Resolve => "Resolve",
        ErrorKind::Connect => "Connect",
        ErrorKind::Proxy => "Proxy",
        ErrorKind::Tls => "Tls",
        ErrorKind::CertificateRejected => "CertificateRejected",
        ErrorKind::Handshake => "Handshake",
        ErrorKind::Refused => "Refused",
        ErrorKind::Protocol => "Protocol",
        ErrorKind::TooLarge => "TooLarge",
        ErrorKind::TimedOut => "TimedOut",
        ErrorKind::Lost => "Lost",
        ErrorKind::Closed => "Closed",
        ErrorKind::Listen => "Listen",
    }
}
