//! Opening handshakes, many at a time: connect, TLS if asked for, upgrade, reset.

use super::PATIENCE;
use super::socket::{Opener, Socket};
use crate::{Error, handshake, limit};
use mio::{Events, Interest, Poll, Token};
use rustix::net::sockopt::set_socket_linger;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What came of many handshakes.
#[derive(Clone, Copy, Debug)]
pub struct Handshakes {
    /// How many there were, all of them complete.
    pub count: u64,
    /// From the first to the last.
    pub elapsed: Duration,
    /// Half of them took no longer, from `connect` to the end of the response.
    pub p50: Duration,
    /// All but one in a hundred took no longer.
    pub p99: Duration,
}

/// Shakes hands `count` times with the server at `address`, `at_a_time`, each on a connection of its own.
///
/// The connections are reset afterwards, or there would be no ports left after some 28,000.
///
/// # Errors
/// If a handshake fails, or nothing happens for a minute.
pub fn shake_hands(
    is_tls: bool,
    address: SocketAddr,
    count: u64,
    at_a_time: usize,
) -> Result<Handshakes, Error> {
    limit::check(at_a_time)?;
    let opener = Opener::new(is_tls)?;
    let request = handshake::request(address, None);
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut times = Vec::new();
    let mut left = count;
    let mut slots = Vec::new();
    let start = Instant::now();
    for index in 0..at_a_time {
        if left > 0 {
            slots.push(Some(Attempt::begin(&opener, address, &poll, index)?));
            left -= 1;
        }
    }
    while (times.len() as u64) < count {
        poll.poll(&mut events, Some(PATIENCE))?;
        if events.is_empty() {
            return Err(format!("no handshake has moved for {PATIENCE:?}").into());
        }
        for event in &events {
            let index = event.token().0;
            let slot = &mut slots[index];
            let Some(attempt) = slot else { continue };
            if attempt.proceed(request.as_bytes())? {
                times.push(attempt.begun.elapsed());
                *slot = None;
                if left > 0 {
                    *slot = Some(Attempt::begin(&opener, address, &poll, index)?);
                    left -= 1;
                }
            }
        }
    }
    let elapsed = start.elapsed();
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    Ok(Handshakes { count, elapsed, p50: at(50), p99: at(99) })
}

struct Attempt {
    socket: Socket,
    begun: Instant,
    /// Bytes of the request that are sent.
    asked: usize,
    head: Vec<u8>,
}

impl Attempt {
    fn begin(opener: &Opener, address: SocketAddr, poll: &Poll, index: usize) -> Result<Self, Error> {
        let begun = Instant::now();
        let stream = mio::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        set_socket_linger(&stream, Some(Duration::ZERO))?;
        let mut socket = opener.begin(stream, address)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(socket.stream_mut(), Token(index), interest)?;
        Ok(Self { socket, begun, asked: 0, head: Vec::new() })
    }

    /// Does what it can, and tells whether all is done.
    fn proceed(&mut self, request: &[u8]) -> Result<bool, Error> {
        while self.asked < request.len() {
            match self.socket.write(&request[self.asked..]) {
                Ok(count) => self.asked += count,
                Err(error) if waits(&error) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let mut buffer = [0; 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err("the server closed a connection in its handshake".into()),
                Ok(count) => self.head.extend_from_slice(&buffer[..count]),
                Err(error) if waits(&error) => break,
                Err(error) => return Err(error.into()),
            }
        }
        // What TLS has to answer.
        if let Err(error) = self.socket.flush()
            && !waits(&error)
        {
            return Err(error.into());
        }
        if !self.head.ends_with(b"\r\n\r\n") {
            return Ok(false);
        }
        handshake::check(std::str::from_utf8(&self.head)?)?;
        Ok(true)
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
