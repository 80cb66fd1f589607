//! Open connections, from their beginning to each kind of end.

use std::time::Duration;

use wsduo::{CloseCode, ErrorKind, Message, MessageWebSocketControl, Role};

use crate::support::{hear, pair, pair_with};

#[test]
fn a_clean_close_is_told_once_at_each_end_with_all_that_was_counted() {
    let heard = hear(async {
        let (mut client, mut server) = pair();
        client.send("Hello").await.unwrap();
        assert_eq!(server.receive().await.unwrap(), Some(Message::from("Hello")));
        tokio::time::advance(Duration::from_secs(5)).await;
        let (closed, received) = tokio::join!(client.close(CloseCode::new(4000), "done"), server.receive());
        assert_eq!((closed.unwrap().clean, received.unwrap()), (true, None));
    });
    for (role, initiator, received, sent) in [("client", "local", "0", "1"), ("server", "peer", "1", "0")] {
        assert_eq!(heard.names(role), ["opened", "closed"]);
        let closed = heard.named("closed").into_iter().find(|it| it.of_span("role") == Some(role)).unwrap();
        let fields = ["code", "reason", "initiator", "clean", "seconds", "error_kind", "error"];
        assert_eq!(closed.fields.all(fields), ["4000", "done", initiator, "true", "5.0", "-", "-"]);
        let fields = ["messages_received", "messages_sent"];
        assert_eq!(closed.fields.all(fields), [received, sent]);
        let fields = ["bytes_received", "bytes_sent"];
        // A masked message of 5 bytes and a masked close frame with 6; the one that answers it has the code alone.
        let expected = if role == "client" { ["4", "23"] } else { ["23", "4"] };
        assert_eq!(closed.fields.all(fields), expected);
    }
}

#[test]
fn what_a_connection_counted_reaches_the_recorder_at_its_end() {
    let heard = hear(async {
        let (mut client, mut server) = pair();
        client.send("Hello").await.unwrap();
        server.receive().await.unwrap();
        tokio::time::advance(Duration::from_secs(5)).await;
        let (closed, _) = tokio::join!(client.close(CloseCode::new(4000), ""), server.receive());
        closed.unwrap();
    });
    for role in ["client", "server"] {
        let with_role = |name: &str| format!("wsduo_{name} role={role}");
        assert_eq!(heard.gauge(&with_role("connections_open")), Some(0.0));
        assert_eq!(heard.counter(&with_role("connections_opened_total")), Some(1));
        assert_eq!(heard.histogram(&with_role("connection_duration_seconds")), [5.0]);
        // Whatever a peer may choose is one value.
        let closed = format!("wsduo_connections_closed_total code=other role={role}");
        assert_eq!(heard.counter(&closed), Some(1), "{heard:#?}");
    }
    let counter = |name, direction, role| {
        heard.counter(&format!("wsduo_{name}_total direction={direction} role={role}"))
    };
    assert_eq!(counter("messages", "sent", "client"), Some(1));
    assert_eq!(counter("messages", "received", "server"), Some(1));
    assert_eq!(counter("bytes", "sent", "client"), Some(11 + 8));
    assert_eq!(counter("bytes", "received", "server"), Some(11 + 8));
    assert_eq!(counter("bytes", "sent", "server"), Some(4));
}

#[test]
fn a_connection_older_than_the_recorder_is_not_counted_down() {
    let before = pair();
    let heard = hear(async {
        let _both = pair();
        drop(before);
    });
    for role in ["client", "server"] {
        // Those that came later were counted both up and down.
        assert_eq!(heard.gauge(&format!("wsduo_connections_open role={role}")), Some(0.0));
    }
}

#[test]
fn a_loss_is_told_with_its_error() {
    let heard = hear(async {
        let (mut client, server) = pair();
        drop(server);
        assert_eq!(client.receive().await.unwrap_err().kind(), ErrorKind::Lost);
    });
    assert_eq!(heard.names("client"), ["opened", "closed"]);
    let client = heard.named("closed").into_iter().find(|it| it.of_span("role") == Some("client")).unwrap();
    assert_eq!(client.fields.all(["code", "clean", "error_kind"]), ["1006", "false", "Lost"]);
    assert!(client.fields.get("error").unwrap().contains("without a closing handshake"));
    assert_eq!(heard.counter("wsduo_connections_closed_total code=1006 role=client"), Some(1));
}

