//! Two connections, a client and a server, joined by a link without a network. The input is a list of operations: what is
//! sent, how many bytes move when, how they are asked for, how time passes, how it ends.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use wsduo_proto::{
    CloseCode, Closed, Config, Connection, Delivery, Event, Initiator, MAX_CLOSE_REASON, Message,
    MessageType, Role,
};

/// More operations than this find nothing that fewer do not.
const MOST_OPERATIONS: usize = 200;

/// How much may wait on the link and at its ends; beyond, nothing more is sent.
const MOST_QUEUED: usize = 1 << 20;

/// Messages up to this length cost little; a run may be short of longer ones.
const SHORT: usize = 512;

/// What binary messages repeat: its length divides that of no buffer or window.
const ALL_BYTES: [u8; 251] = {
    let mut bytes = [0; 251];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = at as u8;
        at += 1;
    }
    bytes
};

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Side {
    Client,
    Server,
}

#[derive(Debug, Arbitrary)]
enum Operation {
    /// A message of that length.
    Send {
        side: Side,
        text: bool,
        len: u16,
        owned: bool,
    },
    /// A part of a message; refused if it does not fit what was sent before.
    SendPart {
        side: Side,
        text: bool,
        bytes: Vec<u8>,
        is_complete: bool,
    },
    Ping {
        side: Side,
    },
    Close {
        side: Side,
        code: u16,
        reason_len: u8,
    },
    /// Bytes leave `from` and arrive on the other side.
    Move {
        from: Side,
        len: u16,
        in_parts: bool,
        direct: bool,
    },
    /// As `Move`, but a reader of bytes with so much room takes so many parts at most, and leaves what is behind them.
    Stream {
        from: Side,
        len: u16,
        room: u16,
        parts: u8,
        direct: bool,
    },
    /// A byte on its way from `from` is damaged.
    Damage {
        from: Side,
        at: u16,
        with: u8,
    },
    Wait {
        milliseconds: u16,
    },
    /// The transport is lost.
    Lose,
}

/// How arrived bytes are asked for.
#[derive(Clone, Copy, Debug)]
enum How {
    Delivery(Delivery),
    /// By a reader of bytes with so much room, so many parts at most.
    Stream {
        room: usize,
        parts: usize,
    },
}

/// Checks that each side gets the messages that the other sent, whole, in order and once, until the connection ends; that
/// pings are answered; that both see the same end; that nothing fails unless bytes are damaged; that the end comes in time.
pub fn run(data: &[u8]) {
    let connection = |role, now| Connection::new(role, Arc::new(Config::default()), now);
    Link::new(connection, false, |_| usize::MAX).perform_all(Unstructured::new(data));
}

/// One side, and what is known of it.
struct End {
    connection: Connection,
    /// On the way to this side.
    arriving: VecDeque<u8>,
    /// Arrived, and not yet consumed.
    input: Vec<u8>,
    /// Messages queued here that the other side has not got yet.
    sent: VecDeque<Message>,
    /// The message that is being sent in parts.
    sending: Vec<u8>,
    /// The message that is being received in parts.
    receiving: Vec<u8>,
    last_ping: Option<u64>,
    answered: Option<u64>,
    failure: Option<CloseCode>,
    next_key: u32,
    /// How many bytes of long messages this side may still send; beyond, all are short.
    long_left: usize,
}

pub(crate) struct Link {
    client: End,
    server: End,
    now: Instant,
    damaged: bool,
    /// Messages may be larger than a side allows.
    limited: bool,
    /// The transport is gone, or a deadline has passed.
    lost: bool,
}

impl End {
    fn new(connection: Connection, long_left: usize) -> Self {
        Self {
            connection,
            arriving: VecDeque::new(),
            input: Vec::new(),
            sent: VecDeque::new(),
            sending: Vec::new(),
            receiving: Vec::new(),
            last_ping: None,
            answered: None,
            failure: None,
            next_key: 1,
            long_left,
        }
    }

    /// A message of about `len` bytes, whose characters take one to four. Most are short, or a run would take too long.
    fn message(&mut self, text: bool, len: u16) -> Message {
        let mut len = usize::from(len);
        if !len.is_multiple_of(8) || len > self.long_left {
            len %= SHORT;
        }
        if len > SHORT {
            self.long_left -= len;
        }
        if text {
            let mut text = "aé€😀".repeat(len / 10);
            text.push('z');
            Message::from(text)
        } else {
            let mut bytes = ALL_BYTES.repeat(len / ALL_BYTES.len() + 1);
            bytes.truncate(len);
            Message::from(bytes)
        }
    }

