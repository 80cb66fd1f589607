//! Bytes on their way out: whole frames, in order, until the transport has taken them.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use super::recycle;
use crate::deflate::scratch;
use crate::frame::header::MAX_HEADER;
use crate::frame::{Header, MaskingKey, Opcode};

/// Payloads of at least this many bytes are queued by reference where they are owned and need no mask.
const BY_REFERENCE: usize = 8 << 10;

/// A buffer up to this size may stay where something is queued.
const WORTH_RECLAIMING: usize = 16 << 10;

/// How far bytes already sent may pile up in front before they are removed.
const COMPACT: usize = 64 << 10;

/// The first byte of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    pub(super) rsv: u8,
}

impl Start {
    /// Of a frame that is whole, as most are.
    pub(super) const fn whole(opcode: Opcode) -> Self {
        Self { opcode, fin: true, rsv: 0 }
    }

    #[inline]
    const fn header(self, masking_key: Option<MaskingKey>, payload_len: usize) -> Header {
        let Self { opcode, fin, rsv } = self;
        Header { fin, rsv, opcode, masking_key, payload_len: payload_len as u64 }
    }
}

/// Frames waiting to be written.
///
/// Headers and small payloads lie next to each other in one buffer, so that many frames leave in one
/// write; large payloads are kept by reference and leave between them by a gathering write.
#[derive(Debug, Default)]
pub struct Output {
    /// Headers and copied payloads; `..sent` has been written.
    near: Vec<u8>,
    sent: usize,
    /// Payloads by reference, each with the position in `near` that it goes before.
    /// Positions never decrease, and none is below `sent`.
    #[allow(clippy::box_collection)] // one word while there is none
    far: Option<Box<VecDeque<(usize, Bytes)>>>,
    /// Bytes ever queued and ever written.
    total_queued: u64,
    total_written: u64,
}

impl Drop for Output {
    fn drop(&mut self) {
        recycle::gone(self.total_written);
    }
}

impl Output {
    /// Bytes not yet written.
    #[inline]
    pub fn len(&self) -> usize {
        // What waits fits in memory.
        (self.total_queued - self.total_written) as usize
    }

