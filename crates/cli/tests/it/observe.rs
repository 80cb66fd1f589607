//! What `serve` tells about itself: figures for Prometheus, and lines on standard error.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use wsduo::{CloseCode, MessageWebSocket, MessageWebSocketControl};

use crate::support::{LIMIT, Running, Server, block_on, command};

/// Sends these lines of a request and returns the answer.
fn http(address: &str, head: &str) -> String {
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(LIMIT)).unwrap();
    tcp.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

/// A server of figures on a free port, and its address.
fn with_metrics(arguments: &[&str]) -> (Server, String) {
    let mut server = Server::start(&[arguments, &["--metrics", "0"]].concat());
    let mut line = String::new();
    server.stdout.read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("metrics on http://").expect("the second line");
    let address = address.strip_suffix("/metrics").unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    (server, address)
}

#[test]
fn echoes_show_in_the_figures_for_prometheus() {
    let (server, address) = with_metrics(&[]);
    block_on(async {
        let mut client = MessageWebSocket::connect(&server.url).await.unwrap();
        for _ in 0..3 {
            client.send("Hello").await.unwrap();
            client.receive().await.unwrap();
        }
        client.close(CloseCode::NORMAL, "").await.unwrap();
    });
    let figures = http(&address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(figures.starts_with("HTTP/1.1 200 OK\r\n"), "{figures}");
    for line in [
        "# TYPE wsduo_connections_open gauge",
        "wsduo_connections_opened_total{role=\"server\"} 1",
        "wsduo_handshakes_total{role=\"server\",outcome=\"accepted\"} 1",
        "wsduo_messages_total{role=\"server\",direction=\"received\"} 3",
        "wsduo_messages_total{role=\"server\",direction=\"sent\"} 3",
        "wsduo_connection_duration_seconds_count{role=\"server\"} 1",
    ] {
        assert!(figures.lines().any(|it| it == line), "{line} is not in\n{figures}");
    }
}

/// The value of this line of the figures, if it is there.
fn figure(address: &str, name: &str) -> Option<u64> {
    let figures = http(address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    figures.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn messages_that_a_slow_client_misses_are_counted_by_policy() {
    const MESSAGES: u64 = 150;
    for (flag, policy) in [("drop-oldest", "drop_oldest"), ("latest", "latest_only")] {
        let (server, address) = with_metrics(&["broadcast", "--slow-consumer", flag, "--queue", "4"]);
        let name = format!("wsduo_messages_dropped_total{{policy=\"{policy}\"}}");
        let received = block_on(async {
            let mut sender = MessageWebSocket::connect(&server.url).await.unwrap();
            let mut sleeps = MessageWebSocket::connect(&server.url).await.unwrap();
            for client in [&mut sender, &mut sleeps] {
                client.ping().await.unwrap();
            }
            assert_eq!(figure(&address, &name), None);
            for number in 0..MESSAGES {
                let mut message = vec![0; 256 << 10];
                message[..8].copy_from_slice(&number.to_be_bytes());
                sender.send(message).await.unwrap();
            }
            sender.ping().await.unwrap();
            let mut received = 0;
            loop {
                let message = sleeps.receive().await.unwrap().unwrap();
                received += 1;
                if message.as_bytes().starts_with(&(MESSAGES - 1).to_be_bytes()) {
                    break received;
                }
            }
        });
        assert_eq!(figure(&address, &name), Some(MESSAGES - received), "{policy}");
    }
}

#[test]
fn pages_refused_and_clients_killed_show_in_the_figures() {
    let (server, address) = with_metrics(&["broadcast"]);
    block_on(async {
        let page = MessageWebSocketControl::new().header("origin", "https://other.example");
        assert!(page.connect(&server.url).await.is_err());
        drop(MessageWebSocket::connect(&server.url).await.unwrap());
    });
    let killed = "wsduo_connections_closed_total{role=\"server\",code=\"1006\"}";
    while figure(&address, killed).is_none() {}
    for (line, expected) in [
        (killed, 1),
        ("wsduo_handshakes_total{role=\"server\",outcome=\"invalid\"}", 1),
        ("wsduo_handshakes_total{role=\"server\",outcome=\"accepted\"}", 1),
        ("wsduo_connections_open{role=\"server\"}", 0),
    ] {
        assert_eq!(figure(&address, line), Some(expected), "{line}");
    }
}

#[test]
fn only_get_of_metrics_by_a_name_of_this_machine_is_answered() {
    let (_server, address) = with_metrics(&[]);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: localhost", "404"),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\nHost: localhost", "405"),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example", "403"),
        ("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1", "200"),
        ("nonsense", "400"),
    ] {
        let answer = http(&address, &format!("{request}\r\n\r\n"));
        assert_eq!(answer.split(' ').nth(1), Some(status), "{request}: {answer}");
    }
}

#[test]
fn verbose_tells_of_clients_on_standard_error_escaped_and_without_secrets() {
    let mut command = command();
    command.args(["serve", "-v", "--threads", "1"]).stdin(Stdio::null());
    let mut server = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim_end().strip_prefix("listening on ").unwrap();
    block_on(async {
        let control = MessageWebSocketControl::new().header("cookie", "SECRET");
        let mut client = control.connect(&format!("{url}room?token=SECRET")).await.unwrap();
        client.close(CloseCode::new(4000), "\u{1b}[2Jbye\n").await.unwrap();
    });
    let mut told = String::new();
    let mut stderr = BufReader::new(server.0.stderr.take().unwrap());
    while !told.contains("code=4000") {
        assert!(stderr.read_line(&mut told).unwrap() > 0, "{told}");
    }
    assert!(told.contains("path=/room ") && told.contains(r"\u{1b}[2Jbye\n"), "{told}");
    assert!(!told.contains('\u{1b}') && !told.contains("SECRET"), "{told}");
}

#[test]
fn nothing_in_a_request_that_is_refused_reaches_standard_error_unescaped() {
    const REST: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                        Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    let mut command = command();
    let arguments = ["serve", "broadcast", "-vv", "--threads", "1", "--allow-host", "localhost"];
    command.args(arguments).stderr(Stdio::piped());
    let mut server = Server::spawn(command);
    let mut stderr = BufReader::new(server.process.0.stderr.take().unwrap());
    for head in [
        "GET /\u{1b}[2J HTTP/1.1\r\nHost: localhost\r\n",
        "GET /\u{202e}\u{9b}2J HTTP/1.1\r\nHost: localhost\r\n",
        "GET / HTTP/1.1\r\nHost: a\u{1b}[2Jb\r\n",
        "GET / HTTP/1.1\r\nHost: a\u{9b}2Jb\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://\u{1b}[2J\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://\u{9b}2J\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nSec-WebSocket-Protocol: \u{1b}[2J\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX\u{1b}[2J: y\r\n",
        "\u{1b}[2J\u{7} / HTTP/1.1\r\nHost: localhost\r\n",
    ] {
        let answer = http(server.address(), &format!("{head}{REST}"));
        assert!(answer.starts_with("HTTP/1.1 4"), "{head:?}: {answer:?}");
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let line = line.strip_suffix('\n').unwrap();
        assert!(line.contains(" INFO ") && line.contains("error="), "{head:?}: {line:?}");
        for text in [line, answer.split("\r\n\r\n").nth(1).unwrap().trim_end()] {
            assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{head:?}: {text:?}");
        }
    }
}
