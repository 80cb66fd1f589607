//! What a connection reads from and writes to: TCP, or TLS over it.

use crate::Error;
use crate::handshake;
use mio::net::TcpStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

/// What the server may have sent before it is looked at, in one system call.
const RECEIVED: usize = 64 * 1024;
/// The same while shaking hands.
const HANDSHAKE: usize = 4 * 1024;
/// What is encrypted before a system call takes it.
const PREPARED: usize = 256 * 1024;

/// The socket of one connection.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// How to open sockets.
#[derive(Clone, Debug)]
pub(super) enum Opener {
    Plain,
    Tls(Arc<ClientConfig>),
}

impl Opener {
    pub(super) fn new(is_tls: bool) -> Result<Self, Error> {
        if !is_tls {
            return Ok(Self::Plain);
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer))
            .with_no_client_auth();
        // Each handshake is a full one.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self::Tls(Arc::new(config)))
    }

    /// Connects and shakes hands, waiting for all of it.
    pub(super) fn open(&self, address: SocketAddr) -> Result<Socket, Error> {
        let mut stream = handshake::reach(address)?;
        let socket = match self {
            Self::Plain => {
                handshake::ask(&mut stream, address, None)?;
                stream.set_nonblocking(true)?;
                Socket::Plain(TcpStream::from_std(stream))
            }
            Self::Tls(config) => {
                let mut session = session(config, address)?;
                handshake::ask(&mut rustls::Stream::new(&mut session, &mut stream), address, None)?;
                stream.set_nonblocking(true)?;
                Tls::socket(TcpStream::from_std(stream), session, RECEIVED)
            }
        };
        Ok(socket)
    }

    /// The socket around `stream`, with TLS still to be set up by reading and writing.
    pub(super) fn begin(&self, stream: TcpStream, address: SocketAddr) -> Result<Socket, Error> {
        Ok(match self {
            Self::Plain => Socket::Plain(stream),
            Self::Tls(config) => Tls::socket(stream, session(config, address)?, HANDSHAKE),
        })
    }
}

fn session(config: &Arc<ClientConfig>, address: SocketAddr) -> Result<ClientConnection, Error> {
    let mut session = ClientConnection::new(config.clone(), ServerName::from(address.ip()))?;
    session.set_buffer_limit(Some(PREPARED));
    Ok(session)
}

impl Socket {
    pub(super) fn stream_mut(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => &mut tls.stream,
        }
    }

    /// Whether a read of `count` bytes into a buffer of `len` tells that nothing is left.
    pub(super) fn is_emptied_by(&self, count: usize, len: usize) -> bool {
        // A short read has emptied the socket, so the next byte makes a new edge (epoll(7)). TLS delivers by records.
        matches!(self, Self::Plain(_)) && count < len
    }

    pub(super) fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(to),
            Self::Tls(tls) => tls.read(to),
        }
    }

    /// Takes as much as it can. What TLS then holds back leaves with [`flush`](Self::flush) or the next write.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(tls) => {
                tls.flush()?;
                let count = tls.session.writer().write(bytes)?;
                match tls.flush() {
                    Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
                    _ => Ok(count),
                }
            }
        }
    }

    /// Sends what is encrypted already; the error tells if the socket takes no more.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Tls {
    stream: TcpStream,
    session: ClientConnection,
    /// As it came, in few system calls: rustls by itself asks for 4 KiB at a time.
    received: Vec<u8>,
    /// The part of `received` that the session has not had yet.
    unread: std::ops::Range<usize>,
    /// Whether the last read was short.
    is_emptied: bool,
}

impl Tls {
    fn socket(stream: TcpStream, session: ClientConnection, received: usize) -> Socket {
        let received = vec![0; received];
        Socket::Tls(Box::new(Self { stream, session, received, unread: 0..0, is_emptied: false }))
    }

    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        loop {
            match self.session.reader().read(&mut to[count..]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) if count < to.len() => return Ok(count),
                Ok(more) => count += more,
                Err(error) => return Err(error),
            }
            if count == to.len() {
                return Ok(count);
            }
            if self.unread.is_empty()
                && let Err(error) = self.receive()
            {
                return if count > 0 && error.kind() == ErrorKind::WouldBlock {
                    Ok(count)
                } else {
                    Err(error)
                };
            }
            let mut unread = &self.received[self.unread.clone()];
            if unread.is_empty() {
                return Ok(count);
            }
            self.unread.start += self.session.read_tls(&mut unread)?;
            self.session.process_new_packets().map_err(io::Error::other)?;
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_emptied) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = self.stream.read(&mut self.received)?;
        self.is_emptied = (1..self.received.len()).contains(&count);
        self.unread = 0..count;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.stream)?;
        }
        Ok(())
    }
}

/// Trusts everybody: the server on trial makes its certificate on the spot, and checking it is no work of the server.
#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
