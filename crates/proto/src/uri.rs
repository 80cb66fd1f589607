//! WebSocket URIs (RFC 6455 §3): text in, secure, host, port and resource name out.
//!
//! Stricter than what browsers take: whatever would have to be guessed or silently rewritten is refused with
//! an error that says what to write instead. The one courtesy is that non-ASCII characters in the resource
//! name are percent-encoded as UTF-8, which has only one reading.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::handshake::Excerpt;

/// Where to connect, and what to ask for there.
///
/// ```
/// use wsduo_proto::uri::WebSocketUri;
///
/// let uri = WebSocketUri::parse("wss://example.org/chat?room=1")?;
/// assert!(uri.is_secure());
/// assert_eq!((uri.host(), uri.port(), uri.resource_name()), ("example.org", 443, "/chat?room=1"));
/// # Ok::<(), wsduo_proto::uri::UriError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebSocketUri {
    secure: bool,
    /// A name in lower case, an IPv4 address, or an IPv6 address without brackets.
    host: String,
    port: u16,
    /// Begins with `/` and is made of visible ASCII.
    resource_name: String,
}

impl WebSocketUri {
    /// Reads an absolute `ws` or `wss` URI.
    ///
    /// # Errors
    /// See [`UriError`]. No error text contains a user name or password.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (secure, rest) = split_scheme(text)?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, resource) = rest.split_at(end);
        if authority.contains('@') {
            return Err(UriError::UserInfo);
        }
        let authority = Authority::parse(authority).map_err(|error| match error {
            // `ws://user:pass/word@host`: the "port" is half a password, so it is not to be shown.
            UriError::Port(_) if resource.contains('@') => UriError::UserInfo,
            other => other,
        })?;
        Ok(Self {
            secure,
            port: authority.port.unwrap_or(default_port(secure)),
            host: authority.host,
            resource_name: resource_name(resource)?,
        })
    }

    /// Whether the connection goes through TLS (`wss`).
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The name or address to connect to; an IPv6 address stands without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port given, else 443 for `wss` and 80 for `ws`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, as they stand in the request line; at least `/`.
    pub fn resource_name(&self) -> &str {
        &self.resource_name
    }

    /// The value of the `Host` header: the port is left out when it is the default one (RFC 6455 §4.1).
    pub fn host_header(&self) -> String {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        if self.port == default_port(self.secure) {
            format!("{open}{}{close}", self.host)
        } else {
            format!("{open}{}{close}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for WebSocketUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.host_header(), self.resource_name)
    }
}

impl FromStr for WebSocketUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

/// Why a text is not a WebSocket URI. Always the caller's to fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// No `ws://` or `wss://` at the beginning.
    #[error("URI has no scheme: it must begin with ws:// or wss://")]
    MissingScheme,
    /// An HTTP address where a WebSocket address belongs.
    #[error("URI scheme is {seen}: only ws and wss are allowed, write {instead}:// instead")]
    HttpScheme {
        /// `http` or `https`.
        seen: &'static str,
        /// The WebSocket scheme that corresponds to it.
        instead: &'static str,
    },
    /// Some other scheme.
    #[error("URI scheme is {0}: only ws and wss are allowed")]
    UnsupportedScheme(Excerpt),
    /// A user name or password before the host; neither is kept here.
    #[error("URI contains a user name or password: remove it and set it as a credential instead")]
    UserInfo,
    /// Nothing between `//` and the port or path.
    #[error("URI has no host: write it after the two slashes, as in ws://example.org/")]
    EmptyHost,
    /// An internationalised name that is none (RFC 5890, by the rules of UTS #46).
    #[error("URI host {0} is not a valid internationalised name")]
    InternationalHost(Excerpt),
    /// A character no host name has.
    #[error("URI host contains {0:?}: letters, digits, '-', '.' and '_' are allowed")]
    HostCharacter(char),
    /// Brackets missing or not closed, no address in them, or a zone.
    #[error("URI host is not an IPv6 address in brackets: write it as in ws://[::1]:8080/, without a zone")]
    Ipv6Host,
    /// Not a decimal number in range.
    #[error("URI port is {0}: a number from 1 to 65535 is allowed")]
    Port(Excerpt),
    /// RFC 6455 §3: fragments have no meaning here.
    #[error("URI contains a fragment: remove '#' and what follows, or write a literal '#' as %23")]
    Fragment,
    /// A space, a control character, or one that RFC 3986 does not allow unencoded.
    #[error("URI path or query contains {character:?}: write it as {encoded}")]
    Character {
        /// What was found.
        character: char,
        /// How to write it.
        encoded: String,
    },
    /// `%` without two hexadecimal digits behind it.
    #[error("URI contains '%' without two hexadecimal digits: write a literal '%' as %25")]
    PercentEncoding,
}

