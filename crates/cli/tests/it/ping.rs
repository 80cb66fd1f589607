//! `wsduo ping`: a line for each pong, and a summary however it ends.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use wsduo::CloseCode;

use crate::support::{Running, Server, command, peer, responder, run};

#[test]
fn each_pong_is_a_line_and_the_end_a_summary() {
    let server = Server::start(&["echo"]);
    let ended = run(&["ping", &server.url, "-c", "3", "-i", "1ms"], b"");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let address = server.url.trim_start_matches("ws://").trim_end_matches('/');
    let lines: Vec<&str> = ended.text().lines().collect();
    assert_eq!(lines.len(), 6, "{ended:?}");
    for (number, line) in (1..).zip(&lines[..3]) {
        assert!(line.starts_with(&format!("pong from {address}: seq={number} time=")), "{line}");
        assert!(line.ends_with(" ms"), "{line}");
    }
    assert_eq!(lines[3], format!("--- {address} ---"));
    assert_eq!(lines[4], "3 sent, 3 received, 0% lost");
    assert!(lines[5].starts_with("min/avg/max/mdev = "), "{}", lines[5]);
}

#[test]
fn json_is_an_event_a_line() {
    let server = Server::start(&["echo"]);
    let ended = run(&["ping", "--json", &server.url, "--count", "2", "--interval", "1ms"], b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let events: Vec<Value> = ended.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [first, second, summary] = events.as_slice() else { panic!("{ended:?}") };
    assert_eq!((&first["event"], &first["seq"], &second["seq"]), (&"pong".into(), &1.into(), &2.into()));
    assert!(first["ms"].as_f64().unwrap() > 0.0);
    assert_eq!(
        (&summary["event"], &summary["sent"], &summary["received"]),
        (&"summary".into(), &2.into(), &2.into())
    );
    assert!(summary["min_ms"].as_f64() <= summary["avg_ms"].as_f64());
}

#[test]
fn messages_of_the_peer_are_not_in_the_way() {
    let url = peer(async |mut socket| {
        for _ in 0..200 {
            socket.send("x".repeat(1000)).await.unwrap();
        }
        assert!(socket.receive().await.unwrap().is_none());
    });
    let ended = run(&["ping", &url, "-c", "1"], b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.text().contains("1 sent, 1 received"), "{ended:?}");
}

#[test]
fn a_server_that_closes_ends_it_with_8_and_the_summary() {
    let url = peer(async |mut socket| {
        let _ = tokio::time::timeout(Duration::from_millis(200), socket.receive()).await;
        let _ = socket.close(CloseCode::GOING_AWAY, "bye").await;
    });
    let ended = run(&["ping", &url], b"");
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(ended.text().contains("1 sent, 1 received") && ended.stderr.contains("1001"), "{ended:?}");
}

#[test]
fn a_refusal_is_6_and_there_is_no_summary() {
    let ended = run(&["ping", &responder(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")], b"");
    assert_eq!((ended.code, ended.text()), (Some(6), ""), "{ended:?}");
}

/// Sends Ctrl-C once the command has written a line, or `told` tells; its exit code and output.
#[cfg(unix)]
fn interrupted(url: &str, told: Option<&std::sync::mpsc::Receiver<()>>) -> (Option<i32>, String) {
    use rustix::process::{Pid, Signal, kill_process};

    let mut command = command();
    let mut child =
        Running(command.args(["ping", url]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
    let mut output = String::new();
    match told {
        Some(told) => told.recv().unwrap(),
        None => drop(stdout.read_line(&mut output).unwrap()),
    }
    kill_process(Pid::from_child(&child.0), Signal::INT).unwrap();
    stdout.read_to_string(&mut output).unwrap();
    child.0.stderr.take().unwrap().read_to_string(&mut output).unwrap();
    (child.wait(), output)
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_with_the_summary() {
    let server = Server::start(&["echo"]);
    let (code, output) = interrupted(&server.url, None);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("seq=1 ") && output.contains("1 sent, 1 received, 0% lost"), "{output}");
}

#[cfg(unix)]
#[test]
fn without_any_pong_it_is_4() {
    let (tell, told) = std::sync::mpsc::channel();
    let url = peer(async move |_socket| {
        // Nobody polls the socket, so nobody answers.
        tokio::time::sleep(Duration::from_millis(300)).await;
        tell.send(()).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    let (code, output) = interrupted(&url, Some(&told));
    assert_eq!(code, Some(4), "{output}");
    assert!(output.contains("1 sent, 0 received, 100% lost\n"), "{output}");
    assert!(output.contains("no ping was answered"), "{output}");
}
