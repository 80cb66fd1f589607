//! Keepalive and deadlines, with time as an argument.
//!
//! Traffic does not touch the clock. It leaves a mark, and the next look at the clock sees the mark: so silence
//! is measured from the look after the last byte, which makes each timeout up to half a keepalive interval late
//! and never early.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::TimedOut;

/// How long a connection that has ended is kept for the peer to end it too: closing a TCP connection with unread input
/// resets it, and then the peer may not get to read our close frame.
const LINGER: Duration = Duration::from_secs(1);

/// What the connection waits for, as far as time is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// A frame was begun.
    pub(super) frame: bool,
    /// Bytes are queued.
    pub(super) output: bool,
    /// Data may still be exchanged: pings make sense.
    pub(super) open: bool,
}

/// What passed, or is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    TimedOut(TimedOut),
}

#[derive(Debug)]
pub(super) struct Timer {
    /// Bytes came in, or went out, since the last look.
    heard: bool,
    wrote: bool,
    /// Whether output was waiting at the last look.
    output_waited: bool,
    /// The look that last saw input, or progress of the output.
    heard_at: Instant,
    wrote_at: Instant,
    /// The latest ping, until it is answered: its number and when it was sent.
    unanswered: Option<(u64, Instant)>,
    /// When it was sent, until anything is heard, which proves as much as the pong: for the deadline.
    ping: Option<Instant>,
    pings: u64,
    /// What the closing handshake may take, until the next look makes a deadline of it.
    closing: Option<Duration>,
    close_by: Option<Instant>,
    /// When to look next; `None` before the first look and after a change that may need an earlier one.
    next: Option<Instant>,
}

impl Timer {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            heard: true,
            wrote: false,
            output_waited: false,
            heard_at: now,
            wrote_at: now,
            unanswered: None,
            ping: None,
            pings: 0,
            closing: None,
            close_by: None,
            next: None,
        }
    }

    #[inline]
    pub(super) fn mark_heard(&mut self) {
        self.heard = true;
    }

    #[inline]
    pub(super) fn mark_wrote(&mut self) {
        self.wrote = true;
    }

    /// Whether there is something to wait for that the last look did not know of.
    #[inline]
    pub(super) fn is_stale(&self, waiting: Waiting, config: &Config) -> bool {
        self.next.is_none() && (self.closing.is_some() || self.earliest(waiting, config).is_some())
    }

    /// When to look next; `None` where nothing is waited for.
    #[inline]
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Numbers the ping that is sent now.
    pub(super) fn ping_sent(&mut self, now: Instant) -> u64 {
        self.pings += 1;
        self.unanswered = Some((self.pings, now));
        self.ping = Some(now);
        self.next = None;
        self.pings
    }

    /// Matches a pong to the latest ping: when that was sent.
    pub(super) fn pong_received(&mut self, number: u64) -> Option<Instant> {
        let (_, sent) = self.unanswered.take_if(|(latest, _)| *latest == number)?;
        self.ping = None;
        Some(sent)
    }

    /// The closing handshake has begun.
    pub(super) fn closing(&mut self, config: &Config) {
        self.closing = Some(config.close_timeout);
        self.next = None;
    }

    /// All has been said: a short time is left for the last frame to be read.
    pub(super) fn ended(&mut self, config: &Config) {
        self.closing = Some(LINGER.min(config.close_timeout));
        self.next = None;
    }

    /// Looks at the clock: what is due, if anything. Afterwards [`next`](Self::next) is up to date.
    pub(super) fn look(&mut self, now: Instant, waiting: Waiting, config: &Config) -> Due {
        if let Some(timeout) = self.closing.take() {
            // A closing handshake that fails does not get more time than it had.
            let by = now + timeout;
            self.close_by = Some(self.close_by.map_or(by, |earlier| earlier.min(by)));
        }
        let heard = std::mem::take(&mut self.heard);
        if heard {
            self.heard_at = now;
            // Whoever sends is alive, though the pong may be stuck behind a large message.
            self.ping = None;
        }
        if std::mem::take(&mut self.wrote) || !self.output_waited {
            self.wrote_at = now;
        }
        self.output_waited = waiting.output;

        let due = self.due(now, waiting, config);
        // The last byte may have come just now: look again before a whole interval has passed.
        let soon = config.keepalive.filter(|_| heard && waiting.open).map(|interval| now + interval / 2);
        self.next = self.earliest(waiting, config).into_iter().chain(soon).min();
        due
    }

    fn due(&self, now: Instant, waiting: Waiting, config: &Config) -> Due {
        let passed = |since: Instant, timeout: Option<Duration>| {
            timeout.is_some_and(|timeout| now.saturating_duration_since(since) >= timeout)
        };
        if self.close_by.is_some_and(|by| by <= now) {
            Due::TimedOut(TimedOut::Close)
        } else if waiting.output && passed(self.wrote_at, config.send_timeout) {
            Due::TimedOut(TimedOut::Send)
        } else if self.expects_input(waiting) && passed(self.silent_since(), config.receive_timeout) {
            Due::TimedOut(TimedOut::Receive)
        } else if waiting.open && self.ping.is_none() && passed(self.heard_at, config.keepalive) {
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    fn earliest(&self, waiting: Waiting, config: &Config) -> Option<Instant> {
        let after = |since: Instant, timeout: Option<Duration>| timeout.map(|timeout| since + timeout);
        [
            self.close_by,
            after(self.wrote_at, config.send_timeout).filter(|_| waiting.output),
            after(self.silent_since(), config.receive_timeout).filter(|_| self.expects_input(waiting)),
            after(self.heard_at, config.keepalive).filter(|_| waiting.open && self.ping.is_none()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn expects_input(&self, waiting: Waiting) -> bool {
        waiting.frame || self.ping.is_some()
    }

    fn silent_since(&self) -> Instant {
        self.ping.map_or(self.heard_at, |sent| sent.max(self.heard_at))
    }
}
