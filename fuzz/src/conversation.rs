//! As [`connection`](crate::connection), with compression as two sides may have agreed on it, and with limits: the settings of
//! both, then the list of operations.

use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use wsduo_proto::handshake::DeflateAgreement;
use wsduo_proto::{Compression, Config, Connection, Role};

use crate::connection::Link;

#[derive(Debug, Arbitrary)]
struct Settings {
    client: Limits,
    server: Limits,
    /// Of what the client sends.
    upward: Option<Direction>,
    /// Of what the server sends; used if `upward` is there.
    downward: Direction,
}

#[derive(Debug, Arbitrary)]
struct Limits {
    message: Option<u16>,
    frame: Option<u16>,
    fragments: Option<u8>,
    queued: u16,
    level: u8,
    memory_level: u8,
    threshold: u8,
}

/// What was agreed on for one direction.
#[derive(Debug, Arbitrary)]
struct Direction {
    window_bits: u8,
    takeover: bool,
    /// The sender may look back less far, and forget more, than it was allowed to.
    receiver_expects_more: bool,
}

/// Checks what [`connection`](crate::connection) checks, and that a side fails only where a limit may be passed.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(settings) = Settings::arbitrary(&mut input) else { return };
    let limited = [&settings.client, &settings.server]
        .iter()
        .any(|limits| limits.message.is_some() || limits.frame.is_some() || limits.fragments.is_some());
    let connection = |role, now| {
        let limits = if role == Role::Client { &settings.client } else { &settings.server };
        let connection = Connection::new(role, Arc::new(limits.config()), now);
        match &settings.upward {
            None => connection,
            Some(upward) => {
                let (sends, receives) = match role {
                    Role::Client => (upward, &settings.downward),
                    Role::Server => (&settings.downward, upward),
                };
                connection.with_compression(&limits.compression(), agreement(sends, receives))
            }
        }
    };
    Link::new(connection, limited, |role| settings.most_long(role)).perform_all(input);
}

impl Settings {
    /// Bytes of long messages: three times what the window holds, so that it is gone through. More takes long, the longer the
    /// smaller the window, and finds nothing that this does not.
    fn most_long(&self, role: Role) -> usize {
        let window_bits = match (&self.upward, role) {
            (None, _) => 15,
            (Some(upward), Role::Client) => bits(upward),
            (Some(_), Role::Server) => bits(&self.downward),
        };
        3 << window_bits
    }
}

impl Limits {
    fn config(&self) -> Config {
        let mut config = Config::default();
        let or = |limit: Option<u16>, default| limit.map_or(default, usize::from);
        config.max_message_size = or(self.message, config.max_message_size);
        config.max_frame_size = or(self.frame, config.max_frame_size);
        config.max_fragments = self.fragments.map_or(config.max_fragments, u32::from);
        config.max_queued = self.queued.into();
        config
    }

    fn compression(&self) -> Compression {
        Compression::new()
            .level(1 + self.level % 9)
            .memory_level(1 + self.memory_level % 9)
            .threshold(self.threshold.into())
    }
}

fn agreement(sends: &Direction, receives: &Direction) -> DeflateAgreement {
    DeflateAgreement {
        send_window_bits: bits(sends),
        receive_window_bits: if receives.receiver_expects_more { 15 } else { bits(receives) },
        send_context_takeover: sends.takeover,
        receive_context_takeover: receives.takeover || receives.receiver_expects_more,
    }
}

fn bits(direction: &Direction) -> u8 {
    9 + direction.window_bits % 7
}
