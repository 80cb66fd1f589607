//! `--compress` on either side, and on both.

use serde_json::Value;

use crate::support::{Server, run};

#[test]
fn messages_arrive_whoever_asked_for_compression() {
    let line = format!("{}\n", "{\"bid\":12.5,\"ask\":12.75},".repeat(200));
    for (server, client, agreed) in
        [(&["--compress"][..], true, true), (&["--compress"], false, false), (&[], true, false)]
    {
        let server = Server::start(&[&["echo"], server].concat());
        let compress = if client { &["--compress"][..] } else { &[] };
        let ended = run(&[&["--json", "--count", "1", &server.url], compress].concat(), line.as_bytes());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let events: Vec<Value> = serde_json::Deserializer::from_slice(&ended.stdout)
            .into_iter()
            .collect::<Result<_, _>>()
            .expect("events are JSON");
        assert_eq!((&events[0]["event"], &events[0]["compression"]), (&"open".into(), &agreed.into()));
        assert_eq!(events[1]["text"], line.trim_end());
    }
}
