//! The protocol core over `std::net`, without any runtime: a server in a thread, a client, and an end.
//!
//! [`Socket`] is all that a blocking driver needs. It keeps the drive contract at the top of the crate.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use http::HeaderMap;
use wsduo_proto::handshake::{ClientHandshake, ClientRequest, HeadLimits, ServerHandshake};
use wsduo_proto::{CloseCode, Config, Connection, Delivery, Event, Message, Role, WebSocketUri};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || serve(listener.accept()?.0));

    let mut socket = connect(&WebSocketUri::parse(&format!("ws://{address}/echo"))?)?;
    for text in ["hello", "from a program", "without a runtime"] {
        socket.send(text.into())?;
        let echo = socket.receive()?.ok_or("closed too early")?;
        println!("{}", echo.as_text().ok_or("not a text")?);
    }
    socket.close(CloseCode::NORMAL, "done")?;

    server.join().map_err(|_| "the server panicked")?
}

/// Echoes messages until the client closes.
fn serve(stream: TcpStream) -> Result<()> {
    let mut socket = accept(stream)?;
    while let Some(message) = socket.receive()? {
        socket.send(message)?;
    }
    if let Some(closed) = socket.connection.closed() {
        println!("the server saw: {closed}");
    }
    Ok(())
}

/// Connects and does the client's part of the opening handshake.
fn connect(uri: &WebSocketUri) -> Result<Socket> {
    let mut stream = TcpStream::connect((uri.host(), uri.port()))?;
    let headers = HeaderMap::new();
    let request = ClientRequest { uri, subprotocols: &[], extensions: None, headers: &headers };
    let (mut handshake, request) = ClientHandshake::new(&request, rand::random(), HeadLimits::default())?;
    stream.write_all(&request)?;
    loop {
        let input = read(&mut stream)?;
        if let Some(outcome) = handshake.receive(&input)? {
            return Ok(Socket::new(Role::Client, stream, input[outcome.consumed..].to_vec()));
        }
    }
}

/// Does the server's part of the opening handshake.
fn accept(mut stream: TcpStream) -> Result<Socket> {
    let mut handshake = ServerHandshake::new(HeadLimits::default());
    loop {
        let input = read(&mut stream)?;
        if let Some(outcome) = handshake.receive(&input)? {
            stream.write_all(&outcome.request.accept(None, None, &HeaderMap::new())?)?;
            return Ok(Socket::new(Role::Server, stream, input[outcome.consumed..].to_vec()));
        }
    }
}

fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 4096];
    let len = stream.read(&mut buffer)?;
    if len == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    buffer.truncate(len);
    Ok(buffer)
}

/// A connection and the stream it lives on.
struct Socket {
    stream: TcpStream,
    connection: Connection,
    /// What was read and not consumed.
    input: Vec<u8>,
}

impl Socket {
    fn new(role: Role, stream: TcpStream, input: Vec<u8>) -> Self {
        let connection = Connection::new(role, Arc::new(Config::default()), Instant::now());
        Self { stream, connection, input }
    }

    /// The next message; `None` once the peer has closed.
    fn receive(&mut self) -> Result<Option<Message>> {
        loop {
            let (consumed, event) = self.connection.receive(&mut self.input, Delivery::Whole);
            let event = event.map(Event::into_static);
            self.input.drain(..consumed);
            match event {
                Some(Event::Message(message)) => return Ok(Some(message.into_owned())),
                Some(Event::Closed) => {
                    self.flush()?;
                    return Ok(None);
                }
                Some(Event::Failed(error)) => {
                    self.flush()?;
                    return Err(error.into());
                }
                Some(Event::Part { .. } | Event::Pong { .. }) => {}
                None => self.wait()?,
            }
        }
    }

    fn send(&mut self, message: Message) -> Result<()> {
        self.connection.send(message.into(), &mut rand::random)?;
        Ok(self.flush()?)
    }

    /// Closes, waits for the answer, then for the server to end the stream (RFC 6455 §7.1.1).
    fn close(mut self, code: CloseCode, reason: &str) -> Result<()> {
        self.connection.close(code, reason)?;
        while self.receive()?.is_some() {}
        self.stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        while read(&mut self.stream).is_ok() {}
        Ok(())
    }

    /// Writes what is queued, waits for input or for a deadline, whichever comes first, and takes it in.
    fn wait(&mut self) -> Result<()> {
        self.flush()?;
        if self.connection.wants_look() {
            self.look_at_clock()?;
        }
        let next = self.connection.next_look();
        let timeout =
            next.map(|at| at.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
        self.stream.set_read_timeout(timeout)?;
        match read(&mut self.stream) {
            Ok(input) => {
                self.connection.heard();
                self.input.extend(input);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.look_at_clock()?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                self.connection.receive_end();
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// May queue a ping, or say that the peer took too long.
    fn look_at_clock(&mut self) -> Result<()> {
        self.connection.look_at_clock(Instant::now(), &mut rand::random)?;
        Ok(self.flush()?)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.connection.has_output() {
            let output = self.connection.output(&mut rand::random);
            let mut slices = [io::IoSlice::new(&[]); 8];
            let filled = output.gather(&mut slices);
            let written = self.stream.write_vectored(&slices[..filled])?;
            if written == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            output.advance(written);
            self.connection.wrote();
        }
        Ok(())
    }
}
