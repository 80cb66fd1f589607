//! What goes in comes out: lines, bytes, JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use wsduo::{CloseCode, Message, MessageType};

use crate::support::{Running, Server, block_on, command, peer, run};

/// Bytes without a pattern, the same each time.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[track_caller]
fn echoed(input: &[u8], output: &[u8]) {
    let server = Server::start(&["echo"]);
    let ended = run(&["--wait", "300ms", &server.url], input);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "");
    assert!(ended.stdout == output, "{ended:?}");
}

#[test]
fn a_line_is_a_message_and_a_message_is_a_line() {
    echoed(
        "hello\n\nmehr Wörter, 日本語, 👩‍🚀\r\n".as_bytes(),
        "hello\n\nmehr Wörter, 日本語, 👩‍🚀\r\n".as_bytes(),
    );
}

#[test]
fn the_last_line_needs_no_end_and_no_input_is_no_message() {
    echoed(b"one\ntwo", b"one\ntwo\n");
    echoed(b"", b"");
    echoed(b"\n", b"\n");
}

#[test]
fn a_long_line_is_one_message() {
    let server = Server::start(&["--max-message", "4000000"]);
    let mut line = "é".repeat(1 << 20).into_bytes();
    line.push(b'\n');
    let ended = run(&[&server.url, "--count", "1"], &line);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout == line);
}

#[test]
fn many_lines_keep_their_order() {
    let lines: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    echoed(lines.as_bytes(), lines.as_bytes());
}

#[test]
fn binary_bytes_are_untouched() {
    let server = Server::start(&["echo"]);
    let bytes = noise(3_000_001);
    let ended = run(&["connect", &server.url, "--binary", "--wait", "300ms"], &bytes);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout == bytes);
}