    fn send(&mut self, message: Message, owned: bool) {
        let next = &mut self.next_key;
        let mut keys = || key(next);
        let queued = if owned {
            self.connection.send(message.clone().into(), &mut keys)
        } else {
            match &message {
                Message::Text(text) => self.connection.send((&**text).into(), &mut keys),
                Message::Binary(bytes) => self.connection.send((&**bytes).into(), &mut keys),
            }
        };
        if queued.is_ok() {
            self.sent.push_back(message);
        }
    }

    fn send_part(&mut self, message_type: MessageType, bytes: &[u8], is_complete: bool) {
        let next = &mut self.next_key;
        if self.connection.send_part(message_type, bytes, is_complete, &mut || key(next)).is_err() {
            return;
        }
        self.sending.extend_from_slice(bytes);
        if is_complete {
            let bytes = std::mem::take(&mut self.sending);
            self.sent.push_back(match message_type {
                MessageType::Text => Message::from(String::from_utf8(bytes).expect("checked by send_part")),
                MessageType::Binary => Message::from(bytes),
            });
        }
    }

    fn ping(&mut self, now: Instant) {
        let next = &mut self.next_key;
        if let Ok(number) = self.connection.ping(now, &mut || key(next)) {
            assert!(self.last_ping.is_none_or(|last| last < number));
            self.last_ping = Some(number);
        }
    }

    /// Takes up to `len` bytes of what waits to be written.
    fn write(&mut self, len: usize) -> Vec<u8> {
        let next = &mut self.next_key;
        let output = self.connection.output(&mut || key(next));
        let mut slices = [IoSlice::new(&[]); 3];
        let filled = output.gather(&mut slices);
        let mut bytes = Vec::new();
        for slice in &slices[..filled] {
            bytes.extend_from_slice(&slice[..slice.len().min(len - bytes.len())]);
        }
        match output.contiguous() {
            Some(all) => assert!(all.starts_with(&bytes), "both views show the same bytes"),
            None => assert!(slices[..filled].iter().any(|slice| !slice.is_empty())),
        }
        output.advance(bytes.len());
        if !bytes.is_empty() {
            self.connection.wrote();
        }
        bytes
    }

    /// Whether a message larger than the buffer may be read into its own memory; if so, up to `len` bytes are.
    fn read_directly(&mut self, len: usize, got: &mut Vec<Message>) -> bool {
        if !self.input.is_empty() {
            return false;
        }
        let Some((buffer, room)) = self.connection.payload_buffer(1) else {
            return false;
        };
        let len = len.min(room).min(self.arriving.len());
        buffer.extend_from_slice(&take(&mut self.arriving, len));
        match self.connection.payload_read(len) {
            Some(Event::Message(message)) => got.push(message.into_owned()),
            None => {}
            Some(other) => panic!("reading a payload brought {other:?}"),
        }
        true
    }

    /// Whether the payload under way may be read straight into the memory of a reader of bytes with so much room; if so,
    /// up to `len` bytes are.
    fn read_into(&mut self, len: usize, room: usize, got: &mut Vec<Message>) -> bool {
        let remaining = self.connection.payload_remaining();
        let len = len.min(room).min(self.arriving.len());
        let len = len.min(usize::try_from(remaining).unwrap_or(usize::MAX));
        if !self.input.is_empty() || len == 0 {
            return false;
        }
        let mut payload = take(&mut self.arriving, len);
        let ended = self.connection.payload_into(&mut payload);
        assert!(!ended || len as u64 == remaining, "a message ends with a frame");
        self.receiving.extend_from_slice(&payload);
        if ended {
            got.push(Message::from(std::mem::take(&mut self.receiving)));
        }
        true
    }