/// `host [ ":" port ]`, as in a URI and as in a `Host` header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// In lower case; an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl Authority {
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, after) = rest.split_once(']').ok_or(UriError::Ipv6Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| UriError::Ipv6Host)?;
            let port = match after.strip_prefix(':') {
                Some(port) => parse_port(port)?,
                None if after.is_empty() => None,
                None => return Err(UriError::Ipv6Host),
            };
            return Ok(Self { host: address.to_string(), port });
        }
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        if port.contains(':') {
            return Err(UriError::Ipv6Host);
        }
        match host.chars().find(|c| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_')) {
            Some(c) if host.is_ascii() => return Err(UriError::HostCharacter(c)),
            Some(_) => return Ok(Self { host: international(host)?, port: parse_port(port)? }),
            None if host.is_empty() => return Err(UriError::EmptyHost),
            None => {}
        }
        Ok(Self { host: host.to_ascii_lowercase(), port: parse_port(port)? })
    }
}

/// The ASCII form of an internationalised name, as resolvers, certificates and `Host` headers have it (RFC 3987 §3.1).
fn international(host: &str) -> Result<String, UriError> {
    match idna::domain_to_ascii_cow(host.as_bytes(), idna::AsciiDenyList::STD3) {
        Ok(ascii) if !ascii.is_empty() => Ok(ascii.into_owned()),
        _ => Err(UriError::InternationalHost(Excerpt::new(host.as_bytes()))),
    }
}

pub(crate) fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

fn split_scheme(text: &str) -> Result<(bool, &str), UriError> {
    let (scheme, rest) = text.split_once("://").ok_or(UriError::MissingScheme)?;
    match scheme.to_ascii_lowercase().as_str() {
        "ws" => Ok((false, rest)),
        "wss" => Ok((true, rest)),
        "http" => Err(UriError::HttpScheme { seen: "http", instead: "ws" }),
        "https" => Err(UriError::HttpScheme { seen: "https", instead: "wss" }),
        other if is_scheme(other) => Err(UriError::UnsupportedScheme(Excerpt::new(scheme.as_bytes()))),
        // `://` somewhere further on: what stands before it may be anything, a password included.
        _ => Err(UriError::MissingScheme),
    }
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// An empty port means the default one (RFC 3986 §3.2.3).
fn parse_port(text: &str) -> Result<Option<u16>, UriError> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port != 0 => Ok(Some(port)),
        _ => Err(UriError::Port(Excerpt::new(text.as_bytes()))),
    }
}

/// Path and query, with `/` put in front if the path is empty (RFC 6455 §3).
fn resource_name(text: &str) -> Result<String, UriError> {
    let mut name = String::with_capacity(text.len() + 1);
    if !text.starts_with('/') {
        name.push('/');
    }
    for (at, character) in text.char_indices() {
        match character {
            '#' => return Err(UriError::Fragment),
            '%' if !is_percent_encoded(&text.as_bytes()[at..]) => return Err(UriError::PercentEncoding),
            '\0'..=' ' | '\x7f' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => {
                return Err(UriError::Character { character, encoded: percent_encode(character) });
            }
            _ if character.is_ascii() => name.push(character),
            _ => name.push_str(&percent_encode(character)),
        }
    }
    Ok(name)
}

