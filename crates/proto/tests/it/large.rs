//! Large binary payloads read straight into the message, against the ordinary way.

use std::time::Instant;

use wsduo_proto::{Config, Delivery, Event, MessageRef, Role};

use crate::oracle::encode;
use crate::support::{End, KEY, ROLES, Seen, binary, incoming, text, wire};

/// Reads `wire` like a driver that fills the message itself where it may, `step` bytes at a time.
fn read_directly(end: &mut End, mut wire: &[u8], step: usize, least: usize) -> usize {
    let mut direct = 0;
    while !wire.is_empty() {
        let event = match end.connection.payload_buffer(least) {
            Some((buffer, most)) => {
                let n = most.min(step).min(wire.len());
                assert!(n > 0, "room for nothing");
                let capacity = buffer.capacity();
                buffer.extend_from_slice(&wire[..n]);
                assert_eq!(buffer.capacity(), capacity, "there was less room than promised");
                wire = &wire[n..];
                direct += n;
                end.connection.heard();
                end.connection.payload_read(n)
            }
            None => {
                let (chunk, rest) = wire.split_at(step.min(wire.len()));
                end.receive(chunk, Delivery::Whole);
                wire = rest;
                None
            }
        };
        match event {
            None => {}
            Some(Event::Message(message)) => {
                assert!(matches!(message, MessageRef::Binary(_)));
                end.seen.push(Seen::Message(message.into_owned()));
            }
            Some(other) => panic!("{other:?}"),
        }
    }
    direct
}

#[test]
fn payloads_read_directly_are_the_same_at_every_chunking() {
    let payload: Vec<u8> = (0..1000_u32).map(|i| (i * 7) as u8).collect();
    for role in ROLES {
        let key = (role == Role::Server).then_some(KEY);
        let mut wire = encode(true, 1, b"before", key);
        wire.extend(encode(false, 2, &payload[..301], key));
        wire.extend(encode(true, 9, b"ping", key));
        wire.extend(encode(false, 0, b"", key));
        wire.extend(encode(true, 0, &payload[301..], key));
        wire.extend(encode(true, 2, &payload, key));
        wire.extend(encode(true, 1, &[b't'; 200], key));
        let expected = [text("before"), binary(&payload), binary(&payload), text(&"t".repeat(200))];
        for step in (1..=40).chain([100, 101, 333, 1000, 5000]) {
            for least in [1, 2, 100, 500] {
                let mut end = End::new(role, Config::default(), Instant::now());
                let direct = read_directly(&mut end, &wire, step, least);
                assert_eq!(end.seen, expected, "{role:?}, {step} bytes at a time, from {least} bytes on");
                assert!(direct > 0 || step > 300 || least > 100, "some of it was read directly");
                end.writes("8a 04 'ping'");
            }
        }
    }
}

#[test]
fn a_message_of_many_reads() {
    let payload: Vec<u8> = (0..300_000_u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    for role in ROLES {
        let wire = encode(true, 2, &payload, (role == Role::Server).then_some(KEY));
        for step in [1499, 16 << 10, 1 << 20] {
            let mut end = End::new(role, Config::default(), Instant::now());
            read_directly(&mut end, &wire, step, 4096);
            assert!(end.seen == [binary(&payload)], "{role:?}, {step} bytes at a time");
        }
    }
}

#[test]
fn the_memory_of_a_large_message_fits_it() {
    let wire = encode(true, 2, &vec![1; 3_000_000], None);
    let mut end = End::new(Role::Client, Config::default(), Instant::now());
    let (last, before) = wire.split_last().expect("not empty");
    read_directly(&mut end, before, 60_000, 1);
    let (buffer, room) = end.connection.payload_buffer(1).expect("one byte is to come");
    assert_eq!((buffer.len(), room), (2_999_999, 1));
    assert!(buffer.capacity() <= 3_300_000, "{} bytes", buffer.capacity());
    read_directly(&mut end, &[*last], 1, 1);
    assert_eq!(end.seen.len(), 1);
}

#[test]
fn the_memory_of_a_large_text_fits_it() {
    // Characters of three bytes, so that reads end inside of them.
    let payload = "€".repeat(500_000);
    for role in ROLES {
        let wire = encode(true, 1, payload.as_bytes(), (role == Role::Server).then_some(KEY));
        for step in [1499, 60_000, 700_001] {
            let mut end = End::new(role, Config::default(), Instant::now());
            let mut capacity = 0;
            for chunk in wire.clone().chunks_mut(step) {
                if let (_, Some(Event::Message(MessageRef::Text(text)))) =
                    end.connection.receive(chunk, Delivery::Whole)
                {
                    capacity = text.into_owned().capacity();
                }
            }
            assert!((1_500_000..1_500_010).contains(&capacity), "{role:?}, {step}: {capacity} bytes");
        }
    }
}

#[test]
fn only_payloads_of_whole_binary_messages_are_read_directly() {
    let buffer = |frames: &str, delivery, least| {
        ROLES.map(|role| {
            let mut end = End::new(role, Config::default(), Instant::now());
            end.receive(&incoming(role, &wire(frames)), delivery);
            end.connection.payload_buffer(least).is_some()
        })
    };
    assert_eq!(buffer("82 05 'he'", Delivery::Whole, 3), [true; 2]);
    assert_eq!(buffer("82 05 'he'", Delivery::Whole, 4), [false; 2], "too little");
    assert_eq!(buffer("82 05 'he'", Delivery::Parts, 1), [false; 2], "in parts");
    assert_eq!(buffer("81 05 'he'", Delivery::Whole, 1), [false; 2], "text has to be checked");
    assert_eq!(buffer("02 02 'he'", Delivery::Whole, 1), [false; 2], "between frames");
    assert_eq!(buffer("", Delivery::Whole, 1), [false; 2], "between messages");
    assert_eq!(buffer("82 05 'hello'", Delivery::Whole, 0), [false; 2], "all there");
    assert_eq!(buffer("88 00", Delivery::Whole, 0), [false; 2], "closed");
}

#[test]
fn a_claim_to_have_read_is_ignored_where_nothing_is_under_way() {
    for role in ROLES {
        let mut end = End::new(role, Config::default(), Instant::now());
        assert_eq!(end.connection.payload_read(5), None);
        end.receive_frames("81 05 'he'");
        assert_eq!(end.connection.payload_read(3), None);
    }
}
