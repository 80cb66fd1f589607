//! permessage-deflate (RFC 7692) on an open connection. The negotiation is in negotiation.rs.

use std::time::Instant;

use proptest::prelude::*;
use wsduo_proto::ProtocolError::{InvalidDeflate, ReservedBits};
use wsduo_proto::{
    Compression, Config, Delivery, Event, MessageType, Outgoing, PreparedMessage, ProtocolError, Role,
};

use crate::support::{
    Check, DELIVERIES, End, ROLES, Seen, binary, check_failure, close_frame_of, failed, keys, text,
};

pub(crate) const TAKEOVER: Compression = Compression::new();
pub(crate) const NO_TAKEOVER: Compression = Compression::new().context_takeover(false, false);

/// Feeds frames to both roles in every way, with and without context takeover.
#[track_caller]
pub(crate) fn check(frames: &str, expected: &[Seen]) {
    for compression in [TAKEOVER, NO_TAKEOVER] {
        Check::default().compression(compression).frames(frames, expected, "?");
    }
}

#[track_caller]
pub(crate) fn refuse(frames: &str, error: ProtocolError) {
    for compression in [TAKEOVER, NO_TAKEOVER] {
        let check = Check::default().compression(compression);
        check.frames(frames, &[failed(error)], &close_frame_of(error));
    }
}

/// Text of some length that compresses somewhat, and differs from place to place.
pub(crate) fn prose(len: usize) -> String {
    let words = ["quote", "price", "ACME", "\"bid\":", "12.5", "[]", "{}", "\n"];
    let mut state = 7_u32;
    let mut text = String::new();
    while text.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(words[(state >> 24) as usize % words.len()]);
        text.push_str(&(state >> 20).to_string());
    }
    text.truncate(len);
    text
}

pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

/// What one end sends, unmasked frame by unmasked frame: the first byte and the payload.
fn frames_of(mut wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = wire {
        let (len, rest) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().expect("eight bytes")) as usize, &rest[8..]),
            short => (usize::from(short), rest),
        };
        frames.push((*first, rest[..len].to_vec()));
        wire = &rest[len..];
    }
    frames
}

// RFC 7692 §7.2.3.

#[test]
fn one_block() {
    check("c1 07 f2 48 cd c9 c9 07 00", &[text("Hello")]);
}

#[test]
fn one_block_in_two_frames() {
    check("41 03 f2 48 cd  80 04 c9 c9 07 00", &[text("Hello")]);
}

#[test]
fn a_window_shared_between_messages() {
    let frames = "c1 07 f2 48 cd c9 c9 07 00  c1 05 f2 00 11 00 00";
    let check = Check::default().compression(TAKEOVER);
    check.frames(frames, &[text("Hello"), text("Hello")], "?");
    let check = Check::default().compression(NO_TAKEOVER);
    check.frames(frames, &[text("Hello"), failed(InvalidDeflate)], &close_frame_of(InvalidDeflate));
}

#[test]
fn a_block_that_is_not_compressed() {
    check("c1 0b 00 05 00 fa ff 'Hello' 00", &[text("Hello")]);
}

#[test]
fn a_final_block() {
    check("c1 08 f3 48 cd c9 c9 07 00 00", &[text("Hello")]);
}

#[test]
fn a_final_block_does_not_end_the_messages_after_it() {
    let final_block = "c1 08 f3 48 cd c9 c9 07 00 00";
    check(
        &format!("{final_block} {final_block} c1 07 f2 48 cd c9 c9 07 00"),
        &[text("Hello"), text("Hello"), text("Hello")],
    );
}

#[test]
fn a_final_block_with_nothing_behind_it() {
    check("c1 07 f3 48 cd c9 c9 07 00  c1 07 f2 48 cd c9 c9 07 00", &[text("Hello"), text("Hello")]);
}

#[test]
fn the_block_that_the_tail_completes_may_be_final() {
    // As a compressor that finishes each message writes it at level 0: RFC 7692 §7.2.1 asks for an empty block that is
    // not compressed, final or not.
    check(
        "c1 01 01  c1 0b 00 05 00 fa ff 'Hello' 01  c1 07 f2 48 cd c9 c9 07 00",
        &[text(""), text("Hello"), text("Hello")],
    );
}

#[test]
fn two_blocks_in_a_message() {
    check("c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00", &[text("Hello")]);
}

#[test]
fn empty_messages() {
    check("c1 01 00  c2 01 00  c1 00  41 00 80 01 00", &[text(""), binary(""), text(""), text("")]);
}

// What is allowed where (RFC 7692 §6).

