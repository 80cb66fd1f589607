//! Sockets that are moved from the runtime they were opened in to another.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use wsduo::{ErrorKind, Listener, MessageWebSocket};

use crate::support::{control, kind, pair, poll_once, settle, soon, text};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

#[test]
fn a_socket_goes_on_in_another_runtime_with_its_messages_and_its_timers() {
    let (mut client, mut server) = pair();
    let first = runtime();
    // Waiting has set a timer.
    first.block_on(async { assert!(poll_once(client.receive()).is_pending()) });
    drop(first);
    runtime().block_on(async {
        assert!(poll_once(client.receive()).is_pending());
        server.send("hello").await.unwrap();
        assert_eq!(client.receive().await.unwrap(), Some(text("hello")));
        let begin = tokio::time::Instant::now();
        assert_eq!(kind(soon(client.receive()).await), ErrorKind::TimedOut);
        assert!(begin.elapsed() >= Duration::from_secs(30), "{:?}", begin.elapsed());
    });
}

#[test]
fn a_timer_is_that_of_the_runtime_that_waits_though_the_first_one_is_still_there() {
    let (mut client, _server) = pair();
    let first = runtime();
    first.block_on(async { assert!(poll_once(client.receive()).is_pending()) });
    // Nobody drives the first one any more.
    let error = runtime().block_on(async { soon(client.receive()).await });
    assert_eq!(kind(error), ErrorKind::TimedOut);
}

#[test]
fn a_half_goes_on_when_the_runtime_of_the_other_one_is_gone() {
    let (client, _server) = pair();
    let (mut receiver, sender) = client.split();
    let first = runtime();
    first.spawn(async move { receiver.receive().await.map(|_| receiver) });
    first.block_on(settle());
    runtime().block_on(async {
        let mut pinging = Box::pin(sender.ping());
        assert!(poll_once(&mut pinging).is_pending());
        first.shutdown_background();
        assert_eq!(kind(soon(pinging).await), ErrorKind::TimedOut);
    });
}

#[test]
fn a_tcp_connection_whose_runtime_is_gone_is_lost() {
    let first = Builder::new_current_thread().enable_all().build().unwrap();
    let (mut client, _server) = first.block_on(async {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("ws://{}/", listener.local_address().unwrap());
        let accepting = async { listener.accept().await.request().await?.accept_message(&control()).await };
        let (client, server) = tokio::join!(MessageWebSocket::connect(&uri), accepting);
        let mut client = client.unwrap();
        assert!(poll_once(client.receive()).is_pending());
        (client, server.unwrap())
    });
    drop(first);
    let error = runtime().block_on(async { soon(client.receive()).await });
    assert_eq!(kind(error), ErrorKind::Lost);
}
