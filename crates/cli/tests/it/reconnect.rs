//! `--reconnect`: one connection after the other. And `--user`, for servers that ask.

use std::io::Write;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

use wsduo::http::{HeaderMap, StatusCode};
use wsduo::{CloseCode, Listener, Message, MessageWebSocket, MessageWebSocketControl, Request, Transport};

use crate::support::{LIMIT, Running, block_on, command, run};

/// A server that does `what` with its listener: its URL.
fn server(what: impl AsyncFnOnce(Listener) + Send + 'static) -> String {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        block_on(async {
            let listener = Listener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_address().unwrap()).unwrap();
            what(listener).await;
        });
    });
    format!("ws://{}/", told.recv_timeout(LIMIT).unwrap())
}

async fn request(listener: &Listener) -> Request<Transport> {
    listener.accept().await.request().await.unwrap()
}

async fn accept(listener: &Listener) -> MessageWebSocket {
    request(listener).await.accept_message(&MessageWebSocketControl::new()).await.unwrap()
}

#[test]
fn each_connection_is_greeted_and_messages_are_counted_over_all() {
    let url = server(async |listener| {
        for number in 0..2 {
            let mut socket = accept(&listener).await;
            assert_eq!(socket.receive().await.unwrap(), Some(Message::from("hello")));
            socket.send(number.to_string()).await.unwrap();
            if number == 0 {
                drop(socket);
            } else {
                assert_eq!(socket.receive().await.unwrap(), None);
            }
        }
    });
    let ended = run(&["--reconnect", "-m", "hello", "--count", "2", "--wait", "1h", &url], b"");
    assert_eq!((ended.code, ended.text()), (Some(0), "0\n1\n"), "{ended:?}");
    assert!(ended.stderr.contains("connecting again in "), "{ended:?}");
}

#[test]
fn lines_that_come_meanwhile_go_to_the_next_connection_until_a_1008() {
    let (tell, told) = mpsc::channel();
    let url = server(async move |listener| {
        let mut socket = accept(&listener).await;
        assert_eq!(socket.receive().await.unwrap(), Some(Message::from("one")));
        socket.close(CloseCode::GOING_AWAY, "restart").await.unwrap();
        tell.send(()).unwrap();
        let mut socket = accept(&listener).await;
        assert_eq!(socket.receive().await.unwrap(), Some(Message::from("two")));
        socket.close(CloseCode::POLICY_VIOLATION, "enough").await.unwrap();
    });
    let mut command = command();
    let child = command.args(["--reconnect", &url]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Running(child.spawn().unwrap());
    let mut stdin = child.0.stdin.take().unwrap();
    stdin.write_all(b"one\n").unwrap();
    told.recv_timeout(LIMIT).unwrap();
    stdin.write_all(b"two\n").unwrap();
    assert_eq!(child.wait(), Some(8));
    let stderr = std::io::read_to_string(child.0.stderr.take().unwrap()).unwrap();
    assert!(stderr.contains("restart") && stderr.contains("not connecting again"), "{stderr}");
}

#[test]
fn what_will_not_change_is_not_tried_again() {
    let url = server(async |listener| request(&listener).await.refuse(StatusCode::FORBIDDEN).await.unwrap());
    let ended = run(&["--reconnect", &url], b"");
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert_eq!(run(&["--reconnect", "http://localhost/"], b"").code, Some(2));
}

#[test]
fn a_user_answers_a_server_that_asks() {
    let asking = || {
        server(async |listener| {
            let asked = request(&listener).await;
            assert!(!asked.headers().contains_key("authorization"));
            let mut headers = HeaderMap::new();
            headers.insert("www-authenticate", "Basic realm=\"here\"".parse().unwrap());
            asked.refuse_with(StatusCode::UNAUTHORIZED, &headers, "").await.unwrap();
            let answered = request(&listener).await;
            // Of "ada:secret".
            assert_eq!(answered.headers()["authorization"], "Basic YWRhOnNlY3JldA==");
            let mut socket = answered.accept_message(&MessageWebSocketControl::new()).await.unwrap();
            let _ = socket.receive().await;
        })
    };
    let ended = run(&["--user", "ada:secret", "--wait", "0", &asking()], b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut command = command();
    let child = command.args(["-u", "ada", "--wait", "0", &asking()]).env("WSDUO_PASSWORD", "secret");
    assert_eq!(Running(child.stdin(Stdio::null()).spawn().unwrap()).wait(), Some(0));
}