#[test]
fn the_bit_is_refused_where_it_was_not_agreed_on() {
    check_failure("c1 07 f2 48 cd c9 c9 07 00", ReservedBits(4));
}

#[test]
fn the_bit_is_refused_on_continuations_and_control_frames() {
    refuse("41 03 f2 48 cd  c0 04 c9 c9 07 00", ReservedBits(4));
    refuse("c9 01 00", ReservedBits(4));
    refuse("ca 01 00", ReservedBits(4));
    refuse("c8 02 03 e8", ReservedBits(4));
}

#[test]
fn the_other_bits_are_refused_as_ever() {
    refuse("a1 01 'a'", ReservedBits(2));
    refuse("91 01 'a'", ReservedBits(1));
    refuse("e1 01 00", ReservedBits(6));
}

#[test]
fn messages_may_be_uncompressed_and_control_frames_come_between() {
    check(
        "81 02 'ok'  41 03 f2 48 cd  89 01 'p'  00 00  80 04 c9 c9 07 00  82 01 ff",
        &[text("ok"), text("Hello"), binary([0xff])],
    );
}

#[test]
fn an_uncompressed_message_does_not_enter_the_window() {
    // The second compressed message refers to the first, over one that is not in the window.
    let frames = "c1 07 f2 48 cd c9 c9 07 00  81 05 'World'  c1 05 f2 00 11 00 00";
    Check::default().compression(TAKEOVER).frames(
        frames,
        &[text("Hello"), text("World"), text("Hello")],
        "?",
    );
}

// Sending.

#[test]
fn what_is_sent_is_what_the_rfc_shows() {
    let compression = TAKEOVER.threshold(0);
    let mut end = End::compressing(Role::Server, Config::default(), &compression);
    end.connection.send("Hello".into(), &mut keys()).unwrap();
    end.writes("c1 07 f2 48 cd c9 c9 07 00");
    end.connection.send("Hello".into(), &mut keys()).unwrap();
    end.writes("c1 05 f2 00 11 00 00");
}

#[test]
fn without_context_takeover_messages_do_not_refer_back() {
    let mut end = End::compressing(Role::Server, Config::default(), &NO_TAKEOVER.threshold(0));
    let message = prose(1000);
    let mut sent = || {
        end.connection.send((&message).into(), &mut keys()).unwrap();
        end.write()
    };
    assert_eq!(sent(), sent());
}

#[test]
fn short_messages_and_those_that_would_grow_go_plain() {
    let mut end = End::compressing(Role::Server, Config::default(), &NO_TAKEOVER);
    end.connection.send("a".repeat(127).into(), &mut keys()).unwrap();
    assert_eq!(end.write()[0], 0x81);
    end.connection.send("a".repeat(128).into(), &mut keys()).unwrap();
    assert_eq!(end.write()[0], 0xc1);
    end.connection.send(noise(200).into(), &mut keys()).unwrap();
    assert_eq!(end.write()[0], 0x82);
    let mut end = End::compressing(Role::Server, Config::default(), &TAKEOVER.threshold(0));
    end.connection.send(noise(200).into(), &mut keys()).unwrap();
    assert_eq!(end.write()[0], 0xc2, "it has entered the window, so it must arrive compressed");
    end.connection.send("".into(), &mut keys()).unwrap();
    end.writes("81 00");
}

#[test]
fn a_message_may_be_exempted() {
    let mut end = End::compressing(Role::Server, Config::default(), &TAKEOVER);
    let message = prose(500);
    end.connection.send(Outgoing::from(&message).uncompressed(), &mut keys()).unwrap();
    assert_eq!(frames_of(&end.write()), [(0x81, message.clone().into_bytes())]);
    end.connection.send_part_uncompressed(MessageType::Text, b"secret", false, &mut keys()).unwrap();
    end.connection.send_part(MessageType::Text, b"", true, &mut keys()).unwrap();
    end.writes("01 06 'secret' 80 00");
    end.connection.send_part(MessageType::Text, b"public", false, &mut keys()).unwrap();
    assert_eq!(end.write()[0], 0x41);
}

#[test]
fn a_server_that_limits_us_to_8_bits_gets_messages_as_they_are() {
    let mut agreement = crate::support::agreed(&TAKEOVER);
    agreement.send_window_bits = 8;
    let end = End::new(Role::Server, Config::default(), Instant::now());
    let mut connection = end.connection.with_compression(&TAKEOVER, agreement);
    connection.send(prose(1000).into(), &mut keys()).unwrap();
    connection.send_part(MessageType::Text, b"part", true, &mut keys()).unwrap();
    let written = connection.output(&mut keys()).contiguous().unwrap().to_vec();
    assert_eq!(frames_of(&written).iter().map(|(first, _)| *first).collect::<Vec<_>>(), [0x81, 0x81]);
}

