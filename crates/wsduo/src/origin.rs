//! Which web pages may connect (RFC 6455 §10.2): browsers let any page open a WebSocket anywhere, cookies included.

use wsduo_proto::handshake::Request;

use crate::error::{Error, ErrorKind};

/// The origins that are let in.
#[derive(Clone, Debug, Default)]
pub(crate) enum Origins {
    /// The host that the request itself is for.
    #[default]
    Same,
    /// That, and these.
    Listed(Vec<String>),
    Any,
}

impl Origins {
    pub(crate) fn allow(&mut self, origin: String) {
        match self {
            Self::Same => *self = Self::Listed(vec![origin]),
            Self::Listed(origins) => origins.push(origin),
            Self::Any => {}
        }
    }

    pub(crate) fn check(&self, request: &Request) -> Result<(), Error> {
        let Some(origin) = request.origin() else { return Ok(()) };
        let listed = match self {
            Self::Any => return Ok(()),
            Self::Same => false,
            Self::Listed(origins) => origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin)),
        };
        if listed || is_same(origin, &request.host) {
            return Ok(());
        }
        let shown: String = origin.escape_debug().take(100).collect();
        let text = format!("pages of the origin {shown} may not connect here; the server has to allow it");
        Err(Error::text(ErrorKind::Handshake, text))
    }
}

/// Whether a page of this origin came from this host and port. The schemes differ by nature: http is to ws as https to wss.
fn is_same(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let without_port = |name: &str| name.strip_suffix(default_port).unwrap_or(name).to_ascii_lowercase();
    !authority.is_empty() && without_port(authority) == without_port(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_connect_to_the_host_it_came_from() {
        for (origin, host) in [
            ("https://example.org", "example.org"),
            ("https://example.org", "example.org:443"),
            ("http://example.org:80", "example.org"),
            ("http://Example.org:8080", "example.ORG:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert!(is_same(origin, host), "{origin} to {host}");
        }
    }

    #[test]
    fn a_page_of_another_host_is_not_the_same() {
        for (origin, host) in [
            ("https://evil.example", "example.org"),
            ("https://example.org.evil.example", "example.org"),
            ("https://example.org", "example.org:8443"),
            ("http://example.org", "example.org:443"),
            ("null", "null"),
            ("file://", ""),
            ("", ""),
            ("https://", ""),
        ] {
            assert!(!is_same(origin, host), "{origin} to {host}");
        }
    }
}
