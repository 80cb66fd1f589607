//! permessage-deflate (RFC 7692) from the opening handshake to the last message. What the core does with every message is
//! tested there.

use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use wsduo::{
    CloseCode, Compression, Error, ErrorKind, Framing, Listener, Message, MessageType, MessageWebSocket,
    MessageWebSocketControl, Outgoing, PreparedMessage, Request, RequestControl, StreamWebSocketControl,
};
use wsduo_proto::handshake::{HeadLimits, ServerHandshake};
use wsduo_testing::{Scripted, Slow, wire};

use crate::support::{control, kind, poll_once, receive_all, soon, text};

fn compressing() -> MessageWebSocketControl {
    control().compression(Compression::new())
}

/// Text that compresses well, and differs from place to place.
fn prose(len: usize) -> String {
    let mut text: String = (0..len / 4).map(|i| format!("{{\"bid\":{}}},", i * i % 977)).collect();
    text.truncate(len);
    text
}

/// A client and a server that have found each other on loopback.
async fn pair(
    client: &MessageWebSocketControl,
    server: &MessageWebSocketControl,
) -> (MessageWebSocket, MessageWebSocket) {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_address().unwrap());
    let accepted = async { listener.accept().await.request().await?.accept_message(server).await };
    let (client, server) = tokio::try_join!(client.connect(&url), accepted).unwrap();
    (client, server)
}

#[tokio::test]
async fn both_ends_know_what_was_agreed_and_what_came_of_it() {
    let small = Compression::new().window_bits(10, 12).context_takeover(true, false);
    let (mut client, mut server) = pair(&control().compression(small), &compressing()).await;
    let message = prose(5000);
    client.send(&message).await.unwrap();
    assert_eq!(server.receive().await.unwrap(), Some(text(&message)));
    server.send(&message).await.unwrap();
    assert_eq!(client.receive().await.unwrap(), Some(text(&message)));

    let (near, far) = (client.information(), server.information());
    let (near, far) = (near.compression().unwrap(), far.compression().unwrap());
    assert_eq!((near.agreement.send_window_bits, near.agreement.receive_window_bits), (10, 12));
    assert_eq!(
        (near.agreement.send_context_takeover, near.agreement.receive_context_takeover),
        (true, false)
    );
    assert_eq!((far.agreement.send_window_bits, far.agreement.receive_window_bits), (12, 10));
    assert_eq!((near.statistics.sent, near.statistics.received), (5000, 5000));
    assert_eq!(near.statistics.sent_compressed, far.statistics.received_compressed);
    assert!(near.statistics.sent_ratio().unwrap() < 0.5, "{near:?}");
    assert!(client.information().statistics().bytes_sent < 2500);
}