#[test]
fn parts_leave_so_that_the_peer_can_inflate_them_at_once() {
    for role in ROLES {
        let peer = if role == Role::Client { Role::Server } else { Role::Client };
        let mut from = End::compressing(role, Config::default(), &TAKEOVER);
        let mut to = End::compressing(peer, Config::default(), &TAKEOVER);
        let message = prose(3000);
        let mut so_far = 0;
        for part in message.as_bytes().chunks(700) {
            from.connection.send_part(MessageType::Text, part, false, &mut keys()).unwrap();
            to.receive(&from.write(), Delivery::Parts);
            so_far += part.len();
            assert_eq!(to.parts, &message.as_bytes()[..so_far]);
        }
        from.connection.send_part(MessageType::Text, b"", true, &mut keys()).unwrap();
        to.receive(&from.write(), Delivery::Parts);
        assert_eq!(to.seen, [text(&message)]);
    }
}

#[test]
fn a_prepared_message_is_compressed_once_and_enters_the_window() {
    let message = prose(2000);
    let prepared = PreparedMessage::new(message.clone());
    let mut sent = Vec::new();
    for before in ["", "something else that was sent before, and is in the window of this one alone"] {
        let mut from = End::compressing(Role::Server, Config::default(), &TAKEOVER.threshold(1));
        let mut to = End::compressing(Role::Client, Config::default(), &TAKEOVER);
        from.connection.send(before.into(), &mut keys()).unwrap();
        to.receive(&from.write(), Delivery::Whole);
        from.connection.send((&prepared).into(), &mut keys()).unwrap();
        let wire = from.write();
        to.receive(&wire, Delivery::Whole);
        // What follows refers to it.
        from.connection.send((&message).into(), &mut keys()).unwrap();
        let again = from.write();
        assert!(again.len() < 40, "{} bytes", again.len());
        to.receive(&again, Delivery::Whole);
        assert_eq!(to.seen, [text(before), text(&message), text(&message)]);
        sent.push(wire);
    }
    assert_eq!(sent[0], sent[1]);
    let mut plain = End::new(Role::Server, Config::default(), Instant::now());
    plain.connection.send((&prepared).into(), &mut keys()).unwrap();
    assert_eq!(frames_of(&plain.write()), [(0x81, message.into_bytes())]);
}

#[test]
fn statistics_tell_the_ratio() {
    let mut from = End::compressing(Role::Server, Config::default(), &TAKEOVER);
    let mut to = End::compressing(Role::Client, Config::default(), &TAKEOVER);
    assert!(from.connection.compression().unwrap().1.sent_ratio().is_none());
    from.connection.send(prose(5000).into(), &mut keys()).unwrap();
    from.connection.send("short".into(), &mut keys()).unwrap();
    let wire = from.write();
    to.receive(&wire, Delivery::Whole);
    let (_, sent) = from.connection.compression().unwrap();
    let (_, received) = to.connection.compression().unwrap();
    assert_eq!((sent.sent, received.received), (5000, 5000));
    assert_eq!(sent.sent_compressed, (wire.len() - 4 - 7) as u64);
    assert_eq!(received.received_compressed, sent.sent_compressed);
    assert!(sent.sent_ratio().unwrap() < 0.6);
}

/// More connections than a thread keeps compressors for, in turns, so that each has to learn its window again.
#[test]
fn windows_survive_the_loss_of_their_compressors() {
    let compression = TAKEOVER.threshold(0).level(1);
    let mut pairs: Vec<_> = (0..120)
        .map(|_| {
            (
                End::compressing(Role::Server, Config::default(), &compression),
                End::compressing(Role::Client, Config::default(), &compression),
            )
        })
        .collect();
    for round in 0..3 {
        for (number, (from, to)) in pairs.iter_mut().enumerate() {
            let message = format!("{} {}", prose(400 + number), number);
            from.connection.send((&message).into(), &mut keys()).unwrap();
            let wire = from.write();
            assert!(round == 0 || wire.len() < 40, "round {round}: {} bytes", wire.len());
            to.receive(&wire, Delivery::Whole);
            assert_eq!(to.seen.pop(), Some(text(&message)));
        }
    }
}

