//! The headers of a request by which a server decides who may enter. The first byte of the input is settings and
//! who connects; each line behind it is a header.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use wsduo::{ForwardedHeader, MessageWebSocketControl, RequestControl, fuzzing, upgrade};
use wsduo_proto::handshake::Request;

/// One of the addresses that are trusted, and one that is not.
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

const ORIGINS: [&str; 2] = ["https://app.example:8443", "null"];
const HOSTS: [&str; 2] = ["example.org", "[2001:db8::7]:8080"];

/// What the server around knows.
#[derive(Clone, Copy)]
struct Settings {
    forwarded: bool,
    origins: bool,
    hosts: bool,
    require_subprotocol: bool,
    has_tls: bool,
    on_loopback: bool,
    by_proxy: bool,
}

/// Checks that a stranger is not believed and that what a trusted proxy adds counts whatever is in front of it; that a page
/// enters where the naive rules say so; that credentials are those that were sent; that what another HTTP server has read is
/// judged alike, and answered or refused in good form.
pub fn run(data: &[u8]) {
    let Some((&bits, lines)) = data.split_first() else { return };
    let bit = |at: u8| bits & 1 << at != 0;
    let settings = Settings {
        forwarded: bit(0),
        origins: bit(1),
        hosts: bit(2),
        require_subprotocol: bit(3),
        has_tls: bit(4),
        on_loopback: bit(5),
        by_proxy: bit(6),
    };
    let headers = headers(lines);
    let control = settings.control();
    check_told(settings, &control, &headers);
    check_credentials(&headers);
    if let Ok(request) = Request::from_head(&Method::GET, &Uri::from_static("/"), Version::HTTP_11, &headers)
    {
        check_page(settings, &control, &request);
    }
    check_upgrade(&control, &headers);
}

impl Settings {
    fn control(self) -> RequestControl {
        let mut control = RequestControl::new().trust_proxies(["10.0.0.0/8", "::1"]).expect("good networks");
        if self.forwarded {
            control = control.forwarded_header(ForwardedHeader::Forwarded);
        }
        if self.origins {
            control = ORIGINS.into_iter().fold(control, RequestControl::allow_origin);
        }
        if self.hosts {
            control = HOSTS.into_iter().fold(control, RequestControl::allow_host);
        }
        if self.require_subprotocol { control.require_subprotocol() } else { control }
    }

    fn peer(self) -> IpAddr {
        if self.by_proxy { PROXY } else { CLIENT }
    }
}

/// A request that is in order but for these lines.
fn headers(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for line in lines.split(|&byte| byte == b'\n') {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            let _ = headers.try_append(name, value);
        }
    }
    headers.entry(HOST).or_insert(HeaderValue::from_static("example.org"));
    headers
}

fn check_told(settings: Settings, control: &RequestControl, headers: &HeaderMap) {
    let nothing = fuzzing::Told { client: Some(CLIENT), by_proxy: false, host: None, is_secure: false };
    assert_eq!(fuzzing::told(control, Some(CLIENT), headers), nothing, "a stranger is not believed");
    let told = fuzzing::told(control, Some(PROXY), headers);
    assert!(told.by_proxy && told.client.is_some());

    // However the proxy adds what it knows: to the last line, or as one more.
    let (name, element) = if settings.forwarded {
        ("forwarded", "for=198.51.100.7;host=proxied.example;proto=https")
    } else {
        ("x-forwarded-for", "198.51.100.7")
    };
    let name = HeaderName::from_static(name);
    let mut lines: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
    let joined = lines.pop().map(|last| [last.as_bytes(), b", ", element.as_bytes()].concat());
    let joined = joined.unwrap_or_else(|| element.into());
    let mut appended = headers.clone();
    appended.append(&name, HeaderValue::from_static(element));
    let mut extended = headers.clone();
    extended.remove(&name);
    for line in lines {
        extended.append(&name, line);
    }
    extended.append(&name, HeaderValue::from_bytes(&joined).expect("a good value"));
    for mut headers in [appended, extended] {
        if !settings.forwarded {
            headers.append("x-forwarded-host", HeaderValue::from_static("proxied.example"));
            headers.append("x-forwarded-proto", HeaderValue::from_static("https"));
        }
        let expected = fuzzing::Told {
            client: Some(CLIENT),
            by_proxy: true,
            host: Some("proxied.example".into()),
            is_secure: true,
        };
        assert_eq!(fuzzing::told(control, Some(PROXY), &headers), expected, "a proxy is believed");
    }
}

fn check_credentials(headers: &HeaderMap) {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().map(HeaderValue::as_bytes);
    let is_alone = values.next().is_none();
    if let Some((user, password)) = fuzzing::basic(headers) {
        let value = value.expect("a header");
        let said = STANDARD.encode(format!("{user}:{password}"));
        assert!(is_alone && !user.contains(':'));
        assert!(value.ends_with(said.as_bytes()) || value.trim_ascii_end().ends_with(said.as_bytes()));
        assert!(value[..6].eq_ignore_ascii_case(b"basic "));
        assert_eq!(fuzzing::bearer(headers), None);
    }
    if let Some(token) = fuzzing::bearer(headers) {
        let value = value.expect("a header");
        assert!(is_alone && !token.starts_with(' ') && !token.ends_with(' '));
        assert!(
            value[..7].eq_ignore_ascii_case(b"bearer ") && value.trim_ascii_end().ends_with(token.as_bytes())
        );
    }
}

