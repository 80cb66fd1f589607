//! Limits on what is received, and memory that follows what arrived rather than what was announced.

use std::time::Instant;

use wsduo_proto::ProtocolError::*;
use wsduo_proto::{CloseCode, Config, Connection, Delivery, Event, ProtocolError, Role};

use crate::support::{Check, End, ROLES, binary, close_frame_of, config, failed, incoming, text, wire};

/// The limits hold for whole messages alone.
#[track_caller]
fn check_limit(change: impl FnOnce(&mut Config), frames: &str, error: ProtocolError) {
    Check::config(change).delivery(Delivery::Whole).frames(frames, &[failed(error)], &close_frame_of(error));
}

#[test]
fn a_frame_at_the_limit_passes_and_one_more_byte_fails() {
    let limit = |config: &mut Config| config.max_frame_size = 5;
    Check::config(limit).frames("82 05 'hello'", &[binary("hello")], "");
    Check::config(limit).frames("02 05 'hello'  80 05 'world'", &[binary("helloworld")], "");
    check_limit(limit, "82 06 'hello!'", FrameTooLarge { len: 6, max: 5 });
    check_limit(limit, "01 01 'a'  80 06", FrameTooLarge { len: 6, max: 5 });
}

#[test]
fn a_message_at_the_limit_passes_and_one_more_byte_fails() {
    let limit = |config: &mut Config| config.max_message_size = 5;
    Check::config(limit).frames("81 05 'hello'", &[text("hello")], "");
    Check::config(limit).frames("01 02 'he'  89 02 'hi'  80 03 'llo'", &[text("hello")], "8a 02 'hi'");
    check_limit(limit, "81 06", MessageTooLarge { len: 6, max: 5 });
    check_limit(limit, "01 02 'he'  80 04", MessageTooLarge { len: 6, max: 5 });
    check_limit(limit, "01 05 'hello'  00 00  80 01", MessageTooLarge { len: 6, max: 5 });
}

#[test]
fn limits_at_the_boundaries_of_the_length_encoding() {
    for (max, over) in [(125, "82 7e 00 7e"), (126, "82 7e 00 7f"), (65535, "82 7f 00 00 00 00 00 01 00 00")]
    {
        let limit = |config: &mut Config| config.max_message_size = max;
        let header = match max {
            125 => "82 7d".to_owned(),
            _ => format!("82 7e {:02x} {:02x}", max >> 8, max & 0xff),
        };
        Check::config(limit).frames(&format!("{header} {max}*'a'"), &[binary(vec![b'a'; max])], "");
        let len = max as u64 + 1;
        check_limit(limit, over, MessageTooLarge { len, max });
    }
}

#[test]
fn each_message_counts_from_zero() {
    let limit = |config: &mut Config| {
        config.max_message_size = 3;
        config.max_fragments = 2;
    };
    Check::config(limit).frames(
        "01 01 'a'  80 02 'bc'  01 01 'd'  80 02 'ef'  81 03 'ghi'",
        &[text("abc"), text("def"), text("ghi")],
        "",
    );
}

#[test]
fn too_large_is_1009_and_too_many_is_1008() {
    assert_eq!(FrameTooLarge { len: 2, max: 1 }.close_code(), CloseCode::TOO_BIG);
    assert_eq!(MessageTooLarge { len: 2, max: 1 }.close_code(), CloseCode::TOO_BIG);
    assert_eq!(TooManyFragments { max: 1 }.close_code(), CloseCode::POLICY_VIOLATION);
}

#[test]
fn fragments_are_counted_empty_ones_too() {
    let limit = |config: &mut Config| config.max_fragments = 3;
    Check::config(limit).frames("01 00  00 00  89 00  80 01 'a'", &[text("a")], "8a 00");
    check_limit(limit, "01 01 'a'  00 01 'b'  00 01 'c'  80 01", TooManyFragments { max: 3 });
    check_limit(limit, "01 00  00 00  00 00  00 00", TooManyFragments { max: 3 });
}

#[test]
fn a_flood_of_empty_fragments_ends_by_default() {
    for role in ROLES {
        let mut end = End::new(role, Config::default(), Instant::now());
        let mut flood = wire("01 00");
        flood.extend(wire("00 00").repeat(128 << 10));
        end.receive(&incoming(role, &flood), Delivery::Whole);
        assert_eq!(end.seen, [failed(TooManyFragments { max: 128 << 10 })]);
    }
}

#[test]
fn the_sum_of_lengths_does_not_overflow() {
    // CVE-2020-27813: 100 bytes, then 2^63 - 50 announced.
    let frames = "02 64 100*'a'  80 7f 7f ff ff ff ff ff ff ce";
    let len = (1 << 63) - 50;
    check_limit(|_| (), frames, FrameTooLarge { len, max: 64 << 20 });
    check_limit(
        |config| config.max_frame_size = usize::MAX,
        frames,
        MessageTooLarge { len: len + 100, max: 64 << 20 },
    );
    // Without limits it goes on for ever, and three such lengths are past 2^64.
    let no_limits = |config: &mut Config| {
        config.max_frame_size = usize::MAX;
        config.max_message_size = usize::MAX;
    };
    Check::config(no_limits).frames(frames, &[], "");
}

