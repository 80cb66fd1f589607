//! The pump between a transport and a [`Connection`]: the only place that polls an open connection.
//!
//! Every operation is a `poll_` function that keeps its progress in the [`Driver`]; the futures over it have no state of
//! their own and may be dropped at any time.
//!
//! The order within one poll: deliver what is there; write what is queued; read; look at the clock; wait. So queued
//! frames leave before the task waits for anything, and a burst of messages costs one read and one write.

mod ahead;
mod end;
mod payload;
mod ping;
mod subscribed;
mod watch;

use std::future::Future;
use std::io;
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use wsduo_proto::{
    Closed, CommandError, Connection, Delivery, Event, MessageType, Outgoing, ProtocolError, TimedOut,
};

use ahead::Ahead;

use super::alarm::Alarm;
use super::input::Input;
use super::keys::Keys;
use super::scratch;
use crate::error::Error;
use crate::observe::Watch;
use crate::reconnect::EndNote;
use crate::server::registry::{Call, Seat};

/// Payloads of which at least this much is to come are read straight into the memory of their message.
const READ_DIRECTLY: usize = scratch::READ_BUFFER / 2;

/// How much is read behind the end of such a message: the next may be as large, and what comes with its header is copied.
const READ_HEAD: usize = 4 << 10;

/// Most segments handed to one gathering write.
const SEGMENTS: usize = 16;

/// An open connection on its transport.
#[derive(Debug)]
pub(crate) struct Driver<T> {
    transport: T,
    connection: Connection,
    input: Input,
    alarm: Alarm,
    phase: Phase,
    /// Why the connection ended, unless it was closed cleanly.
    failure: Option<Error>,
    /// Why nothing can be written any more; what can still be read is read first.
    write_failure: Option<Error>,
    /// What was read while only a sender was polled.
    ahead: Option<Box<Ahead>>,
    /// How the receiver last wanted its messages.
    delivery: Delivery,
    /// A part of a message was handed out, and its end was not.
    mid_message: bool,
    /// The rest of that message is to be dropped.
    skipping: bool,
    /// All data that is still to come is to be dropped: we are closing, or the receiver is gone.
    discarding: bool,
    /// The last operation was a flush too: nobody may be receiving, so flushes have to look at the input.
    only_sending: bool,
    /// A sender was told to wait, since the last progress of the output.
    sender_waits: bool,
    /// The last read went to where a large message is put together.
    reads_directly: bool,
    changed: Changed,
    latest_ping: u64,
    latest_pong: u64,
    /// Nobody waits any more for the answer to the latest ping: the next one is new.
    gave_up_ping: bool,
    /// In microseconds: half the size of a duration, and some 70 minutes are enough.
    round_trip_micros: Option<u32>,
    smoothed_round_trip_micros: u32,
    bytes_received: u64,
    /// Where to write how the connection ended, if anybody wants to know.
    end_note: Option<EndNote>,
    watch: Watch,
}

/// A ping that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ping {
    number: u64,
    /// Where it ends in the outgoing stream, at the latest.
    end: u64,
}

