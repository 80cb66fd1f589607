//! The halves of a socket in several tasks: nothing lost, nothing reordered, nobody left asleep.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use wsduo::{CloseCode, ErrorKind, Message, MessageSender, MessageWebSocketControl, Role};
use wsduo_testing::{Fault, Faulty, Scripted, Slow, wire};

use crate::support::{
    HOUR, control, kind, noise, pair, pair_with, patient, poll_once, scripted_server, settle, soon, text,
};

#[tokio::test(start_paused = true)]
async fn two_tasks() {
    let (client, mut server) = pair();
    let echo = tokio::spawn(async move { server.run(|message, replies| replies.send(message)).await });
    let (mut receiver, sender) = client.split();
    let sending = tokio::spawn(async move {
        for i in 0..1000 {
            sender.send(i.to_string()).await.unwrap();
        }
        sender
    });
    for i in 0..1000 {
        assert_eq!(soon(receiver.receive()).await.unwrap(), Some(text(&i.to_string())));
    }
    let sender = sending.await.unwrap();
    assert!(soon(sender.close(CloseCode::NORMAL, "")).await.unwrap().clean);
    assert_eq!(soon(receiver.receive()).await.unwrap(), None);
    assert!(receiver.closed().unwrap().clean);
    assert!(echo.await.unwrap().unwrap().clean);
}

/// 100,000 messages from several tasks: each task's own come in the order they were sent in.
#[test]
fn cloned_senders_on_many_threads_lose_nothing_and_keep_their_order() {
    const SENDERS: u32 = 8;
    const MESSAGES: u32 = 12_500;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let (near, far) = tokio::io::duplex(10_000);
        let (mut own_receiver, sender) = control().from_transport(near, Role::Client).split();
        let mut server = control().from_transport(far, Role::Server);
        let receiving = tokio::spawn(async move {
            let mut next: HashMap<u32, u32> = HashMap::new();
            let mut total = 0;
            while let Some(message) = server.receive().await.unwrap() {
                let bytes = message.as_bytes();
                let task = u32::from_be_bytes(bytes[..4].try_into().unwrap());
                let number = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
                let expected = next.entry(task).or_default();
                assert_eq!(number, *expected, "of task {task}");
                *expected += 1;
                total += 1;
            }
            total
        });
        let tasks: Vec<_> = (0..SENDERS)
            .map(|task| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for number in 0..MESSAGES {
                        let message = [task.to_be_bytes(), number.to_be_bytes()].concat();
                        if number % 3 == 0 {
                            sender.send(message).await.unwrap();
                        } else {
                            sender.feed(message).await.unwrap();
                        }
                    }
                    sender.flush().await.unwrap();
                })
            })
            .collect();
        let closing = tokio::spawn(async move {
            for task in tasks {
                task.await.unwrap();
            }
            sender.close(CloseCode::NORMAL, "").await.unwrap()
        });
        assert_eq!(own_receiver.receive().await.unwrap(), None);
        assert!(closing.await.unwrap().clean);
        assert_eq!(receiving.await.unwrap(), SENDERS * MESSAGES);
    });
}

#[tokio::test(start_paused = true)]
async fn several_operations_in_one_task() {
    let (client, mut server) = pair_with(&control(), 100);
    let echo = tokio::spawn(async move { server.run(|message, replies| replies.send(message)).await });
    let (mut receiver, sender) = client.split();
    let large = noise(100_000);
    for _ in 0..10 {
        let (first, second, third, ping, received) = soon(async {
            tokio::join!(
                sender.send(&large),
                sender.send("second"),
                sender.send("third"),
                sender.ping(),
                async { [receiver.receive().await, receiver.receive().await, receiver.receive().await] },
            )
        })
        .await;
        first.unwrap();
        second.unwrap();
        third.unwrap();
        ping.unwrap();
        let received = received.map(|message| message.unwrap().unwrap());
        assert_eq!(received, [Message::from(&large[..]), text("second"), text("third")]);
    }
    drop((receiver, sender));
    let _ = echo.await;
}

