//! RFC 6455 §5.3 and §10.3: each frame of a client has a key of its own, drawn where the caller says.

use std::time::Instant;

use wsduo_proto::{CloseCode, Config, Delivery, MessageType, Role};

use crate::oracle::frames;
use crate::support::{End, keys, masked, text, wire};

#[test]
fn each_frame_of_a_client_takes_the_next_key() {
    let mut drawn = 0_u32;
    let mut counter = || {
        drawn += 1;
        drawn.to_be_bytes()
    };
    let mut end = End::new(Role::Client, Config::default(), Instant::now());
    end.receive_frames("89 02 'hi'");
    let connection = &mut end.connection;
    connection.send("one".into(), &mut counter).unwrap();
    connection.send_part(MessageType::Binary, b"two", false, &mut counter).unwrap();
    connection.send_part(MessageType::Binary, b"three", true, &mut counter).unwrap();
    connection.send(vec![4; 100_000].into(), &mut counter).unwrap();
    connection.ping(Instant::now(), &mut counter).unwrap();
    connection.close(CloseCode::NORMAL, "").unwrap();
    connection.output(&mut counter);

    let keys: Vec<_> = frames(&end.write()).into_iter().map(|frame| frame.key).collect();
    let expected: Vec<_> = (1..=7_u32).map(|n| Some(n.to_be_bytes())).collect();
    assert_eq!(keys, expected, "four data frames, a ping, a pong and a close frame");
    assert_eq!(drawn, 7);
}

#[test]
fn a_server_masks_nothing_and_draws_no_key() {
    let mut end = End::new(Role::Server, Config::default(), Instant::now());
    let mut none = || -> [u8; 4] { panic!("a server needs no key") };
    end.receive_frames("89 02 'hi'");
    end.connection.send("one".into(), &mut none).unwrap();
    end.connection.close(CloseCode::NORMAL, "").unwrap();
    end.connection.output(&mut none);
    end.writes("8a 02 'hi'  81 03 'one'  88 02 03 e8");
}

#[test]
fn a_refused_command_draws_no_key() {
    let mut none = || -> [u8; 4] { panic!("nothing is sent") };
    let mut end = End::new(Role::Client, Config::default(), Instant::now());
    let connection = &mut end.connection;
    connection.send_part(MessageType::Text, b"a", false, &mut keys()).unwrap();
    assert!(connection.send("b".into(), &mut none).is_err());
    assert!(connection.send_part(MessageType::Text, b"\xff", true, &mut none).is_err());
    assert!(connection.send_part(MessageType::Binary, b"", true, &mut none).is_err());
}

#[test]
fn any_key_is_undone_whatever_the_alignment() {
    for key in [[0; 4], [0xff; 4], [1, 2, 3, 4]] {
        let mut end = End::new(Role::Server, Config::default(), Instant::now());
        let mut wire = vec![0x81, 0x8b];
        wire.extend(key);
        wire.extend(b"hello world".iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b));
        for chunk in wire.chunks(3) {
            end.receive(chunk, Delivery::Whole);
        }
        assert_eq!(end.seen, [text("hello world")]);
    }
}

#[test]
fn a_payload_queued_by_reference_is_masked_like_any_other() {
    let payload = bytes::Bytes::from(vec![0x5a; 100_000]);
    let mut plain = wire("82 7f 00 00 00 00 00 01 86 a0");
    plain.extend_from_slice(&payload);
    let mut end = End::new(Role::Client, Config::default(), Instant::now());
    for _ in 0..2 {
        end.connection.send(payload.clone().into(), &mut keys()).unwrap();
        assert!(end.write() == masked(&plain));
    }
    assert!(payload.iter().all(|byte| *byte == 0x5a), "the caller's bytes are untouched");
}
