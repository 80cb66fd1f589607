//! Whom `serve` lets in: what is refused, with which status and words, by the flags that say so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use crate::support::{LIMIT, Server, command, run};

/// A request for a WebSocket with these headers, among them the host: the status, the words of a refusal, and the connection.
fn ask(server: &Server, headers: &str) -> (u16, String, TcpStream) {
    ask_after(server, b"", headers)
}

/// The same, with some bytes before the request.
fn ask_after(server: &Server, first: &[u8], headers: &str) -> (u16, String, TcpStream) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n\r\n"
    );
    stream.write_all(&[first, request.as_bytes()].concat()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "no answer");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).expect(&head).parse().unwrap();
    let mut words = String::new();
    if status != 101 {
        stream.read_to_string(&mut words).unwrap();
    }
    (status, words, stream)
}

fn check(server: &Server, headers: &str, status: u16, words: &str) {
    let (its_status, its_words, _) = ask(server, headers);
    assert_eq!((its_status, its_words.trim_end()), (status, words), "{headers}");
}

#[test]
fn pages_of_other_origins_are_told_why_they_are_refused() {
    let server = Server::start(&["broadcast", "--allow-origin", "https://app.example"]);
    check(&server, "Host: localhost\r\nOrigin: https://app.example", 101, "");
    check(
        &server,
        "Host: localhost\r\nOrigin: https://app.example:8443",
        403,
        "pages of the origin https://app.example:8443 may not connect here; the server has to allow it",
    );
    // No browser.
    check(&server, "Host: localhost", 101, "");
}

#[test]
fn a_server_answers_to_the_hosts_that_it_was_given_alone() {
    let server = Server::start(&["--allow-host", "app.example", "--allow-host", "api.example:8443"]);
    for host in ["app.example", "APP.example:8080", "api.example:8443", "localhost", "127.0.0.1:1"] {
        check(&server, &format!("Host: {host}"), 101, "");
    }
    for host in ["other.example", "api.example", "app.example.other.example"] {
        let words = format!("this server may not be called by the host {host}; the server has to allow it");
        check(&server, &format!("Host: {host}"), 403, &words);
    }
}

#[test]
fn a_page_of_a_name_pointed_at_this_machine_is_refused_unless_any_host_is_allowed() {
    let page = "Host: evil.example:8080\r\nOrigin: http://evil.example:8080";
    let server = Server::start(&["broadcast"]);
    let words = "this server may not be called by the host evil.example:8080; the server has to allow it";
    check(&server, page, 403, words);
    check(&Server::start(&["broadcast", "--allow-host", "*"]), page, 101, "");
}

#[test]
fn an_address_has_so_many_connections_and_the_next_gets_a_503() {
    let server = Server::start(&["--max-connections-per-address", "2"]);
    let open: Vec<_> = (0..2).map(|_| ask(&server, "Host: localhost")).collect();
    assert!(open.iter().all(|(status, ..)| *status == 101));
    let (status, words, _) = ask(&server, "Host: localhost");
    let expected = "your address has as many connections open as it may have, 2; try again in 10 seconds";
    assert_eq!((status, words.trim_end()), (503, expected));
    drop(open);
    // Once the server has seen that they are gone.
    while ask(&server, "Host: localhost").0 != 101 {}
}

#[test]
fn what_a_proxy_tells_of_the_client_counts_only_if_it_is_trusted() {
    let of = |address: &str| format!("Host: localhost\r\nX-Forwarded-For: {address}");
    let behind = |flags: &[&str]| {
        let server = Server::start(&[&["--max-connections-per-address", "1"], flags].concat());
        let open: Vec<_> =
            ["192.0.2.1", "192.0.2.2", "192.0.2.1"].iter().map(|it| ask(&server, &of(it))).collect();
        open.iter().map(|(status, ..)| *status).collect::<Vec<_>>()
    };
    assert_eq!(behind(&["--trust-proxy", "127.0.0.0/8"]), [101, 101, 503]);
    assert_eq!(behind(&["--trust-proxy", "10.0.0.0/8"]), [101, 503, 503]);
    assert_eq!(behind(&[]), [101, 503, 503]);

    let page = "Host: backend:8080\r\nX-Forwarded-Host: app.example\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-For: 192.0.2.1\r\nOrigin: https://app.example";
    check(&Server::start(&["broadcast", "--trust-proxy", "127.0.0.1"]), page, 101, "");
    assert_eq!(ask(&Server::start(&["broadcast"]), page).0, 403);
}

