//! Which web pages may connect (RFC 6455 §10.2), and under which name of this server: browsers let any page open a WebSocket
//! anywhere, cookies included, and whoever owns a name can point it at any address (DNS rebinding).

use std::net::{IpAddr, Ipv6Addr};

use crate::error::{Error, ErrorKind};

/// Whom pages belong to that are let in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages {
    pub(crate) origins: Origins,
    pub(crate) hosts: Hosts,
}

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

/// The names that this server may be called by.
#[derive(Clone, Debug, Default)]
pub(crate) enum Hosts {
    /// Any; but of pages that come from this machine to itself, names of this machine alone.
    #[default]
    Default,
    /// These, and from this machine to itself the names of this machine.
    Listed(Vec<Host>),
    Any,
}

/// A name or address that this server may be called by, in lower case and without brackets.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    name: String,
    /// `None` for any.
    port: Option<u16>,
}

/// What is known of a request, in plain terms, so that it does not matter who parsed it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The `Host` header, or what a trusted proxy says it was.
    pub(crate) host: &'a str,
    pub(crate) origin: Option<&'a str>,
    /// The client uses TLS, as far as is known.
    pub(crate) is_secure: bool,
    /// The client connected to an address of this machine that no other can reach, and not for somebody else.
    pub(crate) on_loopback: bool,
}

impl Origins {
    pub(crate) fn allow(&mut self, origin: &str) {
        let origin = normal(origin.trim_end_matches('/'));
        match self {
            Self::Same => *self = Self::Listed(vec![origin]),
            Self::Listed(origins) => origins.push(origin),
            Self::Any => {}
        }
    }
}

impl Hosts {
    pub(crate) fn allow(&mut self, host: &str) {
        let host = host.to_ascii_lowercase();
        let host = match port(&host).map(str::parse) {
            // What is no port is nobody's; and an address of IPv6 without brackets has none.
            Some(Err(_)) => Host { name: host, port: None },
            Some(Ok(_)) if host.parse::<Ipv6Addr>().is_ok() => Host { name: host, port: None },
            Some(Ok(port)) => Host { name: name(&host).to_owned(), port: Some(port) },
            None => Host { name: name(&host).to_owned(), port: None },
        };
        match self {
            Self::Default => *self = Self::Listed(vec![host]),
            Self::Listed(hosts) => hosts.push(host),
            Self::Any => {}
        }
    }
}

impl Host {
    /// Whether a `Host` header, in lower case, names it. Browsers leave out the port that is the default one.
    fn is(&self, host: &str, default_port: u16) -> bool {
        let port = port(host).map_or(Some(default_port), |port| port.parse().ok());
        self.name == name(host) && (self.port.is_none() || self.port == port)
    }
}

impl Asked<'_> {
    /// The port that is meant where none is told. A page by https asks by wss, so that there is a proxy in between that ends TLS and
    /// does not say so, if there is no TLS.
    fn default_port(&self) -> u16 {
        let is_of_https =
            |origin: &str| origin.get(..8).is_some_and(|it| it.eq_ignore_ascii_case("https://"));
        if self.is_secure || self.origin.is_some_and(is_of_https) { 443 } else { 80 }
    }
}

impl Pages {
    /// # Errors
    /// [`ErrorKind::Handshake`] with the reason to tell the client; the status is 403.
    pub(crate) fn check(&self, asked: Asked<'_>) -> Result<(), Error> {
        let host = asked.host.to_ascii_lowercase();
        let by_own_name = asked.on_loopback && is_loopback_name(&host);
        if let Hosts::Listed(hosts) = &self.hosts
            && !by_own_name
            && !hosts.iter().any(|listed| listed.is(&host, asked.default_port()))
        {
            return Err(refused_host(asked.host));
        }
        let Some(origin) = asked.origin else { return Ok(()) };
        match &self.origins {
            Origins::Any => return Ok(()),
            Origins::Listed(origins) if origins.contains(&normal(origin)) => return Ok(()),
            _ if is_same(origin, &host, asked.is_secure) => {}
            _ => {
                let shown: String = origin.escape_debug().take(100).collect();
                let text =
                    format!("pages of the origin {shown} may not connect here; the server has to allow it");
                return Err(Error::text(ErrorKind::Handshake, text));
            }
        }
        if matches!(self.hosts, Hosts::Default) && asked.on_loopback && !by_own_name {
            return Err(refused_host(asked.host));
        }
        Ok(())
    }
}

