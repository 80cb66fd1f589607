//! RFC 6455 §5.2: headers, lengths, reserved bits and opcodes; §5.1: masking; §5.5: control frames.

use wsduo_proto::ProtocolError::*;
use wsduo_proto::Role;

use crate::support::{
    Check, binary, check, check_answer, check_failure, close_frame_of, failed, masked, text, wire,
};

#[test]
fn the_examples_of_the_rfc() {
    check("81 05 'Hello'", &[text("Hello")]);
    check("01 03 'Hel'  80 02 'lo'", &[text("Hello")]);
    let bytes = wire("81 85 37 fa 21 3d 7f 9f 4d 51 58");
    Check::default().bytes(Role::Server, &bytes, &[text("Hello")], "");
}

#[test]
fn every_length_at_a_boundary() {
    for (header, len) in [
        ("82 00", 0),
        ("82 01", 1),
        ("82 7d", 125),
        ("82 7e 00 7e", 126),
        ("82 7e 00 7f", 127),
        ("82 7e ff ff", 65535),
        ("82 7f 00 00 00 00 00 01 00 00", 65536),
    ] {
        // One more frame shows that the first ended where it should.
        let frames = format!("{header} {len}*'a' 81 01 'z'");
        check(&frames, &[binary(vec![b'a'; len]), text("z")]);
    }
}

#[test]
fn a_length_has_to_take_the_fewest_bytes() {
    check_failure("82 7e 00 00", LengthNotMinimal(0));
    check_failure("82 7e 00 7d 125*'a'", LengthNotMinimal(125));
    check_failure("82 7f 00 00 00 00 00 00 00 7d 125*'a'", LengthNotMinimal(125));
    check_failure("82 7f 00 00 00 00 00 00 00 7e 126*'a'", LengthNotMinimal(126));
    check_failure("81 7f 00 00 00 00 00 00 ff ff", LengthNotMinimal(65535));
    check_failure("89 7e 00 05 'hello'", LengthNotMinimal(5));
    check_failure("01 01 'a'  80 7e 00 01 'b'", LengthNotMinimal(1));
}

#[test]
fn the_high_bit_of_a_length_is_refused() {
    check_failure("82 7f 80 00 00 00 00 00 00 00", LengthTooLong(1 << 63));
    check_failure("82 7f ff ff ff ff ff ff ff ff", LengthTooLong(u64::MAX));
    check_failure("02 01 'a'  80 7f 80 00 00 00 00 00 00 01", LengthTooLong((1 << 63) + 1));
}

#[test]
fn reserved_bits_are_refused_without_an_extension() {
    for (first, bits) in [(0xc1, 4), (0xa1, 2), (0x91, 1), (0xf2, 7), (0xc9, 4), (0x98, 1)] {
        check_failure(&format!("{first:02x} 00"), ReservedBits(bits));
    }
    check_failure("01 01 'a'  c0 01 'b'", ReservedBits(4));
}

#[test]
fn reserved_opcodes_are_refused() {
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        check_failure(&format!("8{opcode:x} 00"), ReservedOpcode(opcode));
        check_failure(&format!("0{opcode:x} 00"), ReservedOpcode(opcode));
    }
}

#[test]
fn a_control_frame_is_whole_and_short() {
    for control in [8, 9, 0xa] {
        check_failure(&format!("0{control:x} 00"), FragmentedControl);
        check_failure(&format!("8{control:x} 7e 00 7e 126*'a'"), ControlTooLong(126));
        check_failure(&format!("8{control:x} 7f 00 00 00 00 00 01 00 00"), ControlTooLong(65536));
    }
    check("8a 7d 125*'a'  89 7d 125*'a'  81 00", &[text("")]);
}

#[test]
fn frames_from_a_client_must_be_masked_and_frames_from_a_server_must_not() {
    for frames in ["81 05 'hello'", "81 00", "89 00", "88 00", "82 7e 00 7e 126*'a'"] {
        let plain = wire(frames);
        Check::default().bytes(Role::Server, &plain, &[failed(NotMasked)], &close_frame_of(NotMasked));
        let masked = masked(&plain);
        Check::default().bytes(Role::Client, &masked, &[failed(Masked)], &close_frame_of(Masked));
    }
}

#[test]
fn a_continuation_in_the_wrong_direction_fails_too() {
    let mut bytes = masked(&wire("01 02 'hi'"));
    bytes.extend(wire("80 01 '!'"));
    Check::default().bytes(Role::Server, &bytes, &[failed(NotMasked)], &close_frame_of(NotMasked));
}

#[test]
fn what_came_whole_before_a_violation_is_delivered_first() {
    check_answer(
        "81 01 'a'  82 01 'b'  83 00  81 01 'c'",
        &[text("a"), binary("b"), failed(ReservedOpcode(3))],
        &close_frame_of(ReservedOpcode(3)),
    );
}
