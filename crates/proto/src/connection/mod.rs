//! An open connection, without I/O: inputs, commands, outputs and questions.

mod assembly;
mod compressed;
mod output;
mod receive;
mod recycle;
mod send;
mod state;
mod timer;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use crate::close::{CloseCode, Closed, Initiator};
use crate::config::{Config, Role};
use crate::deflate::{Compression, CompressionStatistics, Deflate};
use crate::error::{ProtocolError, TimedOut};
use crate::frame::MaskingKeys;
use crate::handshake::DeflateAgreement;
use crate::message::{MessageRef, MessageType};

use assembly::Assembly;
pub use output::Output;
use send::Unfinished;
use state::State;
use timer::{Due, Timer, Waiting};

/// One end of an open WebSocket connection (RFC 6455 §5–§8).
///
/// Its methods are of four kinds, and a driver uses them in this order:
///
/// * **inputs**: [`receive`](Self::receive), [`receive_end`](Self::receive_end), [`look_at_clock`](Self::look_at_clock).
///   They never fail for the peer's sins: those are told as an event, with the answer already queued;
/// * **commands**: [`send`](Self::send), [`send_part`](Self::send_part), [`ping`](Self::ping), [`close`](Self::close).
///   They fail for the caller's mistakes alone;
/// * **outputs**, after each of these: the events, then [`output`](Self::output) to write and advance, then
///   [`next_look`](Self::next_look), when to look at the clock;
/// * **questions**, at any time: [`is_open`](Self::is_open), [`is_ended`](Self::is_ended), [`closed`](Self::closed) and so on.
///
/// The whole contract stands at the top of this crate.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    state: State,
    config: Arc<Config>,
    /// The message that is arriving, if one has begun that was not all there at once.
    message: Option<Box<Assembly>>,
    /// The largest message that may take the fast path: both limits of the configuration, in one look, or as much as a
    /// length of two bytes can say.
    max_whole: u16,
    output: Output,
    /// The message of which parts were sent, until its end.
    unfinished: Option<Unfinished>,
    /// What compression needs, if it was agreed on.
    deflate: Option<Box<Deflate>>,
    /// Control frames whose turn has not come.
    control: Option<Box<ControlFrames>>,
    /// Where the last pong queued ends in the outgoing stream. The next ones wait until that is written.
    pong_end: u64,
    /// How the connection ends; there once a close frame was queued or received, or the transport was lost.
    closed: Option<Box<Closed>>,
    timer: Timer,
    messages_received: u64,
    messages_sent: u64,
    /// The transport took bytes that it has not passed on.
    is_held_back: bool,
    /// The last message that was put together had at least 2 to the power of this many bytes: so much may be reserved for the
    /// next on the word of its header. Who sent it could as well have kept that much in use by not sending its end.
    proven: u8,
}

/// Control frames that wait to be queued.
#[derive(Debug, Default)]
struct ControlFrames {
    /// The payloads of pings not yet answered, at most [`MAX_PONGS`], so that pings cannot pile up.
    pongs: Vec<Vec<u8>>,
    close: Option<CloseFrame>,
}

/// Most pings that wait for their pongs. Of more, the latest takes the place of the one before it: only that has to be
/// answered (§5.5.3).
const MAX_PONGS: usize = 16;

#[derive(Debug)]
struct CloseFrame {
    code: Option<CloseCode>,
    reason: String,
}

/// How messages are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// When they are complete, within the limits of [`Config`].
    Whole,
    /// As they arrive, whatever their size.
    Parts,
}

/// What input brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message.
    Message(MessageRef<'a>),
    /// The next bytes of a message.
    Part {
        /// The bytes. Those of a text message may end inside a character.
        bytes: Cow<'a, [u8]>,
        /// The type of the message.
        message_type: MessageType,
        /// Whether the message ends here.
        is_complete: bool,
    },
    /// The answer to the latest ping.
    Pong {
        /// What [`Connection::ping`] returned.
        number: u64,
        /// When the ping was queued.
        sent: Instant,
    },
    /// The peer's close frame: the closing handshake is over, but for the answer that may be queued.
    Closed,
    /// The peer broke a rule or a limit; a close frame is queued.
    Failed(ProtocolError),
}

impl Event<'_> {
    /// The event to keep, with payloads of its own.
    pub fn into_static(self) -> Event<'static> {
        match self {
            Self::Message(message) => Event::Message(message.into_static()),
            Self::Part { bytes, message_type, is_complete } => {
                Event::Part { bytes: Cow::Owned(bytes.into_owned()), message_type, is_complete }
            }
            Self::Pong { number, sent } => Event::Pong { number, sent },
            Self::Closed => Event::Closed,
            Self::Failed(error) => Event::Failed(error),
        }
    }
}

impl Connection {
    /// A connection whose opening handshake has just been completed.
    pub fn new(role: Role, config: Arc<Config>, now: Instant) -> Self {
        let timer = Timer::new(now, &config);
        Self {
            role,
            state: State::Open,
            message: None,
            max_whole: u16::try_from(config.max_frame_size.min(config.max_message_size)).unwrap_or(u16::MAX),
            config,
            output: Output::default(),
            unfinished: None,
            deflate: None,
            control: None,
            pong_end: 0,
            closed: None,
            timer,
            messages_received: 0,
            messages_sent: 0,
            is_held_back: false,
            proven: 0,
        }
    }

    /// The same connection with permessage-deflate, as the opening handshake has agreed on it.
    #[must_use]
    pub fn with_compression(mut self, compression: &Compression, agreement: DeflateAgreement) -> Self {
        self.deflate = Some(Box::new(Deflate::new(compression, agreement)));
        self
    }

    // Questions.

