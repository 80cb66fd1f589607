//! Each kind of failure has its exit code, and one line that says what happened.

use std::net::TcpListener;

use wsduo::CloseCode;

use crate::support::{Ended, Folder, Server, peer, responder, run};

#[track_caller]
fn check(arguments: &[&str], input: &[u8], code: i32, said: &str) -> Ended {
    let ended = run(arguments, input);
    assert_eq!(ended.code, Some(code), "{arguments:?} {ended:?}");
    assert!(ended.stderr.contains(said), "{said:?} was expected of {arguments:?}: {ended:?}");
    assert!(ended.stderr.starts_with("wsduo: "), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    ended
}

#[test]
fn usage_is_2() {
    check(&["http://localhost/"], b"", 2, "ws://");
    check(&["ws://localhost/", "-H", "no colon"], b"", 2, "colon");
    check(&["ws://localhost/", "-H", "a b: c"], b"", 2, "header name");
    check(&["ws://localhost/", "--ca", "/no/such/file"], b"", 2, "/no/such/file");
    check(&["serve", "--listen", "127.0.0.1"], b"", 2, "port");
    check(&["serve", "--tls-cert", "/no/such/file", "--tls-key", "/no/such/file"], b"", 2, "/no/such/file");
    for arguments in [&["--no-such-option", "ws://localhost/"][..], &["connect"], &["serve", "shout"], &[]] {
        assert_eq!(run(arguments, b"").code, Some(2), "{arguments:?}");
    }
}

#[test]
fn text_that_is_not_utf8_is_2() {
    let server = Server::start(&["echo"]);
    let ended = check(&[&server.url], b"fine\n\xff\xfe\n", 2, "line 2 of the input is not UTF-8");
    assert!(ended.stderr.contains("--binary"));
    check(&[&server.url, "--max-message", "3"], b"abc\nabcd", 2, "line 2 of the input is longer");
}

#[test]
fn an_unknown_name_is_3() {
    check(&["ws://no-such-host.invalid/"], b"", 3, "no-such-host.invalid");
}

#[test]
fn a_closed_port_is_4() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    check(&[&format!("ws://{address}/")], b"", 4, "refused");
    // And one that is taken, for a server.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    check(&["serve", "--listen", &listener.local_addr().unwrap().to_string()], b"", 4, "listen");
}

#[test]
fn a_server_that_says_nothing_is_4() {
    // The system completes the connection; nobody ever accepts it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    check(&[&url, "--timeout", "200ms"], b"", 4, "200ms");
}

#[test]
fn an_untrusted_certificate_is_5() {
    let server = Server::start(&["--self-signed"]);
    assert!(server.url.starts_with("wss://"));
    let ended = check(&[&server.url], b"", 5, "TLS");
    assert!(!ended.stderr.contains("insecure"), "{ended:?}");
    let ended = run(&[&server.url, "--insecure", "-m", "x", "--count", "1"], b"");
    assert_eq!((ended.code, ended.text()), (Some(0), "x\n"), "{ended:?}");
    // One side uses wss, the other ws.
    check(&[&server.url.replace("wss", "ws")], b"", 7, "wss");
    let server = Server::start(&[]);
    check(&[&server.url.replace("ws", "wss")], b"", 5, "TLS");
}

#[test]
fn each_fault_of_a_certificate_is_5_with_a_line_of_its_own() {
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
    check(&[&url, "--ca", &trusted], b"", 5, "its certificate expired on 2001-02-03");
    let (url, trusted, _server) =
        serve(|params| params.not_before = rcgen::date_time_ymd(3000, 1, 2), "localhost");
    check(&[&url, "--ca", &trusted], b"", 5, "its certificate is not valid before 3000-01-02");
    let (url, trusted, _server) = serve(|_| {}, "other.example");
    check(&[&url, "--ca", &trusted], b"", 5, "is for \"other.example\", not for localhost");
    let (url, trusted, _server) = serve(|_| {}, "localhost");
    let ended = check(&[&url], b"", 5, "its certificate is self-signed and not trusted here");
    assert!(!ended.stderr.contains("insecure"), "{ended:?}");

    let ended = run(&["--json", &url], b"");
    let event: serde_json::Value = serde_json::from_str(ended.text().trim_end()).unwrap();
    assert_eq!(event["certificate_errors"], serde_json::json!(["Untrusted"]), "{ended:?}");

    let wrong = "00".repeat(32);
    let ended = check(&[&url, "--ca", &trusted, "--pin", &wrong], b"", 5, "its SHA-256 is ");
    let seen = ended.stderr.split("its SHA-256 is ").nth(1).unwrap();
    let ended =
        run(&[&url, "--ca", &trusted, "--pin", &wrong, "--pin", &seen[..64], "-m", "x", "--count", "1"], b"");
    assert_eq!((ended.code, ended.text()), (Some(0), "x\n"), "{ended:?}");
}

