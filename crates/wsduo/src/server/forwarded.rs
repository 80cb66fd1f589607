//! What trusted proxies tell of the client: its address, and the host and scheme that it used.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

use crate::error::{Error, ErrorKind};

/// Which header the trusted proxies write. What clients sent of the other one is not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Host` and `X-Forwarded-Proto`: what most proxies write.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Networks that are trusted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks {
    networks: Vec<IpNet>,
    /// Connections by Unix sockets too.
    unix: bool,
}

/// What trusted proxies said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The last address that nobody but trusted proxies can have written.
    pub(crate) client: Option<IpAddr>,
    /// The connection comes from a trusted proxy.
    pub(crate) by_proxy: bool,
    pub(crate) host: Option<String>,
    pub(crate) is_secure: bool,
}

impl Networks {
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for what is neither a network nor an address.
    pub(crate) fn parse<N: AsRef<str>>(texts: impl IntoIterator<Item = N>) -> Result<Self, Error> {
        let mut all = Self::default();
        for text in texts {
            let text = text.as_ref();
            let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            match network {
                Ok(network) => all.networks.push(network),
                Err(_) if text == "unix" => all.unix = true,
                Err(_) => {
                    let text =
                        format!("{text:?} is no network; write 10.0.0.0/8, 192.0.2.1, fd00::/8 or unix");
                    return Err(Error::text(ErrorKind::InvalidInput, text));
                }
            }
        }
        Ok(all)
    }

    /// Whether a peer is in them; one without an address came by a Unix socket.
    pub(crate) fn contain(&self, address: Option<IpAddr>) -> bool {
        match address.map(|address| address.to_canonical()) {
            Some(address) => self.networks.iter().any(|network| network.contains(&address)),
            None => self.unix,
        }
    }

    /// Looks at what the proxies wrote, if it is they who ask.
    pub(crate) fn told(&self, header: ForwardedHeader, peer: Option<IpAddr>, headers: &HeaderMap) -> Told {
        let mut told = Told { client: peer, ..Told::default() };
        if !self.contain(peer) {
            return told;
        }
        told.by_proxy = true;
        let hops: Vec<Hop<'_>> = match header {
            ForwardedHeader::Forwarded => {
                list(headers, "forwarded").into_iter().map(Hop::forwarded).collect()
            }
            ForwardedHeader::XForwardedFor => list(headers, "x-forwarded-for")
                .into_iter()
                .map(|client| Hop { client: Some(client), ..Hop::default() })
                .collect(),
        };
        // The latest is the last. Beyond the first that is not trusted, anyone may have written anything.
        for hop in hops.iter().rev() {
            if !self.contain(told.client) {
                break;
            }
            told.host = hop.host.map(str::to_owned).or(told.host);
            told.is_secure = hop.scheme.map_or(told.is_secure, is_secure);
            match hop.client.and_then(address) {
                Some(client) => told.client = Some(client),
                // The proxy does not know or does not say.
                None => break,
            }
        }
        if header == ForwardedHeader::XForwardedFor {
            told.host = list(headers, "x-forwarded-host").last().map(|host| (*host).to_owned());
            told.is_secure = list(headers, "x-forwarded-proto").last().is_some_and(|it| is_secure(it));
        }
        told
    }
}

/// One element of a list: what one proxy saw.
#[derive(Default)]
struct Hop<'a> {
    client: Option<&'a str>,
    host: Option<&'a str>,
    scheme: Option<&'a str>,
}

impl<'a> Hop<'a> {
    /// RFC 7239 §4
    fn forwarded(element: &'a str) -> Self {
        let mut hop = Self::default();
        for pair in split(element, ';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = Some(unquoted(value.trim()));
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => hop.client = value,
                "host" => hop.host = value,
                "proto" => hop.scheme = value,
                _ => {}
            }
        }
        hop
    }
}

fn is_secure(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss")
}

/// An address with or without a port, of IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = unquoted(text);
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// All elements of a list, from all headers of the name.
fn list<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let values = headers.get_all(name).iter();
    // What is no text is an element too: one that says nothing.
    values.flat_map(|value| split(value.to_str().unwrap_or("?"), ',')).collect()
}