    /// Takes up to `len` bytes that have arrived, and returns the messages that they complete.
    fn read(&mut self, len: usize, how: How, may_fail: bool) -> Vec<Message> {
        let mut got = Vec::new();
        let len = len.min(self.arriving.len());
        self.input.extend_from_slice(&take(&mut self.arriving, len));
        if len > 0 {
            self.connection.heard();
        }
        let mut at = 0;
        let mut taken = 0;
        loop {
            let input = &mut self.input[at..];
            let (consumed, event) = match how {
                How::Delivery(delivery) => self.connection.receive(input, delivery),
                How::Stream { room, .. } => self.connection.receive_part(input, room),
            };
            taken += 1;
            let enough = matches!(how, How::Stream { parts, .. } if taken >= parts);
            let is_end = event.is_none() || enough;
            match event {
                Some(Event::Message(message)) => got.push(message.into_owned()),
                Some(Event::Part { bytes, message_type, is_complete }) => {
                    if let (How::Stream { room, .. }, Cow::Borrowed(part)) = (how, &bytes) {
                        assert!(part.len() <= room, "{} bytes for a room of {room}", part.len());
                    }
                    self.receiving.extend_from_slice(&bytes);
                    if is_complete {
                        let bytes = std::mem::take(&mut self.receiving);
                        got.push(match message_type {
                            MessageType::Text => {
                                Message::from(String::from_utf8(bytes).expect("checked by receive"))
                            }
                            MessageType::Binary => Message::from(bytes),
                        });
                    }
                }
                Some(Event::Pong { number, .. }) => {
                    assert!(
                        may_fail || self.answered.is_none_or(|last| last < number),
                        "a ping is answered once"
                    );
                    self.answered = Some(number);
                }
                Some(Event::Failed(error)) => {
                    assert!(may_fail, "failed by itself: {error}");
                    assert!(self.failure.is_none(), "fails once");
                    self.failure = Some(error.close_code());
                }
                Some(Event::Closed) | None => {}
            }
            at += consumed;
            if is_end {
                self.input.drain(..at);
                return got;
            }
        }
    }
}

impl Link {
    /// `limited` if messages may be larger than the sides allow; each sends `most_long` bytes of long messages at most.
    pub(crate) fn new(
        mut connection: impl FnMut(Role, Instant) -> Connection,
        limited: bool,
        most_long: impl Fn(Role) -> usize,
    ) -> Self {
        let now = Instant::now();
        Self {
            client: End::new(connection(Role::Client, now), most_long(Role::Client)),
            server: End::new(connection(Role::Server, now), most_long(Role::Server)),
            now,
            damaged: false,
            limited,
            lost: false,
        }
    }

    /// Performs the operations of the input, then brings the connection to its end.
    pub(crate) fn perform_all(mut self, mut input: Unstructured<'_>) {
        for _ in 0..MOST_OPERATIONS {
            if input.is_empty() {
                break;
            }
            let Ok(operation) = Operation::arbitrary(&mut input) else {
                break;
            };
            self.perform(operation);
        }
        self.finish();
    }

    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// The side itself, then the other.
    fn ends(&mut self, side: Side) -> (&mut End, &mut End) {
        match side {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        }
    }

    fn perform(&mut self, operation: Operation) {
        match operation {
            Operation::Send { side, text, len, owned } => {
                let end = self.end(side);
                if end.connection.queued() < MOST_QUEUED {
                    let message = end.message(text, len);
                    end.send(message, owned);
                }
            }
            Operation::SendPart { side, text, bytes, is_complete } => {
                let message_type = if text { MessageType::Text } else { MessageType::Binary };
                self.end(side).send_part(message_type, &bytes, is_complete);
            }
            Operation::Ping { side } => {
                let now = self.now;
                self.end(side).ping(now);
            }
            Operation::Close { side, code, reason_len } => self.close(side, code, reason_len),
            Operation::Move { from, len, in_parts, direct } => {
                let delivery = if in_parts { Delivery::Parts } else { Delivery::Whole };
                self.transfer(from, len.into(), How::Delivery(delivery), direct);
            }
            Operation::Stream { from, len, room, parts, direct } => {
                let how = How::Stream { room: usize::from(room).max(1), parts: parts.into() };
                self.transfer(from, len.into(), how, direct);
            }
            Operation::Damage { from, at, with } => {
                let (_, to) = self.ends(from);
                let len = to.arriving.len();
                if len > 0 && with != 0 {
                    to.arriving[usize::from(at) % len] ^= with;
                    self.damaged = true;
                }
            }
            Operation::Wait { milliseconds } => {
                self.now += Duration::from_millis(milliseconds.into());
                self.look_at_clock(Side::Client);
                self.look_at_clock(Side::Server);
            }
            Operation::Lose => self.lose(),
        }
    }

    fn close(&mut self, side: Side, code: u16, reason_len: u8) {
        let reason = "r".repeat(reason_len.into());
        let code = CloseCode::new(code);
        let end = self.end(side);
        let was_open = end.connection.is_open();
        if end.connection.close(code, &reason).is_ok() && was_open {
            assert!(reason.len() <= MAX_CLOSE_REASON);
            assert!(!end.connection.is_open());
            let closed = end.connection.closed().expect("it is closing");
            assert_eq!((closed.code, closed.initiator, &closed.reason), (code, Initiator::Local, &reason));
        }
    }

