//! Both sides of an opening handshake, as short as a reference may be.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a server appends to the key (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Any sixteen bytes will do; the example of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
const MAX_HEAD: usize = 16 * 1024;
/// How long a server may take to answer, generous because it may run under a profiler.
const PATIENCE: Duration = Duration::from_secs(60);

/// The `Sec-WebSocket-Accept` that belongs to `key`.
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Connects to `address` and returns the stream right after the response.
///
/// # Errors
/// If the server cannot be reached, or answers with anything but 101 and the right accept key.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    connect_offering(address, None).map(|(stream, _)| stream)
}

/// Connects to `address` with an offer of extensions, and returns the stream right after the response, and which of them
/// the server accepted.
///
/// # Errors
/// As [`connect`].
pub fn connect_offering(address: SocketAddr, offer: Option<&str>) -> io::Result<(TcpStream, Option<String>)> {
    let mut stream = reach(address)?;
    // By single bytes: the server may send messages right behind the response.
    let accepted = ask_reading(&mut stream, address, offer, 1)?;
    Ok((stream, accepted))
}

/// The TCP connection alone, which waits for an answer only as long as a server under a profiler needs.
///
/// # Errors
/// If the server cannot be reached.
pub fn reach(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Asks for a WebSocket over `stream`, which may be TLS, and returns the extensions that the server accepted.
///
/// # Errors
/// If the answer is anything but 101 and the right accept key.
pub fn ask(
    stream: &mut (impl Read + Write),
    address: SocketAddr,
    offer: Option<&str>,
) -> io::Result<Option<String>> {
    ask_reading(stream, address, offer, 1024)
}

/// [`ask`], reading so many bytes at once.
fn ask_reading(
    stream: &mut (impl Read + Write),
    address: SocketAddr,
    offer: Option<&str>,
    at_once: usize,
) -> io::Result<Option<String>> {
    stream.write_all(request(address, offer).as_bytes())?;
    let head = read_head(stream, at_once)?;
    check(&head)?;
    Ok(header(&head, EXTENSIONS).map(str::to_owned))
}

/// The request, with an offer of extensions if there is one.
pub fn request(address: SocketAddr, offer: Option<&str>) -> String {
    let offer = offer.map(|offer| format!("{EXTENSIONS}: {offer}\r\n")).unwrap_or_default();
    format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
    )
}

/// Reads up to the empty line. A server has nothing to say after it before we speak.
fn read_head(stream: &mut impl Read, at_once: usize) -> io::Result<String> {
    let mut head = Vec::new();
    let mut buffer = vec![0; at_once];
    while !head.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer)?;
        if count == 0 || head.len() > MAX_HEAD {
            return Err(io::Error::other("the server did not finish its response"));
        }
        head.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// Looks at the head of a response.
///
/// # Errors
/// If it is anything but 101 and the right accept key.
pub fn check(head: &str) -> io::Result<()> {
    let accept = header(head, "sec-websocket-accept");
    if head.starts_with("HTTP/1.1 101 ") && accept == Some(accept_key(KEY).as_str()) {
        return Ok(());
    }
    Err(io::Error::other(format!("the server refused the handshake: {head:?}")))
}

/// The response to a request head, if that asks for a WebSocket at all.
pub fn respond(head: &str) -> Option<String> {
    respond_with(head, None)
}

/// As [`respond`], accepting `extensions` besides, whatever was offered.
pub fn respond_with(head: &str, extensions: Option<&str>) -> Option<String> {
    let accept = accept_key(header(head, "sec-websocket-key")?);
    let extensions = extensions.map(|value| format!("{EXTENSIONS}: {value}\r\n")).unwrap_or_default();
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{extensions}\r\n"
    ))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_that_of_the_specification() {
        assert_eq!(accept_key(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_request_without_a_key_gets_no_response() {
        assert_eq!(respond("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), None);
    }

    #[test]
    fn what_comes_with_the_response_is_left_to_the_library() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut server = listener.accept().unwrap().0;
                let mut request = vec![0; 4096];
                let count = server.read(&mut request).unwrap();
                let response = respond(std::str::from_utf8(&request[..count]).unwrap()).unwrap();
                server.write_all(format!("{response}frames").as_bytes()).unwrap();
            });
            let mut behind = String::new();
            connect(address).unwrap().read_to_string(&mut behind).unwrap();
            assert_eq!(behind, "frames");
        });
    }
}