#[test]
fn messages_of_the_command_line_are_sent_and_input_is_left_alone() {
    let server = Server::start(&["echo"]);
    let ended = run(&[&server.url, "-m", "one", "-m", "-two", "--wait", "300ms"], b"not for us\n");
    assert_eq!((ended.code, ended.text()), (Some(0), "one\n-two\n"), "{ended:?}");

    // Without an end of standard input there is no end to wait for, either.
    let mut child = Running(
        command().args([&server.url, "-m", "x"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap(),
    );
    assert_eq!(child.wait(), Some(0));
}

#[test]
fn count_ends_after_that_many_messages() {
    let (tell, told) = std::sync::mpsc::channel();
    let url = peer(async move |mut socket| {
        for number in 0..5 {
            socket.send(number.to_string()).await.unwrap();
        }
        assert!(socket.receive().await.unwrap().is_none());
        tell.send(socket.closed().unwrap().code).unwrap();
    });
    let ended = run(&["--count", "3", &url], b"");
    assert_eq!((ended.code, ended.text()), (Some(0), "0\n1\n2\n"), "{ended:?}");
    assert_eq!(told.recv().unwrap(), CloseCode::NORMAL);
}

#[test]
fn waiting_begins_anew_with_each_piece_of_a_message() {
    let url = peer(async |mut socket| {
        let mut writer = socket.message_writer(MessageType::Text);
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            writer.write_all(b"x").await.unwrap();
            writer.flush().await.unwrap();
        }
        writer.finish().await.unwrap();
        let _ = socket.receive().await;
    });
    let ended = run(&["--wait", "1s", &url], b"");
    assert_eq!((ended.code, ended.text()), (Some(0), "xxxxxx\n"), "{ended:?}");
}

#[test]
fn a_message_comes_out_as_soon_as_it_came_in() {
    let server = Server::start(&["echo"]);
    let mut command = command();
    let mut child =
        Running(command.arg(&server.url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut stdin = child.0.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
    for line in ["first\n", "second\n"] {
        stdin.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, line);
    }
    drop(stdin);
    assert_eq!(child.wait(), Some(0));
}

#[test]
fn memory_is_bounded_while_nobody_reads_the_output() {
    let (tell, told) = std::sync::mpsc::channel();
    let url = peer(async move |mut socket| {
        let mut sent: u64 = 0;
        let message = "x".repeat(99_999);
        // Until nothing moves any more.
        while tokio::time::timeout(Duration::from_millis(500), socket.send(&message)).await.is_ok() {
            sent += 1;
        }
        tell.send(sent).unwrap();
        let _ = socket.close(CloseCode::NORMAL, "").await;
    });
    let mut command = command();
    let mut child = Running(
        command
            .arg(&url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .arg("--wait")
            .arg("1h")
            .spawn()
            .unwrap(),
    );
    let sent = told.recv().unwrap();
    assert!(sent < 400, "{sent} messages of 100 kB were taken though nobody read them");
    // And then all that was sent is there.
    let mut out = Vec::new();
    child.0.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    assert_eq!(child.wait(), Some(0));
    // The message that was given up half-way is queued, and leaves before the close frame.
    assert_eq!(out.len() as u64, (sent + 1) * 100_000);
}

#[test]
fn whoever_stops_reading_the_output_ends_it_quietly() {
    let server = Server::start(&["echo"]);
    let mut command = command();
    let mut child = Running(
        command
            .arg(&server.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    drop(child.0.stdout.take());
    let mut stdin = child.0.stdin.take().unwrap();
    stdin.write_all(b"anybody?\n").unwrap();
    assert_eq!(child.wait(), Some(0));
    let mut stderr = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "");
}

#[test]
fn json_is_an_event_a_line() {
    let url = peer(async |mut socket| {
        assert!(socket.receive().await.unwrap().is_some());
        socket.send("two\n\"lines\"\u{1b}").await.unwrap();
        socket.send(&[0, 0xff]).await.unwrap();
        let _ = socket.close(CloseCode::NORMAL, "by\te").await;
    });
    let ended = run(&["--json", "-m", "x", &url], b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let events: Vec<Value> = ended.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [open, text, binary, closed] = events.as_slice() else { panic!("{ended:?}") };
    assert_eq!(open["event"], "open");
    assert_eq!(open["status"], 101);
    assert!(url.contains(open["remote_address"].as_str().unwrap()));
    assert_eq!(
        *text,
        serde_json::json!({ "event": "message", "type": "text", "text": "two\n\"lines\"\u{1b}" })
    );
    assert_eq!(*binary, serde_json::json!({ "event": "message", "type": "binary", "base64": "AP8=" }));
    assert_eq!(
        *closed,
        serde_json::json!({ "event": "closed", "code": 1000, "reason": "by\te", "by": "peer", "clean": true })
    );
}

#[test]
fn headers_and_subprotocols_reach_the_server() {
    let (tell, told) = std::sync::mpsc::channel();
    let (tell_address, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        block_on(async {
            let listener = wsduo::Listener::bind("127.0.0.1:0").await.unwrap();
            tell_address.send(listener.local_address().unwrap()).unwrap();
            let request = listener.accept().await.request().await.unwrap();
            let token = request.headers()["x-token"].to_str().unwrap().to_owned();
            tell.send((token, request.subprotocols().to_vec())).unwrap();
            let control = wsduo::MessageWebSocketControl::new().subprotocols(["b"]);
            let mut socket = request.accept_message(&control).await.unwrap();
            let _ = socket.receive().await;
        });
    });
    let url = format!("ws://{}/", address.recv().unwrap());
    let ended = run(
        &["--json", "-H", "X-Token: a: b", "--subprotocol", "a", "--subprotocol", "b", "--wait", "0", &url],
        b"",
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let open: Value = serde_json::from_str(ended.text().lines().next().unwrap()).unwrap();
    assert_eq!(open["subprotocol"], "b");
    assert_eq!(told.recv().unwrap(), ("a: b".to_owned(), vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn a_binary_option_sends_binary_messages() {
    let (tell, told) = std::sync::mpsc::channel();
    let url = peer(async move |mut socket| {
        while let Ok(Some(message)) = socket.receive().await {
            tell.send(message).unwrap();
        }
    });
    let ended = run(&["--binary", "-m", "x", "--wait", "0", &url], b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(told.recv().unwrap(), Message::from(b"x".as_slice()));
}

#[cfg(unix)]
#[test]
fn a_signal_takes_leave_of_the_peer() {
    use rustix::process::{Pid, Signal, kill_process};

    let (tell, told) = std::sync::mpsc::channel();
    let url = peer(async move |mut socket| {
        socket.send("hello").await.unwrap();
        assert!(socket.receive().await.unwrap().is_none());
        tell.send(socket.closed().unwrap().code).unwrap();
    });
    let mut command = command();
    let mut child = Running(command.arg(&url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    kill_process(Pid::from_child(&child.0), Signal::INT).unwrap();
    assert_eq!(child.wait(), Some(130));
    assert_eq!(told.recv().unwrap(), CloseCode::GOING_AWAY);
}
