//! What hyper gives back of a connection: the TCP stream itself where there is one, or something in a box.

use std::net::SocketAddr;

use hyper::rt::{Read, Write};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;

use crate::dialling::BoxedStream;
use crate::io::transport::{Reached, Transport};

/// A connection that hyper has let go.
#[derive(Debug)]
pub(super) struct Freed {
    pub(super) transport: Transport,
    pub(super) local_address: Option<SocketAddr>,
    pub(super) remote_address: Option<SocketAddr>,
    /// What hyper has read behind the request: the first frames.
    pub(super) behind_handshake: Vec<u8>,
}

impl Freed {
    /// Unwraps a TCP connection, so that nothing stands between it and the socket. Of any other, hyper's own wrapper
    /// knows the bytes that were read already.
    pub(super) fn new(upgraded: Upgraded) -> Self {
        match unwrap::<TokioIo<TcpStream>>(upgraded) {
            Ok((io, read)) => Self::reached(Reached::tcp(io.into_inner()), read),
            Err(upgraded) => Self::other(BoxedStream::new(TokioIo::new(upgraded)), Vec::new()),
        }
    }

    pub(super) fn other(stream: BoxedStream, behind_handshake: Vec<u8>) -> Self {
        Self::reached(Reached::other(stream), behind_handshake)
    }

    fn reached(reached: Reached, behind_handshake: Vec<u8>) -> Self {
        let Reached { transport, local_address, remote_address } = reached;
        Self { transport, local_address, remote_address, behind_handshake }
    }
}

/// The connection within and what was read of it, whether hyper's own server or hyper-util's that speaks both versions of
/// HTTP had it.
fn unwrap<I: Read + Write + Unpin + 'static>(upgraded: Upgraded) -> Result<(I, Vec<u8>), Upgraded> {
    match upgraded.downcast::<I>() {
        Ok(parts) => Ok((parts.io, parts.read_buf.to_vec())),
        Err(upgraded) => {
            auto::upgrade::downcast::<I>(upgraded).map(|parts| (parts.io, parts.read_buf.to_vec()))
        }
    }
}
