//! What arrives as messages (spec §3.4, §11, §16).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use wsduo::{CloseCode, MessageType};
use wsduo_testing::wire;
use wsduo_winrt::{Error, InputStreamOptions, MessageWebSocket, MessageWebSocketReceiveMode};

use crate::support::{Seen, URI, connected, pipes, pipes_of, serve, soon, watch_closed, watched};

#[tokio::test(start_paused = true)]
async fn a_greeting_sent_before_anything_else_is_not_lost() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = watched(&socket);
    let server = serve(async move {
        let mut server = servers.accept().await;
        server.send("welcome").await.unwrap();
        server
    });
    soon(socket.connect(URI)).await.unwrap();
    assert_eq!(seen.all(1).await, ["text welcome"]);
    soon(server).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_are_received_whole_however_they_were_sent() {
    let (_socket, seen, server) = connected().await;
    let (_receiver, sender) = server.split();
    soon(sender.send_part(MessageType::Text, b"he", false)).await.unwrap();
    soon(sender.send_part(MessageType::Text, b"llo", true)).await.unwrap();
    soon(sender.send(vec![0; 100_000])).await.unwrap();
    soon(sender.send("")).await.unwrap();
    soon(sender.send(vec![])).await.unwrap();
    assert_eq!(seen.all(4).await, ["text hello", "100000 bytes", "text ", "0 bytes"]);
}

