//! Peers that do not read, and peers that send too much: memory stays bounded and nothing locks up.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsduo::{ErrorKind, Message, Role};
use wsduo_testing::{Scripted, poll_at_most, wire};

use crate::support::{kind, noise, pair_with, patient, poll_once, scripted_server, settle, soon, text};

#[tokio::test(start_paused = true)]
async fn feeding_waits_for_a_peer_that_does_not_read() {
    let (transport, handle) = Scripted::new([]);
    handle.set_room(0);
    let mut socket = patient().max_queued(1000).from_transport(transport, Role::Server);
    let mut fed = 0;
    while poll_at_most(1, socket.feed(&[7; 100])).await.is_some() {
        fed += 1;
        assert!(fed < 100, "never waits");
    }
    // 102 bytes a frame: full at the tenth.
    assert_eq!(fed, 10);
    assert_eq!(socket.information().statistics().messages_sent, 10);
    handle.set_room(usize::MAX);
    soon(socket.feed(&[7; 100])).await.unwrap();
    soon(socket.flush()).await.unwrap();
    assert_eq!(wire::frames(&handle.written()).len(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_not_called_while_its_replies_cannot_leave() {
    let one = wire::masked_frame(0x82, noise(1000));
    let (mut socket, handle) = scripted_server(one.repeat(1000));
    handle.set_room(0);
    let handled = std::cell::Cell::new(0);
    {
        let mut running = Box::pin(socket.run(|message, replies| {
            handled.set(handled.get() + 1);
            replies.send(message)
        }));
        for _ in 0..20 {
            assert!(crate::support::waits(&mut running));
        }
        // By default 128 KiB may be queued.
        assert!(handled.get() <= 132, "{}", handled.get());
        let unread = handle.unread();
        // What is read at once, and what is read ahead.
        assert!(unread >= 1_000_000 - (256 << 10) - (128 << 10), "{unread}");
        handle.set_room(usize::MAX);
        handle.push(wire::from_client("88 02 03 e8"));
        soon(running).await.unwrap();
    }
    assert_eq!(handled.get(), 1000);
    let written = wire::frames(&handle.written());
    assert_eq!(written.len(), 1001);
    assert!(written[..1000].iter().all(|frame| frame.payload == noise(1000)));
}

#[tokio::test(start_paused = true)]
async fn receiving_goes_on_while_a_large_message_cannot_leave() {
    let (transport, handle) = Scripted::new([]);
    handle.set_room(10);
    let mut socket = patient().from_transport(transport, Role::Server);
    assert!(poll_once(socket.send(noise(5 << 20))).is_pending());
    for i in 0..1000 {
        handle.push(wire::masked_frame(0x81, i.to_string()));
        assert_eq!(soon(socket.receive()).await.unwrap(), Some(text(&i.to_string())));
    }
}

#[tokio::test(start_paused = true)]
async fn two_sides_that_send_much_at_once_do_not_lock_up() {
    let (mut a, mut b) = pair_with(&patient(), 1000);
    let message = Message::from(noise(300_000));
    // Each only sends. Neither transport has the room: so each has to read ahead, or give up.
    let (in_a, in_b) = {
        let mut sending = Box::pin(async { tokio::join!(a.send(&message), b.send(&message)) });
        let waits = poll_at_most(100_000, tokio::time::timeout(Duration::from_secs(1), &mut sending)).await;
        drop(sending);
        drop(waits);
        // Now each receives: and what it has queued goes on leaving.
        soon(async { tokio::join!(a.receive(), b.receive()) }).await
    };
    assert_eq!(in_a.unwrap(), Some(message.clone()));
    assert_eq!(in_b.unwrap(), Some(message));
}

#[tokio::test(start_paused = true)]
async fn the_halves_do_not_lock_up_when_both_sides_send_much() {
    let (a, b) = pair_with(&patient(), 1000);
    let tasks: Vec<_> = [a, b]
        .into_iter()
        .map(|socket| {
            tokio::spawn(async move {
                let (mut receiver, sender) = socket.split();
                let sending = tokio::spawn(async move {
                    for i in 0..20 {
                        sender.send(noise(50_000 + i)).await.unwrap();
                    }
                    sender
                });
                for i in 0..20 {
                    assert_eq!(receiver.receive().await.unwrap(), Some(noise(50_000 + i).into()));
                }
                sending.await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn pongs_that_are_never_read_do_not_pile_up() {
    let (mut socket, handle) = scripted_server([]);
    handle.set_room(0);
    let ping = wire::masked_frame(0x89, [b'p'; 125]);
    let flood = ping.repeat(2000);
    for round in 0..20 {
        handle.push(&flood);
        assert!(poll_once(socket.receive()).is_pending());
        assert_eq!(handle.unread(), 0, "round {round}");
    }
    handle.push(wire::masked_frame(0x89, "the last"));
    assert!(poll_once(socket.receive()).is_pending());
    handle.set_room(usize::MAX);
    assert!(poll_once(socket.receive()).is_pending());
    let written = wire::frames(&handle.written());
    assert!(written.len() <= 40, "{} pongs", written.len());
    assert!(written.iter().all(|frame| frame.first == 0x8a));
    // §5.5.3: of several, the latest has to be answered.
    assert_eq!(written.last().unwrap().text(), "the last");
}

#[tokio::test(start_paused = true)]
async fn reading_ahead_is_bounded() {
    // Many small messages, empty ones, and the fragments of a large one.
    for piece in [
        wire::masked_frame(0x81, ""),
        wire::masked_frame(0x82, noise(100)),
        wire::masked_frame(0x82, noise(30_000)),
    ] {
        let (near, mut far) = tokio::io::duplex(1 << 10);
        let mut socket = patient().from_transport(near, Role::Server);
        let flood = tokio::spawn(async move {
            let mut written = 0;
            while written < 4 << 20 && far.write_all(&piece).await.is_ok() {
                written += piece.len();
            }
            far
        });
        for _ in 0..2000 {
            let _ = poll_once(socket.flush());
            tokio::task::yield_now().await;
        }
        assert!(!flood.is_finished());
        let received = socket.information().statistics().bytes_received;
        assert!(received <= 400 << 10, "{received} bytes");
        flood.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_behind_too_many_messages_says_so() {
    let (mut socket, handle) = scripted_server(wire::masked_frame(0x82, noise(10_000)).repeat(100));
    assert_eq!(kind(soon(socket.ping()).await), ErrorKind::Busy);
    for _ in 0..100 {
        assert_eq!(soon(socket.receive()).await.unwrap(), Some(noise(10_000).into()));
    }
    let ping = wire::frames(&handle.written())[0].clone();
    handle.push(wire::masked_frame(0x8a, ping.payload));
    assert!(poll_once(socket.receive()).is_pending());
    assert!(socket.information().statistics().round_trip_time.is_some());
}

#[tokio::test(start_paused = true)]
async fn pings_given_up_do_not_pile_up() {
    let (mut socket, handle) = scripted_server([]);
    handle.set_room(0);
    for _ in 0..10_000 {
        assert!(poll_once(socket.ping()).is_pending());
    }
    handle.set_room(usize::MAX);
    assert!(poll_once(socket.receive()).is_pending());
    let pings = wire::frames(&handle.written()).len();
    assert!(pings <= 16, "{pings} pings");
}

#[tokio::test(start_paused = true)]
async fn what_a_frame_announces_takes_no_memory() {
    // 200 connections that announce 15 MiB each, and send little. Were it reserved and touched, this would be slow.
    let mut sockets = Vec::new();
    for _ in 0..200 {
        let mut head = wire::bytes("82 ff 00 00 00 00 00 f0 00 00");
        head.extend_from_slice(&[0; 4]);
        head.extend_from_slice(b"some bytes");
        let (mut socket, handle) = scripted_server(head);
        assert!(poll_once(socket.receive()).is_pending());
        sockets.push((socket, handle));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_and_floods_is_read_no_further_than_its_pongs_leave_room() {
    let (near, mut far) = tokio::io::duplex(100);
    let mut socket = patient().from_transport(near, Role::Server);
    let receiving = tokio::spawn(async move { socket.receive().await });
    for _ in 0..5000 {
        far.write_all(&wire::from_client("89 04 'ping'")).await.unwrap();
    }
    // It was all taken, so neither side waits for the other; and then it closes.
    far.write_all(&wire::from_client("88 02 03 e8")).await.unwrap();
    settle().await;
    let mut rest = Vec::new();
    soon(far.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(soon(receiving).await.unwrap().unwrap(), None);
    let frames = wire::frames(&rest);
    assert!(frames.len() < 100);
    assert_eq!(frames.last().unwrap().close_code(), Some(1000));
}
