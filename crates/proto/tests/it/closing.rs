//! RFC 6455 §5.5.1, §7 and §7.4: close frames and the closing handshake.

use std::time::Instant;

use wsduo_proto::ProtocolError::*;
use wsduo_proto::{
    CloseCode, Closed, CommandError, Config, Delivery, Initiator, MAX_CLOSE_REASON, MessageType, Role,
};

use crate::support::{End, ROLES, Seen, check_answer, check_failure, failed, keys, text};

fn end(role: Role) -> End {
    End::new(role, Config::default(), Instant::now())
}

fn closed(code: CloseCode, reason: &str, initiator: Initiator, clean: bool) -> Closed {
    Closed { code, reason: reason.into(), initiator, clean }
}

#[test]
fn a_close_frame_is_answered_with_its_code() {
    check_answer("88 02 03 e8", &[Seen::Closed], "88 02 03 e8");
    check_answer("88 05 0f a0 'bye'", &[Seen::Closed], "88 02 0f a0");
    check_answer("88 7d 03 e9 123*'r'", &[Seen::Closed], "88 02 03 e9");
}

#[test]
fn a_close_frame_without_a_code_is_answered_without_one() {
    check_answer("88 00", &[Seen::Closed], "88 00");
}

#[test]
fn a_close_frame_of_one_byte_is_malformed() {
    check_failure("88 01 03", TruncatedCloseCode);
}

