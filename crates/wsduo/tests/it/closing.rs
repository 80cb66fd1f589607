//! The end of a connection (RFC 6455 §7): one outcome, in bounded time, the same however often it is asked for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;
use wsduo::{CloseCode, ErrorKind, Initiator, Role};
use wsduo_testing::{Scripted, wire};

use crate::support::{
    client, control, kind, pair, patient, poll_once, receive_all, scripted_client, scripted_server, server,
    settle, soon, text,
};

#[tokio::test(start_paused = true)]
async fn closed_by_us() {
    let (mut client, mut server) = pair();
    let peer = tokio::spawn(async move { (receive_all(&mut server).await, server.closed().cloned()) });
    let closed = soon(client.close(CloseCode::new(4321), "enough")).await.unwrap();
    assert_eq!((closed.code.number(), &*closed.reason), (4321, "enough"));
    assert_eq!((closed.initiator, closed.clean), (Initiator::Local, true));
    assert_eq!(client.closed(), Some(&closed));
    let (received, seen) = peer.await.unwrap();
    assert_eq!(received, (vec![], None));
    let seen = seen.unwrap();
    assert_eq!((seen.code.number(), &*seen.reason), (4321, "enough"));
    assert_eq!((seen.initiator, seen.clean), (Initiator::Peer, true));
}

#[tokio::test(start_paused = true)]
async fn closed_by_the_peer_after_its_messages() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 02 'hi' 88 05 03 e9 'bye'"));
    assert_eq!(receive_all(&mut socket).await, (vec![text("hi")], None));
    let closed = socket.closed().unwrap();
    assert_eq!((closed.code, &*closed.reason), (CloseCode::GOING_AWAY, "bye"));
    assert_eq!((closed.initiator, closed.clean), (Initiator::Peer, true));
    let written = wire::frames(&handle.written());
    assert_eq!((written.len(), written[0].close_code()), (1, Some(1001)));
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_without_a_code_is_answered_without_one() {
    let (mut socket, handle) = scripted_server(wire::from_client("88 00"));
    assert_eq!(receive_all(&mut socket).await, (vec![], None));
    assert_eq!(socket.closed().unwrap().code, CloseCode::NO_STATUS);
    assert_eq!(handle.written(), wire::bytes("88 00"));
}

