//! Every `async fn`, dropped at every poll over a transport that waits before each byte, and then gone on with: what
//! crosses the wire and what comes out has to be what an uninterrupted run brings.

use std::future::Future;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use wsduo::{
    CloseCode, Closed, Error, Listener, Message, MessageReceiver, MessageSender, MessageType,
    MessageWebSocket, MessageWebSocketControl, Request, RequestControl, Role,
};
use wsduo_testing::{Handle, Scripted, Slow, poll_at_most, wire};

use crate::support::{HOUR, control, one_byte, poll_once, soon, text};

type Socket = MessageWebSocket<Slow<Scripted>>;

/// Runs `scenario` with interruptions after every number of polls there is, until none happened, and expects the same
/// each time.
///
/// The scenario is given a [`Cut`], has to pass every future through it, and tells what was seen.
async fn check<F, S, R>(mut scenario: F)
where
    F: FnMut(Cut) -> S,
    S: Future<Output = R>,
    R: PartialEq + std::fmt::Debug,
{
    let uninterrupted = soon(scenario(Cut::never())).await;
    for often in [false, true] {
        let mut polls = usize::from(often);
        loop {
            let cut = Cut::new(polls, often);
            let seen = soon(scenario(cut.clone())).await;
            assert_eq!(seen, uninterrupted, "dropped after {polls} polls, each time: {often}");
            if !cut.has_cut() {
                break;
            }
            polls += 1;
            assert!(polls < 10_000, "never ends");
        }
    }
}

/// Drops futures: one of them, or each.
#[derive(Clone, Debug)]
struct Cut {
    state: std::sync::Arc<std::sync::Mutex<CutState>>,
}

#[derive(Debug)]
struct CutState {
    /// `None`: never.
    polls: Option<usize>,
    often: bool,
    has_cut: bool,
}

impl Cut {
    fn never() -> Self {
        Self::make(None, false)
    }

    fn new(polls: usize, often: bool) -> Self {
        Self::make(Some(polls), often)
    }

    fn make(polls: Option<usize>, often: bool) -> Self {
        Self { state: std::sync::Arc::new(CutState { polls, often, has_cut: false }.into()) }
    }

    fn has_cut(&self) -> bool {
        self.state.lock().unwrap().has_cut
    }

    /// The output of the future, or `None` if it was dropped.
    async fn maybe<F: Future>(&self, future: F) -> Option<F::Output> {
        let polls = {
            let state = self.state.lock().unwrap();
            if state.often || !state.has_cut { state.polls } else { None }
        };
        let Some(polls) = polls else { return Some(future.await) };
        let output = poll_at_most(polls, future).await;
        if output.is_none() {
            self.state.lock().unwrap().has_cut = true;
            // Others have to get their turn, however short ours was.
            tokio::task::yield_now().await;
        }
        output
    }
}

/// Calls an operation until it is done: `again!(cut, socket.receive())`.
macro_rules! again {
    ($cut:expr, $operation:expr) => {
        loop {
            if let Some(output) = $cut.maybe($operation).await {
                break output;
            }
        }
    };
}

fn scripted(role: Role, input: Vec<u8>) -> (Socket, Handle) {
    let (transport, handle) = one_byte(input);
    (control().from_transport(transport, role), handle)
}

/// In the direction that this role reads.
fn from_peer(role: Role, text: &str) -> Vec<u8> {
    match role {
        Role::Server => wire::from_client(text),
        Role::Client => wire::from_server(text),
    }
}

/// What was written, as text: the masks differ each time.
fn written(handle: &Handle) -> Vec<(u8, String)> {
    wire::frames(&handle.written()).iter().map(|frame| (frame.first, frame.text())).collect()
}

/// What ends a scenario: everything that is still queued is written.
async fn flushed(socket: &mut Socket, handle: &Handle) -> Vec<(u8, String)> {
    socket.flush().await.unwrap();
    written(handle)
}

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// Messages, fragments and control frames, then a close frame.
const TRAFFIC: &str = "81 05 'hello' 89 02 'p1' 01 02 'he' 89 02 'p2' 80 01 'y' 8a 01 'x' 82 03 01 02 03 \
    81 00 82 7e 00 7e 'x'*126 88 05 03 e8 'bye'";

