//! Properties: any conversation, any bytes, any segmentation, any order of commands.

use std::time::Instant;

use proptest::collection::vec;
use proptest::prelude::*;
use wsduo_proto::{CloseCode, Config, Delivery, Message, MessageType, Outgoing, Role};

use crate::oracle::{BINARY, CLOSE, Ending, PING, PONG, TEXT, decode, encode, frames, messages};
use crate::support::{DELIVERIES, End, ROLES, Seen, keys};

/// Frames in the order they are sent: FIN, opcode, payload.
type Conversation = Vec<(bool, u8, Vec<u8>)>;

fn payload() -> impl Strategy<Value = (u8, Vec<u8>)> {
    prop_oneof![
        8 => any::<String>().prop_map(|text| (TEXT, text.into_bytes())),
        8 => vec(any::<u8>(), 0..400).prop_map(|bytes| (BINARY, bytes)),
        1 => (65_400_usize..65_700, any::<u8>()).prop_map(|(len, byte)| (BINARY, vec![byte; len])),
        1 => (120_usize..135).prop_map(|len| (TEXT, vec![b't'; len])),
    ]
}

fn control() -> impl Strategy<Value = (bool, u8, Vec<u8>)> {
    (prop_oneof![Just(PING), Just(PONG)], vec(any::<u8>(), 0..=125))
        .prop_map(|(opcode, payload)| (true, opcode, payload))
}

/// A message cut at random, a control frame after some of its fragments.
fn message() -> impl Strategy<Value = Conversation> {
    let cuts = vec((any::<prop::sample::Index>(), prop::option::of(control())), 0..5);
    (payload(), cuts).prop_map(|((opcode, payload), cuts)| {
        let mut cuts: Vec<_> =
            cuts.into_iter().map(|(at, control)| (at.index(payload.len() + 1), control)).collect();
        cuts.sort_by_key(|(at, _)| *at);
        let (mut frames, mut start) = (Vec::new(), 0);
        for (at, control) in cuts {
            frames.push((false, if frames.is_empty() { opcode } else { 0 }, payload[start..at].to_vec()));
            frames.extend(control);
            start = at;
        }
        frames.push((true, if frames.is_empty() { opcode } else { 0 }, payload[start..].to_vec()));
        frames
    })
}

fn conversation() -> impl Strategy<Value = Conversation> {
    let end = prop::option::of(vec(any::<u8>(), 0..20)).prop_map(|reason| {
        let body = reason.map(|_| [&[0x03, 0xe8][..], b"bye"].concat());
        body.map(|body| (true, CLOSE, body))
    });
    (vec(message(), 0..6), end)
        .prop_map(|(messages, end)| messages.into_iter().flatten().chain(end).collect())
}

fn encoded(role: Role, conversation: &Conversation) -> Vec<u8> {
    let mut n = 0_u32;
    let mut wire = Vec::new();
    for (fin, opcode, payload) in conversation {
        n = n.wrapping_mul(0x9e37_79b9).wrapping_add(0x1234_5678);
        let key = (role == Role::Server).then(|| n.to_be_bytes());
        wire.extend(encode(*fin, *opcode, payload, key));
    }
    wire
}

/// Cuts `wire` into segments of these lengths, over and over.
fn feed(end: &mut End, mut wire: &[u8], lengths: &[usize], delivery: Delivery) {
    for len in lengths.iter().cycle() {
        let (segment, rest) = wire.split_at(wire.len().min(*len));
        end.receive(segment, delivery);
        wire = rest;
        if wire.is_empty() {
            break;
        }
    }
}

fn segments() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1_usize..12, 1..6), vec(1_usize..3000, 1..6), Just(vec![usize::MAX])]
}

/// Feeds `wire` to a connection and compares with what the oracle makes of it.
fn check_against_oracle(
    role: Role,
    wire: &[u8],
    lengths: &[usize],
    delivery: Delivery,
) -> Result<(), TestCaseError> {
    let expected = decode(role, wire);
    let mut end = End::new(role, Config::default(), Instant::now());
    feed(&mut end, wire, lengths, delivery);
    prop_assert_eq!(messages(&end.seen), expected.messages);

    let answer = end.write();
    let answer: Vec<_> = frames(&answer).into_iter().map(|frame| (frame.opcode, frame.payload)).collect();
    let code = |code: u16| code.to_be_bytes().to_vec();
    match (end.seen.last(), expected.end) {
        (Some(Seen::Closed), Ending::Closed(number)) => {
            prop_assert_eq!(answer, vec![(CLOSE, number.map(code).unwrap_or_default())]);
        }
        (Some(Seen::Failed(error)), Ending::Failed(_) | Ending::Open) => {
            let number = error.close_code().number();
            if let Ending::Failed(expected) = expected.end {
                prop_assert_eq!(number, expected, "{}", error);
            }
            prop_assert_eq!(answer.len(), 1);
            prop_assert_eq!(answer[0].0, CLOSE);
            prop_assert_eq!(&answer[0].1[..2], &code(number)[..]);
        }
        (Some(Seen::Closed | Seen::Failed(_)), _) | (_, Ending::Closed(_) | Ending::Failed(_)) => {
            return Err(TestCaseError::fail(format!("{:?} against {:?}", end.seen.last(), expected.end)));
        }
        _ => prop_assert_eq!(answer, expected.pings.into_iter().map(|ping| (PONG, ping)).collect::<Vec<_>>()),
    }
    Ok(())
}