#[tokio::test(start_paused = true)]
async fn both_at_once() {
    let (mut client, mut server) = pair();
    let (ours, theirs) = soon(async {
        tokio::join!(client.close(CloseCode::new(4001), ""), server.close(CloseCode::new(4002), ""))
    })
    .await;
    assert!(ours.unwrap().clean);
    assert!(theirs.unwrap().clean);
    assert_eq!(soon(client.receive()).await.unwrap(), None);
    assert_eq!(soon(server.receive()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_server_ends_the_transport_first() {
    // §7.1.1
    let (mut server, to_client) = scripted_server(wire::from_client("88 02 03 e8"));
    assert_eq!(soon(server.receive()).await.unwrap(), None);
    assert!(to_client.counts().is_shut_down);

    let (mut client, to_server) = scripted_client(wire::from_server("88 02 03 e8"));
    let begin = Instant::now();
    let mut receiving = Box::pin(client.receive());
    assert!(crate::support::waits(&mut receiving));
    assert!(!to_server.counts().is_shut_down);
    to_server.end();
    assert_eq!(soon(receiving).await.unwrap(), None);
    assert!(to_server.counts().is_shut_down);
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_client_does_not_wait_for_ever_for_the_server_to_end_the_transport() {
    let (mut socket, _handle) = scripted_client(wire::from_server("88 02 03 e8"));
    let begin = Instant::now();
    assert_eq!(soon(socket.receive()).await.unwrap(), None);
    assert!(begin.elapsed() <= Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(socket.closed().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_answers_is_waited_for_no_longer_than_allowed() {
    for role in [Role::Client, Role::Server] {
        let (transport, handle) = Scripted::new([]);
        let mut socket = patient().close_timeout(Duration::from_secs(3)).from_transport(transport, role);
        let begin = Instant::now();
        let closed = soon(socket.close(CloseCode::NORMAL, "bye")).await.unwrap();
        assert!(!closed.clean);
        assert_eq!(closed.initiator, Initiator::Local);
        let elapsed = begin.elapsed();
        assert!(elapsed >= Duration::from_secs(3) && elapsed < Duration::from_secs(4), "{elapsed:?}");
        assert_eq!(wire::frames(&handle.written())[0].close_code(), Some(1000));
        assert_eq!(kind(soon(socket.receive()).await), ErrorKind::TimedOut);
        assert_eq!(kind(soon(socket.receive()).await), ErrorKind::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_does_not_hold_up_close() {
    for role in [Role::Client, Role::Server] {
        let (transport, handle) = Scripted::new([]);
        handle.set_room(0);
        let mut socket = patient().from_transport(transport, role);
        socket.feed("queued").await.unwrap();
        let closed = soon(socket.close(CloseCode::NORMAL, "")).await.unwrap();
        assert!(!closed.clean);
        assert_eq!(kind(soon(socket.send("late")).await), ErrorKind::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_and_takes_nothing_was_not_closed_cleanly() {
    for role in [Role::Client, Role::Server] {
        let close =
            if role == Role::Client { wire::from_server("88 00") } else { wire::from_client("88 00") };
        let (transport, handle) = Scripted::new(close);
        handle.set_room(0);
        let mut socket = patient().from_transport(transport, role);
        assert_eq!(kind(soon(socket.receive()).await), ErrorKind::TimedOut);
        assert!(!socket.closed().unwrap().clean);
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_close_that_cannot_be_written_is_a_loss() {
    let (mut socket, handle) = scripted_server(wire::from_client("88 00"));
    handle.fail_writes(std::io::ErrorKind::BrokenPipe);
    let error = soon(socket.receive()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost);
    // What happened, not what did not: the peer did send its close frame.
    assert!(error.to_string().contains("takes nothing any more"), "{error}");
    assert!(!socket.closed().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_could_not_be_written_before_the_end_was_not_sent() {
    // The peer closes in the middle of our sending, and takes no more.
    let (transport, handle) = Scripted::new([]);
    handle.set_room(10);
    let mut socket = patient().from_transport(transport, Role::Server);
    let mut sending = Box::pin(socket.send("a message longer than that"));
    assert!(crate::support::waits(&mut sending));
    handle.push(wire::from_client("88 00"));
    assert!(soon(sending).await.is_err());
    assert!(soon(socket.flush()).await.is_err());
    assert!(soon(socket.receive()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_never_a_clean_end() {
    // Between messages, in a header, in a frame, between fragments, in a control frame.
    for input in ["", "81", "81 05 'he'", "01 02 'he'", "89 05 'he'", "88 02 03", "82 7f 00 00"] {
        for fails in [false, true] {
            let (mut socket, handle) = scripted_client(wire::bytes(&format!("81 01 'x' {input}")));
            if fails {
                handle.fail_reads(std::io::ErrorKind::ConnectionReset);
            } else {
                handle.end();
            }
            assert_eq!(receive_all(&mut socket).await, (vec![text("x")], Some(ErrorKind::Lost)), "{input}");
            assert_eq!(kind(soon(socket.receive()).await), ErrorKind::Lost);
            assert_eq!(kind(soon(socket.receive_part()).await), ErrorKind::Lost);
            assert_eq!(kind(soon(socket.send("x")).await), ErrorKind::Lost);
            assert_eq!(kind(soon(socket.ping()).await), ErrorKind::Lost);
            let closed = soon(socket.close(CloseCode::NORMAL, "")).await.unwrap();
            assert_eq!((closed.code, closed.clean), (CloseCode::ABNORMAL, false));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_end_everything_tells_the_same() {
    let (mut socket, handle) = scripted_server(wire::from_client("88 06 0f a1 'over'"));
    for _ in 0..3 {
        assert_eq!(soon(socket.receive()).await.unwrap(), None);
        assert_eq!(soon(socket.receive_part()).await.unwrap(), None);
        assert!(soon(socket.next_reader()).await.unwrap().is_none());
        assert_eq!(kind(soon(socket.send("late")).await), ErrorKind::Closed);
        assert_eq!(kind(soon(socket.feed("late")).await), ErrorKind::Closed);
        assert_eq!(kind(soon(socket.ping()).await), ErrorKind::Closed);
        assert!(soon(socket.flush()).await.is_ok(), "nothing is queued");
        let closed = soon(socket.close(CloseCode::GOING_AWAY, "ours")).await.unwrap();
        assert_eq!((closed.code.number(), &*closed.reason, closed.clean), (4001, "over", true));
        assert_eq!(soon(socket.run(|_, _| Ok(()))).await.unwrap(), closed);
        let ran = soon(socket.run_async(async |_, _: &wsduo::AsyncReplies<'_, _>| Ok(()))).await;
        assert_eq!(ran.unwrap(), closed);
    }
    assert_eq!(wire::frames(&handle.written()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn data_after_a_close_frame_is_dropped_and_the_close_answered_once() {
    let (mut socket, handle) = scripted_server(wire::from_client("88 02 03 e8 81 04 'late' 88 00 89 00"));
    assert_eq!(receive_all(&mut socket).await, (vec![], None));
    assert_eq!(handle.written(), wire::bytes("88 02 03 e8"));
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_while_closing_are_dropped() {
    let (mut socket, handle) =
        scripted_server(wire::from_client("81 05 'cross' 01 01 'a' 80 01 'b' 88 02 03 e8"));
    let closed = soon(socket.close(CloseCode::NORMAL, "")).await.unwrap();
    assert!(closed.clean);
    assert_eq!(soon(socket.receive()).await.unwrap(), None);
    assert_eq!(handle.written(), wire::bytes("88 02 03 e8"));
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_leaves_before_the_close_frame() {
    let (mut socket, handle) = scripted_server([]);
    socket.feed("one").await.unwrap();
    assert!(poll_once(socket.close(CloseCode::NORMAL, "")).is_pending());
    assert_eq!(handle.written(), wire::bytes("81 03 'one' 88 02 03 e8"));
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_leaves_before_the_answer_to_a_close_frame() {
    let (mut socket, handle) = scripted_server(wire::from_client("88 00"));
    socket.feed("one").await.unwrap();
    assert_eq!(soon(socket.receive()).await.unwrap(), None);
    assert_eq!(handle.written(), wire::bytes("81 03 'one' 88 00"));
}

#[tokio::test(start_paused = true)]
async fn a_close_that_may_not_be_sent_changes_nothing() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 02 'hi'"));
    for code in [CloseCode::ABNORMAL, CloseCode::TLS_FAILED, CloseCode::new(999), CloseCode::new(5000)] {
        assert_eq!(kind(soon(socket.close(code, "")).await), ErrorKind::InvalidInput);
    }
    assert_eq!(kind(soon(socket.close(CloseCode::NORMAL, &"x".repeat(124))).await), ErrorKind::InvalidInput);
    assert_eq!(socket.closed(), None);
    socket.send("still open").await.unwrap();
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("hi")));
    assert_eq!(handle.written(), wire::bytes("81 0a 'still open'"));
}

#[tokio::test(start_paused = true)]
async fn a_violation_is_told_to_the_peer_and_what_it_still_sends_is_read() {
    // A close with unread input would reset TCP, and the reason would be lost.
    let (mut socket, handle) = scripted_server(wire::from_client("81 02 'hi' 83 00"));
    handle.push(wire::from_client("82 7e 01 00 'x'*256"));
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("hi")));
    let begin = Instant::now();
    let error = soon(socket.receive()).await.unwrap_err();
    assert_eq!((error.kind(), error.close_code()), (ErrorKind::Protocol, Some(CloseCode::PROTOCOL_ERROR)));
    assert!(begin.elapsed() <= Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(handle.unread(), 0);
    assert!(handle.counts().is_shut_down);
    let written = wire::frames(&handle.written());
    assert_eq!((written.len(), written[0].close_code()), (1, Some(1002)));
    assert_eq!(kind(soon(socket.receive()).await), ErrorKind::Protocol);
    let closed = soon(socket.close(CloseCode::NORMAL, "")).await.unwrap();
    assert_eq!((closed.code, closed.clean), (CloseCode::PROTOCOL_ERROR, false));
}

#[tokio::test(start_paused = true)]
async fn every_violation_ends_with_its_code() {
    for (frames, code, kind) in [
        ("81 01 ff", 1007, ErrorKind::Protocol),
        ("c1 00", 1002, ErrorKind::Protocol),
        ("09 00", 1002, ErrorKind::Protocol),
        ("80 00", 1002, ErrorKind::Protocol),
        ("01 00 01 00", 1002, ErrorKind::Protocol),
        ("88 01 03", 1002, ErrorKind::Protocol),
        ("88 02 03 ed", 1002, ErrorKind::Protocol),
        ("88 03 03 e8 ff", 1007, ErrorKind::Protocol),
        ("82 7e 01 00", 1009, ErrorKind::TooLarge),
        ("82 7f 40 00 00 00 00 00 00 00", 1009, ErrorKind::TooLarge),
        ("82 7f 80 00 00 00 00 00 00 00", 1002, ErrorKind::Protocol),
        ("82 7e 00 05", 1002, ErrorKind::Protocol),
        ("02 00 00 00 00 00 00 00 00 00", 1008, ErrorKind::TooLarge),
        ("82 80 00 00 00 00", 1002, ErrorKind::Protocol),
    ] {
        let (transport, handle) = Scripted::new(wire::bytes(frames));
        let mut socket =
            control().max_message_size(200).max_fragments(3).from_transport(transport, Role::Client);
        let error = soon(socket.receive()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{frames}: {error}");
        assert_eq!(error.close_code(), Some(CloseCode::new(code)), "{frames}");
        let written = wire::frames(&handle.written());
        assert_eq!((written.len(), written[0].close_code()), (1, Some(code)), "{frames}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_stream_after_a_violation_does_not_keep_the_socket() {
    let (near, mut far) = tokio::io::duplex(1024);
    let mut socket = server(near);
    let flood = tokio::spawn(async move {
        far.write_all(&wire::from_client("83 00")).await.unwrap();
        while far.write_all(&[0; 100]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let begin = Instant::now();
    assert_eq!(kind(soon(socket.receive()).await), ErrorKind::Protocol);
    assert!(begin.elapsed() <= Duration::from_secs(10), "{:?}", begin.elapsed());
    drop(socket);
    soon(flood).await.unwrap();
}

/// Always has input, and never makes its task yield.
struct Endless;

impl AsyncRead for Endless {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let room = buffer.remaining();
        buffer.put_slice(&vec![0xff; room]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_never_pauses_does_not_keep_the_task() {
    let mut socket = server(Endless);
    assert!(poll_once(socket.receive()).is_pending());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(matches!(poll_once(socket.receive()), Poll::Ready(Err(_))));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_socket_ends_the_transport_at_once() {
    let (near, mut far) = tokio::io::duplex(1024);
    let mut socket = client(near);
    socket.feed("never sent").await.unwrap();
    drop(socket);
    settle().await;
    let mut rest = Vec::new();
    far.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}