/// A connection that moves between threads finds an old compressor of its own where it was before.
#[test]
fn a_compressor_that_is_out_of_date_is_not_used() {
    let compression = TAKEOVER.threshold(0);
    let mut from = End::compressing(Role::Server, Config::default(), &compression);
    let mut to = End::compressing(Role::Client, Config::default(), &compression);
    let mut expected = Vec::new();
    for i in 0..6 {
        let message = prose(300 + 50 * i);
        if i % 2 == 0 {
            from.connection.send((&message).into(), &mut keys()).unwrap();
        } else {
            let connection = &mut from.connection;
            std::thread::scope(|scope| {
                scope.spawn(|| connection.send((&message).into(), &mut keys()).unwrap());
            });
        }
        to.receive(&from.write(), Delivery::Whole);
        expected.push(text(&message));
    }
    assert_eq!(to.seen, expected);
}

// Whatever is sent arrives, in whatever way.

fn settings() -> impl Strategy<Value = Compression> {
    (9..=15_u8, any::<bool>(), 1..=9_u8, 1..=9_u8, prop_oneof![Just(0_usize), Just(128)]).prop_map(
        |(bits, takeover, level, memory, threshold)| {
            Compression::new()
                .window_bits(bits, bits)
                .context_takeover(takeover, takeover)
                .level(level)
                .memory_level(memory)
                .threshold(threshold)
        },
    )
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..3000_usize).prop_map(|len| prose(len.max(4)).into_bytes()),
        (0..3000_usize).prop_map(noise),
        (0..100_000_usize).prop_map(|len| vec![0; len]),
        Just(Vec::new()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_compressed_is_inflated(
        compression in settings(),
        contents in prop::collection::vec((content(), 0..4_u8, 1..2000_usize), 1..8),
        segment in 1..5000_usize,
        most in 1..5000_usize,
    ) {
        for role in ROLES {
            let peer = if role == Role::Client { Role::Server } else { Role::Client };
            let mut from = End::compressing(role, Config::default(), &compression);
            let mut whole = End::compressing(peer, Config::default(), &compression);
            let mut pieces = End::compressing(peer, Config::default(), &compression).connection;
            let mut wire = Vec::new();
            for (content, how, size) in &contents {
                let connection = &mut from.connection;
                match how {
                    0 => connection.send(content.into(), &mut keys()).unwrap(),
                    1 => connection.send((&PreparedMessage::new(content.clone())).into(), &mut keys()).unwrap(),
                    2 => connection.send(Outgoing::from(content).uncompressed(), &mut keys()).unwrap(),
                    _ => {
                        for part in content.chunks(*size) {
                            connection.send_part(MessageType::Binary, part, false, &mut keys()).unwrap();
                        }
                        connection.send_part(MessageType::Binary, b"", true, &mut keys()).unwrap();
                    }
                }
                wire.extend(from.write());
            }
            for segment in wire.chunks(segment) {
                whole.receive(segment, Delivery::Whole);
            }
            let expected: Vec<_> = contents.iter().map(|(content, ..)| binary(content)).collect();
            prop_assert_eq!(&whole.seen, &expected);

            let mut rest = Vec::new();
            let mut bytes_in_parts = Vec::new();
            for segment in wire.chunks(segment) {
                rest.extend_from_slice(segment);
                loop {
                    let (consumed, event) = pieces.receive_part(&mut rest, most);
                    let more = match event {
                        Some(Event::Part { bytes, .. }) => {
                            prop_assert!(bytes.len() <= most);
                            bytes_in_parts.extend_from_slice(&bytes);
                            true
                        }
                        None => false,
                        other => panic!("{other:?}"),
                    };
                    rest.drain(..consumed);
                    if !more {
                        break;
                    }
                }
            }
            prop_assert_eq!(bytes_in_parts, contents.concat_contents());
        }
    }

    #[test]
    fn any_bytes_are_inflated_or_refused(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        most in 1..200_usize,
    ) {
        let mut wire = vec![0xc2, 126];
        wire.extend((payload.len() as u16 + 126).to_be_bytes());
        wire.extend(vec![0; 126]);
        wire.extend(payload);
        for delivery in DELIVERIES {
            let mut end = End::compressing(Role::Client, Config::default(), &TAKEOVER);
            for segment in wire.chunks(most) {
                end.receive(segment, delivery);
            }
            prop_assert_eq!(end.seen.len(), 1);
        }
    }
}

trait Contents {
    fn concat_contents(&self) -> Vec<u8>;
}

impl Contents for Vec<(Vec<u8>, u8, usize)> {
    fn concat_contents(&self) -> Vec<u8> {
        self.iter().flat_map(|(content, ..)| content.clone()).collect()
    }
}
