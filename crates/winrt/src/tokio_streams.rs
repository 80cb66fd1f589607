//! What tokio reads and writes (files, pipes, sockets) as streams of the original's kind.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use wsduo::HResult;

use crate::buffer::Buffer;
use crate::error::Error;
use crate::operation::AsyncOperation;
use crate::streams::{IInputStream, IOutputStream, InputStreamOptions};

/// How much is read at once, however much was asked for: memory follows what comes.
const LARGEST_READ: usize = 64 * 1024;
/// `E_FAIL`: the system's own errors have other numbers on every system.
const FAIL: HResult = HResult(0x8000_4005);

/// A stream that reads from `source`: a file, a pipe, anything of tokio's.
///
/// Bytes that a dropped read took from the source are read next. Reads wait for each other. Closing drops the
/// source.
pub fn input_stream(source: impl AsyncRead + Send + Unpin + 'static) -> Arc<dyn IInputStream> {
    Arc::new(TokioStream::new(Input { source, taken: BytesMut::new() }))
}

/// A stream that writes to `target`: a file, a pipe, anything of tokio's.
///
/// What a dropped write left over is written by the next write or flush. Writes wait for each other. Closing
/// drops the target, so flush before: a file of tokio's loses what was not flushed.
pub fn output_stream(target: impl AsyncWrite + Send + Unpin + 'static) -> Arc<dyn IOutputStream> {
    Arc::new(TokioStream::new(Output { target, unwritten: Bytes::new() }))
}

/// What uses what is open, for one operation.
type Use<'a, R> = Pin<Box<dyn Future<Output = io::Result<R>> + Send + 'a>>;

/// Something of tokio's that one operation at a time may use, until it is closed.
struct TokioStream<T>(Arc<Inner<T>>);

struct Inner<T> {
    /// `None` once it is closed.
    open: Mutex<Option<T>>,
    closing: CancellationToken,
}

struct Input<S> {
    source: S,
    /// What was taken from the source and not yet given to anybody.
    taken: BytesMut,
}

struct Output<S> {
    target: S,
    /// What a write that was dropped left over.
    unwritten: Bytes,
}

impl<T: Send + 'static> TokioStream<T> {
    fn new(open: T) -> Self {
        Self(Arc::new(Inner { open: Mutex::new(Some(open)), closing: CancellationToken::new() }))
    }

    /// An operation that uses what is open, when it is its turn.
    fn operation<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut T) -> Use<'_, R> + Send + 'static,
    ) -> AsyncOperation<R> {
        let inner = Arc::clone(&self.0);
        AsyncOperation::new(async move {
            let closed = || Error::new(Error::CLOSED, "this stream is closed");
            let mut open = inner.open.lock().await;
            let using = open.as_mut().ok_or_else(closed)?;
            match inner.closing.run_until_cancelled(act(using)).await {
                Some(result) => result.map_err(|error| Error::new(FAIL, error.to_string())),
                None => {
                    *open = None;
                    Err(closed())
                }
            }
        })
    }

    fn close(&self) {
        self.0.closing.cancel();
        // If an operation holds it, the operation sees that it is to end and closes it.
        if let Ok(mut open) = self.0.open.try_lock() {
            *open = None;
        }
    }
}

impl<S: AsyncRead + Send + Unpin + 'static> IInputStream for TokioStream<Input<S>> {
    fn read(&self, count: u32, options: InputStreamOptions) -> AsyncOperation<Buffer> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.operation(move |input| {
            Box::pin(async move {
                let enough = if options.contains(InputStreamOptions::PARTIAL) { count.min(1) } else { count };
                while input.taken.len() < enough {
                    let most = (count - input.taken.len()).min(LARGEST_READ);
                    input.taken.reserve(most);
                    let mut room = (&mut input.taken).limit(most);
                    if input.source.read_buf(&mut room).await? == 0 {
                        break;
                    }
                }
                let given = count.min(input.taken.len());
                Ok(input.taken.split_to(given).into())
            })
        })
    }

    fn close(&self) {
        TokioStream::close(self);
    }
}

impl<S: AsyncWrite + Send + Unpin + 'static> IOutputStream for TokioStream<Output<S>> {
    fn write(&self, buffer: Buffer) -> AsyncOperation<u32> {
        self.operation(move |output| {
            Box::pin(async move {
                output.write_all().await?;
                let length = buffer.length();
                output.unwritten = buffer.into();
                output.write_all().await?;
                Ok(length)
            })
        })
    }

    fn flush(&self) -> AsyncOperation<bool> {
        self.operation(|output| {
            Box::pin(
                async move { Ok(output.write_all().await.is_ok() && output.target.flush().await.is_ok()) },
            )
        })
    }

    fn close(&self) {
        TokioStream::close(self);
    }
}

impl<S: AsyncWrite + Unpin> Output<S> {
    async fn write_all(&mut self) -> io::Result<()> {
        // Each part that was written leaves `unwritten` at once, even if the future is dropped.
        while self.unwritten.has_remaining() {
            if self.target.write_buf(&mut self.unwritten).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}
