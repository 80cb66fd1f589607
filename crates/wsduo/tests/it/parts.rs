//! Messages in parts, in both directions.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use wsduo::{ErrorKind, Message, MessageType, Role};
use wsduo_testing::{Scripted, Slow, wire};

use crate::support::{
    control, kind, noise, pair, patient, poll_once, scripted_client, scripted_server, soon, text,
};

#[tokio::test(start_paused = true)]
async fn parts_come_as_they_arrive() {
    let (mut socket, handle) = scripted_server(wire::masked_frame(0x01, "he"));
    let part = soon(socket.receive_part()).await.unwrap().unwrap();
    assert_eq!(
        (&part.bytes[..], part.message_type, part.is_complete),
        (&b"he"[..], MessageType::Text, false)
    );
    handle.push(wire::from_client("80 03 'llo' 82 00"));
    let part = soon(socket.receive_part()).await.unwrap().unwrap();
    assert_eq!(
        (&part.bytes[..], part.message_type, part.is_complete),
        (&b"llo"[..], MessageType::Text, true)
    );
    let part = soon(socket.receive_part()).await.unwrap().unwrap();
    assert_eq!((&part.bytes[..], part.message_type, part.is_complete), (&b""[..], MessageType::Binary, true));
}

#[tokio::test(start_paused = true)]
async fn parts_have_no_limit() {
    let (transport, handle) = Scripted::new([]);
    let mut socket = control().max_message_size(10).max_fragments(2).from_transport(transport, Role::Client);
    handle.push(wire::frame(0x02, noise(100_000)));
    for _ in 0..100 {
        handle.push(wire::frame(0x00, noise(1000)));
    }
    handle.push(wire::frame(0x80, []));
    let mut total = 0;
    loop {
        let part = soon(socket.receive_part()).await.unwrap().unwrap();
        total += part.bytes.len();
        if part.is_complete {
            break;
        }
    }
    assert_eq!(total, 200_000);
    // And whole messages have it again.
    handle.push(wire::frame(0x82, [0; 11]));
    assert_eq!(kind(soon(socket.receive()).await), ErrorKind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn whole_messages_are_refused_in_the_middle_of_parts() {
    let (mut socket, handle) = scripted_server(wire::masked_frame(0x01, "he"));
    soon(socket.receive_part()).await.unwrap();
    assert_eq!(kind(soon(socket.receive()).await), ErrorKind::Misuse);
    handle.push(wire::from_client("80 03 'llo' 81 04 'next'"));
    assert_eq!(kind(soon(socket.receive()).await), ErrorKind::Misuse);
    assert!(soon(socket.receive_part()).await.unwrap().unwrap().is_complete);
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("next")));
}

#[tokio::test(start_paused = true)]
async fn whole_messages_after_parts_whatever_was_read_ahead_by_a_sender() {
    // The second message is read ahead while messages were wanted in parts: by then whole, or not.
    for (ahead, then) in [
        ("81 06 'second'", ""),
        ("01 03 'sec' 80 03 'ond'", ""),
        ("01 03 'sec'", "80 03 'ond'"),
        ("01 03 'sec' 00 00 00 01 'o'", "80 02 'nd'"),
        ("01 00", "80 06 'second'"),
    ] {
        let (mut socket, handle) = scripted_server(wire::from_client("81 05 'first'"));
        assert!(soon(socket.receive_part()).await.unwrap().unwrap().is_complete);
        handle.push(wire::from_client(ahead));
        for _ in 0..3 {
            soon(socket.send("x")).await.unwrap();
        }
        handle.push(wire::from_client(then));
        handle.push(wire::from_client("81 05 'third'"));
        assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("second")), "{ahead}, then {then}");
        assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("third")));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_ahead_for_parts_is_limited_when_it_is_wanted_whole() {
    let (transport, handle) = Scripted::new(wire::from_client("82 01 'x'"));
    let mut socket = control().max_message_size(10).from_transport(transport, Role::Server);
    assert!(soon(socket.receive_part()).await.unwrap().unwrap().is_complete);
    handle.push(wire::masked_frame(0x02, noise(8)));
    for _ in 0..3 {
        soon(socket.send("x")).await.unwrap();
    }
    handle.take_written();
    handle.push(wire::masked_frame(0x80, noise(8)));
    let error = soon(socket.receive()).await.unwrap_err();
    assert_eq!((error.kind(), error.close_code().unwrap().number()), (ErrorKind::TooLarge, 1009));
    assert_eq!(wire::frames(&handle.written())[0].close_code(), Some(1009));
}

