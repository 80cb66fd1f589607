//! Byte streams: what is written is read, whatever lies between, on transports in memory and a clock that stands still.

#![allow(clippy::unwrap_used, reason = "clippy sees helpers as code outside of tests")]

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, ReadBuf,
    duplex,
};
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use wsduo::{
    CloseCode, Error, ErrorKind, Framing, MessagePart, MessageType, MessageWebSocket,
    MessageWebSocketControl, Role, StreamWebSocket, StreamWebSocketControl,
};

const HOUR: Duration = Duration::from_secs(3600);

fn control() -> StreamWebSocketControl {
    StreamWebSocketControl::new()
}

fn pair(room: usize) -> (StreamWebSocket<DuplexStream>, StreamWebSocket<DuplexStream>) {
    let (near, far) = duplex(room);
    (control().from_transport(near, Role::Client), control().from_transport(far, Role::Server))
}

/// A stream, and what the peer sees of it.
fn stream_and_socket(
    control: &StreamWebSocketControl,
    room: usize,
) -> (StreamWebSocket<DuplexStream>, MessageWebSocket<DuplexStream>) {
    let (near, far) = duplex(room);
    let socket = MessageWebSocketControl::new().from_transport(far, Role::Server);
    (control.from_transport(near, Role::Client), socket)
}

/// A client, and the bytes of its server.
fn stream_and_wire() -> (StreamWebSocket<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(1 << 20);
    (control().from_transport(near, Role::Client), far)
}