    /// Whether all is written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.total_queued == self.total_written
    }

    /// Bytes ever queued: the position of the end of the queue in the outgoing stream.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        self.total_queued
    }

    /// Bytes ever written.
    #[inline]
    pub(super) fn written(&self) -> u64 {
        self.total_written
    }

    /// Queues one frame, copying its payload.
    #[inline]
    pub(super) fn push(&mut self, start: Start, key: Option<MaskingKey>, payload: &[u8]) {
        let header = start.header(key, payload.len());
        let before = self.near.len();
        self.near.reserve(MAX_HEADER + payload.len());
        header.write(&mut self.near);
        match key {
            Some(key) => key.append(payload, &mut self.near),
            None => self.near.extend_from_slice(payload),
        }
        self.total_queued += (self.near.len() - before) as u64;
    }

    /// Queues one frame by reference to its payload, unless that is small.
    pub(super) fn push_shared(&mut self, start: Start, key: Option<MaskingKey>, payload: Bytes) {
        if payload.len() < BY_REFERENCE {
            return self.push(start, key, &payload);
        }
        let header = start.header(key, payload.len());
        let before = self.near.len();
        header.write(&mut self.near);
        self.total_queued += (self.near.len() - before) as u64 + header.payload_len;
        let payload = match key {
            None => payload,
            // Nobody else holds the bytes: mask them where they are.
            Some(key) => match payload.try_into_mut() {
                Ok(mut own) => {
                    key.apply(&mut own);
                    own.freeze()
                }
                Err(shared) => {
                    let mut copy = Vec::new();
                    key.append(&shared, &mut copy);
                    copy.into()
                }
            },
        };
        self.far.get_or_insert_default().push_back((self.near.len(), payload));
    }

    /// Queues one frame whose payload was compressed into the thread's buffer: that is given back, or a large one kept by
    /// reference.
    pub(super) fn push_owned(&mut self, start: Start, key: Option<MaskingKey>, payload: Vec<u8>) {
        if payload.len() < BY_REFERENCE {
            self.push(start, key, &payload);
            scratch::give_compressed(payload);
        } else {
            self.push_shared(start, key, payload.into());
        }
    }

    /// What is to be written next, where it lies in one piece: all of it, unless a large payload waits.
    #[inline]
    pub fn contiguous(&self) -> Option<&[u8]> {
        if self.far.is_none() { Some(&self.near[self.sent..]) } else { None }
    }

    /// Fills `slices` with what is to be written next and returns how many were filled.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut at = self.sent;
        let mut put = |bytes: &'a [u8]| {
            if !bytes.is_empty() && filled < slices.len() {
                slices[filled] = IoSlice::new(bytes);
                filled += 1;
            }
        };
        for (position, payload) in self.far.iter().flat_map(|far| far.iter()) {
            put(&self.near[at..*position]);
            put(payload);
            at = *position;
        }
        put(&self.near[at..]);
        filled
    }

    /// Notes that the transport took the next `n` bytes.
    ///
    /// A transport that claims to have taken more than there was is not believed.
    #[inline]
    pub fn advance(&mut self, n: usize) {
        let n = n.min(self.len());
        self.total_written += n as u64;
        if self.is_empty() {
            self.near.clear();
            self.sent = 0;
            if let Some(far) = self.far.take() {
                far.into_iter().for_each(|(_, payload)| recycle::give(payload));
            }
        } else {
            self.advance_partly(n);
        }
    }

    fn advance_partly(&mut self, mut n: usize) {
        while n > 0 {
            let next = self.far.as_mut().and_then(|far| far.front_mut());
            let near = n.min(next.as_ref().map_or(self.near.len(), |(position, _)| *position) - self.sent);
            self.sent += near;
            n -= near;
            let Some((_, payload)) = next.filter(|_| n > 0) else { break };
            let far = n.min(payload.len());
            bytes::Buf::advance(payload, far);
            n -= far;
            if payload.is_empty() {
                self.pop_far();
            }
        }
        if self.sent >= COMPACT && self.sent * 2 >= self.near.len() {
            self.near.drain(..self.sent);
            for (position, _) in self.far.iter_mut().flat_map(|far| far.iter_mut()) {
                *position -= self.sent;
            }
            self.sent = 0;
        }
    }

    fn pop_far(&mut self) {
        if let Some(far) = &mut self.far {
            if let Some((_, payload)) = far.pop_front() {
                recycle::give(payload);
            }
            if far.is_empty() {
                self.far = None;
            }
        }
    }

    pub(super) fn lend_buffer(&mut self, buffer: impl FnOnce() -> Vec<u8>) {
        if self.near.capacity() == 0 {
            self.near = buffer();
            self.near.clear();
        }
    }

    /// Takes the buffer back, unless it is hardly larger than what it holds: that moves to memory of its own size, so
    /// that a peer that reads nothing does not keep a large buffer here.
    pub(super) fn reclaim_buffer(&mut self) -> Option<Vec<u8>> {
        if self.near.capacity() <= WORTH_RECLAIMING.max(2 * (self.near.len() - self.sent)) && !self.is_empty()
        {
            return None;
        }
        if self.near.capacity() == 0 {
            return None;
        }
        let rest = self.near[self.sent..].to_vec();
        for (position, _) in self.far.iter_mut().flat_map(|far| far.iter_mut()) {
            *position -= self.sent;
        }
        self.sent = 0;
        Some(std::mem::replace(&mut self.near, rest))
    }

    /// Forgets all that was not written: the transport is gone.
    pub(super) fn discard(&mut self) {
        self.total_written = self.total_queued;
        self.near = Vec::new();
        self.sent = 0;
        self.far = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &[u8] = b"small";

    fn mixed() -> (Output, Vec<u8>) {
        let large = Bytes::from(vec![7; BY_REFERENCE]);
        let mut output = Output::default();
        let mut expected = Vec::new();
        for payload in [Bytes::from_static(SMALL), large.clone(), large] {
            let header = Header {
                fin: true,
                rsv: 0,
                opcode: Opcode::Binary,
                masking_key: None,
                payload_len: payload.len() as u64,
            };
            header.write(&mut expected);
            expected.extend_from_slice(&payload);
            output.push_shared(Start::whole(Opcode::Binary), None, payload);
        }
        (output, expected)
    }

    /// At most `limit` of the bytes to be written next.
    fn gathered(output: &Output, limit: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = output.gather(&mut slices);
        let mut bytes = Vec::new();
        for slice in &slices[..filled] {
            bytes.extend_from_slice(&slice[..slice.len().min(limit.saturating_sub(bytes.len()))]);
        }
        bytes
    }

    #[test]
    fn frames_leave_in_order_however_little_is_taken_at_a_time() {
        for step in [1, 2, 3, 5, 7, 100, BY_REFERENCE, BY_REFERENCE + 1, usize::MAX] {
            let (mut output, expected) = mixed();
            let mut written = Vec::new();
            while !output.is_empty() {
                let next = gathered(&output, step);
                assert_eq!(next.len(), output.len().min(step));
                written.extend_from_slice(&next);
                output.advance(next.len());
            }
            assert!(written == expected, "{step} bytes at a time");
        }
    }

    #[test]
    fn owned_large_payloads_are_not_copied() {
        let payload = Bytes::from(vec![7; BY_REFERENCE]);
        let address = payload.as_ptr();
        for key in [None, Some(MaskingKey::new([1, 2, 3, 4]))] {
            let mut output = Output::default();
            let payload = if key.is_some() { Bytes::from(vec![7; BY_REFERENCE]) } else { payload.clone() };
            let address = if key.is_some() { payload.as_ptr() } else { address };
            output.push_shared(Start::whole(Opcode::Binary), key, payload);
            assert_eq!(output.far.as_ref().unwrap()[0].1.as_ptr(), address);
        }
    }

    #[test]
    fn a_shared_payload_is_never_masked_in_place() {
        let payload = Bytes::from(vec![7; BY_REFERENCE]);
        let mut output = Output::default();
        output.push_shared(
            Start::whole(Opcode::Binary),
            Some(MaskingKey::new([1, 2, 3, 4])),
            payload.clone(),
        );
        assert!(payload.iter().all(|&byte| byte == 7));
        assert_ne!(output.far.as_ref().unwrap()[0].1[0], 7);
    }

    #[test]
    fn a_transport_that_claims_too_much_is_not_believed() {
        let (mut output, _) = mixed();
        output.advance(usize::MAX);
        assert!(output.is_empty());
        output.advance(1);
        assert_eq!(output.len(), 0);
    }

    #[test]
    fn a_large_buffer_does_not_stay_with_the_little_that_waits() {
        let (mut output, expected) = mixed();
        output.near.reserve(1 << 20);
        output.advance(3);
        assert!(output.reclaim_buffer().is_some_and(|buffer| buffer.capacity() >= 1 << 20));
        assert!(output.near.capacity() < 100, "{} bytes", output.near.capacity());
        assert!(gathered(&output, usize::MAX) == expected[3..]);
        assert!(output.reclaim_buffer().is_none());
    }

    #[test]
    fn sent_bytes_do_not_pile_up() {
        let mut output = Output::default();
        for _ in 0..1000 {
            output.push(Start::whole(Opcode::Binary), None, &[0; 1000]);
            output.push(Start::whole(Opcode::Binary), None, &[0; 1000]);
            output.advance(output.len() - 500);
        }
        assert!(output.near.capacity() < 4 * COMPACT, "{} bytes", output.near.capacity());
    }
}
