//! What users of the original suffered (spec §21), and what happens here instead.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsduo::{CloseCode, MessageWebSocketControl as PeerControl, http::StatusCode};
use wsduo_testing::wire;
use wsduo_winrt::{DataWriter, Error, MessageWebSocket, MessageWebSocketReceiveMode, SocketMessageType};

use crate::support::{
    Seen, URI, code, connected, pipes, serve, soon, streaming, watch_closed, watch_messages, watched,
};

#[tokio::test(start_paused = true)]
async fn lost_connection_in_a_handler_does_not_take_the_process_down() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = Seen::default();
    // As the samples of the original do: the reader is taken without a look at the error.
    socket.message_received(|_, args| async move { drop(args.get_data_reader().unwrap()) }).unwrap();
    watch_messages(&socket, &seen).unwrap();
    watch_closed(&socket, &seen).unwrap();
    let server = serve(async move { servers.accept().await });
    soon(socket.connect(URI)).await.unwrap();
    drop(soon(server).await.unwrap());
    assert_eq!(seen.all(2).await, ["error 0x80072EFE", "closed 1006"]);
}

#[tokio::test(start_paused = true)]
async fn closing_inside_the_handler_does_not_deadlock() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = Seen::default();
    socket
        .message_received(|socket, _| async move {
            socket.output_stream().write("last".into()).await.unwrap();
            let elsewhere = socket.clone();
            serve(async move { elsewhere.close_with_status(1000, "").unwrap() }).await.unwrap();
            socket.close();
        })
        .unwrap();
    watch_closed(&socket, &seen).unwrap();
    let server = serve(async move {
        let mut server = servers.accept().await;
        server.send("go").await.unwrap();
        assert_eq!(server.receive().await.unwrap().unwrap().as_bytes(), b"last");
        assert_eq!(server.receive().await.unwrap(), None);
    });
    soon(socket.connect(URI)).await.unwrap();
    soon(server).await.unwrap();
    assert_eq!(seen.all(1).await, ["closed 1000"]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_answers_a_close_does_not_wedge_the_socket() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = watched(&socket);
    let server = serve(async move { servers.raw().await });
    soon(socket.connect(URI)).await.unwrap();
    let _held = soon(server).await.unwrap();
    socket.close_with_status(1000, "bye").unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(seen.lines(), ["closed 1006"]);
}

#[tokio::test(start_paused = true)]
async fn detach_after_close_is_an_error_not_a_crash() {
    let (socket, _seen, _server) = connected().await;
    let writer = DataWriter::with_stream(socket.output_stream());
    writer.write_string("late").unwrap();
    socket.close();
    // The stream is handed out, and whatever is done with it is the error.
    let stream = writer.detach_stream().unwrap();
    assert_eq!(code(soon(stream.write("late".into())).await), Error::CLOSED);
    assert!(writer.detach_stream().is_err(), "there is none any more");
}

#[tokio::test(start_paused = true)]
async fn removing_handlers_after_close_is_an_error_not_a_crash() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let token = watch_messages(&socket, &Seen::default()).unwrap();
    let server = serve(async move { servers.accept().await });
    soon(socket.connect(URI)).await.unwrap();
    let _server = soon(server).await.unwrap();
    socket.close();
    assert_eq!(code(socket.remove_message_received(token)), Error::ILLEGAL_METHOD_CALL);
}

#[tokio::test(start_paused = true)]
async fn a_refused_upgrade_leaves_nothing_that_hangs() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let server = serve(async move {
        let mut transport = servers.transport().await;
        let request = wsduo::Request::from_transport(&mut transport, &wsduo::RequestControl::new()).await;
        request.unwrap().refuse(StatusCode::FORBIDDEN).await.unwrap();
        transport
    });
    assert!(soon(socket.connect(URI)).await.is_err());
    socket.close();
    drop(socket);
    let mut transport = soon(server).await.unwrap();
    assert_eq!(soon(transport.read(&mut [0; 16])).await.unwrap(), 0, "the client has let go of it");
}

