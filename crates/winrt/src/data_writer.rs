//! Values into bytes, for a buffer or stream.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use crate::buffer::{Buffer, IBuffer};
use crate::date_time::{DateTime, TimeSpan};
use crate::encoding::{ByteOrder, UnicodeEncoding};
use crate::error::Error;
use crate::guid::Guid;
use crate::operation::AsyncOperation;
use crate::owner::{Owner, Underway};
use crate::streams::IOutputStream;

/// The operation of [`DataWriter::store`]: how many bytes were stored.
pub type DataWriterStoreOperation = AsyncOperation<u32>;

/// Writes values as bytes (spec §17.2).
///
/// What is written gathers in the writer until [`store`](Self::store) hands it to the stream, or
/// [`detach_buffer`](Self::detach_buffer) takes it out. On a message socket what was gathered is one message.
/// A clone is the same writer; it may be used from any task, by one operation at a time.
///
/// **Numbers are written in [`ByteOrder::BigEndian`] unless [`set_byte_order`](Self::set_byte_order) says
/// otherwise.** Text is UTF-8, with neither length nor end.
///
/// The writer owns its stream: [`close`](Self::close), or dropping the last clone, closes the stream too,
/// unless [`detach_stream`](Self::detach_stream) was called before. **What was not stored by then is lost.**
/// After `close` the settings can still be read and set; all else fails.
///
/// # Errors
/// Every method that can fail, fails with
/// - [`Error::CLOSED`] after `close`,
/// - [`Error::INVALID_OPERATION`] while a store or flush is under way: begun to be awaited, and neither
///   finished nor dropped,
/// - [`Error::INVALID_ARGUMENT`] if more than `u32::MAX` bytes were to gather, and then writes none of them.
///
/// # Examples
/// ```
/// use wsduo_winrt::DataWriter;
///
/// let writer = DataWriter::new();
/// writer.write_uint32(writer.measure_string("hello")?)?;
/// writer.write_string("hello")?;
/// assert_eq!(writer.detach_buffer()?.as_ref(), b"\0\0\0\x05hello");
/// # Ok::<(), wsduo_winrt::Error>(())
/// ```
#[derive(Clone)]
pub struct DataWriter {
    owner: Arc<Owner<dyn IOutputStream, Data>>,
}

#[derive(Default)]
struct Data {
    unstored: BytesMut,
    byte_order: ByteOrder,
    unicode_encoding: UnicodeEncoding,
    /// A write of the stream whose store was dropped before it was over: the next store or flush finishes it.
    handed_over: Option<AsyncOperation<u32>>,
}

