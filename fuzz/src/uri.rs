//! A URI, which an application may have from anywhere, and a redirect from a server.

use http::HeaderMap;
use wsduo_proto::handshake::{ClientHandshake, ClientRequest, HeadLimits, TunnelHandshake};
use wsduo_proto::uri::WebSocketUri;

/// Checks that what is accepted is the same when it is written and read again, and that no part of it can end a line of the
/// requests that are made of it; and that an error can be printed.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let uri = match WebSocketUri::parse(&text) {
        Ok(uri) => uri,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "{text:?}");
            return;
        }
    };
    assert!(!uri.host().is_empty() && uri.resource_name().starts_with('/'));
    assert_eq!(WebSocketUri::parse(&uri.to_string()), Ok(uri.clone()));

    let request =
        ClientRequest { uri: &uri, subprotocols: &[], extensions: None, headers: &HeaderMap::new() };
    let (_, bytes) = ClientHandshake::new(&request, [7; 16], HeadLimits::default()).expect("a good request");
    check_lines(&bytes, "GET ", 6);
    let (_, bytes) =
        TunnelHandshake::new(&uri, &HeaderMap::new(), HeadLimits::default()).expect("a good request");
    check_lines(&bytes, "CONNECT ", 2);
}

/// A request of so many lines and an empty one, and three words in the first.
fn check_lines(request: &[u8], method: &str, lines: usize) {
    let text = std::str::from_utf8(request).expect("ASCII");
    let head = text.strip_suffix("\r\n\r\n").expect("a whole head");
    assert_eq!(head.split("\r\n").count(), lines, "{text:?}");
    assert!(!head.replace("\r\n", "").chars().any(char::is_control), "{text:?}");
    let first = head.lines().next().unwrap_or_default();
    assert!(first.starts_with(method) && first.split(' ').count() == 3, "{first:?}");
}