/// Whether something happened that another task than the one polling may wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changed {
    pub(crate) for_receiver: bool,
    pub(crate) for_senders: bool,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The close frame is being written.
    Flushing,
    /// A client waits for the server to end the transport (RFC 6455 §7.1.1).
    AwaitingEnd,
    ShuttingDown,
    /// What still arrives is read and dropped, or the transport would be reset and our close frame lost.
    Draining,
    Done,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    pub(crate) fn new(transport: T, connection: Connection, behind_handshake: Vec<u8>) -> Self {
        let bytes_received = behind_handshake.len() as u64;
        Self {
            transport,
            connection,
            input: Input::new(behind_handshake),
            alarm: Alarm::default(),
            phase: Phase::Open,
            failure: None,
            write_failure: None,
            ahead: None,
            delivery: Delivery::Whole,
            mid_message: false,
            skipping: false,
            discarding: false,
            only_sending: false,
            sender_waits: false,
            reads_directly: false,
            changed: Changed::default(),
            latest_ping: 0,
            latest_pong: 0,
            gave_up_ping: false,
            round_trip_micros: None,
            smoothed_round_trip_micros: 0,
            bytes_received,
            end_note: None,
            watch: Watch::default(),
        }
    }

    /// The connection counts among those of its listener, and ends when that shuts down.
    pub(crate) fn take_seat(&mut self, seat: Seat) {
        self.alarm.take_seat(seat);
    }

    #[cfg(test)]
    pub(crate) fn transport(&self) -> &T {
        &self.transport
    }

    /// Where it will be written how the connection ended.
    pub(crate) fn note_end(&mut self) -> EndNote {
        Arc::clone(self.end_note.get_or_insert_default())
    }

    pub(crate) fn closed(&self) -> Option<&Closed> {
        if self.phase == Phase::Done { self.connection.closed() } else { None }
    }

    /// Whether the message under way is delivered in parts and cannot be delivered whole.
    pub(crate) fn is_in_parts(&self) -> bool {
        self.mid_message && !self.skipping && !self.discarding && !self.is_putting_together()
    }

    /// Drops the rest of the message of which parts were handed out.
    pub(crate) fn skip_message(&mut self) {
        self.skipping = self.mid_message;
    }

    /// Whether something happened that another task may wait for; asking forgets it.
    pub(crate) fn take_changed(&mut self) -> Changed {
        std::mem::take(&mut self.changed)
    }

    // Receiving.

    /// Hands data events to `take` until it returns something. `None`: the connection was closed cleanly.
    ///
    /// `take` may send on the connection it is given.
    pub(crate) fn poll_take<R>(
        &mut self,
        cx: &mut Context<'_>,
        delivery: Delivery,
        mut take: impl FnMut(&mut Connection, Event<'_>) -> Option<R>,
    ) -> Poll<Result<Option<R>, Error>> {
        self.delivery = delivery;
        self.only_sending = false;
        let result = self.pump(cx, delivery, &mut take);
        self.park();
        result
    }

    #[inline]
    fn pump<R>(
        &mut self,
        cx: &mut Context<'_>,
        delivery: Delivery,
        take: &mut impl FnMut(&mut Connection, Event<'_>) -> Option<R>,
    ) -> Poll<Result<Option<R>, Error>> {
        loop {
            if let Some(taken) = self.deliver(delivery, take) {
                return Poll::Ready(Ok(Some(taken)));
            }
            if self.phase != Phase::Open {
                ready!(self.poll_end(cx));
                return Poll::Ready(self.outcome().map(|()| None));
            }
            let _ = self.poll_write(cx);
            match self.poll_read(cx) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(_)) if self.discarding => {}
                // Delivered next, like all else that lies there already.
                Poll::Ready(Some(message)) => self.ahead.get_or_insert_default().push(message),
                Poll::Pending if self.write_failure.is_some() => self.lost(None),
                Poll::Pending if self.poll_clock(cx) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Delivers what was read, until `take` is content.
    #[inline]
    fn deliver<R>(
        &mut self,
        delivery: Delivery,
        take: &mut impl FnMut(&mut Connection, Event<'_>) -> Option<R>,
    ) -> Option<R> {
        loop {
            let data = if self.ahead.is_some()
                && let Some(event) = self.next_ahead(delivery)
            {
                let Some(event) = self.fit(event, delivery) else { continue };
                event
            } else if self.discarding {
                self.drop_unread();
                return None;
            } else if self.phase != Phase::Open {
                return None;
            } else {
                let (unread, start) = self.input.cursor();
                let (consumed, event) = self.connection.receive(unread, delivery);
                // Before `take`, which may panic: payloads must not be unmasked twice.
                *start += consumed as u32;
                match event {
                    None => return None,
                    Some(message @ Event::Message(_)) => message,
                    Some(part @ Event::Part { is_complete, .. }) if delivery == Delivery::Parts => {
                        if skips(&mut self.mid_message, &mut self.skipping, is_complete) {
                            continue;
                        }
                        part
                    }
                    Some(other) => {
                        let other = other.into_static();
                        let Some(message) = self.sort_out(other, delivery) else { continue };
                        message
                    }
                }
            };
            // Called in one place alone, so that it becomes part of this loop.
            let taken = take(&mut self.connection, data);
            if taken.is_some() {
                return taken;
            }
        }
    }

    /// What is left of an event that is not simply a message.
    #[cold]
    fn sort_out(&mut self, event: Event<'static>, delivery: Delivery) -> Option<Event<'static>> {
        self.note(&event);
        self.fit(event, delivery)
    }

    /// Looks at what was read for control frames alone.
    #[cold]
    fn drop_unread(&mut self) {
        while self.phase == Phase::Open && self.keep_unread() {}
    }

    /// Fails the connection for what only became wrong when a message was wanted whole.
    fn fail(&mut self, error: ProtocolError) {
        let mut reason = error.to_string();
        reason.truncate(wsduo_proto::MAX_CLOSE_REASON); // our own texts are ASCII
        let _ = self.connection.close(error.close_code(), &reason);
        self.ahead = None;
        self.note(&Event::Failed(error));
    }

    /// Takes note of an event that is not data.
    #[cold]
    fn note(&mut self, event: &Event<'static>) {
        match event {
            Event::Pong { number, sent } => {
                self.latest_pong = *number;
                self.note_round_trip(Alarm::now().saturating_duration_since(*sent));
            }
            Event::Closed => self.phase = Phase::Flushing,
            Event::Failed(error) => {
                self.failure = Some((*error).into());
                self.watch.failed(error);
                self.phase = Phase::Flushing;
            }
            Event::Message(_) | Event::Part { .. } => return,
        }
        self.changed = Changed { for_receiver: true, for_senders: true };
    }

    /// Reads once: into the thread's buffer, or a large payload straight into the memory of its message, which may be
    /// complete then.
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event<'static>>> {
        let mut event = None;
        let least = if self.reads_directly { 1 } else { READ_DIRECTLY };
        let read = match self.connection.payload_buffer(least) {
            Some((payload, room)) if self.input.is_empty() => {
                let mut target = payload.limit(room);
                let read = ready!(pin!(self.transport.read_buf(&mut target)).poll(cx));
                if let Ok(n) = read {
                    event = self.connection.payload_read(n);
                }
                self.reads_directly = true;
                read
            }
            _ => {
                let most = if self.reads_directly { READ_HEAD } else { usize::MAX };
                let read = ready!(self.input.poll_fill_some(&mut self.transport, cx, most));
                self.reads_directly = false;
                read
            }
        };
        self.note_read(read);
        Poll::Ready(event)
    }

    #[inline]
    fn note_read(&mut self, read: io::Result<usize>) {
        match read {
            Ok(0) => self.lost(None),
            Ok(n) => {
                self.connection.heard();
                self.bytes_received += n as u64;
            }
            Err(error) => self.lost(Some(error)),
        }
    }

    /// Gives back what the thread lends.
    #[inline]
    fn park(&mut self) {
        self.input.park();
        if let Some(buffer) = self.connection.reclaim_buffer() {
            scratch::give_write_buffer(buffer);
        }
    }

    // Sending.

    /// Waits until there is room for another message in the queue.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.phase != Phase::Open {
            return Poll::Ready(Err(self.why_ended()));
        }
        if self.connection.is_full() { self.poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }

    /// Queues a message.
    pub(crate) fn queue(&mut self, message: Outgoing<'_>) -> Result<(), Error> {
        self.connection.lend_buffer(scratch::take_write_buffer);
        self.connection.send(message, &mut Keys).map_err(|error| self.refused(error))
    }

    /// Queues a part of a message; whether it may be compressed is settled by the first one.
    pub(crate) fn queue_part(
        &mut self,
        message_type: MessageType,
        bytes: &[u8],
        is_complete: bool,
        compress: bool,
    ) -> Result<(), Error> {
        self.connection.lend_buffer(scratch::take_write_buffer);
        let result = if compress {
            self.connection.send_part(message_type, bytes, is_complete, &mut Keys)
        } else {
            self.connection.send_part_uncompressed(message_type, bytes, is_complete, &mut Keys)
        };
        result.map_err(|error| self.refused(error))
    }

    fn refused(&self, error: CommandError) -> Error {
        if error == CommandError::Closing { self.why_ended() } else { error.into() }
    }

    /// Writes all that is queued.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let result = self.flush(cx);
        self.sender_waits |= result.is_pending();
        self.park();
        result
    }

    /// Keeps the connection going while its task waits for something else: writes, reads ahead, looks at the clock.
    pub(crate) fn poll_tend(&mut self, cx: &mut Context<'_>) {
        loop {
            self.only_sending = true;
            let _ = self.poll_flush(cx);
            if self.phase != Phase::Open || !self.poll_clock(cx) {
                return;
            }
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if let Some(failure) = &self.failure {
                return Poll::Ready(Err(failure.clone()));
            }
            let written = self.poll_write(cx);
            if written.is_pending() || self.only_sending {
                // Nobody may be receiving: pings still want their pongs, and the end has to be seen.
                self.read_ahead(cx);
                if matches!(written, Poll::Ready(Ok(()))) && self.connection.has_output() {
                    continue;
                }
            }
            self.only_sending = true;
            match written {
                Poll::Ready(result) => return Poll::Ready(result),
                Poll::Pending if self.poll_clock(cx) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Writes what is queued, as far as the transport takes it.
    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.connection.has_output() && !self.connection.is_held_back() {
            return Poll::Ready(Ok(()));
        }
        self.poll_write_queued(cx)
    }

    fn poll_write_queued(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(failure) = &self.write_failure {
            return Poll::Ready(Err(failure.clone()));
        }
        let transport = &mut self.transport;
        let result = loop {
            let output = self.connection.output(&mut Keys);
            if output.is_empty() {
                if !self.connection.is_held_back() {
                    return Poll::Ready(Ok(()));
                }
                match ready!(Pin::new(&mut *transport).poll_flush(cx)) {
                    Ok(()) => {
                        self.connection.set_held_back(false);
                        self.changed.for_senders |= std::mem::take(&mut self.sender_waits);
                        return Poll::Ready(Ok(()));
                    }
                    Err(error) => break error,
                }
            }
            let written = match output.contiguous() {
                Some(bytes) => Pin::new(&mut *transport).poll_write(cx, bytes),
                None => {
                    let mut slices = [IoSlice::new(&[]); SEGMENTS];
                    let filled = output.gather(&mut slices);
                    Pin::new(&mut *transport).poll_write_vectored(cx, &slices[..filled])
                }
            };
            match ready!(written) {
                Ok(0) => break io::ErrorKind::WriteZero.into(),
                Ok(n) => {
                    output.advance(n);
                    self.connection.wrote();
                    self.connection.set_held_back(true);
                    self.changed.for_senders |= std::mem::take(&mut self.sender_waits);
                }
                Err(error) => break error,
            }
        };
        let failure = Error::lost(result);
        self.write_failure = Some(failure.clone());
        self.changed = Changed { for_receiver: true, for_senders: true };
        Poll::Ready(Err(failure))
    }

    // Time.

    /// Looks at the clock if it is time to. Whether it did: then there may be something to write, or an end.
    #[inline]
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> bool {
        if self.watch.is_due() {
            self.tell();
        }
        if !self.alarm.poll(cx) && !self.connection.wants_look() {
            return false;
        }
        self.look_at_clock();
        true
    }

    #[cold]
    fn look_at_clock(&mut self) {
        self.tell();
        match self.alarm.heed() {
            Some(Call::Close) => self.go_away(),
            Some(Call::Drop) => return self.cut(),
            None => {}
        }
        let result = self.connection.look_at_clock(Alarm::now(), &mut Keys);
        self.alarm.set(self.connection.next_look());
        if let Err(timed_out) = result {
            // A closing handshake that ran out of time is told by `Closed::clean`, after a failure by the failure.
            if self.failure.is_none() && (timed_out != TimedOut::Close || !self.is_clean()) {
                self.failure = Some(timed_out.into());
            }
            self.done();
        }
    }
}

impl<T> Driver<T> {
    /// Drops what was kept for the receiver, and what will come: the receiver is gone, or wants no more.
    pub(crate) fn discard(&mut self) {
        self.discarding = true;
        self.ahead = None;
    }
}

/// Takes note of a part that is about to be delivered: whether it is to be dropped instead.
fn skips(mid_message: &mut bool, skipping: &mut bool, is_complete: bool) -> bool {
    let skips = *skipping;
    *mid_message = !is_complete;
    *skipping = skips && !is_complete;
    skips
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::{AsyncWriteExt, ReadBuf};
    use wsduo_proto::Role;

    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        // With what tokio needs for it, an idle connection is to take 1.5 KiB at most.
        let size = size_of::<Driver<()>>();
        assert!(size <= 416, "{size} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_owns_no_buffer() {
        const LARGE: usize = 1 << 20;
        let (near, mut far) = tokio::io::duplex(1000);
        let connection = Connection::new(Role::Client, Arc::default(), Alarm::now());
        let mut driver = Driver::new(near, connection, vec![0x81, 1, b'x']);
        let peer = tokio::spawn(async move {
            let mut frame = vec![0x82, 127, 0, 0, 0, 0, 0, 16, 0, 0];
            frame.resize(10 + LARGE, 7);
            far.write_all(&frame).await.unwrap();
            let mut taken = vec![0; 14 + LARGE];
            far.read_exact(&mut taken).await.unwrap();
            far
        });
        for len in [1, LARGE] {
            let received = std::future::poll_fn(|cx| {
                driver.poll_take(cx, Delivery::Whole, |_, event| match event {
                    Event::Message(message) => Some(message.as_bytes().len()),
                    _ => None,
                })
            });
            assert_eq!(received.await.unwrap(), Some(len));
        }
        driver.queue(Outgoing::from(&[7; LARGE][..])).unwrap();
        std::future::poll_fn(|cx| driver.poll_flush(cx)).await.unwrap();
        let _far = peer.await.unwrap();
        assert_eq!(driver.input.capacity(), 0);
        assert!(driver.connection.reclaim_buffer().is_none());
        assert!(driver.ahead.is_none());
    }

    /// Brings all that is wanted of some bytes, and notes how much that was each time.
    #[derive(Debug)]
    struct Wire {
        bytes: Bytes,
        wanted: Vec<usize>,
    }

    impl AsyncRead for Wire {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.wanted.push(buf.remaining());
            let len = buf.remaining().min(self.bytes.len());
            buf.put_slice(&self.bytes.split_to(len));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Wire {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn of_the_second_large_message_little_is_read_besides_its_memory() {
        const LARGE: usize = 1 << 20;
        let mut bytes = Vec::new();
        for _ in 0..2 {
            bytes.extend([0x82, 127, 0, 0, 0, 0, 0, 16, 0, 0]);
            bytes.resize(bytes.len() + LARGE, 7);
        }
        bytes.extend([0x81, 1, b'x', 0x81, 1, b'y']);
        let wire = Wire { bytes: bytes.into(), wanted: Vec::new() };
        let connection = Connection::new(Role::Client, Arc::default(), Alarm::now());
        let mut driver = Driver::new(wire, connection, Vec::new());
        let mut lens = Vec::new();
        for _ in 0..4 {
            let received = std::future::poll_fn(|cx| {
                driver.poll_take(cx, Delivery::Whole, |_, event| match event {
                    Event::Message(message) => Some(message.as_bytes().len()),
                    _ => None,
                })
            });
            lens.extend(received.await.unwrap());
        }
        assert_eq!(lens, [LARGE, LARGE, 1, 1]);
        // The rest of the first by itself, the header of the second with a little behind it, its rest by itself, and what follows.
        let wanted = &driver.transport.wanted;
        let buffered: Vec<_> = (0..wanted.len()).filter(|&at| at == 0 || wanted[at] == READ_HEAD).collect();
        let directly: usize =
            wanted.iter().enumerate().filter(|(at, _)| !buffered.contains(at)).map(|(_, len)| len).sum();
        assert_eq!((buffered.len(), wanted[0]), (3, scratch::READ_BUFFER), "{wanted:?}");
        assert_eq!(directly, 2 * (10 + LARGE) - scratch::READ_BUFFER - READ_HEAD, "{wanted:?}");
    }
}
