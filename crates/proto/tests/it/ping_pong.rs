//! RFC 6455 §5.5.2 and §5.5.3.

use std::time::{Duration, Instant};

use wsduo_proto::{CloseCode, Config, Connection, Delivery, Event, Role};

use crate::support::{End, ROLES, Seen, check_answer, incoming, keys, text, wire};

fn end(role: Role) -> End {
    End::new(role, Config::default(), Instant::now())
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    check_answer("89 00", &[], "8a 00");
    check_answer("89 05 'Hello'", &[], "8a 05 'Hello'");
    check_answer("89 7d 125*ff", &[], "8a 7d 125*ff");
}

#[test]
fn several_pings_are_answered_in_order() {
    check_answer(
        "89 01 '1'  89 01 '2'  81 01 'a'  89 01 '3'",
        &[text("a")],
        "8a 01 '1'  8a 01 '2'  8a 01 '3'",
    );
}

#[test]
fn an_answer_goes_before_what_is_sent_later() {
    for role in ROLES {
        let mut end = end(role);
        end.receive_frames("89 01 'p'");
        end.connection.send("x".into(), &mut keys()).unwrap();
        end.writes("8a 01 'p'  81 01 'x'");
    }
}

#[test]
fn of_more_than_sixteen_pings_the_latest_is_among_those_answered() {
    let pings: String = (0..20).map(|n| format!("89 01 {n:02x} ")).collect();
    let pongs: String = (0..15).chain([19]).map(|n| format!("8a 01 {n:02x} ")).collect();
    check_answer(&pings, &[], &pongs);
}

#[test]
fn each_ping_is_answered_where_the_answers_are_taken() {
    for role in ROLES {
        let mut end = end(role);
        for payload in ["'1'", "'2'", "'3'"] {
            end.receive_frames(&format!("89 01 {payload}"));
            assert!(end.connection.has_output());
            end.writes(&format!("8a 01 {payload}"));
            assert!(!end.connection.has_output());
        }
    }
}

#[test]
fn a_flood_of_pings_with_nothing_taken_stays_bounded() {
    for role in ROLES {
        let ping = incoming(role, &wire("89 02 'pp'"));
        let mut connection = Connection::new(role, Config::default().into(), Instant::now());
        let mut longest = 0;
        for _ in 0..1000 {
            let mut input = ping.repeat(1000);
            let (consumed, event) = connection.receive(&mut input, Delivery::Whole);
            assert_eq!((consumed, event), (1000 * ping.len(), None));
            // A driver asks for output each time, and the transport takes none.
            connection.output(&mut keys());
            longest = longest.max(connection.queued());
        }
        assert!(longest <= 16 * (ping.len() + 4), "{longest} bytes queued");
    }
}

#[test]
fn pings_are_answered_behind_the_pong_that_waited_the_latest_too() {
    for role in ROLES {
        let mut end = end(role);
        for n in 0..50 {
            end.receive_frames(&format!("89 01 {n:02x}"));
            end.connection.output(&mut keys());
        }
        let pongs: String = (0..16).chain([49]).map(|n| format!("8a 01 {n:02x} ")).collect();
        end.writes(&pongs);
    }
}

#[test]
fn a_pong_partly_written_still_holds_the_next_back() {
    let mut end = end(Role::Server);
    end.receive_frames("89 04 'aaaa'");
    assert_eq!(end.write_some(3), wire("8a 04 'a'"));
    end.receive_frames("89 01 'b'  89 01 'c'");
    end.connection.output(&mut keys());
    assert_eq!(end.connection.queued(), 3);
    end.writes("'aaa'  8a 01 'b'  8a 01 'c'");
}

#[test]
fn no_pong_after_a_close_frame() {
    // Ours, before the ping came; a pong that was due when it was queued may still leave before it.
    let mut local = end(Role::Server);
    local.connection.close(CloseCode::NORMAL, "").unwrap();
    local.receive_frames("89 01 'p'");
    local.writes("88 02 03 e8");
    local.receive_frames("89 01 'q'");
    local.writes("");

    // Theirs, in the same read.
    check_answer("89 01 'p'  88 02 03 e8", &[Seen::Closed], "88 02 03 e8");
}

#[test]
fn a_pong_that_is_due_leaves_before_our_close_frame() {
    let mut end = end(Role::Server);
    end.receive_frames("89 01 'p'");
    end.connection.close(CloseCode::NORMAL, "").unwrap();
    end.writes("8a 01 'p'  88 02 03 e8");
}

#[test]
fn a_pong_that_was_held_back_does_not_follow_our_close_frame() {
    let mut end = end(Role::Server);
    end.receive_frames("89 01 'p'");
    assert_eq!(end.write_some(1), wire("8a"));
    end.receive_frames("89 01 'q'");
    end.connection.close(CloseCode::NORMAL, "").unwrap();
    end.writes("01 'p'  88 02 03 e8");
    end.writes("");
}

#[test]
fn pongs_nobody_asked_for_are_ignored() {
    check_answer("8a 00  8a 08 00 00 00 00 00 00 00 01  8a 05 'hello'  81 01 'a'", &[text("a")], "");
}

#[test]
fn the_pong_to_the_latest_ping_is_told_with_its_time() {
    for role in ROLES {
        let start = Instant::now();
        let mut end = End::new(role, Config::default(), start);
        let sent = start + Duration::from_secs(3);
        let number = end.connection.ping(sent, &mut keys()).unwrap();
        let payload = number.to_be_bytes().map(|byte| format!("{byte:02x}")).join(" ");
        let mut pong = incoming(role, &wire(&format!("8a 08 {payload}")));
        let (_, event) = end.connection.receive(&mut pong, Delivery::Whole);
        assert_eq!(event, Some(Event::Pong { number, sent }));
        // Once only.
        end.receive_frames(&format!("8a 08 {payload}"));
        assert_eq!(end.seen, []);
    }
}

#[test]
fn a_pong_to_an_earlier_ping_is_not_the_answer_to_the_latest() {
    let mut end = end(Role::Client);
    let now = Instant::now();
    let first = end.connection.ping(now, &mut keys()).unwrap();
    let second = end.connection.ping(now, &mut keys()).unwrap();
    assert_ne!(first, second);
    end.receive_frames(&format!("8a 08 7*00 {first:02x}"));
    assert_eq!(end.seen, []);
    end.receive_frames(&format!("8a 08 7*00 {second:02x}"));
    assert_eq!(end.seen, [Seen::Pong(second)]);
}
