//! Compressed messages of a peer who means no good, or has no limits. What is lawful is in compression.rs.

use wsduo_proto::ProtocolError::{
    InvalidDeflate, InvalidUtf8, MessageTooLarge, TooManyFinalBlocks, TruncatedDeflate,
};
use wsduo_proto::{CloseCode, Config, Delivery, Event, ProtocolError, Role};

use crate::compression::{NO_TAKEOVER, TAKEOVER, check, noise, prose, refuse};
use crate::support::{
    Check, DELIVERIES, End, ROLES, Seen, binary, config, failed, incoming, keys, text, wire,
};

// Hostile input.

#[test]
fn what_is_not_deflate_is_refused() {
    refuse("c1 02 07 07", InvalidDeflate); // a block type that does not exist
    refuse("c2 05 00 05 00 05 00", InvalidDeflate); // a length whose complement is wrong
    refuse("c2 04 ed ff ff ff", InvalidDeflate); // too many code lengths
    refuse("c1 05 f2 00 11 00 00", InvalidDeflate); // a window that is empty
}

#[test]
fn a_message_that_ends_inside_a_block_is_refused() {
    refuse("c2 05 f2 48 cd c9 c9", TruncatedDeflate);
    refuse("c2 08 00 05 00 fa ff 'Hel'", TruncatedDeflate);
    refuse("42 03 f2 48 cd  80 01 c9", TruncatedDeflate);
}

