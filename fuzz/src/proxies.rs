//! What proxies say: the answers of SOCKS proxies to a client, and the header of the PROXY protocol to a server. The first
//! byte of the input says which, and what is asked for; the others are what the proxy sends.

use std::net::{IpAddr, SocketAddr};

use wsduo::{Credential, fuzzing};

use crate::scripted::{Scripted, block_on};
use crate::splits;

const HOSTS: [&str; 3] = ["server.example.com", "192.0.2.7", "2001:db8::7"];
const PORT: u16 = 443;
const USER: &str = "ada";
const PASSWORD: &str = "sesame";

/// Checks that the outcome does not depend on how the bytes are cut up and is what the naive reader says, that none behind an
/// answer or header is consumed, that a client says no more than it has to, and that an error can be printed.
pub fn run(data: &[u8]) {
    let Some((&settings, sent)) = data.split_first() else { return };
    let bits = usize::from(settings);
    if bits & 1 == 0 {
        check_header(sent);
    } else {
        let version = if bits & 2 == 0 { 4 } else { 5 };
        check_socks(version, HOSTS[(bits >> 3) % 3], bits & 4 != 0, sent);
    }
}

fn check_socks(version: u8, host: &str, knows_password: bool, sent: &[u8]) {
    let credential = knows_password.then(|| Credential::new(USER, PASSWORD));
    let outcome = |pieces: &[&[u8]]| {
        let mut transport = Scripted::new(pieces);
        let result = block_on(fuzzing::socks(&mut transport, version, host, PORT, credential.as_ref()));
        (result.map_err(|error| error.to_string()), sent.len() - transport.unread(), transport.written)
    };
    let whole = outcome(&[sent]);
    for pieces in splits::ways(sent) {
        assert_eq!(outcome(&pieces), whole, "cut into pieces");
    }

    let (result, consumed, written) = whole;
    let expected = match (version, host.contains(':')) {
        (4, true) => None,
        (4, false) => socks4_answer(sent),
        _ => socks5_answer(sent, knows_password),
    };
    assert_eq!(result.is_ok().then_some(consumed), expected, "{result:?}");
    if let Err(text) = &result {
        assert!(!text.chars().any(char::is_control) && !text.contains(PASSWORD), "{text:?}");
    }
    let all = match version {
        4 => socks4_request(host, knows_password),
        _ => socks5_requests(host, knows_password, sent.get(1) == Some(&2)),
    };
    assert!(all.starts_with(&written), "{written:?}");
    assert!(result.is_err() || written == all, "{written:?}");
}

/// How long the answer is, if it is a good one: version zero, 90, an address.
fn socks4_answer(sent: &[u8]) -> Option<usize> {
    (sent.len() >= 8 && sent.starts_with(&[0, 90])).then_some(8)
}

fn socks4_request(host: &str, knows_password: bool) -> Vec<u8> {
    let user = if knows_password { USER } else { "" };
    let [high, low] = PORT.to_be_bytes();
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            [&[4, 1, high, low], &address.octets()[..], user.as_bytes(), b"\0"].concat()
        }
        Ok(IpAddr::V6(_)) => Vec::new(),
        Err(_) => [&[4, 1, high, low, 0, 0, 0, 1], user.as_bytes(), b"\0", host.as_bytes(), b"\0"].concat(),
    }
}

/// How long the answers are, if all are good ones: the method, the judgement of the password, the address.
fn socks5_answer(sent: &[u8], knows_password: bool) -> Option<usize> {
    let login = match sent {
        [5, 0, ..] => 2,
        [5, 2, _, 0, ..] if knows_password => 4,
        _ => return None,
    };
    let address = match sent.get(login..)? {
        [5, 0, _, 1, ..] => 4,
        [5, 0, _, 4, ..] => 16,
        [5, 0, _, 3, len, ..] => 1 + usize::from(*len),
        _ => return None,
    };
    let len = login + 4 + address + 2;
    (sent.len() >= len).then_some(len)
}

