//! A tunnel through an HTTP proxy: the request, and the judgement of the answer (CONNECT, RFC 9110 §9.3.6).

use http::StatusCode;
use http::header::HeaderMap;

use super::client::{Asked, MAX_INTERIM_RESPONSES, Refusal};
use super::error::HandshakeError;
use super::head::{Head, HeadKind, HeadLimits};
use super::{push_header, push_own_headers};
use crate::uri::WebSocketUri;

/// A proxy that was asked for a tunnel, and whose answer is awaited.
///
/// ```
/// use wsduo_proto::handshake::{HeadLimits, TunnelHandshake};
///
/// let uri = "wss://example.org/chat".parse()?;
/// let (mut handshake, bytes) = TunnelHandshake::new(&uri, &http::HeaderMap::new(), HeadLimits::default())?;
/// assert!(bytes.starts_with(b"CONNECT example.org:443 HTTP/1.1\r\n"));
///
/// let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
/// assert_eq!(handshake.receive(answer)?, Some(answer.len()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TunnelHandshake {
    head: Head,
    /// Responses with a 1xx status so far.
    interim: usize,
    /// Whether the outcome, good or bad, has been handed out.
    finished: bool,
}

impl TunnelHandshake {
    /// Writes the request for a tunnel to the host and port of `uri`; nothing else of the URI is told to the proxy.
    /// `headers` are for the proxy alone.
    ///
    /// # Errors
    /// [`HandshakeError::ReservedHeader`] for a header that belongs to the request.
    pub fn new(
        uri: &WebSocketUri,
        headers: &HeaderMap,
        limits: HeadLimits,
    ) -> Result<(Self, Vec<u8>), HandshakeError> {
        let target = Self::target(uri);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\n").into_bytes();
        push_header(&mut request, "Host", target.as_bytes());
        push_own_headers(&mut request, headers)?;
        request.extend_from_slice(b"\r\n");
        Ok((Self { head: Head::new(HeadKind::Response, limits), interim: 0, finished: false }, request))
    }

    /// What the proxy is asked for: the host, an IPv6 address in brackets, and always the port.
    pub fn target(uri: &WebSocketUri) -> String {
        let (open, close) = if uri.host().contains(':') { ("[", "]") } else { ("", "") };
        format!("{open}{}{close}:{}", uri.host(), uri.port())
    }

    /// Takes in bytes of the answer, in pieces of any size. `None` means that more are needed; a number, that the tunnel
    /// is open, and how many of these bytes belong to the answer: the rest came through the tunnel.
    ///
    /// # Errors
    /// [`HandshakeError::Refused`] if the proxy answered with another status than 2xx, else what it did wrong.
    /// After an error, as after the outcome, nothing more may be received.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<usize>, HandshakeError> {
        if self.finished {
            return Err(HandshakeError::Finished);
        }
        let result = self.advance(bytes);
        self.finished = !matches!(result, Ok(None));
        result
    }

    fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, HandshakeError> {
        let mut consumed = 0;
        while let Some(taken) = self.head.receive(&bytes[consumed..])? {
            consumed += taken;
            let head = self.head.response()?;
            // An announced body is ignored: what follows is the tunnel (RFC 9110 §9.3.6).
            if head.status.is_success() {
                return Ok(Some(consumed));
            }
            if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                let mut refusal = Refusal::new(head, Asked::Tunnel);
                refusal.push_body(&bytes[consumed..]);
                return Err(HandshakeError::Refused(Box::new(refusal)));
            }
            self.interim += 1;
            if self.interim > MAX_INTERIM_RESPONSES {
                return Err(HandshakeError::TooManyInterimResponses { limit: MAX_INTERIM_RESPONSES });
            }
            self.head.reset();
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use http::header::{self, HeaderValue};

    use super::*;

    fn ask(uri: &str) -> (TunnelHandshake, String) {
        let mut headers = HeaderMap::new();
        headers.insert(header::PROXY_AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        let uri = uri.parse().unwrap();
        let (handshake, request) = TunnelHandshake::new(&uri, &headers, HeadLimits::default()).unwrap();
        (handshake, String::from_utf8(request).unwrap())
    }

    /// Feeds `wire` in pieces of every size and expects the same each time.
    #[track_caller]
    fn check(wire: &str, expected: Result<Option<usize>, &str>) {
        for size in 1..=wire.len() {
            let (mut handshake, _) = ask("ws://a/");
            let (mut outcome, mut before) = (Ok(None), 0);
            for piece in wire.as_bytes().chunks(size) {
                outcome = handshake.receive(piece).map(|end| end.map(|end| before + end));
                before += piece.len();
                if outcome != Ok(None) {
                    assert_eq!(handshake.receive(b""), Err(HandshakeError::Finished));
                    break;
                }
            }
            let outcome = outcome.map_err(|error| error.to_string());
            assert_eq!(outcome.as_ref().copied().map_err(String::as_str), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn the_target_is_host_and_port() {
        let (_, request) = ask("ws://example.org/secret?token=1");
        let expected = "CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\nproxy-authorization: Basic YTpi\r\n\r\n";
        assert_eq!(request, expected);
        assert!(ask("wss://[::1]/").1.starts_with("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n"));
    }

    #[test]
    fn any_success_opens_the_tunnel() {
        check("HTTP/1.1 200 OK\r\n\r\n", Ok(Some(19)));
        check("HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n", Ok(Some(47)));
        check("HTTP/1.1 204\r\nContent-Length: 5\r\n\r\nhello", Ok(Some(35)));
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\x16\x03", Ok(Some(44)));
        check("HTTP/1.1 200 OK\r\n", Ok(None));
    }

    #[test]
    fn any_other_status_is_a_refusal() {
        check("HTTP/1.1 403 no\r\n\r\n", Err("proxy answered 403 Forbidden where 200 was expected"));
        check(
            "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"a\"\r\n\r\n",
            Err(
                "proxy answered 407 Proxy Authentication Required where 200 was expected, with proxy-authenticate \"Basic realm=\\\"a\\\"\"",
            ),
        );
        check("HTTP/1.1 101 x\r\n\r\n", Err("proxy answered 101 Switching Protocols where 200 was expected"));
    }

    #[test]
    fn what_is_not_http_or_too_much_is_an_error() {
        check("SSH-2.0-x", Err("peer sent SSH where HTTP/1.1 was expected"));
        let interim = "HTTP/1.1 102 x\r\n\r\n".repeat(9);
        check(&interim, Err("server sent more than 8 interim responses"));
        let (mut handshake, _) = ask("ws://a/");
        let endless = format!("HTTP/1.1 200 {}", "x".repeat(17_000));
        let error = handshake.receive(endless.as_bytes()).unwrap_err();
        assert_eq!(error, HandshakeError::HeadTooLarge { limit: 16 << 10 });
    }
}
