//! The client's side of SOCKS 4, 4A and 5 (RFC 1928, RFC 1929): a request for a connection, and the answer.
//!
//! By hand, since the libraries at hand read past the answer, leave the cause out of their errors, or panic on names that are
//! too long. Nothing is read but the answer: what follows came through the tunnel.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::credential::Credential;

const NO_LOGIN: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;

const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Where a proxy is asked to connect to.
#[derive(Debug)]
pub(crate) enum Target {
    Address(IpAddr),
    /// For the proxy to resolve.
    Name(String),
}

/// Asks a SOCKS 5 proxy.
///
/// # Errors
/// What the proxy answered, or did; in words, without its name.
pub(crate) async fn v5<T: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut T,
    target: &Target,
    port: u16,
    credential: Option<&Credential>,
) -> io::Result<()> {
    log_in(transport, credential).await?;
    let mut request = vec![5, CONNECT, 0];
    match target {
        Target::Address(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Target::Address(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Target::Name(name) => {
            request.push(NAME);
            push_short(&mut request, "host name", name)?;
        }
    }
    request.extend(port.to_be_bytes());
    send(transport, &request).await?;

    let [_, status, _, address_type] = receive(transport, Some(5)).await?;
    if status != 0 {
        let meaning = match status {
            1 => "the proxy failed",
            2 => "its rules do not allow it",
            3 => "the network is unreachable",
            4 => "the host is unreachable",
            5 => "the server refused the connection",
            6 => "the packets went too far",
            7 => "it makes no connections",
            8 => "it does not know this type of address",
            _ => "it did not say why",
        };
        return Err(failed(format!("the proxy answered with code {status}: {meaning}")));
    }
    // Its own address, which is of no use here.
    let len = match address_type {
        IPV4 => 4,
        IPV6 => 16,
        NAME => receive::<1, _>(transport, None).await?[0].into(),
        other => {
            return Err(failed(format!("the proxy answered with an address of the unknown type {other}")));
        }
    };
    let mut address = vec![0; len + 2];
    transport.read_exact(&mut address).await.map(|_| ()).map_err(lost)
}

/// RFC 1928 §3 and RFC 1929.
async fn log_in<T: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut T,
    credential: Option<&Credential>,
) -> io::Result<()> {
    match credential {
        Some(_) => send(transport, &[5, 2, NO_LOGIN, USER_AND_PASSWORD]).await?,
        None => send(transport, &[5, 1, NO_LOGIN]).await?,
    }
    let [_, method] = receive(transport, Some(5)).await?;
    match (method, credential) {
        (NO_LOGIN, _) => Ok(()),
        (USER_AND_PASSWORD, Some(credential)) => {
            let mut request = vec![1];
            if credential.password().is_empty() {
                let text = "the proxy asks for a password, and there is none; RFC 1929 knows no empty one";
                return Err(failed(text.into()));
            }
            push_short(&mut request, "user name", credential.user())?;
            push_short(&mut request, "password", credential.password())?;
            send(transport, &request).await?;
            // Some put another version than RFC 1929 in front.
            match receive(transport, None).await? {
                [_, 0] => Ok(()),
                [_, status] => Err(failed(format!(
                    "the proxy did not accept the user name and password (code {status})"
                ))),
            }
        }
        (NO_METHOD, Some(_)) => {
            Err(failed("the proxy accepts neither a user name with a password nor none".to_owned()))
        }
        (NO_METHOD, None) => {
            Err(failed("the proxy wants to know who is there; give it a user name and a password".to_owned()))
        }
        (other, _) => Err(failed(format!("the proxy chose method {other} to log in, which was not offered"))),
    }
}

/// Asks a SOCKS 4 proxy, or a 4A one where the target is a name.
///
/// # Errors
/// What the proxy answered, or did; in words, without its name.
pub(crate) async fn v4<T: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut T,
    target: &Target,
    port: u16,
    credential: Option<&Credential>,
) -> io::Result<()> {
    let mut request = vec![4, CONNECT];
    request.extend(port.to_be_bytes());
    request.extend(match target {
        Target::Address(IpAddr::V4(address)) => address.octets(),
        Target::Address(IpAddr::V6(_)) => return Err(failed("SOCKS 4 knows no IPv6 addresses".to_owned())),
        // An address that cannot be: a name follows.
        Target::Name(_) => [0, 0, 0, 1],
    });
    let user = credential.map_or("", Credential::user);
    if user.contains('\0') {
        return Err(failed("the user name has a zero byte, which SOCKS 4 cannot say".to_owned()));
    }
    request.extend(user.as_bytes());
    request.push(0);
    if let Target::Name(name) = target {
        request.extend(name.as_bytes());
        request.push(0);
    }
    send(transport, &request).await?;

    let [_, status, ..]: [u8; 8] = receive(transport, Some(0)).await?;
    let meaning = match status {
        90 => return Ok(()),
        91 => "it refused or failed",
        92 => "it cannot ask this machine who its user is",
        93 => "this machine says that its user is another one",
        _ => "it did not say why",
    };
    Err(failed(format!("the proxy answered with code {status}: {meaning}")))
}

/// A text behind its length.
fn push_short(request: &mut Vec<u8>, what: &str, text: &str) -> io::Result<()> {
    let Ok(len) = u8::try_from(text.len()) else {
        return Err(failed(format!("the {what} has {} bytes; SOCKS 5 allows 255", text.len())));
    };
    request.push(len);
    request.extend(text.as_bytes());
    Ok(())
}

async fn send<T: AsyncWrite + Unpin>(transport: &mut T, request: &[u8]) -> io::Result<()> {
    transport.write_all(request).await.map_err(lost)?;
    transport.flush().await.map_err(lost)
}

/// An answer of so many bytes, the first of which has to be `version`.
async fn receive<const N: usize, T: AsyncRead + Unpin>(
    transport: &mut T,
    version: Option<u8>,
) -> io::Result<[u8; N]> {
    let mut answer = [0; N];
    let (first, rest) = answer.split_at_mut(1);
    transport.read_exact(first).await.map_err(lost)?;
    // Judged at once: the rest may never come.
    if let Some(version) = version.filter(|&version| version != first[0]) {
        let seen = first[0];
        return Err(failed(format!(
            "the answer begins with {seen:#04x} where {version:#04x} was expected; is it such a proxy?"
        )));
    }
    transport.read_exact(rest).await.map_err(lost)?;
    Ok(answer)
}

#[allow(clippy::needless_pass_by_value)] // as map_err wants it
fn lost(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            failed("the proxy ended the connection before it had answered".to_owned())
        }
        kind => io::Error::new(kind, format!("the connection to the proxy was lost: {error}")),
    }
}

fn failed(text: String) -> io::Error {
    io::Error::other(text)
}
