//! Messages in parts: received as they arrive, sent piece by piece.

use std::time::Instant;

use wsduo_proto::{CloseCode, CommandError, Config, Delivery, Event, MessageRef, MessageType, Role};

use crate::support::{End, ROLES, binary, incoming, keys, text, wire};

fn end(role: Role) -> End {
    End::new(role, Config::default(), Instant::now())
}

#[test]
fn parts_are_handed_out_as_they_arrive() {
    let mut connection = end(Role::Client).connection;
    let mut part = |wire: &str, expected: Option<(&[u8], bool)>| {
        let mut input = self::wire(wire);
        let len = input.len();
        let (consumed, event) = connection.receive(&mut input, Delivery::Parts);
        assert_eq!(consumed, len, "{wire}");
        match (event, expected) {
            (None, None) => {}
            (Some(Event::Part { bytes, message_type, is_complete }), Some((expected, complete))) => {
                assert_eq!((&*bytes, message_type, is_complete), (expected, MessageType::Text, complete));
            }
            (event, _) => panic!("{wire}: {event:?}"),
        }
        connection.is_in_parts()
    };
    assert!(part("01 05 'he'", Some((b"he", false))));
    assert!(part("'llo'", Some((b"llo", false))));
    assert!(part("00 00", None), "an empty fragment tells nothing");
    assert!(part("00 02 e2 82", Some((b"\xe2\x82", false))), "a character is cut");
    assert!(!part("80 01 ac", Some((b"\xac", true))));
    assert!(!part("81 00", Some((b"", true))), "but the end is always told");
}

#[test]
fn is_in_parts_only_while_parts_are_out() {
    let mut end = end(Role::Client);
    end.receive(&wire("01 02 'he'"), Delivery::Whole);
    assert!(!end.connection.is_in_parts());
    end.receive(&wire("00 01 'l'"), Delivery::Parts);
    assert!(end.connection.is_in_parts());
    end.receive(&wire("80 02 'lo'"), Delivery::Whole);
    assert!(!end.connection.is_in_parts());
}

#[test]
fn switching_to_parts_in_a_message_loses_nothing() {
    // At every byte of a message with empty fragments, cut characters and a ping; then with the rest in one piece.
    let frames =
        wire("81 02 'ok'  01 03 'a' e2 82  00 00  89 01 'p'  00 03 ac 'b' f0  80 03 9f 98 80  82 01 ff");
    let expected = [text("ok"), text("a€b😀"), binary([0xff])];
    for role in ROLES {
        let bytes = incoming(role, &frames);
        for switch in 0..=bytes.len() {
            for step in [1, bytes.len()] {
                let mut end = end(role);
                let (before, after) = bytes.split_at(switch);
                for chunk in before.chunks(step) {
                    end.receive(chunk, Delivery::Whole);
                }
                for chunk in after.chunks(step) {
                    end.receive(chunk, Delivery::Parts);
                }
                assert_eq!(end.seen, expected, "{role:?} from byte {switch}");
            }
        }
    }
}

#[test]
fn what_was_kept_is_handed_out_as_soon_as_parts_are_asked_for() {
    for (frames, kept) in [
        ("01 05 'hel'", "'hel'"),
        ("01 03 'hel'", "'hel'"),
        ("01 03 'a' e2 82", "'a' e2 82"),
        ("02 01 'h'  00 00  00 02 'el'", "'hel'"),
    ] {
        for role in ROLES {
            let mut end = end(role);
            end.receive(&incoming(role, &wire(frames)), Delivery::Whole);
            end.receive(&[], Delivery::Parts);
            assert_eq!(end.parts, wire(kept), "{frames}");
        }
    }
}

#[test]
fn until_something_was_handed_out_a_message_may_still_come_whole() {
    for role in ROLES {
        let mut end = end(role);
        let bytes = incoming(role, &wire("01 00  80 05 'hello'"));
        let (before, after) = bytes.split_at(bytes.len() - 5);
        end.receive(before, Delivery::Parts);
        assert!(!end.connection.is_in_parts());
        let mut rest = after.to_vec();
        let (_, event) = end.connection.receive(&mut rest, Delivery::Whole);
        assert_eq!(event, Some(Event::Message(MessageRef::Text("hello".into()))));
    }
}