#[tokio::test]
async fn nothing_is_compressed_unless_both_ends_want_it() {
    for (client, server) in [(control(), control()), (compressing(), control()), (control(), compressing())] {
        let (mut client, mut server) = pair(&client, &server).await;
        assert!(client.information().compression().is_none() && server.information().compression().is_none());
        client.send(prose(1000)).await.unwrap();
        assert_eq!(server.receive().await.unwrap(), Some(text(&prose(1000))));
        assert!(client.information().statistics().bytes_sent >= 1000);
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_had_is_told_when_it_is_used() {
    let control = control().compression(Compression::new().level(10));
    let error = control.connect("ws://127.0.0.1:9/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "a compression level of 10; 1 (quick) to 9 (small) are allowed");
}

/// What a client makes of a server that answers its offer so.
async fn answered(extensions: &str) -> Result<MessageWebSocket, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let len = stream.read(&mut request).await.unwrap();
        let request =
            ServerHandshake::new(HeadLimits::default()).receive(&request[..len]).unwrap().unwrap().request;
        let mut response = request.accept(None, None, &HeaderMap::new()).unwrap();
        response.truncate(response.len() - 2);
        response.extend(format!("Sec-WebSocket-Extensions: {extensions}\r\n\r\n").bytes());
        stream.write_all(&response).await.unwrap();
        stream
    };
    let control = compressing();
    let (result, _stream) = tokio::join!(control.connect(&url), server);
    result
}

#[tokio::test]
async fn an_answer_that_breaks_the_rules_fails_the_handshake() {
    assert!(answered("permessage-deflate").await.is_ok());
    for bad in [
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=1000",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; unheard_of",
        "permessage-deflate, permessage-deflate",
        "x-webkit-deflate-frame",
    ] {
        assert_eq!(kind(answered(bad).await), ErrorKind::Handshake, "{bad}");
    }
}

#[tokio::test]
async fn messages_in_parts_and_prepared_ones_and_exceptions() {
    let (mut client, mut server) = pair(&compressing(), &compressing()).await;
    let long = prose(300_000);
    let prepared = PreparedMessage::new(long.clone());
    let sending = async {
        let mut writer = client.message_writer(MessageType::Text);
        writer.write_all(long.as_bytes()).await.unwrap();
        writer.finish().await.unwrap();
        client.send(&prepared).await.unwrap();
        let before = client.information().statistics().bytes_sent;
        assert!(before < 300_000, "{before} bytes");
        client.send(Outgoing::from(&long).uncompressed()).await.unwrap();
        let mut writer = client.message_writer(MessageType::Text).uncompressed();
        writer.write_all(long.as_bytes()).await.unwrap();
        writer.finish().await.unwrap();
        assert!(client.information().statistics().bytes_sent >= before + 600_000);
        client.close(CloseCode::NORMAL, "").await.unwrap()
    };
    let receiving = async {
        for _ in 0..4 {
            let mut reader = server.next_reader().await.unwrap().unwrap();
            let mut read = String::new();
            reader.read_to_string(&mut read).await.unwrap();
            assert_eq!(reader.message_type(), MessageType::Text);
            assert!(read == long);
        }
        server.receive().await.unwrap()
    };
    let (closed, end) = tokio::join!(sending, receiving);
    assert!(closed.clean && end.is_none());
}

#[tokio::test]
async fn streams_of_bytes_are_compressed_piece_by_piece() {
    let bytes = prose(1 << 20).into_bytes();
    for framing in [Framing::MessagePerWrite, Framing::MessagePerFlush, Framing::OneMessage] {
        let control = StreamWebSocketControl::new().framing(framing).compression(Compression::new().level(1));
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_address().unwrap());
        let accepted = async { listener.accept().await.request().await?.accept_stream(&control).await };
        let (mut client, mut server) = tokio::try_join!(control.connect(&url), accepted).unwrap();
        let echo = async {
            let (mut reader, mut writer) = tokio::io::split(&mut server);
            tokio::io::copy(&mut reader, &mut writer).await
        };
        let talk = async {
            let (mut reader, mut writer) = tokio::io::split(&mut client);
            let write = async {
                writer.write_all(&bytes).await?;
                writer.flush().await
            };
            let mut read = vec![0; bytes.len()];
            let (written, all) = tokio::join!(write, reader.read_exact(&mut read));
            written.unwrap();
            all.unwrap();
            read
        };
        let read = tokio::select! {
            read = talk => read,
            ended = echo => panic!("{framing:?}: {ended:?}"),
        };
        assert!(read == bytes, "{framing:?}");
        let information = client.information();
        let statistics = information.compression().unwrap().statistics;
        assert_eq!((statistics.sent, statistics.received), (1 << 20, 1 << 20));
        assert!(information.statistics().bytes_sent < 1 << 19, "{framing:?}: {information:?}");
    }
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// Messages of a client that compresses, as RFC 7692 §7.2.3 shows them: "Hello" alone, and referring to the one before.
fn hello_twice() -> Vec<u8> {
    let mut frames = wire::masked_frame(0xc1, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    frames.extend(wire::masked_frame(0xc1, [0xf2, 0x00, 0x11, 0x00, 0x00]));
    frames
}

#[tokio::test(start_paused = true)]
async fn receiving_may_be_dropped_at_every_poll() {
    let mut polls = 0;
    loop {
        let (transport, handle) = Scripted::new([REQUEST.as_bytes(), &hello_twice()].concat());
        handle.end();
        let request =
            soon(Request::from_transport(Slow::new(transport), &RequestControl::new())).await.unwrap();
        let mut socket = soon(request.accept_message(&compressing())).await.unwrap();
        let mut early = Vec::new();
        for _ in 0..polls {
            // A new future for each poll, dropped after it.
            if let std::task::Poll::Ready(Ok(Some(message))) = poll_once(socket.receive()) {
                early.push(message);
            }
        }
        let (late, _) = receive_all(&mut socket).await;
        assert_eq!([early.clone(), late].concat(), [text("Hello"), text("Hello")], "after {polls} polls");
        if early.len() == 2 {
            break;
        }
        polls += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_bomb_fails_the_connection_at_the_limit() {
    let (mut near, far) = tokio::io::duplex(64 << 10);
    near.write_all(REQUEST.as_bytes()).await.unwrap();
    let request = soon(Request::from_transport(far, &RequestControl::new())).await.unwrap();
    let control = compressing().max_message_size(300_000);
    let mut socket = soon(request.accept_message(&control)).await.unwrap();
    // 1 MB in 1.3 KB.
    let bomb = zeroes().repeat(16);
    near.write_all(&wire::masked_frame(0xc2, &bomb)).await.unwrap();
    assert_eq!(kind(soon(socket.receive()).await), ErrorKind::TooLarge);
}

/// 65,536 zero bytes, and the flush behind them, as zlib writes them.
fn zeroes() -> Vec<u8> {
    let start = [0xec, 0xc1, 0x01, 0x01, 0x00, 0x00, 0x00, 0x80, 0x90, 0xfe, 0xaf, 0xee, 0x08, 0x0a];
    [&start[..], &[0; 63], &[0x6a, 0x00, 0x00, 0x00, 0xff, 0xff]].concat()
}

#[tokio::test]
async fn many_connections_in_turn_keep_their_windows() {
    let control = control().compression(Compression::new().threshold(0).level(1));
    let mut pairs = Vec::new();
    for _ in 0..5 {
        pairs.push(pair(&control, &control).await);
    }
    for round in 0..4 {
        for (number, (client, server)) in pairs.iter_mut().enumerate() {
            let message = Message::from(format!("{} of {number} in round {round}", prose(200)));
            client.send(&message).await.unwrap();
            assert_eq!(server.receive().await.unwrap().as_ref(), Some(&message));
            server.send(&message).await.unwrap();
            assert_eq!(client.receive().await.unwrap().as_ref(), Some(&message));
        }
    }
}

/// A client's end of a pipe, and the socket of a server behind it that takes compressed messages.
async fn behind_a_pipe(control: &MessageWebSocketControl) -> (DuplexStream, MessageWebSocket<DuplexStream>) {
    let (mut near, far) = tokio::io::duplex(256 << 10);
    near.write_all(REQUEST.as_bytes()).await.unwrap();
    let request = soon(Request::from_transport(far, &RequestControl::new())).await.unwrap();
    let socket = soon(request.accept_message(control)).await.unwrap();
    (near, socket)
}

#[tokio::test(start_paused = true)]
async fn limit_exact_deflated_and_limit_plus_one_deflated() {
    // Threats §1.2: the limit holds for what is inflated, to the byte.
    for (limit, passes) in [(1 << 20, true), ((1 << 20) - 1, false)] {
        let (mut near, mut socket) = behind_a_pipe(&compressing().max_message_size(limit)).await;
        near.write_all(&wire::masked_frame(0xc2, zero_message(16))).await.unwrap();
        match soon(socket.receive()).await {
            Ok(Some(message)) if passes => assert!(message.as_bytes() == vec![0; 1 << 20]),
            result => assert!(!passes && kind(result) == ErrorKind::TooLarge),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bomb_times_20_connections() {
    let bomb = wire::masked_frame(0xc2, zeroes().repeat(64));
    let mut ends = Vec::new();
    for _ in 0..20 {
        let (mut near, socket) = behind_a_pipe(&compressing().max_message_size(300_000)).await;
        near.write_all(&bomb).await.unwrap();
        ends.push((near, socket));
    }
    for (near, socket) in &mut ends {
        assert_eq!(kind(soon(socket.receive()).await), ErrorKind::TooLarge);
        let mut answer = Vec::new();
        near.shutdown().await.unwrap();
        near.read_to_end(&mut answer).await.unwrap();
        let close = answer.len() - answer.iter().rev().position(|byte| *byte == 0x88).unwrap();
        assert_eq!(answer[close + 1..close + 3], 1009_u16.to_be_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn bfinal_block_does_not_empty_the_messages_after_it() {
    // Threats §0: silent corruption. The inflater must not stay finished.
    let (mut near, mut socket) = behind_a_pipe(&compressing()).await;
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    for _ in 0..3 {
        near.write_all(&wire::masked_frame(0xc1, last)).await.unwrap();
        near.write_all(&hello_twice()).await.unwrap();
        for _ in 0..3 {
            assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("Hello")));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn parts_that_fill_the_buffer_to_the_byte_do_not_wait_for_more_input() {
    // What is inflated at once is 32 KiB: the end of this message shows only when it is asked for again.
    let (mut near, mut socket) = behind_a_pipe(&compressing()).await;
    near.write_all(&wire::masked_frame(0xc2, zero_message(1))).await.unwrap();
    let mut reader = soon(socket.next_reader()).await.unwrap().unwrap();
    let mut read = Vec::new();
    soon(reader.read_to_end(&mut read)).await.unwrap();
    assert!(read == vec![0; 1 << 16]);

    let (mut near, far) = tokio::io::duplex(256 << 10);
    near.write_all(REQUEST.as_bytes()).await.unwrap();
    near.write_all(&wire::masked_frame(0xc2, zero_message(1))).await.unwrap();
    near.write_all(&hello_in_binary()).await.unwrap();
    let request = soon(Request::from_transport(far, &RequestControl::new())).await.unwrap();
    let control = StreamWebSocketControl::new().compression(Compression::new());
    let mut stream = soon(request.accept_stream(&control)).await.unwrap();
    let mut read = vec![0; 1 << 16];
    soon(stream.read_exact(&mut read)).await.unwrap();
    let mut read = [0; 5];
    soon(stream.read_exact(&mut read)).await.unwrap();
    assert_eq!(read, *b"Hello");
}

/// A message of so many times 65,536 zero bytes: without the end of the flush.
fn zero_message(times: usize) -> Vec<u8> {
    let mut message = zeroes().repeat(times);
    message.truncate(message.len() - 4);
    message
}

fn hello_in_binary() -> Vec<u8> {
    wire::masked_frame(0xc2, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00])
}

#[tokio::test(start_paused = true)]
async fn a_stream_takes_no_more_of_a_bomb_than_its_reader_does() {
    let (mut near, far) = tokio::io::duplex(16 << 10);
    near.write_all(REQUEST.as_bytes()).await.unwrap();
    let request = soon(Request::from_transport(far, &RequestControl::new())).await.unwrap();
    let control = StreamWebSocketControl::new().compression(Compression::new());
    let mut stream = soon(request.accept_stream(&control)).await.unwrap();
    let sending = tokio::spawn(async move {
        // 640 MB in 0.8 MB.
        let sent = near.write_all(&wire::masked_frame(0xc2, zeroes().repeat(10_000))).await;
        (sent, near)
    });
    let mut read = [1; 1000];
    for _ in 0..1000 {
        soon(stream.read_exact(&mut read)).await.unwrap();
        assert_eq!(read, [0; 1000]);
    }
    // A megabyte is a kilobyte of input; most of the message has not left its sender.
    assert!(!sending.is_finished());
    let information = stream.information();
    assert!(information.statistics().bytes_received < 100 << 10, "{information:?}");
    assert!(information.compression().unwrap().statistics.received < 1_100_000, "{information:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_may_move_between_threads_within_a_message() {
    let (mut client, mut server) = pair(&compressing(), &compressing()).await;
    let message = prose(20_000);
    for _ in 0..5 {
        for part in message.as_bytes().chunks(5000) {
            // The compressor is taken on one thread, used on others, and given back on the last.
            let part = part.to_vec();
            let run = move || {
                let sent = async {
                    client.message_writer(MessageType::Text).write_all(&part).await.unwrap();
                    client.flush().await.unwrap();
                };
                Handle::current().block_on(sent);
                client
            };
            client = tokio::task::spawn_blocking(run).await.unwrap();
            let run = move || {
                let part = Handle::current().block_on(server.receive_part()).unwrap().unwrap();
                (server, part)
            };
            let (back, part) = tokio::task::spawn_blocking(run).await.unwrap();
            server = back;
            assert_eq!(part.bytes.len(), 5000);
        }
        client.message_writer(MessageType::Text).finish().await.unwrap();
        assert!(server.receive_part().await.unwrap().unwrap().is_complete);
        client.send(&message).await.unwrap();
        assert_eq!(server.receive().await.unwrap(), Some(text(&message)));
    }
}

#[tokio::test]
async fn a_handler_that_panics_leaves_the_pools_in_order() {
    let (mut client, mut server) = pair(&compressing(), &compressing()).await;
    let message = prose(4000);
    client.send(&message).await.unwrap();
    let panicked = tokio::spawn(async move {
        server
            .run(|message, replies| {
                replies.send(message)?;
                panic!("on purpose")
            })
            .await
    });
    assert!(panicked.await.unwrap_err().is_panic());
    let (mut client, mut server) = pair(&compressing(), &compressing()).await;
    for _ in 0..3 {
        client.send(&message).await.unwrap();
        assert_eq!(server.receive().await.unwrap(), Some(text(&message)));
    }
}
