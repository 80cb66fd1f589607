//! One connection, watched: what is kept for it, and when what is told.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::StatusCode;
use wsduo_proto::handshake::{DeflateAgreement, Request};
use wsduo_proto::{ProtocolError, Role, WebSocketUri};

use super::Ending;
#[cfg(feature = "tracing")]
use super::events;
#[cfg(feature = "metrics")]
use super::meters;
use crate::connecting::Connecting;
use crate::error::{Error, ErrorKind};
use crate::information::{Facts, Statistics};
use crate::io::alarm::Alarm;

/// Counts are told at every so many waits for input or room.
const WAITS: u8 = 64;

/// What watches a connection, if anything does.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<Box<Watched>>);

#[derive(Debug)]
struct Watched {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
    #[cfg(feature = "metrics")]
    told: Statistics,
    #[cfg(feature = "metrics")]
    role: Role,
    /// Counts those that are open.
    #[cfg(feature = "metrics")]
    open: metrics::Gauge,
    opened: Instant,
    waits: u8,
    over: bool,
}

impl Watch {
    /// Begins to watch a connection that has just been opened.
    pub(crate) fn begin(
        role: Role,
        facts: &Facts,
        compression: Option<DeflateAgreement>,
        asked: &Asked,
    ) -> Self {
        // Metrics have no way to tell whether anybody is interested.
        #[cfg(not(feature = "metrics"))]
        if !events::is_anybody_interested() {
            return Self(None);
        }
        #[cfg(not(feature = "tracing"))]
        let _ = (facts, compression, asked);
        let watched = Watched {
            #[cfg(feature = "tracing")]
            span: events::opened(role, facts, compression, asked.path.as_deref()),
            #[cfg(feature = "metrics")]
            told: Statistics::default(),
            #[cfg(feature = "metrics")]
            role,
            #[cfg(feature = "metrics")]
            open: meters::opened(role),
            opened: Alarm::now(),
            waits: 0,
            over: false,
        };
        Self(Some(Box::new(watched)))
    }

    /// Whether it is time to tell what was counted. Asked at each wait.
    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        let Some(watched) = &mut self.0 else { return false };
        watched.waits = (watched.waits + 1) % WAITS;
        watched.waits == 0
    }

    /// Tells what was counted since the last time.
    #[cfg_attr(not(feature = "metrics"), allow(clippy::unused_self, clippy::needless_pass_by_ref_mut))]
    pub(crate) fn tell(&mut self, statistics: Statistics) {
        #[cfg(feature = "metrics")]
        if let Some(watched) = &mut self.0 {
            meters::traffic(watched.role, &watched.told, &statistics);
            watched.told = statistics;
        }
        #[cfg(not(feature = "metrics"))]
        let _ = statistics;
    }

    /// A ping was answered.
    pub(crate) fn round_trip(&self, time: Duration) {
        let Some(watched) = &self.0 else { return };
        #[cfg(feature = "tracing")]
        events::round_trip(&watched.span, time);
        #[cfg(feature = "metrics")]
        meters::round_trip(watched.role, time);
    }

    /// The peer broke a rule or a limit. The rule is told with the end; the limit may be one to raise.
    pub(crate) fn failed(&self, error: &ProtocolError) {
        #[cfg(feature = "tracing")]
        if let Some(watched) = &self.0
            && error.is_limit()
        {
            events::limit(&watched.span, error);
        }
        #[cfg(not(feature = "tracing"))]
        let _ = error;
    }

    /// The connection has ended. Told once.
    pub(crate) fn end(&mut self, ending: Ending<'_>) {
        if self.0.as_ref().is_none_or(|watched| watched.over) {
            return;
        }
        self.tell(ending.statistics);
        let Some(watched) = &mut self.0 else { return };
        watched.over = true;
        let open = Alarm::now().saturating_duration_since(watched.opened);
        #[cfg(feature = "tracing")]
        events::closed(&watched.span, &ending, open);
        #[cfg(feature = "metrics")]
        meters::closed(watched.role, &watched.open, ending.closed, open);
    }
}

/// What a client asked a server for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Without the query.
    #[cfg(feature = "tracing")]
    path: Option<Box<str>>,
}

impl Asked {
    #[cfg(feature = "tracing")]
    pub(crate) fn of(request: &Request) -> Self {
        Self { path: events::is_anybody_interested().then(|| request.path().into()) }
    }

    #[cfg(not(feature = "tracing"))]
    pub(crate) fn of(_: &Request) -> Self {
        Self {}
    }
}

/// Watches a client connect.
pub(crate) async fn connecting<R>(
    uri: &WebSocketUri,
    connecting: impl Future<Output = Result<R, Error>>,
) -> Result<R, Error> {
    #[cfg(feature = "tracing")]
    let (span, begun) = (events::connecting(uri), Alarm::now());
    #[cfg(feature = "tracing")]
    let connecting = tracing::Instrument::instrument(connecting, span.clone());
    #[cfg(not(feature = "tracing"))]
    let _ = uri;
    #[cfg(feature = "metrics")]
    let attempt = meters::Attempt::new(Role::Client);
    let result = connecting.await;
    #[cfg(feature = "tracing")]
    if let Err(error) = &result {
        events::connect_failed(&span, error, Alarm::now().saturating_duration_since(begun));
    }
    #[cfg(feature = "metrics")]
    attempt.over(result.as_ref().map_or_else(outcome, |_| "accepted"));
    result
}

/// A step on the way to an open connection.
pub(crate) fn step(step: &Connecting<'_>) {
    #[cfg(feature = "tracing")]
    events::step(step);
    #[cfg(not(feature = "tracing"))]
    let _ = step;
}

/// A server's opening handshake, of which is told what comes of it; to metrics also that nothing did, as it was dropped.
#[derive(Debug)]
pub(crate) struct Handshake {
    #[cfg(feature = "metrics")]
    attempt: meters::Attempt,
}

impl Handshake {
    pub(crate) fn begin() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            attempt: meters::Attempt::new(Role::Server),
        }
    }

    pub(crate) fn accepted(self) {
        #[cfg(feature = "metrics")]
        self.attempt.over("accepted");
    }

    /// The client did not come as far as an open connection, and not because it was [refused](Self::refused).
    pub(crate) fn failed(self, peer: Option<SocketAddr>, error: &Error) {
        #[cfg(feature = "tracing")]
        events::request_failed(peer, error, outcome(error));
        #[cfg(not(feature = "tracing"))]
        let _ = peer;
        #[cfg(feature = "metrics")]
        self.attempt.over(outcome(error));
    }

    /// The application refuses the request.
    pub(crate) fn refused(self, peer: Option<SocketAddr>, request: &Request, status: StatusCode) {
        #[cfg(feature = "tracing")]
        events::request_refused(peer, request, status);
        #[cfg(not(feature = "tracing"))]
        let _ = (peer, request, status);
        #[cfg(feature = "metrics")]
        self.attempt.over("refused");
    }
}

/// What came of an opening handshake: a few words, whatever the peer does.
fn outcome(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Refused => "refused",
        ErrorKind::Handshake => "invalid",
        ErrorKind::TimedOut => "timed_out",
        ErrorKind::Tls | ErrorKind::CertificateRejected => "tls",
        ErrorKind::Connect => "lost",
        ErrorKind::Resolve => "resolve",
        ErrorKind::Proxy => "proxy",
        _ => "other",
    }
}