#[tokio::test(start_paused = true)]
async fn a_new_socket_connects_again_where_an_old_one_cannot() {
    let (platform, mut servers) = pipes();
    let old = MessageWebSocket::with_platform(&platform);
    let seen = watched(&old);
    let server = serve(async move {
        drop(servers.accept().await);
        servers.accept().await
    });
    soon(old.connect(URI)).await.unwrap();
    assert_eq!(seen.all(2).await.last().unwrap(), "closed 1006");
    assert!(soon(old.connect(URI)).await.is_err());
    soon(MessageWebSocket::with_platform(&platform).connect(URI)).await.unwrap();
    soon(server).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn concurrent_stores_on_different_writers_keep_whole_messages() {
    let (socket, _seen, mut server) = connected().await;
    let tasks = (0..8u8).map(|task| {
        let socket = socket.clone();
        serve(async move {
            let writer = DataWriter::with_stream(socket.output_stream());
            for _ in 0..10 {
                writer.write_bytes(&vec![task; 10_000]).unwrap();
                assert_eq!(writer.store().await.unwrap(), 10_000);
            }
            writer.detach_stream().unwrap();
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for _ in 0..80 {
        let message = soon(server.receive()).await.unwrap().unwrap();
        let bytes = message.as_bytes();
        assert!(bytes.len() == 10_000 && bytes.iter().all(|byte| *byte == bytes[0]));
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn zero_length_pieces_and_messages_break_nothing() {
    for (mode, events) in
        [(MessageWebSocketReceiveMode::FullMessage, 4), (MessageWebSocketReceiveMode::PartialMessage, 5)]
    {
        let (platform, mut servers) = pipes();
        let socket = MessageWebSocket::with_platform(&platform);
        socket.control().set_receive_mode(mode).unwrap();
        let seen = watched(&socket);
        let server = serve(async move { servers.raw().await });
        soon(socket.connect(URI)).await.unwrap();
        let mut raw = soon(server).await.unwrap();
        raw.write_all(&wire::bytes("01 00 00 00 00 02 'ab' 80 00 81 00 82 00 88 00")).await.unwrap();
        let lines = seen.all(events).await;
        let text: String = lines.iter().filter_map(|line| line.strip_prefix("text ")).collect();
        assert_eq!(text.replace("...", ""), "ab", "{lines:?}");
        assert_eq!(lines[lines.len() - 3..], ["text ", "0 bytes", "closed 1005"], "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_binary_message_does_not_close_a_socket_that_sends_text() {
    let (socket, seen, mut server) = connected().await;
    socket.control().set_message_type(SocketMessageType::Utf8);
    soon(server.send(vec![0xff, 0])).await.unwrap();
    soon(server.send("text")).await.unwrap();
    assert_eq!(seen.all(2).await, ["2 bytes", "text text"]);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_nobody_reads() {
    let (socket, mut server) = streaming().await;
    let receiving = serve(async move {
        server.ping().await.unwrap();
        server
    });
    soon(receiving).await.unwrap();
    drop(socket);
}

#[tokio::test(start_paused = true)]
async fn set_cookie_of_the_response_can_be_read() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let server = serve(async move {
        let request = servers.request().await.header("Set-Cookie", "session=1; Secure");
        request.accept_message(&PeerControl::new()).await.unwrap()
    });
    soon(socket.connect(URI)).await.unwrap();
    let details = socket.information().details().unwrap();
    assert_eq!(details.response().unwrap().headers["set-cookie"], "session=1; Secure");
    soon(server).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn origin_and_user_agent_are_the_callers_to_set() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    socket.set_request_header("Origin", "http://server.example").unwrap();
    socket.set_request_header("User-Agent", "porter/1").unwrap();
    let server = serve(async move {
        let request = servers.request().await;
        assert_eq!(request.headers()["origin"], "http://server.example");
        assert_eq!(request.headers()["user-agent"], "porter/1");
        request.accept_message(&PeerControl::new()).await.unwrap()
    });
    soon(socket.connect(URI)).await.unwrap();
    soon(server).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_close_of_the_server_always_reaches_the_closed_handler() {
    let (_socket, seen, mut server) = connected().await;
    soon(server.close(CloseCode::new(1001), "restart")).await.unwrap();
    assert_eq!(seen.all(1).await, ["closed 1001 restart"]);
}