/// Bytes that repeat late, so that anything lost or moved shows.
fn noise(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(HOUR, future).await.expect("hangs")
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets other tasks run until nothing moves but the clock.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[track_caller]
fn kind(error: &io::Error) -> ErrorKind {
    error.get_ref().expect("something inside").downcast_ref::<Error>().expect("an error of ours").kind()
}

/// Gives and takes a byte at a time, and waits before each.
struct OneByte<T> {
    inner: T,
    read: bool,
    wrote: bool,
}

impl<T> OneByte<T> {
    fn new(inner: T) -> Self {
        Self { inner, read: false, wrote: false }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for OneByte<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.read = !self.read;
        if self.read {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        let result = Pin::new(&mut self.inner).poll_read(cx, &mut one);
        room.put_slice(one.filled());
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for OneByte<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wrote = !self.wrote;
        if self.wrote {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_write(cx, &bytes[..1])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Polls a future made anew each time, and drops it, until one is ready.
async fn dropped_at_every_poll<S, R>(state: &mut S, mut poll: impl FnMut(&mut S) -> Poll<R>) -> R {
    for _ in 0..1_000_000 {
        if let Poll::Ready(ready) = poll(state) {
            return ready;
        }
        tokio::task::yield_now().await;
    }
    panic!("never ready");
}

#[tokio::test(start_paused = true)]
async fn copies_both_ways() {
    for room in [1, 100, 64 << 10] {
        let bytes = noise(if room == 1 { 5_000 } else { 1_000_000 });
        let (mut client, mut server) = pair(room);
        let sent = bytes.clone();
        let echo = tokio::spawn(async move {
            let mut received = Vec::new();
            server.read_to_end(&mut received).await.unwrap();
            received
        });
        assert_eq!(soon(tokio::io::copy(&mut &sent[..], &mut client)).await.unwrap(), sent.len() as u64);
        soon(client.shutdown()).await.unwrap();
        assert!(echo.await.unwrap() == bytes, "room for {room}");

        let (mut client, mut server) = pair(room);
        let sent = bytes.clone();
        tokio::spawn(async move {
            server.write_all(&sent).await.unwrap();
            server.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        soon(tokio::io::copy(&mut client, &mut received)).await.unwrap();
        assert!(received == bytes, "room for {room}");
        let closed = client.closed().unwrap();
        assert!(closed.clean && closed.code == CloseCode::NORMAL);
    }
}

#[tokio::test(start_paused = true)]
async fn copies_both_ways_at_once_through_a_proxy() {
    let (a, mut proxy_a) = pair(4 << 10);
    let (mut proxy_b, mut b) = pair(4 << 10);
    tokio::spawn(async move { tokio::io::copy_bidirectional(&mut proxy_a, &mut proxy_b).await });
    let echo = tokio::spawn(async move {
        let mut buffer = vec![0; 10_000];
        loop {
            let n = b.read(&mut buffer).await.unwrap();
            if n == 0 {
                return b.shutdown().await;
            }
            b.write_all(&buffer[..n]).await.unwrap();
            b.flush().await.unwrap();
        }
    });
    let bytes = noise(300_000);
    let (mut reader, mut writer) = a.split();
    let sent = bytes.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer.flush().await.unwrap();
        writer
    });
    let mut received = vec![0; bytes.len()];
    soon(reader.read_exact(&mut received)).await.unwrap();
    assert!(received == bytes);
    let mut writer = writing.await.unwrap();
    soon(writer.shutdown()).await.unwrap();
    assert_eq!(soon(reader.read(&mut received)).await.unwrap(), 0);
    soon(echo).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn lines_and_frames() {
    let (client, mut server) = pair(64);
    tokio::spawn(async move {
        server.write_all(b"one\ntw").await.unwrap();
        server.write_all(b"o\nthree").await.unwrap();
        server.shutdown().await.unwrap();
    });
    let mut lines = client.lines();
    for line in ["one", "two", "three"] {
        assert_eq!(soon(lines.next_line()).await.unwrap().as_deref(), Some(line));
    }
    assert_eq!(soon(lines.next_line()).await.unwrap(), None);

    let (client, mut server) = pair(64);
    tokio::spawn(async move {
        server.write_all(b"one\ntwo\n").await.unwrap();
        server.shutdown().await.unwrap();
    });
    let lines: Vec<_> = soon(async {
        let mut lines = BufReader::new(client).lines();
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            all.push(line);
        }
        all
    })
    .await;
    assert_eq!(lines, ["one", "two"]);

    let (client, server) = pair(100);
    let mut client = Framed::new(client, LengthDelimitedCodec::new());
    let mut server = Framed::new(server, LengthDelimitedCodec::new());
    let frames: Vec<Bytes> = [0, 1, 99, 100_000].map(|len| noise(len).into()).into();
    let sent = frames.clone();
    tokio::spawn(async move {
        for frame in sent {
            client.send(frame).await.unwrap();
        }
        SinkExt::<Bytes>::close(&mut client).await.unwrap();
    });
    for frame in frames {
        assert_eq!(soon(server.next()).await.unwrap().unwrap(), frame);
    }
    assert!(soon(server.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn http_goes_through() {
    use http_body_util::{BodyExt, Full};
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;

    let (client, server) = pair(1000);
    tokio::spawn(async move {
        let echo = service_fn(async |request: Request<Incoming>| {
            let body = request.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Response::new(Full::new(body)))
        });
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), echo).await
    });
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    for len in [0, 10, 100_000] {
        let request = Request::post("/echo").header("host", "x").body(Full::new(Bytes::from(noise(len))));
        let response = soon(sender.send_request(request.unwrap())).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(soon(response.into_body().collect()).await.unwrap().to_bytes() == noise(len));
    }
}

/// The messages, and the pieces they came in.
async fn messages(socket: &mut MessageWebSocket<DuplexStream>) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some(message) = soon(socket.receive()).await.unwrap() {
        assert_eq!(message.message_type(), MessageType::Binary);
        messages.push(message.into_bytes().to_vec());
    }
    messages
}

#[tokio::test(start_paused = true)]
async fn each_framing_makes_its_messages() {
    for (framing, expected) in [
        (Framing::MessagePerWrite, vec!["ab", "cde", "f", "gh"]),
        (Framing::MessagePerFlush, vec!["abcdef", "gh"]),
        (Framing::OneMessage, vec!["abcdefgh"]),
    ] {
        let (mut stream, mut socket) = stream_and_socket(&control().framing(framing).frame_size(3), 1000);
        let writing = tokio::spawn(async move {
            stream.flush().await.unwrap();
            assert_eq!(stream.write(b"").await.unwrap(), 0);
            stream.write_all(b"ab").await.unwrap();
            assert_eq!(stream.write(b"cdef").await.unwrap(), 3, "a frame is taken");
            stream.write_all(b"f").await.unwrap();
            stream.flush().await.unwrap();
            stream.flush().await.unwrap();
            stream.write_all(b"gh").await.unwrap();
            stream.shutdown().await.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(kind(&stream.write(b"x").await.unwrap_err()), ErrorKind::Closed);
            assert_eq!(stream.write(b"").await.unwrap(), 0);
        });
        let expected: Vec<Vec<u8>> = expected.iter().map(|text| text.as_bytes().to_vec()).collect();
        assert_eq!(messages(&mut socket).await, expected, "{framing:?}");
        soon(writing).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_is_no_message_or_one() {
    for (framing, expected) in
        [(Framing::MessagePerWrite, 0), (Framing::MessagePerFlush, 0), (Framing::OneMessage, 1)]
    {
        let (mut stream, mut socket) = stream_and_socket(&control().framing(framing), 1000);
        tokio::spawn(async move { stream.shutdown().await.unwrap() });
        assert_eq!(messages(&mut socket).await, vec![Vec::<u8>::new(); expected], "{framing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn text_arrives_as_bytes() {
    let (mut stream, mut socket) = stream_and_socket(&control(), 1000);
    tokio::spawn(async move {
        socket.send("a€").await.unwrap();
        socket.send(&b"\xff"[..]).await.unwrap();
        socket.close(CloseCode::NORMAL, "").await.unwrap();
    });
    let mut bytes = Vec::new();
    soon(stream.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes, b"a\xe2\x82\xac\xff");
}

#[tokio::test(start_paused = true)]
async fn text_is_refused_with_1003_if_so_wanted() {
    for kept in [false, true] {
        let (mut stream, mut socket) = stream_and_socket(&control().refuse_text(true), 1000);
        socket.send(&b"ok"[..]).await.unwrap();
        socket.send("no").await.unwrap();
        if kept {
            // Reads ahead.
            stream.flush().await.unwrap();
            stream.flush().await.unwrap();
        }
        let closed = tokio::spawn(async move {
            while let Ok(Some(_)) = socket.receive().await {}
            socket.closed().cloned()
        });
        let mut bytes = Vec::new();
        let error = soon(stream.read_to_end(&mut bytes)).await.unwrap_err();
        assert_eq!((&bytes[..], kind(&error)), (&b"ok"[..], ErrorKind::Protocol));
        assert_eq!(soon(closed).await.unwrap().unwrap().code, CloseCode::UNSUPPORTED_DATA);
        assert_eq!(kind(&soon(stream.read(&mut [0; 9])).await.unwrap_err()), ErrorKind::Protocol);
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_clean_close_is_the_end() {
    for (wire, expected) in [
        (&b"\x82\x02ab\x88\x02\x03\xe8"[..], None),
        (b"\x82\x02ab", Some(ErrorKind::Lost)),
        (b"\x82\x03ab", Some(ErrorKind::Lost)),
        (b"\x02\x02ab\x88\x02\x03\xe8", Some(ErrorKind::Lost)),
        (b"\x82\x02ab\x83\x00", Some(ErrorKind::Protocol)),
        (b"\x82\x02ab\x82\x80\0\0\0\0", Some(ErrorKind::Protocol)),
    ] {
        let (mut stream, mut far) = stream_and_wire();
        far.write_all(wire).await.unwrap();
        far.shutdown().await.unwrap();
        let mut bytes = Vec::new();
        let result = soon(stream.read_to_end(&mut bytes)).await;
        assert_eq!(bytes, b"ab");
        assert_eq!(result.as_ref().err().map(kind), expected, "{wire:x?}");
        let again = soon(stream.read(&mut [0; 9])).await;
        assert_eq!(again.as_ref().err().map(kind), expected, "it stays so");
        assert_eq!(soon(stream.fill_buf()).await.as_ref().err().map(kind), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_an_error() {
    let (mut stream, mut far) = stream_and_wire();
    far.write_all(b"\x82\x7e\x10\x00ab").await.unwrap();
    let mut bytes = Vec::new();
    assert_eq!(kind(&soon(stream.read_to_end(&mut bytes)).await.unwrap_err()), ErrorKind::TimedOut);
    assert_eq!(bytes, b"ab");

    let (mut stream, far) = stream_and_wire();
    let start = tokio::time::Instant::now();
    let error = soon(stream.shutdown()).await.unwrap_err();
    assert_eq!(kind(&error), ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 10, "the close timeout");
    drop(far);
}

#[tokio::test(start_paused = true)]
async fn reads_of_every_size_get_the_same_bytes() {
    let bytes = noise(20_000);
    // Frames of many sizes, text and pings between them, lengths of each kind.
    let mut wire = Vec::new();
    let mut rest = &bytes[..];
    for len in [0, 1, 125, 126, 4096, 300, 15_352].into_iter() {
        let (frame, after) = rest.split_at(len);
        rest = after;
        wire.extend([0x02, 126]);
        if len < 126 {
            *wire.last_mut().unwrap() = len as u8;
        } else {
            wire.extend((len as u16).to_be_bytes());
        }
        wire.extend_from_slice(frame);
        wire.extend(b"\x89\x04ping\x80\x00");
    }
    assert!(rest.is_empty());
    wire.extend(b"\x88\x02\x03\xe8");
    for size in (1..40).chain([100, 4095, 4096, 4097, 10_000, 65_536]) {
        for room in [7, 1 << 20] {
            let (near, mut far) = duplex(room);
            let mut stream = control().from_transport(near, Role::Client);
            let (sent, mut answers) = (wire.clone(), Vec::new());
            let peer = tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(&mut far);
                let write = async {
                    write.write_all(&sent).await.unwrap();
                    write.shutdown().await.unwrap();
                };
                let (_, answered) = tokio::join!(write, read.read_to_end(&mut answers));
                answered.unwrap();
                answers.len()
            });
            let mut received = Vec::new();
            let mut buffer = vec![0; size];
            loop {
                // Both ways of reading, in turns.
                let n = if received.len() % 3 == 2 {
                    let offered = soon(stream.fill_buf()).await.unwrap();
                    let n = offered.len().min(size);
                    received.extend_from_slice(&offered[..n]);
                    stream.consume(n);
                    n
                } else {
                    let n = soon(stream.read(&mut buffer)).await.unwrap();
                    received.extend_from_slice(&buffer[..n]);
                    n
                };
                if n == 0 {
                    break;
                }
            }
            assert!(received == bytes, "{size} at a time");
            // Pings before a close frame that is seen already need no answer.
            let answered = soon(peer).await.unwrap();
            assert!((8..=78).contains(&answered) && answered % 10 == 8, "pongs and a close frame");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_with_no_room_waits_for_nothing() {
    let (mut stream, _far) = stream_and_wire();
    assert!(matches!(poll_once(stream.read(&mut [])), Poll::Ready(Ok(0))));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_operation_loses_nothing() {
    for framing in [Framing::MessagePerWrite, Framing::MessagePerFlush, Framing::OneMessage] {
        let (near, far) = duplex(50);
        let control = control().framing(framing).frame_size(100);
        let mut client = control.from_transport(OneByte::new(near), Role::Client);
        let mut server = control.from_transport(OneByte::new(far), Role::Server);
        let bytes = noise(3000);
        let sent = bytes.clone();
        let writing = tokio::spawn(async move {
            let mut written = 0;
            while written < sent.len() {
                let rest = &sent[written..];
                written +=
                    dropped_at_every_poll(&mut client, |client| poll_once(client.write(rest))).await.unwrap();
                if written % 300 == 0 {
                    dropped_at_every_poll(&mut client, |client| poll_once(client.flush())).await.unwrap();
                }
            }
            dropped_at_every_poll(&mut client, |client| poll_once(client.shutdown())).await.unwrap();
        });
        let mut received = Vec::new();
        let mut buffer = [0; 70];
        loop {
            let n = dropped_at_every_poll(&mut server, |server| poll_once(server.read(&mut buffer)))
                .await
                .unwrap();
            if n == 0 {
                break;
            }
            received.extend_from_slice(&buffer[..n]);
        }
        assert!(received == bytes, "{framing:?}");
        soon(writing).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_end_is_read_after_our_shutdown() {
    let (mut stream, mut far) = stream_and_wire();
    far.write_all(b"\x82\x05hello").await.unwrap();
    assert!(poll_once(stream.shutdown()).is_pending());
    // Sent before it saw our close frame.
    far.write_all(b"\x82\x06 world\x88\x02\x03\xe8").await.unwrap();
    far.shutdown().await.unwrap();
    soon(stream.shutdown()).await.unwrap();
    let mut bytes = Vec::new();
    soon(stream.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes, b"hello world");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_reader_of_more_than_is_kept() {
    let (client, mut server) = pair(16 << 10);
    let (mut reader, mut writer) = client.split();
    let bytes = noise(500_000);
    let sent = bytes.clone();
    // What is in the server's queue when the close frame comes is sent before the answer to it.
    let serving = tokio::spawn(async move {
        let written = server.write_all(&sent).await;
        server.shutdown().await.unwrap();
        written
    });
    settle().await;
    let shutting_down = tokio::spawn(async move { writer.shutdown().await });
    settle().await;
    assert!(!shutting_down.is_finished());
    let mut received = Vec::new();
    soon(reader.read_to_end(&mut received)).await.unwrap();
    assert!(bytes.starts_with(&received) && received.len() > 64 << 10, "{} bytes", received.len());
    soon(shutting_down).await.unwrap().unwrap();
    // What it could not send any more it was told of.
    let error = soon(serving).await.unwrap().unwrap_err();
    assert_eq!(kind(&error), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_without_a_reader_ends_in_time_and_what_was_kept_is_not_lost() {
    let (mut stream, mut far) = stream_and_wire();
    for _ in 0..3 {
        far.write_all(&[0x82, 0x7e, 0xff, 0xff]).await.unwrap();
        far.write_all(&[7; 0xffff]).await.unwrap();
    }
    far.write_all(b"\x88\x02\x03\xe8").await.unwrap();
    let start = tokio::time::Instant::now();
    assert_eq!(kind(&soon(stream.shutdown()).await.unwrap_err()), ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 10, "the close timeout");
    let mut bytes = Vec::new();
    assert_eq!(kind(&soon(stream.read_to_end(&mut bytes)).await.unwrap_err()), ErrorKind::TimedOut);
    assert!(bytes.len() >= 0xffff && bytes.iter().all(|&byte| byte == 7), "{} bytes", bytes.len());

    // With one, it is over at once.
    let (mut stream, mut far) = stream_and_wire();
    far.write_all(&[0x82, 0x7e, 0xff, 0xff]).await.unwrap();
    far.write_all(&[7; 0xffff]).await.unwrap();
    far.write_all(b"\x88\x02\x03\xe8").await.unwrap();
    far.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    soon(stream.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes.len(), 0xffff);
    soon(stream.shutdown()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_drops_what_was_not_read() {
    let (mut stream, mut socket) = stream_and_socket(&control(), 1 << 20);
    for _ in 0..4 {
        socket.send(noise(100_000)).await.unwrap();
    }
    let peer = tokio::spawn(async move { socket.receive().await.map(|end| (end, socket.closed().cloned())) });
    let mut some = [0; 10];
    soon(stream.read_exact(&mut some)).await.unwrap();
    let closed = soon(stream.close(CloseCode::new(4000), "enough")).await.unwrap();
    assert!(closed.clean);
    assert_eq!(soon(stream.read(&mut some)).await.unwrap(), 0);
    let (end, closed) = soon(peer).await.unwrap().unwrap();
    assert_eq!((end, closed.unwrap().code), (None, CloseCode::new(4000)));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_stops_the_writer() {
    let (mut client, mut server) = pair(64 << 10);
    let progress = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&progress);
    let chunk = noise(10_000);
    let writing = tokio::spawn(async move {
        for _ in 0..200 {
            client.write_all(&chunk).await.unwrap();
            counted.fetch_add(chunk.len(), std::sync::atomic::Ordering::Relaxed);
        }
        client.shutdown().await
    });
    settle().await;
    let written = progress.load(std::sync::atomic::Ordering::Relaxed);
    assert!(written < 300_000, "{written} bytes with nobody reading");
    let mut total = 0;
    let mut buffer = vec![0; 10_000];
    loop {
        let n = soon(server.read(&mut buffer)).await.unwrap();
        if n == 0 {
            break;
        }
        total += n;
        let ahead = progress.load(std::sync::atomic::Ordering::Relaxed) - total.min(2_000_000);
        assert!(ahead < 700_000, "{ahead} bytes on the way");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(total, 2_000_000);
    soon(writing).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_taken_for_dead() {
    // A ping has to wait behind half a megabyte that is read at 4 KiB in a second: more than four timeouts.
    let (mut client, mut server) = pair(512 << 10);
    let writing = tokio::spawn(async move {
        for _ in 0..150 {
            client.write_all(&[7; 8 << 10]).await.unwrap();
        }
        client.flush().await.unwrap();
        client.shutdown().await
    });
    let mut total = 0;
    let mut buffer = vec![0; 4 << 10];
    while total < 150 * (8 << 10) {
        total += soon(server.read(&mut buffer)).await.unwrap();
        // The rest of the close timeout is too short for half a megabyte at this pace.
        if total < 80 * (8 << 10) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    assert_eq!(soon(server.read(&mut buffer)).await.unwrap(), 0);
    soon(writing).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_a_writer_waits_for_its_reader() {
    let (mut stream, mut far) = {
        let (near, far) = duplex(1000);
        (control().from_transport(near, Role::Server), far)
    };
    let writing = tokio::spawn(async move {
        stream.write_all(&[7; 300_000]).await.unwrap();
        stream.flush().await.unwrap();
    });
    settle().await;
    far.write_all(&[0x89, 0x81, 0, 0, 0, 0, b'p']).await.unwrap();
    settle().await;
    assert!(!writing.is_finished());
    let mut all = Vec::new();
    let mut buffer = [0; 1000];
    while !all.windows(3).any(|bytes| bytes == b"\x8a\x01p") {
        let n = soon(far.read(&mut buffer)).await.unwrap();
        all.extend_from_slice(&buffer[..n]);
    }
    assert!(all.len() < 300_000, "it did not wait for the end");
    writing.abort();
}

#[tokio::test(start_paused = true)]
async fn a_socket_becomes_a_stream_between_messages() {
    let (near, mut far) = duplex(1 << 20);
    let mut socket = MessageWebSocketControl::new().from_transport(near, Role::Client);
    far.write_all(b"\x82\x01a\x02\x03bcd").await.unwrap();
    let part = soon(socket.receive_part()).await.unwrap();
    assert!(matches!(part, Some(MessagePart { is_complete: true, .. })));
    let part = soon(socket.receive_part()).await.unwrap();
    assert!(matches!(part, Some(MessagePart { is_complete: false, .. })));
    let error = socket.into_stream(&control()).unwrap_err();
    assert_eq!(Error::from(error).kind(), ErrorKind::Misuse);

    let (near, mut far) = duplex(1 << 20);
    let mut socket = MessageWebSocketControl::new().from_transport(near, Role::Client);
    socket.message_writer(MessageType::Binary).write_all(b"a").await.unwrap();
    let mut socket = socket.into_stream(&control()).unwrap_err().into_socket();
    socket.message_writer(MessageType::Binary).finish().await.unwrap();
    // A message that is arriving, and some that were read ahead while sending, are no obstacle.
    far.write_all(b"\x82\x01a\x82\x02bc\x02\x03def").await.unwrap();
    socket.flush().await.unwrap();
    socket.flush().await.unwrap();
    let mut stream = socket.into_stream(&control()).unwrap();
    far.write_all(b"\x80\x01g\x88\x00").await.unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 2];
    loop {
        let n = soon(stream.read(&mut buffer)).await.unwrap();
        if n == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..n]);
    }
    assert_eq!(bytes, b"abcdefg");
    assert_eq!(stream.information().statistics().messages_received, 3);
}

/// Delivers one frame of any size without ever having it.
struct Endless {
    head: Vec<u8>,
    remaining: u64,
    tail: Vec<u8>,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.head.is_empty() {
            room.put_slice(&std::mem::take(&mut self.head));
        } else if self.remaining > 0 {
            let n = room.remaining().min(usize::try_from(self.remaining).unwrap_or(usize::MAX)).min(60_000);
            room.put_slice(&[7; 60_000][..n]);
            self.remaining -= n as u64;
        } else {
            room.put_slice(&std::mem::take(&mut self.tail));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_any_size_passes_through() {
    // Far over the limit on messages received whole.
    let len: u64 = if cfg!(debug_assertions) { 100 << 20 } else { 5 << 30 };
    let mut head = vec![0x82, 127];
    head.extend(len.to_be_bytes());
    let transport = Endless { head, remaining: len, tail: b"\x88\x02\x03\xe8".to_vec() };
    let mut stream = control().from_transport(transport, Role::Client);
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        let n = stream.read(&mut buffer).await.unwrap();
        if n == 0 {
            break;
        }
        assert!(buffer[..n].iter().all(|&byte| byte == 7));
        total += n as u64;
    }
    assert_eq!(total, len);
}
