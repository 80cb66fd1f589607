//! RFC 6455 §8.1: text is UTF-8, and what is not fails the connection at the first byte that cannot belong.

use std::time::Instant;

use wsduo_proto::ProtocolError::InvalidUtf8;
use wsduo_proto::{Config, Role};

use crate::support::{DELIVERIES, End, ROLES, binary, check, check_failure, failed, incoming, text, wire};

#[test]
fn text_of_every_length_of_character() {
    check("81 0a 'aé€😀'", &[text("aé€😀")]);
    check("81 04 f4 8f bf bf", &[text("\u{10ffff}")]);
    check("81 03 ee 80 80  81 03 ef bb bf  81 01 00", &[text("\u{e000}"), text("\u{feff}"), text("\0")]);
}

#[test]
fn a_character_may_be_cut_between_fragments() {
    check("01 01 f0  00 01 9f  00 00  89 00  00 01 98  80 01 80", &[text("😀")]);
}

#[test]
fn a_message_may_not_end_inside_a_character() {
    check_failure("81 01 c3", InvalidUtf8);
    check_failure("81 03 f0 9f 98", InvalidUtf8);
    check_failure("01 02 e2 82  80 00", InvalidUtf8);
    check_failure("01 03 'a' e2 82  80 01 'b'", InvalidUtf8);
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for bad in [
        "80",
        "bf",
        "c0 80",
        "c1 bf",
        "f5 80 80 80",
        "fe",
        "ff", // never begin a character
        "c0 af",
        "e0 80 af",
        "f0 80 80 af", // longer than needed
        "ed a0 80",
        "ed bf bf",
        "f4 90 80 80", // surrogates, past the last code point
        "c3 28",
        "e2 28 a1",
        "f0 28 8c bc",
        "f0 90 28 bc", // cut short
    ] {
        let len = wire(bad).len();
        check_failure(&format!("81 {:02x} 'ok' {bad}", len + 2), InvalidUtf8);
        check_failure(&format!("01 02 'ok'  80 {len:02x} {bad}"), InvalidUtf8);
    }
}

#[test]
fn the_first_bad_byte_fails_before_the_frame_ends() {
    // The frames announce much more than comes; each is cut right after its first impossible byte.
    for frames in [
        "81 7e 10 00 'ok' ff",
        "81 7e 10 00 c0",
        "81 7e 10 00 e0 80",
        "81 7e 10 00 ed a0",
        "81 7e 10 00 f4 90",
        "81 7e 10 00 c3 'a'",
        "81 7f 00 00 00 00 00 10 00 00 'ok' f5",
        "01 02 'ok'  00 7e 10 00 f8",
        "01 01 e2  80 7e 10 00 82 'a'",
    ] {
        for role in ROLES {
            for delivery in DELIVERIES {
                let bytes = incoming(role, &wire(frames));
                let (last, before) = bytes.split_last().expect("not empty");
                let mut end = End::new(role, Config::default(), Instant::now());
                end.receive(before, delivery);
                assert_eq!(end.seen, [], "{frames}: nothing is wrong yet");
                end.receive(&[*last], delivery);
                assert_eq!(end.seen, [failed(InvalidUtf8)], "{frames}");
            }
        }
    }
}

#[test]
fn binary_may_be_anything() {
    check("82 04 c0 80 fe ff", &[binary([0xc0, 0x80, 0xfe, 0xff])]);
}

#[test]
fn the_check_starts_afresh_with_each_message() {
    let mut end = End::new(Role::Client, Config::default(), Instant::now());
    end.receive_frames("01 01 e2  80 02 82 ac  01 01 'a'  80 00  81 02 c3 a9");
    assert_eq!(end.seen, [text("€"), text("a"), text("é")]);
}
