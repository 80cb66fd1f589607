//! Two connections joined by a link that exists only here, with a clock of their own.

use std::time::{Duration, Instant};

use wsduo_proto::{Config, Delivery, Role, TimedOut};

use crate::support::{End, keys};

/// How often the link moves.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// One direction of the link.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Link {
    /// Carries this many bytes a tick.
    Carries(usize),
    /// Takes everything and delivers nothing: the cable is pulled, the system does not know yet.
    Swallows,
    /// Takes nothing: the peer does not read.
    Stuck,
}

/// A connection and what time did to it.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) end: End,
    pub(crate) outgoing: Link,
    /// When it sent pings by itself, since the start.
    pub(crate) pings: Vec<Duration>,
    pub(crate) timed_out: Option<(Duration, TimedOut)>,
}

#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) client: Timed,
    pub(crate) server: Timed,
    start: Instant,
    pub(crate) now: Instant,
}

impl Timed {
    fn new(role: Role, config: Config, now: Instant) -> Self {
        Self {
            end: End::new(role, config, now),
            outgoing: Link::Carries(usize::MAX),
            pings: Vec::new(),
            timed_out: None,
        }
    }

    fn look(&mut self, now: Instant, start: Instant) {
        let connection = &mut self.end.connection;
        let due = connection.next_look().is_some_and(|next| next <= now);
        if self.timed_out.is_some() || !(due || connection.wants_look()) {
            return;
        }
        let before = connection.queued();
        match connection.look_at_clock(now, &mut keys()) {
            Ok(()) => {
                assert!(
                    connection.next_look().is_none_or(|next| next > now),
                    "asks to be looked at for ever"
                );
                assert!(!connection.wants_look());
            }
            Err(timed_out) => {
                assert!(connection.is_ended() && !connection.has_output());
                self.timed_out = Some((now - start, timed_out));
            }
        }
        if self.timed_out.is_none() && connection.queued() > before {
            self.pings.push(now - start);
        }
    }

    fn carry(&mut self, to: &mut Self) {
        if self.timed_out.is_some() {
            return;
        }
        let bytes = match self.outgoing {
            Link::Carries(limit) => self.end.write_some(limit),
            Link::Swallows => {
                self.end.write();
                return;
            }
            Link::Stuck => return,
        };
        if !bytes.is_empty() && to.timed_out.is_none() {
            to.end.receive(&bytes, Delivery::Whole);
        }
    }
}

impl Pair {
    pub(crate) fn new(client: Config, server: Config) -> Self {
        let start = Instant::now();
        Self {
            client: Timed::new(Role::Client, client, start),
            server: Timed::new(Role::Server, server, start),
            start,
            now: start,
        }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Lets time pass, looking at the clock whenever one of the two asks for it and not otherwise.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.client.carry(&mut self.server);
            self.server.carry(&mut self.client);
            self.client.look(self.now, self.start);
            self.server.look(self.now, self.start);
            if self.now >= end {
                break;
            }
            let looks = [&self.client, &self.server].map(|timed| timed.end.connection.next_look());
            let next = looks.into_iter().flatten().filter(|look| *look > self.now).min();
            self.now = next.unwrap_or(end).min(end).min(self.now + TICK);
        }
    }
}