fn socks5_requests(host: &str, knows_password: bool, asks: bool) -> Vec<u8> {
    let mut all = if knows_password { vec![5, 2, 0, 2] } else { vec![5, 1, 0] };
    if knows_password && asks {
        all.extend([&[1, 3], USER.as_bytes(), &[6], PASSWORD.as_bytes()].concat());
    }
    all.extend([5, 1, 0]);
    match host.parse() {
        Ok(IpAddr::V4(address)) => all.extend([&[1], &address.octets()[..]].concat()),
        Ok(IpAddr::V6(address)) => all.extend([&[4], &address.octets()[..]].concat()),
        Err(_) => all.extend([&[3, 18], host.as_bytes()].concat()),
    }
    all.extend(PORT.to_be_bytes());
    all
}

fn check_header(sent: &[u8]) {
    let outcome = |pieces: &[&[u8]]| {
        let mut transport = Scripted::new(pieces);
        let result = block_on(fuzzing::proxy_header(&mut transport));
        assert!(transport.written.is_empty());
        (result.map_err(|error| error.to_string()), sent.len() - transport.unread())
    };
    let whole = outcome(&[sent]);
    for pieces in splits::ways(sent) {
        assert_eq!(outcome(&pieces), whole, "cut into pieces");
    }
    match whole {
        (Ok(told), consumed) => {
            let header = &sent[..consumed];
            if let Some(line) = header.strip_suffix(b"\r\n").filter(|line| line.starts_with(b"PROXY ")) {
                assert!(consumed <= 107 && !line.contains(&b'\n'));
                assert_eq!(told, line_addresses(line));
            } else {
                assert_eq!(told, binary_addresses(header).expect("a good header"));
            }
        }
        (Err(text), consumed) => {
            assert!(!text.chars().any(char::is_control), "{text:?}");
            assert!(consumed <= 16 + 2048);
            assert_eq!(binary_addresses(sent), None, "{text}");
        }
    }
}

type Addresses = (SocketAddr, SocketAddr);

/// Version 1: what a good line says; panics if it is none.
fn line_addresses(line: &[u8]) -> Option<Addresses> {
    // Whatever is behind that has no meaning.
    if line.starts_with(b"PROXY UNKNOWN") {
        return None;
    }
    let text = std::str::from_utf8(line).expect("a good line");
    let words: Vec<&str> = text.split(' ').collect();
    let [_, "TCP4" | "TCP6", source, destination, from, to] = words[..] else {
        panic!("not a good line: {text:?}");
    };
    let address = |ip: &str, port: &str| -> SocketAddr {
        let ip: IpAddr = ip.parse().expect("an address");
        assert_eq!(ip.is_ipv4(), words[1] == "TCP4");
        SocketAddr::new(ip, port.parse().expect("a port"))
    };
    Some((address(source, from), address(destination, to)))
}

/// Version 2: what the header at the beginning says, if it is a good one whose kind of addresses is known.
fn binary_addresses(sent: &[u8]) -> Option<Option<Addresses>> {
    let rest = sent.strip_prefix(b"\r\n\r\n\0\r\nQUIT\n")?;
    let [command, family, high, low, rest @ ..] = rest else { return None };
    let rest = rest.get(..usize::from(u16::from_be_bytes([*high, *low])))?;
    if rest.len() > 2048 {
        return None;
    }
    match (command, family) {
        (0x20, _) | (0x21, 0) => Some(None),
        (0x21, 0x11 | 0x12) => {
            let addresses = rest.get(..12)?;
            let ip = |at: usize| -> [u8; 4] { addresses[at..at + 4].try_into().expect("four bytes") };
            Some(Some((
                SocketAddr::from((ip(0), port(addresses, 8))),
                SocketAddr::from((ip(4), port(addresses, 10))),
            )))
        }
        (0x21, 0x21 | 0x22) => {
            let addresses = rest.get(..36)?;
            let ip = |at: usize| -> [u8; 16] { addresses[at..at + 16].try_into().expect("sixteen bytes") };
            Some(Some((
                SocketAddr::from((ip(0), port(addresses, 32))),
                SocketAddr::from((ip(16), port(addresses, 34))),
            )))
        }
        (0x21, 0x31 | 0x32) => rest.get(..216).map(|_| None),
        _ => None,
    }
}

fn port(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
