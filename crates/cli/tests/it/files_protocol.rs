//! The protocol spoken by hand, by peers that lie.

use std::fs;

use serde_json::{Value, json};
use wsduo::{CloseCode, ErrorKind, Message, MessageWebSocket, MessageWebSocketControl};

use crate::files::{FileServer, check, names, sha256};
use crate::support::{Folder, block_on, run};

const SUBPROTOCOL: &str = "wsduo.files.v1";

async fn connect(server: &FileServer, folder: &str) -> MessageWebSocket {
    let control = MessageWebSocketControl::new().subprotocols([SUBPROTOCOL]);
    control.connect(&server.url(folder)).await.unwrap()
}

async fn say(socket: &mut MessageWebSocket, control: Value) {
    socket.send(control.to_string()).await.unwrap();
}

async fn hear(socket: &mut MessageWebSocket) -> Value {
    match socket.receive().await.unwrap() {
        Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Sends these messages, which are answered with this error in the end; whether the connection goes on.
async fn refused(server: &FileServer, messages: &[Message], code: &str) -> bool {
    let mut socket = connect(server, "").await;
    let mut error = Value::Null;
    for message in messages {
        // The server may have had enough of it before.
        let _ = socket.send(message.clone()).await;
        if matches!(message, Message::Text(text) if text.contains("\"put\"")) {
            error = hear(&mut socket).await;
        }
    }
    if error["type"] != "error" {
        error = hear(&mut socket).await;
    }
    assert_eq!((&error["type"], &error["code"]), (&"error".into(), &code.into()), "{messages:?}");
    assert!(!error["message"].as_str().unwrap().is_empty());
    say(&mut socket, json!({ "type": "list" })).await;
    match socket.receive().await {
        Ok(Some(_)) => true,
        Ok(None) => {
            assert_eq!(socket.closed().unwrap().code, CloseCode::POLICY_VIOLATION);
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn text(control: &Value) -> Message {
    Message::from(control.to_string())
}

fn bytes(bytes: &[u8]) -> Message {
    Message::from(bytes)
}

#[test]
fn a_transfer_is_as_the_page_says() {
    let server = FileServer::start(&["--write"]);
    block_on(async {
        let mut socket = connect(&server, "photos/ignored").await;
        for name in ["a.txt", "sub/b.txt"] {
            say(&mut socket, json!({ "type": "put", "name": name })).await;
            assert_eq!(hear(&mut socket).await, json!({ "type": "ready", "offset": 0, "complete": false }));
            say(&mut socket, json!({ "type": "data", "offset": 0, "size": 5 })).await;
            socket.send(b"he".as_slice()).await.unwrap();
            socket.send(b"".as_slice()).await.unwrap();
            socket.send(b"llo".as_slice()).await.unwrap();
            say(&mut socket, json!({ "type": "end", "size": 5, "sha256": sha256(b"hello") })).await;
            assert_eq!(hear(&mut socket).await, json!({ "type": "done" }));
        }
        assert_eq!(server.content("photos/sub/b.txt"), b"hello");

        say(&mut socket, json!({ "type": "list" })).await;
        let mut listed = [hear(&mut socket).await, hear(&mut socket).await];
        listed.sort_by_key(|entry| entry["name"].as_str().unwrap().to_owned());
        assert_eq!(listed[0], json!({ "type": "entry", "name": "a.txt", "size": 5 }));
        assert_eq!(listed[1], json!({ "type": "entry", "name": "sub/b.txt", "size": 5 }));
        assert_eq!(hear(&mut socket).await, json!({ "type": "listed" }));

        say(&mut socket, json!({ "type": "get", "name": "a.txt", "offset": 2, "sha256": sha256(b"he") }))
            .await;
        assert_eq!(hear(&mut socket).await, json!({ "type": "data", "offset": 2, "size": 5 }));
        assert_eq!(socket.receive().await.unwrap(), Some(bytes(b"llo")));
        let end = hear(&mut socket).await;
        assert_eq!(end, json!({ "type": "end", "size": 5, "sha256": sha256(b"hello") }));
        say(&mut socket, json!({ "type": "done" })).await;
        let closed = socket.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(closed.clean);
    });
}

#[test]
fn names_that_escape_are_refused_and_the_connection_goes_on() {
    let server = FileServer::start(&["--write", "--overwrite"]);
    block_on(async {
        for name in [
            "",
            "/",
            ".",
            "..",
            "../a",
            "a/../../b",
            "/etc/passwd",
            "a//b",
            "a/",
            "..\\a",
            "C:\\a",
            "c:a",
            "a\0b",
            "a\nb",
            ".bashrc",
            ".a.wsduo-part",
            "CON",
            "a/nul.txt",
            "a.",
            "a ",
        ] {
            for kind in ["put", "get"] {
                let request = text(&json!({ "type": kind, "name": name, "resume": true, "overwrite": true }));
                assert!(refused(&server, &[request], "bad-name").await, "{name}");
            }
        }
    });
    assert_eq!(server.names(), Vec::<String>::new());
    for path in ["%2e%2e/", "a/%2e%2e/b", "a%5cb/", "%00/", "a//b", ".git/config"] {
        let control = MessageWebSocketControl::new().subprotocols([SUBPROTOCOL]);
        let error = block_on(control.connect(&server.url(path))).unwrap_err();
        assert_eq!(
            (error.kind(), error.refusal().unwrap().status.as_u16()),
            (ErrorKind::Refused, 404),
            "{path}"
        );
    }
}

#[test]
fn lies_are_refused_and_leave_nothing_behind() {
    let server = FileServer::start(&["--write"]);
    let put = text(&json!({ "type": "put", "name": "a" }));
    let data = text(&json!({ "type": "data", "offset": 0, "size": 5 }));
    let end = |size: u64, of: &[u8]| text(&json!({ "type": "end", "size": size, "sha256": sha256(of) }));
    block_on(async {
        for (messages, code) in [
            // A wrong checksum, and wrong sizes.
            (vec![put.clone(), data.clone(), bytes(b"hello"), end(5, b"hullo")], "mismatch"),
            (vec![put.clone(), data.clone(), bytes(b"hell"), end(5, b"hello")], "mismatch"),
            (vec![put.clone(), data.clone(), bytes(b"hell"), end(4, b"hell")], "mismatch"),
            (vec![put.clone(), data.clone(), bytes(b"hello"), end(6, b"hello")], "mismatch"),
            // Offsets that nobody offered.
            (vec![put.clone(), text(&json!({ "type": "data", "offset": 3, "size": 5 }))], "protocol"),
            // Things out of place.
            (vec![bytes(b"hello")], "protocol"),
            (vec![data.clone()], "protocol"),
            (vec![put.clone(), bytes(b"hello")], "protocol"),
            (vec![put.clone(), end(0, b"")], "protocol"),
            (vec![put.clone(), put.clone()], "protocol"),
            (vec![put.clone(), data.clone(), data.clone()], "protocol"),
            // Things that are nothing.
            (vec![Message::from("hello")], "protocol"),
            (vec![Message::from("{\"type\":\"put\"}")], "protocol"),
            (vec![text(&json!({ "type": "put", "name": "x".repeat(70_000) }))], "protocol"),
            (vec![text(&json!({ "type": "exec", "name": "rm" }))], "protocol"),
        ] {
            let goes_on = refused(&server, &messages, code).await;
            assert!(!goes_on, "{messages:?}");
        }
        assert_eq!(server.names(), Vec::<String>::new());
        // More than was announced: what came before is what was announced, and may be resumed.
        let messages = [put.clone(), data.clone(), bytes(b"hello"), bytes(b"!")];
        assert!(!refused(&server, &messages, "mismatch").await);
    });
    assert!(!fs::exists(server.folder.path("a")).unwrap());
}

#[test]
fn a_message_that_is_too_large_ends_the_connection() {
    let server = FileServer::start(&["--write"]);
    block_on(async {
        let mut socket = connect(&server, "").await;
        let _ = socket.send(vec![0; (1 << 20) + 1]).await;
        assert_eq!(socket.receive().await.unwrap(), None);
        assert_eq!(socket.closed().unwrap().code, CloseCode::TOO_BIG);
    });
}

#[test]
fn two_cannot_write_one_file_and_a_lost_one_lets_go() {
    let server = FileServer::start(&["--write"]);
    let put = json!({ "type": "put", "name": "a", "resume": true });
    block_on(async {
        let mut first = connect(&server, "").await;
        say(&mut first, put.clone()).await;
        hear(&mut first).await;
        assert!(refused(&server, &[text(&put)], "busy").await);
        say(&mut first, json!({ "type": "data", "offset": 0 })).await;
        first.send(b"hello".as_slice()).await.unwrap();
        first.ping().await.unwrap();
        drop(first);

        let mut second = connect(&server, "").await;
        say(&mut second, put).await;
        let ready = hear(&mut second).await;
        assert_eq!((&ready["offset"], &ready["sha256"]), (&5.into(), &sha256(b"hello").into()));
    });
}

#[test]
fn a_sender_that_gives_up_may_ask_for_something_else() {
    let server = FileServer::start(&["--write"]);
    block_on(async {
        let mut socket = connect(&server, "").await;
        say(&mut socket, json!({ "type": "put", "name": "a" })).await;
        hear(&mut socket).await;
        say(&mut socket, json!({ "type": "error", "code": "io", "message": "cannot read a" })).await;
        say(&mut socket, json!({ "type": "list" })).await;
        assert_eq!(hear(&mut socket).await, json!({ "type": "listed" }));
    });
    assert_eq!(server.names(), Vec::<String>::new());
}

/// A server that answers each request with these messages: what the command does.
#[track_caller]
fn received(answers: Vec<Message>, code: i32, said: &str) {
    let url = serving(answers);
    let to = Folder::new();
    let ended = run(&["receive", &format!("{url}a"), "-o", &to.path("")], b"");
    check(&ended, code, said);
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
    assert!(!fs::exists(to.path("a")).unwrap());
    assert!(names(&to).iter().all(|name| name == ".a.wsduo-part"), "{:?}", names(&to));
}

fn serving(answers: Vec<Message>) -> String {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        block_on(async {
            let listener = wsduo::Listener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_address().unwrap()).unwrap();
            let request = listener.accept().await.request().await.unwrap();
            let control = MessageWebSocketControl::new().subprotocols([SUBPROTOCOL]);
            let mut socket = request.accept_message(&control).await.unwrap();
            if socket.receive().await.unwrap().is_some() {
                for answer in answers {
                    let _ = socket.send(answer).await;
                }
                // The command takes leave.
                while let Ok(Some(_)) = socket.receive().await {}
            }
        });
    });
    format!("ws://{}/", told.recv().unwrap())
}

#[test]
fn a_client_is_not_fooled_either() {
    let data = text(&json!({ "type": "data", "offset": 0, "size": 5 }));
    let end = |of: &[u8]| text(&json!({ "type": "end", "size": 5, "sha256": sha256(of) }));
    received(vec![data.clone(), bytes(b"hello"), end(b"hullo")], 9, "was announced");
    received(vec![data.clone(), bytes(b"hell"), end(b"hello")], 9, "4 bytes; 5 were announced");
    received(vec![data.clone(), bytes(b"hello!")], 9, "goes on beyond");
    received(vec![text(&json!({ "type": "data", "offset": 7, "size": 9 }))], 7, "begins at byte 7");
    received(vec![bytes(b"hello")], 7, "a binary message where data was expected");
    received(vec![Message::from("\u{1b}[2J")], 7, "cannot be read");
    received(
        vec![text(&json!({ "type": "error", "code": "not-found", "message": "\u{1b}[2J none" }))],
        9,
        r"\u{1b}[2J none",
    );
    received(vec![text(&json!({ "type": "error", "code": "new-in-v2" }))], 9, "the other end");
    let failed = text(&json!({ "type": "error", "code": "io", "message": "the disk is gone" }));
    received(vec![data.clone(), bytes(b"he"), failed], 9, "the disk is gone");
    received(vec![Message::from(vec![0; (1 << 20) + 1])], 7, "limit");
}

#[test]
fn a_list_cannot_lead_out_of_the_folder() {
    for name in ["../evil", "/evil", ".evil", "a/../../evil", "a\\evil"] {
        let url = serving(vec![
            text(&json!({ "type": "entry", "name": name, "size": 1 })),
            text(&json!({ "type": "listed" })),
        ]);
        let to = Folder::new();
        let ended = run(&["receive", &url, "-o", &to.path("in")], b"");
        check(&ended, 7, "is not allowed");
        assert_eq!(fs::read_dir(to.path("in")).unwrap().count(), 0);
    }
}

#[cfg(unix)]
#[test]
fn slow_clients_do_not_stop_the_others() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    // As many as the runtime has threads for what blocks, and some.
    const SLOW: usize = 530;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let server = FileServer::start(&["--write"]);
    let folder = Folder::new();
    let path = folder.write("quick", "quick");
    block_on(async {
        let mut slow = Vec::new();
        for number in 0..SLOW {
            let mut socket = connect(&server, "").await;
            say(&mut socket, json!({ "type": "put", "name": number.to_string() })).await;
            assert_eq!(hear(&mut socket).await["type"], "ready");
            say(&mut socket, json!({ "type": "data", "offset": 0 })).await;
            socket.send(b"x".as_slice()).await.unwrap();
            slow.push(socket);
        }
        check(&run(&["send", &server.url(""), &path], b""), 0, "checked");
        drop(slow);
    });
}
