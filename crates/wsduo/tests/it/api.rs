//! The public types in the hands of generic code: spawned, as streams and sinks.

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use wsduo::{
    CloseCode, Error, Listener, Message, MessageReceiver, MessageSender, MessageType, MessageWebSocket,
    MessageWebSocketControl, Request, RequestControl,
};

use crate::support::{pair, pair_with, patient, soon, text};

fn assert_send<T: Send>(_: &T) {}

/// Never called: it is enough that it compiles.
#[allow(dead_code)]
async fn everything_is_send_when_the_transport_is<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    mut socket: MessageWebSocket<T>,
    mut receiver: MessageReceiver<T>,
    sender: MessageSender<T>,
    request: Request<T>,
    transport: T,
) {
    assert_send(&socket);
    assert_send(&receiver);
    assert_send(&sender);
    assert_send(&socket.receive());
    assert_send(&socket.receive_part());
    assert_send(&socket.next_reader());
    assert_send(&socket.send("text"));
    assert_send(&socket.feed("text"));
    assert_send(&socket.flush());
    assert_send(&socket.ping());
    assert_send(&socket.close(CloseCode::NORMAL, ""));
    assert_send(&socket.message_writer(MessageType::Text));
    assert_send(&socket.message_writer(MessageType::Text).finish());
    assert_send(&socket.run(|message, replies| replies.send(message)));
    assert_send(&receiver.receive());
    assert_send(&receiver.receive_part());
    assert_send(&sender.send("text"));
    assert_send(&sender.feed("text"));
    assert_send(&sender.flush());
    assert_send(&sender.ping());
    assert_send(&sender.close(CloseCode::NORMAL, ""));
    let control = MessageWebSocketControl::new();
    assert_send(&control.connect("ws://example.org"));
    assert_send(&MessageWebSocket::connect("ws://example.org"));
    assert_send(&request.accept_message(&control));
    let requests = RequestControl::new();
    assert_send(&Request::from_transport(transport, &requests));
}

#[allow(dead_code)]
async fn the_server_is_send(listener: Listener, request: Request) {
    assert_send(&listener.accept());
    let incoming = listener.accept().await;
    assert_send(&incoming.request());
    assert_send(&request.refuse(http::StatusCode::FORBIDDEN));
}

#[allow(dead_code)]
fn assert_shared<T: Send + Sync>() {}

#[test]
fn what_is_shared_between_threads_may_be() {
    assert_shared::<Error>();
    assert_shared::<MessageWebSocketControl>();
    assert_shared::<MessageSender<DuplexStream>>();
    assert_shared::<wsduo::MessageWebSocketInformation>();
    assert_shared::<Listener>();
}

#[tokio::test(start_paused = true)]
async fn run_can_be_spawned() {
    let (mut client, mut server) = pair();
    let running = tokio::spawn(async move { server.run(|message, replies| replies.send(message)).await });
    client.send("hello").await.unwrap();
    assert_eq!(client.receive().await.unwrap(), Some(text("hello")));
    client.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(running.await.unwrap().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn run_async_can_be_spawned() {
    let (mut client, mut server) = pair();
    let running = tokio::spawn(async move {
        server
            .run_async(async |message, replies| {
                tokio::task::yield_now().await;
                replies.send(message).await
            })
            .await
    });
    client.send("hello").await.unwrap();
    assert_eq!(client.receive().await.unwrap(), Some(text("hello")));
    client.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(running.await.unwrap().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_a_stream_and_a_sink() {
    let (mut client, server) = pair();
    let echo = tokio::spawn(async move {
        let (sink, stream) = server.split_by_futures();
        stream.forward(sink).await
    });
    client.send_all(&mut futures_util::stream::iter(["a", "b", "c"].map(|t| Ok(text(t))))).await.unwrap();
    let back: Vec<_> = client.by_ref().take(3).map(Result::unwrap).collect().await;
    assert_eq!(back, [text("a"), text("b"), text("c")]);
    SinkExt::<Message>::close(&mut client).await.unwrap();
    assert!(client.closed().unwrap().clean);
    assert!(client.next().await.is_none());
    assert!(client.next().await.is_none());
    soon(echo).await.unwrap().unwrap();
}

/// [`StreamExt::split`], which the socket's own method hides.
trait SplitByFutures: Sized {
    type Halves;
    fn split_by_futures(self) -> Self::Halves;
}

impl SplitByFutures for MessageWebSocket<DuplexStream> {
    type Halves = (futures_util::stream::SplitSink<Self, Message>, futures_util::stream::SplitStream<Self>);

    fn split_by_futures(self) -> Self::Halves {
        StreamExt::split(self)
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_a_loss_once_and_then_ends() {
    let (client, server) = pair();
    drop(server);
    let (mut receiver, _sender) = client.split();
    assert!(receiver.next().await.unwrap().is_err());
    assert!(receiver.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_and_a_sink_may_be_in_the_hands_of_two_tasks() {
    let (socket, mut peer) = pair_with(&patient(), 1 << 10);
    let (mut sink, stream) = StreamExt::split(socket);
    let receiving =
        tokio::spawn(async move { stream.take(2).map(|message| message.unwrap()).collect::<Vec<_>>().await });
    tokio::task::yield_now().await;
    // The second flush looks for input too, and must not take the receiver's place.
    soon(sink.send(Message::from("one"))).await.unwrap();
    soon(sink.send(Message::from("two"))).await.unwrap();
    soon(peer.send("three")).await.unwrap();
    soon(async { while peer.receive().await.unwrap() != Some(text("two")) {} }).await;
    // More than fits: the sink waits while the stream is polled.
    let sending = tokio::spawn(async move { sink.send(Message::from(vec![0; 10_000])).await });
    tokio::task::yield_now().await;
    soon(peer.send("four")).await.unwrap();
    assert_eq!(soon(peer.receive()).await.unwrap().map(|message| message.len()), Some(10_000));
    soon(sending).await.unwrap().unwrap();
    assert_eq!(soon(receiving).await.unwrap(), [text("three"), text("four")]);
}

#[tokio::test(start_paused = true)]
async fn closing_a_sink_fails_if_what_was_sent_may_not_have_arrived() {
    let (mut socket, peer) = pair();
    soon(SinkExt::feed(&mut socket, text("lost"))).await.unwrap();
    drop(peer);
    assert!(soon(SinkExt::close(&mut socket)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_send_in_several_places_at_once() {
    let (mut socket, mut peer) = pair_with(&patient().max_queued(10), 64);
    let serving = tokio::spawn(async move {
        socket
            .run_async(async |_, replies| {
                let all: futures_util::stream::FuturesUnordered<_> =
                    (0..20_u8).map(|n| replies.send(vec![n; 100])).collect();
                all.map(|sent| sent.unwrap()).collect::<Vec<()>>().await;
                replies.close(CloseCode::NORMAL, "")
            })
            .await
    });
    soon(peer.send("go")).await.unwrap();
    for _ in 0..20 {
        assert_eq!(soon(peer.receive()).await.unwrap().map(|message| message.len()), Some(100));
    }
    assert_eq!(soon(peer.receive()).await.unwrap(), None);
    assert!(soon(serving).await.unwrap().unwrap().clean);
}
