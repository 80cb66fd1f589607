//! Values out of the bytes of a buffer or stream.

use std::sync::Arc;

use bytes::BytesMut;

use crate::buffer::Buffer;
use crate::date_time::{DateTime, TimeSpan};
use crate::encoding::{ByteOrder, UnicodeEncoding};
use crate::error::Error;
use crate::guid::Guid;
use crate::operation::AsyncOperation;
use crate::owner::Owner;
use crate::streams::{IInputStream, InputStreamOptions};

/// What a reader asks its stream for at once, however much is to be loaded: memory follows what comes, not
/// what was asked for.
const LARGEST_READ: u32 = 64 * 1024;

/// The operation of [`DataReader::load`]: how many bytes were loaded.
pub type DataReaderLoadOperation = AsyncOperation<u32>;

/// Reads values out of loaded bytes (spec §17.1).
///
/// Reads never touch the stream: [`load`](Self::load) brings bytes, reads take them. A reader of a buffer is
/// loaded from the beginning. A clone is the same reader; it may be used from any task, by one operation at a
/// time.
///
/// **Numbers are read in [`ByteOrder::BigEndian`] unless [`set_byte_order`](Self::set_byte_order) says
/// otherwise.** Text is UTF-8.
///
/// The reader owns its stream: [`close`](Self::close), or dropping the last clone, closes the stream too,
/// unless [`detach_stream`](Self::detach_stream) was called before. After `close` the settings can still be
/// read and set; all else fails.
///
/// # Errors
/// Every method that can fail, fails with
/// - [`Error::CLOSED`] after `close`,
/// - [`Error::INVALID_OPERATION`] while a load is under way: begun to be awaited, and neither finished nor
///   dropped.
///
/// A read fails with [`Error::BOUNDS`] if fewer bytes are loaded than it takes. A read that fails consumes
/// nothing.
///
/// # Examples
/// ```
/// use wsduo_winrt::{Buffer, DataReader};
///
/// let reader = DataReader::from_buffer(Buffer::from(b"\0\0\0\x05hello".to_vec()));
/// let length = reader.read_uint32()?;
/// assert_eq!(reader.read_string(length)?, "hello");
/// assert_eq!(reader.unconsumed_buffer_length(), 0);
/// # Ok::<(), wsduo_winrt::Error>(())
/// ```
#[derive(Clone)]
pub struct DataReader {
    owner: Arc<Owner<dyn IInputStream, Data>>,
}

struct Data {
    loaded: BytesMut,
    byte_order: ByteOrder,
    unicode_encoding: UnicodeEncoding,
    input_stream_options: InputStreamOptions,
}

impl DataReader {
    /// A reader of this stream. Nothing is loaded yet.
    pub fn new(stream: Arc<dyn IInputStream>) -> Self {
        Self::over(Some(stream), BytesMut::new())
    }

    /// A reader of these bytes, all of them loaded. It has no stream, so [`load`](Self::load) fails.
    pub fn from_buffer(buffer: impl Into<Buffer>) -> Self {
        Self::over(None, BytesMut::from(bytes::Bytes::from(buffer.into())))
    }

    fn over(stream: Option<Arc<dyn IInputStream>>, loaded: BytesMut) -> Self {
        let data = Data {
            loaded,
            byte_order: ByteOrder::default(),
            unicode_encoding: UnicodeEncoding::default(),
            input_stream_options: InputStreamOptions::default(),
        };
        Self { owner: Owner::new(stream, data) }
    }

    /// In which order the bytes of a number stand.
    pub fn byte_order(&self) -> ByteOrder {
        self.owner.with(|data| data.byte_order)
    }

    /// Sets the order of the bytes of the numbers read from now on. Default: [`ByteOrder::BigEndian`].
    pub fn set_byte_order(&self, order: ByteOrder) {
        self.owner.with(|data| data.byte_order = order);
    }

    /// In which encoding text is read.
    pub fn unicode_encoding(&self) -> UnicodeEncoding {
        self.owner.with(|data| data.unicode_encoding)
    }

    /// Sets the encoding of the text read from now on. Default: [`UnicodeEncoding::Utf8`].
    pub fn set_unicode_encoding(&self, encoding: UnicodeEncoding) {
        self.owner.with(|data| data.unicode_encoding = encoding);
    }

    /// When a load is complete.
    pub fn input_stream_options(&self) -> InputStreamOptions {
        self.owner.with(|data| data.input_stream_options)
    }

