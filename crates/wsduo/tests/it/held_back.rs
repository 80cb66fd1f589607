//! Transports that take bytes and hold them back, as TLS does while TCP is blocked.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use wsduo::{ErrorKind, Role};
use wsduo_testing::wire;

use crate::support::{control, soon};

/// Gives what it was made with, then what the clock brings; takes everything and passes nothing on.
struct Holding {
    input: Vec<u8>,
    /// Whether a pong nobody asked for arrives each second: the peer is alive, and does not read.
    chatters: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl AsyncRead for Holding {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(next) = &mut self.chatters
            && next.as_mut().poll(cx).is_ready()
        {
            next.as_mut().reset(Instant::now() + Duration::from_secs(1));
            self.input.extend([0x8a, 0]);
            cx.waker().wake_by_ref();
        }
        if self.input.is_empty() {
            return Poll::Pending;
        }
        buffer.put_slice(&std::mem::take(&mut self.input));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Holding {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_close_that_never_left_is_no_clean_end() {
    let transport = Holding { input: wire::bytes("88 02 03e8"), chatters: None };
    let mut socket = control().from_transport(transport, Role::Client);
    assert_eq!(soon(socket.receive()).await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(!socket.closed().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_talks_and_does_not_read_meets_the_send_timeout() {
    let chatters = Some(Box::pin(tokio::time::sleep(Duration::from_secs(1))));
    let transport = Holding { input: Vec::new(), chatters };
    let mut socket = control().from_transport(transport, Role::Client);
    let begun = Instant::now();
    assert_eq!(soon(socket.send("never read")).await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}
