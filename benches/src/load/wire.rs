//! What is sent and what must come back, prepared before the clock starts.

use super::{Kind, Plan, Service};
use crate::frame;

/// An arbitrary key with four different bytes.
const KEY: u32 = 0x9d37_c15e;
/// Small frames are repeated up to this size, so that one `write` can carry all that are owed.
const BATCH: usize = 256 * 1024;

/// The bytes all connections replay.
#[derive(Debug)]
pub(super) struct Wire {
    /// Whole frames, all the same.
    pub(super) frames: Vec<u8>,
    /// Bytes of one frame.
    pub(super) frame: usize,
    /// The text message that asks a sink for its count.
    pub(super) question: Vec<u8>,
    /// As planned.
    pub(super) in_flight: u64,
    /// As planned.
    pub(super) service: Service,
    /// What each reply must look like.
    pub(super) expected: Expected,
    /// What it was made from.
    plan: Plan,
}

/// An echoed message, as far as it is checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The opcode of its first frame.
    pub(super) opcode: u8,
    /// Payload bytes, whatever frames they come in.
    pub(super) size: u64,
    /// The first payload byte, if there is one.
    pub(super) first: u8,
    /// The last payload byte, if there is one.
    pub(super) last: u8,
}

impl Wire {
    pub(super) fn new(plan: &Plan) -> Self {
        let opcode = match plan.kind {
            Kind::Text => frame::TEXT,
            Kind::Binary => frame::BINARY,
        };
        let payload = payload(plan.kind, plan.size);
        let single = frame::masked(opcode, &payload, KEY);
        let wanted = match plan.service {
            Service::Echo => usize::try_from(plan.in_flight).unwrap_or(usize::MAX),
            Service::Sink => usize::MAX,
        };
        let copies = wanted.min(BATCH / single.len()).max(1);
        Self {
            frames: single.repeat(copies),
            frame: single.len(),
            question: frame::masked(frame::TEXT, b"count", KEY),
            in_flight: plan.in_flight,
            service: plan.service,
            expected: Expected {
                opcode,
                size: plan.size as u64,
                first: payload.first().copied().unwrap_or_default(),
                last: payload.last().copied().unwrap_or_default(),
            },
            plan: *plan,
        }
    }

    /// Whether it serves `plan` too, which may have another number of messages.
    pub(super) fn is_of(&self, plan: &Plan) -> bool {
        Plan { messages: plan.messages, ..self.plan } == *plan
    }
}

/// A payload whose ends differ, so that a shifted one is noticed.
fn payload(kind: Kind, size: usize) -> Vec<u8> {
    let mut payload: Vec<u8> = match kind {
        Kind::Text => (b'a'..=b'z').cycle().take(size).collect(),
        Kind::Binary => (0..=u8::MAX).cycle().take(size).collect(),
    };
    if let [first, .., last] = payload.as_mut_slice() {
        (*first, *last) = (b'<', b'>');
    }
    payload
}
