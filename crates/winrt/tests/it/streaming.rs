//! Streams of bytes (spec §4, §12), and readers and writers on sockets (§17.4).

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use wsduo::{CloseCode, Message};
use wsduo_testing::wire;
use wsduo_winrt::{DataReader, DataWriter, Error, InputStreamOptions, StreamWebSocket};

use crate::support::{
    Seen, URI, code, connected, pipes, pipes_of, serve, soon, streaming, watch_closed_stream,
};

const NONE: InputStreamOptions = InputStreamOptions::NONE;
const PARTIAL: InputStreamOptions = InputStreamOptions::PARTIAL;

fn text(buffer: wsduo_winrt::Buffer) -> String {
    String::from_utf8(wsduo::Bytes::from(buffer).to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn bytes_are_read_across_messages_and_the_end_is_a_read_of_none() {
    let (socket, mut server) = streaming().await;
    let input = socket.input_stream();
    soon(server.send(b"0123".to_vec())).await.unwrap();
    // Text is read as its bytes, and an empty message is nothing.
    soon(server.send("4567")).await.unwrap();
    soon(server.send(vec![])).await.unwrap();
    soon(server.send(b"89".to_vec())).await.unwrap();
    assert_eq!(text(soon(input.read(6, NONE)).await.unwrap()), "012345");
    assert_eq!(text(soon(input.read(0, NONE)).await.unwrap()), "");
    let closing = serve(async move { server.close(CloseCode::NORMAL, "").await });
    assert_eq!(text(soon(input.read(100, NONE)).await.unwrap()), "6789");
    for _ in 0..2 {
        assert_eq!(soon(input.read(100, NONE)).await.unwrap().length(), 0);
    }
    assert!(soon(closing).await.unwrap().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_partial_read_is_content_with_what_is_there() {
    let (socket, mut server) = streaming().await;
    let input = socket.input_stream();
    let read = serve(input.read(1000, PARTIAL));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!read.is_finished());
    soon(server.send(b"abc".to_vec())).await.unwrap();
    assert_eq!(text(soon(read).await.unwrap().unwrap()), "abc");
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_message_are_read_before_it_ends() {
    let (platform, mut servers) = pipes();
    let socket = StreamWebSocket::with_platform(&platform);
    let server = serve(async move { servers.raw().await });
    soon(socket.connect(URI)).await.unwrap();
    let mut raw = soon(server).await.unwrap();
    raw.write_all(&wire::bytes("02 05 'ab'")).await.unwrap();
    assert_eq!(text(soon(socket.input_stream().read(2, NONE)).await.unwrap()), "ab");
    // A connection that ends within a message is an error, never an end.
    drop(raw);
    assert_eq!(code(soon(socket.input_stream().read(1, NONE)).await).0, 0x8007_2EFE);
}

#[tokio::test(start_paused = true)]
async fn a_clean_close_within_a_message_is_an_error_of_the_read() {
    let (platform, mut servers) = pipes();
    let socket = StreamWebSocket::with_platform(&platform);
    let server = serve(async move { servers.raw().await });
    soon(socket.connect(URI)).await.unwrap();
    let mut raw = soon(server).await.unwrap();
    raw.write_all(&wire::bytes("02 02 'ab' 88 00")).await.unwrap();
    let read = soon(socket.input_stream().read(10, NONE)).await.unwrap();
    assert_eq!(text(read), "ab");
    assert_eq!(code(soon(socket.input_stream().read(10, NONE)).await).0, 0x8007_2EFE);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_dropped_loses_nothing() {
    let (socket, mut server) = streaming().await;
    let input = socket.input_stream();
    soon(server.send(b"abc".to_vec())).await.unwrap();
    let dropped = tokio::time::timeout(Duration::from_secs(1), input.read(10, NONE));
    assert!(soon(dropped).await.is_err());
    assert_eq!(text(soon(input.read(3, NONE)).await.unwrap()), "abc");
}

#[tokio::test(start_paused = true)]
async fn a_second_read_at_once_is_refused() {
    let (socket, mut server) = streaming().await;
    let input = socket.input_stream();
    let waiting = serve(input.read(1, NONE));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(code(soon(socket.input_stream().read(1, NONE)).await), Error::INVALID_OPERATION);
    soon(server.send(b"x".to_vec())).await.unwrap();
    assert_eq!(soon(waiting).await.unwrap().unwrap().length(), 1);
}

#[tokio::test(start_paused = true)]
async fn reads_that_wait_when_this_side_closes_are_cancelled_and_later_ones_refused() {
    let (socket, _server) = streaming().await;
    let input = socket.input_stream();
    let waiting = serve(input.read(1, NONE));
    tokio::time::sleep(Duration::from_secs(1)).await;
    socket.close_with_status(1000, "").unwrap();
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(
        (error.code(), error.status()),
        (Error::ABORT, wsduo_winrt::WebErrorStatus::OperationCanceled)
    );
    assert_eq!(code(soon(input.read(1, NONE)).await), Error::CLOSED);
}

#[tokio::test(start_paused = true)]
async fn closed_is_raised_once_for_a_stream_in_every_ending() {
    for (ending, expected) in [
        ("peer", "closed 4000 why"),
        ("local", "closed 1000 bye"),
        ("loss", "closed 1006"),
        ("drop", "closed 1005"),
    ] {
        let (platform, mut servers) = pipes();
        let socket = StreamWebSocket::with_platform(&platform);
        let seen = Seen::default();
        watch_closed_stream(&socket, &seen).unwrap();
        let server = serve(async move {
            let mut server = servers.accept().await;
            server.send(b"unread".to_vec()).await.unwrap();
            server
        });
        soon(socket.connect(URI)).await.unwrap();
        let mut server = soon(server).await.unwrap();
        match ending {
            "peer" => drop(soon(server.close(CloseCode::new(4000), "why")).await.unwrap()),
            "loss" => drop(server),
            "local" => {
                socket.close_with_status(1000, "bye").unwrap();
                assert_eq!(soon(server.receive()).await.unwrap(), None);
            }
            _ => {
                drop(socket);
                assert_eq!(soon(server.receive()).await.unwrap(), None);
            }
        }
        assert_eq!(seen.all(1).await, [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_arrived_before_a_close_can_be_read_after_it() {
    let (platform, mut servers) = pipes();
    let socket = StreamWebSocket::with_platform(&platform);
    let seen = Seen::default();
    watch_closed_stream(&socket, &seen).unwrap();
    let server = serve(async move {
        let mut server = servers.accept().await;
        server.send(b"last words".to_vec()).await.unwrap();
        server.close(CloseCode::NORMAL, "").await
    });
    soon(socket.connect(URI)).await.unwrap();
    assert!(soon(server).await.unwrap().unwrap().clean);
    assert_eq!(seen.all(1).await, ["closed 1000"]);
    assert_eq!(text(soon(socket.input_stream().read(100, NONE)).await.unwrap()), "last words");
    assert_eq!(soon(socket.input_stream().read(100, NONE)).await.unwrap().length(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_holds_back_the_network_and_loses_nothing() {
    let (platform, mut servers) = pipes_of(wsduo::MessageWebSocketControl::new(), 4 << 10);
    let socket = StreamWebSocket::with_platform(&platform);
    let server = serve(async move {
        let server = servers.accept().await;
        let (mut receiver, sender) = server.split();
        tokio::spawn(async move { while let Ok(Some(_)) = receiver.receive().await {} });
        for _ in 0..1000 {
            sender.send(vec![7; 1 << 10]).await.unwrap();
        }
        sender.close(CloseCode::NORMAL, "").await
    });
    soon(socket.connect(URI)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!server.is_finished());
    let statistics = socket.information().details().unwrap().statistics();
    assert!(statistics.bytes_received < 300 << 10, "{statistics:?}");
    let mut read = 0;
    loop {
        let bytes = soon(socket.input_stream().read(100_000, PARTIAL)).await.unwrap();
        if bytes.length() == 0 {
            break;
        }
        read += bytes.length();
    }
    assert_eq!(read, 1000 << 10);
    assert!(soon(server).await.unwrap().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_read_may_want_more_than_is_received_ahead() {
    let (socket, mut server) = streaming().await;
    let sending = serve(async move {
        for _ in 0..10 {
            server.send(vec![1; 50_000]).await.unwrap();
        }
        server
    });
    assert_eq!(soon(socket.input_stream().read(500_000, NONE)).await.unwrap().length(), 500_000);
    soon(sending).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_closed_input_stream_refuses_reads_and_does_not_hold_back_the_network() {
    let (socket, mut server) = streaming().await;
    socket.input_stream().close();
    assert_eq!(code(soon(socket.input_stream().read(1, NONE)).await), Error::CLOSED);
    for _ in 0..100 {
        soon(server.send(vec![1; 10_000])).await.unwrap();
    }
    soon(socket.output_stream().write("still open".into())).await.unwrap();
    assert_eq!(soon(server.receive()).await.unwrap().unwrap().as_bytes(), b"still open");
}

#[tokio::test(start_paused = true)]
async fn one_store_is_one_message() {
    let (socket, mut server) = streaming().await;
    let writer = DataWriter::with_stream(socket.output_stream());
    writer.write_bytes(&[1, 2]).unwrap();
    writer.write_byte(3).unwrap();
    assert_eq!(soon(writer.store()).await.unwrap(), 3);
    writer.write_bytes(&vec![4; 200_000]).unwrap();
    let storing = writer.store();
    let receiving = serve(async move {
        assert_eq!(server.receive().await.unwrap(), Some(Message::from(vec![1, 2, 3])));
        assert_eq!(server.receive().await.unwrap(), Some(Message::from(vec![4; 200_000])));
        server
    });
    assert_eq!(soon(storing).await.unwrap(), 200_000);
    assert!(soon(writer.flush()).await.unwrap());
    soon(receiving).await.unwrap();
    writer.detach_stream().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_dropped_undetached_closes_the_stream_and_a_detached_one_does_not() {
    let (socket, _seen, mut server) = connected().await;
    let writer = DataWriter::with_stream(socket.output_stream());
    writer.write_string("kept").unwrap();
    soon(writer.store()).await.unwrap();
    writer.detach_stream().unwrap();
    drop(writer);
    let writer = DataWriter::with_stream(socket.output_stream());
    writer.write_string("open").unwrap();
    soon(writer.store()).await.unwrap();
    drop(writer);
    let writer = DataWriter::with_stream(socket.output_stream());
    writer.write_string("gone").unwrap();
    assert_eq!(code(soon(writer.store()).await), Error::CLOSED);
    assert_eq!(code(soon(socket.output_stream().flush()).await), Error::CLOSED);
    for expected in [b"kept", b"open"] {
        assert_eq!(soon(server.receive()).await.unwrap().unwrap().as_bytes(), expected);
    }
    assert!(server.closed().is_none(), "the socket is open");
}

#[tokio::test(start_paused = true)]
async fn a_reader_dropped_undetached_closes_the_stream_and_a_detached_one_does_not() {
    let (socket, mut server) = streaming().await;
    soon(server.send(b"abcdef".to_vec())).await.unwrap();
    let reader = DataReader::new(socket.input_stream());
    assert_eq!(soon(reader.load(2)).await.unwrap(), 2);
    assert_eq!(reader.read_string(2).unwrap(), "ab");
    reader.detach_stream().unwrap();
    drop(reader);
    let reader = DataReader::new(socket.input_stream());
    assert_eq!(soon(reader.load(2)).await.unwrap(), 2);
    assert_eq!(reader.read_string(2).unwrap(), "cd");
    drop(reader);
    assert_eq!(code(soon(socket.input_stream().read(1, NONE)).await), Error::CLOSED);
}
