//! The opening handshake on a transport, in either role.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use wsduo_proto::handshake::{
    ClientHandshake, ClientRequest, HandshakeError, HeadLimits, Refusal, Request, Response, ServerHandshake,
};

use super::keys;
use crate::error::{Error, ErrorKind};

/// How long the body of a refusal may take: its status is known already.
const REFUSAL_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a refused client is given to read the refusal before the transport is dropped.
const LINGER: Duration = Duration::from_secs(1);

/// How much is read at a time: most heads in one go.
const PIECE: usize = 1 << 10;

/// Sends the request and waits for the answer: what was agreed, and the bytes behind it; or the head of a refusal, with
/// what came of its body.
pub(crate) async fn client<T: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut T,
    request: &ClientRequest<'_>,
    limits: HeadLimits,
) -> Result<Result<(Response, Vec<u8>), Box<Refusal>>, Error> {
    let (mut handshake, bytes) =
        ClientHandshake::new(request, keys::nonce(), limits).map_err(handshake_error)?;
    transport.write_all(&bytes).await.map_err(lost_by_server)?;
    transport.flush().await.map_err(lost_by_server)?;
    let mut buffer = vec![0; PIECE];
    loop {
        let n = transport.read(&mut buffer).await.map_err(lost_by_server)?;
        if n == 0 {
            return Err(ended());
        }
        match handshake.receive(&buffer[..n]) {
            Ok(None) => {}
            Ok(Some(outcome)) => {
                return Ok(Ok((outcome.response, buffer[outcome.consumed..n].to_vec())));
            }
            Err(HandshakeError::Refused(refusal)) => return Ok(Err(refusal)),
            Err(error) => return Err(handshake_error(error)),
        }
    }
}

/// Reads the body of a refusal, as much of it as is kept and comes in time: its status is known already.
pub(crate) async fn refusal_body<T: AsyncRead + Unpin>(
    refusal: &mut Refusal,
    transport: &mut T,
    by: Option<Instant>,
) {
    let latest = Instant::now() + REFUSAL_BODY_TIMEOUT;
    let body = async {
        let mut buffer = vec![0; PIECE];
        while refusal.body_remaining() != Some(0) {
            match transport.read(&mut buffer).await {
                Ok(n) if n > 0 => refusal.push_body(&buffer[..n]),
                _ => break,
            }
        }
    };
    let _ = tokio::time::timeout_at(by.map_or(latest, |by| by.min(latest)), body).await;
}

/// Waits for a request: what it asks for, and the bytes behind it; or what is wrong with it, for the caller to refuse it.
pub(crate) async fn server<T: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut T,
    limits: HeadLimits,
) -> Result<Result<(Request, Vec<u8>), HandshakeError>, Error> {
    let mut handshake = ServerHandshake::new(limits);
    let mut buffer = vec![0; PIECE];
    loop {
        let n = transport.read(&mut buffer).await.map_err(lost)?;
        if n == 0 {
            return Err(ended());
        }
        match handshake.receive(&buffer[..n]) {
            Ok(None) => {}
            Ok(Some(outcome)) => return Ok(Ok((outcome.request, buffer[outcome.consumed..n].to_vec()))),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Sends a refusal and ends the transport in a way that lets the client read it.
pub(crate) async fn refuse<T: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut T,
    response: &[u8],
) -> Result<(), Error> {
    let answer = async {
        transport.write_all(response).await?;
        transport.shutdown().await?;
        // Unread input would make the system reset the connection, and the answer would be lost. How the client leaves is
        // its own affair.
        let mut dropped = vec![0; PIECE];
        while matches!(transport.read(&mut dropped).await, Ok(n) if n > 0) {}
        Ok(())
    };
    match tokio::time::timeout(LINGER, answer).await {
        Ok(result) => result.map_err(lost),
        Err(_) => Ok(()),
    }
}

pub(crate) fn handshake_error(error: HandshakeError) -> Error {
    let kind = match error.fault() {
        wsduo_proto::handshake::Fault::Local => ErrorKind::InvalidInput,
        wsduo_proto::handshake::Fault::Peer => ErrorKind::Handshake,
    };
    Error::new(kind, error)
}

fn lost_by_server(error: std::io::Error) -> Error {
    // In TLS 1.3 a server looks at the certificate of a client when the client believes TLS to be agreed.
    #[cfg(feature = "__tls")]
    if let Some(error) = crate::tls::late_failure(&error) {
        return error;
    }
    lost(error)
}

fn lost(error: std::io::Error) -> Error {
    Error::source(ErrorKind::Connect, "the connection was lost during the opening handshake", error)
}

fn ended() -> Error {
    Error::ended(
        ErrorKind::Connect,
        "the peer ended the connection before the opening handshake was complete",
    )
}