    fn transfer(&mut self, from: Side, len: usize, how: How, direct: bool) {
        let damaged = self.damaged;
        let may_fail = damaged || self.limited;
        if self.lost {
            return;
        }
        let (from, to) = self.ends(from);
        to.arriving.extend(from.write(len));
        let mut got = Vec::new();
        let read = direct
            && match how {
                How::Delivery(_) => to.read_directly(len, &mut got),
                How::Stream { room, .. } => to.read_into(len, room, &mut got),
            };
        if !read {
            got = to.read(len, how, may_fail);
        }
        if let Some(code) = to.failure {
            assert!(damaged || code == CloseCode::TOO_BIG || code == CloseCode::POLICY_VIOLATION, "{code}");
        }
        if !damaged {
            for message in got {
                assert_eq!(
                    Some(message),
                    from.sent.pop_front(),
                    "messages arrive as they were sent, in order, once"
                );
            }
        }
    }

    fn look_at_clock(&mut self, side: Side) {
        let now = self.now;
        let end = self.end(side);
        let next = &mut end.next_key;
        if end.connection.look_at_clock(now, &mut || key(next)).is_err() {
            self.lose();
        }
    }

    fn lose(&mut self) {
        self.lost = true;
        self.client.connection.receive_end();
        self.server.connection.receive_end();
    }

    /// Moves all that is under way, closes both sides, and checks what they know of the end.
    fn finish(mut self) {
        self.settle();
        if !self.lost && !self.damaged && self.client.connection.is_open() && self.server.connection.is_open()
        {
            for end in [&self.client, &self.server] {
                assert!(end.sent.is_empty(), "all that was sent has arrived");
                // The keepalive sends pings of its own, so the last number is a least one.
                assert!(end.answered >= end.last_ping, "the last ping is answered");
            }
        }
        self.close(Side::Client, CloseCode::NORMAL.number(), 0);
        self.settle();
        if self.lost {
            for end in [&self.client, &self.server] {
                assert!(end.connection.is_ended() && end.connection.closed().is_some());
            }
        } else if self.client.failure.or(self.server.failure).is_some() {
            for end in [&self.client, &self.server] {
                assert!(end.connection.closed().is_some(), "both know of an end");
            }
        } else if !self.damaged {
            self.check_clean_end();
        }
        self.check_end_comes();
    }

    /// Moves all there is, both ways, until there is no more.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let whole = How::Delivery(Delivery::Whole);
            self.transfer(Side::Client, usize::MAX, whole, false);
            self.transfer(Side::Server, usize::MAX, whole, false);
            let ends = [&self.client, &self.server];
            if self.lost || ends.iter().all(|end| !end.connection.has_output() && end.arriving.is_empty()) {
                return;
            }
        }
        panic!("answers to answers never end");
    }

    fn check_clean_end(&self) {
        let closed = |end: &End| -> Closed {
            assert!(end.connection.is_ended(), "both close frames have arrived");
            let closed = end.connection.closed().expect("it has ended").clone();
            assert!(closed.clean, "{closed}");
            closed
        };
        let (client, server) = (closed(&self.client), closed(&self.server));
        if client.initiator == server.initiator {
            // Both began before the other's close frame arrived, so each keeps its own.
            assert_eq!(client.initiator, Initiator::Local);
        } else {
            assert_eq!(client.code, server.code);
            assert_eq!(client.reason, server.reason);
        }
    }

    /// With a peer that is silent from now on, every connection ends, and says so, in bounded time.
    fn check_end_comes(mut self) {
        for end in [&mut self.client, &mut self.server] {
            // Whatever state it is in, close must lead out of it.
            let _ = end.connection.close(CloseCode::GOING_AWAY, "");
            let limit = self.now + Duration::from_secs(60);
            let mut now = self.now;
            let mut looks = 0;
            loop {
                let next = &mut end.next_key;
                let timed_out = end.connection.look_at_clock(now, &mut || key(next)).is_err();
                if timed_out || end.connection.is_ended() {
                    break;
                }
                looks += 1;
                now = end.connection.next_look().expect("a closing connection has a deadline").max(now);
                assert!(now <= limit && looks < 100, "no end in sight");
            }
        }
    }
}

/// The first bytes, taken together: one by one takes longer than what is to be tried.
fn take(bytes: &mut VecDeque<u8>, len: usize) -> Vec<u8> {
    let (front, back) = bytes.as_slices();
    let split = len.min(front.len());
    let taken = [&front[..split], &back[..len - split]].concat();
    bytes.drain(..len);
    taken
}

/// Keys that differ, and are never zero, which would mask nothing.
fn key(next: &mut u32) -> [u8; 4] {
    *next = next.wrapping_mul(747_796_405) | 1;
    next.to_le_bytes()
}
