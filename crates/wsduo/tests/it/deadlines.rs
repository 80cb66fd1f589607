//! Keepalive, pongs and timeouts, on a clock that is turned by the test.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use wsduo::{AsyncReplies, CloseCode, ErrorKind, Message, MessageType, Role};
use wsduo_testing::{Scripted, Slow, wire};

use crate::support::{
    HOUR, client, control, kind, noise, pair, patient, scripted_server, server, settle, soon, text,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_pinged_and_lives_for_ever() {
    let (mut client, mut server) = pair();
    let client = tokio::spawn(async move { client.receive().await });
    let server_task = tokio::spawn(async move {
        let received = tokio::time::timeout(100 * HOUR, server.receive()).await;
        assert!(received.is_err(), "{received:?}");
        server.information().statistics()
    });
    let statistics = server_task.await.unwrap();
    // Pongs to the client's pings, at least.
    assert!(statistics.bytes_received > 100 * 60);
    assert!(statistics.round_trip_time.is_some());
    assert!(!client.is_finished() || client.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_without_keepalive_is_left_alone() {
    let (transport, handle) = Scripted::new([]);
    let mut socket = control().keepalive(None).from_transport(transport, Role::Client);
    assert!(tokio::time::timeout(100 * HOUR, socket.receive()).await.is_err());
    assert!(handle.written().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_and_then_given_up() {
    for role in [Role::Client, Role::Server] {
        let (transport, handle) = Scripted::new([]);
        let mut socket = control().from_transport(transport, role);
        let begin = Instant::now();
        assert_eq!(kind(soon(socket.receive()).await), ErrorKind::TimedOut);
        let elapsed = begin.elapsed();
        assert!(elapsed >= 50 * SECOND && elapsed <= 60 * SECOND, "{elapsed:?}");
        assert_eq!(wire::frames(&handle.written())[0].first, 0x89);
    }
}

#[tokio::test(start_paused = true)]
async fn an_alarm_set_while_the_task_had_no_budget_left_still_goes_off() {
    let (transport, handle) = Scripted::new([]);
    let mut socket = control().from_transport(transport, Role::Client);
    let mut receiving = Box::pin(socket.receive());
    // A task that did much in one poll is made to yield by each resource of the runtime.
    std::future::poll_fn(|cx| {
        while let std::task::Poll::Ready(progress) = tokio::task::coop::poll_proceed(cx) {
            progress.made_progress();
        }
        assert!(receiving.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    assert_eq!(kind(soon(receiving).await), ErrorKind::TimedOut);
    assert_eq!(wire::frames(&handle.written())[0].first, 0x89);
}

#[tokio::test(start_paused = true)]
async fn silence_in_the_middle_of_a_frame_is_a_timeout() {
    for input in ["82 05 'he'", "82 05"] {
        let (transport, _handle) = Scripted::new(wire::bytes(input));
        let mut socket = control().keepalive(None).from_transport(transport, Role::Client);
        let begin = Instant::now();
        assert_eq!(kind(soon(socket.receive()).await), ErrorKind::TimedOut);
        assert!(begin.elapsed() <= 31 * SECOND, "{:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn silence_between_the_fragments_of_a_message_is_no_timeout() {
    let (transport, handle) = Scripted::new(wire::bytes("02 02 'he'"));
    let mut socket = control().keepalive(None).from_transport(transport, Role::Client);
    assert!(tokio::time::timeout(HOUR, socket.receive()).await.is_err());
    handle.push(wire::bytes("80 01 'y'"));
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(Message::from(&b"hey"[..])));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    for operation in 0..4 {
        let (transport, handle) = Scripted::new([]);
        handle.set_room(3);
        let mut socket = control().keepalive(None).max_queued(1).from_transport(transport, Role::Client);
        let begin = Instant::now();
        let result = match operation {
            0 => soon(socket.send("hello")).await,
            1 => {
                socket.feed("hello").await.unwrap();
                soon(socket.feed("hello")).await
            }
            2 => {
                socket.feed("hello").await.unwrap();
                soon(socket.receive()).await.map(|_| ())
            }
            _ => {
                let mut writer = socket.message_writer(MessageType::Text);
                writer.write_all(b"hello").await.unwrap();
                soon(writer.finish()).await
            }
        };
        assert_eq!(kind(result), ErrorKind::TimedOut);
        let elapsed = begin.elapsed();
        assert!(elapsed >= 30 * SECOND && elapsed <= 31 * SECOND, "operation {operation}: {elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_but_healthy_transfer_survives() {
    let (near, mut far) = tokio::io::duplex(16);
    let mut socket = server(near);
    let message = noise(2000);
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        let mut piece = [0; 16];
        loop {
            tokio::time::sleep(25 * SECOND).await;
            match far.read(&mut piece).await {
                Ok(n) if n > 0 => all.extend_from_slice(&piece[..n]),
                _ => return all,
            }
            // It reads slowly, but it is there.
            let _ = far.write_all(&wire::from_client("8a 00")).await;
        }
    });
    let begin = Instant::now();
    tokio::time::timeout(100 * HOUR, socket.send(message.clone())).await.unwrap().unwrap();
    assert!(begin.elapsed() > HOUR / 2);
    drop(socket);
    let all = reading.await.unwrap();
    assert_eq!(wire::split_frames(&all).0[0].payload, message);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_trickles_in_survives() {
    let (near, mut far) = tokio::io::duplex(16);
    let mut socket = client(near);
    tokio::spawn(async move {
        for byte in wire::bytes("81 7e 00 80 'x'*128") {
            tokio::time::sleep(19 * SECOND).await;
            far.write_all(&[byte]).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    let received = tokio::time::timeout(100 * HOUR, socket.receive()).await.unwrap().unwrap();
    assert_eq!(received, Some(text(&"x".repeat(128))));
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_only_the_receiver_is_polled() {
    let (mut socket, handle) = scripted_server([]);
    let receiving = tokio::spawn(async move { socket.receive().await });
    handle.push(wire::from_client("89 03 'one'"));
    settle().await;
    assert_eq!(handle.take_written(), wire::bytes("8a 03 'one'"));
    handle.push(wire::from_client("89 03 'two' 81 02 'hi'"));
    assert_eq!(soon(receiving).await.unwrap().unwrap(), Some(text("hi")));
}

#[tokio::test(start_paused = true)]
async fn a_ping_in_front_of_a_message_is_answered_by_the_next_operation() {
    for operation in 0..4 {
        let (mut socket, handle) = scripted_server(wire::from_client("89 01 'p' 81 02 'hi'"));
        assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("hi")));
        match operation {
            0 => assert!(crate::support::poll_once(socket.receive()).is_pending()),
            1 => soon(socket.send("x")).await.unwrap(),
            2 => soon(socket.flush()).await.unwrap(),
            _ => assert!(crate::support::poll_once(socket.close(CloseCode::NORMAL, "")).is_pending()),
        }
        let written = wire::frames(&handle.written());
        if operation < 3 {
            assert!(written.iter().any(|frame| frame.first == 0x8a), "operation {operation}: {written:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_only_a_sender_is_polled() {
    for in_front in ["", "81 05 'hello'", "82 7e 7d 00 'x'*32000", "01 02 'he'"] {
        let (mut socket, handle) = scripted_server(wire::from_client(in_front));
        handle.push(wire::from_client("89 04 'ping'"));
        // Sends that are done at once, one after the other: nobody ever receives.
        for _ in 0..3 {
            soon(socket.send("x")).await.unwrap();
        }
        let written = wire::frames(&handle.take_written());
        assert!(written.iter().any(|frame| frame.first == 0x8a && frame.text() == "ping"), "{in_front}");

        // A send that waits.
        handle.set_room(0);
        let mut sending = Box::pin(socket.send("y"));
        assert!(crate::support::waits(&mut sending));
        handle.push(wire::from_client("89 04 'more'"));
        assert!(crate::support::waits(&mut sending));
        handle.set_room(usize::MAX);
        soon(sending).await.unwrap();
        soon(socket.flush()).await.unwrap();
        let written = wire::frames(&handle.take_written());
        assert!(written.iter().any(|frame| frame.first == 0x8a && frame.text() == "more"), "{in_front}");

        // What came in front was kept for the receiver.
        if in_front.starts_with('8') {
            assert_eq!(soon(socket.receive()).await.unwrap().unwrap(), {
                let frame = &wire::frames(&wire::bytes(in_front))[0];
                if frame.first == 0x81 { text(&frame.text()) } else { frame.payload.clone().into() }
            });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_a_handler_waits() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 02 'hi' 81 05 'queue' 89 04 'ping'"));
    let running = tokio::spawn(async move {
        socket
            .run_async(async |_, _: &AsyncReplies<'_, _>| {
                tokio::time::sleep(HOUR / 2).await;
                Ok(())
            })
            .await
    });
    settle().await;
    assert_eq!(handle.take_written(), wire::bytes("8a 04 'ping'"));
    handle.push(wire::from_client("89 04 'more'"));
    settle().await;
    assert_eq!(handle.take_written(), wire::bytes("8a 04 'more'"));
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_is_no_fault_of_the_peer() {
    // More than is read ahead: the peer's pongs are stuck behind its own data, which nobody takes.
    let (mut client, mut server) = pair();
    let message = Message::from(noise(40_000));
    let count = 8;
    let sent = message.clone();
    let sending = tokio::spawn(async move {
        for _ in 0..count {
            client.send(&sent).await.unwrap();
        }
        client.close(CloseCode::NORMAL, "").await
    });
    let mut handled = 0;
    let closed = tokio::time::timeout(
        100 * HOUR,
        server.run_async(async |received, _: &AsyncReplies<'_, _>| {
            assert!(received == message);
            // The client must be patient too, or this would be about its timeout.
            tokio::time::sleep(if handled == 0 { 25 * SECOND } else { SECOND }).await;
            handled += 1;
            Ok(())
        }),
    )
    .await;
    assert!(closed.unwrap().unwrap().clean);
    assert_eq!(handled, count);
    assert!(sending.await.unwrap().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_take_an_hour_while_more_messages_wait_than_are_read_ahead() {
    let messages: Vec<u8> = (0..10).flat_map(|_| wire::masked_frame(0x82, noise(40_000))).collect();
    let (near, mut far) = tokio::io::duplex(16 << 10);
    let mut socket = server(near);
    let peer = tokio::spawn(async move {
        far.write_all(&messages).await.unwrap();
        far.write_all(&wire::from_client("88 02 03 e8")).await.unwrap();
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
    });
    let mut handled = 0;
    let running = socket.run_async(async |_, _: &AsyncReplies<'_, _>| {
        tokio::time::sleep(HOUR).await;
        handled += 1;
        Ok(())
    });
    let closed = tokio::time::timeout(100 * HOUR, running).await.unwrap();
    assert!(closed.unwrap().clean);
    assert_eq!(handled, 10);
    peer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_nobody_polled_for_an_hour_is_well() {
    let (mut client, mut server) = pair();
    server.send("early").await.unwrap();
    tokio::time::sleep(HOUR).await;
    client.send("late").await.unwrap();
    assert_eq!(soon(client.receive()).await.unwrap(), Some(text("early")));
    assert_eq!(soon(server.receive()).await.unwrap(), Some(text("late")));
}

#[tokio::test(start_paused = true)]
async fn a_ping_without_an_answer_is_a_timeout() {
    let (near, mut far) = tokio::io::duplex(1024);
    let mut socket = client(near);
    tokio::spawn(async move {
        let mut sink = [0; 100];
        while far.read(&mut sink).await.is_ok_and(|n| n > 0) {}
    });
    let begin = Instant::now();
    assert_eq!(kind(soon(socket.ping()).await), ErrorKind::TimedOut);
    assert!(begin.elapsed() <= 51 * SECOND, "{:?}", begin.elapsed());
}

/// Sends a message every second, takes everything and answers nothing; unasked pongs are no answers.
async fn talk_without_listening(mut far: DuplexStream) {
    let mut sink = [0; 100];
    loop {
        tokio::select! {
            read = far.read(&mut sink) => if !read.is_ok_and(|n| n > 0) { return },
            () = tokio::time::sleep(SECOND) => far.write_all(&wire::bytes("81 02 'hi' 8a 00")).await.unwrap(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_talks_but_never_answers_pings_is_not_waited_for() {
    let (near, far) = tokio::io::duplex(1024);
    let mut socket = client(near);
    let peer = tokio::spawn(talk_without_listening(far));
    for _ in 0..3 {
        let begin = Instant::now();
        let error = soon(socket.ping()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("did not answer a ping within 30s"), "{error}");
        assert_eq!(begin.elapsed(), 30 * SECOND);
        // It is no end of the connection, and what came meanwhile was kept.
        for _ in 0..29 {
            assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("hi")));
        }
    }
    // And so from a half.
    let (_receiver, sender) = socket.split();
    let begin = Instant::now();
    assert_eq!(kind(soon(sender.ping()).await), ErrorKind::TimedOut);
    assert_eq!(begin.elapsed(), 30 * SECOND);
    peer.abort();
}

#[tokio::test(start_paused = true)]
async fn without_a_receive_timeout_an_answer_is_waited_for() {
    let (near, far) = tokio::io::duplex(1024);
    let mut socket = control().receive_timeout(None).from_transport(near, Role::Client);
    let peer = tokio::spawn(talk_without_listening(far));
    assert!(tokio::time::timeout(500 * SECOND, socket.ping()).await.is_err());
    peer.abort();
}

#[tokio::test(start_paused = true)]
async fn a_ping_after_one_that_was_given_up_is_a_new_one() {
    let (transport, handle) = Scripted::new([]);
    let mut socket = control().from_transport(transport, Role::Server);
    let talking = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SECOND).await;
            talking.push(wire::from_client("8a 00"));
        }
    });
    assert_eq!(kind(soon(socket.ping()).await), ErrorKind::TimedOut);
    handle.take_written();
    let answering = handle.clone();
    tokio::spawn(async move {
        tokio::time::sleep(5 * SECOND).await;
        let ping = &wire::frames(&answering.written())[0];
        assert_eq!(ping.first, 0x89);
        answering.push(wire::masked_frame(0x8a, ping.payload.clone()));
    });
    assert_eq!(soon(socket.ping()).await.unwrap(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_ping_has_its_time_from_when_it_was_written() {
    // Behind an upload that is taken slowly.
    let (transport, handle) = Scripted::new([]);
    handle.set_room(0);
    let mut socket = control().from_transport(transport, Role::Server);
    socket.feed(noise(50)).await.unwrap();
    let begin = Instant::now();
    let taking = handle.clone();
    tokio::spawn(async move {
        for _ in 0..8 {
            tokio::time::sleep(10 * SECOND).await;
            taking.set_room(10);
            taking.push(wire::from_client("8a 00"));
        }
        taking.set_room(usize::MAX);
        loop {
            tokio::time::sleep(10 * SECOND).await;
            taking.push(wire::from_client("8a 00"));
        }
    });
    assert_eq!(kind(soon(socket.ping()).await), ErrorKind::TimedOut);
    assert!(begin.elapsed() >= 90 * SECOND && begin.elapsed() <= 110 * SECOND, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn timeouts_hold_over_a_transport_of_single_bytes() {
    let (transport, _handle) = Scripted::new(wire::bytes("82 05 'he'"));
    let mut socket = control().from_transport(Slow::new(transport), Role::Client);
    assert_eq!(kind(soon(socket.receive()).await), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn without_timeouts_a_stuck_peer_is_waited_for() {
    let (transport, handle) = Scripted::new(wire::bytes("82 05 'he'"));
    handle.set_room(0);
    let mut socket = patient().from_transport(transport, Role::Client);
    assert!(tokio::time::timeout(100 * HOUR, socket.send("x")).await.is_err());
    assert!(tokio::time::timeout(100 * HOUR, socket.receive()).await.is_err());
    handle.push(b"llo");
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(Message::from(&b"hello"[..])));
}