fn check_page(settings: Settings, control: &RequestControl, request: &Request) {
    let told = fuzzing::told(control, Some(settings.peer()), &request.headers);
    let host = told.host.clone().unwrap_or_else(|| request.host.clone());
    let is_secure = settings.has_tls || told.is_secure;
    let on_loopback = settings.on_loopback && !told.by_proxy;
    let origin = request.headers.get(ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()));

    let names_this_machine = on_loopback && is_of_this_machine(&host);
    let is_listed_host = is_one_of(&host, &HOSTS, |listed, host| {
        // With a port, that port; without one, any.
        host == listed || (host_and_port(&listed).1.is_none() && host_and_port(&host).0 == listed)
    });
    let may_be_called = !settings.hosts || names_this_machine || is_listed_host;
    let may_enter = match origin.as_deref() {
        None => may_be_called,
        Some(origin)
            if settings.origins && is_one_of(origin, &ORIGINS, |listed, origin| listed == origin) =>
        {
            may_be_called
        }
        Some(origin) => {
            let is_called_well = settings.hosts || !on_loopback || names_this_machine;
            may_be_called && is_called_well && is_same(origin, &host, is_secure)
        }
    };
    match fuzzing::check_page(control, request, settings.has_tls, settings.on_loopback, told) {
        Ok(()) => assert!(may_enter, "{origin:?} entered {host:?}"),
        Err(error) => {
            assert!(!may_enter, "{origin:?} did not enter {host:?}: {error}");
            let text = error.to_string();
            assert!(text.len() < 1_500 && !text.chars().any(char::is_control), "{text:?}");
        }
    }
}

fn is_one_of(text: &str, list: &[&str], is: impl Fn(String, String) -> bool) -> bool {
    list.iter().any(|listed| is((*listed).to_owned(), text.to_ascii_lowercase()))
}

/// The host without the dot behind it, and the text behind its colon.
fn host_and_port(text: &str) -> (&str, Option<&str>) {
    let end = text.find(']').map_or(0, |at| at);
    let (host, port) = match text[end..].find(':') {
        Some(at) => (&text[..end + at], Some(&text[end + at + 1..])),
        None => (text, None),
    };
    (host.trim_end_matches('.'), port)
}

fn is_of_this_machine(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let (name, _) = host_and_port(&host);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let labels: Vec<&str> = name.split('.').collect();
    labels.last() == Some(&"localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| match address {
            IpAddr::V4(address) => address.octets()[0] == 127,
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => address.octets()[0] == 127,
                None => address.is_loopback(),
            },
        })
}

/// By the tuple of RFC 6454 §5: scheme, host, port.
fn is_same(origin: &str, host: &str, is_secure: bool) -> bool {
    let origin = origin.to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    let (authority, default) = match (origin.strip_prefix("http://"), origin.strip_prefix("https://")) {
        (Some(authority), _) if !is_secure => (authority, "80"),
        (_, Some(authority)) => (authority, "443"),
        _ => return false,
    };
    let parts = |text: &str| match text.rsplit_once(':') {
        Some((host, port)) if port == default => host.to_owned(),
        _ => text.to_owned(),
    };
    !authority.is_empty() && parts(authority) == parts(&host)
}

/// The same request, read by another HTTP server.
fn check_upgrade(control: &RequestControl, headers: &HeaderMap) {
    let mut request = http::Request::get("/").body(()).expect("a good request");
    *request.headers_mut() = headers.clone();
    let settings = MessageWebSocketControl::new().subprotocols(["chat", "superchat"]);
    let accepted = upgrade::detached(&request, control).and_then(|request| {
        let offered = request.subprotocols().to_vec();
        let (response, _) = request.accept_message::<String>(&settings)?;
        Ok((offered, response))
    });
    match accepted {
        Ok((offered, response)) => {
            assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
            if let Some(chosen) = response.headers().get("sec-websocket-protocol") {
                let chosen = chosen.to_str().expect("a token");
                assert!(["chat", "superchat"].contains(&chosen) && offered.iter().any(|it| it == chosen));
            }
        }
        Err(refusal) => {
            let text = refusal.error().to_string();
            assert!(!text.chars().any(char::is_control), "{text:?}");
            let status = refusal.status().as_u16();
            assert!([400, 403, 405, 426, 505].contains(&status), "{status}: {text}");
            let response = refusal.into_response::<String>();
            let body = response.body().trim_end_matches('\n');
            assert!(body.len() < 2_000 && !body.chars().any(char::is_control), "{body:?}");
        }
    }
}
