//! Handler loops: one read, many messages, one write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wsduo::{AsyncReplies, CloseCode, ErrorKind, Initiator, Message, Role};
use wsduo_testing::{Scripted, wire};

use crate::support::{
    HOUR, control, kind, noise, pair, patient, poll_once, scripted_server, settle, soon, text, waits,
};

#[tokio::test(start_paused = true)]
async fn what_comes_by_one_read_is_answered_by_one_write() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 05 'hello'").repeat(1000));
    let mut running = Box::pin(socket.run(|message, replies| replies.send(message)));
    assert!(waits(&mut running));
    let counts = handle.counts();
    assert_eq!((counts.reads, counts.writes), (1, 1));
    assert_eq!(handle.take_written(), wire::bytes("81 05 'hello'").repeat(1000));
    handle.push(wire::from_client("82 01 'x' 88 02 03 e8"));
    let closed = soon(running).await.unwrap();
    assert!(closed.clean);
    assert_eq!(handle.written(), wire::bytes("82 01 'x' 88 02 03 e8"));
    assert_eq!(handle.counts().writes, 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_handler_leaves_the_socket_usable() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 01 'a' 81 01 'b' 81 01 'c'"));
    let failure = {
        let (mut broken, end) = scripted_server([]);
        end.end();
        soon(broken.receive()).await.unwrap_err()
    };
    let mut seen = 0;
    let result = soon(socket.run(|message, replies| {
        seen += 1;
        replies.send(&message)?;
        if message.as_text() == Some("b") { Err(failure.clone()) } else { Ok(()) }
    }))
    .await;
    assert_eq!(kind(result), ErrorKind::Lost);
    assert_eq!(seen, 2);
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("c")));
    soon(socket.send("still here")).await.unwrap();
    assert_eq!(handle.written(), wire::bytes("81 01 'a' 81 01 'b' 81 0a 'still here'"));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_an_asynchronous_handler_leaves_the_socket_usable() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 01 'a' 81 01 'b'"));
    let result = soon(socket.run_async(async |message, replies: &AsyncReplies<'_, _>| {
        replies.send(message).await?;
        replies.send(Message::from(vec![0; 3])).await?;
        // Any error of ours.
        control().header("no name", "x").connect("ws://localhost").await.map(|_| ())
    }))
    .await;
    assert_eq!(kind(result), ErrorKind::InvalidInput);
    assert_eq!(soon(socket.receive()).await.unwrap(), Some(text("b")));
    soon(socket.flush()).await.unwrap();
    assert_eq!(handle.written(), wire::bytes("81 01 'a' 82 03 00 00 00"));
}

#[tokio::test(start_paused = true)]
async fn the_handler_can_close() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 03 'bye' 81 05 'cross' 88 02 0f a1"));
    let mut seen = Vec::new();
    let closed = soon(socket.run(|message, replies| {
        seen.push(message.as_text().map(str::to_owned));
        if seen.len() == 1 {
            replies.send("last words")?;
            replies.close(CloseCode::new(4001), "asked to")?;
            assert_eq!(kind(replies.send("too late")), ErrorKind::Closed);
        }
        Ok(())
    }))
    .await
    .unwrap();
    assert_eq!((closed.code.number(), closed.initiator, closed.clean), (4001, Initiator::Local, true));
    assert_eq!(seen, [Some("bye".to_owned())]);
    assert_eq!(handle.written(), wire::bytes("81 0a 'last words' 88 0a 0f a1 'asked to'"));
}

#[tokio::test(start_paused = true)]
async fn an_asynchronous_handler_can_close_and_is_not_called_again() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 03 'bye' 81 05 'cross' 88 02 0f a1"));
    let mut seen = Vec::new();
    let closed = soon(socket.run_async(async |message: Message, replies: &AsyncReplies<'_, _>| {
        seen.push(message);
        replies.send("last words").await?;
        replies.close(CloseCode::new(4001), "asked to")?;
        assert_eq!(kind(replies.send("too late").await), ErrorKind::Closed);
        Ok(())
    }))
    .await
    .unwrap();
    assert_eq!((closed.code.number(), closed.initiator, closed.clean), (4001, Initiator::Local, true));
    assert_eq!(seen, [text("bye")]);
    assert_eq!(handle.written(), wire::bytes("81 0a 'last words' 88 0a 0f a1 'asked to'"));
}