    /// Sets when the loads begun from now on are complete. Default: [`InputStreamOptions::NONE`].
    pub fn set_input_stream_options(&self, options: InputStreamOptions) {
        self.owner.with(|data| data.input_stream_options = options);
    }

    /// How many bytes are loaded and not read yet.
    pub fn unconsumed_buffer_length(&self) -> u32 {
        self.owner.with(|data| u32::try_from(data.loaded.len()).unwrap_or(u32::MAX))
    }

    /// Loads up to `count` bytes behind those that are loaded and not read yet, and tells how many came.
    ///
    /// With [`NONE`](InputStreamOptions::NONE) it waits for all of them, or the end of the stream; with
    /// [`PARTIAL`](InputStreamOptions::PARTIAL) for any. With [`READ_AHEAD`](InputStreamOptions::READ_AHEAD)
    /// the stream may give more than `count`. Fewer than `count` without `PARTIAL` is the end of the stream,
    /// which is no error.
    ///
    /// # Cancel safety
    /// Safe: what came is loaded, and what did not come is still to be read.
    ///
    /// # Errors
    /// [`Error::INVALID_OPERATION`] without a stream, [`Error::ABORT`] if the reader is closed meanwhile,
    /// what the stream fails with. What came before the failure is loaded.
    pub fn load(&self, count: u32) -> DataReaderLoadOperation {
        let owner = Arc::clone(&self.owner);
        AsyncOperation::with_progress(move |mut progress| async move {
            let underway = owner.begin()?;
            let options = owner.with(|data| data.input_stream_options);
            let mut loaded = 0_u32;
            while loaded < count {
                // Always partial: what came is ours at once, even if this future is dropped.
                let read = underway
                    .stream
                    .read((count - loaded).min(LARGEST_READ), options | InputStreamOptions::PARTIAL);
                let buffer = underway.wait(read).await?;
                if buffer.length() == 0 {
                    break;
                }
                loaded = loaded.saturating_add(buffer.length());
                owner.with(|data| data.append(buffer));
                progress(loaded);
                if options.contains(InputStreamOptions::PARTIAL) {
                    break;
                }
            }
            Ok(loaded)
        })
    }

    /// Reads one byte: `false` if it is zero, else `true`.
    pub fn read_boolean(&self) -> Result<bool, Error> {
        Ok(self.read_byte()? != 0)
    }

    /// Reads one byte.
    pub fn read_byte(&self) -> Result<u8, Error> {
        self.number(u8::from_be_bytes, u8::from_le_bytes)
    }

    /// Reads as many bytes as `bytes` has room for.
    pub fn read_bytes(&self, bytes: &mut [u8]) -> Result<(), Error> {
        self.take(bytes.len(), |taken, _| {
            bytes.copy_from_slice(taken);
            Ok(())
        })
    }

    /// Reads `length` bytes, without copying them.
    pub fn read_buffer(&self, length: u32) -> Result<Buffer, Error> {
        self.owner.with_idle(|data| {
            let length = data.check(usize::try_from(length).unwrap_or(usize::MAX))?;
            Ok(data.loaded.split_to(length).into())
        })
    }

    /// Reads a point in time: an `i64` of 100 ns since 1601.
    pub fn read_date_time(&self) -> Result<DateTime, Error> {
        Ok(DateTime { universal_time: self.read_int64()? })
    }

    /// Reads a number of eight bytes (IEEE 754).
    pub fn read_double(&self) -> Result<f64, Error> {
        self.number(f64::from_be_bytes, f64::from_le_bytes)
    }

    /// Reads an identifier: a `u32` and two `u16` in the byte order that is set, then eight bytes as they
    /// are.
    ///
    /// Whether Windows swaps those eight in big endian is not documented.
    pub fn read_guid(&self) -> Result<Guid, Error> {
        self.take(16, |bytes, order| {
            let guid = Guid::from_u128(u128::from_be_bytes(array(bytes)?));
            Ok(match order {
                ByteOrder::BigEndian => guid,
                ByteOrder::LittleEndian => guid.with_swapped_numbers(),
            })
        })
    }

    /// Reads a number of two bytes.
    pub fn read_int16(&self) -> Result<i16, Error> {
        self.number(i16::from_be_bytes, i16::from_le_bytes)
    }

    /// Reads a number of four bytes.
    pub fn read_int32(&self) -> Result<i32, Error> {
        self.number(i32::from_be_bytes, i32::from_le_bytes)
    }

