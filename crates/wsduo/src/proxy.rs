//! Which proxy the way to a server leads through.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use wsduo_proto::WebSocketUri;

use crate::credential::Credential;
use crate::error::{Error, ErrorKind};

/// Which proxy to connect through.
///
/// By default the environment decides, then the system: a `ws` URI goes through the proxy in `HTTP_PROXY`, a `wss` URI
/// through that in `HTTPS_PROXY`, either through that in `ALL_PROXY` if there is no other, and neither if the host is in
/// `NO_PROXY` (names may be in lower case too, as curl has them). Where none of these names a proxy, on macOS and Windows
/// the settings of the system are asked. In a CGI program, where `HTTP_PROXY` may come from the network, the
/// environment is not asked.
///
/// A proxy is a URI:
///
/// | scheme | protocol | who resolves the server's name |
/// |---|---|---|
/// | `http`, or none | CONNECT (RFC 9110 §9.3.6) | the proxy |
/// | `https` | CONNECT, over TLS checked as [`tls`](crate::MessageWebSocketControl::tls) says | the proxy |
/// | `socks5h` | SOCKS 5 (RFC 1928) | the proxy |
/// | `socks5` | SOCKS 5 | this machine |
/// | `socks4a` | SOCKS 4A | the proxy |
/// | `socks4` | SOCKS 4 | this machine |
///
/// Without a port it is 80, 443 for `https` and 1080 for SOCKS. A user name and a password may stand before the host,
/// percent-encoded; an HTTP proxy is told them only when it asks, by the scheme that it asks for.
///
/// # Examples
/// ```
/// use wsduo::{MessageWebSocketControl, Proxy};
///
/// let proxy = Proxy::new("http://me:secret@proxy.example:3128")?.no_proxy("localhost, .example.org, 10.0.0.0/8");
/// let control = MessageWebSocketControl::new().proxy(proxy);
/// let direct = MessageWebSocketControl::new().proxy(Proxy::none());
/// # let _ = (control, direct);
/// # Ok::<(), wsduo::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    choice: Choice,
    /// Hosts that are reached without the proxy that was set.
    bypass: String,
}

#[derive(Clone, Debug, Default)]
enum Choice {
    #[default]
    Environment,
    Off,
    Server(Arc<ProxyServer>),
}

impl Proxy {
    /// What the environment says, and then the system. The default.
    ///
    /// Both are asked anew for each connection.
    pub fn from_environment() -> Self {
        Self::default()
    }

    /// No proxy, whatever the environment says.
    pub fn none() -> Self {
        Self { choice: Choice::Off, bypass: String::new() }
    }

    /// This proxy, whatever the environment says, for all hosts.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for what is no URI of a proxy. The error does not show it: it may have a password.
    pub fn new(uri: &str) -> Result<Self, Error> {
        let server = uri.parse().map_err(|error: Malformed| error.of("the proxy's URI"))?;
        Ok(Self { choice: Choice::Server(Arc::new(server)), bypass: String::new() })
    }

    /// The user's name and password for the proxy given to [`new`](Self::new), in place of those in its URI. Of SOCKS 4
    /// only the name is used.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        if let Choice::Server(server) = &mut self.choice {
            Arc::make_mut(server).credential = Some(credential);
        }
        self
    }

    /// Hosts that are reached without the proxy given to [`new`](Self::new), separated by commas: names with all names
    /// below them, addresses, networks such as `10.0.0.0/8`, or `*` for all.
    #[must_use]
    pub fn no_proxy(mut self, hosts: impl Into<String>) -> Self {
        self.bypass = hosts.into();
        self
    }

    /// The proxy on the way to `uri`, and what named it.
    pub(crate) fn choose(&self, uri: &WebSocketUri) -> Result<Option<(Arc<ProxyServer>, &str)>, Error> {
        match &self.choice {
            Choice::Off => Ok(None),
            Choice::Server(server) if !is_in(&self.bypass, uri) => {
                Ok(Some((Arc::clone(server), "the setting")))
            }
            Choice::Server(_) => Ok(None),
            Choice::Environment => {
                let variables = Variables::read(|name| std::env::var(name).ok());
                match variables.choose(uri)? {
                    Some((server, variable)) => Ok(Some((Arc::new(server), variable))),
                    None if variables.is_bypassed(uri) => Ok(None),
                    None => Ok(system(uri)?.map(|server| (Arc::new(server), "the system"))),
                }
            }
        }
    }
}

/// A proxy, and how to speak with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyServer {
    pub(crate) scheme: Scheme,
    /// As in a [`WebSocketUri`].
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credential: Option<Credential>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
    Socks4,
    Socks4a,
    Socks5,
    Socks5h,
}