#[tokio::test(start_paused = true)]
async fn receive() {
    for role in ROLES {
        check(async |cut| {
            let (mut socket, handle) = scripted(role, from_peer(role, TRAFFIC));
            handle.end();
            let mut messages = Vec::new();
            while let Some(message) = again!(cut, socket.receive()).unwrap() {
                messages.push(message);
            }
            let closed = socket.closed().cloned().unwrap();
            assert!(closed.clean);
            (messages, closed.reason, written(&handle))
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn receive_part() {
    for role in ROLES {
        check(async |cut| {
            let (mut socket, handle) = scripted(role, from_peer(role, TRAFFIC));
            handle.end();
            // How a message is cut depends on how it arrives: compare the messages.
            let mut messages = vec![(None, Vec::new())];
            while let Some(part) = again!(cut, socket.receive_part()).unwrap() {
                let (message_type, bytes) = messages.last_mut().unwrap();
                assert!(message_type.is_none_or(|begun| begun == part.message_type));
                *message_type = Some(part.message_type);
                bytes.extend_from_slice(&part.bytes);
                if part.is_complete {
                    messages.push((None, Vec::new()));
                }
            }
            (messages, written(&handle))
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn next_reader_and_reading() {
    check(async |cut| {
        let (mut socket, handle) = scripted(Role::Server, wire::from_client(TRAFFIC));
        handle.end();
        let mut messages = Vec::new();
        // A reader that is given and dropped at once would skip its message: only the wait for it is cut.
        while let Some(mut reader) = again!(cut, wait_for_reader(&mut socket)) {
            while !reader.2 {
                let part = again!(cut, socket.receive_part()).unwrap().unwrap();
                reader.1.extend_from_slice(&part.bytes);
                reader.2 = part.is_complete;
            }
            messages.push((reader.0, reader.1));
        }
        (messages, written(&handle))
    })
    .await;
    // Reading from one reader.
    check(async |cut| {
        let (mut socket, handle) = scripted(Role::Server, wire::from_client(TRAFFIC));
        handle.end();
        let mut messages = Vec::new();
        while let Some(mut reader) = socket.next_reader().await.unwrap() {
            let mut message = Vec::new();
            let mut buffer = [0; 2];
            loop {
                let n = again!(cut, reader.read(&mut buffer)).unwrap();
                if n == 0 {
                    break;
                }
                message.extend_from_slice(&buffer[..n]);
            }
            messages.push((reader.message_type(), message));
        }
        (messages, written(&handle))
    })
    .await;
}

async fn wait_for_reader(socket: &mut Socket) -> Option<(MessageType, Vec<u8>, bool)> {
    let part = socket.receive_part().await.unwrap()?;
    Some((part.message_type, part.bytes.to_vec(), part.is_complete))
}

/// Sends these, each at most once, whatever is dropped: whoever interrupts a send has to ask whether it was too late.
async fn send_once(cut: &Cut, socket: &mut Socket, messages: &[Message], flushes: bool) {
    for message in messages {
        let before = socket.information().statistics().messages_sent;
        while socket.information().statistics().messages_sent == before {
            let output = if flushes {
                cut.maybe(socket.send(message)).await
            } else {
                cut.maybe(socket.feed(message)).await
            };
            output.unwrap_or(Ok(())).unwrap();
        }
    }
}

fn messages() -> Vec<Message> {
    vec![text("one"), Message::from(vec![2; 130]), text(""), text("four")]
}

#[tokio::test(start_paused = true)]
async fn send() {
    for role in ROLES {
        check(async |cut| {
            let (mut socket, handle) = scripted(role, Vec::new());
            send_once(&cut, &mut socket, &messages(), true).await;
            flushed(&mut socket, &handle).await
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn feed_and_flush() {
    for role in ROLES {
        check(async |cut| {
            let (transport, handle) = one_byte([]);
            // Little room, so that feeding has to wait too.
            let mut socket = control().max_queued(20).from_transport(transport, role);
            send_once(&cut, &mut socket, &messages(), false).await;
            again!(cut, socket.flush()).unwrap();
            written(&handle)
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn sending_while_messages_come_in() {
    check(async |cut| {
        let (mut socket, handle) = scripted(Role::Server, wire::from_client(TRAFFIC));
        handle.end();
        send_once(&cut, &mut socket, &messages()[..2], true).await;
        let mut received = Vec::new();
        while let Some(message) = again!(cut, socket.receive()).unwrap() {
            received.push(message);
        }
        let sent: Vec<_> = written(&handle).into_iter().filter(|(first, _)| *first < 0x88).collect();
        (received, sent)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn message_writer() {
    check(async |cut| {
        let (transport, handle) = one_byte([]);
        let mut socket = control().max_queued(8).from_transport(transport, Role::Server);
        for message in ["first", "second", "third"] {
            let mut writer = socket.message_writer(MessageType::Text);
            for byte in message.as_bytes() {
                assert_eq!(again!(cut, writer.write(&[*byte])).unwrap(), 1);
            }
            again!(cut, writer.shutdown()).unwrap();
        }
        socket.flush().await.unwrap();
        written(&handle)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_writers_finish_once_polled_ends_the_message() {
    for polls in 1..100 {
        let (transport, handle) = one_byte([]);
        // Full from the first byte on: finishing must not wait for room with the message still open.
        let mut socket = control().max_queued(1).from_transport(transport, Role::Server);
        let mut writer = socket.message_writer(MessageType::Text);
        writer.write_all(b"hi").await.unwrap();
        let output = poll_at_most(polls, writer.finish()).await;
        soon(socket.send("next")).await.unwrap();
        let frames: Vec<_> = written(&handle);
        let expected =
            [(0x01, "hi"), (0x80, ""), (0x81, "next")].map(|(first, text)| (first, text.to_owned()));
        assert_eq!(frames, expected, "dropped after {polls} polls");
        if output.is_some() {
            return;
        }
    }
    panic!("never ends");
}

/// A socket over a byte at a time, and a peer on its own task that echoes and answers.
fn with_echo(role: Role) -> MessageWebSocket<Slow<DuplexStream>> {
    let (near, far) = tokio::io::duplex(3);
    let far_role = if role == Role::Client { Role::Server } else { Role::Client };
    let mut peer = control().from_transport(far, far_role);
    tokio::spawn(async move {
        let _ = peer.run(|message, replies| replies.send(message)).await;
    });
    control().from_transport(Slow::new(near), role)
}

#[tokio::test(start_paused = true)]
async fn ping() {
    for role in ROLES {
        check(async |cut| {
            let mut socket = with_echo(role);
            socket.send("before").await.unwrap();
            again!(cut, socket.ping()).unwrap();
            socket.send("after").await.unwrap();
            let first = socket.receive().await.unwrap();
            let second = socket.receive().await.unwrap();
            (first, second, socket.close(CloseCode::NORMAL, "").await.unwrap().clean)
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn close() {
    for role in ROLES {
        check(async |cut| {
            let mut socket = with_echo(role);
            socket.feed("queued before").await.unwrap();
            let closed = again!(cut, socket.close(CloseCode::new(4001), "enough"));
            (closed.unwrap(), soon(socket.receive()).await.unwrap())
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_was_begun_is_gone_on_with_by_receive() {
    for role in ROLES {
        for polls in 1..200 {
            let mut socket = with_echo(role);
            let Some(closed) = poll_at_most(polls, socket.close(CloseCode::NORMAL, "")).await else {
                assert_eq!(soon(socket.receive()).await.unwrap(), None, "dropped after {polls} polls");
                assert!(socket.closed().unwrap().clean);
                continue;
            };
            assert!(closed.unwrap().clean);
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_in_the_middle_of_a_message_is_gone_on_with_by_receive() {
    for first in ["01 02 'he'", "81 05 'hello'"] {
        let wire = wire::from_client(first);
        for bytes in 1..wire.len() {
            for polls in [1, 2, 3, 20] {
                let (mut socket, handle) = scripted(Role::Server, wire[..bytes].to_vec());
                for _ in 0..30 {
                    assert!(poll_once(socket.receive()).is_pending());
                }
                for _ in 0..polls {
                    assert!(poll_once(socket.close(CloseCode::NORMAL, "")).is_pending());
                }
                handle.push(&wire[bytes..]);
                handle.push(wire::from_client("88 02 03 e8"));
                assert_eq!(soon(socket.receive()).await.unwrap(), None, "{bytes} bytes, {polls} polls");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn run() {
    for role in ROLES {
        check(async |cut| {
            let (mut socket, handle) = scripted(role, from_peer(role, TRAFFIC));
            handle.end();
            let mut handled = Vec::new();
            let closed: Closed = again!(
                cut,
                socket.run(|message, replies| {
                    replies.send(&message)?;
                    handled.push(message.into_owned());
                    Ok(())
                })
            )
            .unwrap();
            let echoed: Vec<_> = written(&handle).into_iter().filter(|(first, _)| *first < 0x88).collect();
            (handled, closed, echoed)
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn run_with_little_room() {
    check(async |cut| {
        let (transport, handle) = one_byte(wire::from_client(TRAFFIC));
        handle.end();
        let mut socket = control().max_queued(1).from_transport(transport, Role::Server);
        let mut handled = Vec::new();
        let handler =
            |message: wsduo::MessageRef<'_>, replies: &mut wsduo::Replies<'_>| -> Result<(), Error> {
                replies.send(&message)?;
                handled.push(message.into_owned());
                Ok(())
            };
        let mut handler = handler;
        again!(cut, socket.run(&mut handler)).unwrap();
        let echoed: Vec<_> = written(&handle).into_iter().filter(|(first, _)| *first < 0x88).collect();
        (handled, echoed)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn run_async_hands_out_each_message_once() {
    check(async |cut| {
        let (mut socket, handle) = scripted(Role::Server, wire::from_client(TRAFFIC));
        handle.end();
        let handled = std::sync::Mutex::new(Vec::new());
        again!(
            cut,
            socket.run_async(async |message: Message, replies: &wsduo::AsyncReplies<'_, _>| {
                handled.lock().unwrap().push(message.clone());
                replies.send(message).await
            })
        )
        .unwrap();
        let echoed: Vec<_> = written(&handle).into_iter().filter(|(first, _)| *first < 0x88).collect();
        (handled.into_inner().unwrap(), echoed)
    })
    .await;
}

type Halves = (MessageReceiver<Slow<Scripted>>, MessageSender<Slow<Scripted>>, Handle);

fn halves(role: Role, input: Vec<u8>) -> Halves {
    let (socket, handle) = scripted(role, input);
    let (receiver, sender) = socket.split();
    (receiver, sender, handle)
}

#[tokio::test(start_paused = true)]
async fn the_receiving_half() {
    for in_parts in [false, true] {
        check(async |cut| {
            let (mut receiver, _sender, handle) = halves(Role::Server, wire::from_client(TRAFFIC));
            handle.end();
            let mut bytes = Vec::new();
            if in_parts {
                while let Some(part) = again!(cut, receiver.receive_part()).unwrap() {
                    bytes.extend_from_slice(&part.bytes);
                }
            } else {
                while let Some(message) = again!(cut, receiver.receive()).unwrap() {
                    bytes.extend_from_slice(message.as_bytes());
                }
            }
            (bytes, written(&handle))
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_sending_half() {
    for flushes in [false, true] {
        check(async |cut| {
            let (_receiver, sender, handle) = halves(Role::Client, Vec::new());
            for message in messages() {
                let before = sender.information().statistics().messages_sent;
                while sender.information().statistics().messages_sent == before {
                    let output = if flushes {
                        cut.maybe(sender.send(&message)).await
                    } else {
                        cut.maybe(sender.feed(&message)).await
                    };
                    output.unwrap_or(Ok(())).unwrap();
                }
            }
            again!(cut, sender.flush()).unwrap();
            written(&handle)
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn ping_and_close_of_the_sending_half() {
    check(async |cut| {
        let (mut receiver, sender) = with_echo(Role::Client).split();
        sender.send("before").await.unwrap();
        again!(cut, sender.ping()).unwrap();
        let message = again!(cut, receiver.receive()).unwrap();
        let closed = again!(cut, sender.close(CloseCode::NORMAL, "")).unwrap();
        (message, closed, again!(cut, receiver.receive()).unwrap())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn request_and_accept_dropped_at_any_poll_close_the_transport() {
    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    for polls in 0.. {
        let (transport, handle) = one_byte(REQUEST);
        let requests = RequestControl::new();
        let opening = async {
            let request = Request::from_transport(transport, &requests).await.unwrap();
            request.accept_message(&control()).await.unwrap()
        };
        if let Some(mut socket) = poll_at_most(polls, opening).await {
            assert!(handle.written().starts_with(b"HTTP/1.1 101 "));
            assert!(handle.written().ends_with(b"\r\n\r\n"));
            handle.take_written();
            soon(socket.send("hi")).await.unwrap();
            assert_eq!(handle.written(), wire::bytes("81 02 'hi'"));
            assert!(polls > REQUEST.len());
            break;
        }
        assert!(handle.counts().is_dropped, "after {polls} polls");
    }
}

// Over sockets of the system, which do not follow a stopped clock.
#[tokio::test]
async fn connect_dropped_at_any_poll_leaves_nothing_behind() {
    let listener = Listener::bind("127.0.0.1:0").max_connections(1).await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    let accepting = tokio::spawn(async move {
        // One at a time: had an interrupted attempt left a connection open, the next would wait for it for ever.
        loop {
            let Ok(request) = listener.accept().await.request().await else { continue };
            let Ok(mut socket) = request.accept_message(&MessageWebSocketControl::new()).await else {
                continue;
            };
            let _ = socket.run(|message, replies| replies.send(message)).await;
        }
    });
    for polls in 0.. {
        let attempt = poll_at_most(polls, MessageWebSocket::connect(&uri));
        if let Some(socket) = tokio::time::timeout(HOUR, attempt).await.unwrap() {
            let mut socket = socket.unwrap();
            socket.send("hello").await.unwrap();
            assert_eq!(socket.receive().await.unwrap(), Some(text("hello")));
            break;
        }
    }
    accepting.abort();
}