    /// Reads a number of eight bytes.
    pub fn read_int64(&self) -> Result<i64, Error> {
        self.number(i64::from_be_bytes, i64::from_le_bytes)
    }

    /// Reads a number of four bytes (IEEE 754).
    pub fn read_single(&self) -> Result<f32, Error> {
        self.number(f32::from_be_bytes, f32::from_le_bytes)
    }

    /// Reads text of so many code units of the encoding that is set: bytes in UTF-8, pairs of bytes in
    /// UTF-16.
    ///
    /// # Errors
    /// [`Error::NO_UNICODE_TRANSLATION`] if the bytes are not text, which includes text cut within a
    /// character.
    pub fn read_string(&self, code_units: u32) -> Result<String, Error> {
        let encoding = self.unicode_encoding();
        let units = usize::try_from(code_units).unwrap_or(usize::MAX);
        self.take(units.saturating_mul(encoding.bytes_per_unit()), |bytes, _| encoding.decode(bytes))
    }

    /// Reads a length of time: an `i64` of 100 ns.
    pub fn read_time_span(&self) -> Result<TimeSpan, Error> {
        Ok(TimeSpan { duration: self.read_int64()? })
    }

    /// Reads a number of two bytes.
    pub fn read_uint16(&self) -> Result<u16, Error> {
        self.number(u16::from_be_bytes, u16::from_le_bytes)
    }

    /// Reads a number of four bytes.
    pub fn read_uint32(&self) -> Result<u32, Error> {
        self.number(u32::from_be_bytes, u32::from_le_bytes)
    }

    /// Reads a number of eight bytes.
    pub fn read_uint64(&self) -> Result<u64, Error> {
        self.number(u64::from_be_bytes, u64::from_le_bytes)
    }

    /// Takes all bytes that are loaded and not read yet. They outlive the reader, which goes on without them.
    pub fn detach_buffer(&self) -> Result<Buffer, Error> {
        self.owner.with_idle(|data| Ok(data.loaded.split().into()))
    }

    /// Gives the stream back, open. Loaded bytes can still be read; [`load`](Self::load) fails from now on.
    ///
    /// # Errors
    /// [`Error::INVALID_OPERATION`] without a stream.
    pub fn detach_stream(&self) -> Result<Arc<dyn IInputStream>, Error> {
        self.owner.detach_stream(|_| ())
    }

    /// Closes the reader and its stream. A load under way fails with [`Error::ABORT`]. It does not wait, and
    /// may be called again.
    pub fn close(&self) {
        self.owner.close(|data| data.loaded = BytesMut::new());
    }

    fn number<const N: usize, T>(&self, big: fn([u8; N]) -> T, little: fn([u8; N]) -> T) -> Result<T, Error> {
        self.take(N, |bytes, order| {
            let bytes = array(bytes)?;
            Ok(match order {
                ByteOrder::BigEndian => big(bytes),
                ByteOrder::LittleEndian => little(bytes),
            })
        })
    }

    /// Consumes `count` bytes if `read` makes something of them.
    fn take<T>(
        &self,
        count: usize,
        read: impl FnOnce(&[u8], ByteOrder) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.owner.with_idle(|data| {
            let count = data.check(count)?;
            let value = read(data.loaded.get(..count).unwrap_or_default(), data.byte_order)?;
            bytes::Buf::advance(&mut data.loaded, count);
            Ok(value)
        })
    }
}

impl std::fmt::Debug for DataReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let length = self.unconsumed_buffer_length();
        f.debug_struct("DataReader").field("unconsumed_buffer_length", &length).finish_non_exhaustive()
    }
}

impl Data {
    fn append(&mut self, buffer: Buffer) {
        let bytes = bytes::Bytes::from(buffer);
        if self.loaded.is_empty() {
            self.loaded = BytesMut::from(bytes);
        } else {
            self.loaded.extend_from_slice(&bytes);
        }
    }

    /// `count`, if so many bytes are loaded.
    fn check(&self, count: usize) -> Result<usize, Error> {
        let loaded = self.loaded.len();
        if count > loaded {
            let message = format!("{count} bytes were to be read and {loaded} are loaded: load more first");
            return Err(Error::new(Error::BOUNDS, message));
        }
        Ok(count)
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::new(Error::BOUNDS, "fewer bytes than the value has"))
}
