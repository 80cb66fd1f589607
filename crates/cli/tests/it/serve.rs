//! The servers, seen by clients of the library.

use wsduo::http::StatusCode;
use wsduo::{CloseCode, ErrorKind, Message, MessageWebSocket, MessageWebSocketControl};

use crate::support::{Server, block_on, run};

#[cfg(unix)]
#[test]
fn signals_close_every_client_with_1001_and_end_well() {
    use rustix::process::Signal;

    for (kind, signal) in [("echo", Signal::TERM), ("echo", Signal::INT), ("broadcast", Signal::TERM)] {
        let mut server = Server::start(&[kind]);
        block_on(async {
            let mut clients = Vec::new();
            for _ in 0..3 {
                let mut client = MessageWebSocket::connect(&server.url).await.unwrap();
                client.ping().await.unwrap();
                clients.push(client);
            }
            server.signal(signal);
            for client in &mut clients {
                assert_eq!(client.receive().await.unwrap(), None);
                assert_eq!(client.closed().unwrap().code, CloseCode::GOING_AWAY);
            }
        });
        assert_eq!(server.process.wait(), Some(0));
    }
}

#[cfg(unix)]
#[test]
fn a_client_that_does_not_answer_does_not_keep_the_server() {
    use rustix::process::Signal;

    let mut server = Server::start(&[]);
    block_on(async {
        let mut client = MessageWebSocket::connect(&server.url).await.unwrap();
        client.ping().await.unwrap();
        server.signal(Signal::TERM);
        // It neither reads nor goes away.
        assert_eq!(server.process.wait(), Some(0));
        drop(client);
    });
}

#[test]
fn broadcast_goes_to_all_others() {
    let server = Server::start(&["broadcast"]);
    block_on(async {
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = MessageWebSocket::connect(&server.url).await.unwrap();
            // Answered, so it takes part.
            client.ping().await.unwrap();
            clients.push(client);
        }
        clients[0].send("from 0").await.unwrap();
        for client in &mut clients[1..] {
            assert_eq!(client.receive().await.unwrap(), Some(Message::from("from 0")));
        }
        clients[1].send(&[1]).await.unwrap();
        for client in [0, 2] {
            assert_eq!(clients[client].receive().await.unwrap(), Some(Message::from([1].as_slice())));
        }
    });
}

#[test]
fn broadcast_lets_go_of_who_does_not_follow() {
    const MESSAGES: usize = 100;
    let server = Server::start(&["broadcast"]);
    block_on(async {
        let mut sender = MessageWebSocket::connect(&server.url).await.unwrap();
        let mut follows = MessageWebSocket::connect(&server.url).await.unwrap();
        let mut sleeps = MessageWebSocket::connect(&server.url).await.unwrap();
        for client in [&mut sender, &mut follows, &mut sleeps] {
            client.ping().await.unwrap();
        }
        let sending = async {
            for _ in 0..MESSAGES {
                sender.send(vec![0; 256 << 10]).await.unwrap();
            }
        };
        let following = async {
            for _ in 0..MESSAGES {
                assert_eq!(follows.receive().await.unwrap().unwrap().len(), 256 << 10);
            }
        };
        tokio::join!(sending, following);
        let ended = loop {
            match sleeps.receive().await {
                Ok(Some(_)) => {}
                ended => break ended,
            }
        };
        assert_eq!(ended.unwrap(), None);
        assert_eq!(sleeps.closed().unwrap().code, CloseCode::TRY_AGAIN_LATER);
    });
}

#[test]
fn broadcast_does_with_slow_clients_what_it_is_told() {
    const MESSAGES: u32 = 150;
    for (policy, is_let_go) in [("drop-oldest", false), ("latest", false), ("disconnect", true)] {
        let server = Server::start(&["broadcast", "--slow-consumer", policy, "--queue", "4"]);
        block_on(async {
            let mut sender = MessageWebSocket::connect(&server.url).await.unwrap();
            let mut sleeps = MessageWebSocket::connect(&server.url).await.unwrap();
            for client in [&mut sender, &mut sleeps] {
                client.ping().await.unwrap();
            }
            for number in 0..MESSAGES {
                let mut message = vec![0; 256 << 10];
                message[..4].copy_from_slice(&number.to_be_bytes());
                sender.send(message).await.unwrap();
            }
            // All of it has been published.
            sender.ping().await.unwrap();
            let mut got = Vec::new();
            let ended = loop {
                match sleeps.receive().await.unwrap() {
                    Some(message) => {
                        got.push(u32::from_be_bytes(*message.as_bytes().first_chunk().unwrap()));
                        if got.last() == Some(&(MESSAGES - 1)) {
                            break false;
                        }
                    }
                    None => break true,
                }
            };
            assert_eq!(ended, is_let_go, "{policy}");
            assert!(got.is_sorted() && got.len() < MESSAGES as usize, "{policy}: {got:?}");
            if is_let_go {
                assert_eq!(sleeps.closed().unwrap().code, CloseCode::TRY_AGAIN_LATER);
            }
        });
    }
}