#[test]
fn a_socket_dropped_while_open_is_told_too_and_without_a_code() {
    let heard = hear(async {
        let (client, server) = pair();
        drop(client.split());
        std::mem::forget(server);
    });
    let closed = heard.one("closed");
    assert_eq!(closed.fields.all(["code", "clean", "initiator"]), ["-", "false", "-"]);
    assert_eq!(heard.counter("wsduo_connections_closed_total code=dropped role=client"), Some(1));
    assert_eq!(heard.gauge("wsduo_connections_open role=client"), Some(0.0));
    assert_eq!(heard.gauge("wsduo_connections_open role=server"), Some(1.0));
}

#[test]
fn a_peer_that_falls_silent_is_told_as_timed_out() {
    let heard = hear(async {
        let (near, _far) = tokio::io::duplex(1000);
        let mut client = MessageWebSocketControl::new().from_transport(near, Role::Client);
        assert_eq!(client.receive().await.unwrap_err().kind(), ErrorKind::TimedOut);
    });
    let closed = heard.one("closed");
    assert_eq!(closed.fields.all(["code", "error_kind", "clean"]), ["1006", "TimedOut", "false"]);
    // The keepalive has shown what was sent before the end did.
    assert!(heard.counter("wsduo_bytes_total direction=sent role=client").unwrap() > 0);
}

#[test]
fn an_answered_ping_is_told_and_smoothed() {
    let heard = hear(async {
        let (mut client, mut server) = pair();
        let serving = tokio::spawn(async move { server.receive().await.map(drop) });
        let time = client.ping().await.unwrap();
        let statistics = client.information().statistics();
        assert_eq!(statistics.round_trip_time, Some(time));
        assert!(statistics.smoothed_round_trip_time.unwrap() <= time);
        client.close(CloseCode::NORMAL, "").await.unwrap();
        serving.await.unwrap().unwrap();
    });
    assert_eq!(heard.names("client"), ["opened", "round_trip", "closed"]);
    assert_eq!(heard.histogram("wsduo_round_trip_seconds role=client").len(), 1);
}

#[test]
fn a_limit_that_was_passed_is_told_before_the_end() {
    let heard = hear(async {
        let (mut client, mut server) = pair_with(&MessageWebSocketControl::new().max_message_size(10));
        client.send("x".repeat(11)).await.unwrap();
        let (end, _) = tokio::join!(server.receive(), client.receive());
        assert_eq!(end.unwrap_err().kind(), ErrorKind::TooLarge);
    });
    assert_eq!(heard.names("server"), ["opened", "limit", "closed"]);
    assert!(heard.one("limit").fields.get("error").unwrap().contains("11"));
    assert_eq!(heard.counter("wsduo_connections_closed_total code=1009 role=client"), Some(1));
}

#[test]
fn what_a_peer_says_at_the_end_is_escaped() {
    let heard = hear(async {
        let (mut client, mut server) = pair();
        let reason = "\u{1b}[2J\r\nlevel=ERROR \u{202e}";
        let (closed, _) = tokio::join!(client.close(CloseCode::NORMAL, reason), server.receive());
        closed.unwrap();
    });
    for closed in heard.named("closed") {
        assert_eq!(closed.fields.get("reason"), Some(r"\u{1b}[2J\r\nlevel=ERROR \u{202e}"));
    }
}

#[test]
fn counts_of_a_connection_that_goes_on_are_told_now_and_then() {
    const WAITS: u64 = 64;
    let heard = hear(async {
        let (mut client, mut server) = pair();
        let serving = tokio::spawn(async move { server.run(|message, replies| replies.send(message)).await });
        for _ in 0..WAITS + 1 {
            client.send("x").await.unwrap();
            client.receive().await.unwrap();
        }
        serving.abort();
        let _ = serving.await;
        std::mem::forget(client);
    });
    let received = heard.counter("wsduo_messages_total direction=received role=client").unwrap();
    assert!((1..=WAITS).contains(&received), "{received}");
    assert!(!heard.histogram("wsduo_queued_bytes role=client").is_empty());
    // That of the server was dropped, and with it all was told.
    assert_eq!(heard.counter("wsduo_messages_total direction=received role=server"), Some(WAITS + 1));
}

#[test]
fn what_waits_to_be_written_is_counted() {
    hear(async {
        let (mut client, _server) = pair();
        client.feed("Hello").await.unwrap();
        assert_eq!(client.information().statistics().bytes_queued, 11);
        client.flush().await.unwrap();
        assert_eq!(client.information().statistics().bytes_queued, 0);
    });
}
