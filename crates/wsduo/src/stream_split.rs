//! The two halves of a stream: one reads, the other writes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use wsduo_proto::{CloseCode, Closed};

use crate::error::Error;
use crate::information::{Facts, StreamWebSocketInformation};
use crate::io::driver::Driver;
use crate::io::tasks::Half;
use crate::split::Shared;
use crate::stream_web_socket::{Reading, Writing};

/// The reading half of a stream; see [`StreamWebSocket::split`](crate::StreamWebSocket::split).
///
/// It reads as the whole stream does. The connection stays open until both halves are dropped.
#[derive(Debug)]
pub struct StreamReader<T> {
    shared: Arc<Shared<T>>,
    reading: Reading,
}

/// The writing half of a stream; see [`StreamWebSocket::split`](crate::StreamWebSocket::split).
///
/// It writes, and is shut down, as the whole stream is. Dropping it ends nothing.
#[derive(Debug)]
pub struct StreamWriter<T> {
    shared: Arc<Shared<T>>,
    writing: Writing,
}

pub(crate) fn split<T>(
    driver: Driver<T>,
    facts: Box<Facts>,
    reading: Reading,
    writing: Writing,
) -> (StreamReader<T>, StreamWriter<T>) {
    let shared = Shared::new(driver, facts);
    (StreamReader { shared: Arc::clone(&shared), reading }, StreamWriter { shared, writing })
}

impl<T: AsyncRead + AsyncWrite + Unpin> StreamReader<T> {
    /// How the connection was closed; `None` while it is open.
    pub fn closed(&self) -> Option<Closed> {
        self.shared.with(|driver| driver.closed().cloned())
    }

    /// What is known of the connection.
    pub fn information(&self) -> StreamWebSocketInformation {
        self.shared.information()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for StreamReader<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { shared, reading } = self.get_mut();
        reading.poll_read(room, |room, refuse_text| {
            shared.poll(Half::Receiver, cx, |driver, cx| driver.poll_payload(cx, room, refuse_text))
        })
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncBufRead for StreamReader<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Self { shared, reading } = self.get_mut();
        reading.poll_fill_buf(|room, refuse_text| {
            shared.poll(Half::Receiver, cx, |driver, cx| driver.poll_payload(cx, room, refuse_text))
        })
    }

    fn consume(self: Pin<&mut Self>, n: usize) {
        self.get_mut().reading.consume(n);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> StreamWriter<T> {
    /// As [`StreamWebSocket::close`](crate::StreamWebSocket::close): what was not read is dropped.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Safe: the closing handshake has begun, and either half goes on with it.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<Closed, Error> {
        poll_fn(|cx| {
            self.shared.poll(Half::Sender, cx, |driver, cx| {
                driver.begin_close(code, reason)?;
                driver.poll_close(cx, code, reason)
            })
        })
        .await
    }

    /// What is known of the connection.
    pub fn information(&self) -> StreamWebSocketInformation {
        self.shared.information()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for StreamWriter<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { shared, writing } = self.get_mut();
        let written = shared.poll(Half::Sender, cx, |driver, cx| writing.poll_write(driver, cx, bytes));
        written.map_err(Into::into)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { shared, writing } = self.get_mut();
        shared.poll(Half::Sender, cx, |driver, cx| writing.poll_flush(driver, cx)).map_err(Into::into)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { shared, writing } = self.get_mut();
        shared.poll(Half::Sender, cx, |driver, cx| writing.poll_shutdown(driver, cx)).map_err(Into::into)
    }
}
