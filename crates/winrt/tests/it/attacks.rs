//! What a second reader tried: futures dropped half way, runtimes that go, and handlers that misbehave.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use wsduo::{CloseCode, MessageType, MessageWebSocketControl};
use wsduo_winrt::{
    Error, InputStreamOptions, MessageWebSocket, ServerMessageWebSocket, ServerMessageWebSocketOptions,
    SocketMessageType, StreamWebSocket,
};

use crate::support::{URI, code, pipes, pipes_of, serve, soon, streaming, watched};

/// The future is polled once and dropped.
async fn dropped_at_once<F: Future>(future: F) {
    tokio::select! {
        biased;
        _ = future => {}
        () = std::future::ready(()) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_final_frame_whose_future_is_dropped_ends_its_message_all_the_same() {
    let (platform, mut servers) = pipes_of(MessageWebSocketControl::new(), 1 << 10);
    let socket = MessageWebSocket::with_platform(&platform);
    let server = serve(async move { servers.accept().await });
    soon(socket.connect(URI)).await.unwrap();
    let mut server = soon(server).await.unwrap();

    socket.control().set_message_type(SocketMessageType::Utf8);
    soon(socket.send_nonfinal_frame("he".into())).await.unwrap();
    // Queued, and not yet in the hands of the transport, which has no room.
    dropped_at_once(socket.send_final_frame("x".repeat(4 << 10).into())).await;
    socket.control().set_message_type(SocketMessageType::Binary);
    let reading = serve(async move {
        let first = server.receive().await.unwrap().unwrap();
        let second = server.receive().await.unwrap().unwrap();
        (server, (first.message_type(), first.len(), second.message_type()))
    });
    soon(socket.send_final_frame(vec![0xff].into())).await.unwrap();
    let (_server, messages) = soon(reading).await.unwrap();
    assert_eq!(messages, (MessageType::Text, 2 + (4 << 10), MessageType::Binary));
}

#[tokio::test(start_paused = true)]
async fn a_first_frame_whose_future_is_dropped_gives_its_type_to_the_message() {
    let (platform, mut servers) = pipes_of(MessageWebSocketControl::new(), 1 << 10);
    let socket = MessageWebSocket::with_platform(&platform);
    let server = serve(async move { servers.accept().await });
    soon(socket.connect(URI)).await.unwrap();
    let mut server = soon(server).await.unwrap();

    socket.control().set_message_type(SocketMessageType::Utf8);
    dropped_at_once(socket.send_nonfinal_frame("x".repeat(4 << 10).into())).await;
    socket.control().set_message_type(SocketMessageType::Binary);
    let reading = serve(async move {
        let message_type = server.receive().await.unwrap().unwrap().message_type();
        (server, message_type)
    });
    soon(socket.send_final_frame("!".into())).await.unwrap();
    let (_server, message_type) = soon(reading).await.unwrap();
    assert_eq!(message_type, MessageType::Text);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_waits_is_cancelled_at_once_when_the_socket_is_closed() {
    let (socket, _silent_server) = streaming().await;
    let input = socket.input_stream();
    let reading = serve(async move { input.read(1, InputStreamOptions::NONE).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let begin = tokio::time::Instant::now();
    socket.close();
    assert_eq!(code(soon(reading).await.unwrap()), Error::ABORT);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    let late = socket.input_stream().read(1, InputStreamOptions::NONE);
    assert_eq!(code(soon(late).await), Error::CLOSED);
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_is_closed_and_then_dropped_leaves_nothing_behind() {
    let (platform, _servers) = pipes();
    let socket = StreamWebSocket::with_platform(&platform);
    let alive = Arc::new(());
    let observed = Arc::downgrade(&alive);
    let own = socket.clone();
    socket
        .closed(move |_, _| {
            let _ = (&alive, &own);
            async {}
        })
        .unwrap();
    {
        let mut connecting = socket.connect(URI);
        dropped_at_once(&mut connecting).await;
        socket.close();
    }
    assert_eq!(observed.strong_count(), 0, "the handler owns its socket, and nobody forgets it");
    let read = socket.input_stream().read(1, InputStreamOptions::NONE);
    assert_eq!(code(soon(read).await), Error::CLOSED);
}

#[test]
fn a_runtime_that_goes_takes_the_connection_along_and_no_read_waits_for_ever() {
    let first = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (socket, server) = first.block_on(streaming());
    drop(first);
    let second =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    second.block_on(async {
        let read = socket.input_stream().read(1, InputStreamOptions::NONE);
        assert_eq!(code(soon(read).await), Error::ABORT);
        assert_eq!(code(soon(socket.output_stream().write("x".into())).await), Error::ABORT);
    });
    drop(server);
}

#[test]
fn handlers_that_own_their_socket_are_forgotten_when_the_runtime_goes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let alive = Arc::new(());
    let observed = Arc::downgrade(&alive);
    let server = runtime.block_on(async {
        let (platform, mut servers) = pipes();
        let socket = MessageWebSocket::with_platform(&platform);
        let own = socket.clone();
        socket
            .message_received(move |_, _| {
                let _ = (&alive, &own);
                std::future::pending()
            })
            .unwrap();
        let server = serve(async move {
            let mut server = servers.accept().await;
            server.send("handled for ever").await.unwrap();
            server
        });
        soon(socket.connect(URI)).await.unwrap();
        soon(server).await.unwrap()
    });
    drop(runtime);
    assert_eq!(observed.strong_count(), 0);
    drop(server);
}

#[test]
fn connecting_without_a_runtime_is_an_error_that_says_so() {
    let (platform, _servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let mut connecting = std::pin::pin!(socket.connect(URI));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = connecting.as_mut().poll(&mut cx) else {
        panic!("it should have failed")
    };
    assert_eq!(error.code(), Error::ILLEGAL_METHOD_CALL);
    assert!(error.message().contains("tokio runtime"), "{error}");
}

#[test]
fn accepting_without_a_runtime_is_an_error_that_says_so_and_the_request_is_still_there() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (socket, client) = runtime.block_on(async {
        let (platform, mut servers) = pipes();
        let client = MessageWebSocket::with_platform(&platform);
        let connecting = client.clone();
        let connecting = serve(async move { connecting.connect(URI).await });
        let request = servers.request().await;
        let options = ServerMessageWebSocketOptions::default();
        (ServerMessageWebSocket::for_request(request, options), connecting)
    });
    let mut accepting = std::pin::pin!(socket.accept());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = accepting.as_mut().poll(&mut cx) else {
        panic!("it should have failed")
    };
    assert_eq!(error.code(), Error::ILLEGAL_METHOD_CALL);
    runtime.block_on(async {
        soon(socket.accept()).await.unwrap();
        soon(client).await.unwrap().unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn a_socket_with_much_unread_closes_cleanly() {
    let (socket, mut server) = streaming().await;
    let serving = serve(async move {
        for _ in 0..16 {
            if server.send(vec![0; 64 << 10]).await.is_err() {
                break;
            }
        }
        while server.receive().await?.is_some() {}
        Ok::<_, wsduo::Error>(server.closed().cloned())
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    socket.close_with_status(1000, "enough").unwrap();
    assert!(soon(serving).await.unwrap().unwrap().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_stores_to_a_peer_that_does_not_read_ends_with_the_close_timeout() {
    let (platform, mut servers) = pipes_of(MessageWebSocketControl::new(), 4 << 10);
    let socket = MessageWebSocket::with_platform(&platform);
    socket
        .message_received(|socket, _| async move {
            let _ = socket.output_stream().write(vec![0; 1 << 20].into()).await;
        })
        .unwrap();
    let seen = watched(&socket);
    let server = serve(async move {
        let mut server = servers.accept().await;
        server.send("x").await.unwrap();
        server
    });
    soon(socket.connect(URI)).await.unwrap();
    let _server = soon(server).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = tokio::time::Instant::now();
    socket.close();
    assert_eq!(seen.all(2).await, ["text x", "closed 1006"]);
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_answers_after_the_peer_has_closed_is_told_that_it_is_closed() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = crate::support::Seen::default();
    let noted = seen.clone();
    socket
        .message_received(move |socket, _| {
            let noted = noted.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let write = socket.output_stream().write("late".into()).await;
                noted.note(format!("{}", code(write)));
            }
        })
        .unwrap();
    crate::support::watch_closed(&socket, &seen).unwrap();
    let server = serve(async move {
        let mut server = servers.accept().await;
        server.send("x").await.unwrap();
        server.close(CloseCode::new(4000), "").await
    });
    soon(socket.connect(URI)).await.unwrap();
    let _ = soon(server).await.unwrap();
    assert_eq!(seen.all(2).await, [Error::CLOSED.to_string(), "closed 4000".into()]);
}

#[tokio::test(start_paused = true)]
async fn secrets_do_not_show_where_a_socket_is_printed() {
    let socket = MessageWebSocket::new();
    socket.set_request_header("Authorization", "Bearer hunter2").unwrap();
    socket.set_request_header("Cookie", "session=hunter2").unwrap();
    assert!(!format!("{socket:?} {:?}", socket.control()).contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn a_second_connect_at_once_fails_and_does_not_disturb_the_first() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let again = socket.clone();
    let server = serve(async move { servers.accept().await });
    let (first, second) = soon(async { tokio::join!(socket.connect(URI), again.connect(URI)) }).await;
    first.unwrap();
    assert_eq!(code(second), Error::ILLEGAL_METHOD_CALL);
    soon(server).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_socket_dropped_without_connecting_leaves_nothing_and_one_dropped_while_connecting_hangs_up() {
    drop((MessageWebSocket::new(), StreamWebSocket::new()));
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let mut connecting = Box::pin(socket.connect(URI));
    let mut transport = tokio::select! {
        biased;
        _ = &mut connecting => panic!("nobody answered"),
        transport = servers.transport() => transport,
    };
    drop((connecting, socket));
    let mut request = Vec::new();
    soon(transport.read_to_end(&mut request)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_when_dropped_does_not_leave_a_socket_that_looks_open() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "expected by this test");
        }
    }
    let (socket, _seen, server) = {
        let (platform, mut servers) = pipes();
        let socket = MessageWebSocket::with_platform(&platform);
        socket
            .message_received(|_, _| {
                let bomb = Bomb;
                async move {
                    let _bomb = bomb;
                }
            })
            .unwrap();
        let seen = watched(&socket);
        let server = serve(async move {
            let mut server = servers.accept().await;
            server.send("x").await.unwrap();
            server
        });
        soon(socket.connect(URI)).await.unwrap();
        (socket, seen, soon(server).await.unwrap())
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Either it lives on or it is over: nothing in between.
    let write = soon(socket.output_stream().write("x".into())).await;
    assert!(write.is_ok() || code(write) == Error::ABORT);
    drop(server);
}
