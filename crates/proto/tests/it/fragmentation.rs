//! RFC 6455 §5.4: messages in several frames.

use wsduo_proto::ProtocolError::*;

use crate::support::{binary, check, check_answer, check_failure, failed, text};

#[test]
fn fragments_make_one_message() {
    check("01 02 'he'  00 02 'll'  80 01 'o'", &[text("hello")]);
    check("02 01 'a'  80 01 'b'  02 01 'c'  80 01 'd'", &[binary("ab"), binary("cd")]);
}

#[test]
fn fragments_may_be_empty() {
    check("01 00  00 00  80 00", &[text("")]);
    check("02 00  00 02 'hi'  00 00  80 00", &[binary("hi")]);
    check("01 02 'hi'  80 00  81 00", &[text("hi"), text("")]);
}

#[test]
fn a_ping_between_fragments_does_not_end_the_message() {
    check_answer("01 02 'hi'  89 01 'p'  80 01 '!'", &[text("hi!")], "8a 01 'p'");
}

#[test]
fn control_frames_may_come_between_any_two_fragments() {
    check_answer(
        "8a 00  01 01 'a'  89 00  8a 02 'xx'  00 01 'b'  89 01 'q'  80 01 'c'  8a 00",
        &[text("abc")],
        "8a 00  8a 01 'q'",
    );
}

#[test]
fn a_continuation_needs_a_message() {
    check_failure("80 01 'a'", UnexpectedContinuation);
    check_failure("00 00", UnexpectedContinuation);
    check_answer("01 01 'a'  80 01 'b'  80 01 'c'", &[text("ab"), failed(UnexpectedContinuation)], "?");
}

#[test]
fn a_message_may_not_begin_inside_another() {
    check_failure("01 01 'a'  81 01 'b'", ExpectedContinuation);
    check_failure("02 01 'a'  01 01 'b'", ExpectedContinuation);
    check_failure("01 00  82 00", ExpectedContinuation);
    check_failure("01 01 'a'  89 00  82 01 'b'", ExpectedContinuation);
}

#[test]
fn the_first_frame_decides_the_type() {
    check("02 01 ff  80 01 fe", &[binary([0xff, 0xfe])]);
}