#[tokio::test(start_paused = true)]
async fn no_wake_up_is_lost() {
    // Small transports, tasks that yield at odd times, many rounds.
    for seed in 0..60_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let room = 1 + (next() % 64) as usize;
        // Timers would hide a sleeper.
        let (a, b) = pair_with(&patient().max_queued(1 + (next() % 200) as usize), room);
        let mut tasks = Vec::new();
        for socket in [a, b] {
            let (mut receiver, sender) = socket.split();
            let mut yields: Vec<u64> = (0..200).map(|_| next() % 4).collect();
            let senders = 1 + (next() % 3) as usize;
            for _ in 0..senders {
                let sender = sender.clone();
                let yields: Vec<u64> = (0..30).map(|_| next()).collect();
                tasks.push(tokio::spawn(async move {
                    for (i, roll) in yields.into_iter().enumerate() {
                        for _ in 0..roll % 5 {
                            tokio::task::yield_now().await;
                        }
                        match roll % 11 {
                            0 => drop(sender.ping().await.unwrap()),
                            1 | 2 => sender.feed(noise(i * 7)).await.unwrap(),
                            _ => sender.send(noise(i * 3)).await.unwrap(),
                        }
                    }
                    sender.flush().await.unwrap();
                    sender.send("done").await.unwrap();
                }));
            }
            // The other side has up to three senders, too.
            tasks.push(tokio::spawn(async move {
                while let Some(message) = receiver.receive().await.unwrap() {
                    for _ in 0..yields.pop().unwrap_or(0) {
                        tokio::task::yield_now().await;
                    }
                    if message == text("last") {
                        break;
                    }
                }
                // Go on answering.
                let _ = receiver.receive().await;
            }));
            tasks.push(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(600)).await;
                sender.send("last").await.unwrap();
                tokio::time::sleep(Duration::from_secs(600)).await;
                let _ = sender.close(CloseCode::NORMAL, "").await;
            }));
        }
        for task in tasks {
            tokio::time::timeout(HOUR, task).await.unwrap_or_else(|_| panic!("seed {seed} hangs")).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_senders_leaves_the_receiver() {
    let (client, mut server) = pair();
    let (mut receiver, sender) = client.split();
    drop(sender);
    server.send("hello").await.unwrap();
    assert_eq!(soon(receiver.receive()).await.unwrap(), Some(text("hello")));
    let closing = tokio::spawn(async move { server.close(CloseCode::NORMAL, "").await });
    assert_eq!(soon(receiver.receive()).await.unwrap(), None);
    assert!(closing.await.unwrap().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_receiver_leaves_the_senders() {
    let (client, mut server) = pair();
    let (receiver, sender) = client.split();
    drop(receiver);
    for _ in 0..3 {
        sender.send("hello").await.unwrap();
        assert_eq!(soon(server.receive()).await.unwrap(), Some(text("hello")));
    }
    let closing = tokio::spawn(async move { server.close(CloseCode::NORMAL, "").await });
    settle().await;
    assert!(soon(sender.close(CloseCode::NORMAL, "")).await.unwrap().clean);
    assert!(closing.await.unwrap().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn messages_nobody_can_receive_do_not_hold_up_the_senders() {
    let (socket, handle) = scripted_server([]);
    let (receiver, sender) = socket.split();
    drop(receiver);
    for i in 0..100 {
        handle.push(wire::masked_frame(0x82, noise(10_000)));
        handle.push(wire::masked_frame(0x89, [i]));
        for _ in 0..3 {
            soon(sender.send("x")).await.unwrap();
        }
        let written = wire::frames(&handle.take_written());
        assert!(written.iter().any(|frame| frame.first == 0x8a && frame.payload == [i]), "ping {i}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_both_halves_ends_the_transport() {
    let (socket, handle) = scripted_server([]);
    let (receiver, sender) = socket.split();
    let clone = sender.clone();
    drop((receiver, sender));
    assert!(!handle.counts().is_dropped);
    drop(clone);
    assert!(handle.counts().is_dropped);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_is_woken_by_the_close_that_the_receiver_sees() {
    let (transport, handle) = Scripted::new([]);
    handle.set_room(10);
    let (mut receiver, sender) = patient().from_transport(transport, Role::Server).split();
    let sending = tokio::spawn(async move { sender.send(noise(1000)).await });
    let receiving = tokio::spawn(async move { receiver.receive().await });
    settle().await;
    handle.push(wire::from_client("88 00"));
    assert!(soon(sending).await.unwrap().is_err());
    assert!(soon(receiving).await.unwrap().is_err(), "the answer could not be written");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_waits_is_woken_when_a_sender_cannot_write() {
    for flushes in [false, true] {
        let (transport, handle) = Scripted::new([]);
        let (mut receiver, sender) = patient().from_transport(transport, Role::Server).split();
        let receiving = tokio::spawn(async move { receiver.receive().await });
        settle().await;
        handle.fail_writes(std::io::ErrorKind::BrokenPipe);
        if flushes {
            assert_eq!(kind(soon(sender.send("x")).await), ErrorKind::Lost);
        } else {
            assert_eq!(kind(soon(sender.ping()).await), ErrorKind::Lost);
        }
        assert_eq!(kind(soon(receiving).await.unwrap()), ErrorKind::Lost);
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_on_a_transport_that_cannot_write_does_not_wait() {
    let (transport, handle) = Scripted::new([]);
    handle.fail_writes(std::io::ErrorKind::BrokenPipe);
    let mut socket = patient().from_transport(transport, Role::Server);
    assert_eq!(kind(soon(socket.ping()).await), ErrorKind::Lost);
    assert_eq!(kind(soon(socket.receive()).await), ErrorKind::Lost);
}

#[tokio::test(start_paused = true)]
async fn a_ping_while_the_receiver_waits() {
    let (client, mut server) = pair();
    let echo = tokio::spawn(async move { server.run(|message, replies| replies.send(message)).await });
    let (mut receiver, sender) = client.split();
    let receiving = tokio::spawn(async move { receiver.receive().await });
    settle().await;
    for _ in 0..10 {
        soon(sender.ping()).await.unwrap();
    }
    let pings = [sender.clone(), sender.clone(), sender.clone()];
    for result in soon(futures_util::future::join_all(pings.iter().map(MessageSender::ping))).await {
        result.unwrap();
    }
    sender.send("hello").await.unwrap();
    assert_eq!(soon(receiving).await.unwrap().unwrap(), Some(text("hello")));
    drop(sender);
    let _ = echo.await;
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_sender_closes_is_still_received() {
    // In the read buffer, where the receiver did not get to it, and read ahead by a sender.
    for read_ahead in [false, true] {
        let (socket, handle) = scripted_server(wire::from_client("81 03 'one' 81 03 'two' 81 05 'three'"));
        let (mut receiver, sender) = socket.split();
        if read_ahead {
            sender.send("x").await.unwrap();
            sender.send("x").await.unwrap();
        }
        assert_eq!(soon(receiver.receive()).await.unwrap(), Some(text("one")));
        let closing = tokio::spawn(async move { sender.close(CloseCode::NORMAL, "").await });
        settle().await;
        handle.push(wire::from_client("81 04 'late' 88 02 03 e8"));
        assert!(soon(closing).await.unwrap().unwrap().clean);
        assert_eq!(soon(receiver.receive()).await.unwrap(), Some(text("two")), "read ahead: {read_ahead}");
        assert_eq!(soon(receiver.receive()).await.unwrap(), Some(text("three")));
        assert_eq!(soon(receiver.receive()).await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_in_the_middle_of_a_message_sees_a_sender_close() {
    for input in ["81 05 'he'", "81"] {
        for in_parts in [false, true] {
            let (transport, handle) = Scripted::new(wire::bytes(input));
            let (mut receiver, sender) = control().from_transport(transport, Role::Client).split();
            let receiving = tokio::spawn(async move {
                if in_parts {
                    while receiver.receive_part().await?.is_some() {}
                } else {
                    assert_eq!(receiver.receive().await?, None);
                }
                Ok::<_, wsduo::Error>(())
            });
            settle().await;
            let closing = tokio::spawn(async move { sender.close(CloseCode::NORMAL, "").await });
            settle().await;
            handle.push(if input.len() > 2 { wire::bytes("'llo'") } else { wire::bytes("01 'x'") });
            handle.push(wire::from_server("88 02 03 e8"));
            soon(receiving).await.unwrap().unwrap();
            assert!(soon(closing).await.unwrap().unwrap().clean);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_remembered_who_does_not_wait() {
    // A server that only sends, from a new task for each message.
    struct Sleeper;
    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {}
    }
    let (socket, _handle) = scripted_server([]);
    let (_receiver, sender) = socket.split();
    let mut held = 0;
    for _ in 0..100 {
        let sleeper = Arc::new(Sleeper);
        let waker = Waker::from(Arc::clone(&sleeper));
        let mut sending = Box::pin(sender.send("news"));
        assert!(sending.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        drop((sending, waker));
        held += Arc::strong_count(&sleeper) - 1;
    }
    assert!(held <= 1, "{held} tasks are remembered");
}

#[tokio::test(start_paused = true)]
async fn one_half_is_not_woken_for_the_other_without_need() {
    struct Counting(AtomicUsize);
    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (socket, _handle) = scripted_server([]);
    let (mut receiver, sender) = socket.split();
    let count = Arc::new(Counting(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut receiving = Box::pin(receiver.receive());
    assert!(receiving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    for _ in 0..100 {
        soon(sender.send("x")).await.unwrap();
    }
    let woken = count.0.load(Ordering::Relaxed);
    assert!(woken <= 2, "woken {woken} times");
}

#[tokio::test(start_paused = true)]
async fn close_by_two_senders_at_once() {
    let (client, mut server) = pair();
    let peer = tokio::spawn(async move { server.receive().await });
    let (mut receiver, sender) = client.split();
    let other = sender.clone();
    let (first, second, end) = soon(async {
        tokio::join!(
            sender.close(CloseCode::new(4001), "first"),
            other.close(CloseCode::new(4002), "second"),
            receiver.receive()
        )
    })
    .await;
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(end.unwrap(), None);
    assert_eq!(peer.await.unwrap().unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_goes_silent_ends_every_half() {
    for good in [0, 1, 2, 5, 9, 20] {
        let (near, _far) = tokio::io::duplex(1000);
        let transport = Faulty::new(Slow::new(near), Fault::Silence, good);
        let control: MessageWebSocketControl = control();
        let (mut receiver, sender) = control.from_transport(transport, Role::Client).split();
        let receiving = tokio::spawn(async move { receiver.receive().await });
        let sending = tokio::spawn(async move {
            loop {
                sender.send("hello").await?;
                tokio::time::sleep(Duration::from_secs(7)).await;
            }
            #[allow(unreachable_code, reason = "gives the block its type")]
            Ok::<(), wsduo::Error>(())
        });
        assert_eq!(kind(soon(receiving).await.unwrap()), ErrorKind::TimedOut);
        assert_eq!(kind(soon(sending).await.unwrap()), ErrorKind::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_operation_of_one_half_does_not_strand_the_other() {
    // The last to poll is the one that the transport would wake: it is gone, and the other has to be woken.
    let (socket, handle) = scripted_server([]);
    let (mut receiver, sender) = socket.split();
    let receiving = tokio::spawn(async move { receiver.receive().await });
    settle().await;
    handle.set_room(0);
    assert!(matches!(poll_once(sender.send("x")), Poll::Pending));
    handle.push(wire::from_client("81 02 'hi'"));
    assert_eq!(soon(receiving).await.unwrap().unwrap(), Some(text("hi")));
}
