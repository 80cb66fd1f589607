//! Whole messages in both directions, over every transport there is.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use wsduo::{
    ClientTls, CloseCode, Identity, Initiator, Listener, Message, MessageWebSocket, MessageWebSocketControl,
};
use wsduo_testing::wire;

use crate::support::{
    control, noise, pair, pair_with, receive_all, scripted_client, scripted_server, soon, text,
};

/// Of each type: empty, at each boundary of the length encoding, and larger than any buffer.
fn samples() -> Vec<Message> {
    let mut samples = vec![text(""), text("héllo ✓ 🦀"), text(&"é".repeat(70_000))];
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 300_000, 2 << 20] {
        samples.push(noise(len).into());
    }
    samples
}

/// Sends every sample there and back, then closes.
async fn exchange<A, B>(mut client: MessageWebSocket<A>, mut server: MessageWebSocket<B>)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let echo = tokio::spawn(async move {
        while let Some(message) = server.receive().await? {
            server.send(message).await?;
        }
        Ok::<_, wsduo::Error>(server.closed().cloned())
    });
    for sample in samples() {
        client.send(&sample).await.unwrap();
        let back = client.receive().await.unwrap().unwrap();
        assert!(back == sample, "{} bytes came back as {}", sample.len(), back.len());
    }
    let closed = client.close(CloseCode::NORMAL, "done").await.unwrap();
    assert!(closed.clean);
    assert_eq!(closed.initiator, Initiator::Local);
    let closed = echo.await.unwrap().unwrap().unwrap();
    assert_eq!((closed.code, &*closed.reason, closed.clean), (CloseCode::NORMAL, "done", true));
    assert_eq!(closed.initiator, Initiator::Peer);
}

#[tokio::test(start_paused = true)]
async fn over_a_pipe() {
    let (client, server) = pair();
    soon(exchange(client, server)).await;
}

#[tokio::test(start_paused = true)]
async fn over_a_pipe_that_holds_seven_bytes() {
    let (mut client, mut server) = pair_with(&control(), 7);
    let message = Message::from(noise(3000));
    let sent = message.clone();
    let sender = tokio::spawn(async move {
        client.send(sent).await.unwrap();
        client.close(CloseCode::NORMAL, "").await.unwrap()
    });
    assert_eq!(receive_all(&mut server).await, (vec![message], None));
    assert!(sender.await.unwrap().clean);
}

async fn over_tcp(identity: Option<Identity>) {
    let mut control = MessageWebSocketControl::new();
    let mut builder = Listener::bind("127.0.0.1:0");
    let mut scheme = "ws";
    if let Some(identity) = identity {
        let roots = ClientTls::new().add_roots(identity.certificate_pem().unwrap()).unwrap();
        control = control.tls(roots.only_added_roots());
        builder = builder.tls(identity);
        scheme = "wss";
    }
    let listener = builder.await.unwrap();
    let uri = format!("{scheme}://localhost:{}/path?query", listener.local_address().unwrap().port());
    let accepting = async {
        let request = listener.accept().await.request().await.unwrap();
        assert_eq!((request.path(), request.query()), ("/path", Some("query")));
        request.accept_message(&MessageWebSocketControl::new()).await.unwrap()
    };
    let (client, server) = tokio::join!(control.connect(&uri), accepting);
    let client = client.unwrap();
    assert_eq!(client.information().tls().is_some(), scheme == "wss");
    assert_eq!(server.information().tls().is_some(), scheme == "wss");
    assert_eq!(client.information().local_address(), server.information().remote_address());
    exchange(client, server).await;
}

// Sockets of the system do not follow a stopped clock.
#[tokio::test]
async fn over_tcp_in_the_clear() {
    over_tcp(None).await;
}

#[tokio::test]
async fn over_tls() {
    over_tcp(Some(Identity::self_signed(["localhost"]).unwrap())).await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_arrives_in_order_though_it_came_at_once() {
    let wire: Vec<u8> = (0..1000).flat_map(|i| wire::masked_frame(0x81, i.to_string())).collect();
    let (mut socket, handle) = scripted_server(wire);
    handle.push(wire::from_client("88 02 03e8"));
    handle.end();
    let expected: Vec<_> = (0..1000).map(|i| text(&i.to_string())).collect();
    assert_eq!(receive_all(&mut socket).await, (expected, None));
}

#[tokio::test(start_paused = true)]
async fn fragments_come_as_one_message_with_controls_between() {
    let (mut socket, handle) =
        scripted_client(wire::from_server("01 02 'he' 89 01 'p' 00 00 8a 01 'x' 80 03 'llo' 82 00"));
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("hello")));
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(Message::from(Vec::new())));
    assert!(crate::support::poll_once(socket.receive()).is_pending());
    let written = wire::frames(&handle.written());
    assert_eq!(written.len(), 1);
    assert_eq!((written[0].first, written[0].text()), (0x8a, "p".into()));
}

#[tokio::test(start_paused = true)]
async fn a_client_masks_and_a_server_does_not() {
    let (mut client, to_server) = scripted_client([]);
    let (mut server, to_client) = scripted_server([]);
    for _ in 0..2 {
        client.send("hello").await.unwrap();
        server.send("hello").await.unwrap();
    }
    assert_eq!(to_client.written(), wire::bytes("81 05 'hello' 81 05 'hello'"));
    let written = to_server.written();
    assert!(wire::frames(&written).iter().all(|frame| frame.masked && frame.text() == "hello"));
    // RFC 6455 §10.3: a fresh key for each frame.
    assert_ne!(written[2..6], written[13..17]);
}

#[tokio::test(start_paused = true)]
async fn queued_messages_leave_when_receiving_waits() {
    let (mut socket, handle) = scripted_server([]);
    socket.feed("one").await.unwrap();
    socket.feed("two").await.unwrap();
    assert_eq!(handle.counts().writes, 0);
    assert!(crate::support::poll_once(socket.receive()).is_pending());
    assert_eq!(handle.written(), wire::bytes("81 03 'one' 81 03 'two'"));
    assert_eq!(handle.counts().writes, 1);
}

#[tokio::test(start_paused = true)]
async fn statistics_count_messages_and_bytes() {
    let (mut socket, _handle) = scripted_server(wire::from_client("81 02 'hi'"));
    socket.receive().await.unwrap();
    socket.send("hello").await.unwrap();
    let statistics = socket.information().statistics();
    assert_eq!((statistics.messages_received, statistics.messages_sent), (1, 1));
    assert_eq!((statistics.bytes_received, statistics.bytes_sent), (8, 7));
    assert_eq!(statistics.round_trip_time, None);
}

#[tokio::test(start_paused = true)]
async fn a_ping_measures_the_round_trip() {
    let (mut client, mut server) = pair();
    let answering = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(70)).await;
        server.receive().await
    });
    let time = soon(client.ping()).await.unwrap();
    assert_eq!(time.as_millis() / 10, 7, "{time:?}");
    assert_eq!(client.information().statistics().round_trip_time, Some(time));
    drop(client);
    let _ = answering.await;
}
