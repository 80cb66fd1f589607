//! What the tests of all subjects share: sockets on transports, and how a connection is looked at.

use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use wsduo::{Error, ErrorKind, Message, MessageWebSocket, MessageWebSocketControl, Role};
use wsduo_testing::{Handle, Scripted, Slow};

/// Far longer than any default timeout.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn control() -> MessageWebSocketControl {
    MessageWebSocketControl::new()
}

/// Never pings and never gives up.
pub(crate) fn patient() -> MessageWebSocketControl {
    control().keepalive(None).receive_timeout(None).send_timeout(None)
}

pub(crate) fn server<T: AsyncRead + AsyncWrite + Unpin>(transport: T) -> MessageWebSocket<T> {
    control().from_transport(transport, Role::Server)
}

pub(crate) fn client<T: AsyncRead + AsyncWrite + Unpin>(transport: T) -> MessageWebSocket<T> {
    control().from_transport(transport, Role::Client)
}

/// A client and a server with so many bytes of room between them in each direction.
pub(crate) fn pair_with(
    control: &MessageWebSocketControl,
    room: usize,
) -> (MessageWebSocket<DuplexStream>, MessageWebSocket<DuplexStream>) {
    let (near, far) = tokio::io::duplex(room);
    (control.from_transport(near, Role::Client), control.from_transport(far, Role::Server))
}

pub(crate) fn pair() -> (MessageWebSocket<DuplexStream>, MessageWebSocket<DuplexStream>) {
    pair_with(&control(), 64 << 10)
}

/// A server whose client is the test.
pub(crate) fn scripted_server(input: impl Into<Vec<u8>>) -> (MessageWebSocket<Scripted>, Handle) {
    let (transport, handle) = Scripted::new(input);
    (server(transport), handle)
}

/// A client whose server is the test.
pub(crate) fn scripted_client(input: impl Into<Vec<u8>>) -> (MessageWebSocket<Scripted>, Handle) {
    let (transport, handle) = Scripted::new(input);
    (client(transport), handle)
}

/// A transport that gives and takes a byte at a time and waits before each.
pub(crate) fn one_byte(input: impl Into<Vec<u8>>) -> (Slow<Scripted>, Handle) {
    let (transport, handle) = Scripted::new(input);
    (Slow::new(transport), handle)
}

/// The future has to be done within an hour of the stopped clock; otherwise it hangs.
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(HOUR, future).await {
            Ok(output) => output,
            Err(_) => panic!("hangs: {caller}"),
        }
    }
}

/// Whether the future, polled once, waits.
pub(crate) fn waits<F: Future + Unpin>(future: &mut F) -> bool {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending()
}

/// Polls once, with nobody to wake.
pub(crate) fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    std::pin::pin!(future).poll(&mut Context::from_waker(std::task::Waker::noop()))
}

/// Lets other tasks run until nothing moves but the clock.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// All messages up to the end, and the end.
pub(crate) async fn receive_all<T: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut MessageWebSocket<T>,
) -> (Vec<Message>, Option<ErrorKind>) {
    let mut messages = Vec::new();
    loop {
        match soon(socket.receive()).await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, None),
            Err(error) => return (messages, Some(error.kind())),
        }
    }
}

#[track_caller]
pub(crate) fn kind<R: std::fmt::Debug>(result: Result<R, Error>) -> ErrorKind {
    match result {
        Err(error) => error.kind(),
        Ok(value) => panic!("expected an error, got {value:?}"),
    }
}

pub(crate) fn text(text: &str) -> Message {
    Message::from(text)
}

/// Bytes that repeat late, so that anything lost or moved shows.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