#[tokio::test(start_paused = true)]
async fn a_close_by_the_handler_is_bounded() {
    let (transport, _handle) = Scripted::new(wire::from_client("81 03 'bye'"));
    let mut socket = patient().from_transport(transport, Role::Server);
    let result = soon(socket.run(|_, replies| replies.close(CloseCode::NORMAL, ""))).await;
    assert_eq!(kind(result), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_not_run_in_the_middle_of_a_message_received_in_parts() {
    let (mut socket, handle) = scripted_server(wire::masked_frame(0x01, "begin"));
    assert_eq!(soon(socket.receive_part()).await.unwrap().unwrap().bytes, "begin");
    handle.push(wire::from_client("80 03 'end' 81 04 'next' 88 00"));
    assert_eq!(kind(soon(socket.run(|_, _| Ok(()))).await), ErrorKind::Misuse);
    let ran = soon(socket.run_async(async |_, _: &AsyncReplies<'_, _>| Ok(()))).await;
    assert_eq!(kind(ran), ErrorKind::Misuse);
    assert_eq!(soon(socket.receive_part()).await.unwrap().unwrap().bytes, "end");
    let mut seen = Vec::new();
    let run = soon(socket.run(|message, _| {
        seen.push(message.into_owned());
        Ok(())
    }));
    assert!(run.await.unwrap().clean);
    assert_eq!(seen, [text("next")]);
}

#[tokio::test(start_paused = true)]
async fn replies_leave_before_an_asynchronous_handler_waits() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 01 'a' 81 01 'b' 81 01 'c'"));
    let running = tokio::spawn(async move {
        socket
            .run_async(async |message, replies: &AsyncReplies<'_, _>| {
                let waits = message.as_text() == Some("b");
                replies.send(message).await?;
                if waits {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
                Ok(())
            })
            .await
    });
    settle().await;
    assert_eq!(handle.take_written(), wire::bytes("81 01 'a' 81 01 'b'"));
    assert_eq!(handle.counts().writes, 1);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(handle.take_written(), wire::bytes("81 01 'c'"));
    handle.push(wire::from_client("88 00"));
    assert!(soon(running).await.unwrap().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn an_asynchronous_handler_that_never_waits_batches_too() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 05 'hello'").repeat(1000));
    let running = tokio::spawn(async move {
        socket.run_async(async |message, replies: &AsyncReplies<'_, _>| replies.send(message).await).await
    });
    settle().await;
    assert_eq!(handle.written(), wire::bytes("81 05 'hello'").repeat(1000));
    assert_eq!(handle.counts().writes, 1);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn an_asynchronous_handler_waits_for_room() {
    let one = wire::masked_frame(0x82, noise(1000));
    let (transport, handle) = Scripted::new(one.repeat(300));
    handle.push(wire::from_client("88 00"));
    handle.set_room(0);
    let mut socket = patient().max_queued(5000).from_transport(transport, Role::Server);
    let count = Arc::new(AtomicUsize::new(0));
    let handled = Arc::clone(&count);
    let running = tokio::spawn(async move {
        socket
            .run_async(async move |message, replies: &AsyncReplies<'_, _>| {
                handled.fetch_add(1, Ordering::Relaxed);
                replies.send(message).await
            })
            .await
    });
    settle().await;
    handle.set_room(2500);
    settle().await;
    assert!(!running.is_finished());
    handle.set_room(usize::MAX);
    assert!(soon(running).await.unwrap().unwrap().clean);
    assert_eq!(count.load(Ordering::Relaxed), 300);
    assert_eq!(wire::frames(&handle.written()).len(), 301);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_by_run() {
    let (mut client, mut server) = pair();
    let running = tokio::spawn(async move { server.run(|_, _| Ok(())).await });
    client.close(CloseCode::new(4002), "done").await.unwrap();
    let closed = soon(running).await.unwrap().unwrap();
    assert_eq!((closed.code.number(), &*closed.reason), (4002, "done"));

    let (client, mut server) = pair();
    drop(client);
    assert_eq!(kind(soon(server.run(|_, _| Ok(()))).await), ErrorKind::Lost);
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_loss_is_handled_first() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 01 'a' 81 01 'b'"));
    handle.fail_writes(std::io::ErrorKind::BrokenPipe);
    handle.fail_reads(std::io::ErrorKind::ConnectionReset);
    let mut seen = 0;
    let result = soon(socket.run(|message, replies| {
        seen += 1;
        replies.send(message)
    }))
    .await;
    assert_eq!(kind(result), ErrorKind::Lost);
    assert_eq!(seen, 2);
}

#[tokio::test(start_paused = true)]
async fn the_peer_that_goes_while_a_handler_waits_is_noticed_when_the_handler_is_done() {
    let (mut socket, handle) = scripted_server(wire::from_client("81 01 'a'"));
    let running = tokio::spawn(async move {
        socket
            .run_async(async |_, replies: &AsyncReplies<'_, _>| {
                tokio::time::sleep(HOUR / 4).await;
                replies.send("late").await
            })
            .await
    });
    settle().await;
    handle.push(wire::from_client("88 02 03 e8"));
    settle().await;
    // The answer does not wait for the handler.
    assert_eq!(handle.written(), wire::bytes("88 02 03 e8"));
    assert_eq!(kind(soon(running).await.unwrap()), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_handler_takes_only_its_task_along() {
    let (mut socket, _handle) = scripted_server(wire::from_client("81 01 'a' 81 01 'b'"));
    let running = tokio::spawn(async move {
        let caught = std::panic::AssertUnwindSafe(async {
            poll_once(socket.run(|_, _| panic!("on purpose"))).is_pending()
        });
        let result = futures_util::FutureExt::catch_unwind(caught).await;
        assert!(result.is_err());
        // The message was handled, as far as that goes.
        socket.receive().await
    });
    assert_eq!(soon(running).await.unwrap().unwrap(), Some(text("b")));
}