impl DataWriter {
    /// A writer without a stream: [`detach_buffer`](Self::detach_buffer) gives what was written.
    #[expect(
        clippy::new_without_default,
        reason = "the original has no default, and a default that closes streams is odd"
    )]
    pub fn new() -> Self {
        Self { owner: Owner::new(None, Data::default()) }
    }

    /// A writer to this stream: the original's constructor with a stream.
    pub fn with_stream(stream: Arc<dyn IOutputStream>) -> Self {
        Self { owner: Owner::new(Some(stream), Data::default()) }
    }

    /// In which order the bytes of a number are written.
    pub fn byte_order(&self) -> ByteOrder {
        self.owner.with(|data| data.byte_order)
    }

    /// Sets the order of the bytes of the numbers written from now on. Default: [`ByteOrder::BigEndian`].
    pub fn set_byte_order(&self, order: ByteOrder) {
        self.owner.with(|data| data.byte_order = order);
    }

    /// In which encoding text is written.
    pub fn unicode_encoding(&self) -> UnicodeEncoding {
        self.owner.with(|data| data.unicode_encoding)
    }

    /// Sets the encoding of the text written from now on. Default: [`UnicodeEncoding::Utf8`].
    pub fn set_unicode_encoding(&self, encoding: UnicodeEncoding) {
        self.owner.with(|data| data.unicode_encoding = encoding);
    }

    /// How many bytes were written and not stored yet.
    pub fn unstored_buffer_length(&self) -> u32 {
        self.owner.with(|data| length(data.unstored.len()).unwrap_or(u32::MAX))
    }

    /// How many **bytes** this text takes in the encoding that is set, and
    /// [`write_string`](Self::write_string) returns.
    ///
    /// [`DataReader::read_string`](crate::DataReader::read_string) asks for code units instead, which in
    /// UTF-16 are half as many: write [`measure_code_units`](Self::measure_code_units) before a string for it
    /// to be read with.
    pub fn measure_string(&self, text: &str) -> Result<u32, Error> {
        self.owner.with_idle(|data| length(data.unicode_encoding.measure(text)))
    }

    /// How many code units this text has in the encoding that is set: bytes in UTF-8, pairs of bytes in
    /// UTF-16.
    ///
    /// Not a member of the original, which does not tell which of the two its `MeasureString` returns.
    pub fn measure_code_units(&self, text: &str) -> Result<u32, Error> {
        self.owner.with_idle(|data| length(data.unicode_encoding.code_units(text)))
    }

    /// Writes one byte, 0 or 1.
    pub fn write_boolean(&self, value: bool) -> Result<(), Error> {
        self.write_byte(u8::from(value))
    }

    /// Writes one byte.
    pub fn write_byte(&self, value: u8) -> Result<(), Error> {
        self.write_bytes(&[value])
    }

    /// Writes these bytes.
    pub fn write_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        self.append(bytes.len(), |data| data.unstored.extend_from_slice(bytes))
    }

    /// Writes the bytes of this buffer.
    pub fn write_buffer(&self, buffer: &IBuffer) -> Result<(), Error> {
        self.write_bytes(buffer.as_ref())
    }

    /// Writes `count` bytes of this buffer from the one at `start`: the original's second `WriteBuffer`.
    ///
    /// # Errors
    /// [`Error::BOUNDS`] if the buffer ends before.
    pub fn write_buffer_range(&self, buffer: &IBuffer, start: u32, count: u32) -> Result<(), Error> {
        let range = usize::try_from(start).ok().zip(usize::try_from(count).ok());
        let bytes = range
            .and_then(|(start, count)| buffer.as_ref().get(start..start.checked_add(count)?))
            .ok_or_else(|| {
                let length = buffer.length();
                let message = format!("{count} bytes from byte {start} of a buffer that holds {length}");
                Error::new(Error::BOUNDS, message)
            })?;
        self.write_bytes(bytes)
    }

    /// Writes a point in time: an `i64` of 100 ns since 1601.
    pub fn write_date_time(&self, value: DateTime) -> Result<(), Error> {
        self.write_int64(value.universal_time)
    }

    /// Writes a number of eight bytes (IEEE 754).
    pub fn write_double(&self, value: f64) -> Result<(), Error> {
        self.number(value.to_be_bytes())
    }

    /// Writes an identifier: a `u32` and two `u16` in the byte order that is set, then eight bytes as they
    /// are.
    ///
    /// Whether Windows swaps those eight in big endian is not documented.
    pub fn write_guid(&self, value: Guid) -> Result<(), Error> {
        self.append(16, |data| {
            let guid = match data.byte_order {
                ByteOrder::BigEndian => value,
                ByteOrder::LittleEndian => value.with_swapped_numbers(),
            };
            data.unstored.put_u128(guid.to_u128());
        })
    }

    /// Writes a number of two bytes.
    pub fn write_int16(&self, value: i16) -> Result<(), Error> {
        self.number(value.to_be_bytes())
    }

    /// Writes a number of four bytes.
    pub fn write_int32(&self, value: i32) -> Result<(), Error> {
        self.number(value.to_be_bytes())
    }

    /// Writes a number of eight bytes.
    pub fn write_int64(&self, value: i64) -> Result<(), Error> {
        self.number(value.to_be_bytes())
    }

    /// Writes a number of four bytes (IEEE 754).
    pub fn write_single(&self, value: f32) -> Result<(), Error> {
        self.number(value.to_be_bytes())
    }

    /// Writes text in the encoding that is set, and tells how many **bytes** it took.
    pub fn write_string(&self, text: &str) -> Result<u32, Error> {
        self.owner.with_idle(|data| {
            let count = data.unicode_encoding.measure(text);
            data.check_room(count)?;
            data.unicode_encoding.encode(text, &mut data.unstored);
            length(count)
        })
    }

    /// Writes a length of time: an `i64` of 100 ns.
    pub fn write_time_span(&self, value: TimeSpan) -> Result<(), Error> {
        self.write_int64(value.duration)
    }

    /// Writes a number of two bytes.
    pub fn write_uint16(&self, value: u16) -> Result<(), Error> {
        self.number(value.to_be_bytes())
    }

    /// Writes a number of four bytes.
    pub fn write_uint32(&self, value: u32) -> Result<(), Error> {
        self.number(value.to_be_bytes())
    }

    /// Writes a number of eight bytes.
    pub fn write_uint64(&self, value: u64) -> Result<(), Error> {
        self.number(value.to_be_bytes())
    }

    /// Hands what was written to the stream, in one piece, and begins anew with nothing. Tells how many bytes
    /// were stored.
    ///
    /// On a message socket the piece is one message; an empty one if nothing was written.
    ///
    /// # Cancel safety
    /// Safe: dropped before it is awaited, the bytes stay in the writer. Dropped later, they belong to the
    /// stream, and the next store or flush goes on writing them: nothing is lost or sent twice. If there is
    /// none (the stream is detached or closed), they go whole or not at all, as [`IOutputStream::write`]
    /// promises.
    ///
    /// # Errors
    /// [`Error::INVALID_OPERATION`] without a stream, [`Error::ABORT`] if the writer is closed meanwhile,
    /// what the stream fails with.
    pub fn store(&self) -> DataWriterStoreOperation {
        let owner = Arc::clone(&self.owner);
        AsyncOperation::new(async move {
            let underway = owner.begin()?;
            let earlier = finish(&underway).await?;
            // A store that was dropped and is tried again is no second, empty message.
            if earlier.is_some() && owner.with(|data| data.unstored.is_empty()) {
                return Ok(earlier.unwrap_or_default());
            }
            let write = underway.stream.write(owner.with(|data| data.unstored.split()).into());
            owner.with(|data| data.handed_over = Some(write));
            let stored = finish(&underway).await?;
            Ok(stored.unwrap_or_default().saturating_add(earlier.unwrap_or_default()))
        })
    }

    /// Waits until what was stored has left the stream. `false` if it could not. What was written and not
    /// stored stays here.
    ///
    /// # Cancel safety
    /// Safe: what was stored is neither lost nor sent twice.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub fn flush(&self) -> AsyncOperation<bool> {
        let owner = Arc::clone(&self.owner);
        AsyncOperation::new(async move {
            let underway = owner.begin()?;
            finish(&underway).await?;
            underway.wait(underway.stream.flush()).await
        })
    }

    /// Takes what was written and not stored. The writer begins anew with nothing.
    pub fn detach_buffer(&self) -> Result<Buffer, Error> {
        self.owner.with_idle(|data| Ok(data.unstored.split().into()))
    }

    /// Gives the stream back, open, so that another writer can be made. What was written and not stored stays
    /// here, for [`detach_buffer`](Self::detach_buffer); [`store`](Self::store) fails from now on.
    ///
    /// # Errors
    /// [`Error::INVALID_OPERATION`] without a stream.
    pub fn detach_stream(&self) -> Result<Arc<dyn IOutputStream>, Error> {
        self.owner.detach_stream(|data| data.handed_over.take())
    }

    /// Closes the writer and its stream. A store under way fails with [`Error::ABORT`]; what was not stored
    /// is lost. It does not wait, and may be called again.
    pub fn close(&self) {
        let handed_over = self.owner.close(|data| {
            data.unstored = BytesMut::new();
            data.handed_over.take()
        });
        drop(handed_over);
    }

    /// Writes a number whose bytes these are, the highest first.
    fn number<const N: usize>(&self, mut bytes: [u8; N]) -> Result<(), Error> {
        self.append(N, |data| {
            if data.byte_order == ByteOrder::LittleEndian {
                bytes.reverse();
            }
            data.unstored.extend_from_slice(&bytes);
        })
    }

    fn append(&self, count: usize, write: impl FnOnce(&mut Data)) -> Result<(), Error> {
        self.owner.with_idle(|data| {
            data.check_room(count)?;
            write(data);
            Ok(())
        })
    }
}

