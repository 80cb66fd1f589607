//! Scans what a server sends, in pieces of any size.

use super::wire::Expected;
use crate::Error;
use crate::frame::{self, Header};

/// Where in the stream of replies a connection is.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// The front of a header whose rest has not arrived.
    partial: [u8; frame::MAX_HEADER],
    /// Bytes in `partial`.
    have: usize,
    /// Payload bytes of the current frame still to come.
    remaining: u64,
    /// First byte of the current frame's header.
    first: u8,
    /// Payload bytes of the current message so far. Only between fragments may it outlast a frame.
    offset: u64,
    /// Whether a message has begun and not ended.
    within: bool,
    /// The payload of a sink's answer.
    answer: Vec<u8>,
}

impl Reply {
    /// Scans echoes and returns how many messages ended in `bytes`.
    #[inline]
    pub(super) fn echoes(&mut self, mut bytes: &[u8], expected: &Expected) -> Result<u64, Error> {
        let mut count = 0;
        while let Some(payload) = self.advance(&mut bytes)? {
            if self.first & 0x0f >= frame::CLOSE {
                continue;
            }
            if !self.within {
                self.begin(expected)?;
            }
            if let (0, Some(&byte)) = (self.offset, payload.first()) {
                same("first", byte, expected.first)?;
            }
            self.offset += payload.len() as u64;
            if let (true, Some(&byte)) = (self.offset == expected.size, payload.last()) {
                same("last", byte, expected.last)?;
            }
            if self.remaining == 0 && self.first & frame::FIN != 0 {
                if self.offset != expected.size {
                    return Err(format!("sent {} bytes, got back {}", expected.size, self.offset).into());
                }
                (self.offset, self.within) = (0, false);
                count += 1;
            }
        }
        Ok(count)
    }

    fn begin(&mut self, expected: &Expected) -> Result<(), Error> {
        let opcode = self.first & 0x0f;
        if opcode != expected.opcode {
            return Err(format!("sent opcode {}, got back {opcode}", expected.opcode).into());
        }
        self.within = true;
        Ok(())
    }

    /// Scans for the one message that is a decimal number.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> Result<Option<u64>, Error> {
        while let Some(payload) = self.advance(&mut bytes)? {
            if self.first & 0x0f >= frame::CLOSE {
                continue;
            }
            self.answer.extend_from_slice(payload);
            if self.remaining == 0 && self.first & frame::FIN != 0 {
                let answer = String::from_utf8(std::mem::take(&mut self.answer))?;
                return Ok(Some(answer.parse().map_err(|_| format!("expected a count, got {answer:?}"))?));
            }
        }
        Ok(None)
    }

    /// Takes the payload of the current frame, or of the next one, as far as it has arrived.
    ///
    /// An empty slice is an empty frame; `None` means that nothing is left but perhaps half a header.
    #[inline]
    fn advance<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Error> {
        if bytes.is_empty() {
            return Ok(None);
        }
        if self.remaining == 0 {
            let Some(header) = self.header(bytes) else {
                return Ok(None);
            };
            if header.opcode() == frame::CLOSE || header.key.is_some() {
                return Err(format!("the server sent an unexpected frame: {header:?}").into());
            }
            (self.first, self.remaining) = (header.first, header.length);
        }
        let available = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len());
        let (payload, rest) = bytes.split_at(available);
        *bytes = rest;
        self.remaining -= available as u64;
        Ok(Some(payload))
    }

    #[inline]
    fn header(&mut self, bytes: &mut &[u8]) -> Option<Header> {
        if self.have == 0
            && let Some((header, size)) = Header::parse(bytes)
        {
            *bytes = &bytes[size..];
            return Some(header);
        }
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.partial[self.have] = byte;
            self.have += 1;
            if let Some((header, _)) = Header::parse(&self.partial[..self.have]) {
                self.have = 0;
                return Some(header);
            }
        }
        None
    }
}

fn same(which: &str, got: u8, expected: u8) -> Result<(), Error> {
    if got == expected {
        return Ok(());
    }
    Err(format!("the {which} byte of a reply is {got:#04x} instead of {expected:#04x}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Expected = Expected { opcode: frame::BINARY, size: 3, first: b'<', last: b'>' };

    /// Scans `wire` split at every position.
    #[track_caller]
    fn check(wire: &[u8], messages: u64) {
        for split in 0..=wire.len() {
            let mut reply = Reply::default();
            let (front, back) = wire.split_at(split);
            let count = reply.echoes(front, &EXPECTED).unwrap() + reply.echoes(back, &EXPECTED).unwrap();
            assert_eq!(count, messages, "split at {split}");
        }
    }

    #[test]
    fn replies_are_counted_however_they_are_framed() {
        check(b"\x82\x03<->\x82\x03<->", 2);
        check(b"\x02\x01<\x00\x01-\x80\x01>", 1);
        check(b"\x02\x02<-\x89\x02hi\x00\x01>\x80\x00", 1);
    }

    #[test]
    fn a_wrong_reply_is_noticed() {
        for wire in [b"\x81\x03<->".as_slice(), b"\x82\x03 ->", b"\x82\x03<- ", b"\x82\x02<-", b"\x88\x00"] {
            assert!(Reply::default().echoes(wire, &EXPECTED).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn a_sink_answers_with_a_number() {
        assert_eq!(Reply::default().count(b"\x81\x0212").unwrap(), Some(12));
        assert!(Reply::default().count(b"\x81\x02no").is_err());
    }
}
