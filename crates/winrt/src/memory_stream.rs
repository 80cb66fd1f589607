//! Streams in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::buffer::Buffer;
use crate::error::Error;
use crate::operation::AsyncOperation;
use crate::streams::{IInputStream, IOutputStream, InputStreamOptions};

/// A stream in memory, to read from and write to at any place.
///
/// It has one position, which reads and writes through the stream itself share. A stream of
/// [`get_input_stream_at`](Self::get_input_stream_at) or [`get_output_stream_at`](Self::get_output_stream_at)
/// has its own, and lives on when this one is closed. A clone is the same stream. Reads and writes are done
/// when they are first awaited, whole.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use wsduo_winrt::{DataReader, DataWriter, InMemoryRandomAccessStream};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let stream = InMemoryRandomAccessStream::new();
/// let writer = DataWriter::with_stream(Arc::new(stream.clone()));
/// writer.write_int16(7)?;
/// writer.store().await?;
///
/// let reader = DataReader::new(stream.get_input_stream_at(0)?);
/// reader.load(2).await?;
/// assert_eq!(reader.read_int16()?, 7);
/// # Ok::<(), wsduo_winrt::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct InMemoryRandomAccessStream {
    view: Arc<View>,
}

/// A position in bytes that several views share.
#[derive(Debug, Default)]
struct View {
    bytes: Arc<Mutex<Vec<u8>>>,
    place: Mutex<Place>,
}

#[derive(Debug, Default)]
struct Place {
    position: usize,
    closed: bool,
}

impl InMemoryRandomAccessStream {
    /// An empty stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        u64::try_from(lock(&self.view.bytes).len()).unwrap_or(u64::MAX)
    }

    /// Where the next read or write begins.
    pub fn position(&self) -> u64 {
        u64::try_from(lock(&self.view.place).position).unwrap_or(u64::MAX)
    }

    /// Sets where the next read or write begins.
    ///
    /// # Errors
    /// [`Error::INVALID_ARGUMENT`] behind the end, [`Error::CLOSED`] after closing.
    pub fn seek(&self, position: u64) -> Result<(), Error> {
        let position = self.check(position)?;
        lock(&self.view.place).position = position;
        Ok(())
    }

    /// A stream that reads the same bytes from this position on.
    ///
    /// # Errors
    /// As [`seek`](Self::seek).
    pub fn get_input_stream_at(&self, position: u64) -> Result<Arc<dyn IInputStream>, Error> {
        Ok(Arc::new(self.view_at(position)?))
    }

    /// A stream that writes to the same bytes from this position on, over those that are there.
    ///
    /// # Errors
    /// As [`seek`](Self::seek).
    pub fn get_output_stream_at(&self, position: u64) -> Result<Arc<dyn IOutputStream>, Error> {
        Ok(Arc::new(self.view_at(position)?))
    }

    fn view_at(&self, position: u64) -> Result<Self, Error> {
        let place = Mutex::new(Place { position: self.check(position)?, closed: false });
        Ok(Self { view: Arc::new(View { bytes: Arc::clone(&self.view.bytes), place }) })
    }

    fn check(&self, position: u64) -> Result<usize, Error> {
        lock(&self.view.place).open()?;
        let size = self.size();
        if position > size {
            let message = format!("position {position} is behind the end of a stream of {size} bytes");
            return Err(Error::new(Error::INVALID_ARGUMENT, message));
        }
        Ok(usize::try_from(position).unwrap_or(usize::MAX))
    }
}

impl IInputStream for InMemoryRandomAccessStream {
    fn read(&self, count: u32, _: InputStreamOptions) -> AsyncOperation<Buffer> {
        let view = Arc::clone(&self.view);
        AsyncOperation::new(async move { view.read(count) })
    }

    fn close(&self) {
        lock(&self.view.place).closed = true;
    }
}

impl IOutputStream for InMemoryRandomAccessStream {
    fn write(&self, buffer: Buffer) -> AsyncOperation<u32> {
        let view = Arc::clone(&self.view);
        AsyncOperation::new(async move { view.write(buffer.as_ref()).map(|()| buffer.length()) })
    }

    fn flush(&self) -> AsyncOperation<bool> {
        let view = Arc::clone(&self.view);
        AsyncOperation::new(async move { lock(&view.place).open().map(|()| true) })
    }

    fn close(&self) {
        IInputStream::close(self);
    }
}

impl View {
    fn read(&self, count: u32) -> Result<Buffer, Error> {
        let mut place = lock(&self.place);
        place.open()?;
        let bytes = lock(&self.bytes);
        let rest = bytes.get(place.position..).unwrap_or_default();
        let read = rest.get(..usize::try_from(count).unwrap_or(usize::MAX)).unwrap_or(rest);
        place.position += read.len();
        Ok(Bytes::copy_from_slice(read).into())
    }

    fn write(&self, new: &[u8]) -> Result<(), Error> {
        let mut place = lock(&self.place);
        place.open()?;
        let mut bytes = lock(&self.bytes);
        let over = new.len().min(bytes.len().saturating_sub(place.position));
        let (over, behind) = new.split_at(over);
        if let Some(old) = bytes.get_mut(place.position..place.position + over.len()) {
            old.copy_from_slice(over);
        }
        bytes.extend_from_slice(behind);
        place.position += new.len();
        Ok(())
    }
}

impl Place {
    fn open(&self) -> Result<(), Error> {
        if self.closed { Err(Error::new(Error::CLOSED, "this stream is closed")) } else { Ok(()) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