    /// What was agreed on about compression, and what came of it. `None` without compression.
    pub fn compression(&self) -> Option<(DeflateAgreement, CompressionStatistics)> {
        self.deflate.as_ref().map(|deflate| (deflate.agreement, deflate.statistics))
    }

    /// Which end this is.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The limits and timeouts.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether messages can be sent.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether no more input is looked at. What is queued should still be written.
    #[inline]
    pub const fn is_ended(&self) -> bool {
        self.state.is_ended()
    }

    /// How the connection ended, or ends: there from the first close frame, sent or received.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_deref()
    }

    /// Whether parts of a message have been handed out and its end has not.
    pub fn is_in_parts(&self) -> bool {
        self.message.as_ref().is_some_and(|message| message.in_parts)
    }

    /// Messages delivered to their end.
    pub const fn messages_received(&self) -> u64 {
        self.messages_received
    }

    /// Messages queued to their end.
    pub const fn messages_sent(&self) -> u64 {
        self.messages_sent
    }

    /// Bytes of frames, headers included, that the transport took.
    pub fn bytes_written(&self) -> u64 {
        self.output.written()
    }

    /// Bytes that are queued or will be, counting control frames that wait for their turn.
    #[inline]
    pub fn has_output(&self) -> bool {
        !self.output.is_empty() || self.control.is_some()
    }

    /// Bytes queued and not written.
    #[inline]
    pub fn queued(&self) -> usize {
        self.output.len()
    }

    /// Whether as much is queued as [`Config::max_queued`] allows: time to write before more is sent.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.output.len() >= self.config.max_queued
    }

    // Inputs. `receive` is in receive.rs.

    /// Notes that bytes came in, so that silence is not suspected. Once for each read will do.
    #[inline]
    pub fn heard(&mut self) {
        self.timer.mark_heard();
    }

    /// The transport ended or failed: nothing more comes in and nothing can be written.
    ///
    /// Without a closing handshake that makes the end abnormal: 1006 (§7.1.5).
    pub fn receive_end(&mut self) {
        let unsent = self.has_output() || self.is_held_back;
        match &mut self.closed {
            // The close frame that answers theirs did not leave, so the closing handshake was not completed.
            Some(closed) if unsent => closed.clean = false,
            Some(_) => {}
            None => {
                self.closed = Some(Box::new(Closed {
                    code: CloseCode::ABNORMAL,
                    reason: String::new(),
                    initiator: Initiator::Peer,
                    clean: false,
                }));
            }
        }
        self.timer.stop();
        self.state = State::Ended;
        self.message = None;
        self.control = None;
        self.output.discard();
    }

    /// Looks at the clock: sends a keepalive ping, or a pong that nobody asked for, if it is time for one.
    ///
    /// # Errors
    /// [`TimedOut`] if a deadline has passed. Nothing can be expected of the peer any more: drop the transport.
    pub fn look_at_clock(&mut self, now: Instant, keys: &mut impl MaskingKeys) -> Result<(), TimedOut> {
        recycle::look_at_clock(now);
        loop {
            match self.timer.look(now, self.waiting(), &self.config) {
                Due::Nothing => return Ok(()),
                // Refused only while closing, and then none is due.
                Due::Ping => drop(self.ping(now, keys)),
                Due::Pong => {
                    self.unsolicited_pong(keys);
                    // Looked at again, it would count as output that was stuck, and its progress as a sign of life.
                    if !self.wants_look() {
                        return Ok(());
                    }
                }
                Due::TimedOut(timed_out) => {
                    self.receive_end();
                    return Err(timed_out);
                }
            }
        }
    }

    // Outputs.

    /// What is to be written: queues the control frames whose turn it is, then lends the queue.
    ///
    /// Write what [`Output::contiguous`] or [`Output::gather`] shows, tell [`Output::advance`] and, once per write,
    /// [`wrote`](Self::wrote).
    #[inline]
    pub fn output(&mut self, keys: &mut impl MaskingKeys) -> &mut Output {
        self.control_first(keys);
        &mut self.output
    }

    /// Lends the queue an empty buffer, where it has none of its own: an idle connection should own none.
    #[inline]
    pub fn lend_buffer(&mut self, buffer: impl FnOnce() -> Vec<u8>) {
        self.output.lend_buffer(buffer);
    }

    /// Takes the buffer of the queue back; what little may wait in it moves to memory of its own.
    #[inline]
    pub fn reclaim_buffer(&mut self) -> Option<Vec<u8>> {
        self.output.reclaim_buffer()
    }

    /// Notes whether the transport holds back bytes that it took, as TLS does while TCP is blocked. They count as not
    /// written where it matters: for deadlines, and for whether the end is clean.
    #[inline]
    pub fn set_held_back(&mut self, is_held_back: bool) {
        self.is_held_back = is_held_back;
    }

    /// Whether the transport holds back bytes that it took.
    #[inline]
    pub fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    /// Notes that the transport took bytes, so that it is not suspected to be stuck.
    #[inline]
    pub fn wrote(&mut self) {
        self.timer.mark_wrote();
    }

    /// Whether [`look_at_clock`](Self::look_at_clock) has to be called before waiting, because something is waited for
    /// that the last look did not know of. Cheap: meant to be asked each time.
    #[inline]
    pub fn wants_look(&self) -> bool {
        self.timer.is_stale(self.waiting(), &self.config)
    }

    /// When to call [`look_at_clock`](Self::look_at_clock), whatever happens in between; `None`: never.
    #[inline]
    pub fn next_look(&self) -> Option<Instant> {
        self.timer.next()
    }

    fn waiting(&self) -> Waiting {
        Waiting {
            frame: self.message.as_ref().is_some_and(|message| message.frame.is_some()),
            output: self.has_output() || self.is_held_back,
            written: self.output.written(),
            open: self.state == State::Open,
        }
    }
}