#[tokio::test(start_paused = true)]
async fn in_partial_mode_pieces_arrive_as_they_come_and_the_last_is_complete() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    socket.control().set_receive_mode(MessageWebSocketReceiveMode::PartialMessage).unwrap();
    let seen = watched(&socket);
    let server = serve(async move { servers.raw().await });
    soon(socket.connect(URI)).await.unwrap();
    let mut raw = soon(server).await.unwrap();
    // A character is cut in the middle: whoever wants pieces has to cope.
    for (frame, line) in [
        ("01 03 'he' c3", "text he\u{fffd}..."),
        ("00 01 a9", "text \u{fffd}..."),
        ("80 01 '!'", "text !"),
        ("82 02 00 00", "2 bytes"),
    ] {
        raw.write_all(&wire::bytes(frame)).await.unwrap();
        let count = seen.lines().len() + 1;
        assert_eq!(seen.all(count).await.last().unwrap(), line);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_is_an_error_and_closes_with_1009_in_both_modes() {
    for mode in [MessageWebSocketReceiveMode::FullMessage, MessageWebSocketReceiveMode::PartialMessage] {
        let (platform, mut servers) = pipes();
        let socket = MessageWebSocket::with_platform(&platform);
        socket.control().set_receive_mode(mode).unwrap();
        socket.control().set_max_message_size(10).unwrap();
        let seen = watched(&socket);
        let server = serve(async move {
            let mut server = servers.accept().await;
            server.send(vec![0; 10]).await.unwrap();
            server.send(vec![0; 11]).await.unwrap();
            while server.receive().await.unwrap().is_some() {}
            server.closed().cloned().unwrap()
        });
        soon(socket.connect(URI)).await.unwrap();
        assert_eq!(soon(server).await.unwrap().code, CloseCode::TOO_BIG, "{mode:?}");
        let lines = seen.all(3).await;
        assert_eq!(
            (lines.len(), &lines[0][..], &lines[1][..]),
            (3, "10 bytes", "error 0x80072F78"),
            "{mode:?}"
        );
        assert!(lines[2].starts_with("closed 1009"), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn handler_calls_are_serial() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let running = Arc::new(AtomicUsize::new(0));
    let seen = Seen::default();
    for name in ["a", "b"] {
        let (running, seen) = (Arc::clone(&running), seen.clone());
        socket
            .message_received(move |_, _| {
                let (running, seen) = (Arc::clone(&running), seen.clone());
                async move {
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    seen.note(name);
                }
            })
            .unwrap();
    }
    watch_closed(&socket, &seen).unwrap();
    let server = serve(async move {
        let mut server = servers.accept().await;
        for _ in 0..3 {
            server.send("x").await.unwrap();
        }
        server.close(CloseCode::NORMAL, "").await
    });
    soon(socket.connect(URI)).await.unwrap();
    assert_eq!(seen.all(7).await, ["a", "b", "a", "b", "a", "b", "closed 1000"]);
    soon(server).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_holds_back_the_network_and_pings_are_answered_all_the_same() {
    let (platform, mut servers) = pipes_of(wsduo::MessageWebSocketControl::new(), 4 << 10);
    let socket = MessageWebSocket::with_platform(&platform);
    let (go, gone) = tokio::sync::watch::channel(false);
    let seen = Seen::default();
    let handled = seen.clone();
    socket
        .message_received(move |_, _| {
            let (mut gone, seen) = (gone.clone(), handled.clone());
            async move {
                gone.wait_for(|gone| *gone).await.unwrap();
                seen.note("x");
            }
        })
        .unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let server = serve(async move {
        let server = servers.accept().await;
        let (mut receiver, sender) = server.split();
        let pinging = sender.clone();
        tokio::spawn(async move { while let Ok(Some(_)) = receiver.receive().await {} });
        assert!(pinging.ping().await.is_ok());
        sender.send("first").await.unwrap();
        // The handler runs, and does not end. This is answered behind it.
        assert!(pinging.ping().await.is_ok());
        for _ in 0..1000 {
            sender.send(vec![0; 1 << 10]).await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
        }
        sender.send("last").await.unwrap();
    });
    soon(socket.connect(URI)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let stalled = sent.load(Ordering::SeqCst);
    // What is read ahead, what is on its way, and what the server had queued.
    assert!(stalled > 10 && stalled < 300, "{stalled} messages were taken");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(sent.load(Ordering::SeqCst), stalled);
    go.send(true).unwrap();
    soon(server).await.unwrap();
    assert_eq!(seen.all(1002).await.len(), 1002);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_handler_takes_nothing_down() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    // Once before its future, and once within.
    let mut calls = 0;
    socket
        .message_received(move |_, _| {
            calls += 1;
            assert_ne!(calls, 1, "meant to be seen");
            async move { assert_ne!(calls, 2, "meant to be seen") }
        })
        .unwrap();
    let seen = watched(&socket);
    socket.closed(|_, _| async { panic!("meant to be seen") }).unwrap();
    watch_closed(&socket, &seen).unwrap();
    let server = serve(async move {
        let mut server = servers.accept().await;
        for i in 0..4 {
            server.send(format!("{i}")).await.unwrap();
        }
        server.close(CloseCode::NORMAL, "").await
    });
    soon(socket.connect(URI)).await.unwrap();
    let expected = ["text 0", "text 1", "text 2", "text 3", "closed 1000", "closed 1000"];
    assert_eq!(seen.all(6).await, expected);
    assert!(soon(server).await.unwrap().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn without_a_handler_messages_are_dropped_and_the_connection_lives() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let server = serve(async move {
        let mut server = servers.accept().await;
        for _ in 0..100 {
            server.send(vec![0; 10_000]).await.unwrap();
        }
        server.receive().await
    });
    soon(socket.connect(URI)).await.unwrap();
    soon(socket.output_stream().write("done".into())).await.unwrap();
    assert_eq!(soon(server).await.unwrap().unwrap().unwrap().as_bytes(), b"done");
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_wait_for_an_answer_to_be_sent() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    socket
        .message_received(|socket, args| async move {
            let data = args.get_data().unwrap();
            assert_eq!(socket.output_stream().write(data).await.unwrap(), 5);
        })
        .unwrap();
    let server = serve(async move {
        let mut server = servers.accept().await;
        for i in 0..100 {
            server.send(format!("{i:05}")).await.unwrap();
            let echo = server.receive().await.unwrap().unwrap();
            assert_eq!(echo.as_bytes(), format!("{i:05}").as_bytes());
        }
    });
    soon(socket.connect(URI)).await.unwrap();
    soon(server).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_content_of_a_message_is_handed_out_once_and_an_error_each_time() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = Seen::default();
    let noted = seen.clone();
    socket
        .message_received(move |_, args| {
            let seen = noted.clone();
            async move {
                let stream = match args.get_data_stream() {
                    Ok(stream) => stream,
                    Err(error) => {
                        let again = args.get_data().unwrap_err();
                        return seen.note(format!("{} {}", error.code(), again.code()));
                    }
                };
                assert_eq!(args.get_data().unwrap_err().code(), Error::ILLEGAL_METHOD_CALL);
                let mut lengths = Vec::new();
                while lengths.last() != Some(&0) {
                    lengths.push(stream.read(4, InputStreamOptions::NONE).await.unwrap().length());
                }
                stream.close();
                let read = stream.read(4, InputStreamOptions::NONE).await;
                assert_eq!(read.unwrap_err().code(), Error::CLOSED);
                seen.note(format!("{lengths:?}"));
            }
        })
        .unwrap();
    let server = serve(async move {
        let mut server = servers.accept().await;
        server.send("0123456789").await.unwrap();
        server.send("").await.unwrap();
    });
    soon(socket.connect(URI)).await.unwrap();
    soon(server).await.unwrap();
    let expected = ["[4, 4, 2, 0]", "[0]", "0x80072EFE 0x80072EFE"];
    assert_eq!(seen.all(3).await, expected);
}
