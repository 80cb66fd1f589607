//! Keepalive and deadlines, with time as an argument.
//!
//! Traffic does not touch the clock. It leaves a mark, and the next look at the clock sees the mark: so silence is
//! measured from the look after the last byte. That makes a timeout never early, and late by no more than the time
//! between two looks: the keepalive interval, or the timeout itself where that is shorter.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::TimedOut;

/// How long a connection that has ended is kept for the peer to end it too: closing a TCP connection with unread input
/// resets it, and then the peer may not get to read our close frame.
const LINGER: Duration = Duration::from_secs(1);

/// The longest timeout there is: longer than anything lives, short enough to be added to any point in time.
const FOR_EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// What the connection waits for, as far as time is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// A frame was begun.
    pub(super) frame: bool,
    /// Bytes are queued.
    pub(super) output: bool,
    /// Bytes ever written.
    pub(super) written: u64,
    /// Data may still be exchanged: pings make sense.
    pub(super) open: bool,
}

/// What passed, or is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    /// A pong that nobody asked for.
    Pong,
    TimedOut(TimedOut),
}

#[derive(Debug)]
pub(super) struct Timer {
    /// Bytes came in, or went out, since the last look.
    heard: bool,
    wrote: bool,
    /// Whether a frame had begun, or output was waiting, at the last look.
    frame_waited: bool,
    output_waited: bool,
    /// The next look is so far off that what begins to wait now might time out before it.
    is_far_off: bool,
    /// The look, or the ping, that last saw input; the look that last saw progress of the output.
    heard_at: Instant,
    wrote_at: Instant,
    /// When the latest unsolicited pong was due, if there are any. Boxed, as all that most connections never need.
    ponged_at: Option<Box<Instant>>,
    /// How many pings were queued: the number of the latest.
    pings: u64,
    /// When the latest ping was queued, until it is answered.
    ping: Option<Box<Instant>>,
    /// The first ping after which nothing was heard: later ones do not give the peer more time.
    unanswered: Option<Box<Unanswered>>,
    closing: Option<Box<Closing>>,
    /// All has been said, and what is left of it to be written is waited for before [`LINGER`] begins.
    ended: bool,
    /// When to look next; `None` before the first look and after a change that may need an earlier one.
    next: Option<Instant>,
}

/// The deadline of the closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// Begun since the last look, which will make a deadline of it.
    Within(Duration),
    By(Instant),
}

/// A ping, as far as the patience with its answer is concerned.
#[derive(Debug)]
struct Unanswered {
    /// The look that first saw it written; until then, the last look.
    since: Instant,
    /// Where it begins in the outgoing stream.
    position: u64,
    is_written: bool,
}

impl Unanswered {
    /// Whether it was written without the last look knowing.
    fn is_just_written(&self, waiting: Waiting) -> bool {
        !self.is_written && waiting.written > self.position
    }
}