fn is_percent_encoded(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

fn percent_encode(character: char) -> String {
    let mut utf8 = [0; 4];
    character.encode_utf8(&mut utf8).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expects `text` to read as host, port and resource name, and to be written back as `written`.
    #[track_caller]
    fn check(text: &str, expected: (&str, u16, &str), written: &str) {
        let uri = WebSocketUri::parse(text).expect(text);
        assert_eq!((uri.host(), uri.port(), uri.resource_name()), expected);
        assert_eq!(uri.to_string(), written);
        assert_eq!(written.parse(), Ok(uri), "what is written must read the same");
    }

    #[track_caller]
    fn refused(text: &str, message: &str) {
        let error = WebSocketUri::parse(text).expect_err(text).to_string();
        assert!(error.contains(message), "{error}");
        assert!(!error.contains("secret") && !error.contains(['\r', '\n']), "{error}");
    }

    #[test]
    fn scheme_decides_security_and_default_port() {
        check("ws://example.org", ("example.org", 80, "/"), "ws://example.org/");
        check("WSS://example.org/", ("example.org", 443, "/"), "wss://example.org/");
        check("wss://example.org:80/", ("example.org", 80, "/"), "wss://example.org:80/");
        check("ws://example.org:80/", ("example.org", 80, "/"), "ws://example.org/");
        check("ws://example.org:/", ("example.org", 80, "/"), "ws://example.org/");
        assert!(WebSocketUri::parse("wSs://a").unwrap().is_secure());
        assert!(!WebSocketUri::parse("Ws://a").unwrap().is_secure());
    }

    #[test]
    fn host_is_a_name_or_an_address() {
        check("ws://EXAMPLE.org/A", ("example.org", 80, "/A"), "ws://example.org/A");
        check("ws://127.0.0.1:9/", ("127.0.0.1", 9, "/"), "ws://127.0.0.1:9/");
        check("ws://[::1]/", ("::1", 80, "/"), "ws://[::1]/");
        check("ws://[2001:DB8:0::1]:8080/x", ("2001:db8::1", 8080, "/x"), "ws://[2001:db8::1]:8080/x");
        check("ws://my_service-1:1/", ("my_service-1", 1, "/"), "ws://my_service-1:1/");
    }

    #[test]
    fn an_internationalised_name_is_written_in_ascii() {
        let ascii = "ws://xn--bcher-kva.example/";
        check("ws://bücher.example", ("xn--bcher-kva.example", 80, "/"), ascii);
        check("ws://BÜCHER。example/", ("xn--bcher-kva.example", 80, "/"), ascii);
        check("ws://日本語.example:1/", ("xn--wgv71a119e.example", 1, "/"), "ws://xn--wgv71a119e.example:1/");
        // Full-width digits are digits.
        check("ws://１２７.0.0.1/", ("127.0.0.1", 80, "/"), "ws://127.0.0.1/");
    }

    #[test]
    fn host_header_leaves_out_the_default_port() {
        let header = |text| WebSocketUri::parse(text).unwrap().host_header();
        assert_eq!(header("ws://a:80"), "a");
        assert_eq!(header("wss://a:443"), "a");
        assert_eq!(header("ws://a:443"), "a:443");
        assert_eq!(header("wss://[::1]"), "[::1]");
        assert_eq!(header("wss://[::1]:80"), "[::1]:80");
    }

    #[test]
    fn resource_name_is_path_and_query() {
        check("ws://a/b/c?d=e&f", ("a", 80, "/b/c?d=e&f"), "ws://a/b/c?d=e&f");
        check("ws://a?q", ("a", 80, "/?q"), "ws://a/?q");
        check("ws://a/?", ("a", 80, "/?"), "ws://a/?");
        check("ws://a/users/@me", ("a", 80, "/users/@me"), "ws://a/users/@me");
        check("ws://a/%20%C3%a9", ("a", 80, "/%20%C3%a9"), "ws://a/%20%C3%a9");
    }

    #[test]
    fn resource_name_outside_ascii_is_encoded_as_utf8() {
        check("ws://a/é?ü=日", ("a", 80, "/%C3%A9?%C3%BC=%E6%97%A5"), "ws://a/%C3%A9?%C3%BC=%E6%97%A5");
    }

    #[test]
    fn other_schemes_are_refused() {
        refused("http://a/", "write ws:// instead");
        refused("HTTPS://a/", "write wss:// instead");
        refused("ftp://a/", "scheme is \"ftp\"");
        for text in ["", "a", "example.org/chat", "ws:a", "ws:/a", "//a", " ws://a", "me:secret@a/?x=http://"]
        {
            refused(text, "must begin with ws:// or wss://");
        }
    }

    #[test]
    fn user_info_is_refused_and_never_shown() {
        refused("ws://secret@a/", "user name or password");
        refused("wss://me:secret@a/", "user name or password");
        refused("wss://me:secret@a:secret/", "user name or password");
        refused("wss://me:secret/word@a/", "user name or password");
        refused("wss://me:sec ret@a/", "user name or password");
    }

    #[test]
    fn bad_hosts_are_refused() {
        for text in ["ws://", "ws:///", "ws://:80/", "ws://?q"] {
            refused(text, "no host");
        }
        refused("ws://a b/", "contains ' '");
        refused("ws://a\r\nX: y/", "contains '\\r'");
        refused("ws://a%41/", "contains '%'");
        for text in
            ["ws://bü cher.example/", "ws://ü%41/", "ws://xn--ü.example/", "ws://\u{ad}/", "ws://ü_b/"]
        {
            refused(text, "valid internationalised name");
        }
        for text in
            ["ws://[::1", "ws://[]/", "ws://[::1]x/", "ws://[fe80::1%25eth0]/", "ws://::1/", "ws://fe80::1/"]
        {
            refused(text, "IPv6 address in brackets");
        }
    }

    #[test]
    fn bad_ports_are_refused() {
        for port in ["0", "65536", "+80", "-1", "8 0", "x", "99999999999999999999", "8\r\n"] {
            refused(&format!("ws://a:{port}/"), "from 1 to 65535");
            refused(&format!("ws://[::1]:{port}/"), "from 1 to 65535");
        }
    }

    #[test]
    fn fragments_are_refused() {
        refused("ws://a/#b", "%23");
        refused("ws://a#", "%23");
    }

    #[test]
    fn line_breaks_spaces_and_controls_are_refused() {
        refused("ws://a/b c", "write it as %20");
        refused("ws://a/\r\nX-Evil: 1", "write it as %0D");
        refused("ws://a/\nx", "write it as %0A");
        refused("ws://a/\0", "write it as %00");
        refused("ws://a/\x7f", "write it as %7F");
        refused("ws://a\\b", "write it as %5C");
        refused("ws://a/?{}", "write it as %7B");
        refused("ws://a/%", "%25");
        refused("ws://a/%4", "%25");
        refused("ws://a/%zz", "%25");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*", scheme in "(ws://|wss://)?(a|\\[)?") {
            if let Ok(uri) = WebSocketUri::parse(&format!("{scheme}{text}")) {
                proptest::prop_assert!(uri.resource_name().bytes().all(|b| b.is_ascii_graphic()));
                proptest::prop_assert_eq!(uri.to_string().parse(), Ok(uri));
            }
        }
    }
}
