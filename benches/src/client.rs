//! What a message costs a client: this end sends prepared frames as fast as the client reads, or reads and counts what it sends.

use crate::figures::{nanoseconds_each, per_second};
use crate::frame::{self, Header};
use crate::server::Recipe;
use crate::usage::Cpu;
use crate::{Error, handshake, processors};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Frames are repeated up to this size, so that one `write` carries many.
const BATCH: usize = 256 * 1024;
/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
const MAX_HEAD: usize = 16 * 1024;

/// What a client is to do.
#[derive(Clone, Copy, Debug)]
pub struct Errand {
    /// It sends, or else it receives.
    pub sends: bool,
    /// Payload bytes of each message.
    pub size: usize,
    /// How many.
    pub messages: u64,
}

impl Errand {
    /// Starts the client that `recipe` names, as `COMMAND client URL send|receive SIZE MESSAGES`, and measures it: CPU time for
    /// each message in nanoseconds, and messages per second.
    ///
    /// # Errors
    /// If it fails, or does anything else.
    pub fn measure(&self, recipe: &Recipe) -> Result<Vec<f64>, Error> {
        self.under(&[], recipe, |client, errand, stream| {
            let before = Cpu::of(client.id())?;
            let start = Instant::now();
            errand.exchange(stream)?;
            let elapsed = start.elapsed();
            let used = Cpu::of(client.id())? - before;
            Ok(vec![nanoseconds_each(used.total, self.messages), per_second(self.messages, elapsed)])
        })
    }

    /// Lets a client do it under another program, such as a profiler.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn run_under(&self, wrapper: &[String], recipe: &Recipe) -> Result<(), Error> {
        self.under(wrapper, recipe, |_, errand, stream| errand.exchange(stream))
    }

    fn under<T>(
        &self,
        wrapper: &[String],
        recipe: &Recipe,
        work: impl FnOnce(&Child, &Self, &mut TcpStream) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut words = wrapper.iter().chain(&recipe.command);
        let program = words.next().ok_or("no command")?;
        let client = Command::new(program)
            .args(words)
            .args(["client", &format!("ws://{}/", listener.local_addr()?)])
            .args([
                if self.sends { "send" } else { "receive" },
                &self.size.to_string(),
                &self.messages.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let mut client = Leash(client);
        processors::separate(client.0.id());
        let mut stream = accept(&listener, &mut client.0)?;
        let result = work(&client.0, self, &mut stream)?;
        drop(stream);
        client.0.wait()?;
        Ok(result)
    }

    /// From the end of the handshake to the last message.
    fn exchange(&self, stream: &mut TcpStream) -> Result<(), Error> {
        if self.sends { self.take(stream) } else { self.give(stream) }
    }

    /// Sends all messages, and waits for the client to say that it has them.
    fn give(&self, stream: &mut TcpStream) -> Result<(), Error> {
        let mut single = vec![0; frame::MAX_HEADER];
        let header = frame::write_header(frame::FIN | frame::BINARY, self.size as u64, &mut single);
        single.truncate(header);
        single.resize(header + self.size, b'x');
        let copies = (BATCH / single.len()).max(1) as u64;
        let batch = single.repeat(copies as usize);
        let mut left = self.messages;
        while left > 0 {
            let count = left.min(copies);
            stream.write_all(&batch[..single.len() * count as usize])?;
            left -= count;
        }
        let mut said = [0; 2];
        stream.read_exact(&mut said)?;
        if said[0] != frame::FIN | frame::TEXT {
            return Err(format!("a client was to say that it has received all, and sent {said:02x?}").into());
        }
        Ok(())
    }

    /// Receives all messages. Only the first header is looked at: the number of bytes tells whether all came.
    fn take(&self, stream: &mut TcpStream) -> Result<(), Error> {
        let mut buffer = vec![0; BATCH];
        let mut have = 0;
        let (header, header_len) = loop {
            have += some(stream.read(&mut buffer[have..])?)?;
            if let Some(header) = Header::parse(&buffer[..have]) {
                break header;
            }
        };
        if header.first != frame::FIN | frame::BINARY
            || header.key.is_none()
            || header.length != self.size as u64
        {
            return Err(
                format!("expected a masked binary frame of {} bytes, got {header:?}", self.size).into()
            );
        }
        let mut left = self.messages * (header_len as u64 + header.length);
        left = left.checked_sub(have as u64).ok_or("a client sent too much")?;
        while left > 0 {
            let count = some(stream.read(&mut buffer)?)? as u64;
            left = left.checked_sub(count).ok_or("a client sent too much")?;
        }
        Ok(())
    }
}

/// Ends the client with the measurement, however that ends.
struct Leash(Child);

impl Drop for Leash {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // Nobody is left to hear of a failure.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

fn some(count: usize) -> io::Result<usize> {
    if count == 0 { Err(io::Error::other("a client closed its connection")) } else { Ok(count) }
}

/// The client, after the opening handshake.
fn accept(listener: &TcpListener, client: &mut Child) -> Result<TcpStream, Error> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + PATIENCE;
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) => {}
        }
        if let Some(status) = client.try_wait()? {
            return Err(format!("the client did not connect: {status}").into());
        }
        if Instant::now() > deadline {
            return Err("the client did not connect".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
        if head.len() > MAX_HEAD {
            return Err("the head of the request has no end".into());
        }
    }
    let response =
        handshake::respond(&String::from_utf8(head)?).ok_or("the client asked for no WebSocket")?;
    stream.write_all(response.as_bytes())?;
    Ok(stream)
}