#[tokio::test(start_paused = true)]
async fn a_reader_reads_one_message_to_its_end() {
    let wire = "01 02 'ab' 89 00 00 00 80 02 'cd' 82 03 'xyz' 81 00 81 01 'e'";
    let (transport, handle) = Scripted::new(wire::from_client(wire));
    let mut socket = control().from_transport(Slow::new(transport), Role::Server);
    let mut text = String::new();
    let mut reader = soon(socket.next_reader()).await.unwrap().unwrap();
    assert_eq!(reader.message_type(), MessageType::Text);
    soon(reader.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "abcd");
    assert_eq!(soon(reader.read(&mut [0; 8])).await.unwrap(), 0);
    drop(reader);
    let mut reader = soon(socket.next_reader()).await.unwrap().unwrap();
    assert_eq!(reader.message_type(), MessageType::Binary);
    assert_eq!(soon(reader.fill_buf()).await.unwrap()[0], b'x');
    let mut bytes = Vec::new();
    soon(reader.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes, b"xyz");
    drop(reader);
    let mut reader = soon(socket.next_reader()).await.unwrap().unwrap();
    assert_eq!(soon(reader.read(&mut [0; 8])).await.unwrap(), 0);
    drop(reader);
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(crate::support::text("e")));
    handle.push(wire::from_client("88 00"));
    assert!(soon(socket.next_reader()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reader_dropped_early_skips_the_rest() {
    for bytes in 0..8 {
        // At once, and when the rest comes only later.
        for split in [4, 12, 40] {
            let wire = wire::from_client("01 04 'abcd' 00 00 80 04 'efgh' 81 04 'next' 82 01 'x'");
            let (transport, handle) = Scripted::new(&wire[..split]);
            let mut socket = control().from_transport(Slow::with_chunks(transport, 3, 3), Role::Server);
            {
                let opening = tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    handle.push(&wire[split..]);
                });
                let mut reader = soon(socket.next_reader()).await.unwrap().unwrap();
                let mut buffer = vec![0; bytes];
                soon(reader.read_exact(&mut buffer)).await.unwrap();
                assert_eq!(buffer, b"abcdefgh"[..bytes]);
                opening.await.unwrap();
            }
            assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("next")));
            let mut reader = soon(socket.next_reader()).await.unwrap().unwrap();
            assert_eq!(soon(reader.read_u8()).await.unwrap(), b'x');
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_goes_on_with_a_message_begun_in_parts() {
    let (mut socket, handle) = scripted_server(wire::masked_frame(0x02, "ab"));
    soon(socket.receive_part()).await.unwrap();
    handle.push(wire::from_client("80 02 'cd' 81 01 'n'"));
    let mut rest = Vec::new();
    soon(soon(socket.next_reader()).await.unwrap().unwrap().read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"cd");
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("n")));
}