#[test]
fn the_proxy_protocol_tells_the_address_of_the_client() {
    let mut command = command();
    command.args(["serve", "-v", "--threads", "1", "--proxy-protocol", "127.0.0.1"]).stderr(Stdio::piped());
    let mut server = Server::spawn(command);
    let mut stderr = BufReader::new(server.process.0.stderr.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        line
    };
    let mut version_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    version_2.extend([192, 0, 2, 8, 192, 0, 2, 1, 0x10, 0, 0, 80]);
    for (header, peer) in [
        (&b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n"[..], "peer=192.0.2.7:4711 "),
        (&version_2, "peer=192.0.2.8:4096 "),
    ] {
        let (status, _, connection) = ask_after(&server, header, "Host: localhost");
        assert_eq!(status, 101);
        let line = next();
        assert!(line.contains(peer), "{line}");
        drop(connection);
        assert!(next().contains("code=1006"));
    }
    // A client that came around the proxy.
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{:?}", String::from_utf8_lossy(&answer));
    let line = next();
    assert!(line.contains("PROXY"), "{line}");
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_served_and_taken_away_in_the_end() {
    use crate::support::Folder;

    let folder = Folder::new();
    let path = folder.path("socket");
    let echo = || {
        let ended = run(&["--unix-socket", &path, "ws://localhost/", "-m", "Hello", "--count", "1"], b"");
        assert_eq!((ended.code, ended.text()), (Some(0), "Hello\n"), "{ended:?}");
    };
    let mut server = Server::start(&["--unix", &path]);
    assert_eq!(server.url, format!("ws+unix://{path}"));
    echo();
    let second = run(&["serve", "--unix", &path], b"");
    let words = format!("wsduo: {path}: cannot listen on this address: ");
    assert!(second.stderr.starts_with(&words) && second.stderr.lines().count() == 1, "{second:?}");
    assert_eq!(second.code, Some(4), "{second:?}");
    echo();
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.process.wait(), Some(0));
    assert!(!std::fs::exists(&path).unwrap());

    // What a server that was killed left there is in nobody's way.
    drop(Server::start(&["--unix", &path]));
    assert!(std::fs::exists(&path).unwrap());
    let _server = Server::start(&["--unix", &path]);
    echo();
}

#[test]
fn values_that_make_no_sense_are_refused_in_a_line_that_says_what_to_write() {
    for (flags, words) in [
        (&["--listen", "localhost"][..], r#"wsduo: --listen "localhost" has no port; write HOST:PORT"#),
        (&["--listen", ":80"], r#"wsduo: --listen ":80" has no host; 0.0.0.0 and [::] are all addresses"#),
        (
            &["--listen", "192.0.2.1:1"],
            "wsduo: 192.0.2.1:1: cannot listen on this address: the address is not one",
        ),
        (&["--metrics", "192.0.2.1:1"], "wsduo: cannot listen on 192.0.2.1:1 for --metrics: "),
        (
            &["--metrics", "soon"],
            "error: invalid value 'soon' for '--metrics <[HOST:]PORT>': write PORT or HOST:PORT",
        ),
        (
            &["--metrics", ":9100"],
            "error: invalid value ':9100' for '--metrics <[HOST:]PORT>': write PORT or HOST:PORT",
        ),
        (
            &["--threads", "0"],
            "error: invalid value '0' for '--threads <N>': write a whole number from 1 to 1024",
        ),
        (
            &["--max-connections-per-address", "few"],
            "error: invalid value 'few' for '--max-connections-per-address <N>': write a whole number from 1",
        ),
        (
            &["--allow-origin", "app.example"],
            r#"wsduo: --allow-origin "app.example" is no origin; write https://HOST"#,
        ),
        (
            &["--allow-origin", "https://app.example/"],
            r#"wsduo: --allow-origin "https://app.example/" is no origin; "#,
        ),
        (
            &["--allow-origin", "https://*.example"],
            r#"wsduo: --allow-origin "https://*.example" is no origin; "#,
        ),
        (
            &["--allow-host", "http://a/"],
            r#"wsduo: --allow-host "http://a/" is no host; write HOST, HOST:PORT, or *"#,
        ),
        (&["--trust-proxy", "lan"], r#"wsduo: --trust-proxy: "lan" is no network; write 10.0.0.0/8, "#),
        (&["--proxy-protocol", "lan"], r#"wsduo: --proxy-protocol: "lan" is no network; write 10.0.0.0/8, "#),
        (&["--unix", "/nowhere/socket"], "wsduo: /nowhere/socket: cannot listen on this address: "),
    ] {
        if cfg!(not(unix)) && flags[0] == "--unix" {
            continue;
        }
        let ended = run(&[&["serve"], flags].concat(), b"");
        assert!(ended.stderr.starts_with(words), "{flags:?}: {ended:?}");
        assert!(matches!(ended.code, Some(1 | 2 | 4)) && ended.stdout.is_empty(), "{flags:?}: {ended:?}");
        // clap adds where to find help.
        let lines = ended.stderr.trim_end().strip_suffix("\n\nFor more information, try '--help'.");
        assert_eq!(lines.unwrap_or(&ended.stderr).lines().count(), 1, "{flags:?}: {ended:?}");
    }
}