#[test]
fn an_announced_length_reserves_next_to_nothing() {
    // CVE-2022-35922. Ten bytes of header, with and without limits, in the first frame and in a later one.
    for (announced, last) in
        [("82 7f 00 00 01 00 00 00 00 00", 1_u64 << 40), ("82 7f 40 00 00 00 00 00 00 00", 1 << 62)]
    {
        let limited = FrameTooLarge { len: last, max: 64 << 20 };
        check_limit(|_| (), announced, limited);
        for role in ROLES {
            for before in ["", "02 02 'ab'"] {
                let later = announced.replace("82", if before.is_empty() { "82" } else { "80" });
                let mut end = End::new(
                    role,
                    config(|config| {
                        config.max_frame_size = usize::MAX;
                        config.max_message_size = usize::MAX;
                    }),
                    Instant::now(),
                );
                end.receive_frames(&format!("{before} {later} 'some bytes'"));
                let (buffer, _) = end.connection.payload_buffer(1).expect("a binary payload");
                let beyond = buffer.capacity() - buffer.len();
                assert!(beyond <= 64 << 10, "{beyond} bytes more than came");
            }
        }
    }
}

#[test]
fn memory_follows_what_arrived() {
    for role in ROLES {
        let mut end = End::new(role, Config::default(), Instant::now());
        // 64 MiB announced, the limit.
        let mut bytes = incoming(role, &wire("82 7f 00 00 00 00 04 00 00 00"));
        bytes.resize(1 << 20, 0);
        for chunk in bytes.chunks(1400) {
            end.receive(chunk, Delivery::Whole);
            if let Some((buffer, _)) = end.connection.payload_buffer(1) {
                let bound = (64 << 10).max(2 * buffer.len() + 1400);
                assert!(buffer.capacity() <= bound, "{} for {}", buffer.capacity(), buffer.len());
            }
        }
    }
}

#[test]
fn no_more_is_reserved_than_the_last_message_had() {
    for role in ROLES {
        let mut end = End::new(role, Config::default(), Instant::now());
        let mut before = incoming(role, &wire("82 7f 00 00 00 00 00 10 00 00"));
        before.resize(before.len() + (1 << 20), 0);
        for chunk in before.chunks_mut(100_000) {
            end.connection.receive(chunk, Delivery::Whole);
        }
        // 64 MiB announced by one that has sent 1 MiB.
        end.receive(&incoming(role, &wire("82 7f 00 00 00 00 04 00 00 00")), Delivery::Whole);
        let (buffer, _) = end.connection.payload_buffer(1).expect("a binary payload");
        assert_eq!((buffer.len(), buffer.capacity()), (0, 1 << 20), "{role:?}");
    }
}

#[test]
fn one_byte_fragments_do_not_move_the_message_each_time() {
    // The message is read after each header; its capacity tells when it was moved to other memory.
    for role in ROLES {
        let mut end = End::new(role, Config::default(), Instant::now());
        end.receive_frames("02 01 'a'");
        let (header, byte) = match role {
            Role::Client => (wire("00 01"), wire("'b'")),
            Role::Server => (wire("00 81 4*00"), wire("'b'")),
        };
        let mut capacities = Vec::new();
        for _ in 0..20_000 {
            end.receive(&header, Delivery::Whole);
            let (buffer, _) = end.connection.payload_buffer(1).expect("one byte is to come");
            capacities.push(buffer.capacity());
            end.receive(&byte, Delivery::Whole);
        }
        capacities.dedup();
        assert!(capacities.len() < 50, "moved {} times", capacities.len());
    }
}

#[test]
fn parts_have_no_limit() {
    let tiny = |config: &mut Config| {
        config.max_frame_size = 1;
        config.max_message_size = 1;
        config.max_fragments = 1;
    };
    Check::config(tiny).delivery(Delivery::Parts).frames(
        "81 05 'hello'  02 02 'ab'  00 02 'cd'  80 7e 00 7e 126*'e'  82 7e 00 7e 126*'f'",
        &[text("hello"), binary([&b"abcd"[..], &[b'e'; 126]].concat()), binary([b'f'; 126])],
        "",
    );
    let mut end = End::new(Role::Client, config(tiny), Instant::now());
    end.receive(&wire("82 7f 40 00 00 00 00 00 00 00 'abc'"), Delivery::Parts);
    assert_eq!((end.seen, end.parts), (vec![], b"abc".to_vec()));
}

#[test]
fn a_limit_does_not_hold_once_parts_are_asked_for() {
    let limit = |config: &mut Config| {
        config.max_frame_size = 4;
        config.max_message_size = 4;
        config.max_fragments = 1;
    };
    for role in ROLES {
        let mut end = End::new(role, config(limit), Instant::now());
        end.receive(&incoming(role, &wire("01 04 'abcd'")), Delivery::Whole);
        end.receive(&incoming(role, &wire("80 05 'efghi'")), Delivery::Parts);
        assert_eq!(end.seen, [text("abcdefghi")], "{role:?}");
    }
}

#[test]
fn a_limit_holds_for_a_frame_that_began_while_parts_were_wanted() {
    let mut config = Config::default();
    config.max_message_size = 5;
    let mut connection = Connection::new(Role::Client, config.into(), Instant::now());
    let mut header = wire("82 06");
    let (consumed, event) = connection.receive(&mut header, Delivery::Parts);
    assert_eq!((consumed, event), (2, None));
    let (_, event) = connection.receive(&mut [], Delivery::Whole);
    assert_eq!(event, Some(Event::Failed(MessageTooLarge { len: 6, max: 5 })));
    assert!(connection.payload_buffer(0).is_none());
}

#[test]
fn two_hundred_announced_giants_cost_what_they_sent() {
    let mut reserved = 0;
    for _ in 0..200 {
        let mut connection = Connection::new(Role::Client, Config::default().into(), Instant::now());
        // 15 MiB announced, one byte sent.
        let mut input = wire("82 7f 0000000000f00000 00");
        let len = input.len();
        assert_eq!(connection.receive(&mut input, Delivery::Whole), (len, None));
        reserved += connection.payload_buffer(0).map_or(0, |(bytes, _)| bytes.capacity());
    }
    assert!(reserved <= 200 * (64 << 10), "{reserved} bytes reserved");
}