impl Scheme {
    const ALL: [(&str, Self, u16); 6] = [
        ("http", Self::Http, 80),
        ("https", Self::Https, 443),
        ("socks4", Self::Socks4, 1080),
        ("socks4a", Self::Socks4a, 1080),
        ("socks5", Self::Socks5, 1080),
        ("socks5h", Self::Socks5h, 1080),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, scheme, _)| *scheme == self).map_or("", |(name, ..)| name)
    }
}

/// The proxy as a URI, without its user.
impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{}://{open}{}{close}:{}", self.scheme.name(), self.host, self.port)
    }
}

/// What is wrong with the URI of a proxy, in words that show nothing of it.
#[derive(Debug)]
pub(crate) struct Malformed(&'static str);

impl Malformed {
    fn of(&self, what: &str) -> Error {
        let text = format!("{what} {}; write it as http://user:password@host:port", self.0);
        Error::text(ErrorKind::InvalidInput, text)
    }
}

impl FromStr for ProxyServer {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (scheme, rest) = text.trim().split_once("://").unwrap_or(("http", text.trim()));
        let found = Scheme::ALL.iter().find(|(name, ..)| name.eq_ignore_ascii_case(scheme));
        let (_, scheme, default_port) = *found
            .ok_or(Malformed("has a scheme other than http, https, socks4, socks4a, socks5 and socks5h"))?;
        let (user, authority) = match rest.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, rest),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains(['/', '?', '#']) || user.is_some_and(|user| user.contains(['/', '?', '#', '@']))
        {
            return Err(Malformed("has a path, or a password that is not percent-encoded"));
        }
        let uri = WebSocketUri::parse(&format!("ws://{authority}/"))
            .map_err(|_| Malformed("has no usable host and port"))?;
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let port = if has_port { uri.port() } else { default_port };
        let credential = user.map(|user| {
            let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            Credential::new(decode(name), decode(password))
        });
        Ok(Self { scheme, host: uri.host().to_owned(), port, credential })
    }
}