#[test]
fn switching_back_waits_for_the_next_message() {
    let frames = wire("01 02 'he'  00 02 'll'  80 01 'o'  81 05 'world'");
    for role in ROLES {
        let mut connection = end(role).connection;
        let mut bytes = incoming(role, &frames);
        let mut rest = &mut bytes[..];
        let mut deliveries = [Delivery::Parts].into_iter().chain([Delivery::Whole; 9]);
        let mut events = Vec::new();
        loop {
            let delivery = deliveries.next().expect("enough");
            let (consumed, event) = connection.receive(rest, delivery);
            match event {
                Some(Event::Part { is_complete, .. }) => events.push(("part", is_complete)),
                Some(Event::Message(_)) => events.push(("message", true)),
                other => {
                    assert_eq!(other, None);
                    break;
                }
            }
            rest = &mut rest[consumed..];
        }
        let expected = [("part", false), ("part", false), ("part", true), ("message", true)];
        assert_eq!(events, expected);
    }
}

#[test]
fn a_message_may_be_sent_in_parts() {
    for role in ROLES {
        let mut end = end(role);
        let connection = &mut end.connection;
        for (part, is_complete) in [("he", false), ("", false), ("llo", true)] {
            connection.send_part(MessageType::Text, part.as_bytes(), is_complete, &mut keys()).unwrap();
            assert_eq!(connection.unfinished(), (!is_complete).then_some(MessageType::Text));
        }
        connection.send_part(MessageType::Binary, b"\xff", true, &mut keys()).unwrap();
        end.writes("01 02 'he'  00 00  80 03 'llo'  82 01 ff");
    }
}

#[test]
fn text_may_be_cut_inside_characters() {
    let mut end = end(Role::Server);
    for (part, is_complete) in
        [(&b"\xe2"[..], false), (b"\x82", false), (b"\xac\xf0\x9f", false), (b"\x98\x80", true)]
    {
        end.connection.send_part(MessageType::Text, part, is_complete, &mut keys()).unwrap();
    }
    end.writes("01 01 e2  00 01 82  00 03 ac f0 9f  80 02 98 80");
}

#[test]
fn text_that_is_not_utf8_is_refused_and_may_be_mended() {
    let mut end = end(Role::Server);
    let mut send = |bytes: &[u8], is_complete| {
        end.connection.send_part(MessageType::Text, bytes, is_complete, &mut keys())
    };
    assert_eq!(send(b"\xff", true), Err(CommandError::InvalidUtf8));
    assert_eq!(send(b"a\xe2", false), Ok(()));
    assert_eq!(send(b"b", false), Err(CommandError::InvalidUtf8));
    assert_eq!(send(b"\x82", true), Err(CommandError::InvalidUtf8), "ends inside");
    assert_eq!(send(b"", true), Err(CommandError::InvalidUtf8), "ends inside");
    assert_eq!(send(b"\x82\xac", true), Ok(()));
    end.writes("01 02 'a' e2  80 02 82 ac");
}

#[test]
fn an_unfinished_message_has_to_be_finished_first() {
    let mut end = end(Role::Server);
    let connection = &mut end.connection;
    let message_type = MessageType::Binary;
    connection.send_part(message_type, b"a", false, &mut keys()).unwrap();
    assert_eq!(connection.send("no".into(), &mut keys()), Err(CommandError::MessageUnfinished));
    assert_eq!(
        connection.send_part(MessageType::Text, b"no", true, &mut keys()),
        Err(CommandError::MessageTypeChanged)
    );
    // Control frames may come between (§5.4).
    connection.ping(Instant::now(), &mut keys()).unwrap();
    connection.send_part(message_type, b"b", true, &mut keys()).unwrap();
    connection.send("yes".into(), &mut keys()).unwrap();
    end.writes("02 01 'a'  89 08 7*00 01  80 01 'b'  81 03 'yes'");
}

#[test]
fn a_close_may_cut_an_unfinished_message() {
    let mut end = end(Role::Server);
    end.connection.send_part(MessageType::Binary, b"a", false, &mut keys()).unwrap();
    end.connection.close(CloseCode::NORMAL, "").unwrap();
    end.writes("02 01 'a'  88 02 03 e8");
}
