//! Closing: every ending tells `Closed` once, after all messages (spec §10.2, §13, §23).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use wsduo::{CloseCode, ErrorKind};
use wsduo_testing::wire;
use wsduo_winrt::{Error, MessageWebSocket};

use crate::support::{
    HOUR, Seen, URI, code, connected, pipes, serve, soon, watch_closed, watch_messages, watched,
};

#[tokio::test(start_paused = true)]
async fn closed_is_raised_once_after_all_messages_when_the_peer_closes() {
    let (_socket, seen, mut server) = connected().await;
    for i in 0..3 {
        soon(server.send(format!("{i}"))).await.unwrap();
    }
    let closed = soon(server.close(CloseCode::new(4001), "enough")).await.unwrap();
    assert!(closed.clean, "the socket answers by itself");
    assert_eq!(seen.all(4).await, ["text 0", "text 1", "text 2", "closed 4001 enough"]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_close_frame_of_the_peer_is_1005() {
    let (_socket, seen, mut server) = connected().await;
    soon(server.close(CloseCode::NO_STATUS, "")).await.unwrap();
    assert_eq!(seen.all(1).await, ["closed 1005"]);
}

#[tokio::test(start_paused = true)]
async fn closed_is_raised_once_when_this_side_closes_and_carries_the_code_and_reason() {
    let (socket, seen, mut server) = connected().await;
    socket.close_with_status(1000, "bye").unwrap();
    assert_eq!(soon(server.receive()).await.unwrap(), None);
    let closed = server.closed().unwrap();
    assert_eq!((closed.code, &closed.reason[..]), (CloseCode::NORMAL, "bye"));
    assert_eq!(seen.all(1).await, ["closed 1000 bye"]);
    // Closing again changes nothing.
    socket.close_with_status(1001, "again").unwrap();
    socket.close();
    assert_eq!(seen.all(1).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn close_without_a_code_sends_an_empty_close_frame() {
    let (socket, seen, mut server) = connected().await;
    socket.close();
    assert_eq!(soon(server.receive()).await.unwrap(), None);
    assert_eq!(server.closed().unwrap().code, CloseCode::NO_STATUS);
    assert_eq!(seen.all(1).await, ["closed 1005"]);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_without_a_code() {
    let (socket, seen, mut server) = connected().await;
    let another = socket.clone();
    let output = socket.output_stream();
    drop(socket);
    assert!(tokio::time::timeout(HOUR / 60, server.receive()).await.is_err(), "there is a handle left");
    drop(another);
    assert_eq!(soon(server.receive()).await.unwrap(), None);
    assert_eq!(server.closed().unwrap().code, CloseCode::NO_STATUS);
    assert_eq!(seen.all(1).await, ["closed 1005"]);
    assert_eq!(code(soon(output.write("late".into())).await), Error::CLOSED);
}

#[tokio::test(start_paused = true)]
async fn a_socket_closed_inside_its_handler_is_closed_once() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = Seen::default();
    socket
        .message_received(|socket, _| async move {
            socket.close_with_status(1000, "enough").unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        })
        .unwrap();
    watch_messages(&socket, &seen).unwrap();
    watch_closed(&socket, &seen).unwrap();
    let server = serve(async move {
        let mut server = servers.accept().await;
        for i in 0..5 {
            let _ = server.send(format!("{i}")).await;
        }
        while server.receive().await.unwrap().is_some() {}
        server.closed().cloned()
    });
    soon(socket.connect(URI)).await.unwrap();
    assert_eq!(soon(server).await.unwrap().unwrap().code, CloseCode::NORMAL);
    // The message under way is handled to its end, the others are not delivered any more.
    assert_eq!(seen.all(2).await, ["text 0", "closed 1000 enough"]);
}

#[tokio::test(start_paused = true)]
async fn a_socket_closed_inside_its_closed_handler_is_closed_once() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = watched(&socket);
    socket
        .closed(|socket, _| async move { socket.close_with_status(1000, "as the sample does").unwrap() })
        .unwrap();
    let server = serve(async move { servers.accept().await.close(CloseCode::NORMAL, "").await });
    soon(socket.connect(URI)).await.unwrap();
    assert!(soon(server).await.unwrap().unwrap().clean);
    assert_eq!(seen.all(1).await, ["closed 1000"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_an_error_at_the_message_handler_and_then_closed_1006() {
    let (socket, seen, mut server) = connected().await;
    soon(server.send("last")).await.unwrap();
    drop(server);
    // WININET_E_CONNECTION_ABORTED
    assert_eq!(seen.all(3).await, ["text last", "error 0x80072EFE", "closed 1006"]);
    assert_eq!(code(soon(socket.output_stream().write("x".into())).await).0, 0x8007_2EFE);
    assert!(!soon(socket.output_stream().flush()).await.unwrap());
    assert_eq!(code(soon(socket.connect(URI)).await), Error::ILLEGAL_METHOD_CALL);
}

#[tokio::test(start_paused = true)]
async fn a_broken_rule_is_an_error_at_the_message_handler_and_then_closed_with_what_the_peer_was_told() {
    for (bytes, told) in [("81 01 ff", 1007), ("c1 00", 1002)] {
        let (platform, mut servers) = pipes();
        let socket = MessageWebSocket::with_platform(&platform);
        let seen = watched(&socket);
        let server = serve(async move {
            let mut transport = servers.raw().await;
            transport.write_all(&wire::bytes(bytes)).await.unwrap();
            transport
        });
        soon(socket.connect(URI)).await.unwrap();
        let _server = soon(server).await.unwrap();
        let lines = seen.all(2).await;
        assert_eq!((lines.len(), &lines[0][..]), (2, "error 0x80072F78"));
        assert!(lines[1].starts_with(&format!("closed {told} ")), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_a_timeout_at_the_message_handler_and_then_closed_1006() {
    let (_socket, seen, server) = connected().await;
    // It is there and neither reads nor answers the pings of the keepalive.
    assert_eq!(seen.all(2).await, ["error 0x80072EE2", "closed 1006"]);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_a_close_frame_is_closed_1006_within_the_close_timeout() {
    let (socket, seen, _server) = connected().await;
    let begin = tokio::time::Instant::now();
    socket.close_with_status(1000, "").unwrap();
    assert_eq!(seen.all(1).await, ["closed 1006"]);
    assert!((10..12).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn close_codes_and_reasons_are_checked_and_change_nothing_if_wrong() {
    let (socket, seen, mut server) = connected().await;
    for number in [0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65535] {
        assert_eq!(code(socket.close_with_status(number, "")), Error::INVALID_ARGUMENT, "{number}");
    }
    assert_eq!(code(socket.close_with_status(1005, "reason")), Error::INVALID_ARGUMENT);
    assert_eq!(code(socket.close_with_status(1000, &"x".repeat(124))), Error::INVALID_ARGUMENT);
    // Bytes are counted, not characters.
    assert_eq!(code(socket.close_with_status(1000, &"ж".repeat(62))), Error::INVALID_ARGUMENT);
    assert_eq!(seen.all(0).await, [""; 0]);
    let longest = format!("{}x", "ж".repeat(61));
    socket.close_with_status(4999, &longest).unwrap();
    assert_eq!(soon(server.receive()).await.unwrap(), None);
    assert_eq!(server.closed().unwrap().reason, longest);
}

#[tokio::test(start_paused = true)]
async fn every_code_that_may_be_sent_arrives() {
    for number in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4000, 4999] {
        let (socket, _seen, mut server) = connected().await;
        socket.close_with_status(number, "why").unwrap();
        assert_eq!(soon(server.receive()).await.unwrap(), None);
        assert_eq!(server.closed().unwrap().code.number(), number);
    }
    let (socket, _seen, mut server) = connected().await;
    socket.close_with_status(1005, "").unwrap();
    assert_eq!(soon(server.receive()).await.unwrap(), None);
    assert_eq!(server.closed().unwrap().code, CloseCode::NO_STATUS);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_a_close_arrives() {
    let (socket, _seen, mut server) = connected().await;
    let output = socket.output_stream();
    soon(output.write("before".into())).await.unwrap();
    socket.close();
    assert_eq!(code(soon(output.write("after".into())).await), Error::CLOSED);
    assert_eq!(soon(server.receive()).await.unwrap().unwrap().as_bytes(), b"before");
    assert_eq!(soon(server.receive()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn handlers_that_own_their_socket_do_not_keep_it_in_memory_after_the_end() {
    struct Told(Arc<AtomicBool>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let is_dropped = Arc::new(AtomicBool::new(false));
    let (told, own) = (Told(Arc::clone(&is_dropped)), socket.clone());
    socket
        .message_received(move |_, _| {
            let _ = (&told, &own);
            async {}
        })
        .unwrap();
    let seen = Seen::default();
    watch_closed(&socket, &seen).unwrap();
    let server = serve(async move { servers.accept().await.close(CloseCode::NORMAL, "").await });
    soon(socket.connect(URI)).await.unwrap();
    soon(server).await.unwrap().unwrap();
    seen.all(1).await;
    assert!(is_dropped.load(Ordering::Acquire));
    drop(socket);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_ends_does_not_outlive_the_last_handle_for_long() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let alive = Arc::new(());
    let observed = Arc::downgrade(&alive);
    let seen = Seen::default();
    let noted = seen.clone();
    socket
        .message_received(move |_, _| {
            let alive = Arc::clone(&alive);
            noted.note("begun");
            async move {
                std::future::pending::<()>().await;
                drop(alive);
            }
        })
        .unwrap();
    let server = serve(async move {
        let mut server = servers.accept().await;
        server.send("x").await.unwrap();
        server
    });
    soon(socket.connect(URI)).await.unwrap();
    let mut server = soon(server).await.unwrap();
    seen.all(1).await;
    drop(socket);
    assert_eq!(soon(server.receive()).await.map_err(|error| error.kind()), Ok::<_, ErrorKind>(None));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(observed.strong_count(), 0);
}