/// What the environment says about proxies.
#[derive(Debug, Default)]
struct Variables {
    /// Of each kind the name and value of the first variable that is set.
    http: Option<(&'static str, String)>,
    https: Option<(&'static str, String)>,
    all: Option<(&'static str, String)>,
    no: String,
}

impl Variables {
    fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, get(name)?)));
        let no = first(["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default();
        // A request's header `Proxy` becomes HTTP_PROXY in a CGI program: anyone could send it.
        if get("REQUEST_METHOD").is_some() {
            return Self { no, ..Self::default() };
        }
        Self {
            http: first(["HTTP_PROXY", "http_proxy"]),
            https: first(["HTTPS_PROXY", "https_proxy"]),
            all: first(["ALL_PROXY", "all_proxy"]),
            no,
        }
    }

    fn choose(&self, uri: &WebSocketUri) -> Result<Option<(ProxyServer, &'static str)>, Error> {
        let own = if uri.is_secure() { &self.https } else { &self.http };
        let set = [own, &self.all].into_iter().flatten().find(|(_, value)| !value.trim().is_empty());
        let Some((name, value)) = set else { return Ok(None) };
        if self.is_bypassed(uri) {
            return Ok(None);
        }
        let server = value.parse().map_err(|error: Malformed| error.of(&format!("the variable {name}")))?;
        Ok(Some((server, name)))
    }

    fn is_bypassed(&self, uri: &WebSocketUri) -> bool {
        is_in(&self.no, uri)
    }
}

/// Whether the host of `uri` is in a list such as that in `NO_PROXY`.
fn is_in(list: &str, uri: &WebSocketUri) -> bool {
    !list.is_empty()
        && as_http(uri).is_some_and(|uri| {
            Matcher::builder().all("http://proxy").no(list).build().intercept(&uri).is_none()
        })
}

/// The proxy that the settings of the system name.
fn system(uri: &WebSocketUri) -> Result<Option<ProxyServer>, Error> {
    // Elsewhere the environment would be asked again.
    if !cfg!(any(target_os = "macos", windows)) || std::env::var_os("REQUEST_METHOD").is_some() {
        return Ok(None);
    }
    let found = as_http(uri).and_then(|uri| Matcher::from_system().intercept(&uri));
    let server = found.map(|found| found.uri().to_string().parse()).transpose();
    server.map_err(|error: Malformed| error.of("the proxy in the settings of the system"))
}

/// The URI as proxies know it.
fn as_http(uri: &WebSocketUri) -> Option<http::Uri> {
    let scheme = if uri.is_secure() { "https" } else { "http" };
    http::Uri::builder().scheme(scheme).authority(uri.host_header()).path_and_query("/").build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Result<ProxyServer, String> {
        text.parse().map_err(|error: Malformed| error.of("the proxy").to_string())
    }

    /// Which proxy these variables name for a URI, and by which of them.
    fn choose(variables: &[(&str, &str)], uri: &str) -> Option<(String, &'static str)> {
        let get = |name: &str| {
            let set = variables.iter().find(|(set, _)| *set == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        let chosen = Variables::read(get).choose(&uri.parse().unwrap()).unwrap();
        chosen.map(|(server, variable)| (server.to_string(), variable))
    }

    #[test]
    fn a_proxy_is_a_uri() {
        for (text, expected) in [
            ("proxy.example", "http://proxy.example:80"),
            ("proxy.example:3128/", "http://proxy.example:3128"),
            ("HTTPS://Proxy.example", "https://proxy.example:443"),
            ("http://[::1]", "http://[::1]:80"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("socks4://a", "socks4://a:1080"),
            ("socks4a://a", "socks4a://a:1080"),
            ("socks5://a:443", "socks5://a:443"),
            (" socks5h://a ", "socks5h://a:1080"),
        ] {
            assert_eq!(server(text).map(|server| server.to_string()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_user_and_a_password_are_decoded_and_not_shown() {
        let server = server("http://me%40home:p%3Ass%2F:@a").unwrap();
        assert_eq!(server.credential, Some(Credential::new("me@home", "p:ss/:")));
        assert!(!format!("{server} {server:?}").contains("ss/"));
        assert_eq!(
            "socks5://me@a".parse::<ProxyServer>().unwrap().credential,
            Some(Credential::new("me", ""))
        );
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_being_shown() {
        for text in [
            "",
            "ftp://secret",
            "http://",
            "http://:80",
            "http://secret:x",
            "http://a:0",
            "http://a:99999",
            "http://a b",
            "http://me:sec/ret@a",
            "http://me:s@ret@a",
            "http://secret/path",
            "http://a\r\nX: y",
        ] {
            let error = server(text).unwrap_err();
            assert!(!error.contains("ret") && !error.contains(char::is_control), "{error}");
            assert!(error.contains("write it as http://user:password@host:port"), "{error}");
        }
    }

    #[test]
    fn the_scheme_decides_which_variable_counts() {
        let all = [("HTTP_PROXY", "http://h"), ("https_proxy", "s:1"), ("ALL_PROXY", "socks5://x")];
        let chosen = |server: &str, variable| Some((server.to_owned(), variable));
        assert_eq!(choose(&all, "ws://a/"), chosen("http://h:80", "HTTP_PROXY"));
        assert_eq!(choose(&all, "wss://a/"), chosen("http://s:1", "https_proxy"));
        assert_eq!(choose(&all[2..], "ws://a/"), chosen("socks5://x:1080", "ALL_PROXY"));
        assert_eq!(choose(&all[..1], "wss://a/"), None);
        assert_eq!(
            choose(&[("HTTP_PROXY", ""), ("all_proxy", "x")], "ws://a/"),
            chosen("http://x:80", "all_proxy")
        );
        assert_eq!(choose(&[], "ws://a/"), None);
    }

    #[test]
    fn hosts_in_no_proxy_are_reached_directly() {
        let list = "localhost, .example.org,10.0.0.0/8 ,192.168.1.2,::1";
        let variables = [("ALL_PROXY", "http://h"), ("NO_PROXY", list)];
        for host in ["localhost", "example.org", "www.Example.org", "10.1.2.3", "192.168.1.2", "[::1]"] {
            assert_eq!(choose(&variables, &format!("wss://{host}:8443/")), None, "{host}");
        }
        for host in ["localhost.org", "notexample.org", "11.0.0.1", "192.168.1.3", "[::2]", "127.0.0.1"] {
            assert!(choose(&variables, &format!("ws://{host}/")).is_some(), "{host}");
        }
        assert_eq!(choose(&[("all_proxy", "http://h"), ("no_proxy", "*")], "ws://a/"), None);
    }

    #[test]
    fn a_cgi_program_does_not_listen_to_its_environment() {
        assert_eq!(choose(&[("HTTP_PROXY", "http://evil"), ("REQUEST_METHOD", "GET")], "ws://a/"), None);
    }

    #[test]
    fn a_variable_that_names_no_proxy_is_an_error_and_not_passed_over() {
        let get = |name: &str| (name == "HTTP_PROXY").then(|| "http://me:sec/ret@a".to_owned());
        let error = Variables::read(get).choose(&"ws://a/".parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with("the variable HTTP_PROXY has a path"), "{error}");
    }

    #[test]
    fn an_explicit_proxy_has_a_list_of_its_own() {
        let proxy = Proxy::new("http://h").unwrap().no_proxy("example.org");
        let chosen = |uri: &str| {
            let uri = uri.parse().unwrap();
            proxy.choose(&uri).unwrap().map(|(server, _)| server.to_string())
        };
        assert_eq!(chosen("ws://a/").as_deref(), Some("http://h:80"));
        assert_eq!(chosen("ws://example.org/"), None);
        assert!(Proxy::none().choose(&"ws://a/".parse().unwrap()).unwrap().is_none());
    }
}