/// Bytes in which headers that nearly make sense are frequent.
fn arbitrary_wire() -> impl Strategy<Value = Vec<u8>> {
    let first =
        prop::sample::select(vec![0x01, 0x02, 0x00, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a, 0xc1, 0x83, 0x09]);
    let second = prop::sample::select(vec![0, 1, 2, 5, 0x7d, 0x7e, 0x7f, 0x80, 0x82, 0x85, 0xfd, 0xfe, 0xff]);
    let piece = (first, second, vec(prop_oneof![Just(0_u8), any::<u8>()], 0..14)).prop_map(
        |(first, second, rest)| {
            let mut piece = vec![first, second];
            piece.extend(rest);
            piece
        },
    );
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A command to a connection.
#[derive(Clone, Debug)]
enum Command {
    Send(Message),
    /// By reference, where it is large.
    SendParts(Message, usize),
    Ping,
    /// Carry so many bytes to the peer.
    Carry(usize),
}

fn command() -> impl Strategy<Value = Command> {
    let message = || {
        prop_oneof![
            6 => any::<String>().prop_map(Message::from),
            6 => vec(any::<u8>(), 0..300).prop_map(Message::from),
            2 => (8_000_usize..9_000, any::<u8>()).prop_map(|(len, byte)| vec![byte; len].into()),
        ]
    };
    prop_oneof![
        4 => message().prop_map(Command::Send),
        2 => (message(), 1_usize..50).prop_map(|(message, size)| Command::SendParts(message, size)),
        1 => Just(Command::Ping),
        3 => (1_usize..10_000).prop_map(Command::Carry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_valid_conversation_is_understood(conversation in conversation(), lengths in segments()) {
        for role in ROLES {
            let wire = encoded(role, &conversation);
            prop_assert!(!matches!(decode(role, &wire).end, Ending::Failed(_) | Ending::Open));
            for delivery in DELIVERIES {
                check_against_oracle(role, &wire, &lengths, delivery)?;
            }
        }
    }

    #[test]
    fn a_conversation_with_one_wrong_byte_is_understood_or_refused(
        conversation in conversation(),
        lengths in segments(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        for role in ROLES {
            let mut wire = encoded(role, &conversation);
            if wire.is_empty() {
                continue;
            }
            // Mostly in the first bytes, where the headers are.
            let at = at.index(wire.len().min(40));
            wire[at] ^= flip;
            // The oracle knows no limits on lengths.
            prop_assume!(frames_fit(role, &wire));
            for delivery in DELIVERIES {
                check_against_oracle(role, &wire, &lengths, delivery)?;
            }
        }
    }

    #[test]
    fn any_bytes_are_consumed_or_refused(wire in arbitrary_wire(), lengths in segments()) {
        for role in ROLES {
            // In parts there are no limits, as in the oracle; whole it must survive.
            check_against_oracle(role, &wire, &lengths, Delivery::Parts)?;
            let mut end = End::new(role, Config::default(), Instant::now());
            feed(&mut end, &wire, &lengths, Delivery::Whole);
            if let Some(&Seen::Failed(error)) = end.seen.last() {
                let answer = frames(&end.write());
                prop_assert_eq!(&answer[0].payload[..2], &error.close_code().number().to_be_bytes()[..]);
            }
        }
    }

    #[test]
    fn what_one_end_sends_the_other_receives_in_order(
        commands in vec(command(), 0..20),
        role in prop::sample::select(ROLES.to_vec()),
        delivery in prop::sample::select(DELIVERIES.to_vec()),
    ) {
        let now = Instant::now();
        let peer = if role == Role::Client { Role::Server } else { Role::Client };
        let (mut from, mut to) = (End::new(role, Config::default(), now), End::new(peer, Config::default(), now));
        let mut sent = Vec::new();
        for command in commands {
            match command {
                Command::Send(message) => {
                    // Borrowed, shared with us, or handed over, in turn.
                    match (sent.len() % 3, &message) {
                        (0, Message::Text(text)) => from.connection.send(Outgoing::from(&**text), &mut keys()),
                        (1, Message::Binary(bytes)) => from.connection.send(bytes.to_vec().into(), &mut keys()),
                        _ => from.connection.send((&message).into(), &mut keys()),
                    }.unwrap();
                    sent.push(message);
                }
                Command::SendParts(message, size) => {
                    let message_type = match message {
                        Message::Text(_) => MessageType::Text,
                        Message::Binary(_) => MessageType::Binary,
                    };
                    for part in message.as_bytes().chunks(size) {
                        from.connection.send_part(message_type, part, false, &mut keys()).unwrap();
                    }
                    from.connection.send_part(message_type, b"", true, &mut keys()).unwrap();
                    sent.push(message);
                }
                Command::Ping => {
                    from.connection.ping(now, &mut keys()).unwrap();
                }
                Command::Carry(n) => to.receive(&from.write_some(n), delivery),
            }
        }
        from.connection.close(CloseCode::NORMAL, "").unwrap();
        to.receive(&from.write(), delivery);
        prop_assert_eq!(messages(&to.seen), sent);
        prop_assert_eq!(to.seen.last(), Some(&Seen::Closed));
        from.receive(&to.write(), delivery);
        prop_assert!(from.connection.closed().is_some_and(|closed| closed.clean));
    }
}

/// Whether no frame announces more than the limits allow.
fn frames_fit(role: Role, wire: &[u8]) -> bool {
    let mut end = End::new(role, Config::default(), Instant::now());
    end.receive(wire, Delivery::Whole);
    !matches!(end.seen.last(), Some(Seen::Failed(error)) if error.is_limit())
}
