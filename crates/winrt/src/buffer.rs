//! Bytes with a length and a capacity.

use bytes::{Bytes, BytesMut};

use crate::error::Error;

/// The original's interface of buffers. There is one kind of buffer here.
pub type IBuffer = Buffer;

/// Bytes with a length and a capacity (`IBuffer` and `Buffer`, spec §8).
///
/// Made without copying from `Bytes`, `Vec<u8>`, `String` and what is `'static`, and turned back into
/// `Bytes`. A clone shares the bytes. Two buffers are equal if they hold the same bytes, whatever their
/// capacity.
///
/// # Examples
/// ```
/// use wsduo_winrt::Buffer;
///
/// let buffer = Buffer::from("hello");
/// assert_eq!(buffer.length(), 5);
/// assert_eq!(buffer.as_ref(), b"hello");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Buffer {
    /// As many as were ever given a value: a length that was made shorter can be made longer again.
    bytes: Bytes,
    length: usize,
    capacity: usize,
}

impl Buffer {
    /// An empty buffer that may grow up to this many bytes. Memory is reserved by
    /// [`set_length`](Self::set_length), not here.
    pub fn new(capacity: u32) -> Self {
        Self { bytes: Bytes::new(), length: 0, capacity: usize::try_from(capacity).unwrap_or(usize::MAX) }
    }

    /// A buffer with a copy of these bytes: the original's `MemoryBuffer` is a slice here.
    pub fn create_copy_from_memory_buffer(bytes: &[u8]) -> Self {
        Bytes::copy_from_slice(bytes).into()
    }

    /// The bytes of a buffer where they lie: the original's `MemoryBuffer` is a slice here.
    ///
    /// To read only, as clones share them: what is to be changed begins as a `Vec<u8>` and becomes a buffer
    /// when it is done.
    pub fn create_memory_buffer_over_ibuffer(buffer: &IBuffer) -> &[u8] {
        buffer.as_ref()
    }

    /// How many bytes it may hold.
    pub fn capacity(&self) -> u32 {
        u32::try_from(self.capacity).unwrap_or(u32::MAX)
    }

    /// How many bytes it holds. `u32::MAX` if there are more, which only a buffer made of a `Vec` or `Bytes`
    /// of that size has.
    pub fn length(&self) -> u32 {
        u32::try_from(self.length).unwrap_or(u32::MAX)
    }

    /// Makes it shorter or longer. Bytes that were cut off come back; others are zero.
    ///
    /// # Errors
    /// [`Error::INVALID_ARGUMENT`] past the capacity.
    pub fn set_length(&mut self, length: u32) -> Result<(), Error> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.capacity {
            let message = format!("a length of {length} bytes exceeds the capacity of {}", self.capacity);
            return Err(Error::new(Error::INVALID_ARGUMENT, message));
        }
        if length > self.bytes.len() {
            let mut longer = BytesMut::from(std::mem::take(&mut self.bytes));
            longer.resize(length, 0);
            self.bytes = longer.freeze();
        }
        self.length = length;
        Ok(())
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Buffer {}

impl From<Buffer> for Bytes {
    fn from(mut buffer: Buffer) -> Self {
        buffer.bytes.truncate(buffer.length);
        buffer.bytes
    }
}

/// What a buffer is made of without copying. Its capacity is its length.
macro_rules! from_bytes {
    ($($source:ty),*) => {
        $(impl From<$source> for Buffer {
            fn from(bytes: $source) -> Self {
                let bytes = Bytes::from(bytes);
                Self { length: bytes.len(), capacity: bytes.len(), bytes }
            }
        })*
    };
}
from_bytes!(Bytes, BytesMut, Vec<u8>, String, &'static [u8], &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_buffer_is_empty_and_reserves_nothing() {
        let buffer = Buffer::new(u32::MAX);
        assert_eq!((buffer.capacity(), buffer.length(), buffer.as_ref()), (u32::MAX, 0, &b""[..]));
    }

    #[test]
    fn a_length_goes_up_to_the_capacity_and_no_further() {
        let mut buffer = Buffer::new(3);
        buffer.set_length(3).unwrap();
        assert_eq!(buffer.as_ref(), [0, 0, 0]);
        assert_eq!(buffer.set_length(4).unwrap_err().code(), Error::INVALID_ARGUMENT);
        assert_eq!(buffer.length(), 3);
    }

    #[test]
    fn bytes_cut_off_by_a_shorter_length_come_back_with_a_longer_one() {
        let mut buffer = Buffer::from(vec![1, 2, 3]);
        buffer.set_length(1).unwrap();
        assert_eq!((buffer.as_ref(), Bytes::from(buffer.clone())), (&[1][..], Bytes::from_static(&[1])));
        buffer.set_length(3).unwrap();
        assert_eq!(buffer.as_ref(), [1, 2, 3]);
    }

    #[test]
    fn buffers_are_equal_by_their_bytes_and_clones_share_them() {
        let mut short = Buffer::from("abc");
        let clone = short.clone();
        assert_eq!(clone.as_ref().as_ptr(), short.as_ref().as_ptr());
        assert_eq!(clone, short);
        short.set_length(2).unwrap();
        assert_ne!(clone, short);
        assert_eq!(short, Buffer::create_copy_from_memory_buffer(b"ab"));
        assert_eq!(Buffer::create_memory_buffer_over_ibuffer(&short), b"ab");
    }
}
