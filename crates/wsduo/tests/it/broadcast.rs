//! One message for many sockets: order, receivers that stand still, compression, and what is left when they are gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use wsduo::{
    Broadcaster, CloseCode, Compression, ErrorKind, MessageType, MessageWebSocket, MessageWebSocketControl,
    PreparedMessage, Publication, Request, RequestControl, Role, SlowConsumer, SubscriptionControl,
};
use wsduo_testing::{Scripted, Slow, poll_at_most, wire};

use crate::support::{
    control, kind, pair, pair_with, patient, poll_once, scripted_server, settle, soon, text, waits,
};

const TOPIC: &str = "room";

/// The task of a connection that only listens.
fn listen(mut socket: MessageWebSocket<DuplexStream>, broadcaster: &Broadcaster) {
    let mut subscription = broadcaster.subscribe(TOPIC).unwrap();
    tokio::spawn(async move { while let Ok(Some(_)) = socket.receive_with(&mut subscription).await {} });
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_inside_of_another_message_still_waits_after_it() {
    let broadcaster = Broadcaster::new();
    let mut subscription = broadcaster.subscribe(TOPIC).unwrap();
    let (mut client, mut server) = pair();
    server.message_writer(MessageType::Text).write_all(b"be").await.unwrap();
    // Nothing is wrong yet.
    assert!(poll_once(server.receive_with(&mut subscription)).is_pending());
    soon(broadcaster.publish(TOPIC, "first")).await;
    assert_eq!(kind(soon(server.receive_with(&mut subscription)).await), ErrorKind::Misuse);
    server.message_writer(MessageType::Text).finish().await.unwrap();
    assert!(poll_once(server.receive_with(&mut subscription)).is_pending());

    let (_receiver, sender) = server.split();
    sender.send_part(MessageType::Text, b"be", false).await.unwrap();
    let mut forwarding = Box::pin(sender.forward(&mut subscription));
    assert!(waits(&mut forwarding));
    soon(broadcaster.publish(TOPIC, "second")).await;
    assert_eq!(kind(soon(forwarding).await), ErrorKind::Misuse);
    sender.send_part(MessageType::Text, b"gun", true).await.unwrap();
    assert!(poll_once(sender.forward(&mut subscription)).is_pending());
    for expected in ["be", "first", "begun", "second"] {
        assert_eq!(soon(client.receive()).await.unwrap(), Some(text(expected)));
    }
    assert_eq!((subscription.queued(), subscription.dropped()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_stands_still_delays_none_of_a_thousand() {
    const MESSAGES: usize = 200;
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest, SlowConsumer::LatestOnly] {
        let broadcaster = Broadcaster::new();
        // Nobody reads at its other end, and there is no room for the first message.
        let (_unread, mut stalled) = pair_with(&patient().max_queued(1), 2);
        let few = SubscriptionControl::new().slow_consumer(policy).max_messages(10);
        let mut its = broadcaster.subscribe_with(TOPIC, few).unwrap();
        let stuck = tokio::spawn(async move { stalled.receive_with(&mut its).await });
        let mut clients = Vec::new();
        for _ in 0..1000 {
            let (client, server) = pair();
            listen(server, &broadcaster);
            clients.push(client);
        }
        let publishing = async {
            for number in 0..MESSAGES {
                assert!(broadcaster.publish(TOPIC, number.to_string()).await.receivers >= 1000);
            }
        };
        // Nobody else has to run for it.
        assert!(poll_once(tokio::task::unconstrained(publishing)).is_ready());
        for client in &mut clients {
            for number in 0..MESSAGES {
                assert_eq!(soon(client.receive()).await.unwrap(), Some(text(&number.to_string())));
            }
        }
        let statistics = broadcaster.statistics();
        let expected = match policy {
            SlowConsumer::DropOldest => (MESSAGES - 10, 0),
            SlowConsumer::LatestOnly => (MESSAGES - 1, 0),
            _ => (11, 1),
        };
        assert_eq!((statistics.dropped as usize, statistics.disconnected as usize), expected);
        stuck.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn all_receivers_get_the_messages_of_all_publishers_in_one_order() {
    let broadcaster = Broadcaster::new();
    let mut clients = Vec::new();
    for _ in 0..20 {
        let (client, server) = pair();
        listen(server, &broadcaster);
        clients.push(client);
    }
    for publisher in 0..5 {
        let broadcaster = broadcaster.clone();
        tokio::spawn(async move {
            for number in 0..100 {
                broadcaster.publish(TOPIC, format!("{publisher} {number}")).await;
                tokio::task::yield_now().await;
            }
        });
    }
    let mut orders = Vec::new();
    for client in &mut clients {
        let mut order = Vec::new();
        for _ in 0..500 {
            order.push(soon(client.receive()).await.unwrap().unwrap());
        }
        orders.push(order);
    }
    assert!(orders.windows(2).all(|two| two[0] == two[1]));
    for publisher in 0..5 {
        let own = orders[0].iter().filter(|it| it.as_text().unwrap().starts_with(&format!("{publisher} ")));
        let expected = (0..100).map(|number| text(&format!("{publisher} {number}")));
        assert!(own.cloned().eq(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_published_together_leaves_by_one_write() {
    let broadcaster = Broadcaster::new();
    let (mut socket, handle) = scripted_server([]);
    let mut subscription = broadcaster.subscribe(TOPIC).unwrap();
    for number in 0..100 {
        broadcaster.publish(TOPIC, number.to_string()).await;
    }
    let mut receiving = Box::pin(socket.receive_with(&mut subscription));
    assert!(waits(&mut receiving));
    let frames = (0..100).flat_map(|number| wire::frame(0x81, number.to_string())).collect::<Vec<_>>();
    assert_eq!((handle.written(), handle.counts().writes), (frames, 1));
}

#[tokio::test(start_paused = true)]
async fn one_task_talks_and_listens_and_hears_the_others_only() {
    let broadcaster = Broadcaster::new();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let (client, mut server) = pair();
        let broadcaster = broadcaster.clone();
        let mut subscription = broadcaster.subscribe(TOPIC).unwrap();
        tokio::spawn(async move {
            while let Ok(Some(message)) = server.receive_with(&mut subscription).await {
                let message = Publication::new(message).except(subscription.id());
                broadcaster.publish(TOPIC, message).await;
            }
        });
        clients.push(client);
    }
    clients[0].send("from 0").await.unwrap();
    for client in &mut clients[1..] {
        assert_eq!(soon(client.receive()).await.unwrap(), Some(text("from 0")));
    }
    clients[1].send("from 1").await.unwrap();
    assert_eq!(soon(clients[0].receive()).await.unwrap(), Some(text("from 1")));
    assert_eq!(soon(clients[2].receive()).await.unwrap(), Some(text("from 1")));
    clients[0].close(CloseCode::NORMAL, "").await.unwrap();
    settle().await;
    assert_eq!(broadcaster.subscribers(TOPIC), 2);
}

/// A subscription whose receiver has just been let go.
async fn too_slow(broadcaster: &Broadcaster) -> wsduo::Subscription {
    let subscription = broadcaster.subscribe_with(TOPIC, SubscriptionControl::new().max_messages(1)).unwrap();
    assert_eq!(broadcaster.publish(TOPIC, "1").await.disconnected, 0);
    assert_eq!(broadcaster.publish(TOPIC, "2").await.disconnected, 1);
    subscription
}

#[tokio::test(start_paused = true)]
async fn who_is_too_slow_is_closed_with_1013() {
    for split in [false, true] {
        let broadcaster = Broadcaster::new();
        let mut subscription = too_slow(&broadcaster).await;
        let (mut client, mut server) = pair();
        let serving = tokio::spawn(async move {
            if split {
                let (_receiver, sender) = server.split();
                sender.forward(&mut subscription).await.unwrap()
            } else {
                assert_eq!(server.receive_with(&mut subscription).await.unwrap(), None);
                server.closed().unwrap().clone()
            }
        });
        assert_eq!(soon(client.receive()).await.unwrap(), None);
        let closed = client.closed().unwrap();
        assert_eq!((closed.code, &*closed.reason), (CloseCode::TRY_AGAIN_LATER, "too slow to follow"));
        assert_eq!(soon(serving).await.unwrap().code, CloseCode::TRY_AGAIN_LATER);
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_even_take_the_close_is_dropped_after_the_close_timeout() {
    for split in [false, true] {
        let broadcaster = Broadcaster::new();
        let mut subscription =
            broadcaster.subscribe_with(TOPIC, SubscriptionControl::new().max_messages(1)).unwrap();
        let control = patient().max_queued(1).close_timeout(Duration::from_secs(3));
        let (near, _far) = tokio::io::duplex(1);
        let mut server = control.from_transport(near, Role::Server);
        let serving = tokio::spawn(async move {
            if split {
                let (_receiver, sender) = server.split();
                sender.forward(&mut subscription).await.map(|_| ())
            } else {
                server.receive_with(&mut subscription).await.map(|_| ())
            }
        });
        settle().await;
        // One is the socket's, which has no room for more; one waits; the third is too many.
        for expected in [0, 0, 1] {
            assert_eq!(broadcaster.publish(TOPIC, "message").await.disconnected, expected);
            settle().await;
        }
        let started = tokio::time::Instant::now();
        let ended = soon(serving).await.unwrap();
        // Only the waiting for the answer was in vain; `forward` tells that it has closed.
        assert_eq!(ended.is_ok(), split, "{ended:?}");
        let elapsed = started.elapsed();
        assert!((Duration::from_secs(3)..Duration::from_secs(7)).contains(&elapsed), "{elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn halves_may_publish_and_wait_for_each_other() {
    let few = SubscriptionControl::new().slow_consumer(SlowConsumer::Wait).max_messages(2);
    let broadcaster = Broadcaster::with(few);
    let mut clients = Vec::new();
    for _ in 0..3 {
        let (client, server) = pair_with(&control(), 100);
        let broadcaster = broadcaster.clone();
        let mut subscription = broadcaster.subscribe(TOPIC).unwrap();
        let id = subscription.id();
        let (mut receiver, sender) = server.split();
        tokio::spawn(async move {
            let publishing = async {
                while let Ok(Some(message)) = receiver.receive().await {
                    broadcaster.publish(TOPIC, Publication::new(message).except(id)).await;
                }
            };
            tokio::select! {
                () = publishing => {}
                _ = sender.forward(&mut subscription) => {}
            }
        });
        let (receiver, sender) = client.split();
        clients.push((receiver, sender));
    }
    let talking = clients.into_iter().map(|(mut receiver, sender)| async move {
        let sending = async {
            for _ in 0..100 {
                sender.send(vec![7; 50]).await.unwrap();
            }
        };
        let receiving = async {
            for _ in 0..200 {
                assert_eq!(receiver.receive().await.unwrap().unwrap().len(), 50);
            }
        };
        tokio::join!(sending, receiving);
    });
    let mut talking = Box::pin(futures_util::future::join_all(talking));
    soon(&mut talking).await;
    assert_eq!(broadcaster.statistics().dropped, 0);
}

async fn negotiated(
    client: &MessageWebSocketControl,
    server: &MessageWebSocketControl,
) -> (MessageWebSocket, MessageWebSocket<DuplexStream>) {
    let (near, far) = tokio::io::duplex(256 << 10);
    let accepting = async {
        let request = Request::from_transport(far, &RequestControl::new()).await?;
        request.accept_message(server).await
    };
    tokio::try_join!(client.connect_over(near, "ws://example.org/"), accepting).unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_set_of_parameters_compresses_a_message_once() {
    let with = |compression: Compression| control().compression(compression);
    let plain = Compression::new();
    let kinds = [
        None,
        Some(with(plain)),
        // Other windows, and another level, are other parameters; forgetting is none, since nothing is remembered.
        Some(with(plain.window_bits(10, 10))),
        Some(with(plain.context_takeover(false, false))),
        Some(with(plain.level(1))),
    ];
    let broadcaster = Broadcaster::new();
    let mut clients = Vec::new();
    for kind in kinds.iter().cycle().take(50) {
        let control = kind.clone().unwrap_or_else(control);
        let (client, server) = negotiated(&control, &control).await;
        assert_eq!(client.information().compression().is_some(), kind.is_some());
        listen(server, &broadcaster);
        clients.push(client);
    }
    for round in 0..3 {
        let long = format!("{round} {}", "All receivers get the same. ".repeat(100));
        let message = PreparedMessage::new(long.clone());
        broadcaster.publish(TOPIC, &message).await;
        for client in &mut clients {
            assert_eq!(soon(client.receive()).await.unwrap(), Some(text(&long)));
        }
        assert_eq!(message.times_compressed(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn receiving_and_forwarding_may_be_dropped_at_every_poll() {
    for split in [false, true] {
        let mut polls = 1;
        loop {
            let broadcaster = Broadcaster::new();
            let mut subscription = broadcaster.subscribe(TOPIC).unwrap();
            for number in 0..3 {
                broadcaster.publish(TOPIC, number.to_string()).await;
            }
            let (transport, handle) = Scripted::new(wire::masked_frame(0x81, "hi"));
            let mut socket = control().from_transport(Slow::new(transport), Role::Server);
            let frames = (0..3).flat_map(|number| wire::frame(0x81, number.to_string())).collect::<Vec<_>>();
            let done = if split {
                let (mut receiver, sender) = socket.split();
                let first = poll_at_most(polls, sender.forward(&mut subscription));
                let done = tokio::time::timeout(Duration::from_secs(1), first).await.is_err();
                sender.flush().await.unwrap();
                assert!(
                    tokio::time::timeout(Duration::from_secs(1), sender.forward(&mut subscription))
                        .await
                        .is_err()
                );
                assert_eq!(soon(receiver.receive()).await.unwrap(), Some(text("hi")));
                done
            } else {
                let first = poll_at_most(polls, socket.receive_with(&mut subscription)).await;
                let done = first.is_some();
                let message = match first {
                    Some(message) => message,
                    None => soon(socket.receive_with(&mut subscription)).await,
                };
                assert_eq!(message.unwrap(), Some(text("hi")));
                soon(socket.flush()).await.unwrap();
                done
            };
            assert_eq!(handle.written(), frames, "{polls} polls, split: {split}");
            if done {
                break;
            }
            polls += 1;
            assert!(polls < 1000, "never ends");
        }
        assert!(polls > 3);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_topics_that_nobody_listens_to() {
    let broadcaster = Broadcaster::new();
    for number in 0..100_000 {
        let mut subscription = broadcaster.subscribe(format!("topic {number}")).unwrap();
        subscription.add("common").unwrap();
        if number % 2 == 0 {
            assert!(subscription.remove("common"));
            assert!(!subscription.remove("common"));
        }
    }
    let statistics = broadcaster.statistics();
    assert_eq!((statistics.topics, statistics.subscriptions), (0, 0));
    // All at once, too.
    let all = (0..10_000).map(|_| broadcaster.subscribe(TOPIC).unwrap()).collect::<Vec<_>>();
    assert_eq!((broadcaster.subscribers(TOPIC), broadcaster.statistics().topics), (10_000, 1));
    drop(all);
    assert_eq!(broadcaster.statistics().topics, 0);
    assert_eq!(broadcaster.publish(TOPIC, "to nobody").await.receivers, 0);
}

#[test]
fn names_and_topics_of_a_subscription_are_limited() {
    let broadcaster = Broadcaster::with(SubscriptionControl::new().max_topics(2));
    let longest = "x".repeat(Broadcaster::MAX_TOPIC_NAME);
    assert_eq!(kind(broadcaster.subscribe(format!("{longest}x"))), ErrorKind::InvalidInput);
    let mut subscription = broadcaster.subscribe(longest.clone()).unwrap();
    subscription.add("second").unwrap();
    subscription.add("second").unwrap();
    assert_eq!(kind(subscription.add("third")), ErrorKind::InvalidInput);
    assert!(subscription.remove(&longest));
    subscription.add("third").unwrap();
    let mut topics = subscription.topics().collect::<Vec<_>>();
    topics.sort_unstable();
    assert_eq!(topics, ["second", "third"]);
    // A refused subscription leaves nothing.
    assert_eq!(broadcaster.statistics().subscriptions, 1);
}

#[test]
fn subscribing_and_leaving_from_many_threads_loses_no_topic() {
    // A thread may stand still for a thousand messages of the others.
    let control = SubscriptionControl::new().slow_consumer(SlowConsumer::DropOldest);
    let broadcaster = Arc::new(Broadcaster::with(control));
    let threads = (0..4).map(|_| {
        let broadcaster = Arc::clone(&broadcaster);
        std::thread::spawn(move || {
            for number in 0..2000_u32 {
                let mut subscription = broadcaster.subscribe(TOPIC).unwrap();
                // Whoever is subscribed gets it, whatever the others do to the topic.
                let message = number.to_string();
                broadcaster.try_publish(TOPIC, message.clone()).ok();
                if let std::task::Poll::Ready(first) = poll_once(subscription.next()) {
                    assert!(!first.unwrap().as_bytes().is_empty());
                }
            }
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
    let statistics = broadcaster.statistics();
    assert_eq!((statistics.topics, statistics.subscriptions), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sender_can_refuse_to_wait_and_tell_what_is_queued() {
    let (near, mut far) = tokio::io::duplex(10);
    let (mut receiver, sender) = control().max_queued(100).from_transport(near, Role::Server).split();
    let mut receiving = Box::pin(receiver.receive());
    assert!(waits(&mut receiving));
    let mut fed = 0;
    while sender.try_feed(vec![7; 18]).is_ok() {
        fed += 1;
    }
    assert_eq!((fed, sender.queued_bytes()), (5, 100));
    assert_eq!(kind(sender.try_feed("x")), ErrorKind::Busy);
    // The receiver writes it.
    let mut read = vec![0; 100];
    tokio::select! {
        _ = &mut receiving => panic!("nothing came"),
        read = far.read_exact(&mut read) => assert_eq!(read.unwrap(), 100),
    }
    assert_eq!(sender.queued_bytes(), 0);
    sender.try_feed("x").unwrap();
    far.shutdown().await.unwrap();
    drop(far);
    assert_eq!(kind(soon(receiving).await), ErrorKind::Lost);
    assert_eq!(kind(sender.try_feed("x")), ErrorKind::Lost);
}