fn refused_host(host: &str) -> Error {
    let shown: String = host.escape_debug().take(100).collect();
    let text = format!("this server may not be called by the host {shown}; the server has to allow it");
    Error::text(ErrorKind::Handshake, text)
}

/// As origins are compared: in lower case, and without a port that says nothing.
fn normal(origin: &str) -> String {
    let origin = origin.to_ascii_lowercase();
    let port = match origin.split_once("://") {
        Some(("http", _)) => ":80",
        Some(("https", _)) => ":443",
        _ => return origin,
    };
    origin.strip_suffix(port).map_or(origin.clone(), str::to_owned)
}

/// Whether a page of this origin came from this host and port. The schemes differ by nature: http is to ws as https to wss.
///
/// A page by http is not of the same origin as a server by TLS: anyone on its way can have written it. The other way round
/// there is a proxy in between that ends TLS and does not say so.
fn is_same(origin: &str, host: &str, is_secure: bool) -> bool {
    let origin = origin.to_ascii_lowercase();
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme {
        "http" if !is_secure => ":80",
        "https" => ":443",
        _ => return false,
    };
    let without_port = |name: &str| name.strip_suffix(default_port).unwrap_or(name).to_owned();
    !authority.is_empty() && without_port(authority) == without_port(host)
}

/// The host without its port, and without the dot that some write behind a name.
fn name(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.trim_end_matches('.')
}

/// What stands behind the host as its port.
fn port(host: &str) -> Option<&str> {
    let behind = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
    behind.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.is_empty())
}

