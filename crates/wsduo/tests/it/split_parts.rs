//! Messages in parts by a sender, and a receiver that waits for something else.

use std::time::Duration;

use wsduo::{CloseCode, ErrorKind, MessageType, Role};
use wsduo_testing::{Scripted, wire};

use crate::support::{control, kind, noise, pair, pair_with, patient, settle, soon, text};

#[tokio::test(start_paused = true)]
async fn a_sender_sends_a_message_in_frames_of_its_own() {
    let (transport, handle) = Scripted::new([]);
    let (_receiver, sender) = control().from_transport(transport, Role::Server).split();
    soon(sender.send_part(MessageType::Text, b"he", false)).await.unwrap();
    soon(sender.send_part(MessageType::Text, b"", false)).await.unwrap();
    soon(sender.send_part(MessageType::Text, b"llo", true)).await.unwrap();
    soon(sender.send("next")).await.unwrap();
    assert_eq!(handle.written(), wire::bytes("01 02 'he' 00 00 80 03 'llo' 81 04 'next'"));
}

#[tokio::test(start_paused = true)]
async fn between_the_parts_of_a_message_nothing_else_is_sent() {
    let (mut near, far) = pair();
    let (_receiver, sender) = far.split();
    let other = sender.clone();
    soon(sender.send_part(MessageType::Text, b"he", false)).await.unwrap();
    assert_eq!(kind(soon(sender.send("x")).await), ErrorKind::Misuse);
    assert_eq!(kind(soon(other.send("x")).await), ErrorKind::Misuse);
    assert_eq!(kind(soon(other.send_part(MessageType::Text, b"x", true)).await), ErrorKind::Misuse);
    assert_eq!(kind(soon(sender.send_part(MessageType::Binary, b"x", true)).await), ErrorKind::Misuse);
    assert_eq!(kind(soon(sender.send_part(MessageType::Text, b"\xff", true)).await), ErrorKind::InvalidInput);
    soon(sender.send_part(MessageType::Text, b"llo", true)).await.unwrap();
    assert_eq!(soon(near.receive()).await.unwrap(), Some(text("hello")));
    // And then it is anybody's turn.
    soon(other.send_part(MessageType::Text, b"x", false)).await.unwrap();
    assert_eq!(kind(soon(sender.send_part(MessageType::Text, b"y", true)).await), ErrorKind::Misuse);
    drop(other);
    soon(sender.send_part(MessageType::Text, b"y", true)).await.unwrap();
    assert_eq!(soon(near.receive()).await.unwrap(), Some(text("xy")));
}

#[tokio::test(start_paused = true)]
async fn a_part_is_sent_wholly_or_not_at_all() {
    let (transport, handle) = Scripted::new([]);
    handle.set_room(0);
    let (_receiver, sender) = patient().max_queued(10).from_transport(transport, Role::Server).split();
    let queued = sender.send_part(MessageType::Binary, &[1; 20], false);
    assert!(tokio::time::timeout(Duration::from_secs(1), queued).await.is_err());
    // There is no room for this one.
    let not_queued = sender.send_part(MessageType::Binary, &[2; 20], false);
    assert!(tokio::time::timeout(Duration::from_secs(1), not_queued).await.is_err());
    handle.set_room(usize::MAX);
    soon(sender.send_part(MessageType::Binary, &[3], true)).await.unwrap();
    let mut expected = wire::frame(0x02, [1; 20]);
    expected.extend(wire::frame(0x80, [3]));
    assert_eq!(handle.written(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_waits_for_something_else_answers_pings() {
    let (transport, handle) = Scripted::new([]);
    let (mut receiver, _sender) = control().from_transport(transport, Role::Client).split();
    handle.push(wire::bytes("81 02 'hi' 89 01 'p'"));
    let seen = receiver.tend(async {
        settle().await;
        handle.take_written()
    });
    assert_eq!(wire::frames(&soon(seen).await)[0].payload, b"p");
    assert_eq!(soon(receiver.receive()).await.unwrap(), Some(text("hi")));
    // The keepalive goes on, and a peer that is gone is found.
    soon(receiver.tend(tokio::time::sleep(Duration::from_secs(600)))).await;
    assert_eq!(kind(soon(receiver.receive()).await), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_waits_for_something_else_holds_the_peer_back() {
    let (near, far) = pair_with(&patient(), 1 << 10);
    let (mut receiver, _far) = far.split();
    let (_near, sender) = near.split();
    let sending = tokio::spawn(async move {
        for i in 0..1000 {
            sender.send(noise(1000)).await.map_err(|_| i)?;
        }
        sender.close(CloseCode::NORMAL, "").await.map_err(|_| 1000)
    });
    soon(receiver.tend(tokio::time::sleep(Duration::from_secs(3600 / 2)))).await;
    assert!(!sending.is_finished());
    let mut received = 0;
    while soon(receiver.receive()).await.unwrap().is_some() {
        received += 1;
    }
    assert_eq!(received, 1000);
}