#[test]
fn every_close_code() {
    // §7.4: the codes defined, those registered since, and the ranges for libraries and applications.
    let mut end_of_range = 0;
    for number in (0..5100).chain((5100..=u16::MAX).step_by(101)) {
        let allowed = matches!(number, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let mut end = end(Role::Client);
        let frame = format!("88 02 {:02x} {:02x}", number >> 8, number & 0xff);
        end.receive_frames(&frame);
        if allowed {
            assert_eq!(end.seen, [Seen::Closed], "{number}");
            end.writes(&frame);
            end_of_range = number;
        } else {
            assert_eq!(end.seen, [failed(InvalidCloseCode(number))], "{number}");
        }
    }
    assert_eq!(end_of_range, 4999);
    check_failure("88 02 03 ec", InvalidCloseCode(1004));
    check_failure("88 02 03 ed", InvalidCloseCode(1005));
    check_failure("88 02 03 ee", InvalidCloseCode(1006));
    check_failure("88 02 03 f7", InvalidCloseCode(1015));
}

#[test]
fn a_reason_has_to_be_utf8() {
    check_failure("88 03 03 e8 ff", InvalidCloseReason);
    check_failure("88 04 03 e8 'a' c3", InvalidCloseReason);
    assert_eq!(InvalidCloseReason.close_code(), CloseCode::INVALID_PAYLOAD);
}

#[test]
fn the_outcome_of_a_close_by_the_peer() {
    for role in ROLES {
        let mut end = end(role);
        end.receive_frames("88 07 0f a1 'later'");
        let expected = closed(CloseCode::new(4001), "later", Initiator::Peer, true);
        assert_eq!(end.connection.closed(), Some(&expected));
        assert!(end.connection.is_ended());
        assert!(end.connection.has_output(), "the answer is queued");
        end.writes("88 02 0f a1");
        // The end of the transport is what comes next, and changes nothing.
        end.connection.receive_end();
        assert_eq!(end.connection.closed(), Some(&expected));
    }
}

#[test]
fn data_after_a_close_frame_is_dropped() {
    check_answer(
        "81 01 'a'  88 02 03 e8  81 01 'b'  89 00  83 00  ff ff",
        &[text("a"), Seen::Closed],
        "88 02 03 e8",
    );
}

#[test]
fn a_close_frame_is_answered_once() {
    check_answer("88 02 03 e8  88 02 03 e9  88 00", &[Seen::Closed], "88 02 03 e8");
    for role in ROLES {
        let mut end = end(role);
        end.receive_frames("88 02 03 e8");
        end.writes("88 02 03 e8");
        end.receive_frames("88 02 03 e8");
        end.connection.close(CloseCode::NORMAL, "too late").unwrap();
        end.writes("");
    }
}

#[test]
fn a_close_of_ours_is_answered_by_theirs() {
    for role in ROLES {
        let mut end = end(role);
        end.connection.close(CloseCode::GOING_AWAY, "bye").unwrap();
        assert!(!end.connection.is_open() && !end.connection.is_ended());
        let expected = |clean| closed(CloseCode::GOING_AWAY, "bye", Initiator::Local, clean);
        assert_eq!(end.connection.closed(), Some(&expected(false)));
        end.writes("88 05 03 e9 'bye'");
        // What was under way still arrives (§7.1.2 forbids sending, not receiving).
        end.receive_frames("81 01 'a'  01 01 'b'  80 01 'c'  88 02 03 e9");
        assert_eq!(end.seen, [text("a"), text("bc"), Seen::Closed]);
        assert_eq!(end.connection.closed(), Some(&expected(true)));
        end.writes("");
    }
}

#[test]
fn both_may_close_at_once() {
    let (mut client, mut server) = (end(Role::Client), end(Role::Server));
    client.connection.close(CloseCode::NORMAL, "").unwrap();
    server.connection.close(CloseCode::GOING_AWAY, "").unwrap();
    let (to_server, to_client) = (client.write(), server.write());
    client.receive(&to_client, Delivery::Whole);
    server.receive(&to_server, Delivery::Whole);
    for (end, code) in [(&mut client, CloseCode::NORMAL), (&mut server, CloseCode::GOING_AWAY)] {
        assert_eq!(end.seen, [Seen::Closed]);
        assert_eq!(end.connection.closed(), Some(&closed(code, "", Initiator::Local, true)));
        end.writes("");
    }
}

#[test]
fn a_close_frame_may_come_inside_a_message() {
    check_answer("01 02 'hi'  88 02 03 e8  80 01 '!'", &[Seen::Closed], "88 02 03 e8");
}

#[test]
fn nothing_is_sent_after_a_close_frame() {
    let refused = Err(CommandError::Closing);
    let now = Instant::now();
    let by_us: fn(&mut End) = |end| end.connection.close(CloseCode::NORMAL, "").unwrap();
    let by_peer: fn(&mut End) = |end| end.receive_frames("88 00");
    let by_violation: fn(&mut End) = |end| end.receive_frames("83 00");
    let by_transport: fn(&mut End) = |end| end.connection.receive_end();
    for stop in [by_us, by_peer, by_violation, by_transport] {
        let mut end = end(Role::Client);
        let begun = end.connection.send_part(MessageType::Text, b"a", false, &mut keys());
        assert_eq!(begun, Ok(()));
        stop(&mut end);
        end.write();
        let connection = &mut end.connection;
        assert!(!connection.is_open());
        assert_eq!(connection.send("a".into(), &mut keys()), refused);
        assert_eq!(connection.send_part(MessageType::Text, b"a", true, &mut keys()), refused);
        assert_eq!(connection.ping(now, &mut keys()), Err(CommandError::Closing));
        assert_eq!(connection.close(CloseCode::GOING_AWAY, ""), Ok(()), "a repetition");
        end.writes("");
    }
}

#[test]
fn the_close_frame_leaves_after_what_is_queued() {
    for role in ROLES {
        let mut end = end(role);
        end.connection.send("last".into(), &mut keys()).unwrap();
        end.connection.close(CloseCode::NORMAL, "bye").unwrap();
        end.writes("81 04 'last'  88 05 03 e8 'bye'");
    }
}

#[test]
fn what_may_be_sent_in_a_close_frame() {
    for role in ROLES {
        let long = "r".repeat(MAX_CLOSE_REASON + 1);
        let mut end = end(role);
        for number in (0..1000).chain([1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]) {
            let code = CloseCode::new(number);
            assert_eq!(end.connection.close(code, "r"), Err(CommandError::CloseCode(code)), "{number}");
        }
        assert_eq!(
            end.connection.close(CloseCode::NORMAL, &long),
            Err(CommandError::CloseReasonTooLong(124))
        );
        assert!(end.connection.is_open(), "a refused close does nothing");
        end.connection.close(CloseCode::NORMAL, &long[1..]).unwrap();
        end.writes("88 7d 03 e8 123*'r'");

        let mut empty = self::end(role);
        empty.connection.close(CloseCode::NO_STATUS, "").unwrap();
        empty.writes("88 00");
    }
}

#[test]
fn the_loss_of_the_transport_without_a_close_frame_is_abnormal() {
    for before in ["", "81 01 'a'", "81 05 'he'", "01 05 'hello'", "89 05 'he'"] {
        let mut end = end(Role::Client);
        end.receive_frames(before);
        end.seen.retain(|seen| *seen != text("a"));
        end.connection.receive_end();
        assert_eq!(end.seen, [], "nothing of an unfinished message");
        assert_eq!(
            end.connection.closed(),
            Some(&closed(CloseCode::ABNORMAL, "", Initiator::Peer, false)),
            "after {before}"
        );
        assert!(end.connection.is_ended() && !end.connection.has_output());
    }
}

#[test]
fn the_loss_of_the_transport_before_their_answer_is_not_clean() {
    let mut end = end(Role::Client);
    end.connection.close(CloseCode::NORMAL, "").unwrap();
    end.write();
    end.connection.receive_end();
    let expected = closed(CloseCode::NORMAL, "", Initiator::Local, false);
    assert_eq!(end.connection.closed(), Some(&expected));
}

#[test]
fn a_violation_closes_with_its_code_and_reason() {
    for role in ROLES {
        let mut end = end(role);
        end.receive_frames("83 00");
        let expected =
            closed(CloseCode::PROTOCOL_ERROR, &ReservedOpcode(3).to_string(), Initiator::Local, false);
        assert_eq!(end.connection.closed(), Some(&expected));
        assert!(end.connection.is_ended());
    }
}

#[test]
fn a_violation_after_our_close_frame_does_not_send_another() {
    for role in ROLES {
        let mut end = end(role);
        end.connection.close(CloseCode::NORMAL, "").unwrap();
        end.writes("88 02 03 e8");
        end.receive_frames("83 00");
        assert_eq!(end.seen, [failed(ReservedOpcode(3))]);
        end.writes("");
        assert!(end.connection.closed().is_some_and(|closed| !closed.clean));
    }
}

#[test]
fn an_answer_that_did_not_leave_makes_the_end_unclean() {
    // §7.1.4: clean is a closing handshake that was completed.
    for role in ROLES {
        for written in [0, 1] {
            let mut end = end(role);
            end.receive_frames("88 02 03 e8");
            end.write_some(written);
            end.connection.receive_end();
            assert_eq!(end.connection.closed(), Some(&closed(CloseCode::NORMAL, "", Initiator::Peer, false)));
        }
    }
}
