//! The PROXY protocol, versions 1 and 2: who a proxy speaks for, said before anything else.

use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::{Error, ErrorKind};

/// Both versions are longer than this, so that so much can be read without reading too much.
const BEGINNING: usize = 12;

/// What a header of version 2 begins with.
const SIGNATURE: &[u8; BEGINNING] = b"\r\n\r\n\0\r\nQUIT\n";

/// Longest header of version 1, its line end included.
const MAX_LINE: usize = 107;

/// Most bytes behind the fixed part of version 2. Proxies send some hundred at most.
const MAX_REST: usize = 2_048;

/// The client's address and the one that it connected to; `None` if the proxy speaks for itself or does not know.
pub(crate) type Proxied = Option<(SocketAddr, SocketAddr)>;

/// Reads the header and not a byte more.
pub(crate) async fn receive<T: AsyncRead + Unpin>(transport: &mut T) -> Result<Proxied, Error> {
    let mut bytes = vec![0; BEGINNING];
    transport.read_exact(&mut bytes).await.map_err(lost)?;
    if bytes == SIGNATURE {
        read_rest(transport, &mut bytes).await?;
        // LOCAL: whatever else is in it is of no meaning.
        if bytes[BEGINNING] == 0x20 {
            return Ok(None);
        }
    } else if bytes.starts_with(b"PROXY ") {
        while !bytes.ends_with(b"\n") {
            if bytes.len() == MAX_LINE {
                return Err(malformed("its line is longer than 107 bytes"));
            }
            bytes.push(transport.read_u8().await.map_err(lost)?);
        }
    } else {
        return Err(malformed("the connection begins with something else"));
    }
    let config = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    match ProxyHeader::parse(&bytes, config) {
        Ok((header, used)) if used == bytes.len() => {
            Ok(header.proxied_address().map(|proxied| (proxied.source, proxied.destination)))
        }
        Ok(_) => Err(malformed("it ends before its line or length does")),
        Err(error) => Err(malformed(&error.to_string())),
    }
}

/// The rest of version 2, whose length stands in its fixed part.
async fn read_rest<T: AsyncRead + Unpin>(transport: &mut T, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let mut fixed = [0; 4];
    transport.read_exact(&mut fixed).await.map_err(lost)?;
    bytes.extend_from_slice(&fixed);
    let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if length > MAX_REST {
        return Err(malformed(&format!(
            "it has {length} bytes of addresses and more, and may have {MAX_REST}"
        )));
    }
    let known = bytes.len();
    bytes.resize(known + length, 0);
    transport.read_exact(&mut bytes[known..]).await.map_err(lost)?;
    Ok(())
}

fn malformed(why: &str) -> Error {
    let text = format!("a trusted proxy sent no good header of the PROXY protocol: {why}");
    Error::text(ErrorKind::Handshake, text)
}

fn lost(error: std::io::Error) -> Error {
    let text = "the connection was lost before the header of the PROXY protocol was complete";
    Error::source(ErrorKind::Connect, text, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend_from_slice(&[command, family]);
        bytes.extend_from_slice(&(rest.len() as u16).to_be_bytes());
        bytes.extend_from_slice(rest);
        bytes
    }

    /// Feeds the bytes in two pieces cut anywhere, with others behind them that must be left alone.
    async fn check(header: &[u8], expected: Result<Option<(&str, &str)>, ErrorKind>) {
        for cut in 0..=header.len() {
            let (first, second) = header.split_at(cut);
            let mut transport = first.chain(second).chain(&b"GET /"[..]);
            let result = receive(&mut transport).await;
            let expected = expected.map(|it| {
                it.map(|(from, to)| (from.parse::<SocketAddr>().unwrap(), to.parse::<SocketAddr>().unwrap()))
            });
            assert_eq!(result.as_ref().map_err(Error::kind).copied(), expected, "{header:?}: {result:?}");
            if result.is_ok() {
                let mut behind = Vec::new();
                transport.read_to_end(&mut behind).await.unwrap();
                assert_eq!(behind, b"GET /");
            }
        }
    }

    #[tokio::test]
    async fn a_header_of_either_version_tells_both_addresses() {
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n", Ok(Some(("192.0.2.1:5000", "192.0.2.2:443"))))
            .await;
        let v6 = b"PROXY TCP6 2001:db8::1 ::1 65535 1\r\n";
        check(v6, Ok(Some(("[2001:db8::1]:65535", "[::1]:1")))).await;
        let four = [192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0x88, 1, 0xbb];
        check(&v2(0x21, 0x11, &four), Ok(Some(("192.0.2.1:5000", "192.0.2.2:443")))).await;
        // With something behind the addresses that we do not ask for.
        let more = [&four[..], &[4, 0, 2, 0, 0]].concat();
        check(&v2(0x21, 0x11, &more), Ok(Some(("192.0.2.1:5000", "192.0.2.2:443")))).await;
    }

    #[tokio::test]
    async fn a_proxy_that_speaks_for_itself_or_does_not_know_is_taken_as_it_is() {
        check(b"PROXY UNKNOWN\r\n", Ok(None)).await;
        check(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Ok(None)).await;
        for header in
            [v2(0x20, 0, &[]), v2(0x20, 0x11, &[0; 12]), v2(0x20, 0xff, &[1; 5]), v2(0x21, 0, &[7; 3])]
        {
            check(&header, Ok(None)).await;
        }
        check(&v2(0x21, 0x31, &[0; 216]), Ok(None)).await;
    }

    #[tokio::test]
    async fn what_is_malformed_is_refused() {
        for header in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 192.0.2.1\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 70000 443\r\n",
            b"PROXY TCP4 ::1 ::2 5000 443\r\n",
            b"PROXY TCP9 192.0.2.1 192.0.2.2 5000 443\r\n",
            b"PROXY  TCP4 192.0.2.1 192.0.2.2 5000 443\r\n",
            b"PROXY \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\r\n",
            &[b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat(),
            &[b"PROXY UNKNOWN ".as_slice(), &[b' '; 92], b"\r\n"].concat(),
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x21, 0x41, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 12]),
            &v2(0x21, 0x11, &[0; 3000]),
        ] {
            check(header, Err(ErrorKind::Handshake)).await;
        }
    }

    #[tokio::test]
    async fn any_bytes_are_survived() {
        // Every byte of a good header replaced by every value.
        let good = v2(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0x88, 1, 0xbb]);
        let line = b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n".to_vec();
        for header in [good, line] {
            for at in 0..header.len() {
                for value in 0..=255 {
                    let mut header = header.clone();
                    header[at] = value;
                    let _ = receive(&mut &header[..]).await;
                    let _ = receive(&mut &header[..at]).await;
                }
            }
        }
    }
}
