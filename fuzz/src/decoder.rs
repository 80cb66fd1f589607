//! Everything a peer can send over an open connection. The first byte of the input chooses role, delivery and limits, the
//! rest is what comes in.

use std::sync::Arc;
use std::time::Instant;

use wsduo_proto::{CloseCode, Config, Connection, Delivery, Event, MessageType, Role};

use crate::naive::{self, Told};
use crate::splits;

/// Checks that a connection delivers what the obvious decoder says, and sends the same answer, however the input is cut up.
pub fn run(data: &[u8]) {
    let Some((&choice, wire)) = data.split_first() else {
        return;
    };
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client };
    let delivery = if choice & 2 == 0 { Delivery::Whole } else { Delivery::Parts };
    let mut config = Config::default();
    if choice & 4 != 0 {
        // Limits that short inputs can reach.
        (config.max_frame_size, config.max_message_size, config.max_fragments) = (20, 30, 4);
    }
    let config = Arc::new(config);

    let (told, sent) = receive(&[wire], role, delivery, &config);
    for pieces in splits::ways(wire) {
        assert_eq!(
            receive(&pieces, role, delivery, &config),
            (told.clone(), sent.clone()),
            "cut into pieces"
        );
    }
    let limits = (delivery == Delivery::Whole).then_some(&*config);
    let expected = naive::decode(wire, role, limits);
    // A header can be wrong before it is complete.
    let failed_early = expected.ends_in_header
        && told.len() == expected.told.len() + 1
        && told.last() == Some(&Told::Failed(CloseCode::PROTOCOL_ERROR.number()));
    let compared = if failed_early { &told[..told.len() - 1] } else { &told[..] };
    assert_eq!(compared, expected.told);
}

/// What is told when `pieces` come in, and all that is sent in answer.
fn receive(pieces: &[&[u8]], role: Role, delivery: Delivery, config: &Arc<Config>) -> (Vec<Told>, Vec<u8>) {
    let mut connection = Connection::new(role, config.clone(), Instant::now());
    let mut log = Log::default();
    let mut input = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let before = input.len();
            let (consumed, event) = connection.receive(&mut input, delivery);
            assert!(consumed <= before);
            let is_end = event.is_none();
            if let Some(event) = event {
                log.note(event);
            }
            input.drain(..consumed);
            if is_end {
                break;
            }
        }
    }
    if connection.is_ended() {
        assert!(input.is_empty(), "input is dropped after the end");
        log.end(&connection);
    }
    (log.told, output(&mut connection))
}

fn output(connection: &mut Connection) -> Vec<u8> {
    let mut keys = || [1, 2, 3, 4];
    let output = connection.output(&mut keys);
    let sent = output.contiguous().expect("control frames are short").to_vec();
    output.advance(sent.len());
    assert!(!connection.has_output());
    sent
}

#[derive(Default)]
struct Log {
    told: Vec<Told>,
    /// Parts of a message that has not ended.
    parts: Vec<u8>,
}

impl Log {
    fn note(&mut self, event: Event<'_>) {
        match event {
            Event::Message(message) => {
                self.message(message.message_type(), message.as_bytes().to_vec());
            }
            Event::Part { bytes, message_type, is_complete } => {
                self.parts.extend_from_slice(&bytes);
                if is_complete {
                    let bytes = std::mem::take(&mut self.parts);
                    self.message(message_type, bytes);
                }
            }
            Event::Failed(error) => self.told.push(Told::Failed(error.close_code().number())),
            Event::Pong { .. } => panic!("no ping was sent"),
            // The code and the reason are asked for at the end.
            Event::Closed => {}
        }
    }

    fn message(&mut self, message_type: MessageType, bytes: Vec<u8>) {
        if message_type == MessageType::Text {
            assert!(std::str::from_utf8(&bytes).is_ok());
        }
        self.told.push(Told::Message(message_type, bytes));
    }

    fn end(&mut self, connection: &Connection) {
        let closed = connection.closed().expect("it has ended");
        match self.told.last() {
            Some(Told::Failed(code)) => {
                assert_eq!(closed.code.number(), *code);
                assert!(!closed.clean);
            }
            _ => {
                assert!(closed.clean);
                let code = if closed.code == CloseCode::NO_STATUS { 0 } else { closed.code.number() };
                self.told.push(Told::Closed(code, closed.reason.clone()));
            }
        }
    }
}