#[test]
fn after_a_truncated_message_nothing_of_it_is_delivered() {
    for role in ROLES {
        let mut end = End::compressing(role, Config::default(), &TAKEOVER);
        end.receive_frames("c1 07 f2 48 cd c9 c9 07 00  c2 05 f2 48 cd c9 c9  81 01 'x'");
        assert_eq!(end.seen, [text("Hello"), failed(TruncatedDeflate)]);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_as_soon_as_they_are_inflated() {
    // A stored block with a bad byte, of a frame that is not all there.
    for role in ROLES {
        for delivery in DELIVERIES {
            let mut end = End::compressing(role, Config::default(), &TAKEOVER);
            end.receive(&incoming(role, &wire("c1 7e 01 00 00 0a 00 f5 ff 'ok' ff")), delivery);
            assert_eq!(end.seen, [failed(InvalidUtf8)]);
        }
    }
    refuse("c1 09 00 03 00 fc ff 'ok' c3 00", InvalidUtf8);
}

#[test]
fn final_blocks_every_few_bytes_are_refused() {
    let block = "03 00";
    check(&format!("c2 20 {} 03 00", format!("{block} ").repeat(15)), &[binary("")]);
    refuse(&format!("c2 7e 03 e8 500*03 {}", "00 ".repeat(500)), InvalidDeflate);
    let many: String = "03 00 ".repeat(500);
    refuse(&format!("c2 7e 03 e8 {many}"), TooManyFinalBlocks);
}

// Limits.

/// A message that inflates to so many zero bytes, in one frame.
fn bomb(len: usize) -> Vec<u8> {
    let mut from = End::compressing(Role::Server, Config::default(), &NO_TAKEOVER.level(9));
    from.connection.send(vec![0; len].into(), &mut keys()).expect("it is open");
    from.write()
}

#[test]
fn a_message_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    const LIMIT: usize = 100_000;
    for (kind, content) in
        [("prose", prose(LIMIT).into_bytes()), ("noise", noise(LIMIT)), ("zeroes", vec![0; LIMIT])]
    {
        for more in [0, 1] {
            let mut content = content.clone();
            content.resize(LIMIT + more, b'x');
            let mut from = End::compressing(Role::Server, Config::default(), &TAKEOVER);
            from.connection.send(content.clone().into(), &mut keys()).unwrap();
            let wire = from.write();
            assert_eq!(wire[0], 0xc2, "{kind} is compressed");
            let limits = config(|config| {
                config.max_message_size = LIMIT;
                config.max_frame_size = LIMIT;
            });
            let mut to = End::compressing(Role::Client, limits, &TAKEOVER);
            to.receive(&wire, Delivery::Whole);
            match more {
                0 => assert_eq!(to.seen, [binary(&content)], "{kind}"),
                _ => assert!(
                    matches!(to.seen[..], [Seen::Failed(MessageTooLarge { .. })]),
                    "{kind}: {:?}",
                    to.seen.len()
                ),
            }
        }
    }
}

#[test]
fn a_character_cut_in_two_does_not_hide_from_the_limit() {
    for (max, expected) in [(9, text("abc\u{20ac}\u{20ac}")), (8, failed(MessageTooLarge { len: 9, max: 8 }))]
    {
        let limited = Check::config(|config| config.max_message_size = max).compression(TAKEOVER);
        let frame = "c1 0f 00 09 00 f6 ff 'abc' e2 82 ac e2 82 ac 00";
        limited.delivery(Delivery::Whole).frames(frame, &[expected], "?");
    }
}

#[test]
fn asking_for_no_bytes_brings_none_and_ends() {
    for role in ROLES {
        let mut input = incoming(role, &wire("c1 07 f2 48 cd c9 c9 07 00  c1 05 f2 00 11 00 00"));
        let mut to = End::compressing(role, Config::default(), &TAKEOVER).connection;
        let (begun, event) = to.receive_part(&mut input, 0);
        assert_eq!(event, None);
        let (none, event) = to.receive_part(&mut input[begun..], 0);
        assert_eq!((none, event), (0, None));
        let (_, event) = to.receive_part(&mut input[begun..], 5);
        assert!(matches!(event, Some(Event::Part { bytes, .. }) if *bytes == *b"Hello"));
    }
}

#[test]
fn fragments_of_a_byte_and_empty_blocks_by_the_thousand_are_no_burden() {
    let mut fragments = wire("42 00");
    for byte in wire("00 01 00 fe ff 61").repeat(8000) {
        fragments.extend([0x00, 1, byte]);
    }
    fragments.extend(wire("80 01 00"));
    let mut to = End::compressing(Role::Client, Config::default(), &TAKEOVER);
    to.receive(&fragments, Delivery::Whole);
    assert_eq!(to.seen, [binary([b'a'; 8000])]);

    let mut blocks = wire("c2 7f 00 00 00 00 00 03 d0 91");
    blocks.extend(wire("00 00 00 ff ff").repeat(50_000));
    blocks.push(0);
    let mut to = End::compressing(Role::Client, Config::default(), &TAKEOVER);
    to.receive(&blocks, Delivery::Whole);
    assert_eq!(to.seen, [binary("")]);
}

#[test]
fn what_ends_in_the_middle_of_a_message_leaves_nothing_behind() {
    for delivery in DELIVERIES {
        // The transport ends, the peer closes, and text is refused.
        let mut to = End::compressing(Role::Client, Config::default(), &TAKEOVER);
        to.receive(&wire("41 03 f2 48 cd"), delivery);
        to.connection.receive_end();
        assert!(to.connection.is_ended() && !to.connection.is_in_parts());

        let mut to = End::compressing(Role::Client, Config::default(), &TAKEOVER);
        to.receive(&wire("41 03 f2 48 cd  88 02 03 e8"), delivery);
        assert_eq!(to.seen, [Seen::Closed]);
        assert!(!to.connection.is_in_parts());

        let mut to = End::compressing(Role::Client, Config::default(), &TAKEOVER);
        to.receive(&wire("41 03 f2 48 cd"), delivery);
        assert_eq!(to.connection.refuse_text(), Some(Event::Failed(ProtocolError::TextRefused)));
        assert_eq!(to.connection.refuse_text(), None);
    }
}

#[test]
fn a_message_may_be_asked_for_in_parts_from_its_middle_on() {
    for role in ROLES {
        for first in DELIVERIES {
            let second = if first == Delivery::Whole { Delivery::Parts } else { Delivery::Whole };
            let mut to = End::compressing(role, Config::default(), &TAKEOVER);
            let all = incoming(role, &wire("41 03 f2 48 cd  80 04 c9 c9 07 00  c1 05 f2 00 11 00 00"));
            for at in 0..all.len() {
                to.receive(&all[at..=at], if at % 5 < 3 { first } else { second });
            }
            assert_eq!(to.seen, [text("Hello"), text("Hello")]);
        }
    }
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    const LIMIT: usize = 1 << 20;
    let bomb = bomb(64 << 20);
    assert!(bomb.len() < 100_000, "{} bytes", bomb.len());
    let limits = config(|config| config.max_message_size = LIMIT);
    let mut to = End::compressing(Role::Client, limits, &TAKEOVER);
    to.receive(&bomb, Delivery::Whole);
    let [Seen::Failed(error @ MessageTooLarge { len, .. })] = to.seen[..] else {
        panic!("{:?}", to.seen.len())
    };
    assert!(len <= (LIMIT + (32 << 10)) as u64, "{len} bytes");
    assert_eq!(error.close_code(), CloseCode::TOO_BIG);
}

#[test]
fn of_a_bomb_in_parts_no_part_is_larger_than_asked_for() {
    let mut input = bomb(8 << 20);
    let mut to = End::compressing(Role::Client, Config::default(), &TAKEOVER).connection;
    let (mut at, mut total) = (0, 0);
    for most in [1, 7, 4096, 1 << 20].into_iter().cycle() {
        let (consumed, event) = to.receive_part(&mut input[at..], most);
        at += consumed;
        let Some(Event::Part { bytes, is_complete, .. }) = event else { panic!("{event:?}") };
        assert!(bytes.len() <= most.min(32 << 10));
        total += bytes.len();
        if is_complete {
            break;
        }
    }
    assert_eq!((total, at), (8 << 20, input.len()));
}