/// The parts between separators that are not in quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    let parts = text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    });
    parts.map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).fold(
            HeaderMap::new(),
            |mut map: HeaderMap, (name, value): (http::HeaderName, http::HeaderValue)| {
                map.append(name, value);
                map
            },
        )
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_client_is_the_rightmost_that_is_not_trusted() {
        let trusted = Networks::parse(["10.0.0.0/8", "::1", "192.0.2.9"]).unwrap();
        for (peer, list, client) in [
            ("10.1.1.1", &["198.51.100.7"][..], "198.51.100.7"),
            // The first was written by the client.
            ("10.1.1.1", &["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
            ("10.1.1.1", &["1.1.1.1, 198.51.100.7, 192.0.2.9, 10.9.9.9"], "198.51.100.7"),
            ("10.1.1.1", &["1.1.1.1", "198.51.100.7", "10.9.9.9"], "198.51.100.7"),
            ("::ffff:10.1.1.1", &["198.51.100.7:1234"], "198.51.100.7"),
            ("::1", &["2001:db8::7"], "2001:db8::7"),
            ("::1", &["[2001:db8::7]:99"], "2001:db8::7"),
            // All are proxies: the outermost is the client as far as we know.
            ("10.1.1.1", &["10.2.2.2, 10.3.3.3"], "10.2.2.2"),
            // What cannot be read ends it.
            ("10.1.1.1", &["198.51.100.7, unknown"], "10.1.1.1"),
            ("10.1.1.1", &["198.51.100.7, junk, 10.9.9.9"], "10.9.9.9"),
            ("10.1.1.1", &[""], "10.1.1.1"),
            ("10.1.1.1", &[], "10.1.1.1"),
            // Nobody believes a stranger.
            ("198.51.100.7", &["10.1.1.1"], "198.51.100.7"),
        ] {
            let lines: Vec<_> = list.iter().map(|value| ("x-forwarded-for", *value)).collect();
            let told = trusted.told(ForwardedHeader::XForwardedFor, Some(ip(peer)), &headers(&lines));
            assert_eq!(told.client, Some(ip(client)), "{peer} {list:?}");
            let lines: Vec<_> = lines.iter().map(|(_, value)| ("forwarded", *value)).collect();
            let told = trusted.told(ForwardedHeader::XForwardedFor, Some(ip(peer)), &headers(&lines));
            assert_eq!(told.client, Some(ip(peer)), "the other header does not count");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        let trusted = Networks::parse(["10.0.0.0/8", "unix"]).unwrap();
        for (value, client, host, is_secure) in [
            ("for=192.0.2.60;proto=https;host=example.org", Some("192.0.2.60"), Some("example.org"), true),
            ("For=\"[2001:db8:cafe::17]:4711\"", Some("2001:db8:cafe::17"), None, false),
            ("for=1.1.1.1;host=evil, for=192.0.2.43;proto=http", Some("192.0.2.43"), None, false),
            ("for=1.1.1.1, for=\"a,b;c\"", None, None, false),
            ("for=_hidden;host=a", None, Some("a"), false),
            (
                "for=192.0.2.60;proto=https;host=a, for=10.1.1.1;proto=http;host=b",
                Some("192.0.2.60"),
                Some("a"),
                true,
            ),
            (";;=,=;\"", None, None, false),
        ] {
            let told = trusted.told(ForwardedHeader::Forwarded, None, &headers(&[("forwarded", value)]));
            let expected =
                Told { client: client.map(ip), by_proxy: true, host: host.map(str::to_owned), is_secure };
            assert_eq!(told, expected, "{value}");
        }
    }

    #[test]
    fn the_host_and_the_scheme_are_those_of_the_nearest_proxy() {
        let trusted = Networks::parse(["10.0.0.1"]).unwrap();
        let lines = [("x-forwarded-host", "evil, example.org"), ("x-forwarded-proto", "HTTPS")];
        let told = trusted.told(ForwardedHeader::XForwardedFor, Some(ip("10.0.0.1")), &headers(&lines));
        assert_eq!((told.host.as_deref(), told.is_secure), (Some("example.org"), true));
        let told = trusted.told(ForwardedHeader::XForwardedFor, Some(ip("10.0.0.2")), &headers(&lines));
        assert_eq!((told.host, told.is_secure, told.by_proxy), (None, false, false));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "example.org", "10.0.0.1:80", "*"] {
            assert_eq!(Networks::parse([text]).unwrap_err().kind(), ErrorKind::InvalidInput, "{text}");
        }
    }
}
