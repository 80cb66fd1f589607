//! Metrics, for whichever recorder is installed. No label has a value that a peer could choose freely.

use std::borrow::Cow;
use std::time::Duration;

use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use wsduo_proto::{Closed, Role};

use super::role_name;
use crate::information::Statistics;

const OPEN: &str = "wsduo_connections_open";
const OPENED: &str = "wsduo_connections_opened_total";
const CLOSED: &str = "wsduo_connections_closed_total";
const DURATION: &str = "wsduo_connection_duration_seconds";
const HANDSHAKES: &str = "wsduo_handshakes_total";
const MESSAGES: &str = "wsduo_messages_total";
const BYTES: &str = "wsduo_bytes_total";
const QUEUED: &str = "wsduo_queued_bytes";
const ROUND_TRIP: &str = "wsduo_round_trip_seconds";
const ACCEPT_ERRORS: &str = "wsduo_accept_errors_total";
const DROPPED: &str = "wsduo_messages_dropped_total";

/// Tells the recorder that is installed the unit and the meaning of each metric of this crate.
///
/// Call it once, after a recorder was installed; without it the metrics are the same, only without descriptions. All of
/// them are in `docs/observability.md`.
pub fn describe_metrics() {
    describe_gauge!(OPEN, Unit::Count, "Connections that are open");
    describe_counter!(OPENED, Unit::Count, "Connections that were opened");
    describe_counter!(CLOSED, Unit::Count, "Connections that ended, by close code");
    describe_histogram!(DURATION, Unit::Seconds, "How long connections were open");
    describe_counter!(
        ACCEPT_ERRORS,
        Unit::Count,
        "Connections that could not be accepted yet, by what lacked"
    );
    describe_counter!(HANDSHAKES, Unit::Count, "Opening handshakes, by what came of them");
    describe_counter!(MESSAGES, Unit::Count, "Messages received to their end and queued to their end");
    describe_counter!(BYTES, Unit::Bytes, "Bytes of frames, headers included, read and written");
    describe_histogram!(QUEUED, Unit::Bytes, "Bytes that wait to be written, looked at now and then");
    describe_histogram!(ROUND_TRIP, Unit::Seconds, "What answered pings took");
    describe_counter!(DROPPED, Unit::Count, "Messages dropped by full queues, by policy");
}

pub(super) fn accept_failed(lack: &'static str) {
    counter!(ACCEPT_ERRORS, "lack" => lack).increment(1);
}

pub(super) fn handshake(role: Role, outcome: &'static str) {
    counter!(HANDSHAKES, "role" => role_name(role), "outcome" => outcome).increment(1);
}

/// An opening handshake, which counts as cancelled if it is dropped before it is over.
#[derive(Debug)]
pub(super) struct Attempt(Option<Role>);

impl Attempt {
    pub(super) fn new(role: Role) -> Self {
        Self(Some(role))
    }

    pub(super) fn over(mut self, outcome: &'static str) {
        if let Some(role) = self.0.take() {
            handshake(role, outcome);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(role) = self.0 {
            handshake(role, "cancelled");
        }
    }
}

/// Counts an open connection: the gauge that it was counted on, to be counted down at its end. That of a recorder which was
/// installed later never heard of it.
pub(super) fn opened(role: Role) -> Gauge {
    counter!(OPENED, "role" => role_name(role)).increment(1);
    let open = gauge!(OPEN, "role" => role_name(role));
    open.increment(1);
    open
}

pub(super) fn closed(role: Role, gauge: &Gauge, closed: Option<&Closed>, open: Duration) {
    gauge.decrement(1);
    counter!(CLOSED, "role" => role_name(role), "code" => code(closed)).increment(1);
    histogram!(DURATION, "role" => role_name(role)).record(open);
}

/// What was counted since `told`, and what waits now.
pub(super) fn traffic(role: Role, told: &Statistics, now: &Statistics) {
    let role = role_name(role);
    let add = |name, direction, from: u64, to: u64| {
        if to > from {
            counter!(name, "role" => role, "direction" => direction).increment(to - from);
        }
    };
    add(MESSAGES, "received", told.messages_received, now.messages_received);
    add(MESSAGES, "sent", told.messages_sent, now.messages_sent);
    add(BYTES, "received", told.bytes_received, now.bytes_received);
    add(BYTES, "sent", told.bytes_sent, now.bytes_sent);
    histogram!(QUEUED, "role" => role).record(now.bytes_queued as f64);
}

pub(super) fn round_trip(role: Role, time: Duration) {
    histogram!(ROUND_TRIP, "role" => role_name(role)).record(time);
}

/// A queue dropped so many messages, by this policy of its own.
pub(crate) fn dropped_messages(policy: &'static str, messages: u64) {
    counter!(DROPPED, "policy" => policy).increment(messages);
}

/// A peer may choose any of three thousand codes: only those with a name are labels.
fn code(closed: Option<&Closed>) -> Cow<'static, str> {
    match closed.map(|closed| closed.code) {
        None => "dropped".into(),
        Some(code) if code.description().is_some() => u16::from(code).to_string().into(),
        Some(_) => "other".into(),
    }
}