#[test]
fn a_certificate_can_be_given_and_trusted() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = Folder::new();
    let certificate = folder.write("certificate.pem", &made.cert.pem());
    let key = folder.write("key.pem", &made.signing_key.serialize_pem());
    let server = Server::start(&["--tls-cert", &certificate, "--tls-key", &key]);
    let by_name = server.url.replace("127.0.0.1", "localhost");
    let ended = run(&[&by_name, "--ca", &certificate, "-m", "x", "--count", "1"], b"");
    assert_eq!((ended.code, ended.text()), (Some(0), "x\n"), "{ended:?}");
    check(&[&server.url, "--ca", &certificate], b"", 5, "TLS");
    // And shown, to a server that does not ask for one.
    let shown = ["--cert", &certificate, "--key", &key, "--ca", &certificate, "-m", "x", "--count", "1"];
    let ended = run(&[&[&by_name[..]][..], &shown].concat(), b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    check(&[&by_name, "--cert", &certificate, "--key", "/no/such/file"], b"", 2, "--cert and --key");
}

#[test]
fn another_status_is_6_and_its_body_is_shown_escaped() {
    let url = responder(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 18\r\n\r\nno \x1b[2Jentry\nhere");
    let ended = check(&[&url], b"", 6, "403 Forbidden");
    assert!(ended.stderr.contains(r"no \u{1b}[2Jentry\nhere"), "{ended:?}");

    let url = responder(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    check(&[&url], b"", 6, "404 Not Found");

    let url = responder(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let ended = run(&["--json", &url], b"");
    let event: serde_json::Value = serde_json::from_str(ended.text().trim_end()).unwrap();
    assert_eq!((&event["event"], &event["exit_code"]), (&"error".into(), &6.into()));
    assert_eq!((&event["status"], &event["body"]), (&403.into(), &"no".into()));
}

#[test]
fn a_server_that_is_not_one_is_7() {
    check(&[&responder(b"SSH-2.0-OpenSSH_9.2\r\n")], b"", 7, "SSH");
    let ended = check(&[&responder(b"\x1b[31mgarbage\r\n\r\n")], b"", 7, "where HTTP/1.1 was expected");
    assert!(!ended.stderr.contains('\x1b'), "{ended:?}");
}

#[test]
fn a_server_that_hangs_up_is_4() {
    check(&[&responder(b"")], b"", 4, "before the opening handshake");
}

#[test]
fn a_message_over_the_limit_is_7() {
    let (tell, told) = std::sync::mpsc::channel();
    let url = peer(async move |mut socket| {
        socket.send("12345").await.unwrap();
        let _ = socket.receive().await;
        tell.send(socket.closed().unwrap().code).unwrap();
    });
    check(&[&url, "--max-message", "4"], b"", 7, "--max-message");
    assert_eq!(told.recv().unwrap(), CloseCode::TOO_BIG);
}

#[test]
fn a_connection_lost_is_8() {
    let url = peer(async |mut socket| {
        socket.send("before").await.unwrap();
    });
    let ended = check(&[&url, "--wait", "1h"], b"", 8, "without a closing handshake");
    assert_eq!(ended.text(), "before\n");
}

#[test]
fn closing_with_an_error_code_is_8_and_well_is_0() {
    let closing = |code: u16, reason: &'static str| {
        peer(async move |mut socket| {
            let _ = socket.close(CloseCode::new(code), reason).await;
        })
    };
    check(
        &[&closing(1011, "it \x1b broke"), "--wait", "1h"],
        b"",
        8,
        r"1011 (internal error): it \u{1b} broke",
    );
    check(&[&closing(4000, ""), "--wait", "1h"], b"", 8, "4000");
    for code in [1000, 1001] {
        let ended = run(&[&closing(code, "bye"), "--wait", "1h"], b"");
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    }
}

#[test]
fn secrets_are_not_shown() {
    for arguments in [
        &["-H", "Authorization: sesame", "ws://127.0.0.1:1/"][..],
        &["-H", "Authorization Bearer sesame", "ws://127.0.0.1:1/"],
        &["-H", "Authorization: sesame\u{7f}", "ws://127.0.0.1:1/"],
        &["ws://user:sesame@127.0.0.1:1/"],
        &["ws://127.0.0.1:1/?token=sesame"],
        &["--json", "ws://127.0.0.1:1/?token=sesame"],
        &["ws://127.0.0.1:1/?token=sesame#x"],
    ] {
        let ended = run(arguments, b"");
        assert_ne!(ended.code, Some(0));
        assert!(!format!("{ended:?}").contains("sesame"), "{arguments:?} {ended:?}");
    }
}