impl Timer {
    pub(super) fn new(now: Instant, config: &Config) -> Self {
        Self {
            heard: true,
            wrote: false,
            frame_waited: false,
            output_waited: false,
            is_far_off: false,
            heard_at: now,
            wrote_at: now,
            ponged_at: config.unsolicited_pong.map(|_| Box::new(now)),
            ping: None,
            unanswered: None,
            pings: 0,
            closing: None,
            ended: false,
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
        if self.next.is_some() {
            // These times begin with what was written, and the last look did not see it.
            return self.unanswered.as_ref().is_some_and(|ping| ping.is_just_written(waiting))
                || (self.ended && !waiting.output)
                || (self.is_far_off
                    && ((waiting.frame && !self.frame_waited) || (waiting.output && !self.output_waited)));
        }
        matches!(self.closing.as_deref(), Some(Closing::Within(_)))
            || (waiting.open && config.keepalive.is_some())
            || self.earliest(waiting, config).is_some()
    }

    /// When to look next; `None` where nothing is waited for.
    #[inline]
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Numbers the ping that is queued now, at this position of the outgoing stream.
    pub(super) fn ping_queued(&mut self, now: Instant, position: u64) -> u64 {
        self.pings += 1;
        self.ping = Some(Box::new(now));
        // What was heard before the ping does not answer it.
        self.settle_heard(now);
        self.unanswered
            .get_or_insert_with(|| Box::new(Unanswered { since: now, position, is_written: false }));
        self.next = None;
        self.pings
    }

    /// Matches a pong to the latest ping: when that was queued.
    pub(super) fn pong_received(&mut self, number: u64) -> Option<Instant> {
        self.ping.take_if(|_| number == self.pings).map(|at| *at)
    }

    /// The closing handshake has begun. It does not get more time if it began before.
    pub(super) fn closing(&mut self, config: &Config) {
        self.closing.get_or_insert_with(|| Box::new(Closing::Within(config.close_timeout)));
        self.next = None;
    }

    /// All has been said: once it is written, a short time is left for it to be read.
    pub(super) fn ended(&mut self, config: &Config) {
        self.closing(config);
        self.ended = true;
    }

    /// The transport is gone: nothing is waited for any more.
    pub(super) fn stop(&mut self) {
        self.unanswered = None;
        self.closing = None;
        self.ended = false;
        self.next = None;
    }

    /// Looks at the clock: what is due, if anything. Afterwards [`next`](Self::next) is up to date.
    pub(super) fn look(&mut self, now: Instant, waiting: Waiting, config: &Config) -> Due {
        if let Some(&Closing::Within(timeout)) = self.closing.as_deref() {
            self.close_within(timeout, now);
        }
        if self.ended && !waiting.output {
            self.ended = false;
            self.close_within(LINGER, now);
        }
        let heard = self.settle_heard(now);
        if let Some(ping) = self.unanswered.as_mut().filter(|ping| !ping.is_written) {
            // It may be stuck behind a large message of ours.
            ping.since = now;
            ping.is_written = ping.is_just_written(waiting);
        }
        let wrote = std::mem::take(&mut self.wrote);
        if wrote || !self.output_waited {
            self.wrote_at = now;
        }
        if let Some(ping) = self.unanswered.as_mut().filter(|_| wrote && self.output_waited) {
            // What was stuck moves again: the peer takes it, if slowly, and has the ping still before it.
            ping.since = now;
        }
        self.output_waited = waiting.output;
        self.frame_waited = waiting.frame;

        let due = self.due(now, waiting, config);
        if due == Due::Pong
            && let Some(at) = &mut self.ponged_at
        {
            **at = now;
        }
        // The last byte may have come just now, or the answer to the ping may come: look again before a whole
        // interval has passed.
        let soon = config
            .keepalive
            .filter(|_| waiting.open && (heard || self.unanswered.is_some()))
            .map(|interval| now + interval.min(FOR_EVER) / 2);
        self.next = self.earliest(waiting, config).into_iter().chain(soon).min();
        let shortest = config.receive_timeout.into_iter().chain(config.send_timeout).min();
        self.is_far_off = shortest.is_some_and(|timeout| {
            self.next.is_none_or(|next| next.saturating_duration_since(now) > timeout)
        });
        due
    }

    /// Whether something was heard since it was last asked. If so, all is well up to now.
    fn settle_heard(&mut self, now: Instant) -> bool {
        let heard = std::mem::take(&mut self.heard);
        if heard {
            self.heard_at = now;
            // Whoever sends is alive, though the pong may be stuck behind a large message.
            self.unanswered = None;
        }
        heard
    }

    fn close_within(&mut self, timeout: Duration, now: Instant) {
        let by = now + timeout.min(FOR_EVER);
        self.closing = Some(Box::new(Closing::By(self.close_by().map_or(by, |earlier| earlier.min(by)))));
    }

    fn close_by(&self) -> Option<Instant> {
        match self.closing.as_deref() {
            Some(Closing::By(by)) => Some(*by),
            Some(Closing::Within(_)) | None => None,
        }
    }

    fn due(&self, now: Instant, waiting: Waiting, config: &Config) -> Due {
        let passed = |since: Instant, timeout: Option<Duration>| {
            timeout.is_some_and(|timeout| now.saturating_duration_since(since) >= timeout)
        };
        if self.close_by().is_some_and(|by| by <= now) {
            Due::TimedOut(TimedOut::Close)
        } else if waiting.output && passed(self.wrote_at, config.send_timeout) {
            Due::TimedOut(TimedOut::Send)
        } else if self.silent_since(waiting).is_some_and(|since| passed(since, config.receive_timeout)) {
            Due::TimedOut(TimedOut::Receive)
        } else if waiting.open && self.unanswered.is_none() && passed(self.heard_at, config.keepalive) {
            Due::Ping
        } else if waiting.open
            && self.ponged_at.as_ref().is_some_and(|at| passed(**at, config.unsolicited_pong))
        {
            Due::Pong
        } else {
            Due::Nothing
        }
    }

    fn earliest(&self, waiting: Waiting, config: &Config) -> Option<Instant> {
        let after =
            |since: Instant, timeout: Option<Duration>| timeout.map(|timeout| since + timeout.min(FOR_EVER));
        [
            self.close_by(),
            after(self.wrote_at, config.send_timeout).filter(|_| waiting.output),
            self.silent_since(waiting).and_then(|since| after(since, config.receive_timeout)),
            after(self.heard_at, config.keepalive).filter(|_| waiting.open && self.unanswered.is_none()),
            self.ponged_at
                .as_ref()
                .and_then(|at| after(**at, config.unsolicited_pong))
                .filter(|_| waiting.open),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Since when the peer is silent though something has to come; `None` where it may be silent.
    fn silent_since(&self, waiting: Waiting) -> Option<Instant> {
        if waiting.frame { Some(self.heard_at) } else { self.unanswered.as_ref().map(|ping| ping.since) }
    }
}
