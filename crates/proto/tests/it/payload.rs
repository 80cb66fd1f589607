//! Payloads read straight into memory of the caller's, and parts of a size the caller chooses, against the ordinary way.

use std::time::Instant;

use wsduo_proto::{Config, Delivery, Event, ProtocolError, Role};

use crate::oracle::{BINARY, PING, TEXT, encode};
use crate::support::{End, KEY, ROLES, close_frame_of, incoming, wire};

/// What a reader of bytes makes of `wire`, `step` bytes coming at a time and `room` taken at a time: the bytes, where the
/// messages end in them, and how many bytes took the direct way.
fn read(
    end: &mut End,
    mut wire: &[u8],
    step: usize,
    room: usize,
    least: u64,
) -> (Vec<u8>, Vec<usize>, usize) {
    let (mut bytes, mut ends, mut direct) = (Vec::new(), Vec::new(), 0);
    let mut input = Vec::new();
    loop {
        let connection = &mut end.connection;
        let (consumed, event) = connection.receive_part(&mut input, room);
        let more = event.is_some();
        if let Some(Event::Part { bytes: part, is_complete, .. }) = event {
            assert!(part.len() <= room, "a part of {} bytes for a room of {room}", part.len());
            bytes.extend_from_slice(&part);
            if is_complete {
                ends.push(bytes.len());
            }
        }
        input.drain(..consumed);
        if more {
            continue;
        }
        if wire.is_empty() {
            assert_eq!(input, [], "all is consumed");
            return (bytes, ends, direct);
        }
        let remaining = connection.payload_remaining();
        let n = if input.is_empty() && remaining >= least {
            let n = wire.len().min(step).min(room).min(remaining as usize);
            let mut chunk = wire[..n].to_vec();
            let ended = connection.payload_into(&mut chunk);
            bytes.extend_from_slice(&chunk);
            if ended {
                ends.push(bytes.len());
            }
            direct += n;
            n
        } else {
            let n = wire.len().min(step);
            input.extend_from_slice(&wire[..n]);
            n
        };
        wire = &wire[n..];
    }
}

#[test]
fn bytes_and_ends_are_the_same_at_every_chunking() {
    let payload: Vec<u8> = (0..700_u32).map(|i| (i * 7) as u8).collect();
    for role in ROLES {
        let key = (role == Role::Server).then_some(KEY);
        let mut wire = encode(true, TEXT, "before €".as_bytes(), key);
        wire.extend(encode(false, BINARY, &payload[..301], key));
        wire.extend(encode(true, PING, b"ping", key));
        wire.extend(encode(false, 0, b"", key));
        wire.extend(encode(true, 0, &payload[301..], key));
        wire.extend(encode(true, BINARY, b"", key));
        wire.extend(encode(true, BINARY, &payload, key));
        let mut expected = "before €".as_bytes().to_vec();
        expected.extend_from_slice(&payload);
        expected.extend_from_slice(&payload);
        for step in (1..=20).chain([100, 101, 333, 5000]) {
            for room in (1..=20).chain([64, 300, 301, 702, 5000]) {
                for least in [1, 2, 100, u64::MAX] {
                    let mut end = End::new(role, Config::default(), Instant::now());
                    let (bytes, ends, direct) = read(&mut end, &wire, step, room, least);
                    let how = format!("{role:?}, {step} at a time into {room}, direct from {least} on");
                    assert!(bytes == expected, "{how}");
                    assert_eq!(ends, [10, 710, 710, 1410], "{how}");
                    assert!(direct == 0 || least < u64::MAX);
                    assert!(direct > 0 || least == u64::MAX || step > 300 || least > 2, "{how}");
                    assert_eq!(end.connection.messages_received(), 4);
                    end.writes("8a 04 'ping'");
                }
            }
        }
    }
}

#[test]
fn only_binary_payloads_of_which_nothing_is_kept_are_read_directly() {
    let remaining = |frames: &str, delivery| {
        ROLES.map(|role| {
            let mut end = End::new(role, Config::default(), Instant::now());
            end.receive(&incoming(role, &wire(frames)), delivery);
            end.connection.payload_remaining()
        })
    };
    assert_eq!(remaining("82 05 'he'", Delivery::Parts), [3; 2]);
    assert_eq!(remaining("02 05 'hello'", Delivery::Parts), [0; 2], "between frames");
    assert_eq!(remaining("82 05", Delivery::Parts), [5; 2], "nothing has come yet");
    assert_eq!(remaining("82 05 'he'", Delivery::Whole), [0; 2], "a beginning is kept");
    assert_eq!(remaining("81 05 'he'", Delivery::Parts), [0; 2], "text has to be checked");
    assert_eq!(remaining("", Delivery::Parts), [0; 2], "between messages");
    assert_eq!(remaining("88 00", Delivery::Parts), [0; 2], "closed");
}

#[test]
fn claims_beyond_the_frame_are_ignored() {
    for role in ROLES {
        let mut end = End::new(role, Config::default(), Instant::now());
        assert!(!end.connection.payload_into(&mut [0; 5]));
        end.receive(&incoming(role, &wire("02 05 'he'")), Delivery::Parts);
        assert!(!end.connection.payload_into(&mut [0; 9]));
        assert_eq!(end.connection.payload_remaining(), 0);
        assert!(!end.connection.payload_into(&mut [0; 9]));
        assert!(end.connection.is_in_parts());
    }
}

#[test]
fn a_user_may_refuse_text() {
    for role in ROLES {
        let mut end = End::new(role, Config::default(), Instant::now());
        end.receive_frames("81 02 'hi'");
        assert_eq!(end.connection.refuse_text(), Some(Event::Failed(ProtocolError::TextRefused)));
        assert_eq!(end.connection.refuse_text(), None);
        end.writes(&close_frame_of(ProtocolError::TextRefused));
    }
}