/// Whether a `Host` header names this machine to itself.
fn is_loopback_name(host: &str) -> bool {
    let name = name(host);
    // Nobody can point names below localhost anywhere else (RFC 6761 §6.3).
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
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
            ("HTTP://Example.org:8080", "example.org:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("https://example.org.", "example.org."),
        ] {
            assert!(is_same(origin, host, false), "{origin} to {host}");
        }
        assert!(is_same("https://example.org", "example.org", true));
    }

    #[test]
    fn a_page_of_another_host_is_not_the_same() {
        for (origin, host) in [
            ("https://evil.example", "example.org"),
            ("https://example.org.evil.example", "example.org"),
            ("https://example.org", "example.org:8443"),
            ("http://example.org", "example.org:443"),
            ("https://example.org.", "example.org"),
            ("https://example.org@evil.example", "evil.example"),
            ("https://evil.example@example.org", "example.org"),
            ("https://example.org/", "example.org"),
            ("https://[::2]", "[::1]"),
            ("ws://example.org", "example.org"),
            ("null", "null"),
            ("file://", ""),
            ("", ""),
            ("https://", ""),
        ] {
            assert!(!is_same(origin, host, false), "{origin} to {host}");
        }
        // Anyone on its way can have written a page by http.
        assert!(!is_same("http://example.org", "example.org", true));
        assert!(!is_same("http://example.org:443", "example.org:443", true));
    }

    #[test]
    fn allowed_origins_are_compared_as_browsers_write_them() {
        let mut origins = Origins::Same;
        for origin in ["https://App.example:443/", "http://dev.example:8080", "null", "http://a.example:80"] {
            origins.allow(origin);
        }
        let pages = Pages { origins, hosts: Hosts::Default };
        let check = |origin| {
            pages
                .check(Asked { host: "b", origin: Some(origin), is_secure: true, on_loopback: false })
                .is_ok()
        };
        for origin in ["https://app.example", "http://dev.example:8080", "null", "http://A.example"] {
            assert!(check(origin), "{origin}");
        }
        // The port that says nothing may be told too.
        for origin in ["https://app.example:443", "http://a.example:80"] {
            assert!(check(origin), "{origin}");
        }
        for origin in
            ["https://app.example:8443", "http://app.example", "http://dev.example", "http://a.example:81"]
        {
            assert!(!check(origin), "{origin}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_loopback_names() {
        for host in [
            "localhost",
            "localhost:80",
            "localhost.",
            "app.localhost:1",
            "127.0.0.1:8080",
            "127.1.2.3",
            "[::1]:9",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "127.0.0.1.example.org:80",
            "localhost.evil",
            "notlocalhost",
            "10.0.0.1",
            "[::2]",
            "0x7f.1",
        ] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }

    #[test]
    fn a_page_of_a_name_pointed_at_this_machine_is_a_stranger_unless_allowed() {
        let check = |hosts: &Hosts, host: &str, origin: Option<&str>, on_loopback| {
            let pages = Pages { origins: Origins::Same, hosts: hosts.clone() };
            pages.check(Asked { host, origin, is_secure: false, on_loopback }).is_ok()
        };
        let default = Hosts::Default;
        let rebound = Some("http://evil.example:8080");
        assert!(!check(&default, "evil.example:8080", rebound, true));
        assert!(check(&default, "evil.example:8080", rebound, false));
        assert!(check(&default, "evil.example:8080", None, true));
        assert!(check(&default, "localhost:8080", Some("http://localhost:8080"), true));
        assert!(check(&Hosts::Any, "evil.example:8080", rebound, true));

        let mut listed = Hosts::Default;
        listed.allow("Example.org");
        listed.allow("example.net:8443");
        listed.allow("[2001:DB8::1]");
        for (host, on_loopback, may) in [
            ("[2001:db8::1]", false, true),
            ("[2001:db8::1]:8080", false, true),
            ("[2001:db8::2]", false, false),
            ("example.org", false, true),
            ("EXAMPLE.org.:99", false, true),
            ("example.net:8443", false, true),
            ("example.net", false, false),
            ("evil.example", false, false),
            ("localhost", false, false),
            ("localhost:1", true, true),
        ] {
            assert_eq!(check(&listed, host, None, on_loopback), may, "{host}");
        }
    }

    #[test]
    fn a_default_port_is_the_same_as_none() {
        for (allowed, host, by_tls, may) in [
            ("example.org:443", "example.org", true, true),
            ("example.org:443", "example.org:443", true, true),
            ("example.org:443", "Example.org.", true, true),
            ("example.org.:443", "example.org", true, true),
            ("[2001:DB8::1]:443", "[2001:db8::1]", true, true),
            ("example.org:443", "example.org:80", true, false),
            ("example.org:443", "example.org:8443", true, false),
            ("example.org:443", "evil.example", true, false),
            ("example.org:80", "example.org", true, false),
            ("example.org:80", "example.org", false, true),
            ("example.org:80", "example.org:80", false, true),
            ("[::1]:80", "[::1]", false, true),
            ("[::1]:80", "[::1]:443", false, false),
            ("example.org:443", "example.org", false, false),
            ("example.org:443", "example.org:443", false, true),
            ("2001:db8::1", "[2001:db8::1]:9", false, true),
            ("example.org:https", "example.org", true, false),
            ("example.org:99999", "example.org:99999", true, false),
            // Without a port, any.
            ("example.org", "example.org", true, true),
            ("example.org", "example.org:443", true, true),
            ("example.org", "example.org:80", true, true),
            ("example.org", "example.org:80", false, true),
        ] {
            let mut hosts = Hosts::Default;
            hosts.allow(allowed);
            let check = |origin: Option<&str>| {
                let pages = Pages { origins: Origins::Any, hosts: hosts.clone() };
                pages.check(Asked { host, origin, is_secure: by_tls, on_loopback: false }).is_ok()
            };
            assert_eq!(check(None), may, "{allowed} called by {host}, TLS: {by_tls}");
        }
        // A page by https came by a proxy that ends TLS and does not say so.
        let mut hosts = Hosts::Default;
        hosts.allow("example.org:443");
        let pages = Pages { origins: Origins::Same, hosts };
        let asked = Asked {
            host: "example.org",
            origin: Some("https://example.org"),
            is_secure: false,
            on_loopback: false,
        };
        assert!(pages.check(asked).is_ok());
        assert!(pages.check(Asked { origin: Some("http://example.org"), ..asked }).is_err());
    }

    #[test]
    fn an_allowed_origin_may_have_its_default_port_in_either_place() {
        for (allowed, origin, may) in [
            ("https://example.org:443", "https://example.org", true),
            ("https://example.org", "https://example.org:443", true),
            ("https://example.org:443", "https://example.org:443", true),
            ("http://example.org:80", "http://example.org", true),
            ("http://example.org", "http://example.org:80", true),
            ("https://[::1]:443", "https://[::1]", true),
            ("https://example.org:80", "https://example.org", false),
            ("http://example.org:443", "http://example.org", false),
            ("https://example.org:443", "http://example.org", false),
            ("http://example.org", "https://example.org", false),
        ] {
            for is_secure in [true, false] {
                let mut origins = Origins::Same;
                origins.allow(allowed);
                let pages = Pages { origins, hosts: Hosts::Default };
                let asked =
                    Asked { host: "other.example", origin: Some(origin), is_secure, on_loopback: false };
                assert_eq!(pages.check(asked).is_ok(), may, "{allowed} for {origin}, TLS: {is_secure}");
            }
        }
    }
}
