//! One connection after its handshake.

use crate::unmask::unmask;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wsduo_benches::frame::{self, Header};

/// Large enough that large messages come in few reads, which decides their cost.
const SCRATCH: usize = 512 * 1024;

thread_local! {
    /// What the connections of this thread read into and write from, within one poll.
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        input: vec![0; SCRATCH],
        // A reply is shorter than its request, but for a header that came in two reads.
        output: vec![0; SCRATCH + frame::MAX_HEADER],
    });
}

struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
}

/// All that a connection keeps between two reads.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    /// The front of a header whose rest has not arrived.
    partial: [u8; frame::MAX_HEADER],
    /// Bytes in `partial`.
    have: u8,
    /// Whether the current frame is a close frame: its echo is the last we send.
    closing: bool,
    /// The masking key, rotated to the next payload byte.
    key: u32,
    /// Payload bytes of the current frame still to come.
    remaining: u64,
    /// What the socket has not taken yet, and how much of it is sent.
    unsent: Option<Box<(Vec<u8>, usize)>>,
}

impl Echo {
    /// Echoes until the peer is done.
    pub(crate) fn poll(
        &mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        BUFFERS.with_borrow_mut(|buffers| {
            loop {
                ready!(self.poll_unsent(stream, context))?;
                if self.closing && self.remaining == 0 {
                    return Poll::Ready(Ok(()));
                }
                let mut input = ReadBuf::new(&mut buffers.input);
                ready!(Pin::new(&mut *stream).poll_read(context, &mut input))?;
                if input.filled().is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let end = self.answer(input.filled(), &mut buffers.output)?;
                self.poll_write(&buffers.output[..end], stream, context)?;
            }
        })
    }

    /// Turns what was read into what is to be written, and returns how much that is.
    fn answer(&mut self, mut input: &[u8], output: &mut [u8]) -> io::Result<usize> {
        let mut end = 0;
        loop {
            if self.remaining == 0 {
                let Some(header) = self.header(&mut input) else {
                    return Ok(end);
                };
                self.key = header.key.ok_or(io::ErrorKind::InvalidData)?;
                self.remaining = header.length;
                self.closing = header.opcode() == frame::CLOSE;
                let first =
                    if header.opcode() == frame::PING { frame::FIN | frame::PONG } else { header.first };
                end += frame::write_header(first, header.length, &mut output[end..]);
            }
            let available = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(input.len());
            let (payload, rest) = input.split_at(available);
            self.key = unmask(self.key, payload, &mut output[end..end + available]);
            self.remaining -= available as u64;
            end += available;
            input = rest;
            if input.is_empty() || self.closing {
                return Ok(end);
            }
        }
    }

    #[inline]
    fn header(&mut self, input: &mut &[u8]) -> Option<Header> {
        if self.have == 0
            && let Some((header, size)) = Header::parse(input)
        {
            *input = &input[size..];
            return Some(header);
        }
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.partial[usize::from(self.have)] = byte;
            self.have += 1;
            if let Some((header, _)) = Header::parse(&self.partial[..usize::from(self.have)]) {
                self.have = 0;
                return Some(header);
            }
        }
        None
    }

    /// Writes `bytes`, and keeps what the socket does not take.
    fn poll_write(
        &mut self,
        mut bytes: &[u8],
        stream: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            match Pin::new(&mut *stream).poll_write(context, bytes) {
                Poll::Ready(count) => bytes = &bytes[count?..],
                Poll::Pending => {
                    self.unsent = Some(Box::new((bytes.to_vec(), 0)));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn poll_unsent(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(unsent) = &mut self.unsent {
            let (bytes, sent) = &mut **unsent;
            while *sent < bytes.len() {
                *sent += ready!(Pin::new(&mut *stream).poll_write(context, &bytes[*sent..]))?;
            }
            self.unsent = None;
        }
        // TLS may hold back what it took.
        Pin::new(stream).poll_flush(context)
    }
}
