//! Each timer of an open connection, as it is by default and as it is set, on both kinds of socket. What stops and restarts
//! them is in `deadlines` and `closing`.

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wsduo::{CloseCode, MessageWebSocketControl, Role, StreamWebSocketControl};
use wsduo_testing::{Handle, Scripted, wire};

use crate::support::{HOUR, control, soon};

const SECOND: Duration = Duration::from_secs(1);

/// How long the future takes, which has to end for want of time.
async fn takes<R, E: std::fmt::Display>(future: impl Future<Output = Result<R, E>>) -> Duration {
    let begin = Instant::now();
    match soon(future).await {
        Ok(_) => panic!("did not run out of time"),
        Err(error) => assert!(error.to_string().contains("timeout"), "{error}"),
    }
    begin.elapsed()
}

#[track_caller]
fn about(expected: u64, elapsed: Duration) {
    let expected = Duration::from_secs(expected);
    // Never early, and late by what one look at the clock is apart from the next.
    assert!(elapsed >= expected && elapsed <= expected * 2, "{elapsed:?} instead of {expected:?}");
}

/// When the first ping leaves.
async fn first_ping(reading: impl Future, handle: &Handle) -> Duration {
    let begin = Instant::now();
    let pinged = async {
        while handle.written().first() != Some(&0x89) {
            tokio::time::sleep(SECOND / 10).await;
        }
    };
    tokio::select! {
        _ = reading => panic!("ended without a ping"),
        () = pinged => {}
        () = tokio::time::sleep(HOUR) => panic!("no ping"),
    }
    begin.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_keepalive_is_20_seconds_or_what_is_set() {
    for (set, expected) in [(None, 20), (Some(7), 7), (Some(100), 100)] {
        for role in [Role::Client, Role::Server] {
            let (mut message, mut stream) = (control(), StreamWebSocketControl::new());
            if let Some(interval) = set.map(Duration::from_secs) {
                (message, stream) = (message.keepalive(interval), stream.keepalive(interval));
            }
            let (transport, handle) = Scripted::new([]);
            let mut socket = message.from_transport(transport, role);
            about(expected, first_ping(socket.receive(), &handle).await);
            let (transport, handle) = Scripted::new([]);
            let mut socket = stream.from_transport(transport, role);
            about(expected, first_ping(socket.read_u8(), &handle).await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unsolicited_pong_leaves_when_it_is_set_and_at_most_every_second() {
    for (set, expected) in
        [(None, 0), (Some(Duration::ZERO), 0), (Some(SECOND / 10), 100), (Some(7 * SECOND), 14)]
    {
        let (mut message, mut stream) =
            (control().keepalive(None), StreamWebSocketControl::new().keepalive(None));
        if set.is_some() {
            message = message.unsolicited_pong_interval(set);
            stream = stream.unsolicited_pong_interval(set);
        }
        let pongs = |handle: &Handle| {
            let frames = wire::frames(&handle.take_written());
            assert!(frames.iter().all(|frame| frame.first == 0x8a && frame.payload.is_empty()));
            frames.len()
        };
        let time = 100 * SECOND + SECOND / 2;
        let (transport, handle) = Scripted::new([]);
        let mut socket = message.from_transport(transport, Role::Client);
        assert!(tokio::time::timeout(time, socket.receive()).await.is_err());
        assert_eq!(pongs(&handle), expected, "{set:?}");
        let (transport, handle) = Scripted::new([]);
        let mut socket = stream.from_transport(transport, Role::Server);
        assert!(tokio::time::timeout(time, socket.read_u8()).await.is_err());
        assert_eq!(pongs(&handle), expected, "{set:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_receive_timeout_is_30_seconds_or_what_is_set() {
    let message = || control().keepalive(None);
    let stream = || StreamWebSocketControl::new().keepalive(None);
    for (message, stream, expected) in [
        (message(), stream(), 30),
        (message().receive_timeout(7 * SECOND), stream().receive_timeout(7 * SECOND), 7),
        (message().receive_timeout(90 * SECOND), stream().receive_timeout(90 * SECOND), 90),
    ] {
        let (transport, _handle) = Scripted::new(wire::bytes("82 05 'he'"));
        about(expected, takes(message.from_transport(transport, Role::Client).receive()).await);
        let (transport, _handle) = Scripted::new(wire::bytes("82 05"));
        about(expected, takes(stream.from_transport(transport, Role::Client).read_u8()).await);
        // And a ping that is not answered.
        let (transport, _handle) = Scripted::new([]);
        about(expected, takes(message.from_transport(transport, Role::Client).ping()).await);
    }
}

#[tokio::test(start_paused = true)]
async fn the_send_timeout_is_30_seconds_or_what_is_set() {
    let message = || control().keepalive(None);
    let stream = || StreamWebSocketControl::new().keepalive(None);
    for (message, stream, expected) in [
        (message(), stream(), 30),
        (message().send_timeout(7 * SECOND), stream().send_timeout(7 * SECOND), 7),
        (message().send_timeout(90 * SECOND), stream().send_timeout(90 * SECOND), 90),
    ] {
        let (transport, handle) = Scripted::new([]);
        handle.set_room(3);
        about(expected, takes(message.from_transport(transport, Role::Client).send("hello")).await);
        let (transport, handle) = Scripted::new([]);
        handle.set_room(3);
        let mut socket = stream.from_transport(transport, Role::Client);
        socket.write_all(b"hello").await.unwrap();
        about(expected, takes(socket.flush()).await);
    }
}

#[tokio::test(start_paused = true)]
async fn the_close_timeout_is_10_seconds_or_what_is_set() {
    let check = async |message: MessageWebSocketControl, stream: StreamWebSocketControl, expected| {
        let (transport, _handle) = Scripted::new([]);
        let begin = Instant::now();
        let mut socket = message.from_transport(transport, Role::Client);
        assert!(!soon(socket.close(CloseCode::NORMAL, "")).await.unwrap().clean);
        assert_eq!(begin.elapsed().as_secs(), expected);
        let (transport, _handle) = Scripted::new([]);
        let begin = Instant::now();
        let mut socket = stream.from_transport(transport, Role::Client);
        assert!(!soon(socket.close(CloseCode::NORMAL, "")).await.unwrap().clean);
        assert_eq!(begin.elapsed().as_secs(), expected);
        let (transport, _handle) = Scripted::new([]);
        let mut socket = stream.from_transport(transport, Role::Client);
        about(expected, takes(socket.shutdown()).await);
    };
    check(control(), StreamWebSocketControl::new(), 10).await;
    let seven = 7 * SECOND;
    check(control().close_timeout(seven), StreamWebSocketControl::new().close_timeout(seven), 7).await;
    let hundred = 100 * SECOND;
    let message = control().close_timeout(hundred).keepalive(None);
    check(message, StreamWebSocketControl::new().close_timeout(hundred), 100).await;
}

#[tokio::test(start_paused = true)]
async fn each_timer_can_be_off() {
    let message = control().keepalive(None).receive_timeout(None).send_timeout(None);
    let stream = StreamWebSocketControl::new().keepalive(None).receive_timeout(None).send_timeout(None);
    let (transport, handle) = Scripted::new(wire::bytes("82 05 'he'"));
    handle.set_room(0);
    let mut socket = message.from_transport(transport, Role::Client);
    assert!(tokio::time::timeout(100 * HOUR, socket.send("x")).await.is_err());
    assert!(tokio::time::timeout(100 * HOUR, socket.receive()).await.is_err());
    assert!(tokio::time::timeout(100 * HOUR, socket.ping()).await.is_err());
    let (transport, handle) = Scripted::new(wire::bytes("82 05"));
    handle.set_room(0);
    let mut socket = stream.from_transport(transport, Role::Client);
    socket.write_all(b"x").await.unwrap();
    assert!(tokio::time::timeout(100 * HOUR, socket.flush()).await.is_err());
    assert!(tokio::time::timeout(100 * HOUR, socket.read_u8()).await.is_err());
}