#[tokio::test(start_paused = true)]
async fn a_connection_lost_inside_a_message_is_an_error_of_its_reader() {
    for close in ["", "88 02 03 e8"] {
        let (mut socket, handle) = scripted_client(wire::bytes("02 02 'ab'"));
        handle.push(wire::bytes(close));
        handle.end();
        let mut bytes = Vec::new();
        let mut reader = soon(socket.next_reader()).await.unwrap().unwrap();
        assert!(soon(reader.read_to_end(&mut bytes)).await.is_err(), "{close}");
        assert!(soon(reader.read_to_end(&mut bytes)).await.is_err(), "{close}");
        assert_eq!(bytes, b"ab");
        drop(reader);
        assert_eq!(soon(socket.receive()).await.is_err(), close.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn text_in_parts_is_checked() {
    let (mut socket, _handle) = scripted_client(wire::bytes("01 02 'h' c3 00 01 a9 00 01 'x' 80 01 ff"));
    let mut reader = soon(socket.next_reader()).await.unwrap().unwrap();
    let mut bytes = Vec::new();
    assert!(soon(reader.read_to_end(&mut bytes)).await.is_err());
    drop(reader);
    assert_eq!(bytes, "hé".as_bytes().iter().chain(b"x").copied().collect::<Vec<_>>());
    let error = soon(socket.receive()).await.unwrap_err();
    assert_eq!(error.close_code().unwrap().number(), 1007);
}

#[tokio::test(start_paused = true)]
async fn a_writer_makes_one_message() {
    let (mut client, mut server) = pair();
    let bytes = noise(300_000);
    let sent = bytes.clone();
    let sending = tokio::spawn(async move {
        let mut writer = client.message_writer(MessageType::Binary);
        writer.write_all(&sent).await.unwrap();
        writer.finish().await.unwrap();
        client.message_writer(MessageType::Text).finish().await.unwrap();
        client.send("after").await.unwrap();
        client
    });
    assert!(soon(server.receive()).await.unwrap() == Some(Message::from(bytes)));
    assert_eq!(soon(server.receive()).await.unwrap(), Some(text("")));
    assert_eq!(soon(server.receive()).await.unwrap(), Some(text("after")));
    sending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn text_may_be_cut_anywhere_between_writes() {
    let sample = "aé✓🦀z";
    for cut in 0..=sample.len() {
        let (mut socket, handle) = scripted_server([]);
        let mut writer = socket.message_writer(MessageType::Text);
        writer.write_all(&sample.as_bytes()[..cut]).await.unwrap();
        writer.write_all(&sample.as_bytes()[cut..]).await.unwrap();
        soon(writer.finish()).await.unwrap();
        let frames = wire::frames(&handle.written());
        let payload: Vec<u8> = frames.iter().flat_map(|frame| frame.payload.clone()).collect();
        assert_eq!(payload, sample.as_bytes());
        assert_eq!(frames[0].first & 0x0f, 1);
        assert!(frames[1..].iter().all(|frame| frame.first & 0x0f == 0));
        assert_eq!(frames.iter().filter(|frame| frame.first & 0x80 != 0).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn text_that_is_not_utf_8_is_not_sent() {
    let (mut socket, handle) = scripted_server([]);
    let mut writer = socket.message_writer(MessageType::Text);
    writer.write_all(b"ok").await.unwrap();
    assert!(writer.write_all(b"\xff").await.is_err());
    writer.write_all("é".as_bytes()[..1].as_ref()).await.unwrap();
    assert_eq!(kind(soon(writer.finish()).await), ErrorKind::InvalidInput);
    // The message goes on where it was.
    let mut writer = socket.message_writer(MessageType::Text);
    writer.write_all("é".as_bytes()[1..].as_ref()).await.unwrap();
    soon(writer.finish()).await.unwrap();
    let payload: Vec<u8> =
        wire::frames(&handle.written()).into_iter().flat_map(|frame| frame.payload).collect();
    assert_eq!(payload, "oké".as_bytes());
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_message_is_in_the_way_of_others_but_not_of_the_close() {
    let (mut socket, handle) = scripted_server(wire::from_client("89 01 'p'"));
    socket.message_writer(MessageType::Text).write_all(b"begun").await.unwrap();
    assert_eq!(kind(soon(socket.send("x")).await), ErrorKind::Misuse);
    assert_eq!(kind(soon(socket.message_writer(MessageType::Binary).finish()).await), ErrorKind::Misuse);
    assert!(poll_once(socket.receive()).is_pending());
    assert!(poll_once(socket.close(wsduo::CloseCode::NORMAL, "")).is_pending());
    assert_eq!(handle.written(), wire::bytes("01 05 'begun' 8a 01 'p' 88 02 03 e8"));
}

#[tokio::test(start_paused = true)]
async fn shutting_a_writer_down_ends_the_message_once() {
    let (mut socket, handle) = scripted_server([]);
    let mut writer = socket.message_writer(MessageType::Binary);
    writer.write_all(b"x").await.unwrap();
    writer.shutdown().await.unwrap();
    assert!(writer.write_all(b"y").await.is_err());
    writer.shutdown().await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(handle.written(), wire::bytes("02 01 'x' 80 00"));
    assert_eq!(socket.information().statistics().messages_sent, 1);
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_a_peer_that_does_not_read() {
    let (transport, handle) = Scripted::new([]);
    handle.set_room(0);
    let mut socket = patient().max_queued(1000).from_transport(transport, Role::Server);
    let mut writer = socket.message_writer(MessageType::Binary);
    let mut written = 0;
    while poll_once(writer.write(&[0; 100])).is_ready() {
        written += 1;
        assert!(written < 100, "never waits");
    }
    assert!(poll_once(writer.flush()).is_pending());
    handle.set_room(usize::MAX);
    soon(writer.flush()).await.unwrap();
    soon(writer.finish()).await.unwrap();
}