#[test]
fn a_message_over_the_limit_is_answered_with_1009() {
    for kind in ["echo", "broadcast"] {
        let server = Server::start(&[kind, "--max-message", "100"]);
        let ended = run(&[&server.url, "-m", &"x".repeat(101), "--wait", "1h"], b"");
        assert_eq!(ended.code, Some(8), "{ended:?}");
        assert!(ended.stderr.contains("1009"), "{ended:?}");
    }
    let server = Server::start(&["--max-message", "100"]);
    let ended = run(&[&server.url, "-m", &"x".repeat(100), "--count", "1"], b"");
    assert_eq!((ended.code, ended.stdout.len()), (Some(0), 101), "{ended:?}");
}

#[test]
fn further_clients_wait_for_a_place() {
    let server = Server::start(&["--max-connections", "1"]);
    block_on(async {
        let mut first = MessageWebSocket::connect(&server.url).await.unwrap();
        let second = MessageWebSocket::connect(&server.url);
        tokio::pin!(second);
        tokio::select! {
            _ = &mut second => panic!("there was no place"),
            pong = first.ping() => assert!(pong.is_ok()),
        }
        first.close(CloseCode::NORMAL, "").await.unwrap();
        second.await.unwrap();
    });
}

#[test]
fn pages_of_other_origins_may_use_echo_and_not_broadcast() {
    let may_connect = |server: &[&str], origin: &str| {
        let server = Server::start(server);
        let own = server.url.replace("ws://", "http://");
        let origin = if origin == "own" { own.trim_end_matches('/') } else { origin };
        let control = MessageWebSocketControl::new().header("origin", origin);
        match block_on(control.connect(&server.url)) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
                assert_eq!(error.refusal().unwrap().status, StatusCode::FORBIDDEN);
                false
            }
        }
    };
    assert!(may_connect(&["echo"], "https://example.org"));
    assert!(!may_connect(&["echo", "--allow-origin", "https://example.org"], "https://example.com"));
    assert!(!may_connect(&["broadcast"], "https://example.org"));
    assert!(may_connect(&["broadcast"], "own"));
    assert!(may_connect(&["broadcast", "--allow-origin", "https://example.org"], "https://example.org"));
    assert!(may_connect(&["broadcast", "--allow-origin", "*"], "https://example.org"));
}

#[cfg(target_os = "linux")]
#[test]
fn running_out_of_descriptors_does_not_end_the_server_nor_its_connections_and_is_told() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    const DESCRIPTORS: u64 = 24;
    let mut command = crate::support::command();
    command.args(["serve", "--threads", "1"]).stderr(Stdio::piped());
    let mut server = Server::spawn(command);
    let mut stderr = BufReader::new(server.process.0.stderr.take().unwrap());
    let pid = Pid::from_child(&server.process.0);
    let few = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    prlimit(Some(pid), Resource::Nofile, few).unwrap();
    let address = server.url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
    let echoes = async |client: &mut MessageWebSocket| {
        client.send("still there?").await.unwrap();
        assert_eq!(client.receive().await.unwrap(), Some(Message::from("still there?")));
    };
    block_on(async {
        let mut early = MessageWebSocket::connect(&server.url).await.unwrap();
        let mut crowd = Vec::new();
        for _ in 0..2 * DESCRIPTORS {
            crowd.push(tokio::net::TcpStream::connect(&address).await.unwrap());
        }
        // Until none is left.
        let folder = format!("/proc/{}/fd", pid.as_raw_nonzero());
        while (std::fs::read_dir(&folder).unwrap().count() as u64) < DESCRIPTORS {
            tokio::task::yield_now().await;
        }
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert!(line.contains(" WARN ") && line.contains("lack=\"descriptors\""), "{line}");
        echoes(&mut early).await;
        drop(crowd);
        echoes(&mut MessageWebSocket::connect(&server.url).await.unwrap()).await;
    });
}
