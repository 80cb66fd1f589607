//! What is told to whoever watches: spans and events of `tracing`, and `metrics`. The only place that names any of them;
//! `docs/observability.md` lists them all, and a test holds the two together.
//!
//! Nothing here is done for a message. A connection counts for itself, and its counts are told at some of its waits, when it
//! looks at the clock and when it ends. Without the features, or where nobody watches, a connection has one empty pointer
//! at most.

#[cfg(any(feature = "tracing", feature = "metrics"))]
mod accepting;
#[cfg(feature = "tracing")]
mod events;
#[cfg(feature = "metrics")]
pub(crate) mod meters;
#[cfg(any(feature = "tracing", feature = "metrics"))]
mod on;
#[cfg(feature = "tracing")]
mod text;

#[cfg(not(any(feature = "tracing", feature = "metrics")))]
mod off;

#[cfg(any(feature = "tracing", feature = "metrics"))]
pub(crate) use accepting::Accepting;
#[cfg(not(any(feature = "tracing", feature = "metrics")))]
pub(crate) use off::{Accepting, Asked, Handshake, Watch, connecting, step};
#[cfg(any(feature = "tracing", feature = "metrics"))]
pub(crate) use on::{Asked, Handshake, Watch, connecting, step};

#[cfg(feature = "metrics")]
pub(crate) use meters::dropped_messages;

use wsduo_proto::{Closed, Role};

use crate::error::Error;
use crate::information::Statistics;

/// How a connection ended, for whoever watches.
#[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "metrics need less"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'a> {
    /// `None` where the socket was dropped while it was open.
    pub(crate) closed: Option<&'a Closed>,
    /// Why, unless it was closed cleanly.
    pub(crate) failure: Option<&'a Error>,
    pub(crate) statistics: Statistics,
}

/// The value of the label and field `role`.
#[cfg_attr(not(any(feature = "tracing", feature = "metrics")), allow(dead_code, reason = "nobody watches"))]
fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

/// A queue dropped so many messages, by this policy of its own.
#[cfg(not(feature = "metrics"))]
pub(crate) fn dropped_messages(_: &'static str, _: u64) {}