impl std::fmt::Debug for DataWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let length = self.unstored_buffer_length();
        f.debug_struct("DataWriter").field("unstored_buffer_length", &length).finish_non_exhaustive()
    }
}

impl Data {
    fn check_room(&self, count: usize) -> Result<(), Error> {
        length(self.unstored.len().saturating_add(count)).map(|_| ())
    }
}

/// So many bytes as a number of the original's.
fn length(bytes: usize) -> Result<u32, Error> {
    u32::try_from(bytes).map_err(|_| {
        let message =
            format!("{bytes} bytes exceed what a writer holds, {}: store in smaller pieces", u32::MAX);
        Error::new(Error::INVALID_ARGUMENT, message)
    })
}

/// A write of the stream. Dropped before it is over, it goes back to the writer, for the next store or flush
/// to finish.
struct HandedOver<'a> {
    owner: &'a Owner<dyn IOutputStream, Data>,
    write: Option<AsyncOperation<u32>>,
}

impl Drop for HandedOver<'_> {
    fn drop(&mut self) {
        if let Some(write) = self.write.take() {
            self.owner.with(|data| data.handed_over = Some(write));
        }
    }
}

/// Finishes what was handed to the stream, if anything was, and tells how many bytes it was.
async fn finish(underway: &Underway<dyn IOutputStream, Data>) -> Result<Option<u32>, Error> {
    let write = underway.owner.with(|data| data.handed_over.take());
    let mut held = HandedOver { owner: &underway.owner, write };
    let Some(write) = &mut held.write else { return Ok(None) };
    let written = underway.wait(write).await;
    held.write = None;
    written.map(Some)
}
