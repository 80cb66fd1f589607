//! `wsduo doctor`: the stages, and what its last line says of each failure.

use std::net::TcpListener;

use crate::support::{Ended, Folder, Server, peer, responder, run};

/// Runs the doctor: it has to end with this code, with this in its last line, and to tell nothing on standard error.
#[track_caller]
fn check(arguments: &[&str], code: i32, said: &str) -> Ended {
    let ended = run(&[&["doctor"], arguments].concat(), b"");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(code), ""), "{arguments:?} {ended:?}");
    let last = ended.text().lines().last().unwrap_or_default();
    assert!(last.contains(said), "{said:?} was expected of {arguments:?}: {}", ended.text());
    assert!(!ended.text().contains('\x1b'), "{ended:?}");
    ended
}

/// The first words of the lines.
fn stages(ended: &Ended) -> Vec<&str> {
    let stages = ended.text().lines().filter_map(|line| line.split_whitespace().next());
    stages.filter(|stage| *stage != "header").collect()
}

#[test]
fn a_connection_that_is_well_is_told_stage_by_stage() {
    let server = Server::start(&["echo", "--compress"]);
    let ended = check(&[&server.url, "--subprotocol", "a"], 0, "all is well");
    let expected = [
        "proxy",
        "resolve",
        "connect",
        "request",
        "answer",
        "extensions",
        "subprotocol",
        "ping",
        "close",
        "all",
    ];
    assert_eq!(stages(&ended), expected, "{}", ended.text());
    for line in [
        "proxy         none (neither HTTP_PROXY nor ALL_PROXY is set)",
        "answer        101 Switching Protocols in ",
        "extensions    permessage-deflate (windows 15/15, takeover both ways)",
        "subprotocol   none of those offered",
        "offering permessage-deflate, the subprotocols a",
    ] {
        assert!(ended.text().contains(line), "{line:?} was expected: {}", ended.text());
    }
}

#[test]
fn json_has_an_event_for_each_stage() {
    let server = Server::start(&["echo"]);
    let ended = check(&[&server.url, "--json"], 0, "\"verdict\"");
    let events: Vec<serde_json::Value> =
        ended.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let expected =
        ["proxy", "resolve", "connect", "request", "answer", "extensions", "ping", "close", "verdict"];
    assert_eq!(names, expected);
    assert_eq!((&events[4]["status"], &events[8]["ok"]), (&101.into(), &true.into()));
}

#[test]
fn what_cannot_be_reached_is_told_with_its_stage() {
    let ended = check(&["ws://name.invalid/"], 3, "check the name");
    assert!(stages(&ended).starts_with(&["proxy", "resolve"]), "{}", ended.text());
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended =
        check(&[&format!("ws://{gone}/")], 4, &format!("{gone} refuses connections; is the server running"));
    assert!(ended.text().contains(&format!("connect       {gone} failed after ")), "{}", ended.text());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    check(&[&format!("ws://{address}/"), "--timeout", "200ms"], 4, "does not answer the request in time");
    check(&[&format!("wss://{address}/"), "--timeout", "200ms"], 4, &format!("try ws://{address}/"));
}

#[test]
fn a_status_says_what_to_try() {
    check(&[&responder(b"HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n")], 6, "try --user");
    let ended = check(
        &[&responder(
            b"HTTP/1.1 302 x\r\nLocation: https://other.example/x?token=sesame\r\nContent-Length: 0\r\n\r\n",
        )],
        6,
        "to wss://other.example/x?…; connect there, or follow it by --redirects",
    );
    assert!(!ended.text().contains("sesame"), "{}", ended.text());
    check(&[&responder(b"HTTP/1.1 426 x\r\nContent-Length: 0\r\n\r\n")], 6, "Upgrade");
    let url = responder(b"HTTP/1.1 404 x\r\nSet-Cookie: sesame\r\nContent-Length: 6\r\n\r\nno\x1b[2J");
    let ended = check(&[&format!("{url}chat?token=sesame")], 6, "there is nothing at /chat; check the path");
    assert!(ended.text().contains(r#"body        "no\u{1b}[2J""#), "{}", ended.text());
    assert!(!ended.text().contains("sesame"), "{}", ended.text());
}

#[test]
fn the_wrong_scheme_is_told_with_the_right_url() {
    let secure = Server::start(&["--self-signed"]);
    let plain = secure.url.replace("wss", "ws");
    check(&[&plain], 7, &format!("the port speaks TLS; try {}", secure.url));
    let server = Server::start(&[]);
    let wrong = server.url.replace("ws", "wss");
    check(&[&wrong], 5, &format!("the port does not speak TLS; try {}", server.url));
}

#[test]
fn a_bad_certificate_is_shown_and_its_fault_named() {
    let folder = Folder::new();
    let serve = |change: fn(&mut rcgen::CertificateParams), name: &str| {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = folder.write("certificate.pem", &params.self_signed(&key).unwrap().pem());
        let key = folder.write("key.pem", &key.serialize_pem());
        let server = Server::start(&["--tls-cert", &certificate, "--tls-key", &key]);
        (server.url.replace("127.0.0.1", "localhost"), certificate, server)
    };
    let (url, trusted, _server) = serve(
        |params| {
            params.not_before = rcgen::date_time_ymd(2000, 1, 1);
            params.not_after = rcgen::date_time_ymd(2001, 2, 3);
        },
        "localhost",
    );
    let ended = check(&[&url, "--ca", &trusted], 5, "the certificate expired on 2001-02-03; renew it");
    let shown = "valid 2000-01-01 to 2001-02-03, names localhost: expired";
    assert!(ended.text().contains(shown), "{}", ended.text());
    assert!(!stages(&ended).contains(&"request"), "{}", ended.text());
    let (url, trusted, _server) = serve(|_| {}, "other.example");
    let said = "the certificate is not for localhost but for other.example; connect by a name";
    check(&[&url, "--ca", &trusted], 5, said);
    let (url, trusted, _server) = serve(|_| {}, "localhost");
    check(&[&url], 5, "--ca FILE");
    let ended = check(&[&url, "--ca", &trusted], 0, "all is well");
    assert!(stages(&ended).contains(&"TLS") && stages(&ended).contains(&"certificate"), "{}", ended.text());
    check(&[&url, "--insecure"], 0, "the certificate was not checked");
}

#[test]
fn a_proxy_that_wants_a_name_is_told() {
    let proxy =
        responder(b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"r\"\r\nContent-Length: 0\r\n\r\n");
    let address = proxy.trim_start_matches("ws://").trim_end_matches('/');
    let said = format!("try --proxy http://NAME:PASSWORD@{address}");
    let ended = check(&["ws://server.example/", "--proxy", address], 4, &said);
    let expected = format!("proxy         http://{address} (the setting)");
    assert!(ended.text().starts_with(&expected), "{}", ended.text());
}

#[test]
fn a_server_that_answers_no_ping_is_told() {
    let url = peer(async |_socket| std::future::pending().await);
    check(&[&url, "--connect-timeout", "2s"], 4, "the server answers no ping");
}
